"""Readers that stall: they cost the others nothing, the server next to nothing, and what they are
told is true. `--max-lag`, `--slow-consumer close` and `skip`."""

from __future__ import annotations

import os

import programs
import pytest
import rawws
from rawws import BINARY, CLOSE, PING, PONG
from test_tls import TlsServer, authority, tls_server  # noqa: F401: fixtures

MAX_LAG = 2 << 20
PASSING = 24 << 20  # bytes: what may lag, what the kernel holds for one (4 MiB), and much more
BLOCK = 64 << 10  # the most that one who is given up holds, if its messages are no longer
SIZE = 16 << 10
LARGE = 1 << 20
OPTIONS = ["--prefix", "", "--max-lag", str(MAX_LAG), "--ping-interval", "0"]
OPTIONS += ["--log-level", "debug"]  # which leaves no line out, however many are alike


class Crowd:
    """A server, some who read, the first of whom publishes, and some who do not read."""

    def __init__(self, server: programs.Server, *, size: int, deflate: bool) -> None:
        self.server = server
        self.size = size
        self.deflate = deflate
        self.said = 0
        self._filler = os.urandom(size // 2) + bytes(size // 2)  # it shrinks, but not to nothing
        self.readers = [self.join() for _ in range(3)]
        self.slow: list[rawws.Client] = []

    def join(self, **how: int) -> rawws.Client:
        if isinstance(self.server, TlsServer):
            client = self.server.connect(**how)
        else:
            client = rawws.Client(self.server.port, **how)
        if not self.deflate:
            return client.upgrade()
        client = client.upgrade(Sec_WebSocket_Extensions="permessage-deflate")
        return client

    def join_slow(self, count: int) -> None:
        self.slow += [self.join(receive_buffer=8192) for _ in range(count)]

    def publish(self, total: int) -> None:
        """Messages with so many bytes in all: each who reads hears each once and in order."""
        left = total // self.size
        while left > 0:
            turn = min(left, 1 + (1 << 18) // self.size)
            left -= turn
            first = self.said
            for _ in range(turn):
                number = self.said.to_bytes(8, "big")
                self.readers[0].send_binary(number + self._filler[8:])
                self.said += 1
            for reader in self.readers:
                assert [self.hear(reader) for _ in range(turn)] == [*range(first, self.said)]

    def number(self, got: rawws.Frame) -> int:
        """The number of a whole message."""
        assert got.opcode == BINARY and got.fin, got
        payload = got.payload
        assert got.rsv == (4 if self.deflate else 0)
        if self.deflate:
            payload = rawws.Inflater(takeover=False).inflate(payload)
        assert payload[8:] == self._filler[8:]
        return int.from_bytes(payload[:8], "big")

    def hear(self, client: rawws.Client) -> int:
        """The number of the next message; pings on the way are answered."""
        while (got := client.recv_frame()).opcode == PING:
            client.send_frame(PONG, got.payload)
        return self.number(got)

    def hear_until(self, client: rawws.Client, opcode: int) -> tuple[list[int], rawws.Frame]:
        """The numbers of the messages that come before such a frame, and that."""
        heard = []
        for _ in rawws.turns():
            got = client.recv_frame()
            if got.opcode == opcode:
                return heard, got
            if got.opcode == PING:  # where it goes on, for one who has skipped
                client.send_frame(PONG, got.payload)
                continue
            heard.append(self.number(got))
        raise AssertionError

    def leave(self) -> None:
        for client in (*self.readers, *self.slow):
            client.reset()


KINDS = {
    "plain": {"size": SIZE, "deflate": False},
    "deflate": {"size": SIZE, "deflate": True},
    "large": {"size": LARGE, "deflate": False},
}


@pytest.fixture(params=[*KINDS, "tls"])
def crowd(request, wsbroadcastd, tls_server):  # noqa: F811
    """crowd(option, ...): a server with these options, and who listens to it."""
    made: list[Crowd] = []

    def make(*options: str) -> Crowd:
        start = tls_server if request.param == "tls" else wsbroadcastd
        kind = KINDS["plain" if request.param == "tls" else request.param]
        made.append(Crowd(start(*OPTIONS, *options), **kind))
        return made[0]

    yield make
    for one in made:
        one.leave()


def test_the_slow_are_closed_and_the_others_lose_nothing(crowd):
    """Who reads on gets whole messages from the first on, then 1008, and nothing after it."""
    here = crowd("--slow-consumer", "close", "--close-timeout", "60")
    here.join_slow(5)
    here.publish(PASSING)
    here.server.wait_stderr("limit max-lag: closed with 1008", 5)
    for client in here.slow:
        heard, close = here.hear_until(client, CLOSE)
        assert heard == [*range(len(heard))] and len(heard) < here.said
        assert (close.close_code, close.close_reason) == (1008, "too slow")
        client.send_close(1008)
        if not isinstance(here.server, TlsServer):
            client.recv_eof()
    here.publish(here.size)


def test_the_slow_skip_and_go_on(crowd):
    """Who reads on gets whole messages from the first on, misses some, and then hears all that is
    new. What it sent meanwhile is answered."""
    here = crowd("--slow-consumer", "skip")
    here.join_slow(5)
    here.publish(PASSING)
    here.server.wait_stderr("limit max-lag: skipped", 5)
    for client in here.slow:
        client.send_frame(PING, b"still here")
        heard, pong = here.hear_until(client, PONG)
        assert heard == [*range(len(heard))] and len(heard) < here.said
        assert pong.payload == b"still here"
    for _ in range(5):
        here.publish(here.size)
        assert [here.hear(client) for client in here.slow] == [here.said - 1] * len(here.slow)
    here.slow[0].send_binary(here.said.to_bytes(8, "big") + here._filler[8:])
    for client in (*here.readers, *here.slow):
        assert here.hear(client) == here.said


def test_who_skips_may_skip_again(crowd):
    here = crowd("--slow-consumer", "skip")
    here.join_slow(1)
    for time in (1, 2):
        first = here.said
        here.publish(PASSING)
        here.server.wait_stderr("limit max-lag: skipped", time)
        here.slow[0].send_frame(PING)
        heard, _ = here.hear_until(here.slow[0], PONG)
        assert heard == [*range(first, first + len(heard))] and 0 < len(heard) < here.said - first


@pytest.mark.parametrize("policy", ["close", "skip"])
def test_the_slow_cost_the_log_once_however_many_they_are(crowd, policy):
    """1 or 50: what may lag, and then no more than a block for each."""
    here = crowd("--slow-consumer", policy, "--close-timeout", "60")
    here.publish(8 << 20)
    grown = []
    for slow in (1, 49):
        before = here.server.rss_anon()
        here.server.reset_peak()
        idle = here.server.peak_rss()
        here.join_slow(slow)
        here.publish(PASSING)
        here.server.wait_stderr("limit max-lag", len(here.slow))
        grown.append(here.server.peak_rss() - idle)
        held = here.server.rss_anon() - before
    print([f"{n >> 10} KiB" for n in (*grown, held)])
    if programs.SANITIZED:
        return
    each = max(BLOCK, here.size) + (64 << 10 if isinstance(here.server, TlsServer) else 4 << 10)
    assert grown[0] < MAX_LAG + (4 << 20) + 3 * here.size
    assert grown[1] < MAX_LAG + (4 << 20) + 3 * here.size + 50 * each


def test_who_never_reads_again_is_dropped_after_the_close_timeout(crowd):
    here = crowd("--slow-consumer", "close", "--close-timeout", "0.3")
    descriptors = here.server.descriptors()
    here.join_slow(5)
    here.publish(PASSING)
    here.server.wait_stderr("limit close-timeout: dropped", 5)
    programs.wait_until("they are gone", lambda: here.server.descriptors() == descriptors)


def test_who_never_reads_again_holds_one_block_however_much_passes(crowd):
    here = crowd("--slow-consumer", "skip")
    here.join_slow(20)
    here.publish(PASSING)
    here.server.wait_stderr("limit max-lag: skipped", 20)
    before = here.server.rss_anon()
    here.publish(2 * PASSING)
    assert here.server.stderr.count("skipped") == 20
    if not programs.SANITIZED:
        assert here.server.rss_anon() - before < 1 << 20


def test_who_never_reads_again_is_dropped_when_it_does_not_answer(crowd):
    """Skipping is for those who read on: --ping-timeout ends it for the others."""
    here = crowd("--slow-consumer", "skip", "--ping-interval", "0.5", "--ping-timeout", "0.5")
    here.join_slow(3)
    for _ in range(20):
        here.publish(max(PASSING // 20, here.size))
    here.server.wait_stderr("limit ping-timeout: dropped", 3)


def test_who_closes_and_does_not_read_lags_no_further_than_others(wsbroadcastd):
    """What came before its Close is owed to it, but not without bound."""
    lag = 24 << 20
    options = ["--prefix", "", "--max-lag", str(lag), "--close-timeout", "0", "--ping-interval", "0"]
    here = Crowd(wsbroadcastd(*options), size=SIZE, deflate=False)
    here.join_slow(3)
    here.publish(lag - (4 << 20))
    here.server.reset_peak()
    idle = here.server.peak_rss()
    for client in here.slow:
        client.send_close(1000)
    here.publish(3 * lag)
    here.server.wait_stderr("limit max-lag: cut short", 3)
    grown = here.server.peak_rss() - idle
    for client in here.slow:
        heard, close = here.hear_until(client, CLOSE)
        assert heard == [*range(len(heard))] and len(heard) < here.said
        assert close.close_code == 1000
        client.recv_eof()
    here.leave()
    assert programs.SANITIZED or grown < lag


def test_own_frames_that_a_full_socket_cuts_are_whole_before_messages_go_on(wsbroadcastd, tmp_path):
    """Pongs, more than are left with libuv, and a message are to go out, and nothing is taken. (What
    a Unix socket takes, it takes as a whole.)"""
    options = ["--prefix", "", "--max-control-per-second", "0", "--max-lag", "0"]
    server = wsbroadcastd("-l", f"unix:{tmp_path}/socket", *options)
    client = server.client()
    count = 400
    for number in range(count):
        pings = b"".join(client.encode(PING, bytes([i]) * 125) for i in range(16))
        client.send(pings + client.encode(BINARY, number.to_bytes(4, "big")))
    heard = []
    for _ in rawws.turns():
        got = client.recv_frame()
        if got.opcode == PONG:
            assert got.payload == got.payload[:1] * 125 and got.payload[0] < 16
        else:
            assert got.opcode == BINARY
            heard.append(int.from_bytes(got.payload, "big"))
        if len(heard) == count:
            break
    assert heard == [*range(count)]
