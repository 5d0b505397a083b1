"""Seeing what goes on: -v, --stats and SIGUSR1, the status line; and who must not see what."""

from __future__ import annotations

import contextlib
import os
import pty
import re
import signal
import subprocess
import threading

import programs
import pytest
import rawws
from rawws import CLOSE, PING, PONG, ScriptedServer, ServerPeer

SECRET = "s3cr3t-0f-0urs"
STATS = (
    r"wsrecv: (\d+) messages? \([\d.]+/s\), (\d+) bytes? \(\d+/s\) in [\d.]+ s, "
    r"compression ([\d.]+), pings (none|p50 [\d.]+ ms p99 [\d.]+ ms of (\d+)), (\d+) reconnects?, 0 gaps"
)


def say(*texts: str):
    def script(peer: ServerPeer) -> None:
        peer.accept()
        for text in texts:
            peer.send_text(text)
        peer.close()

    return script


def test_v_shows_both_handshakes_and_frames_with_their_sizes(wsrecv):
    def script(peer: ServerPeer) -> None:
        peer.accept(set_cookie=SECRET)
        peer.send_text("payload of ours")
        peer.send_frame(PING, b"1234")
        assert peer.recv_frame().opcode == PONG
        assert peer.recv_message() == "hello"
        peer.close()

    with ScriptedServer(script) as server:
        listener = wsrecv("-v", "-r", "-m", "hello", "-u", f"me:{SECRET}", "-H", f"X-Key: {SECRET}",
                          "-H", f"Cookie: {SECRET}", server.url).wait(0)  # fmt: skip
    assert listener.read_rest() == "payload of ours\n"
    said = listener.stderr
    for line in ("> GET /ws HTTP/1.1", "> X-Key: ...", "> Authorization: ...", "> Cookie: ...",
                 "< HTTP/1.1 101 Switching Protocols", "< Set-Cookie: ...", "< text, 15 bytes",
                 "< ping, 4 bytes", "> pong, 4 bytes", "> text, 5 bytes", "< close, 2 bytes",
                 "> close, 2 bytes"):  # fmt: skip
        assert f"wsrecv: {line}\n".lower() in said.lower(), line
    assert SECRET not in said and "payload" not in said and "hello" not in said
    assert "bWU6" not in said  # "me:" in base64


def test_v_shows_a_response_that_was_cut_short_not_again_with_the_next(wsrecv):
    def script(peer: ServerPeer) -> None:
        peer.recv_head()
        peer.send(b"HTTP/1.1 101 Half\r\nX-Half: 1\r\n")

    with ScriptedServer([script, say()]) as server:
        listener = wsrecv("-v", "--reconnect", server.url).wait(0)
    assert "< HTTP/1.1 101 Switching Protocols\n" in listener.stderr
    assert "Half" not in listener.stderr


@pytest.mark.parametrize(("why", "status"), [(b"it rains", 5), (b"\x07ring", 7)], ids=repr)
def test_v_shows_what_is_refused_and_does_nothing_to_the_terminal(wsrecv, why, status):
    def script(peer: ServerPeer) -> None:
        peer.recv_head()
        with contextlib.suppress(ConnectionError):  # it may have seen enough before the end
            peer.send_byte_by_byte(b"HTTP/1.1 403 No\r\nX-Why: " + why + b"\r\n\r\n")

    with ScriptedServer(script) as server:
        said = wsrecv("-v", server.url).wait(status).stderr
    assert "wsrecv: < HTTP/1.1 403 No\n" in said
    assert "wsrecv: < X-Why: " in said
    assert "\x07" not in said


def test_stats_count_what_came(wsrecv):
    pings = ["--ping-interval", "0.3"]

    def script(peer: ServerPeer) -> None:
        peer.accept()
        for text in ("one", "two", "three"):
            peer.send_text(text)
        frame = peer.recv_frame()
        assert frame.opcode == PING
        peer.send_frame(PONG, frame.payload)
        peer.send_frame(PONG, b"that nobody asked for")

    with ScriptedServer([script, say("four")]) as server:
        retry = ["--reconnect", "--retry-max-delay", "0.1"]
        listener = wsrecv("--stats", *retry, *pings, server.url).wait(0)
    found = re.fullmatch(STATS, listener.stderr.splitlines()[-1])
    assert found, listener.stderr
    assert found[1] == "4" and found[2] == "15" and found[5] == "1" and found[6] == "1"


def test_stats_tell_how_well_messages_are_compressed(wsbroadcastd, wsrecv):
    server = wsbroadcastd("--prefix", "")
    listener = wsrecv("--stats", "-n", "1", "-m", "x" * 10000, server.url).wait(0)
    found = re.search(STATS, listener.stderr)
    assert found and float(found[3]) > 100


def test_sigusr1_asks_for_them_at_any_time(wsrecv):
    over = threading.Event()

    def script(peer: ServerPeer) -> None:
        peer.accept()
        peer.send_text("one")
        assert over.wait(rawws.TIMEOUT)
        peer.close()

    with ScriptedServer(script) as server:
        listener = wsrecv("-q", "-r", server.url)
        assert listener.read_line() == "one"
        for count in (1, 2):
            listener.process.send_signal(signal.SIGUSR1)
            assert [found[1] for found in listener.wait_stderr(STATS, count)] == ["1"] * count
        over.set()
        listener.wait(0)


class OnTerminal:
    """wsrecv with a terminal for stderr, and for stdout if wanted."""

    def __init__(self, *args: str, stdout: bool = False, term: str | None = "xterm") -> None:
        env = {name: value for name, value in os.environ.items() if name != "TERM"}
        env |= {} if term is None else {"TERM": term}
        self.master, slave = pty.openpty()
        self.process = subprocess.Popen(
            [programs.WSRECV, *args],
            stdin=subprocess.DEVNULL,
            stdout=slave if stdout else subprocess.PIPE,
            stderr=slave,
            env=env,
        )
        os.close(slave)
        self.seen = b""

    def fill(self) -> bool:
        try:
            data = os.read(self.master, 4096)
        except OSError:  # all its writers are gone
            return False
        self.seen += data
        return True

    def wait_seen(self, what: bytes) -> None:
        for _ in rawws.turns():
            if what in self.seen:
                return
            assert self.fill(), self.seen

    def screen(self) -> list[str]:
        """What is left to be seen when it has ended."""
        while self.fill():
            pass
        os.close(self.master)
        lines = self.seen.decode().split("\n")
        return [line.split("\r\x1b[K")[-1].rstrip("\r") for line in lines]


@pytest.mark.parametrize("stdout", [False, True], ids=["pipe", "terminal"])
def test_the_status_line_tells_the_state_and_is_gone_at_the_end(stdout):
    over = threading.Event()

    def script(peer: ServerPeer) -> None:
        peer.accept()
        peer.send_text("one")
        assert over.wait(rawws.TIMEOUT)
        peer.send_text("two")
        peer.close()

    with ScriptedServer(script) as server:
        listener = OnTerminal("-r", server.url, stdout=stdout)
        listener.wait_seen(f"connected to {server.url}: 1 message, ".encode())
        over.set()
        screen = listener.screen()
        assert listener.process.wait(rawws.TIMEOUT) == 0
    printed = ["one", "two"] if stdout else []
    assert screen == [f"Connected to {server.url}", *printed, ""]
    if listener.process.stdout:
        assert listener.process.stdout.read() == b"one\ntwo\n"
        listener.process.stdout.close()


@pytest.mark.parametrize("option", ["-q", "-v", "-0"])
def test_no_status_line_where_it_would_be_in_the_way(option):
    def script(peer: ServerPeer) -> None:
        peer.accept()
        assert peer.recv_frame().opcode == PING  # after more than a tick of the status line
        peer.close()

    with ScriptedServer(script) as server:
        listener = OnTerminal(option, "--ping-interval", "0.8", server.url, stdout=True)
        while listener.fill():
            pass
        os.close(listener.master)
        assert listener.process.wait(rawws.TIMEOUT) == 0
    assert b"\x1b[K" not in listener.seen and b"messages" not in listener.seen


@pytest.mark.parametrize("term", ["dumb", "", None], ids=repr)
def test_no_status_line_on_a_terminal_that_cannot_take_it_back(term):
    def script(peer: ServerPeer) -> None:
        peer.accept()
        assert peer.recv_frame().opcode == PING  # after more than a tick of the status line
        peer.close()

    with ScriptedServer(script) as server:
        listener = OnTerminal("--ping-interval", "0.8", server.url, term=term)
        assert listener.screen() == [f"Connected to {server.url}", ""]
        assert listener.process.wait(rawws.TIMEOUT) == 0
    assert b"\x1b" not in listener.seen


@pytest.mark.parametrize("how", ["signal", "count", "server"])
def test_the_status_line_says_connected_no_more_once_a_close_was_sent(how):
    """Up to two seconds may pass before the other side answers, or ends the connection."""
    over = threading.Event()

    def script(peer: ServerPeer) -> None:
        peer.accept()
        peer.send_text("one")
        if how != "signal":
            assert peer.recv_frame().opcode == PING  # the status line has been drawn
        if how == "server":
            peer.send_close(1000)
        elif how == "count":
            peer.send_text("two")
        assert peer.recv_frame().opcode == CLOSE
        assert over.wait(rawws.TIMEOUT)

    with ScriptedServer(script) as server:
        listener = OnTerminal("-n", "2", "--ping-interval", "1.2", server.url)
        listener.wait_seen(f"connected to {server.url}: 1 message, ".encode())
        if how == "signal":
            listener.process.terminate()
        listener.wait_seen(b"closed: " if how == "server" else b"closing: ")
        said = listener.seen.rpartition(b"connected to")[2]
        assert b"clos" in said
        over.set()
        listener.screen()
        listener.process.wait(rawws.TIMEOUT)


def test_whoever_reads_no_more_leaves_a_clean_terminal():
    """wsrecv dies of SIGPIPE, with its numbers told and its status line gone."""
    over = threading.Event()

    def script(peer: ServerPeer) -> None:
        peer.accept()
        peer.send_text("one")
        assert over.wait(rawws.TIMEOUT)

    with ScriptedServer(script) as server:
        listener = OnTerminal("-r", "--stats", server.url)
        listener.wait_seen(b": 1 message, ")
        listener.process.stdout.close()
        screen = listener.screen()
        assert listener.process.wait(rawws.TIMEOUT) == -signal.SIGPIPE
        over.set()
    assert screen[0] == f"Connected to {server.url}" and screen[-1] == ""
    assert len(screen) == 3 and re.fullmatch(STATS, screen[1])
