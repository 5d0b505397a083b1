"""wsbroadcastd and wsrecv together, as people and shell scripts use them."""

from __future__ import annotations

import os
import select
import signal
import socket
import subprocess
import threading

import programs
import pytest
import rawws

LISTENERS, PUBLISHERS, MESSAGES = 50, 4, 10_000


def test_fifty_listeners_hear_ten_thousand_messages_in_one_order(server, wsrecv, tmp_path):
    outputs = [(tmp_path / str(i)).open("w+") for i in range(LISTENERS)]
    listeners = [
        wsrecv(server.url, "-r", "-n", str(MESSAGES), stdout=output) for output in outputs
    ]
    for listener in listeners:
        listener.wait_stderr("^Connected to ")

    share = MESSAGES // PUBLISHERS
    said = [[f"{who} {i}" for i in range(share)] for who in range(PUBLISHERS)]
    publishers = []
    for who in range(PUBLISHERS):
        lines = tmp_path / f"publisher {who}"
        lines.write_text("".join(f"{text}\n" for text in said[who]))
        with lines.open() as stdin, (tmp_path / f"heard by {who}").open("w") as stdout:
            publishers.append(wsrecv(server.url, "-r", "-s", stdin=stdin, stdout=stdout))
    for listener in listeners:
        listener.wait(0, timeout=3 * rawws.TIMEOUT)
    for publisher in publishers:
        publisher.stop()

    first, *others = [(tmp_path / str(i)).read_text() for i in range(LISTENERS)]
    assert all(other == first for other in others), "not the same order for everyone"
    heard = first.splitlines()
    assert len(heard) == MESSAGES
    for who in range(PUBLISHERS):  # none lost, none twice, each publisher's in its own order
        mine = [line for line in heard if line.startswith(f"Message: {who} ")]
        assert mine == [f"Message: {text}" for text in said[who]]
        # a publisher joined later than the listeners: it heard what came from then on
        assert first.endswith((tmp_path / f"heard by {who}").read_text())
    for output in outputs:
        output.close()


def test_four_times_hi(server, wsrecv):
    """Three listeners, and one that says hi and hears it too."""
    listeners = [wsrecv(server.url, "-n", "1") for _ in range(3)]
    for listener in listeners:
        listener.wait_stderr("^Connected to ")
    listeners.append(wsrecv(server.url, "-m", "hi", "-n", "1"))
    for listener in listeners:
        assert listener.wait(0).read_rest() == "Received: Message: hi\n"


def test_the_pair_meets_without_any_option(start):
    """The defaults of the two fit together. Port 8000 may be taken on this machine."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", 8000))
        except OSError:
            pytest.skip("port 8000 is taken")
    server = start(programs.Program, [programs.WSBROADCASTD])
    server.wait_stderr("listening on ws://127.0.0.1:8000/ws")
    listener = start(programs.Program, [programs.WSRECV])
    listener.wait_stderr("^Connected to ws://localhost:8000/ws$")
    with rawws.Client(8000).upgrade() as publisher:
        publisher.send_text("hello")
        assert listener.read_line() == "Received: Message: hello"
    listener.stop()


def test_the_server_going_away_ends_the_listener_with_0(server, wsrecv):
    listener = wsrecv(server.url)
    listener.wait_stderr("^Connected to ")
    server.stop()
    listener.wait(0)


# In pipelines


def test_while_read_sees_each_line_as_it_comes(server, bash):
    pipeline = bash(
        '"$WSRECV" -n 3 "$1" | while read -r line; do echo "<$line>"; done', server.url
    )
    pipeline.wait_stderr("^Connected to ")
    with server.client() as publisher:
        for text in ("one", "two", "three"):  # the next is not said before this one is seen
            publisher.send_text(text)
            assert pipeline.read_line() == f"<Received: Message: {text}>"
    pipeline.wait(0)


def test_head_ends_at_the_first_message(server, bash):
    """Nothing more is ever said, and yet the whole pipeline ends: wsrecv sees head go."""
    pipeline = bash('"$WSRECV" "$1" | head -1; echo "${PIPESTATUS[@]}"', server.url)
    pipeline.wait_stderr("^Connected to ")
    with server.client() as publisher:
        publisher.send_text("one")
        assert pipeline.wait(0).read_rest() == f"Received: Message: one\n{128 + signal.SIGPIPE} 0\n"


def test_a_reader_that_has_gone_is_a_sigpipe(server, wsrecv):
    """Also where the next message comes before wsrecv could see the reader go."""
    listener = wsrecv(server.url, "-q", "-m", "one")
    listener.read_line()
    listener.process.stdout.close()
    listener.process.stdout = None
    with server.client() as publisher:
        publisher.send_text("two")
        listener.wait(-signal.SIGPIPE)


# Its stdin


def test_stdin_is_not_touched_without_s(server, wsrecv, tmp_path):
    """So that `while read -r x; do wsrecv …; done < list` keeps its list."""
    read_end, write_end = os.pipe()
    os.write(write_end, b"not yours\n")
    os.close(write_end)
    for _ in range(2):
        wsrecv(server.url, "-m", "x", "-n", "1", stdin=read_end).wait(0)
    assert os.read(read_end, 100) == b"not yours\n"
    os.close(read_end)

    (tmp_path / "list").write_text("not yours\n")
    with (tmp_path / "list").open("rb", buffering=0) as stdin:
        wsrecv(server.url, "-m", "x", "-n", "1", stdin=stdin).wait(0)
        assert stdin.tell() == 0


def test_a_closed_stdin_does_no_harm(server, bash):
    listener = bash('"$WSRECV" -m x -n 1 "$1" <&-', server.url)
    assert listener.wait(0).read_rest() == "Received: Message: x\n"


def test_s_sends_each_line_as_it_comes_and_stays_after_the_last(server, wsrecv):
    publisher = wsrecv(server.url, "-s", stdin=subprocess.PIPE)
    stdin = publisher.process.stdin
    for line, text in (("one", "one"), ("", ""), (" grüße 🌍 ", " grüße 🌍 ")):
        stdin.write(f"{line}\n".encode())
        stdin.flush()
        assert publisher.read_line() == f"Received: Message: {text}"
    stdin.write(b"split ")
    stdin.flush()
    with server.client() as other:  # an unfinished line waits for its end
        other.send_text("meanwhile")
        assert publisher.read_line() == "Received: Message: meanwhile"
        stdin.write(b"line\n" + b"x" * 200_000 + b"\nthe last, without newline")
        stdin.close()
        assert publisher.read_line() == "Received: Message: split line"
        assert publisher.read_line() == "Received: Message: " + "x" * 200_000
        assert publisher.read_line() == "Received: Message: the last, without newline"
        other.send_text("still there?")
        assert publisher.read_line() == "Received: Message: still there?"
    publisher.stop()


def test_messages_of_m_go_before_the_lines_of_s(server, bash):
    publisher = bash('printf "c\\nd\\n" | "$WSRECV" -q -r -s -m a -m b -n 4 "$1"', server.url)
    assert publisher.wait(0).read_rest() == "".join(f"Message: {text}\n" for text in "abcd")


# Back-pressure


def numbered(number: int) -> str:
    """A text of 1 KiB with a number in it."""
    return f"{number:>8}".ljust(1024, ".")


def flood(peer: rawws.Peer, limit: int) -> tuple[int, bytes]:
    """Send numbered texts until the socket has taken nothing for a second.

    Answers how many were begun, and the bytes of them that were not taken.
    """
    writable = select.poll()
    writable.register(peer.sock, select.POLLOUT)
    for sent in range(64, limit, 64):
        texts = [numbered(i).encode() for i in range(sent - 64, sent)]
        wire = b"".join(rawws.frame(rawws.TEXT, text, masked=False) for text in texts)
        while wire:
            if not writable.poll(1000):
                return sent, wire
            wire = wire[peer.sock.send(wire, socket.MSG_DONTWAIT) :]
    raise AssertionError(f"{limit} messages were taken though nobody reads stdout")


def test_a_stalled_stdout_stalls_the_socket_and_loses_nothing(wsrecv):
    """Reading never outruns stdout: memory stays bounded, and all comes in the end."""
    sent = 0
    stalled = threading.Event()

    def script(peer: rawws.ServerPeer) -> None:
        nonlocal sent
        peer.accept()
        try:
            sent, rest = flood(peer, limit=128 * 1024)
        finally:
            stalled.set()
        peer.send(rest)
        peer.send_text(numbered(sent))
        peer.close(1000)

    with rawws.ScriptedServer(script) as server:
        listener = wsrecv("-q", "-r", server.url)
        assert stalled.wait(60)
        if not programs.SANITIZED:
            assert listener.rss_anon() < 4 << 20
        heard = listener.read_rest().splitlines()
        listener.wait(0)
    assert heard == [numbered(i) for i in range(sent + 1)]


def test_a_server_that_does_not_read_stalls_stdin(wsrecv):
    """The same in the other direction: -s does not pile up what cannot be sent."""
    done = threading.Event()

    def script(peer: rawws.ServerPeer) -> None:
        peer.accept()
        assert done.wait(60)
        peer.reset()

    with rawws.ScriptedServer(script) as server:
        publisher = wsrecv("-q", "-s", server.url, stdin=subprocess.PIPE)
        stdin = publisher.process.stdin.fileno()
        os.set_blocking(stdin, False)
        writable = select.poll()
        writable.register(stdin, select.POLLOUT)
        lines = (b"x" * 1023 + b"\n") * 64
        taken = 0
        while writable.poll(1000) and taken < 128 << 20:
            taken += os.write(stdin, lines)
        assert taken < 128 << 20, "stdin is read though the server takes nothing"
        if not programs.SANITIZED:
            assert publisher.rss_anon() < 4 << 20
        done.set()
        publisher.wait(6)
