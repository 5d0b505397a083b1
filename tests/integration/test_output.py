"""What wsrecv prints: each output option, and the ends of what it prints to."""

from __future__ import annotations

import base64
import contextlib
import datetime
import json
import os
import re
import select
import subprocess
import time

import pytest
import rawws
from rawws import ScriptedServer, ServerPeer

TEXTS = ["", "plain", 'quote " and \\', "two\nlines\r\n\ttab", "nul \0 within", "\x1b[31mred\x7f\x9b",
         "grüße 中 🌍", "line\u2028separator\u2029 \x85", "bidi \u202e\u2066 \u061c", "\ufffe\U0010ffff"]  # fmt: skip
BLOBS = [b"", b"\x00", b"\xff\xfe", bytes(range(256))]
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
    """The README's transcript."""
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
        assert "abc" in shown or "616263" in shown
        controls = re.findall("[\x01-\x09\x0b\x0c\x0e-\x1f\x7f-\x9f\u202e\u2066\u2028]", shown)
        assert not controls, (options, shown)


# As soon as it is complete, and together what came together


def writes_of(wsrecv, script) -> list[bytes]:
    """What wsrecv writes, call by call, to a socket of packets."""
    import socket

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


# A stdout that ends


@pytest.mark.parametrize("options", [["--json"], ["-F", "%p"], ["-b"], ["--hex"]], ids=str)
def test_1_when_a_full_disk_takes_no_more_in_any_mode(wsrecv, options):
    def script(peer: ServerPeer) -> None:
        peer.accept()
        peer.send_text("x")
        peer.await_close(1000)

    with ScriptedServer(script) as server, open("/dev/full", "w") as full:
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


def test_1_and_no_0_when_a_signal_ends_it_without_a_match(server, wsrecv):
    listener = wsrecv("--until", "never", server.url)
    listener.wait_stderr("^Connected")
    listener.process.terminate()
    listener.wait(1)


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
