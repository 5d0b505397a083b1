"""SIGTERM and plain HTTP: what has begun is finished, and heard by all before the goodbye."""

from __future__ import annotations

import http.client
import json
import signal
import socket
import threading
from pathlib import Path

import programs
import pytest
import rawws
from rawws import Client
from test_http import Peer, check_line


def stop(server: programs.Server) -> None:
    server.process.send_signal(signal.SIGTERM)
    server.wait_stderr("stopping on SIGTERM")


def leave(listener: Client) -> None:
    """The rest of the closing handshake that the server has begun."""
    listener.send_close(1001)
    listener.recv_eof()
    listener.disconnect()


def is_read(server: programs.Server, client: Client) -> bool:
    """True when the server has read all that the client has sent (proc(5), /proc/net/tcp)."""
    near, far = f":{server.port:04X}", f":{client.sock.getsockname()[1]:04X}"
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        fields = line.split()
        if fields[1].endswith(near) and fields[2].endswith(far):
            return fields[4].endswith(":00000000")
    raise AssertionError("there is no such connection")


def half_posted(server: programs.Server) -> Client:
    """A client whose body is half there."""
    client = Client(server.port)
    client.send(
        b"POST /ws HTTP/1.1\r\nHost: localhost\r\nContent-Length: 8\r\n"
        b"Expect: 100-continue\r\n\r\n"
    )
    assert client.recv_head().status == 100
    client.send(b"half")
    return client


@pytest.mark.parametrize("workers", ["1", "3"])
def test_a_post_that_has_begun_is_finished_and_heard_before_the_goodbye(wsbroadcastd, workers):
    server = wsbroadcastd("-w", workers, "--prefix", "", "--close-timeout", "10")
    listeners = programs.connect(server, 10)
    poster = half_posted(server)
    with Client(server.port) as late:
        late.send(late.request()[:30])
        programs.wait_until("it is read", lambda: is_read(server, late))
        stop(server)
        listeners[0].send_text("meanwhile")
        assert all(listener.recv_message() == "meanwhile" for listener in listeners)
        late.send(late.request()[30:])
        check_line(late.recv_response(), 503)
    poster.send(b"half")
    answer = poster.recv_response()
    assert (answer.status, answer.headers["connection"]) == (200, "close")
    assert json.loads(answer.body)["subscribers"] == 10
    poster.recv_eof()
    poster.disconnect()
    for listener in listeners:
        assert listener.recv_message() == "halfhalf"
        assert listener.recv_close()[0] == 1001
        leave(listener)
    server.wait(0)


def test_a_body_that_does_not_come_in_time_is_503(wsbroadcastd):
    server = wsbroadcastd("--close-timeout", "0.5")
    listener, poster = server.client(), half_posted(server)
    stop(server)
    answer = poster.recv_response()
    check_line(answer, 503)
    assert answer.headers["connection"] == "close" and "shutting down" in answer.body
    poster.recv_eof()
    poster.disconnect()
    assert listener.recv_close()[0] == 1001
    leave(listener)
    server.wait(0)
    assert "limit" not in server.stderr


def test_a_page_that_is_being_read_is_finished_and_then_nobody_is_waited_for(wsbroadcastd):
    server = wsbroadcastd(
        *("--prefix", "", "--history-messages", "1"),
        *("--handshake-timeout", "60", "--close-timeout", "60"),
    )
    text = "\x01" * 1_000_000  # six times as long as JSON: more than the sockets take
    Peer(server.port).post(text)
    with Client(server.port, receive_buffer=4096) as reader:
        reader.send(b"GET /ws HTTP/1.1\r\nHost: localhost\r\nAccept: application/json\r\n\r\n")
        assert reader.sock.recv(1, socket.MSG_PEEK) == b"H"  # it has begun
        listener = server.client()
        stop(server)
        assert json.loads(reader.recv_response().body)["messages"][0]["data"] == text
        reader.recv_eof()
    assert listener.recv_close()[0] == 1001
    leave(listener)
    server.wait(0)


def test_the_idle_are_closed_without_a_word_and_at_once(wsbroadcastd):
    server = wsbroadcastd("--close-timeout", "60")
    fresh, idle = Client(server.port), Client(server.port)
    idle.send(b"GET /ws?info HTTP/1.1\r\nHost: localhost\r\n\r\n")
    assert idle.recv_response().status == 200
    listener = server.client()
    stop(server)
    for client in (fresh, idle):
        client.recv_eof()
        client.disconnect()
    assert listener.recv_close()[0] == 1001
    leave(listener)
    server.wait(0)


def test_a_second_signal_does_not_wait(wsbroadcastd):
    server = wsbroadcastd("--close-timeout", "60")
    poster = half_posted(server)
    stop(server)
    server.stop()
    poster.disconnect()


@pytest.mark.parametrize("workers", ["1", "4"])
def test_what_is_answered_is_heard_by_all(wsbroadcastd, workers):
    """However many are posting when the signal comes: 200 is a promise."""
    server = wsbroadcastd("-w", workers, "--prefix", "")
    listeners = programs.connect(server, 20)
    answered: list[list[str]] = [[] for _ in range(4)]

    def post(number: int) -> None:
        peer = Peer(server.port)
        for i in range(1_000_000):
            try:
                if peer.ask("POST", "/ws", f"{number} {i}".encode()).status != 200:
                    return
            except (OSError, http.client.HTTPException):
                return
            answered[number].append(f"{number} {i}")

    threads = [threading.Thread(target=post, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    heard = [listeners[0].recv_message() for _ in range(50)]
    stop(server)
    for thread in threads:
        thread.join()
    for listener in listeners:
        mine = heard if listener is listeners[0] else []
        try:
            while True:
                mine.append(listener.recv_message())
        except rawws.Closed as closed:
            assert closed.code == 1001
        leave(listener)
        for number, texts in enumerate(answered):
            got = [text for text in mine if str(text).startswith(f"{number} ")]
            assert got[: len(texts)] == texts
    server.wait(0)
