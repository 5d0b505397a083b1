"""What wsrecv sends of its standard input."""

from __future__ import annotations

import os
import subprocess
import threading

import pytest
import rawws
from rawws import BINARY, CLOSE, TEXT, ScriptedServer, ServerPeer


def collect(heard: list, *, reply: str | None = None):
    """A script: keeps what comes until the client closes, answers each, and the Close."""

    def script(peer: ServerPeer) -> None:
        peer.accept()
        while (frame := peer.recv_frame()).opcode != CLOSE:
            heard.append((frame.opcode, frame.payload))
            if reply is not None:
                peer.send_text(reply)
        assert frame.close_code == 1000
        peer.send_close(1000)

    return script


def fed(wsrecv, data: bytes, *options: str, status: int = 0, reply: str | None = None) -> list:
    """What the server hears when data is all that stdin has."""
    heard: list[tuple[int, bytes]] = []
    read, write = os.pipe()
    feeder = threading.Thread(target=lambda: (os.write(write, data), os.close(write)))
    with ScriptedServer(collect(heard, reply=reply)) as server:
        sender = wsrecv("-q", *options, "--input-eof", "close", server.url, stdin=read)
        os.close(read)
        feeder.start()
        sender.wait(status)
        feeder.join()
    return heard


def test_input_eof_close_sends_all_then_closes_and_ends_with_0(wsrecv):
    lines = [b"line %d" % i for i in range(20000)]
    heard = fed(wsrecv, b"\n".join(lines), "-s")  # the last one without a newline
    assert heard == [(TEXT, line) for line in lines]


@pytest.mark.parametrize("option", [("-n", "1"), ("--until", "late")])
def test_the_last_message_is_printed_also_when_it_comes_after_our_close(wsrecv, option):
    """And the closing handshake is brought to its end."""

    def script(peer: ServerPeer) -> None:
        peer.accept()
        assert peer.recv_message() == "all"
        assert peer.recv_frame().opcode == CLOSE
        peer.send_text("late")
        peer.send_text("too late")
        peer.send_close(1000)

    read, write = os.pipe()
    os.write(write, b"all\n")
    os.close(write)
    with ScriptedServer(script) as server:
        sender = wsrecv("-q", "-r", "-s", "--input-eof", "close", *option, server.url, stdin=read)
        os.close(read)
        assert sender.read_rest() == "late\n"
        sender.wait(0)


def test_input_eof_close_of_an_empty_stdin_closes_at_once(wsrecv):
    assert fed(wsrecv, b"", "-s") == []
    assert fed(wsrecv, b"", "-s", "-m", "hello") == [(TEXT, b"hello")]


def test_input_eof_close_of_a_file(wsrecv, tmp_path):
    lines = [b"x" * (i % 3000) for i in range(3000)]
    path = tmp_path / "lines"
    path.write_bytes(b"\n".join(lines) + b"\n")
    heard: list[tuple[int, bytes]] = []
    with ScriptedServer(collect(heard)) as server, path.open("rb") as file:
        wsrecv("-q", "-s", "--input-eof", "close", server.url, stdin=file).wait(0)
    assert heard == [(TEXT, line) for line in lines]


def test_answers_that_come_before_the_servers_close_are_printed(wsrecv):
    """The Close is sent behind the last line; what the server says until its own is heard."""
    heard: list[tuple[int, bytes]] = []

    def script(peer: ServerPeer) -> None:
        peer.accept()
        while (frame := peer.recv_frame()).opcode != CLOSE:
            heard.append(frame.payload)
        for i in range(len(heard)):  # only now: wsrecv's Close has come
            peer.send_text(f"answer {i}")
        peer.send_close(1000)

    with ScriptedServer(script) as server:
        sender = wsrecv("-q", "-r", "-s", "--input-eof", "close", server.url, stdin=subprocess.PIPE)
        sender.process.stdin.write(b"one\ntwo\n")
        sender.process.stdin.close()
        assert sender.read_rest() == "answer 0\nanswer 1\n"
        sender.wait(0)
    assert heard == [b"one", b"two"]


def test_6_when_the_server_goes_without_answering_the_close(wsrecv):
    """Whether it took what was sent, nobody knows: that is no 0."""

    def script(peer: ServerPeer) -> None:
        peer.accept()
        while peer.recv_frame().opcode != CLOSE:
            pass

    with ScriptedServer(script) as server:
        sender = wsrecv("-q", "-s", "--input-eof", "close", server.url, stdin=subprocess.PIPE)
        sender.process.stdin.write(b"one\n")
        sender.process.stdin.close()
        sender.wait(6)


@pytest.mark.parametrize("option", [[], ["--input-eof", "keep"]], ids=["default", "keep"])
def test_without_close_the_end_of_stdin_ends_nothing(server, wsrecv, option):
    sender = wsrecv("-q", "-r", "-s", *option, server.url, stdin=subprocess.PIPE)
    sender.process.stdin.write(b"one\n")
    sender.process.stdin.close()
    assert sender.read_line() == "Message: one"
    with server.client() as client:
        client.send_text("still there?")
        assert sender.read_line() == "Message: still there?"
    sender.stop()


def test_null_delimits_what_is_sent(wsrecv):
    assert fed(wsrecv, b"one\ntwo\0\0three\0", "-s", "-0") == [
        (TEXT, b"one\ntwo"), (TEXT, b""), (TEXT, b"three"),
    ]  # fmt: skip


def test_send_binary_sends_any_bytes(wsrecv):
    assert fed(wsrecv, b"\xff\x00\nx\n", "--send-binary") == [(BINARY, b"\xff\x00"), (BINARY, b"x")]
    assert fed(wsrecv, b"\xff\n\0x", "--send-binary", "-0") == [(BINARY, b"\xff\n"), (BINARY, b"x")]


def test_a_shell_loop_publishes_and_all_is_delivered(server, wsrecv, bash):
    """As a user sees it."""
    listener = wsrecv("-q", "-r", "-n", "100", server.url)
    with server.client() as client:
        for _ in rawws.turns():  # until the listener is there
            client.send_text("x")
            if listener._fill_stdout(0.05) if _readable(listener) else False:
                break
        publisher = bash(
            'for i in $(seq 100); do echo "tick $i"; done | "$WSRECV" -q -s --input-eof close "$1"'
            " >/dev/null",
            server.url,
        )
        publisher.wait(0)
        heard = []
        for _ in rawws.turns():
            message = client.recv_message()
            if message.startswith("Message: tick"):
                heard.append(message)
            if len(heard) == 100:
                break
    assert heard == [f"Message: tick {i}" for i in range(1, 101)]
    listener.wait(0)


def _readable(program) -> bool:
    import select

    poll = select.poll()
    poll.register(program.process.stdout.fileno(), select.POLLIN)
    return bool(poll.poll(50))


def test_lines_that_wait_for_a_slow_server_all_come_in_order(wsrecv):
    """Pauses in the middle of what was read at once lose nothing and mix nothing up."""
    lines = [b"%07d" % i + b"x" * (i % 50) for i in range(100_000)]
    begun = threading.Event()
    heard: list[bytes] = []

    def script(peer: ServerPeer) -> None:
        peer.accept()
        assert begun.wait(rawws.TIMEOUT)
        while (frame := peer.recv_frame()).opcode != CLOSE:
            heard.append(frame.payload)
        peer.send_close(1000)

    with ScriptedServer(script) as server:
        sender = wsrecv("-q", "-s", "--input-eof", "close", server.url, stdin=subprocess.PIPE)

        def feed() -> None:
            sender.process.stdin.write(b"\n".join(lines) + b"\n")
            sender.process.stdin.close()

        feeder = threading.Thread(target=feed)
        feeder.start()
        feeder.join(0.5)  # stdin stalls, or is all taken: either way it goes on below
        begun.set()
        sender.wait(0, 60)
        feeder.join()
    assert heard == lines


def test_a_line_beyond_16_mib_is_reported_and_the_next_one_sent(wsrecv):
    heard: list[tuple[int, bytes]] = []
    with ScriptedServer(collect(heard)) as server:
        sender = wsrecv("-q", "-s", "--input-eof", "close", server.url, stdin=subprocess.PIPE)
        for _ in range(17):
            sender.process.stdin.write(b"x" * (1 << 20))
        sender.process.stdin.write(b"\nnext\n")
        sender.process.stdin.close()
        sender.wait(1)
    assert heard == [(TEXT, b"next")]
    reported, counted = sender.stderr.splitlines()
    assert "line 1 " in reported
    assert counted == "wsrecv: 1 line of standard input was not sent"


def test_1_and_how_many_when_lines_that_are_no_text_were_not_sent(wsrecv):
    """So that `&& echo 'all is with the server'` is true."""
    heard: list[tuple[int, bytes]] = []
    with ScriptedServer(collect(heard)) as server:
        sender = wsrecv("-q", "-s", "--input-eof", "close", server.url, stdin=subprocess.PIPE)
        sender.process.stdin.write(b"\xff\none\n\xc3(\n")
        sender.process.stdin.close()
        sender.wait(1)
    assert heard == [(TEXT, b"one")]
    assert sender.stderr.splitlines() == [
        "wsrecv: line 1 of standard input is not UTF-8: not sent",
        "wsrecv: line 3 of standard input is not UTF-8: not sent",
        "wsrecv: 2 lines of standard input were not sent",
    ]


def test_what_the_user_mistypes_is_told_and_no_failure_of_the_whole(wsrecv):
    """Where stdin's end ends nothing, there is no promise that all of it is with the server."""

    def script(peer: ServerPeer) -> None:
        peer.accept()
        assert peer.recv_message() == "one"
        peer.close()

    with ScriptedServer(script) as server:
        sender = wsrecv("-q", "-s", server.url, stdin=subprocess.PIPE)
        sender.process.stdin.write(b"\xff\none\n")
        sender.process.stdin.flush()
        sender.wait(0)


@pytest.mark.parametrize("eof", ["close", "keep"])
@pytest.mark.parametrize("kind", ["directory", "closed"])
def test_1_when_stdin_cannot_be_read(wsrecv, tmp_path, kind, eof):
    told = threading.Event()

    def script(peer: ServerPeer) -> None:
        peer.accept()
        assert peer.recv_message() == "ready"
        if eof == "keep":
            assert told.wait(rawws.TIMEOUT)
            peer.send_text("x")
        peer.await_close()

    how = {"preexec_fn": lambda: os.close(0)}
    if kind == "directory":
        how = {"stdin": os.open(tmp_path, os.O_RDONLY)}
    more = ["--input-eof", "close"] if eof == "close" else ["-n", "1"]
    with ScriptedServer(script) as server:
        sender = wsrecv("-q", "-s", "-m", "ready", *more, server.url, **how)
        sender.wait_stderr("cannot read standard input: ")
        told.set()
        sender.wait(1)
    assert sender.stderr.count("\n") == 1
