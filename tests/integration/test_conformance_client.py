"""wsrecv on the wire: wsrecv --echo sends back every message it gets, until its server closes.

The cases of conformance.py, and those that only a client can be held to.
"""

from __future__ import annotations

import base64
import collections
import functools
import os
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import conformance
import programs
import pytest
import rawws
from conformance import *  # noqa: F403 - the tests that are common to both programs
from conformance import Side, close, expect, fails, is_closed, payload_of
from rawws import (
    BINARY,
    CLOSE,
    CONTINUATION,
    PING,
    PONG,
    TEXT,
    Deflater,
    Inflater,
    ServerPeer,
    close_body,
)

PMD = "permessage-deflate"


@pytest.fixture
def answer(wsrecv) -> Iterator[Callable[..., ServerPeer]]:
    """answer(option, ..., header=value, ...) is the server's end of a connection of wsrecv --echo.

    After the test wsrecv ends: with peer.exit_status, which is 6 (the connection was lost) unless
    the test, or what it calls, has said otherwise. It has printed nothing.
    """
    peers: list[ServerPeer] = []

    def answer_one(*options: str, **changes: str | None) -> ServerPeer:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            listener.settimeout(rawws.TIMEOUT)
            url = f"ws://127.0.0.1:{listener.getsockname()[1]}/ws"
            program = wsrecv("--echo", *options, url)
            sock, _ = listener.accept()
        peer = ServerPeer(sock)
        peers.append(peer)
        peer.program, peer.url = program, url
        peer.exit_status = 6
        peer.max_message = 16 * conformance.MIB
        if "raw" not in changes:
            peer.request = peer.accept(**changes)
        return peer

    yield answer_one
    for peer in peers:
        peer.disconnect()
    for peer in peers:
        said = peer.program.read_rest()  # to its end, as Popen.wait sleeps longer than need be
        peer.program.wait(peer.exit_status)
        assert said == ""


@pytest.fixture
def peer(answer) -> ServerPeer:
    return answer()


@pytest.fixture
def compressing(answer) -> Callable[..., ServerPeer]:
    """A server that has agreed on permessage-deflate: ours is the server's side of it."""

    def accept(ours: Side = Side(), theirs: Side = Side()) -> ServerPeer:
        agreed = PMD + ours.parameters("server") + theirs.parameters("client")
        peer = answer(Sec_WebSocket_Extensions=agreed)
        peer.deflater = Deflater(ours.bits or 15, takeover=not ours.no_takeover)
        peer.inflater = Inflater(theirs.bits or 15, takeover=not theirs.no_takeover)
        return peer

    return accept


# 4.1 of RFC 6455: the client's opening handshake


def test_the_request_has_what_rfc_6455_wants_once_each(peer):
    """recv_head has made sure that no field comes twice."""
    headers = dict(peer.request.headers)
    assert peer.request.start == "GET /ws HTTP/1.1"
    assert headers.pop("host") == peer.url.split("/")[2]
    assert headers.pop("upgrade").lower() == "websocket"
    assert [token.strip() for token in headers.pop("connection").lower().split(",")] == ["upgrade"]
    assert headers.pop("sec-websocket-version") == "13"
    key = headers.pop("sec-websocket-key")
    assert len(base64.b64decode(key, validate=True)) == 16 and len(key) == 24
    ((name, parameters),) = rawws.parse_extensions(headers.pop("sec-websocket-extensions"))
    assert name == PMD and set(parameters) <= {
        "client_max_window_bits",
        "server_max_window_bits",
        "client_no_context_takeover",
        "server_no_context_takeover",
    }
    assert set(headers) <= {"user-agent"}, "a client that is no browser sends no Origin or cookies"
    close(peer)


def test_every_connection_has_a_fresh_key(answer):
    keys = {answer().request.headers["sec-websocket-key"] for _ in range(20)}
    assert len(keys) == 20
    octets = b"".join(base64.b64decode(key) for key in keys)
    assert len(set(octets)) > 100, "320 random octets have some 180 values"


def test_no_compression_offers_nothing_and_takes_nothing(answer):
    peer = answer("--no-compression")
    assert "sec-websocket-extensions" not in peer.request.headers
    peer.send_frame(TEXT, b"x" * 1000)
    expect(peer, TEXT, b"x" * 1000)
    peer.send_frame(TEXT, Deflater().deflate(b"x"), rsv=4)
    fails(peer, 1002)


def test_own_frames_leave_in_the_order_in_which_they_were_caused(peer):
    """Whatever comes in one read: no echo overtakes the answer to a ping that came before it."""
    peer.send(
        peer.encode(TEXT, b"un", fin=False)
        + peer.encode(PING, b"1")
        + peer.encode(CONTINUATION, b"cut")
        + peer.encode(TEXT, b"whole")
        + peer.encode(PING, b"2")
        + peer.encode(PING, b"3")
        + peer.encode(TEXT, b"last")
    )
    heard = [peer.recv_frame()[:2] for _ in range(6)]
    assert heard == [(PONG, b"1"), (TEXT, b"uncut"), (TEXT, b"whole"), (PONG, b"2"), (PONG, b"3"),
                     (TEXT, b"last")]  # fmt: skip
    close(peer)


def test_nothing_but_the_request_is_sent_before_the_response(answer):
    """Neither frames nor another request, though messages wait to be sent."""
    peer = answer("-m", "waits", raw=None)
    request = peer.recv_head()
    peer.sock.settimeout(0.1)
    with pytest.raises(TimeoutError):
        peer.recv_exactly(1)
    peer.sock.settimeout(rawws.TIMEOUT)
    accept = rawws.accept_of(request.headers["sec-websocket-key"])
    peer.send(
        b"HTTP/1.1 101 x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: " + accept.encode() + b"\r\n\r\n"
    )
    expect(peer, TEXT, b"waits")
    close(peer)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"Upgrade": "WebSocket"},
        {"Connection": "keep-alive, UPGRADE"},
        {"Connection": "keep-alive\r\nConnection: Upgrade"},
        {"Server": "anything", "Date": "whenever", "Set_Cookie": "a=b\r\nSet-Cookie: c=d"},
        {"Sec_WebSocket_Extensions": PMD},
        {"Sec_WebSocket_Extensions": f"{PMD}; server_no_context_takeover"},
        {"Sec_WebSocket_Extensions": f"{PMD}; client_no_context_takeover"},
        {"Sec_WebSocket_Extensions": f"{PMD}; server_max_window_bits=8"},
        {"Sec_WebSocket_Extensions": f'{PMD}; client_max_window_bits="15"'},
        {
            "Sec_WebSocket_Extensions": f"{PMD}; client_max_window_bits=9; server_max_window_bits=9;"
            "server_no_context_takeover;client_no_context_takeover"
        },
    ],
    ids=str,
)
@pytest.mark.parametrize("chop", [1, 10_000], ids=["by octets", "whole"])
def test_a_good_response_is_taken(answer, changes, chop):
    peer = answer(raw=None)
    send = peer.send
    peer.send = lambda data: peer.send_chopped(data, chop)
    peer.accept(**changes)
    peer.send = send
    peer.send_frame(TEXT, b"x")
    expect(peer, TEXT, b"x")
    close(peer)


@pytest.mark.parametrize(
    "changes",
    [
        {"Upgrade": None},
        {"Upgrade": ""},
        {"Upgrade": "h2c"},
        {"Upgrade": "websocket2"},
        {"Connection": None},
        {"Connection": "keep-alive"},
        {"Connection": "Upgrade-Insecure"},
        {"Sec_WebSocket_Accept": None},
        {"Sec_WebSocket_Accept": ""},
        {"Sec_WebSocket_Accept": "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="},
        {"Sec_WebSocket_Accept": "key"},
        {"Sec_WebSocket_Accept": "lower"},
        {"Sec_WebSocket_Accept": "twice"},
        {"Sec_WebSocket_Protocol": "chat"},
        {"Sec_WebSocket_Protocol": ""},
        {"Sec_WebSocket_Extensions": "foo"},
        {"Sec_WebSocket_Extensions": ""},
        {"Sec_WebSocket_Extensions": "permessage-bzip2"},
        {"Sec_WebSocket_Extensions": f"{PMD}, {PMD}"},
        {"Sec_WebSocket_Extensions": f"{PMD}, foo"},
        {"Sec_WebSocket_Extensions": f"{PMD}\r\nSec-WebSocket-Extensions: {PMD}"},
        {"Sec_WebSocket_Extensions": f"{PMD};"},
        {"Sec_WebSocket_Extensions": f"{PMD}; unknown"},
        {"Sec_WebSocket_Extensions": f"{PMD}; client_max_window_bits"},
        {"Sec_WebSocket_Extensions": f"{PMD}; server_max_window_bits"},
        *[
            {"Sec_WebSocket_Extensions": f"{PMD}; {who}_max_window_bits={bits}"}
            for who in ("client", "server")
            for bits in ("7", "16", "0", "08", "x", "")
        ],
        {"Sec_WebSocket_Extensions": f"{PMD}; server_no_context_takeover=1"},
        {"Sec_WebSocket_Extensions": f"{PMD}; client_no_context_takeover=true"},
        {
            "Sec_WebSocket_Extensions": f"{PMD}; server_no_context_takeover; "
            "server_no_context_takeover"
        },
        {"Sec_WebSocket_Extensions": f"{PMD}; server_max_window_bits=9; server_max_window_bits=9"},
    ],
    ids=str,
)
def test_a_101_that_does_not_answer_the_request_is_7_and_a_message_with_it_unheard(answer, changes):
    peer = answer(raw=None)
    request = peer.recv_head()
    accept = rawws.accept_of(request.headers["sec-websocket-key"])
    fields = {"Upgrade": "websocket", "Connection": "Upgrade", "Sec_WebSocket_Accept": accept}
    changes = dict(changes)
    if changes.get("Sec_WebSocket_Accept") in ("key", "lower", "twice"):
        changes["Sec_WebSocket_Accept"] = {
            "key": request.headers["sec-websocket-key"],
            "lower": accept.lower(),
            "twice": f"{accept}\r\nSec-WebSocket-Accept: {accept}",
        }[changes["Sec_WebSocket_Accept"]]
    lines = [
        f"{name.replace('_', '-')}: {value}"
        for name, value in (fields | changes).items()
        if value is not None
    ]
    head = "\r\n".join(["HTTP/1.1 101 Switching Protocols", *lines, "", ""])
    peer.send(head.encode() + peer.encode(TEXT, b"must not be answered"))
    peer.exit_status = 7
    with pytest.raises(rawws.ConnectionLost):
        peer.recv_exactly(1)
    assert "Connected" not in peer.program.wait(7).stderr


@pytest.mark.parametrize("changes", [{"Sec_WebSocket_Extensions": PMD}], ids=str)
def test_an_extension_that_was_not_offered_is_7(answer, changes):
    peer = answer("--no-compression", **changes)
    peer.exit_status = 7


@pytest.mark.parametrize(
    "status",
    ["200 OK", "204 No Content", "301 Moved", "401 Unauthorized", "403 Forbidden", "404 Not Found"]
    + ["426 Upgrade Required", "500 Oops", "503 Busy", "299 Odd", "599 Odd"],
)
def test_any_other_status_than_101_is_5(answer, status):
    """Any final one: test_request.py has those that are interim."""
    peer = answer(raw=None)
    peer.recv_head()
    peer.send(f"HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n".encode())
    peer.exit_status = 5
    peer.program.wait(5)
    assert status[:3] in peer.program.stderr


@pytest.mark.parametrize(
    "response",
    [
        b"garbage\r\n\r\n",
        b"HTTP/1.1 abc\r\n\r\n",
        b"HTTP/1.1 10 x\r\n\r\n",
        b"HTTP/1.1 1011 x\r\n\r\n",
        b"http/1.1 101 x\r\n\r\n",
        b"HTTP/2.0 101 x\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"HTTP/1.1 101 x\r\nUpgrade\r\n\r\n",
        b"HTTP/1.1 101 x\r\nUp grade: x\r\n\r\n",
        b"HTTP/1.1 101 x\r\nX: a\x00b\r\n\r\n",
        b"HTTP/1.1 101 x\r\n folded: x\r\n\r\n",
        b"HTTP/1.1 101 x\r\nX: " + b"x" * 20_000 + b"\r\n\r\n",
        b"HTTP/1.1 101 x\r\n" + b"X: x\r\n" * 300 + b"\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(64),
        rawws.frame(TEXT, b"no handshake at all", masked=False),
    ],
    ids=lambda response: repr(response[:30]),
)
def test_a_response_that_is_not_http_is_7(answer, response):
    peer = answer(raw=None)
    peer.recv_head()
    peer.send(response)
    peer.exit_status = 7
    peer.program.wait(7)


@pytest.mark.parametrize("chop", [1, 10_000], ids=["by octets", "in one packet"])
def test_frames_that_come_with_the_response_are_heard(answer, chop):
    """Compressed ones too, and the Close that ends it all."""
    peer = answer(raw=None)
    wire = peer.encode(TEXT, b"one") + peer.encode(PING, b"two")
    wire += peer.encode(BINARY, Deflater().deflate(payload_of(500)), rsv=4)
    wire += peer.encode(CLOSE, close_body(1000))
    send = peer.send
    peer.send = lambda head: peer.send_chopped(head + wire, chop)
    peer.accept(Sec_WebSocket_Extensions=PMD)
    peer.send = send
    peer.inflater = Inflater()
    heard = [peer.recv_frame() for _ in range(3)]
    assert (PONG, b"two") in [got[:2] for got in heard]
    one, three = [got for got in heard if got.opcode != PONG]
    assert one.payload == b"one"
    assert peer.inflater.inflate(three.payload) == payload_of(500)
    is_closed(peer, 1000)


# 5.3: masking


@pytest.mark.parametrize("compress", [False, True], ids=["plain", "compressed"])
def test_every_frame_has_a_masking_key_of_its_own(answer, compress):
    """Of 3000 keys none comes twice but by a very odd chance, and all their octets vary.

    recv_frame makes sure that each frame is masked: messages, empty ones, pongs and the Close.
    """
    peer = answer(**{"Sec_WebSocket_Extensions": PMD} if compress else {})
    keys = []
    for i in range(1000):
        peer.send(
            peer.encode(TEXT, b"x" * (i % 300))
            + peer.encode(PING, b"x")
            + peer.encode(BINARY, b"")
        )
        keys += [peer.recv_frame().masking_key for _ in range(3)]
    peer.send_close(1000)
    keys.append(conformance.recv_close_frame(peer, 1000).masking_key)
    peer.exit_status = 0
    twice = sum(n - 1 for n in collections.Counter(keys).values())
    assert twice <= 1  # 3001^2 / 2 / 2^32 = 0.001 are to be expected
    for place in range(4):
        assert len({key[place] for key in keys}) > 240
    steps = [(int.from_bytes(b, "big") - int.from_bytes(a, "big")) for a, b in zip(keys, keys[1:])]
    assert len(set(steps)) > 2990, "keys that follow from one another"


def test_masking_keys_differ_from_run_to_run(answer):
    keys = []
    for _ in range(10):
        peer = answer()
        peer.send_frame(TEXT, b"x")
        keys.append(peer.recv_frame().masking_key)
    assert len(set(keys)) == 10


# 7: closing, from wsrecv's end


def test_wsrecv_leaves_tcp_to_its_server_but_not_for_ever(answer):
    """RFC 6455, 7.1.1: after both Closes the server ends TCP; wsrecv waits, for seconds."""
    peer = answer()
    peer.send_close(1000)
    is_closed(peer, 1000)
    began = time.monotonic()
    peer.sock.settimeout(1)
    with pytest.raises(TimeoutError):
        peer.sock.recv(1)  # it does not end it first
    peer.program.wait(0, timeout=5 if not programs.SANITIZED else 20)
    assert time.monotonic() - began >= 1


def test_wsrecv_closes_with_1000_after_its_count(answer):
    """And does not echo what comes between its own Close and the server's."""
    peer = answer("-n", "2")
    peer.send(b"".join(peer.encode(TEXT, b"%d" % i) for i in range(4)))
    expect(peer, TEXT, b"0")
    expect(peer, TEXT, b"1")
    conformance.recv_close_frame(peer, 1000)
    peer.send_frame(TEXT, b"late")
    peer.send_close(1000)
    peer.exit_status = 0


@pytest.mark.parametrize("how", ["never", "another code", "a fault", "FIN", "RST"])
def test_however_its_close_is_answered_wsrecv_ends_with_0(answer, how):
    peer = answer("-n", "1")
    peer.send_frame(TEXT, b"x")
    expect(peer, TEXT, b"x")
    conformance.recv_close_frame(peer, 1000)
    peer.exit_status = 0
    if how == "another code":
        peer.send_close(4000, "reason")
    elif how == "a fault":
        peer.send_frame(3)
    elif how == "FIN":
        peer.sock.shutdown(socket.SHUT_WR)
    elif how == "RST":
        peer.reset()
    if how in ("never", "a fault"):
        peer.program.wait(0, timeout=6 if not programs.SANITIZED else 20)


def test_a_server_that_reads_nothing_does_not_swell_wsrecv(answer):
    """--echo stops reading while what it owes cannot go out; then all of it comes back."""
    peer = answer()
    data = os.urandom(1 << 16)
    peer.sock.setblocking(False)
    wire, sent = peer.encode(BINARY, data), 0
    try:
        while sent < 256 << 20:
            sent += peer.sock.send(wire[sent % len(wire) :])
            began = time.monotonic()
    except BlockingIOError:
        peer.sock.settimeout(0.5)
        try:
            while sent < 256 << 20:
                sent += peer.sock.send(wire[sent % len(wire) :])
        except TimeoutError:
            pass
    assert sent < 256 << 20 and began
    if not programs.SANITIZED:
        assert peer.program.rss_anon() < 8 << 20
    peer.sock.settimeout(rawws.TIMEOUT)
    for _ in range(sent // len(wire)):
        expect(peer, BINARY, data)


@pytest.mark.parametrize("rsv", [0, 4], ids=["plain", "compressed"])
def test_a_declared_length_alone_takes_no_memory(answer, rsv):
    peer = answer(Sec_WebSocket_Extensions=PMD)
    conformance.still_there(peer)
    before = peer.program.reset_peak()
    peer.send_frame(BINARY, b"\x02\x00", declared=16 << 20, rsv=rsv)
    programs.wait_until("it has read that", lambda: has_read_all(peer.sock))
    if not programs.SANITIZED:
        assert peer.program.peak_rss() - before < 1 << 20
    peer.sock.shutdown(socket.SHUT_WR)
    conformance.recv_end_of_tcp(peer)


def has_read_all(sock: socket.socket) -> bool:
    """The program at the other end, on this machine, has nothing more to read."""
    ends = [f":{end[1]:04X}" for end in (sock.getpeername(), sock.getsockname())]
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        _, local, remote, _, queues, *_ = line.split()
        if [local[-5:], remote[-5:]] == ends:
            return queues.endswith(":00000000")
    return False


def test_ten_thousand_pings_of_a_server_that_does_not_read_are_no_burden(answer):
    """The newest is answered, whatever became of the others (RFC 6455, 5.5.3)."""
    peer = answer()
    conformance.still_there(peer)
    before = peer.program.reset_peak()
    for _ in range(10):
        peer.send(peer.encode(PING, b"x" * 125) * 1000)
    peer.send_frame(PING, b"the newest")
    for _ in rawws.turns():
        got = peer.recv_frame()
        assert got.opcode == PONG
        if got.payload == b"the newest":
            break
    if not programs.SANITIZED:
        assert peer.program.peak_rss() - before < 4 << 20
    close(peer)


@functools.cache
def bomb() -> bytes:
    """What would inflate to 100 MiB."""
    return Deflater(level=9).deflate(bytes(100 << 20))


@pytest.mark.parametrize("pieces", [1, 100])
def test_a_bomb_costs_wsrecv_no_more_than_its_limit(compressing, pieces):
    peer = compressing()
    conformance.still_there(peer)
    wire = bomb()
    before = peer.program.reset_peak()
    size = -(-len(wire) // pieces)
    parts = [wire[i : i + size] for i in range(0, len(wire), size)]
    peer.send(b"".join(conformance.fragments(peer, BINARY, parts, rsv=4)))
    conformance.recv_close_frame(peer, 1009)
    peak = peer.program.peak_rss()  # it is still there: it waits for us to end TCP
    peer.exit_status = 7
    conformance.recv_end_of_tcp(peer)
    if not programs.SANITIZED:
        assert peak - before < 2 * (16 << 20) + (4 << 20)
