"""Who says much at full speed is not heard at the expense of others, and the server's memory stays
bounded meanwhile.

The tests of order stop the server, fill its sockets, and let it go on: on a machine of any speed
all were there at the same time, and where something stands in the stream tells when it was heard.
"""

from __future__ import annotations

import fcntl
import os
import signal
import termios
import threading
from collections.abc import Callable

import programs
import pytest
import rawws
from rawws import BINARY, CLOSE, PING, PONG, TEXT, frame
from test_tls import TlsServer, authority, tls_server  # noqa: F401: fixtures

FAST = 10
FLOOD = 3 << 20  # bytes that each of the fast ones has to say
WARM_UP = 4 << 20
A_TURN = 1 << 20  # bytes that are read from all of them in a turn, more or less
# What may go before: two turns' input. One of them may have begun when the last of the others came.
BEFORE = 2 * A_TURN


class Flood:
    """A client that says all that it has as fast as it can, and never reads."""

    def __init__(self, client: rawws.Client, number: int, size: int, total: int = FLOOD) -> None:
        message = frame(BINARY, bytes([number]) * size)
        self.client = client
        self.count = total // len(message)
        self._data = message * self.count
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._error: OSError | None = None
        self._thread.start()

    def _run(self) -> None:
        try:
            self.client.send(self._data)
        except OSError as error:
            self._error = error

    def is_there(self) -> bool:
        """All of it is in the kernel, or the kernel takes no more."""
        unsent = fcntl.ioctl(self.client.sock.fileno(), termios.TIOCOUTQ, bytes(4))
        return not self._thread.is_alive() or int.from_bytes(unsent, "little") > 64 << 10

    def wait(self) -> None:
        """All of it is sent."""
        self._thread.join(2 * rawws.TIMEOUT)
        assert not self._thread.is_alive() and self._error is None, self._error


def warm_up(observer: rawws.Client, fast: list[rawws.Client]) -> None:
    """Whoever has said much has a large buffer in the server's kernel from then on."""
    floods = [Flood(client, number, 60_000, WARM_UP) for number, client in enumerate(fast)]
    for _ in range(sum(one.count for one in floods)):
        assert len(observer.recv_message()) == 60_000
    for one in floods:
        one.wait()


@pytest.fixture(params=["plain", "tls"])
def serve(request, wsbroadcastd, tls_server) -> Callable[..., programs.Server]:  # noqa: F811
    return wsbroadcastd if request.param == "plain" else tls_server


class Stopped:
    """The server is stopped while the block runs: all that is said in it waits for it together."""

    def __init__(self, server: programs.Server) -> None:
        self._pid = server.pid

    def __enter__(self) -> None:
        os.kill(self._pid, signal.SIGSTOP)

    def __exit__(self, *_: object) -> None:
        os.kill(self._pid, signal.SIGCONT)


def flood(server: programs.Server, size: int, fast: list[rawws.Client]) -> list[Flood]:
    """All of them begin, and the server's sockets are full of it."""
    floods = [Flood(client, number, size) for number, client in enumerate(fast)]
    for one in floods:
        programs.wait_until("the socket is full", one.is_there)
    return floods


def until(client: rawws.Client, wanted: Callable[[rawws.Frame], bool]) -> int:
    """Reads on to a frame. Returns the bytes of payload that came before it."""
    before = 0
    for _ in rawws.turns():
        got = client.recv_frame()
        if wanted(got):
            return before
        before += len(got.payload)
    raise AssertionError


def end(floods: list[Flood], *others: rawws.Client) -> None:
    """All of it is taken, whoever reads it."""
    for one in floods:
        one.wait()
        one.client.reset()
    for client in others:
        client.reset()


@pytest.mark.parametrize("size", [64, 16_000], ids=["small", "large"])
def test_slow_publishers_are_heard_between_ten_at_full_speed(serve, size):
    """Their messages stand no further back than what two turns read, whoever came first."""
    server = serve("--max-lag", "0", "--prefix", "")
    observer, first = server.client(), server.client()
    fast = [server.client() for _ in range(FAST)]
    last = server.client()
    warm_up(observer, fast)
    with Stopped(server):
        first.send_text("me too")
        floods = flood(server, size, fast)
        last.send_text("me too")
    before = until(observer, lambda got: got.opcode == TEXT)
    before += until(observer, lambda got: got.opcode == TEXT)
    assert before <= BEFORE
    end(floods, observer, first, last)


def test_pings_closes_and_joins_go_through_between_ten_at_full_speed(serve):
    """In each one's own stream what is answered stands no further back than what two turns read."""
    server = serve("--max-lag", "0", "--prefix", "")
    observer = server.client()
    fast = [server.client() for _ in range(FAST)]
    warm_up(observer, fast)
    pinging, closing, joining = server.client(), server.client(), server_connect(server)
    with Stopped(server):
        floods = flood(server, 16_000, fast)
        pinging.send_frame(PING, b"there?")
        closing.send_close(1000)
        joining.send(joining.request() + frame(TEXT, b"joined"))
    assert until(pinging, lambda got: got.opcode == PONG) <= BEFORE
    assert until(closing, lambda got: got.opcode == CLOSE) <= BEFORE
    joining.recv_accept()
    assert until(observer, lambda got: got.opcode == TEXT) <= BEFORE
    assert until(joining, lambda got: got.opcode == TEXT) <= BEFORE
    end(floods, observer, pinging, joining)


def server_connect(server: programs.Server) -> rawws.Client:
    """A connection on which nothing was asked yet."""
    return server.connect() if isinstance(server, TlsServer) else rawws.Client(server.port)


MANY = 300


def test_what_a_turn_reads_is_bounded_however_many_talk(wsbroadcastd):
    """The more have much to say, the less is read from each at once."""
    server = wsbroadcastd("--max-lag", "0", "--prefix", "")
    observer = server.client()
    fast = [server.client() for _ in range(MANY)]
    last = server.client()
    message = frame(BINARY, bytes(1000))
    with Stopped(server):
        for client in fast:
            client.sock.setblocking(False)
            assert client.sock.send(message * 100) > 64 << 10
        last.send_text("me too")
    assert until(observer, lambda got: got.opcode == TEXT) <= 6 * A_TURN  # 300 at 64 KiB: 19 MiB
    for client in (*fast, observer, last):
        client.reset()


class Reader:
    """Reads as fast as it can, in a thread, and keeps count."""

    def __init__(self, client: rawws.Client, expected: int) -> None:
        self.client = client
        self.count = 0
        self._expected = expected
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        room = bytearray(1 << 20)
        try:
            while self.count < self._expected and (n := self.client.sock.recv_into(room)):
                self.count += n
        except OSError:
            pass

    def wait(self) -> None:
        self._thread.join(60)
        assert not self._thread.is_alive()


@pytest.mark.parametrize("listeners,size", [(20, 64), (200, 1000)])
def test_a_publisher_at_full_speed_does_not_outrun_those_who_read(wsbroadcastd, listeners, size):
    """What it says waits in its own socket until all who can have taken what came before: nothing
    piles up, and nobody is too slow."""
    server = wsbroadcastd("--prefix", "")
    publisher, count = server.client(), (50 << 20) // size
    clients = [publisher, *(server.client() for _ in range(listeners))]
    server.reset_peak()
    before = server.rss_anon()
    expected = count * len(frame(BINARY, bytes(size), masked=False))
    readers = [Reader(client, expected) for client in clients]
    Flood(publisher, 1, size, count * len(frame(BINARY, bytes(size)))).wait()
    for reader in readers:
        reader.wait()
    grown = server.peak_rss() - before
    print(f"{grown >> 10} KiB")
    assert [reader.count for reader in readers] == [expected] * len(readers)
    if not programs.SANITIZED:
        assert grown < 16 << 20
