"""Bad input to wsbroadcastd: the offender gets the right answer, and nobody else notices.

In every test a pair of well-behaved clients, the bystanders, talk all the time and miss nothing.
"""

from __future__ import annotations

import functools
import os
import select
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import programs
import pytest
import rawws
from rawws import BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT, Client, close_body, frame

pytestmark = pytest.mark.usefixtures("bystanders")

PROTOCOL_ERROR, INVALID_DATA, POLICY, TOO_BIG = 1002, 1007, 1008, 1009
HEAD_LIMIT = 16 * 1024


@pytest.fixture
def server(wsbroadcastd, request) -> programs.Server:
    """A server with default options, or those that the test says."""
    return wsbroadcastd(*getattr(request, "param", ()))


@pytest.fixture
def stranger(server, bystanders) -> Iterator[Client]:
    """A connection over which nothing has been said yet."""
    with Client(server.port) as client:
        yield client


@pytest.fixture
def offender(stranger) -> Client:
    """A client that has done the opening handshake."""
    return stranger.upgrade()


# HTTP that is not an upgrade


def check_refusal(response: rawws.Response, status: int) -> None:
    """The status, and one line of text that says what to do."""
    assert response.status == status
    assert response.headers["content-type"].startswith("text/plain")
    assert response.body.count("\n") <= 1 and len(response.body.strip()) > 5


def refused(client: Client, status: int) -> rawws.Response:
    """The response that comes next is a refusal, after which the connection goes on."""
    response = client.recv_response()
    check_refusal(response, status)
    assert response.headers.get("connection", "").lower() != "close"
    client.send(client.request())
    client.recv_accept()
    return response


def refused_and_closed(client: Client, status: int) -> rawws.Response:
    """The response that comes next is a refusal, after which the server closes TCP."""
    response = client.recv_response()
    check_refusal(response, status)
    assert response.headers["connection"].lower() == "close"
    client.recv_eof()
    return response


@pytest.mark.parametrize("target", ["/", "/other", "/ws/", "/wsx", "/WS", "/w", "/?/ws"])
@pytest.mark.parametrize("upgrade", [None, "websocket"], ids=["plain", "upgrade"])
def test_another_path_is_404(stranger, target, upgrade):
    stranger.send(stranger.request(target, Upgrade=upgrade))
    refused(stranger, 404)


ALLOW = "GET, HEAD, POST, OPTIONS"


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH"])
def test_another_method_is_405(stranger, method):
    stranger.send(stranger.request(method=method, Upgrade=None, Connection=None))
    assert refused(stranger, 405).headers["allow"] == ALLOW


@pytest.mark.parametrize("upgrade", [None, "websocket"], ids=["plain", "upgrade"])
def test_head_is_refused_without_a_body(stranger, upgrade):
    stranger.send(stranger.request(method="HEAD", Upgrade=upgrade))
    response = stranger.recv_response(has_body=False)
    assert response.status == (426 if upgrade is None else 405)
    stranger.send(stranger.request())
    stranger.recv_accept()


def test_a_request_with_a_body_is_answered_and_closed(stranger):
    """The body must never be taken for a request of its own."""
    body = stranger.request("/ws")
    stranger.send(stranger.request(method="POST", Content_Length=str(len(body))) + body)
    response = refused_and_closed(stranger, 405)
    assert response.headers["allow"] == ALLOW


def test_a_chunked_body_is_no_request_either(stranger):
    body = stranger.request("/ws")
    head = stranger.request("/", Upgrade=None, Connection=None, Transfer_Encoding="chunked")
    stranger.send(head + b"%x\r\n" % len(body) + body + b"\r\n0\r\n\r\n")
    refused_and_closed(stranger, 404)


def test_no_upgrade_is_426(stranger):
    stranger.send(b"GET /ws HTTP/1.1\r\nHost: x\r\n\r\n")
    response = refused(stranger, 426)
    assert response.headers["sec-websocket-version"] == "13"
    assert response.headers["upgrade"] == "websocket"
    assert response.headers["connection"] == "Upgrade"


@pytest.mark.parametrize(
    "changes",
    [
        {"Sec_WebSocket_Version": "8"},
        {"Sec_WebSocket_Version": "14"},
        {"Sec_WebSocket_Version": "013"},
        {"Sec_WebSocket_Version": ""},
        {"Upgrade": None},
        {"Upgrade": "h2c"},
        {"Upgrade": "websockets"},
    ],
    ids=str,
)
def test_another_version_or_no_upgrade_is_426(stranger, changes):
    stranger.send(stranger.request(**changes))
    response = refused(stranger, 426)
    assert response.headers["sec-websocket-version"] == "13"
    assert response.headers["upgrade"] == "websocket"


@pytest.mark.parametrize(
    "changes",
    [
        {"Sec_WebSocket_Version": None},
        {"Connection": None},
        {"Connection": "keep-alive"},
        {"Connection": "Upgrades"},
    ],
    ids=str,
)
def test_half_an_upgrade_is_400_or_426(stranger, changes):
    stranger.send(stranger.request(**changes))
    response = stranger.recv_response()
    check_refusal(response, response.status)
    assert response.status in (400, 426)


@pytest.mark.parametrize(
    "key",
    [
        None,
        "",
        "x",
        "dGhlIHNhbXBsZSBub25jZQ=",  # short of one =
        "dGhlIHNhbXBsZSBub25jZR==",  # stray bits before the =
        "dGhlIHNhbXBsZSBub25j",  # 15 bytes
        "dGhlIHNhbXBsZSBub25jZSE=",  # 17 bytes
        "dGhlIHNhbXBsZSB!b25jZQ==",
    ],
)
def test_a_missing_or_bad_key_is_400(stranger, key):
    stranger.send(stranger.request(Sec_WebSocket_Key=key))
    check_refusal(stranger.recv_response(), 400)


def test_two_keys_are_400(stranger):
    twice = f"{stranger.key}\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA=="
    stranger.send(stranger.request(Sec_WebSocket_Key=twice))
    check_refusal(stranger.recv_response(), 400)


@pytest.mark.parametrize("host", [None, "one\r\nHost: two"], ids=["none", "two"])
def test_a_missing_or_second_host_is_400(stranger, host):
    """RFC 9112, 3.2."""
    stranger.send(stranger.request(Host=host))
    check_refusal(stranger.recv_response(), 400)


@pytest.mark.parametrize(
    "garbage",
    [
        b"garbage\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(64),  # a TLS ClientHello
        b"\x00" * 100,
        frame(TEXT, b"no handshake at all"),
        b"GARBAGE /ws HTTP/1.1\r\nHost: x\r\n\r\n",
        b"get /ws HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET\r\n\r\n",
        b"GET /w s HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /ws HTTP/1.1\r\nHost\r\n\r\n",
        b"GET /ws HTTP/1.1\r\nHost : x\r\n\r\n",
        b"GET /ws HTTP/1.1\r\nHost: x\x00y\r\n\r\n",
        b"GET /ws HTTP/1.1\r\n\xff: x\r\n\r\n",
        b"GET /ws HTTP/1.1\r\nHost: x\r\nContent-Length: 1x\r\n\r\n",
        b"GET /ws HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        b"GET /ws HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"GET /ws ICE/1.1\r\nHost: x\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
    ],
)
def test_garbage_is_400(stranger, garbage):
    stranger.send(garbage)
    refused_and_closed(stranger, 400)


def test_garbage_without_end_is_400(stranger):
    """The answer arrives though the offender sent much more than was read."""
    stranger.send(b"\x00" * (1 << 20))
    check_refusal(stranger.recv_response(), 400)


@pytest.mark.parametrize("version", ["HTTP/2.0", "HTTP/3.0", "HTTP/0.9", "HTTP/1.9"])
def test_an_unsupported_http_version_is_505(stranger, version):
    stranger.send(stranger.request(version=version))
    refused_and_closed(stranger, 505)


def test_no_http_version_at_all_is_refused(stranger):
    """A request of HTTP/0.9."""
    stranger.send(b"GET /ws\r\n\r\n")
    assert stranger.recv_response().status in (400, 505)
    stranger.recv_eof()


def test_the_preface_of_http_2_is_refused(stranger):
    stranger.send(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
    response = stranger.recv_response()
    assert response.status in (400, 405, 505)
    stranger.recv_eof()


def test_http_1_0_cannot_upgrade(stranger):
    """RFC 6455, 4.1: the version must be at least 1.1. And HTTP/1.0 has no keep-alive."""
    stranger.send(stranger.request(version="HTTP/1.0"))
    assert stranger.recv_response().status in (400, 426, 505)
    stranger.recv_eof()


def test_connection_close_is_respected(stranger):
    stranger.send(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    refused_and_closed(stranger, 404)


# The size of a head


def test_a_head_within_the_limit_is_accepted(stranger):
    fields = {f"X_{i}": "x" * 180 for i in range(80)}
    request = stranger.request(**fields)
    assert HEAD_LIMIT - 2048 < len(request) < HEAD_LIMIT
    stranger.send(request)
    stranger.recv_accept()


def test_one_header_too_long_is_431_before_its_end(stranger):
    stranger.send(b"GET /ws HTTP/1.1\r\nHost: x\r\nX: " + b"x" * (HEAD_LIMIT + 1))
    refused_and_closed(stranger, 431)


def test_a_header_name_too_long_is_431(stranger):
    stranger.send(b"GET /ws HTTP/1.1\r\nHost: x\r\n" + b"x" * (HEAD_LIMIT + 1))
    refused_and_closed(stranger, 431)


def test_too_many_headers_are_431(stranger):
    """Sent a line at a time, so that no single read is over the limit."""
    stranger.send(b"GET /ws HTTP/1.1\r\nHost: x\r\n")
    line = b"X: " + b"x" * 59 + b"\r\n"
    for _ in range(HEAD_LIMIT // len(line)):
        stranger.send(line)
    check_refusal(stranger.recv_response(), 431)


def test_empty_headers_without_end_are_431(stranger):
    stranger.send(b"GET /ws HTTP/1.1\r\nHost: x\r\n" + b"a:\r\n" * (HEAD_LIMIT // 4))
    check_refusal(stranger.recv_response(), 431)


def test_a_target_too_long_is_414_before_its_end(stranger):
    stranger.send(b"GET /" + b"x" * (HEAD_LIMIT + 1))
    refused_and_closed(stranger, 414)


def test_blank_lines_before_a_request_have_a_limit(stranger):
    """A few are to be ignored (RFC 9112, 2.2), but not a stream of them."""
    try:
        for _ in range(512):
            stranger.send(b"\r\n" * 1024)
        assert stranger.recv_response().status in (400, 431)
    except (ConnectionError, rawws.ConnectionLost):
        pass  # closed without an answer is as good


# Requests that look odd and are right


def test_a_head_byte_by_byte_is_accepted(stranger):
    stranger.send_byte_by_byte(stranger.request())
    stranger.recv_accept()


@pytest.mark.parametrize(
    "changes",
    [
        {"Upgrade": "WebSocket"},
        {"Upgrade": "h2c, websocket"},
        {"Connection": "keep-alive, Upgrade"},
        {"Connection": "upgrade"},
        {"Connection": "keep-alive\r\nConnection: Upgrade"},
        {"Sec_WebSocket_Key": "  AAAAAAAAAAAAAAAAAAAAAA==\t "},
        {"Sec_WebSocket_Extensions": "permessage-deflate; client_max_window_bits, x-webkit"},
        {"Sec_WebSocket_Protocol": "chat, superchat"},
        {"Cookie": "x=" + "y" * 4000},
    ],
    ids=lambda changes: str(changes)[:60],
)
def test_what_real_clients_send_is_accepted(stranger, changes):
    """And no subprotocol is agreed on, and no extension that was not offered."""
    stranger.send(stranger.request(**changes))
    stranger.key = changes.get("Sec_WebSocket_Key", stranger.key).strip()
    headers = stranger.recv_accept().headers
    assert "sec-websocket-protocol" not in headers
    agreed = headers.get("sec-websocket-extensions", "").partition(";")[0]
    assert agreed == "" or agreed in changes.get("Sec_WebSocket_Extensions", "").split(";")[0]


def test_pipelined_requests_are_answered_in_order(stranger):
    plain = b"GET /other HTTP/1.1\r\nHost: x\r\n\r\n"
    no_upgrade = b"GET /ws HTTP/1.1\r\nHost: x\r\n\r\n"
    stranger.send(plain * 3 + no_upgrade + stranger.request() + frame(TEXT, b"in one packet"))
    for status in (404, 404, 404, 426):
        check_refusal(stranger.recv_response(), status)
    stranger.recv_accept()
    expect_message(stranger, "Message: in one packet")


def test_a_client_that_pipelines_and_never_reads_is_bounded(stranger, server):
    """Responses do not pile up in the server's memory."""
    before = server.rss_anon()
    stranger.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    send_until_stuck(stranger, b"GET /other HTTP/1.1\r\nHost: x\r\n\r\n" * 1000, 32 << 20)
    if not programs.SANITIZED:
        assert server.rss_anon() - before < 4 << 20


def test_frames_in_the_packet_of_the_request_are_heard(stranger):
    stranger.send(stranger.request() + frame(TEXT, b"one") + frame(BINARY, b"two"))
    stranger.recv_accept()
    expect_message(stranger, "Message: one")
    expect_message(stranger, b"two")


# Frames that break the protocol


def expect_message(client: Client, message: str | bytes) -> None:
    """Of what comes, what is not the bystanders' must be this."""
    for _ in rawws.turns():
        heard = client.recv_message()
        if not str(heard).startswith("Message: bystander"):
            assert heard == message
            return


def closes(client: Client, code: int) -> None:
    """A Close with this code comes, and then the end of TCP, whatever the client does."""
    assert client.recv_close()[0] == code
    client.recv_eof()


@pytest.mark.parametrize(
    "wire",
    [
        pytest.param(frame(TEXT, b"x", masked=False), id="unmasked"),
        pytest.param(frame(TEXT, b"", masked=False), id="unmasked and empty"),
        pytest.param(frame(TEXT, b"x", masked=False, declared=1 << 62), id="unmasked and long"),
        pytest.param(frame(CLOSE, close_body(1000), masked=False), id="unmasked Close"),
        pytest.param(frame(TEXT, b"x", rsv=4), id="RSV1"),
        pytest.param(frame(TEXT, b"x", rsv=2), id="RSV2"),
        pytest.param(frame(BINARY, b"x", rsv=1), id="RSV3"),
        pytest.param(frame(PING, b"x", rsv=4), id="ping with RSV1"),
        pytest.param(
            frame(TEXT, b"x", fin=False) + frame(CONTINUATION, b"y", rsv=4), id="second with RSV1"
        ),
        *[pytest.param(frame(op, b"x"), id=f"opcode {op}") for op in (3, 4, 5, 6, 7)],
        *[pytest.param(frame(op, b"x"), id=f"opcode {op}") for op in (11, 12, 13, 14, 15)],
        pytest.param(frame(PING, b"x", fin=False), id="fragmented ping"),
        pytest.param(frame(PONG, b"", fin=False), id="fragmented pong"),
        pytest.param(frame(CLOSE, b"", fin=False), id="fragmented Close"),
        pytest.param(frame(PING, b"x" * 126), id="long ping"),
        pytest.param(frame(PONG, b"x" * 65536), id="very long pong"),
        pytest.param(frame(CLOSE, close_body(1000, "x" * 124)), id="long Close"),
        pytest.param(frame(PING, b"x", length_bytes=2), id="ping with long length"),
        pytest.param(frame(TEXT, b"x" * 125, length_bytes=2), id="125 in 2 bytes"),
        pytest.param(frame(TEXT, b"", length_bytes=2), id="0 in 2 bytes"),
        pytest.param(frame(BINARY, b"x", length_bytes=8), id="1 in 8 bytes"),
        pytest.param(frame(BINARY, b"x" * 65535, length_bytes=8), id="65535 in 8 bytes"),
        pytest.param(frame(BINARY, b"x", declared=1 << 63), id="2^63 bytes"),
        pytest.param(frame(BINARY, b"x", declared=(1 << 64) - 1), id="2^64-1 bytes"),
        pytest.param(frame(CONTINUATION, b"x"), id="continuation of nothing"),
        pytest.param(frame(CONTINUATION, b"x", fin=False), id="fragment of nothing"),
        pytest.param(
            frame(TEXT, b"x") + frame(CONTINUATION, b"x"), id="continuation of what is whole"
        ),
        pytest.param(frame(TEXT, b"x", fin=False) + frame(TEXT, b"y"), id="text inside"),
        pytest.param(
            frame(TEXT, b"x", fin=False) + frame(PING) + frame(BINARY, b"", fin=False),
            id="binary inside",
        ),
        pytest.param(frame(CLOSE, b"\x03"), id="1-byte Close"),
        *[
            pytest.param(frame(CLOSE, close_body(code)), id=f"Close {code}")
            for code in (0, 1, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, 65535)
        ],
    ],
)
def test_a_breach_of_protocol_is_1002(offender, wire):
    offender.send(wire)
    closes(offender, PROTOCOL_ERROR)


INVALID_UTF8 = {
    "stray continuation byte": b"a\x80",
    "never a byte": b"a\xff",
    "overlong /": b"\xc0\xaf",
    "overlong in 3": b"\xe0\x80\x80",
    "overlong in 4": b"\xf0\x80\x80\x80",
    "surrogate": b"\xed\xa0\x80",
    "over 10FFFF": b"\xf4\x90\x80\x80",
    "5 bytes": b"\xf8\x88\x80\x80\x80",
    "broken off": b"\xe2\x82a",
    "after much ASCII": b"x" * 4095 + b"\xfe",
}


@pytest.mark.parametrize("text", INVALID_UTF8.values(), ids=INVALID_UTF8)
def test_invalid_utf8_is_1007(offender, text):
    offender.send_text("valid: grüße 🌍")
    expect_message(offender, "Message: valid: grüße 🌍")
    offender.send_frame(TEXT, text + b" and so on")
    closes(offender, INVALID_DATA)


@pytest.mark.parametrize("text", INVALID_UTF8.values(), ids=INVALID_UTF8)
def test_invalid_utf8_is_1007_at_once_mid_frame(offender, text):
    """The frame declares more than ever comes."""
    offender.send_frame(TEXT, text, declared=100_000)
    closes(offender, INVALID_DATA)


@pytest.mark.parametrize("text", INVALID_UTF8.values(), ids=INVALID_UTF8)
def test_invalid_utf8_is_1007_at_once_mid_message(offender, text):
    """The message is never ended, and each byte is a fragment."""
    offender.send_frame(TEXT, b"", fin=False)
    wire = [frame(CONTINUATION, text[i : i + 1], fin=False) for i in range(len(text))]
    offender.send(b"".join(wire))
    closes(offender, INVALID_DATA)


@pytest.mark.parametrize("text", [b"\xf4\x90", b"\xed\xa0", b"\xe0\x9f", b"\xf0\x8f", b"\xc1"])
def test_a_character_that_cannot_be_saved_is_1007_before_its_end(offender, text):
    offender.send_frame(TEXT, b"abc" + text, fin=False)
    closes(offender, INVALID_DATA)


@pytest.mark.parametrize("text", [b"\xe2\x82", b"abc\xf0\x9f\x8c", b"\xc3"])
def test_a_message_that_ends_within_a_character_is_1007(offender, text):
    offender.send_frame(TEXT, text[:1], fin=False)
    offender.send_frame(CONTINUATION, text[1:])
    closes(offender, INVALID_DATA)


@pytest.mark.parametrize("reason", [b"\xff", b"bad \xc0\xaf", b"cut off \xe2\x82"])
def test_invalid_utf8_in_a_close_reason_is_1007(offender, reason):
    offender.send_frame(CLOSE, close_body(1000, reason))
    closes(offender, INVALID_DATA)


def test_a_split_close_reason_is_checked_too(offender):
    wire = frame(CLOSE, close_body(1000, b"reason \xff"))
    offender.send_byte_by_byte(wire)
    closes(offender, INVALID_DATA)


@pytest.mark.parametrize(
    "declared", [(1 << 20) + 1, 1 << 32, (1 << 63) - 1], ids=["1M + 1", "4G", "2^63-1"]
)
@pytest.mark.parametrize("opcode", [TEXT, BINARY])
def test_a_message_too_big_is_1009_on_its_header(offender, opcode, declared):
    """Not a byte of the payload has to come."""
    offender.send_frame(opcode, declared=declared)
    closes(offender, TOO_BIG)


def test_fragments_too_big_together_are_1009_on_a_header(offender):
    for i in range(16):
        offender.send_frame(CONTINUATION if i else BINARY, bytes(1 << 16), fin=False)
    offender.send_frame(CONTINUATION, declared=1, fin=False)
    closes(offender, TOO_BIG)


def test_lengths_that_overflow_together_are_1009(offender):
    offender.send_frame(BINARY, b"x", fin=False)
    offender.send_frame(CONTINUATION, declared=(1 << 63) - 1, fin=False)
    closes(offender, TOO_BIG)


def test_empty_fragments_without_end_are_closed_and_use_nothing(offender, server):
    before = server.rss_anon()
    offender.send_frame(BINARY, fin=False)
    offender.send(frame(CONTINUATION, fin=False) * 10_000)
    assert offender.recv_close()[0] == 1008
    if not programs.SANITIZED:
        assert server.rss_anon() - before < 2 << 20


@pytest.mark.parametrize(
    ("wire", "code"),
    [
        (frame(3), PROTOCOL_ERROR),
        (frame(TEXT, b"\xff"), INVALID_DATA),
        (frame(BINARY, declared=1 << 40), TOO_BIG),
    ],
    ids=["1002", "1007", "1009"],
)
def test_the_close_arrives_though_the_offender_sends_on(offender, wire, code):
    """TCP must not be reset under the Close because more was sent than was read."""
    offender.send(wire + bytes(1 << 20))
    assert offender.recv_close()[0] == code


def test_what_comes_after_a_fault_is_not_heard(offender):
    offender.send(frame(TEXT, b"before") + frame(3) + frame(TEXT, b"after"))
    expect_message(offender, "Message: before")
    with pytest.raises(rawws.Closed):
        expect_message(offender, "")


def test_a_fault_keeps_what_was_said_before_it(server, offender):
    """A message and a fault in one packet: the message counts."""
    with server.client() as listener:
        offender.send(frame(TEXT, b"the last words") + frame(TEXT, b"x", masked=False))
        expect_message(listener, "Message: the last words")
    closes(offender, PROTOCOL_ERROR)


# Frames that look odd and are right


def test_frames_byte_by_byte_are_heard(offender):
    offender.send_byte_by_byte(frame(TEXT, "grüße 🌍".encode()) + frame(BINARY, b"x" * 200))
    expect_message(offender, "Message: grüße 🌍")
    expect_message(offender, b"x" * 200)


def test_fragments_are_put_together_with_pings_between(offender):
    text = "grüße 🌍".encode()
    offender.send_frame(TEXT, fin=False)
    for i in range(len(text)):
        offender.send_frame(CONTINUATION, text[i : i + 1], fin=False)
        offender.send_frame(PONG, b"unasked")
    offender.send_frame(CONTINUATION)
    expect_message(offender, "Message: grüße 🌍")


@pytest.mark.parametrize("size", [0, 1, 125])
def test_a_ping_is_answered_with_its_payload(offender, size):
    payload = os.urandom(size)
    offender.send_frame(TEXT, b"half", fin=False)
    offender.send_frame(PING, payload)
    for _ in rawws.turns():
        got = offender.recv_frame()
        if got.opcode == PONG:
            break
    assert got.payload == payload and got.fin and got.rsv == 0


@pytest.mark.parametrize("size", [0, 1, 125, 126, 127, 65535, 65536, 4096 * 3 + 1])
def test_every_form_of_length_is_heard(offender, size):
    data = os.urandom(size)
    offender.send_frame(BINARY, data)
    expect_message(offender, data)
    offender.send_frame(TEXT, b"x" * size)
    expect_message(offender, "Message: " + "x" * size)


@pytest.mark.parametrize("size", [116, 117, 65526, 65527])
def test_lengths_around_which_the_prefix_changes_the_form(offender, size):
    offender.send_frame(TEXT, b"x" * size)
    expect_message(offender, "Message: " + "x" * size)


@pytest.mark.parametrize("text", ["\x00", "\x7f", "\u0080", "\uffff", "\ufeffBOM", "\U0010ffff"])
def test_every_corner_of_unicode_is_text(offender, text):
    offender.send_text(text)
    expect_message(offender, f"Message: {text}")


# The closing handshake


@pytest.mark.parametrize(
    "code",
    [None, 1000, 1001, 1002, 1003, *range(1007, 1015), 3000, 3999, 4000, 4999],
)
def test_a_close_is_answered_with_its_code(offender, code):
    offender.send_close(code, "" if code is None else "grüße")
    assert offender.recv_close()[0] == code
    offender.recv_eof()


def test_what_comes_after_a_close_is_not_heard(server, offender):
    with server.client() as listener:
        offender.send(frame(TEXT, b"1") + frame(CLOSE, close_body(1000)) + frame(TEXT, b"2"))
        expect_message(listener, "Message: 1")
        assert offender.recv_close()[0] == 1000
        listener.send_text("3")
        expect_message(listener, "Message: 3")


def test_a_close_within_a_message_is_a_close(offender):
    offender.send(frame(TEXT, b"half", fin=False) + frame(CLOSE, close_body(1001)))
    closes(offender, 1001)


# Clients that vanish, and those that never read


@pytest.mark.parametrize("leave", [Client.disconnect, Client.reset], ids=["FIN", "RST"])
@pytest.mark.parametrize(
    "said",
    [
        pytest.param(b"", id="idle"),
        pytest.param(b"GET /ws HT", id="half a request"),
        pytest.param(b"\x81", id="half a header"),
        pytest.param(frame(TEXT, b"half", declared=8), id="half a frame"),
        pytest.param(frame(TEXT, b"x" * 70000, declared=140000), id="half a long frame"),
        pytest.param(frame(TEXT, b"half", fin=False), id="half a message"),
        pytest.param(frame(PING, b"x") * 100, id="pongs unread"),
    ],
)
def test_a_client_that_vanishes_leaves_nothing(server, bystanders, said, leave):
    bystanders.wait_round()
    before = server.descriptors()
    gone = Client(server.port)
    if not said.startswith(b"GET"):
        gone.upgrade()
    gone.send(said)
    leave(gone)
    programs.wait_until("the connection is gone", lambda: server.descriptors() == before)


def test_the_last_words_before_the_end_of_tcp_are_heard(server, offender):
    with server.client() as listener:
        offender.send_text("bye")
        offender.sock.shutdown(socket.SHUT_WR)
        expect_message(listener, "Message: bye")
        with pytest.raises(rawws.ConnectionLost):  # TCP is ended from the other side too
            for _ in rawws.turns():
                offender.recv_message()


def too_much() -> int:
    """More than the lag that is allowed and what the kernel holds, but not by much."""
    wmem = Path("/proc/sys/net/ipv4/tcp_wmem").read_text().split()
    return (16 << 20) + int(wmem[2]) + (4 << 20)


def publish(publisher: Client, size: int, total: int) -> None:
    """Publish total bytes in messages of this size, reading each back."""
    message = os.urandom(size)
    for _ in range(total // size):
        publisher.send_binary(message)
        expect_message(publisher, message)


def test_a_client_that_never_reads_is_closed_as_too_slow(server):
    """Beyond 16 MiB of lag; what it was sent until then is whole frames, then the Close."""
    with server.client(receive_buffer=8192) as lagging, server.client() as publisher:
        publish(publisher, 1 << 18, too_much())
        assert lagging.recv_close() == (POLICY, "too slow")
        lagging.recv_eof()


def test_a_client_that_never_reads_at_all_is_gone_in_the_end(server, bystanders):
    bystanders.wait_round()
    before = server.descriptors()
    with server.client(receive_buffer=8192), server.client() as publisher:
        publish(publisher, 1 << 18, too_much())
        programs.wait_until(
            "it is disconnected", lambda: server.descriptors() == before + 1, timeout=30
        )


def test_a_client_that_lags_less_is_not_closed(server):
    with server.client(receive_buffer=8192) as lagging, server.client() as publisher:
        publish(publisher, 1 << 18, 12 << 20)
        publisher.send_text("the end")
        heard = 0
        for _ in rawws.turns():
            message = lagging.recv_message()
            heard += isinstance(message, bytes)
            if message == "Message: the end":
                break
        assert heard == (12 << 20) >> 18


def test_a_client_that_pings_and_never_reads_is_bounded(server, offender):
    """Pongs do not pile up in the server's memory."""
    before = server.rss_anon()
    offender.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    send_until_stuck(offender, frame(PING, b"x" * 125) * 1000, 64 << 20)
    if not programs.SANITIZED:
        assert server.rss_anon() - before < 4 << 20


def send_until_stuck(client: Client, wire: bytes, limit: int) -> None:
    """Send wire again and again: to the limit, until nothing is taken for a second, or closed."""
    writable = select.poll()
    writable.register(client.sock, select.POLLOUT)
    sent = 0
    try:
        while sent < limit and writable.poll(1000):
            # what was cut off goes on where it was, so that the stream stays well-formed
            start = sent % len(wire)
            sent += client.sock.send(wire[start:], socket.MSG_DONTWAIT)
    except ConnectionError:
        pass


# Attacks on memory: however much an offender declares, compresses or repeats

GROWTH = 16 << 20  # bytes that the server may grow by, at its peak
BOMB = 100 << 20  # bytes, of which some 100 KiB are sent


@functools.cache
def bomb() -> bytes:
    """A compressed message of 100 KiB that inflates to 100 MiB."""
    wire = rawws.Deflater(level=9).deflate(bytes(BOMB))
    assert len(wire) < 120 << 10
    return wire


def in_fragments(wire: bytes, size: int, *, fin: bool = True) -> bytes:
    """A compressed message in fragments of that many bytes; without `fin` it never ends."""
    places = range(0, len(wire), size)
    return b"".join(
        frame(
            CONTINUATION if i else BINARY,
            wire[i : i + size],
            rsv=0 if i else 4,
            fin=fin and i == places[-1],
        )
        for i in places
    )


class Attack(NamedTuple):
    wire: Callable[[], bytes]
    code: int | None  # of the Close that it earns; None: it may go on
    compressed: bool = False
    flood: bool = False  # it earns that only by the limits on floods


ATTACKS = {
    "10,000 pings": Attack(lambda: frame(PING, b"x" * 125) * 10_000, POLICY, flood=True),
    "10,000 empty pings": Attack(lambda: frame(PING) * 10_000, POLICY, flood=True),
    "10,000 unsolicited pongs": Attack(lambda: frame(PONG, b"x") * 10_000, POLICY, flood=True),
    "10,000 empty fragments": Attack(
        lambda: frame(TEXT, fin=False) + frame(CONTINUATION, fin=False) * 10_000,
        POLICY,
        flood=True,
    ),
    "10,000 empty fragments of a compressed message": Attack(
        lambda: frame(TEXT, fin=False, rsv=4) + frame(CONTINUATION, fin=False) * 10_000,
        POLICY,
        compressed=True,
        flood=True,
    ),
    "10,000 pings within a message": Attack(
        lambda: frame(TEXT, fin=False) + frame(PING, b"x" * 125) * 10_000, POLICY, flood=True
    ),
    "10,000 compressed empty messages": Attack(
        lambda: frame(BINARY, b"\x00", rsv=4) * 10_000, None, True
    ),
    "a bomb": Attack(lambda: frame(BINARY, bomb(), rsv=4), TOO_BIG, True),
    "a bomb of text": Attack(lambda: frame(TEXT, bomb(), rsv=4), TOO_BIG, True),
    "a bomb in 10 fragments": Attack(lambda: in_fragments(bomb(), 10_240), TOO_BIG, True),
    "a bomb in 100,000 fragments": Attack(lambda: in_fragments(bomb(), 1), TOO_BIG, True),
    "a bomb without end": Attack(lambda: in_fragments(bomb(), 1000, fin=False), TOO_BIG, True),
    "a bomb after 10,000 messages": Attack(
        lambda: frame(BINARY, b"\x00", rsv=4) * 10_000 + frame(BINARY, bomb(), rsv=4), TOO_BIG, True
    ),
    "2^63-1 bytes declared": Attack(lambda: frame(TEXT, b"x", declared=(1 << 63) - 1), TOO_BIG),
    "2^63-1 bytes declared, compressed": Attack(
        lambda: frame(BINARY, bomb()[:100], declared=(1 << 63) - 1, rsv=4), TOO_BIG, True
    ),
    "2^63-1 bytes declared by a fragment": Attack(
        lambda: frame(TEXT, b"x", fin=False) + frame(CONTINUATION, declared=(1 << 63) - 1), TOO_BIG
    ),
}


def frames(client: Client) -> Iterator[rawws.Frame]:
    """What comes, frame by frame, compressed or not."""
    for _ in rawws.turns():
        yield client.recv_frame()


def wait_until_heard(offender: Client) -> None:
    """The server has read everything: it answers the very last ping."""
    offender.send_frame(PING, b"the very last")
    for got in frames(offender):
        assert got.opcode != CLOSE, got
        if got.opcode == PONG and got.payload == b"the very last":
            return


def close_code(offender: Client) -> int | None:
    """The code of the Close that comes after whatever comes before it."""
    return next(got.close_code for got in frames(offender) if got.opcode == CLOSE)


FLOODS_ALLOWED = ("--max-control-per-second", "0", "--max-empty-fragments", "0")


@pytest.mark.parametrize(
    "server", [(), FLOODS_ALLOWED], indirect=True, ids=["", "floods allowed"]
)
@pytest.mark.parametrize("name", ATTACKS)
def test_an_attack_on_memory_costs_next_to_none(server, bystanders, request, name):
    """The offender does not read until it has said it all. The bystanders notice nothing."""
    attack = ATTACKS[name]
    allowed = "floods allowed" in request.node.name
    wire = attack.wire()
    offer = {"Sec_WebSocket_Extensions": "permessage-deflate"} if attack.compressed else {}
    before = server.reset_peak()
    with Client(server.port, receive_buffer=4096) as offender:
        offender.upgrade(**offer)
        offender.send(wire)
        if attack.code is None or (attack.flood and allowed):
            bystanders.wait_round()
            wait_until_heard(offender)
        else:
            assert close_code(offender) == attack.code
            offender.recv_eof()
        bystanders.wait_round()
    if not programs.SANITIZED:
        assert server.peak_rss() - before < GROWTH


def test_twenty_bombs_at_once_cost_no_more_than_their_limits(server, bystanders):
    """Each may hold a message of 1 MiB at the most while it is inflated."""
    before = server.reset_peak()
    offenders = [
        Client(server.port).upgrade(Sec_WebSocket_Extensions="permessage-deflate")
        for _ in range(20)
    ]
    wire = in_fragments(bomb(), 100)  # each of some 100 KiB when it is inflated
    for start in range(0, 1600, 107):  # one of each in turn: all of them grow together
        for offender in offenders:
            offender.send(wire[start : start + 107])
    for offender in offenders:
        offender.send(wire[1605:])
    for offender in offenders:
        assert close_code(offender) == TOO_BIG
        offender.recv_eof()
        offender.disconnect()
    bystanders.wait_round()
    if not programs.SANITIZED:
        assert server.peak_rss() - before < 20 * (2 << 20) + GROWTH
