"""What wsrecv prints: each output option, and the ends of what it prints to."""

from __future__ import annotations

import base64
import contextlib
import datetime
import fcntl
import json
import os
import pty
import re
import select
import shutil
import signal
import socket
import subprocess
import termios
import threading
import time
from pathlib import Path

import pytest
import rawws
from programs import WSBROADCASTD, WSRECV, Program
from rawws import ScriptedServer, ServerPeer, says

TEXTS = ["", "plain", 'quote " and \\', "two\nlines\r\n\ttab", "nul \0 within", "\x1b[31mred\x7f\x9b",
         "grüße 中 🌍", "line\u2028separator\u2029 \x85", "bidi \u202e\u2066 \u061c", "\ufffe\U0010ffff"]  # fmt: skip
BLOBS = [b"", b"\x00", b"\xff\xfe", bytes(range(256))]
EPOCH = "00112233445566aa"
ISO = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z"


def say_all(*messages: str | bytes):
    """A script: accept, say these, close."""

    def script(peer: ServerPeer) -> None:
        peer.accept()
        for message in messages:
            if isinstance(message, str):
                peer.send_text(message)
            else:
                peer.send_binary(message)
        peer.close()

    return script


def printed(wsrecv, messages: list[str | bytes], *options: str) -> bytes:
    """What wsrecv prints for the messages."""
    with ScriptedServer(say_all(*messages)) as server:
        listener = wsrecv("-q", *options, server.url)
        out = read_bytes(listener)
        listener.wait(0)
    assert listener.stderr == ""
    return out


def read_bytes(listener) -> bytes:
    while listener._fill_stdout(rawws.TIMEOUT):
        pass
    return bytes(listener._out)


@pytest.mark.parametrize("options", [("--json",), ("-F", "%u")])
def test_what_is_printed_with_a_message_has_no_password(wsrecv, options):
    with ScriptedServer(say_all("x")) as server:
        listener = wsrecv("-q", *options, server.url.replace("//", "//me:s3cr3t@"))
        out = listener.read_rest()
        listener.wait(0)
        assert "s3cr3t" not in out and server.url in out


def test_json_is_a_line_a_message_that_json_reads_back(wsrecv):
    before = datetime.datetime.now(datetime.timezone.utc)
    lines = printed(wsrecv, [*TEXTS, *BLOBS], "--json").decode().splitlines()
    after = datetime.datetime.now(datetime.timezone.utc)
    objects = [json.loads(line) for line in lines]
    assert [o["data"] for o in objects[: len(TEXTS)]] == TEXTS
    assert {o["type"] for o in objects[: len(TEXTS)]} == {"text"}
    assert [base64.b64decode(o["base64"], validate=True) for o in objects[len(TEXTS) :]] == BLOBS
    assert {o["type"] for o in objects[len(TEXTS) :]} == {"binary"}
    for o in objects:
        assert re.fullmatch(ISO, o["time"])
        assert before <= datetime.datetime.fromisoformat(o["time"].replace("Z", "+00:00")) <= after
        assert o["url"].startswith("ws://127.0.0.1:")
        assert "id" not in o  # the server gave none


def test_json_is_read_by_jq(wsbroadcastd, bash):
    """As a user sees it."""
    server = wsbroadcastd()
    listener = bash(
        '"$WSRECV" -q -n 2 --json -m "grüße \\"🌍\\"" -m "a\tb" "$1" | jq -r ".data, .url"', server.url
    )
    assert listener.read_rest().splitlines() == [
        'Message: grüße "🌍"', server.url, "Message: a\tb", server.url,
    ]  # fmt: skip
    listener.wait(0)


def test_null_ends_each_message_so_that_newlines_are_safe(wsrecv):
    assert printed(wsrecv, ["one", "two\nlines", ""], "-0") == b"one\0two\nlines\0\0"
    assert printed(wsrecv, ["a\nb"], "-r", "--null") == b"a\nb\0"
    assert printed(wsrecv, ["ab"], "--hex", "-0") == b"6162\0"


def test_null_output_is_read_by_xargs(server, bash):
    listener = bash('"$WSRECV" -q -0 -n 1 -m "$2" "$1" | xargs -0 printf "<%s>"', server.url, "a\nb c")
    assert listener.read_rest() == "<Message: a\nb c>"
    listener.wait(0)


def test_hex_and_base64_take_every_payload(wsrecv):
    messages: list[str | bytes] = ["grüße", b"\x00\xff", ""]
    payloads = ["grüße".encode(), b"\x00\xff", b""]
    assert printed(wsrecv, messages, "--hex").decode() == "".join(p.hex() + "\n" for p in payloads)
    assert printed(wsrecv, messages, "--base64").decode() == "".join(
        base64.b64encode(p).decode() + "\n" for p in payloads
    )


def test_binary_out_is_the_bytes_and_nothing_else(wsrecv):
    blob = bytes(range(256)) * 300
    assert printed(wsrecv, ["a\n", blob, "", "grüße"], "-b") == b"a\n" + blob + "grüße".encode()


def test_binary_out_is_refused_on_a_terminal(wsrecv):
    master, slave = os.openpty()
    listener = wsrecv("-b", "ws://127.0.0.1:1/", stdout=slave).wait(2)
    os.close(slave)
    os.close(master)
    assert "terminal" in listener.stderr


def test_format_has_every_escape(wsrecv):
    out = printed(wsrecv, ["grüße", b"\xff"], "-F", r"%n %t %l [%p] %x %X %b (%i) %%\t\\")
    assert out.decode().splitlines() == [
        "1 text 7 [grüße] 6772c3bcc39f65 6772C3BCC39F65 Z3LDvMOfZQ== () %\t\\",
        "2 binary 1 [base64:/w==] ff FF /w== () %\t\\",
    ]
    out = printed(wsrecv, ["x"], "--format", "%I %U %r %u").decode()
    assert re.fullmatch(rf"{ISO} \d+\.\d{{9}} \d+\.\d{{6}} ws://127.0.0.1:\d+/ws\n", out)


def test_a_format_may_end_as_it_likes(wsrecv):
    assert printed(wsrecv, ["a", "b"], "-F", r"%p,\c") == b"a,b,"
    assert printed(wsrecv, ["a", "b"], "-F", r"%p\0\c") == b"a\0b\0"
    assert printed(wsrecv, ["a", "b"], "-F", "%p", "-0") == b"a\0b\0"


@pytest.mark.parametrize(
    ("option", "stamp"),
    [
        ("--timestamps", ISO),
        ("--timestamps=iso", ISO),
        ("--timestamps=epoch", r"\d{10,}\.\d{6}"),
        ("--timestamps=rel", r"\d+\.\d{6}"),
        ("--timestamps=local", r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}[+-]\d\d:\d\d"),
    ],
)
def test_timestamps_stand_before_each_message(wsrecv, option, stamp):
    out = printed(wsrecv, ["one", "two"], option).decode()
    assert re.fullmatch(rf"{stamp} Received: one\n{stamp} Received: two\n", out)
    out = printed(wsrecv, ["one"], option, "-r", "-0").decode()
    assert re.fullmatch(rf"{stamp} one\0", out)


def test_timestamps_are_now(wsrecv):
    before = time.time()
    out = printed(wsrecv, ["x"], "--timestamps=epoch", "-r").decode()
    assert before - 1e-6 <= float(out.split()[0]) <= time.time()
    assert float(printed(wsrecv, ["x"], "--timestamps=rel", "-r").decode().split()[0]) < 60


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["-r", "--json"], ["--raw", "--json"]),
        (["--hex", "--base64"], ["--hex", "--base64"]),
        (["-F", "%p", "-b"], ["--format", "--binary-out"]),
        (["--json", "--timestamps"], ["--json", "--timestamps"]),
        (["-F", "%p", "--timestamps=rel"], ["--format", "--timestamps"]),
        (["-b", "--timestamps"], ["--timestamps", "--binary-out"]),
        (["-b", "-0"], ["--null", "--binary-out"]),
        (["-F", "%z"], ["--format", "'%z'"]),
        (["-F", "x\\y"], ["--format", "'\\y'"]),
        (["-F", "%"], ["--format", "'%'"]),
        (["--timestamps=utc"], ["--timestamps", "utc", "iso|epoch|rel"]),
        (["--input-eof", "close"], ["--input-eof", "--send"]),
        (["-s", "--input-eof", "x"], ["--input-eof", "close|keep"]),
        (["--until", "a("], ["--until", "a("]),
        (["--exec-jobs", "2"], ["--exec-jobs", "--exec"]),
        (["--exec-fail", "stop"], ["--exec-fail", "--exec"]),
        (["--exec-timeout", "1"], ["--exec-timeout", "--exec"]),
        (["--exec", "x", "--exec-jobs", "0"], ["--exec-jobs", "'0'"]),
        (["--exec", "x", "--echo"], ["--exec", "--echo"]),
    ],
    ids=lambda value: " ".join(value),
)
def test_2_and_why_when_options_do_not_go_together(wsrecv, arguments, named):
    program = wsrecv(*arguments, "ws://127.0.0.1:1/").wait(2)
    assert program.read_rest() == ""
    assert program.stderr.count("\n") == 1
    for name in named:
        assert name in program.stderr


def test_a_terminal_gets_nothing_that_acts_on_it_in_any_mode(wsrecv):
    text = "\x1b[2J\x07\r\x7f\x9b1m \u202eabc\u2066 \u2028"
    for options in ([], ["-r"], ["--json"], ["-F", "%p %i"], ["--timestamps"], ["--hex"], ["-0"]):
        with ScriptedServer(say_all(text, b"\x1b\x07")) as server:
            master, slave = os.openpty()
            listener = wsrecv("-q", *options, server.url, stdout=slave).wait(0)
            os.close(slave)
            shown = os.read(master, 4096).decode()
            os.close(master)
        assert listener.stderr == ""
        shown = re.sub(r"\x1b\[(3[4-6]|32|0)m", "", shown)  # our own colours
        assert "abc" in shown or "616263" in shown
        controls = re.findall("[\x01-\x09\x0b\x0c\x0e-\x1f\x7f-\x9f\u202e\u2066\u2028]", shown)
        assert not controls, (options, shown)


# As soon as it is complete, and together what came together


def writes_of(wsrecv, script) -> list[bytes]:
    """What wsrecv writes, call by call, to a socket of packets."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with ours, ScriptedServer(script) as server:
        ours.settimeout(rawws.TIMEOUT)
        listener = wsrecv("-q", "-r", server.url, stdout=theirs)
        theirs.close()
        packets = []
        while packet := ours.recv(1 << 20):
            packets.append(packet)
        listener.wait(0)
    return packets


def test_what_comes_together_goes_in_one_write(wsrecv):
    def script(peer: ServerPeer) -> None:
        peer.accept()
        peer.send(b"".join(peer.encode(rawws.TEXT, b"%d" % i) for i in range(500)))
        peer.close()

    packets = writes_of(wsrecv, script)
    assert b"".join(packets) == b"".join(b"%d\n" % i for i in range(500))
    assert len(packets) <= 2  # TCP may have cut it once


def test_a_message_alone_is_one_write_and_waits_for_nobody(server, wsrecv):
    """Each message is heard before the next is sent."""
    read, write = os.pipe()
    listener = wsrecv("-q", "-F", "%n\t%p", server.url, stdout=write)
    os.close(write)
    with server.client() as client:
        poll = select.poll()
        poll.register(read, select.POLLIN)
        for _ in rawws.turns():  # until wsrecv is there
            client.send_text("are you there")
            if poll.poll(100):
                break
        while poll.poll(300):
            os.read(read, 4096)
        for i in range(20):
            client.send_text(f"message {i}")
            assert poll.poll(rawws.TIMEOUT * 1000)
            assert os.read(read, 4096).decode().endswith(f"\tMessage: message {i}\n")
    listener.stop()
    os.close(read)


# stderr stands where it belongs among the messages


def both_on_one_pipe(wsrecv, *options: str) -> tuple[Program, int]:
    """A listener whose stdout and stderr are the same pipe; what it says is read from there."""
    read, write = os.pipe()
    listener = wsrecv(*options, stdout=write, stderr=write)
    os.close(write)
    return listener, read


def read_to_end(fd: int) -> str:
    with os.fdopen(fd, "rb") as file:
        return file.read().decode()


def test_the_line_on_how_it_closed_comes_behind_the_messages_before_it(wsrecv):
    def script(peer: ServerPeer) -> None:
        peer.accept()
        peer.send(
            peer.encode(rawws.TEXT, b"one")
            + peer.encode(rawws.TEXT, b"two")
            + peer.encode(rawws.CLOSE, rawws.close_body(1011, "it rains"))
        )
        with pytest.raises((rawws.Closed, rawws.ConnectionLost)):
            peer.recv_message()

    with ScriptedServer(script) as server:
        listener, said = both_on_one_pipe(wsrecv, "-r", server.url)
        listener.wait(8)
        assert read_to_end(said).splitlines() == [
            f"Connected to {server.url}", "one", "two",
            f"wsrecv: {server.url}: the server closed with 1011: it rains",
        ]  # fmt: skip


@pytest.mark.parametrize("options", [(), ("--state-file",)], ids=["plain", "with marks"])
def test_a_gap_is_told_between_the_messages_between_which_it_is(wsrecv, tmp_path, options):
    def script(peer: ServerPeer) -> None:
        peer.accept(last_event_id=f"{EPOCH}-0")
        peer.send(
            peer.encode(rawws.TEXT, b"one")
            + peer.encode(rawws.PING, f"{EPOCH}-5".encode())
            + peer.encode(rawws.TEXT, b"six")
            + peer.encode(rawws.CLOSE, rawws.close_body(1000))
        )
        while peer.recv_frame().opcode != rawws.CLOSE:
            pass

    options = [value for name in options for value in (name, str(tmp_path / "state"))]
    with ScriptedServer(script) as server:
        listener, said = both_on_one_pipe(wsrecv, "-q", "-r", *options, server.url)
        listener.wait(0)
    assert read_to_end(said).splitlines() == ["one", "wsrecv: gap: 4 messages lost", "six"]


def test_a_trace_stands_between_the_messages_that_it_tells_of(wsrecv):
    def script(peer: ServerPeer) -> None:
        peer.accept()
        peer.send(b"".join(peer.encode(rawws.TEXT, text) for text in (b"one", b"three")))
        peer.close()

    with ScriptedServer(script) as server:
        listener, said = both_on_one_pipe(wsrecv, "-v", "-r", server.url)
        listener.wait(0)
    lines = read_to_end(said).splitlines()
    at = lines.index("wsrecv: < text, 3 bytes")
    assert lines[at : at + 4] == ["wsrecv: < text, 3 bytes", "one", "wsrecv: < text, 5 bytes", "three"]


# A stdout that ends


@pytest.mark.parametrize("options", [["--json"], ["-F", "%p"], ["-b"], ["--hex"]], ids=str)
def test_1_when_a_full_disk_takes_no_more_in_any_mode(wsrecv, options):
    with ScriptedServer(says("x")) as server, open("/dev/full", "w") as full:
        listener = wsrecv("-q", *options, server.url, stdout=full).wait(1)
    assert "no space" in listener.stderr.lower() and listener.stderr.count("\n") == 1


def test_1_though_the_server_has_closed_before_the_disk_was_found_full(wsrecv):
    def script(peer: ServerPeer) -> None:
        peer.accept()
        peer.send(peer.encode(rawws.TEXT, b"x") + peer.encode(rawws.CLOSE, rawws.close_body(1000)))
        with pytest.raises((rawws.Closed, rawws.ConnectionLost)):
            peer.recv_message()

    with ScriptedServer(script) as server, open("/dev/full", "w") as full:
        wsrecv("-q", server.url, stdout=full).wait(1)


def test_json_into_head_ends_at_the_first_line(server, bash):
    script = '"$WSRECV" -q --json -m x "$1" | head -1 | jq -r .data; echo "${PIPESTATUS[0]}"'
    ended = bash(script, server.url)
    with server.client() as client:
        for _ in rawws.turns():
            client.send_text("more")
            if ended.process.poll() is not None:
                break
            time.sleep(0.01)
    lines = ended.wait(0).read_rest().splitlines()
    assert lines[0] in ("Message: x", "Message: more") and lines[1] == "141"  # SIGPIPE


@pytest.mark.parametrize("options", [[], ["--json"], ["-b"]], ids=str)
def test_1_and_no_place_is_kept_when_stdout_is_closed(wsrecv, tmp_path, options):
    """As cat and curl have it: what nobody can have got is not taken for printed."""

    def script(peer: ServerPeer) -> None:
        peer.accept(last_event_id=f"{EPOCH}-0")
        peer.send_text("x")
        peer.await_close(1000)

    state = tmp_path / "state"
    with ScriptedServer(script) as server:
        listener = wsrecv(
            "-q", *options, "--state-file", str(state), server.url, preexec_fn=lambda: os.close(1)
        ).wait(1)
    assert "standard output: bad file descriptor" in listener.stderr
    assert f"{EPOCH}-0" in state.read_text()


@pytest.mark.parametrize("option", ["--help", "--version"])
@pytest.mark.parametrize("program", ["wsrecv", "wsbroadcastd"])
def test_1_when_help_has_no_stdout_or_a_full_one(start, program, option):
    path = {"wsrecv": WSRECV, "wsbroadcastd": WSBROADCASTD}[program]
    closed = start(Program, [path, option], preexec_fn=lambda: os.close(1)).wait(1)
    assert closed.stderr == (
        f"{program}: cannot write to standard output: bad file descriptor\n"
    )
    with open("/dev/full", "w") as full:
        assert "no space" in start(Program, [path, option], stdout=full).wait(1).stderr


# -n


def test_1_and_the_count_when_the_server_closes_before_n_messages(wsrecv):
    with ScriptedServer(say_all("a", "b")) as server:
        listener = wsrecv("-q", "-r", "-n", "100", server.url).wait(1)
    assert listener.read_rest() == "a\nb\n"
    assert listener.stderr == "wsrecv: 2 of 100 messages came before the connection was closed\n"


def test_1_when_not_even_one_came(wsrecv):
    with ScriptedServer(say_all()) as server:
        listener = wsrecv("-q", "-n", "1", server.url).wait(1)
    assert listener.stderr == "wsrecv: 0 of 1 message came before the connection was closed\n"


def test_the_shell_does_not_go_on_with_a_part(wsrecv, bash):
    """The man page's example: ten messages, or a failure."""
    with ScriptedServer(say_all(*"12345")) as server:
        script = bash('"$WSRECV" -q -r -n 10 --timeout 60 "$1" && echo all || echo "got $?"', server.url)
        assert script.read_rest().splitlines() == [*"12345", "got 1"]
        script.wait(0)


def test_n_counts_through_all_connections(wsrecv):
    def away(peer: ServerPeer) -> None:
        peer.accept()
        peer.send_text("one")
        peer.close(1001)

    with ScriptedServer([away, say_all("two")]) as server:
        listener = wsrecv("-q", "-r", "-n", "3", "--reconnect", "--retry-max-delay", "0.1", server.url)
        listener.wait(1)
    assert "2 of 3 messages" in listener.stderr


def test_0_when_until_matched_before_n_messages_came(wsrecv):
    with ScriptedServer(says("ready")) as server:
        wsrecv("-q", "-n", "5", "--until", "ready", server.url).wait(0)


# Signals

ENDING = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]


@pytest.mark.parametrize("signum", ENDING)
def test_it_closes_and_then_dies_of_the_signal(wsrecv, signum):
    with ScriptedServer(says("x")) as server:
        listener = wsrecv("-q", "-r", "-n", "2", server.url)
        assert listener.read_line() == "x"
        listener.stop(signum)
        assert listener.stderr == ""


@pytest.mark.parametrize("signum", ENDING)
def test_it_dies_of_the_signal_while_it_connects_or_waits(wsrecv, signum):
    with socket.create_server(("127.0.0.1", 0)) as listening:  # which never answers
        url = f"ws://127.0.0.1:{listening.getsockname()[1]}/"
        listener = wsrecv("-q", url)
        peer, _ = listening.accept()
        with peer:
            assert peer.recv(1)
            listener.stop(signum)
    waiting = wsrecv("--reconnect", url)
    waiting.wait_stderr("reconnecting in")
    waiting.stop(signum)


def test_ctrl_c_ends_a_loop_around_it(start):
    """bash on a terminal of its own, where the key sends SIGINT to both."""
    with ScriptedServer(says("x")) as server:
        master, slave = pty.openpty()
        loop = f"while :; do {WSRECV} -q -r {server.url}; echo again; done"
        shell = subprocess.Popen(
            ["/bin/bash", "-c", loop], stdin=slave, stdout=slave, stderr=slave,
            preexec_fn=lambda: (os.setsid(), fcntl.ioctl(0, termios.TIOCSCTTY, 0)),
        )  # fmt: skip
        os.close(slave)
        seen = b""
        while b"x" not in seen:
            seen += os.read(master, 4096)
        os.write(master, b"\x03")
        assert shell.wait(rawws.TIMEOUT) == -signal.SIGINT
        with contextlib.suppress(OSError):  # all writers are gone
            seen += os.read(master, 4096)
        os.close(master)
    assert b"again" not in seen


def test_0_when_a_signal_comes_after_the_count_was_reached(wsrecv):
    asked = threading.Event()
    over = threading.Event()

    def script(peer: ServerPeer) -> None:
        peer.accept()
        peer.send_text("x")
        assert peer.recv_frame().opcode == rawws.CLOSE
        asked.set()
        assert over.wait(rawws.TIMEOUT)

    with ScriptedServer(script) as server:
        listener = wsrecv("-q", "-r", "-n", "1", server.url)
        assert listener.read_line() == "x"
        assert asked.wait(rawws.TIMEOUT)
        listener.process.terminate()
        listener.wait(0)
        over.set()


def test_it_dies_of_the_signal_when_what_came_could_not_be_printed(wsrecv):
    """Though the count is reached: the reader of the pipe has not got it."""
    closed = threading.Event()

    def script(peer: ServerPeer) -> None:
        peer.accept()
        peer.send_text("x" * 1_000_000)
        with pytest.raises(rawws.Closed):
            peer.recv_message()
        closed.set()
        peer.send_close(1000)

    with ScriptedServer(script) as server:
        listener = wsrecv("-q", "-r", "-n", "1", server.url)
        assert closed.wait(rawws.TIMEOUT)
        listener.stop()


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGHUP])
def test_what_it_was_started_to_ignore_is_ignored(wsrecv, signum):
    """nohup; a job in the background of a script."""
    over = threading.Event()

    def script(peer: ServerPeer) -> None:
        peer.accept()
        peer.send_text("x")
        assert over.wait(rawws.TIMEOUT)
        peer.close()

    with ScriptedServer(script) as server:
        listener = wsrecv("-q", "-r", "-n", "1000", server.url,
                          preexec_fn=lambda: signal.signal(signum, signal.SIG_IGN))  # fmt: skip
        assert listener.read_line() == "x"
        listener.process.send_signal(signum)
        over.set()
        listener.wait(1)  # the server's Close


@pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("unshare"), reason="needs root and unshare")
def test_128_and_the_signal_where_the_signal_does_not_kill(wsrecv, start):
    """The first process of a container."""
    with ScriptedServer(says("x")) as server:
        parent = start(Program, ["unshare", "--pid", "--fork", WSRECV, "-q", "-r", server.url])
        assert parent.read_line() == "x"
        child = Path(f"/proc/{parent.pid}/task/{parent.pid}/children").read_text().split()[0]
        os.kill(int(child), signal.SIGTERM)
        parent.wait(128 + signal.SIGTERM)


# --until


def test_until_prints_the_match_and_ends_with_0_after_a_closing_handshake(wsrecv):
    def script(peer: ServerPeer) -> None:
        peer.accept()
        for text in ("not", "yet", "it is ready now", "too late"):
            peer.send_text(text)
        peer.await_close(1000)

    with ScriptedServer(script) as server:
        listener = wsrecv("-q", "-r", "--until", "(rea|stea)dy( now)?$", server.url).wait(0)
    assert listener.read_rest() == "not\nyet\nit is ready now\n"
    assert listener.stderr == ""


@pytest.mark.parametrize("expression", [r"(.*)\1[cd]", r"(a+)+$"])
def test_until_keeps_the_time_whatever_it_costs(wsrecv, expression):
    """A turn that brings many messages, each of which would take for ever."""

    def script(peer: ServerPeer) -> None:
        peer.accept()
        peer.send(peer.encode(rawws.TEXT, b"a" * 20000 + b"x") * 20)
        with contextlib.suppress(rawws.ConnectionLost):
            peer.recv_close()

    with ScriptedServer(script) as server:
        begun = time.monotonic()
        listener = wsrecv("-q", "-F", "%l", "--timeout", "1", "--until", expression, server.url)
        assert listener.wait(124).read_rest().startswith("20001\n20001\n")
    assert time.monotonic() - begun < rawws.TIMEOUT
    assert listener.stderr.count("option '--until': a message of 20001 bytes") == 1


def test_until_is_for_text_alone_and_sees_past_a_nul(wsrecv):
    def script(peer: ServerPeer) -> None:
        peer.accept()
        peer.send_binary(b"ready")
        peer.send_text("a\0ready")
        peer.await_close(1000)

    with ScriptedServer(script) as server:
        assert wsrecv("-q", "-b", "--until", "ready", server.url).wait(0).read_rest() == "readya\0ready"


def test_1_when_the_stream_ends_without_a_match(wsrecv):
    with ScriptedServer(say_all("a", "b")) as server:
        listener = wsrecv("-q", "-r", "--until", "c", server.url).wait(1)
    assert listener.read_rest() == "a\nb\n"
    assert "--until" in listener.stderr and listener.stderr.count("\n") == 1


def test_1_when_the_count_is_reached_without_a_match(server, wsrecv):
    wsrecv("-q", "-m", "x", "-n", "1", "--until", "never", server.url).wait(1)


def test_a_signal_ends_it_without_a_match_and_is_what_it_dies_of(server, wsrecv):
    listener = wsrecv("-q", "-m", "x", "-r", "--until", "never", server.url)
    assert listener.read_line() == "Message: x"
    listener.stop()
    assert listener.stderr == ""


def test_other_ends_keep_their_status_though_nothing_matched(wsrecv):
    def script(peer: ServerPeer) -> None:
        peer.accept()

    with ScriptedServer(script) as server:
        wsrecv("-q", "--until", "x", server.url).wait(6)


def test_wc_counts_every_message_of_a_flood(wsrecv):
    """Through a pipe whose reader is slow to start."""
    count = 20000

    def script(peer: ServerPeer) -> None:
        peer.accept()
        frame = rawws.frame(rawws.TEXT, b"x" * 100, masked=False)
        for _ in range(count // 100):
            peer.send(frame * 100)
        peer.close()

    read, write = os.pipe()
    with ScriptedServer(script) as server:
        listener = wsrecv("-q", "--json", server.url, stdout=write)
        os.close(write)
        counter = subprocess.run(["wc", "-l"], stdin=read, capture_output=True, check=True)
        listener.wait(0)
    os.close(read)
    assert int(counter.stdout) == count


# JSON for people


def on_terminal(wsrecv, text: str, *options: str, **environment: str) -> str:
    """What a terminal gets for one message."""
    master, slave = os.openpty()
    with ScriptedServer(says(text)) as server:
        env = {**os.environ, "TERM": "xterm", **environment}
        wsrecv("-q", "-r", "-n", "1", *options, server.url, stdout=slave, env=env).wait(0)
    os.close(slave)
    shown = os.read(master, 65536).decode()
    os.close(master)
    return shown


def test_a_terminal_gets_json_in_colour_and_on_one_line(wsrecv):
    text = '{\n "a": [1,\n 2]\n}'
    assert on_terminal(wsrecv, text) == "{\x1b[34m\"a\"\x1b[0m:[\x1b[36m1\x1b[0m,\x1b[36m2\x1b[0m]}\r\n"
    for how in ({"NO_COLOR": "1"}, {"CLICOLOR": "0"}, {"TERM": "dumb"}):
        assert on_terminal(wsrecv, text, **how) == '{"a":[1,2]}\r\n'
    assert on_terminal(wsrecv, text, "--color", "never") == '{"a":[1,2]}\r\n'
    assert on_terminal(wsrecv, "no {json}") == "no {json}\r\n"


def test_a_pipe_gets_json_as_it_came_but_for_pretty(wsrecv):
    text = '{"a":  [1],\n"b":1e0}'
    assert printed(wsrecv, [text], "-r") == text.encode() + b"\n"
    pretty = b'{\n  "a": [\n    1\n  ],\n  "b": 1e0\n}\n'
    assert printed(wsrecv, [text], "-r", "--pretty") == pretty
    assert b"\x1b[34m" in printed(wsrecv, [text], "-r", "--color=always")
    assert b'\n  "data": "x",\n' in printed(wsrecv, ["x"], "--json", "--pretty")
    assert "--pretty" in wsrecv("--pretty", "--hex").wait(2).stderr
