"""wsrecv's command line, exit statuses and manners, against servers that follow a script."""

from __future__ import annotations

import base64
import os
import re
import signal
import socket
import subprocess
import threading
import time

import programs
import pytest
import rawws
from rawws import CLOSE, CONTINUATION, PING, PONG, TEXT, ScriptedServer, ServerPeer, says


def accept_and_say(*texts: str, close: int | None = 1000):
    """A script: accept, say the texts, close."""

    def script(peer: ServerPeer) -> None:
        peer.accept()
        for text in texts:
            peer.send_text(text)
        peer.close(close)

    return script


# Help, version, usage


@pytest.mark.parametrize("option", ["-h", "--help"])
def test_help_names_every_option_in_80_columns(wsrecv, option):
    text = wsrecv(option).wait(0).read_rest()
    assert all(len(line) <= 80 for line in text.splitlines())
    for name in ("--count", "--raw", "--message", "--send", "--timeout"):
        assert name in text
    for name in ("-n", "-r", "-m", "-s", "-q", "-V", "-h"):
        assert re.search(rf"(^|[\s\[]){name}\b", text), name
    assert "ws://localhost:8000/ws" in text


@pytest.mark.parametrize("option", ["-V", "--version"])
def test_version_is_one_line_on_stdout(wsrecv, option):
    assert re.fullmatch(r"wsrecv \d+\.\d+\S*\n", wsrecv(option).wait(0).read_rest())


@pytest.mark.parametrize("limit", [5, 8])
def test_1_and_a_line_when_files_cannot_be_opened(bash, limit):
    listener = bash(f'ulimit -n {limit}; exec "$WSRECV" ws://127.0.0.1:1/').wait(1)
    assert re.fullmatch(r"wsrecv: cannot open files: .*'ulimit -n'\)\n", listener.stderr)


@pytest.mark.parametrize("option", ["--help", "--version"])
def test_1_when_help_cannot_be_written(wsrecv, option):
    with open("/dev/full", "w") as full:
        listener = wsrecv(option, stdout=full).wait(1)
    assert listener.stderr == "wsrecv: cannot write to standard output: no space left on device\n"


@pytest.mark.parametrize(
    "arguments",
    [
        ["--no-such-option"],
        ["-x"],
        ["-n"],
        ["-n", "x"],
        ["-n", "-1"],
        ["-n", "3x"],
        ["-n", ""],
        ["-n", "99999999999999999999999"],
        ["--timeout", "soon"],
        ["--timeout", "-1"],
        ["--timeout", ""],
        ["-m"],
        ["ws://127.0.0.1:1/", "ws://127.0.0.1:2/"],
        [""],
        ["ftp://127.0.0.1:1/"],
        ["/ws"],
        ["ws://"],
        ["ws://127.0.0.1:65536/"],
        ["ws://127.0.0.1:port/"],
        ["ws://127.0.0.1:1/with space"],
        ["ws://127.0.0.1:1/\r\nX: y"],
        ["--exec", ""],
        ["--exec", " "],
    ],
    ids=repr,
)
def test_a_usage_error_is_2_and_a_line_on_stderr(wsrecv, arguments):
    program = wsrecv(*arguments).wait(2)
    assert program.read_rest() == ""
    assert program.stderr.startswith("wsrecv: ")


# The opening handshake


def test_the_request_is_as_rfc_6455_wants_it(wsrecv):
    keys = []

    def script(peer: ServerPeer) -> None:
        request = peer.accept()
        assert request.start == "GET /a/b%20c?d=e&f HTTP/1.1"
        assert request.headers["host"] == f"127.0.0.1:{server.port}"
        assert request.headers["upgrade"].lower() == "websocket"
        assert "upgrade" in request.headers["connection"].lower()
        assert request.headers["sec-websocket-version"] == "13"
        keys.append(request.headers["sec-websocket-key"])
        peer.close()

    for _ in range(2):
        with ScriptedServer(script) as server:
            wsrecv(f"ws://127.0.0.1:{server.port}/a/b%20c?d=e&f").wait(0)
    assert [len(base64.b64decode(key, validate=True)) for key in keys] == [16, 16]
    assert keys[0] != keys[1]


@pytest.mark.parametrize(("tail", "target"), [("", "/"), ("/", "/"), ("?x=y", "/?x=y")])
def test_the_target_of_a_url_without_path(wsrecv, tail, target):
    heads = []

    def script(peer: ServerPeer) -> None:
        heads.append(peer.accept())
        peer.close()

    with ScriptedServer(script) as server:
        wsrecv(f"ws://127.0.0.1:{server.port}{tail}").wait(0)
    assert heads[0].target == target


def test_a_response_byte_by_byte_will_do(wsrecv):
    def script(peer: ServerPeer) -> None:
        key = peer.recv_head().headers["sec-websocket-key"]
        peer.send_byte_by_byte(
            b"HTTP/1.1 101 Switching Protocols\r\nUPGRADE: WebSocket\r\nX-Other: y\r\n"
            b"connection: keep-alive, upgrade\r\n"
            b"Sec-WebSocket-Accept:" + rawws.accept_of(key).encode() + b"\r\n\r\n"
            + rawws.frame(TEXT, "grüße".encode(), masked=False)
        )
        peer.close()

    with ScriptedServer(script) as server:
        assert wsrecv("-r", server.url).wait(0).read_rest() == "grüße\n"


def test_messages_in_the_packet_of_the_response_are_heard(wsrecv):
    def script(peer: ServerPeer) -> None:
        key = peer.recv_head().headers["sec-websocket-key"]
        peer.send(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Accept: " + rawws.accept_of(key).encode() + b"\r\n\r\n"
            + rawws.frame(TEXT, b"one", masked=False)
            + rawws.frame(TEXT, b"two", masked=False)
            + rawws.frame(CLOSE, rawws.close_body(1000), masked=False)
        )
        assert peer.recv_close()[0] == 1000

    with ScriptedServer(script) as server:
        assert wsrecv("-r", server.url).wait(0).read_rest() == "one\ntwo\n"


# What it prints


def test_connected_is_said_on_stderr_unless_quiet(wsrecv):
    with ScriptedServer(accept_and_say("x")) as server:
        loud = wsrecv(server.url).wait(0)
    assert loud.stderr.splitlines()[0] == f"Connected to {server.url}"
    assert loud.read_rest() == "Received: x\n"
    with ScriptedServer(accept_and_say("x")) as server:
        quiet = wsrecv("-q", server.url).wait(0)
    assert quiet.stderr == ""
    assert quiet.read_rest() == "Received: x\n"


@pytest.mark.parametrize("option", ["-r", "--raw"])
def test_raw_prints_the_text_alone(wsrecv, option):
    with ScriptedServer(accept_and_say("one", "", "%s %n", "grüße 🌍")) as server:
        assert wsrecv(option, server.url).wait(0).read_rest() == "one\n\n%s %n\ngrüße 🌍\n"


@pytest.mark.parametrize("option", [[], ["-r"]], ids=["lines", "raw"])
def test_binary_is_shown_in_base64(wsrecv, option):
    blobs = [b"", b"\x00", b"\xff\xfe", b"abc", bytes(range(256)) * 300]

    def script(peer: ServerPeer) -> None:
        peer.accept()
        for blob in blobs:
            peer.send_binary(blob)
        peer.close()

    with ScriptedServer(script) as server:
        listener = wsrecv(*option, server.url)
        lines = listener.read_rest().splitlines()
        listener.wait(0)
    prefix = "" if option else "Received: "
    assert lines == [f"{prefix}base64:{base64.b64encode(blob).decode()}" for blob in blobs]


def test_a_message_in_fragments_is_one_line(wsrecv):
    def script(peer: ServerPeer) -> None:
        peer.accept()
        text = "grüße 🌍".encode()
        peer.send_frame(TEXT, text[:3], fin=False)
        peer.send_frame(PING, b"in between")
        for i in range(3, len(text)):
            peer.send_frame(CONTINUATION, text[i : i + 1], fin=False)
        peer.send_frame(CONTINUATION, b"")
        assert peer.recv_frame()[:2] == (PONG, b"in between")
        peer.close()

    with ScriptedServer(script) as server:
        assert wsrecv("-r", server.url).wait(0).read_rest() == "grüße 🌍\n"


def test_a_ping_is_answered_with_its_payload(wsrecv):
    def script(peer: ServerPeer) -> None:
        peer.accept()
        keys = set()
        for payload in (b"", b"x", bytes(range(125))):
            peer.send_frame(PING, payload)
            pong = peer.recv_frame()
            assert pong[:2] == (PONG, payload)
            keys.add(pong.masking_key)
        assert len(keys) == 3, "each frame has a masking key of its own"
        peer.send_frame(PONG, b"that nobody asked for")
        peer.close()

    with ScriptedServer(script) as server:
        assert wsrecv(server.url).wait(0).read_rest() == ""


def test_a_big_message_is_printed_whole(wsrecv):
    text = "0123456789abcdef" * (1 << 15)
    with ScriptedServer(accept_and_say(text)) as server:
        listener = wsrecv("-r", server.url)
        assert listener.read_rest() == text + "\n"
        listener.wait(0)


# 0: a clean end


@pytest.mark.parametrize("code", [1000, 1001, None])
def test_0_when_the_server_closes_cleanly(wsrecv, code):
    """The Close is answered with its own code; an empty one with an empty one."""
    with ScriptedServer(accept_and_say("x", close=code)) as server:
        assert wsrecv("-r", server.url).wait(0).read_rest() == "x\n"


@pytest.mark.parametrize("option", ["-n", "--count"])
def test_0_when_the_count_is_reached(wsrecv, option):
    """Not a line more is printed, and the server gets a Close 1000."""

    def script(peer: ServerPeer) -> None:
        peer.accept()
        peer.send(b"".join(rawws.frame(TEXT, b"%d" % i, masked=False) for i in range(5)))
        peer.await_close(1000)

    with ScriptedServer(script) as server:
        assert wsrecv("-r", option, "3", server.url).wait(0).read_rest() == "0\n1\n2\n"


def test_0_though_the_close_is_never_answered(wsrecv):
    ended = threading.Event()

    def script(peer: ServerPeer) -> None:
        peer.accept()
        peer.send_text("x")
        assert peer.recv_close()[0] == 1000
        assert ended.wait(rawws.TIMEOUT)

    with ScriptedServer(script) as server:
        listener = wsrecv("-n", "1", server.url)
        listener.wait(0, programs.STOP_SECONDS)
        ended.set()


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_0_and_a_closing_handshake_on_a_signal(wsrecv, signum):
    def script(peer: ServerPeer) -> None:
        peer.accept()
        peer.await_close(1000)

    with ScriptedServer(script) as server:
        listener = wsrecv(server.url)
        listener.wait_stderr("^Connected to ")
        listener.stop(signum)


def test_a_signal_ends_it_before_the_handshake_is_over(wsrecv):
    asked = threading.Event()

    def script(peer: ServerPeer) -> None:
        peer.recv_head()
        asked.set()
        with pytest.raises(rawws.ConnectionLost):
            peer.recv_exactly(1)

    with ScriptedServer(script) as server:
        listener = wsrecv(server.url)
        assert asked.wait(rawws.TIMEOUT)
        listener.stop()


def test_a_signal_ends_it_though_nobody_reads_its_stdout(wsrecv):
    full = threading.Event()

    def script(peer: ServerPeer) -> None:
        peer.accept()
        peer.sock.settimeout(1)
        with pytest.raises(TimeoutError):
            while True:
                peer.send_text("x" * 65536)
        full.set()
        peer.sock.settimeout(rawws.TIMEOUT)
        with pytest.raises((rawws.Closed, rawws.ConnectionLost, AssertionError)):
            peer.recv_message()

    with ScriptedServer(script) as server:
        listener = wsrecv(server.url)
        assert full.wait(60)
        listener.stop()


# Sending


def test_each_m_is_a_message_after_connecting(wsrecv):
    def script(peer: ServerPeer) -> None:
        peer.accept()
        for text in ("one", "", "grüße 🌍", "-n"):
            got = peer.recv_frame()
            assert (got.opcode, got.payload.decode(), got.fin, got.rsv) == (TEXT, text, True, 0)
        peer.close()

    with ScriptedServer(script) as server:
        wsrecv("-m", "one", "--message", "", server.url, "-m", "grüße 🌍", "--message=-n").wait(0)


def test_a_line_that_is_not_utf8_is_not_sent(wsrecv):
    def script(peer: ServerPeer) -> None:
        peer.accept()
        assert [peer.recv_message(), peer.recv_message()] == ["one", "three"]
        peer.close()

    with ScriptedServer(script) as server:
        sender = wsrecv("-s", server.url, stdin=subprocess.PIPE)
        sender.process.stdin.write(b"one\n\xfftwo\nthree\n")
        sender.process.stdin.close()
        sender.wait(0)
    assert "UTF-8" in sender.stderr


# 1: no stdout


def test_1_when_stdout_cannot_be_written(wsrecv):
    """The server hears of it, in a closing handshake."""
    with ScriptedServer(says("x")) as server, open("/dev/full", "w") as full:
        listener = wsrecv(server.url, stdout=full).wait(1)
    assert "no space" in listener.stderr.lower()


# 3: no connection


def test_3_when_nobody_listens(wsrecv):
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))  # bound, so nobody else's, but not listening
        port = sock.getsockname()[1]
        listener = wsrecv(f"ws://127.0.0.1:{port}/").wait(3)
    assert str(port) in listener.stderr and "refused" in listener.stderr.lower()
    assert "Connected" not in listener.stderr


def test_3_when_the_name_does_not_resolve(wsrecv):
    listener = wsrecv("ws://no-such-host.invalid/ws").wait(3)
    assert "no-such-host.invalid" in listener.stderr


# 5: the handshake is refused


@pytest.mark.parametrize("status", ["200 OK", "301 Moved", "403 Forbidden", "404 No", "503 X"])
def test_5_when_the_server_refuses(wsrecv, status):
    def script(peer: ServerPeer) -> None:
        peer.recv_head()
        peer.send(f"HTTP/1.1 {status}\r\nContent-Length: 3\r\n\r\nno\n".encode())

    with ScriptedServer(script) as server:
        listener = wsrecv(server.url).wait(5)
    assert status[:3] in listener.stderr
    assert "Connected" not in listener.stderr


def test_5_when_wsbroadcastd_refuses(server, wsrecv):
    listener = wsrecv(server.url.removesuffix("/ws") + "/elsewhere").wait(5)
    assert "404" in listener.stderr


@pytest.mark.parametrize(
    "changes",
    [
        {"Sec_WebSocket_Accept": None},
        {"Sec_WebSocket_Accept": rawws.accept_of("another key")},
        {"Upgrade": None},
        {"Upgrade": "h2c"},
        {"Connection": None},
        {"Connection": "close"},
        {"Sec_WebSocket_Extensions": "permessage-never-offered"},
        {"Sec_WebSocket_Protocol": "never-offered"},
    ],
    ids=str,
)
def test_5_or_7_when_the_101_is_not_what_was_asked_for(wsrecv, changes):
    """RFC 6455, 4.1: the client must fail the connection."""

    def script(peer: ServerPeer) -> None:
        peer.accept(**changes)
        peer.send_text("must not be printed")

    with ScriptedServer(script) as server:
        listener = wsrecv(server.url)
        ended_with(listener, 5, 7)
    assert listener.read_rest() == ""
    assert "Connected" not in listener.stderr


@pytest.mark.parametrize(
    "response",
    [b"SSH-2.0-OpenSSH_9.2\r\n", b"\x15\x03\x01\x00\x02\x02\x46", b"HTTP/1.1 \r\n\r\n"],
)
def test_5_or_7_when_the_server_does_not_speak_http(wsrecv, response):
    def script(peer: ServerPeer) -> None:
        peer.recv_head()
        peer.send(response)
        with pytest.raises(rawws.ConnectionLost):  # wsrecv sees it at once, and goes
            peer.recv_exactly(1)

    with ScriptedServer(script) as server:
        ended_with(wsrecv(server.url), 5, 7)


def test_5_or_7_when_the_response_has_no_end(wsrecv):
    def script(peer: ServerPeer) -> None:
        peer.recv_head()
        peer.send(b"HTTP/1.1 101 Switching Protocols\r\n")
        with pytest.raises((ConnectionError, rawws.ConnectionLost)):
            for _ in range(1 << 14):  # 16 MiB at the most
                peer.send(b"X-Header: " + b"x" * 1012 + b"\r\n")
            peer.recv_exactly(1)

    with ScriptedServer(script) as server:
        ended_with(wsrecv(server.url), 5, 7)


def ended_with(program: programs.Program, *statuses: int) -> None:
    """It ends by itself with one of these statuses."""
    status = program.process.wait(rawws.TIMEOUT)
    assert status in statuses, program.stderr
    program.wait(status)


# 6: the connection is lost


def test_6_when_the_server_ends_tcp_without_close(wsrecv):
    def script(peer: ServerPeer) -> None:
        peer.accept()
        peer.send_text("x")

    with ScriptedServer(script) as server:
        listener = wsrecv("-r", server.url).wait(6)
    assert listener.read_rest() == "x\n"
    assert listener.stderr.count("\n") == 2  # Connected, and what happened


def test_6_when_the_server_ends_tcp_mid_frame(wsrecv):
    def script(peer: ServerPeer) -> None:
        peer.accept()
        peer.send(rawws.frame(TEXT, b"only half", masked=False, declared=18))

    with ScriptedServer(script) as server:
        assert wsrecv("-r", server.url).wait(6).read_rest() == ""


def test_6_when_the_connection_is_reset(wsrecv):
    def script(peer: ServerPeer) -> None:
        peer.accept()
        assert connected.wait(rawws.TIMEOUT)
        peer.reset()

    connected = threading.Event()
    with ScriptedServer(script) as server:
        listener = wsrecv(server.url)
        listener.wait_stderr("^Connected to ")
        connected.set()
        listener.wait(6)


def test_3_5_or_6_when_tcp_ends_before_the_response(wsrecv):
    with ScriptedServer(lambda peer: peer.recv_head()) as server:
        ended_with(wsrecv(server.url), 3, 5, 6)


# 7: the server breaks the protocol


@pytest.mark.parametrize(
    ("wire", "code"),
    [
        pytest.param(rawws.frame(TEXT, b"x", masked=True), 1002, id="masked"),
        pytest.param(rawws.frame(TEXT, b"x", masked=False, rsv=4), 1002, id="rsv1"),
        pytest.param(rawws.frame(TEXT, b"x", masked=False, rsv=1), 1002, id="rsv3"),
        pytest.param(rawws.frame(3, b"x", masked=False), 1002, id="opcode 3"),
        pytest.param(rawws.frame(11, b"x", masked=False), 1002, id="opcode 11"),
        pytest.param(rawws.frame(CONTINUATION, b"x", masked=False), 1002, id="continuation"),
        pytest.param(rawws.frame(PING, b"x", masked=False, fin=False), 1002, id="half a ping"),
        pytest.param(rawws.frame(PING, b"x" * 126, masked=False), 1002, id="long ping"),
        pytest.param(rawws.frame(TEXT, b"x", masked=False, length_bytes=2), 1002, id="length"),
        pytest.param(rawws.frame(CLOSE, b"x", masked=False), 1002, id="1-byte Close"),
        pytest.param(
            rawws.frame(CLOSE, rawws.close_body(1005), masked=False), 1002, id="Close 1005"
        ),
        pytest.param(
            rawws.frame(CLOSE, rawws.close_body(1000, b"\xff"), masked=False), 1007, id="reason"
        ),
        pytest.param(
            rawws.frame(TEXT, masked=False, declared=1 << 63), 1002, id="2^63 bytes"
        ),
        pytest.param(
            rawws.frame(TEXT, masked=False, declared=1 << 62), 1009, id="2^62 bytes"
        ),
        pytest.param(rawws.frame(TEXT, b"\xff", masked=False), 1007, id="utf-8"),
        pytest.param(
            rawws.frame(TEXT, b"a\xffb", masked=False, declared=100), 1007, id="utf-8 at once"
        ),
    ],
)
def test_7_and_the_right_close_code(wsrecv, wire, code):
    def script(peer: ServerPeer) -> None:
        peer.accept()
        peer.send_text("before")
        peer.send(wire)
        assert peer.recv_close()[0] == code

    with ScriptedServer(script) as server:
        listener = wsrecv("-r", server.url).wait(7)
    assert listener.read_rest() == "before\n"
    assert listener.stderr.count("\n") == 2  # Connected, and what happened


# 8: the server closes with another code


@pytest.mark.parametrize("code", [1002, 1003, 1008, 1009, 1011, 3000, 4999])
def test_8_with_code_and_reason_on_stderr(wsrecv, code):
    def script(peer: ServerPeer) -> None:
        peer.accept()
        peer.close(code, "too slow")

    with ScriptedServer(script) as server:
        listener = wsrecv("-q", server.url).wait(8)
    assert str(code) in listener.stderr and "too slow" in listener.stderr


def test_8_without_a_reason(wsrecv):
    with ScriptedServer(accept_and_say(close=1011)) as server:
        assert "1011" in wsrecv("-q", server.url).wait(8).stderr


def test_8_tells_a_reason_in_any_language(wsrecv):
    def script(peer: ServerPeer) -> None:
        peer.accept()
        peer.close(1008, "zu langsam: grüße 🌍")

    with ScriptedServer(script) as server:
        assert "zu langsam: grüße 🌍" in wsrecv("-q", server.url).wait(8).stderr


def test_8_tells_a_terminal_nothing_but_text(wsrecv):
    """A reason is the server's word: it must not steer the terminal it is shown on."""

    def script(peer: ServerPeer) -> None:
        peer.accept()
        peer.close(1008, "\x1b[31mred \x9b31m alert\r\nwsrecv: a second line")

    with ScriptedServer(script) as server:
        said = wsrecv("-q", server.url).wait(8).stderr
    assert "alert" in said and said.count("\n") == 1
    assert not any(control in said for control in "\x1b\x9b\r")


# 124: time is up


def until_lost(peer: ServerPeer) -> None:
    """Wait until the client has gone, by whichever way."""
    try:
        while True:
            peer.recv_exactly(1)
    except (rawws.ConnectionLost, ConnectionError):
        pass


@pytest.mark.parametrize("accepts", [False, True], ids=["in the handshake", "after it"])
def test_124_when_nothing_comes(wsrecv, accepts):
    def script(peer: ServerPeer) -> None:
        if accepts:
            peer.accept()
        until_lost(peer)

    with ScriptedServer(script) as server:
        began = time.monotonic()
        listener = wsrecv("--timeout", "1", server.url).wait(124)
        took = time.monotonic() - began
    assert 0.9 <= took and (took < 2 or programs.SANITIZED)
    assert ("Connected" in listener.stderr) == accepts


def test_124_though_messages_keep_coming(wsrecv):
    """--timeout is for everything, not for each message."""
    going = threading.Event()

    def script(peer: ServerPeer) -> None:
        peer.accept()
        try:
            while not going.wait(0.1):
                peer.send_text("tick")
        except ConnectionError:
            pass

    with ScriptedServer(script) as server:
        listener = wsrecv("-r", "--timeout", "1", server.url).wait(124)
        going.set()
    assert set(listener.read_rest().splitlines()) == {"tick"}


def test_124_does_not_come_when_all_is_done_in_time(wsrecv):
    with ScriptedServer(accept_and_say("x")) as server:
        began = time.monotonic()
        wsrecv("--timeout", "60", "-n", "1", server.url).wait(0)
        assert time.monotonic() - began < 30


def flood_until_stalled(peer: ServerPeer) -> None:
    """Says much and hears nothing, until wsrecv takes no more."""
    peer.accept()
    peer.sock.settimeout(0.5)
    try:
        for _ in rawws.turns():
            peer.send(rawws.frame(rawws.BINARY, bytes(1 << 16), masked=False))
    except TimeoutError:
        pass
    peer.sock.settimeout(rawws.TIMEOUT)


def test_echo_ends_with_6_when_a_server_that_never_reads_is_gone(wsrecv):
    def script(peer: ServerPeer) -> None:
        flood_until_stalled(peer)
        peer.reset()

    with ScriptedServer(script) as server:
        wsrecv("--echo", "-q", server.url).wait(6)


def test_echo_ends_with_124_while_a_server_does_not_read(wsrecv):
    gone = threading.Event()

    def script(peer: ServerPeer) -> None:
        flood_until_stalled(peer)
        gone.wait(rawws.TIMEOUT)

    with ScriptedServer(script) as server:
        wsrecv("--echo", "-q", "--timeout", "2", server.url).wait(124)
        gone.set()


def test_a_terminal_is_shown_what_would_act_on_it_and_a_pipe_gets_the_bytes(wsrecv):
    text = "\x1b[2J\x07\r\x7f\x9b1m \u202eabc\u2066 grüße 中"
    shown = r"\x1b[2J\x07\x0d\x7f\xc2\x9b1m \xe2\x80\xaeabc\xe2\x81\xa6 grüße 中"

    def script(peer: ServerPeer) -> None:
        peer.accept()
        peer.send_text(text)
        peer.close()

    with ScriptedServer(script) as server:
        master, slave = os.openpty()
        wsrecv("-q", server.url, stdout=slave).wait(0)
        os.close(slave)
        assert os.read(master, 4096).decode().rstrip("\r\n") == f"Received: {shown}"
        os.close(master)
    with ScriptedServer(script) as server:
        listener = wsrecv("-q", server.url)
        assert listener.read_rest() == f"Received: {text}\n"
        listener.wait(0)


def test_an_ambiguous_abbreviation_is_named_with_its_candidates(wsrecv):
    said = wsrecv("--ti").wait(2).stderr
    assert "'--ti' is ambiguous: --timestamps, --timeout" in said
    assert "'--nothing' is unknown" in wsrecv("--nothing").wait(2).stderr


def test_max_time_is_timeout(wsrecv, server):
    assert "--timeout" in wsrecv("--max-time", "0.2", server.url).wait(124).stderr
