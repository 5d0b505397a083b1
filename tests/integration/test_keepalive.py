"""Connections of plain HTTP between two requests: kept, closed in silence, and first to make room."""

from __future__ import annotations

import http.client
import resource

import programs
import pytest
from rawws import Client
from test_http import Peer, check_line

ASK = b"GET /ws?info HTTP/1.1\r\nHost: localhost\r\n\r\n"


def asked(port: int) -> Client:
    """A client that has been answered, and may go on."""
    client = Client(port)
    client.send(ASK)
    assert client.recv_response().headers["connection"] == "keep-alive"
    return client


def wait_until_answered(port: int) -> None:
    """So that all that was sent before, on other connections, has been read."""
    asked(port).disconnect()


@pytest.mark.parametrize("before", [b"", b"\r\n", b"\r\n\r\n\n"])
def test_an_idle_connection_is_closed_without_a_word(wsbroadcastd, before):
    """A 408 would be taken for the answer to the next request. Empty lines are none (RFC 9112, 2.2)."""
    server = wsbroadcastd("--keepalive-timeout", "0.5", "--handshake-timeout", "0.25")
    with asked(server.port) as client:
        client.send(before)
        client.recv_eof()
    server.stop()
    assert "limit" not in server.stderr and "408" not in server.stderr


def test_it_may_be_idle_for_longer_than_a_head_may_take(wsbroadcastd):
    server = wsbroadcastd("--handshake-timeout", "0.5")
    with asked(server.port) as client, Client(server.port) as silent:
        check_line(silent.recv_response(), 408)
        client.send(b"\r\n" + ASK)
        assert client.recv_response().status == 200
        client.send(client.request())
        client.recv_accept()


@pytest.mark.parametrize("rest", [b"G", b"\r\nGET /ws", ASK[:-2]])
def test_a_further_request_that_has_begun_is_408(wsbroadcastd, rest):
    server = wsbroadcastd("--handshake-timeout", "0.5")
    with asked(server.port) as client:
        client.send(rest)
        check_line(client.recv_response(), 408)
        client.recv_eof()
    server.wait_stderr("limit handshake-timeout: refused with 408")


def test_pythons_client_asks_anew(wsbroadcastd):
    server = wsbroadcastd("--keepalive-timeout", "0.5")
    peer = Peer(server.port)
    for _ in range(2):
        assert peer.get("/ws?info")["subscribers"] == 0
        assert peer.http.sock.recv(1) == b""  # the silence
        peer.http.close()
    with pytest.raises((http.client.RemoteDisconnected, ConnectionError)):
        peer.get("/ws?info")
        assert peer.http.sock.recv(1) == b""
        peer.get("/ws?info")


def test_the_idle_make_room_for_those_who_come(wsbroadcastd):
    """The one that has been idle for longest; not one whose request has begun, nor a subscriber."""
    server = wsbroadcastd("--max-connections", "4", "-w", "1")
    subscriber, busy = server.client(), asked(server.port)
    busy.send(ASK[:20])
    first = asked(server.port)
    second = asked(server.port)
    with asked(server.port) as third:
        first.recv_eof()
        with server.client() as other:
            second.recv_eof()
            with server.client():
                third.recv_eof()
                with Client(server.port) as late:
                    assert late.recv_response().status == 503
                subscriber.send_text("still here")
                assert subscriber.recv_message() == other.recv_message() == "Message: still here"
                busy.send(ASK[20:])
                assert busy.recv_response().status == 200
    for client in (subscriber, busy, first, second):
        client.disconnect()


def test_the_idle_of_another_worker_make_room_soon(wsbroadcastd, tmp_path):
    server = wsbroadcastd("--max-connections", "8", "-w", "2", "-l", f"unix:{tmp_path}/socket")
    idle = [asked(server.port) for _ in range(8)]
    fresh: list[Client] = []

    def is_in() -> bool:
        fresh.append(Client(server.port))
        fresh[-1].send(fresh[-1].request())
        return fresh[-1].recv_head().status == 101

    for _ in range(8):
        programs.wait_until("there is room", is_in)
    for client in idle:
        client.recv_eof()
    for client in idle + fresh:
        client.disconnect()


@pytest.mark.parametrize("workers", ["1", "2"])
def test_the_idle_make_room_when_descriptors_run_out(wsbroadcastd, tmp_path, workers):
    limit = 60

    def few() -> None:
        resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))

    server = wsbroadcastd("-w", workers, "-l", f"unix:{tmp_path}/socket", preexec_fn=few)
    idle = [asked(server.port) for _ in range(2 * limit)]
    fresh = [server.client() for _ in range(limit // 2)]
    fresh[0].send_text("x")
    assert all(client.recv_message() == "Message: x" for client in fresh)
    idle[0].recv_eof()
    if workers == "1":
        assert "cannot accept" not in server.stderr
    for client in idle + fresh:
        client.disconnect()
