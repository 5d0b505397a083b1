"""Memory runs out, at every allocation that a connection's life makes: the connection at hand is
dropped, the others go on, and afterwards all is as before.

A preloaded library (failing_malloc.c) lets the allocations fail. libuv 1.44 aborts by itself when
the table of its file descriptors cannot grow: there are more of them from the start than the tests
need.
"""

from __future__ import annotations

import mmap
import os
import struct
import threading
from collections.abc import Iterator
from pathlib import Path

import programs
import pytest
import rawws
from rawws import CONTINUATION, PING, TEXT, close_body, frame
from test_tls import TlsServer, authority  # noqa: F401: a fixture

LIBRARY = os.environ.get("FAILING_MALLOC_LIBRARY") or str(
    programs.BUILD / "tests" / "libfailing_malloc.so"
)
NEVER = 1 << 62
DESCRIPTORS = 200
OPTIONS = ["--prefix", "", "--ping-interval", "0"]


class Allocator:
    """What failing_malloc.c shares with the test."""

    def __init__(self, path: Path) -> None:
        path.write_bytes(bytes(mmap.PAGESIZE))
        with path.open("r+b") as file:
            self._map = mmap.mmap(file.fileno(), mmap.PAGESIZE)
        self.heal()

    @property
    def calls(self) -> int:
        return struct.unpack_from("=Q", self._map)[0]

    def fail(self, after: int, count: int) -> None:
        """So many calls from now succeed, then so many fail."""
        first = self.calls + after
        struct.pack_into("=QQ", self._map, 8, first, first + count)

    def heal(self) -> None:
        struct.pack_into("=QQ", self._map, 8, NEVER, NEVER)


@pytest.fixture(params=["plain", "tls"])
def rig(request, start, authority, tmp_path, monkeypatch) -> Iterator[tuple]:  # noqa: F811
    """A server whose allocations fail on demand."""
    allocator = Allocator(tmp_path / "plan")
    monkeypatch.setenv("FAILING_MALLOC", str(tmp_path / "plan"))
    monkeypatch.setenv("LD_PRELOAD", LIBRARY)
    if programs.SANITIZED:
        options = os.environ.get("ASAN_OPTIONS", "")
        monkeypatch.setenv("ASAN_OPTIONS", f"verify_asan_link_order=0:{options}")
    if request.param == "tls":
        server = start(TlsServer, authority, *OPTIONS)
    else:
        server = start(programs.Server, *OPTIONS)
    monkeypatch.delenv("LD_PRELOAD")
    idle = server.descriptors()
    grown = [rawws.Client(server.port) for _ in range(DESCRIPTORS)]
    programs.wait_until("all are there", lambda: server.descriptors() > DESCRIPTORS)
    for client in grown:
        client.disconnect()
    programs.wait_until("all are gone", lambda: server.descriptors() <= idle + 5)
    yield server, allocator
    allocator.heal()


class Life:
    """A whole life at once, which ends in one way or another: what it sent, and how it ended."""

    def __init__(self, server: programs.Server, number: int, deflate: bool) -> None:
        self.said = [f"{number} small", f"{number} large {'x' * 70_000}", f"{number} in pieces"]
        self._server = server
        self._deflate = deflate
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _frames(self) -> bytes:
        small, large, pieces = (text.encode() for text in self.said)
        if self._deflate:
            small, rsv = rawws.Deflater(takeover=False).deflate(small), 4
        else:
            rsv = 0
        return (
            frame(TEXT, small, rsv=rsv)
            + frame(PING, b"1")
            + frame(TEXT, large)
            + frame(TEXT, pieces[:3], fin=False)
            + frame(PING, b"2" * 125)
            + frame(CONTINUATION, pieces[3:])
            + frame(8, close_body(1000))
        )

    def _run(self) -> None:
        self.ended = False
        extensions = {"Sec_WebSocket_Extensions": "permessage-deflate"} if self._deflate else {}
        try:
            if isinstance(self._server, TlsServer):
                client = self._server.connect()
            else:
                client = rawws.Client(self._server.port)
            with client:
                client.send(client.request(**extensions))
                client.send(self._frames())
                while client.sock.recv(1 << 18):
                    pass
                self.ended = True
        except TimeoutError:
            pass
        except OSError:
            self.ended = True

    def wait(self) -> None:
        self._thread.join(2 * rawws.TIMEOUT)
        assert self.ended, "it hangs"


def live(server: programs.Server, number: int) -> list[str]:
    """Two lives, one with compression. Returns what they wanted to say."""
    lives = [Life(server, 2 * number, False), Life(server, 2 * number + 1, True)]
    for life in lives:
        life.wait()
    return [text for life in lives for text in life.said]


class Witness:
    """Who was there before and only listens."""

    def __init__(self, server: programs.Server) -> None:
        self._server = server
        self._client = server.client()

    def check(self, number: int, said: list[str]) -> None:
        """It has missed nothing and is there, and who comes now is served.

        With TLS it takes memory to send it anything: its own connection may be the one at hand.
        """
        heard = []
        with self._server.client() as fresh:
            fresh.send_text(f"after {number}")
            assert fresh.recv_message() == f"after {number}"
            try:
                while (message := self._client.recv_message()) != f"after {number}":
                    heard.append(message)
            except (rawws.ConnectionLost, OSError) as error:
                if isinstance(error, TimeoutError) or not isinstance(self._server, TlsServer):
                    raise
                self._client.disconnect()
                self._client = self._server.client()
            fresh.close()
        assert [text for text in said if text in heard] == sorted(heard, key=said.index)
        assert len(set(heard)) == len(heard)

    def close(self) -> None:
        self._client.close()


@pytest.mark.parametrize("count", [1, 3])
def test_whichever_allocation_fails_only_the_connection_at_hand_is_lost(rig, count):
    server, allocator = rig
    descriptors = server.descriptors()  # a handful may come with the first connections
    witness = Witness(server)
    witness.check(0, live(server, 0))
    before = allocator.calls
    said = live(server, 1)
    calls = allocator.calls - before
    witness.check(1, said)
    step = 1 + calls // 150  # a TLS handshake makes many
    for number in range(2, 2 + calls // step + 5):
        allocator.fail((number - 2) * step, count)
        said = live(server, number)
        allocator.heal()
        witness.check(number, said)
    witness.close()
    programs.wait_until("nothing is left", lambda: server.descriptors() <= descriptors + 5)


def test_without_any_memory_at_all_the_server_lives_on(rig):
    """Not even accepting a connection takes memory that is not there."""
    server, allocator = rig
    witness = Witness(server)
    for number in range(20):
        allocator.fail(number, NEVER)
        said = live(server, number)
        allocator.heal()
        witness.check(number, said)
    witness.close()
