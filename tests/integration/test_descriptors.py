"""When descriptors run out: nobody is dropped, nobody who is connected notices, nothing spins."""

from __future__ import annotations

import re
import resource
import time
from collections.abc import Callable

import programs
import pytest
import rawws

LIMIT, CLIENTS = 80, 120
RAN_OUT = rf"cannot accept connections: all {LIMIT} files .*RLIMIT_NOFILE.*ulimit -n.*LimitNOFILE="
GOES_ON = r"accepting connections again"


def allow(soft: int, hard: int) -> Callable[[], None]:
    return lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.fixture(params=["1", "2"], ids=["one worker", "two workers"])
def full(request, wsbroadcastd, tmp_path) -> tuple[programs.Server, list, list]:
    """A server that can take no more, those who have got in, and those who wait, in order.

    It listens on a Unix socket, so that one queue is all there is."""
    server = wsbroadcastd(
        "-w", request.param, "-l", f"unix:{tmp_path}/socket", preexec_fn=allow(LIMIT, LIMIT)
    )
    clients = [rawws.Client(server.port) for _ in range(CLIENTS)]
    for client in clients:
        client.send(client.request())
    server.wait_stderr(RAN_OUT)
    connected = clients[: server.sockets() - 1]  # one of them listens
    assert LIMIT / 2 < len(connected) < LIMIT
    for client in connected:
        client.recv_accept()
    return server, connected, clients[len(connected) :]


def test_the_connected_go_on(full):
    server, connected, _ = full
    for i in range(20):
        connected[0].send_text(str(i))
        for client in connected:
            assert client.recv_message() == f"Message: {i}"


def test_it_does_not_spin(full):
    """A second of waiting costs next to no CPU; who spins takes all that there is."""
    server, _, _ = full
    before = server.cpu_seconds()
    time.sleep(1)
    assert server.cpu_seconds() - before < 0.1


def test_who_waits_is_served_when_others_leave(full):
    server, connected, waiting = full
    while waiting:
        connected.pop(0).disconnect()
        waiting[0].recv_accept()
        connected.append(waiting.pop(0))
    connected.pop(0).disconnect()
    server.wait_stderr(GOES_ON)
    connected[-1].send_text("all are in")
    assert connected[-1].recv_message() == "Message: all are in"


def test_it_is_told_once(full):
    """However often one leaves and another takes the place."""
    server, connected, waiting = full
    for _ in range(20):
        connected.pop(0).disconnect()
        waiting[0].recv_accept()
        connected.append(waiting.pop(0))
    server.stop()
    assert len(re.findall("cannot accept", server.stderr)) == 1
    assert not re.search(GOES_ON, server.stderr)


def test_it_stops_in_good_order(full):
    server, connected, _ = full
    server.process.terminate()
    for client in connected:
        assert client.recv_close()[0] == 1001
        client.send_close(1001)
    server.wait(0, programs.STOP_SECONDS)


def test_the_soft_limit_is_raised_to_the_hard_one(wsbroadcastd):
    server = wsbroadcastd(preexec_fn=allow(LIMIT, 1000))
    clients = [server.client() for _ in range(CLIENTS)]
    assert server.descriptors() > LIMIT
    for client in clients:
        client.close()
