"""What has come in time is read before anybody is judged, also when the server did not run for
long; and the server's own end comes, whatever is turned off."""

from __future__ import annotations

import os
import queue
import signal
import time
from pathlib import Path

import programs
import pytest
from rawws import PING, PONG, TEXT, Client, ScriptedServer, ServerPeer, frame

TIMEOUT, PAUSE = "1", 2.0  # seconds: the pause is longer than any time that a client has


class Stopped:
    """The program does not run while the block does, which lasts longer than any timeout."""

    def __init__(self, server) -> None:
        self._pid = server.pid

    def __enter__(self) -> None:
        """It is stopped while it waits for events and timers: the timers run first afterwards."""
        programs.wait_until("all threads wait", lambda: self._states() == {"S"})
        os.kill(self._pid, signal.SIGSTOP)
        programs.wait_until("all threads are stopped", lambda: self._states() == {"T"})

    def _states(self) -> set[str]:
        tasks = Path(f"/proc/{self._pid}/task").iterdir()
        return {(task / "stat").read_text().rpartition(")")[2].split()[0] for task in tasks}

    def __exit__(self, *_: object) -> None:
        time.sleep(PAUSE)
        os.kill(self._pid, signal.SIGCONT)


REQUEST = b"GET /channels HTTP/1.1\r\nHost: localhost\r\n\r\n"


def begin(server) -> Client:
    """A client whose second request has begun, as the server knows: it has answered the first."""
    client = Client(server.port)
    client.send(REQUEST + REQUEST[:10])
    assert client.recv_response().status == 200
    return client


def test_a_request_that_came_while_the_server_was_stopped_is_answered(wsbroadcastd):
    client = begin(server := wsbroadcastd("--handshake-timeout", TIMEOUT))
    with Stopped(server):
        client.send(REQUEST[10:])
    assert client.recv_response().status == 200


def test_a_body_that_came_while_the_server_was_stopped_is_published(wsbroadcastd):
    """More than one turn of the loop reads."""
    server = wsbroadcastd("--message-timeout", TIMEOUT)
    client = Client(server.port)
    body = b"x" * 200_000
    client.send(
        b"POST /ws HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\n"
        b"Content-Length: %d\r\n\r\n" % len(body)
    )
    assert client.recv_head().status == 100
    with Stopped(server):
        client.send(body)
    assert client.recv_response().status == 200


def test_a_message_that_was_completed_while_the_server_was_stopped_is_broadcast(wsbroadcastd):
    server = wsbroadcastd("--message-timeout", TIMEOUT, "--prefix", "")
    client = server.client()
    whole = frame(TEXT, b"x" * 200_000)
    client.send(frame(TEXT, b"first") + whole[:1000])
    assert client.recv_message() == "first"
    with Stopped(server):
        client.send(whole[1000:])
    assert client.recv_message() == "x" * 200_000


def test_a_pong_that_came_while_the_server_was_stopped_counts(wsbroadcastd):
    server = wsbroadcastd("--ping-interval", "0.5", "--ping-timeout", TIMEOUT)
    client = server.client()
    ping = client.recv_frame()
    assert ping.opcode == PING
    with Stopped(server):
        client.send_frame(PONG, ping.payload)
    client.send_text("still here")
    assert client.recv_message() == "Message: still here"


def test_who_speaks_while_the_server_is_stopped_is_not_idle(wsbroadcastd):
    server = wsbroadcastd("--idle-timeout", TIMEOUT, "--prefix", "")
    client = server.client()
    with Stopped(server):
        client.send_text("not idle")
    client.send_text("nor now")
    assert client.recv_message() == "not idle"
    assert client.recv_message() == "nor now"


def test_who_says_nothing_is_still_judged_after_a_pause(wsbroadcastd):
    client = begin(server := wsbroadcastd("--handshake-timeout", TIMEOUT))
    with Stopped(server):
        pass
    assert client.recv_response().status == 408


def test_a_pong_that_came_while_wsrecv_was_stopped_counts(wsrecv):
    started = queue.SimpleQueue()

    def script(peer: ServerPeer) -> None:
        peer.accept()
        ping = peer.recv_frame()
        assert ping.opcode == PING
        with Stopped(started.get()):
            peer.send_frame(PONG, ping.payload)
            peer.send_text("both came in time")
        peer.close()

    with ScriptedServer(script) as server:
        listener = wsrecv("--ping-interval", "0.5", "--ping-timeout", TIMEOUT, server.url)
        started.put(listener)
        assert listener.read_line() == "Received: both came in time"
        listener.wait()


# ---- the end ----


def stall(server) -> Client:
    """A subscriber that does not read, and has more to read than its socket takes."""
    client = server.client(receive_buffer=4096)
    talker = server.client()
    for _ in range(8):
        talker.send_binary(bytes(1 << 20))
        assert len(talker.recv_message()) == 1 << 20
    talker.close()
    return client


def listen_to_events(server) -> Client:
    client = Client(server.port, receive_buffer=4096)
    client.send(b"GET /ws HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n\r\n")
    assert client.recv_head().status == 200
    return client


@pytest.mark.parametrize("how", ["stalled", "silent", "closing", "events", "refused"])
def test_without_a_close_timeout_one_sigterm_ends_the_server(wsbroadcastd, how):
    server = wsbroadcastd("--close-timeout", "0", "--prefix", "")
    if how == "stalled":
        client = stall(server)
    elif how == "events":
        client = listen_to_events(server)
    elif how == "refused":
        client = Client(server.port)
        client.send(b"GET /nowhere HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        assert client.recv_response().status == 404
    else:
        client = server.client()
    if how == "closing":  # since before the end
        client.send_frame(3)
        assert client.recv_close()[0] == 1002
    server.stop()
    client.disconnect()


def test_without_a_close_timeout_the_rest_still_goes_to_stdout(wsbroadcastd):
    server = wsbroadcastd("--close-timeout", "0", "--prefix", "", "--stdout")
    client = server.client()
    client.send_text("x" * 900_000)  # more than a pipe takes
    assert client.recv_message() == "x" * 900_000
    server.process.terminate()
    assert client.recv_close()[0] == 1001
    client.send_close(1001)
    server.wait_stderr("stopping")
    assert server.read_rest() == "x" * 900_000 + "\n"
    server.wait(0)
