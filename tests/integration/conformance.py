"""What both programs must do on the wire, as tests that take one end of a connection.

The program under test has the other end, and echoes: `wsbroadcastd --prefix ''` with this one
client, or `wsrecv --echo` with this server. test_conformance_server.py and
test_conformance_client.py import these tests and say, in their fixtures, how to get connected:

peer            a connection without permessage-deflate
compressing     compressing(ours=..., theirs=...) is a connection with it

The numbers are those of the sections of the well-known public suite that the cases follow in
structure.
"""

from __future__ import annotations

import itertools
import os
import random
import socket
import time
import zlib
from collections.abc import Callable, Iterable
from typing import NamedTuple

import programs
import pytest
import rawws
from rawws import BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT, Peer, close_body

NORMAL, PROTOCOL_ERROR, INVALID_DATA, TOO_BIG = 1000, 1002, 1007, 1009
MIB = 1 << 20
SERVER_CLOSES_TCP_WITHIN = 2.0


class Side(NamedTuple):
    """What permessage-deflate's parameters say of one side's compressor; None: nothing."""

    bits: int | None = None
    no_takeover: bool = False

    def parameters(self, who: str) -> str:
        """They follow the extension's name; who is client or server."""
        return (f"; {who}_no_context_takeover" if self.no_takeover else "") + (
            f"; {who}_max_window_bits={self.bits}" if self.bits is not None else "")


# What is said and heard


def expect(peer: Peer, opcode: int, payload: bytes) -> None:
    """The next frame is this one, whole and plain."""
    got = peer.recv_frame()
    assert (got.opcode, got.fin, got.rsv) == (opcode, True, 0), str(got)[:200]
    assert got.payload == payload, (len(got.payload), got.payload[:100], payload[:100])


def recv_data(peer: Peer, *, strictly: bool = False) -> tuple[int, bytes, bool]:
    """The next message, in one frame: opcode, payload as it was meant, whether compressed."""
    got = peer.recv_frame()
    assert got.opcode in (TEXT, BINARY) and got.fin and got.rsv in (0, 4), str(got)[:200]
    if not got.rsv:
        return got.opcode, got.payload, False
    assert peer.inflater is not None, "compressed, though that was not agreed on"
    return got.opcode, peer.inflater.inflate(got.payload, strictly=strictly), True


def expect_data(peer: Peer, opcode: int, payload: bytes, *, strictly: bool = False) -> bool:
    """The next message is this one, compressed or not; answers which."""
    got, data, compressed = recv_data(peer, strictly=strictly)
    assert got == opcode and data == payload, (got, len(data), data[:100], payload[:100])
    return compressed


def still_there(peer: Peer) -> None:
    """A ping is answered, and nothing comes before that."""
    token = os.urandom(8)
    peer.send_frame(PING, token)
    expect(peer, PONG, token)


def recv_end_of_tcp(peer: Peer) -> None:
    """The end of TCP comes in time."""
    began = time.monotonic()
    peer.recv_eof()
    limit = SERVER_CLOSES_TCP_WITHIN * (3 if programs.SANITIZED else 1)
    assert time.monotonic() - began < limit


def exit_status_of(code: int | None) -> int:
    """How wsrecv ends when its server closes with this code."""
    return 0 if code in (None, 1000, 1001) else 8


def recv_close_frame(peer: Peer, code: int | None) -> rawws.Frame:
    """The next frame is a Close with this code."""
    got = peer.recv_frame()
    assert (got.opcode, got.fin, got.rsv) == (CLOSE, True, 0), str(got)[:200]
    assert got.close_code == code, (got.close_code, got.payload[2:])
    got.close_reason  # which is UTF-8
    return got


def fails(peer: Peer, code: int) -> None:
    """The peer is told off with this code at once, and TCP ends though it keeps it open."""
    peer.exit_status = 7
    recv_close_frame(peer, code)
    recv_end_of_tcp(peer)


def is_closed(peer: Peer, code: int | None) -> None:
    """Our Close is answered with its own code. If the other end is the server, it closes TCP."""
    peer.exit_status = exit_status_of(code)
    recv_close_frame(peer, code)
    if peer.masked:
        recv_end_of_tcp(peer)


def close(peer: Peer, code: int | None = NORMAL, reason: bytes = b"") -> None:
    """The whole closing handshake."""
    peer.send_close(code, reason)
    is_closed(peer, code)


# 1: framing

SIZES = [0, 1, 125, 126, 127, 128, 65535, 65536, MIB]


@pytest.mark.parametrize("size", SIZES)
def test_a_text_comes_back_as_it_was(peer, size):
    text = ("grüße 🌍 " * (size // 16 + 1)).encode()[:size].decode(errors="ignore").encode()
    text += b"." * (size - len(text))
    peer.send_frame(TEXT, text)
    expect(peer, TEXT, text)
    close(peer)


@pytest.mark.parametrize("size", SIZES)
def test_binary_comes_back_as_it_was(peer, size):
    data = os.urandom(size)
    peer.send_frame(BINARY, data)
    expect(peer, BINARY, data)
    close(peer)


@pytest.mark.parametrize(
    ("size", "chop"),
    [(0, 1), (1, 1), (125, 1), (126, 1), (127, 1), (128, 1), (65535, 997), (65536, 997)],
)
@pytest.mark.parametrize("opcode", [TEXT, BINARY], ids=["text", "binary"])
def test_a_message_comes_back_however_tcp_cuts_it(peer, opcode, size, chop):
    peer.send_chopped(peer.encode(opcode, b"x" * size), chop)
    expect(peer, opcode, b"x" * size)
    close(peer)


def test_messages_in_one_packet_come_back_in_order(peer):
    messages = [(random.choice([TEXT, BINARY]), b"%d" % i * (i % 200)) for i in range(300)]
    peer.send(b"".join(peer.encode(*message) for message in messages))
    for message in messages:
        expect(peer, *message)
    close(peer)


# 2: pings and pongs


@pytest.mark.parametrize(
    "data",
    [b"", b"x", b"Hello, world!", bytes([0, 255, 254, 253, 10, 0]), b"\xfe" * 125],
    ids=["empty", "1", "text", "binary", "125"],
)
@pytest.mark.parametrize("chop", [1, 1000], ids=["by octets", "whole"])
def test_a_ping_is_answered_with_its_data(peer, data, chop):
    peer.send_chopped(peer.encode(PING, data), chop)
    expect(peer, PONG, data)
    close(peer)


@pytest.mark.parametrize("chop", [1, 1 << 16], ids=["by octets", "in one packet"])
def test_ten_pings_are_all_answered_in_order(peer, chop):
    pings = [b"payload %d " % i + bytes(100) for i in range(10)]
    peer.send_chopped(b"".join(peer.encode(PING, ping) for ping in pings), chop)
    for ping in pings:
        expect(peer, PONG, ping)
    close(peer)


@pytest.mark.parametrize("data", [b"", b"unasked", b"\xff" * 125], ids=["empty", "text", "125"])
def test_an_unsolicited_pong_is_not_answered(peer, data):
    peer.send_frame(PONG, data)
    still_there(peer)
    peer.send(b"".join(peer.encode(PONG, data) for _ in range(10)))
    still_there(peer)
    peer.send_frame(TEXT, b"x")
    expect(peer, TEXT, b"x")
    close(peer)


# 3, 4, and what is wrong in 1, 2, 5 and 7: faults

OPCODES = {"continuation": 0, "text": 1, "binary": 2, "Close": 8, "ping": 9, "pong": 10}


def _faults() -> Iterable[tuple[str, Callable[[Peer], bytes]]]:
    """Name, and the bytes: what every one of them earns is 1002."""

    def one(*args: object, **how: object) -> Callable[[Peer], bytes]:
        return lambda peer: peer.encode(*args, **how)

    def both(*faults: Callable[[Peer], bytes]) -> Callable[[Peer], bytes]:
        return lambda peer: b"".join(fault(peer) for fault in faults)

    begin = one(TEXT, b"half", fin=False)
    for (name, opcode), rsv in itertools.product(OPCODES.items(), range(1, 8)):
        fault = one(opcode, b"" if opcode == CLOSE else b"x", rsv=rsv)
        yield f"RSV {rsv:03b} on {name}", both(begin, fault) if opcode == 0 else fault
    for opcode in [3, 4, 5, 6, 7, 11, 12, 13, 14, 15]:
        yield f"opcode {opcode}, empty", one(opcode)
        yield f"opcode {opcode}", one(opcode, b"payload")
        yield f"opcode {opcode} within a message", both(begin, one(opcode, b"payload"))
    for name in ("ping", "pong", "Close"):
        opcode = OPCODES[name]
        body = close_body(1000) if opcode == CLOSE else b"x"
        yield f"{name} in fragments", one(opcode, body, fin=False)
        yield f"empty {name} in fragments", one(opcode, fin=False)
        yield f"{name} of 126 bytes", one(opcode, body + b"x" * (126 - len(body)))
        yield f"{name} of 65536 bytes", one(opcode, body + b"x" * (65536 - len(body)))
        yield f"{name} with its length in 2 bytes", one(opcode, body, length_bytes=2)
        yield f"{name} with its length in 8 bytes", one(opcode, body, length_bytes=8)
    for name in ("text", "binary"):
        opcode = OPCODES[name]
        for size, length_bytes in [(0, 2), (125, 2), (0, 8), (126, 8), (65535, 8)]:
            fault = one(opcode, b"x" * size, length_bytes=length_bytes)
            yield f"{name} with length {size} in {length_bytes} bytes", fault
        for exponent in (63, 64):
            fault = one(opcode, b"x", declared=(1 << exponent) - (exponent == 64))
            yield f"{name} with the top bit of the length set ({exponent})", fault
        yield f"{name} within a message", both(begin, one(opcode, b"x"))
        yield f"{name} fragment within a message", both(begin, one(opcode, b"x", fin=False))
        yield f"empty {name} within a message", both(begin, one(opcode))
    yield "text within, after a pong", both(begin, one(PONG), one(TEXT, b"x"))
    for fin in (False, True):
        lonely = one(CONTINUATION, b"x", fin=fin)
        yield f"continuation of nothing, fin={fin}", lonely
        yield f"continuation of nothing, empty, fin={fin}", one(CONTINUATION, fin=fin)
        yield f"continuation of what is over, fin={fin}", both(
            begin, one(CONTINUATION, b" and half"), lonely
        )
    yield "Close with 1 byte", one(CLOSE, b"\x03")
    for name, opcode in OPCODES.items():
        body = close_body(1000) if opcode == CLOSE else b"x"

        def wrong_mask(peer: Peer, opcode: int = opcode, body: bytes = body) -> bytes:
            return peer.encode(opcode, body, masked=not peer.masked)

        yield f"{name} with the wrong mask bit", both(begin, wrong_mask) if not opcode else wrong_mask


FAULTS = dict(_faults())


@pytest.mark.parametrize("name", FAULTS)
def test_what_came_before_a_fault_is_answered_then_comes_1002(peer, name):
    """All of it in one packet; and what comes after the fault is not heard."""
    fault = FAULTS[name](peer)
    before = peer.encode(TEXT, b"before") + peer.encode(PING, b"ping") + peer.encode(BINARY, b"me")
    peer.send(before + fault + peer.encode(TEXT, b"after") + peer.encode(PING, b"after"))
    came = [(TEXT, b"before"), (PONG, b"ping"), (BINARY, b"me")]
    if "what is over" in name:
        came.append((TEXT, b"half and half"))
    heard = [peer.recv_frame()[:2] for _ in came]
    assert sorted(heard) == sorted(came)
    assert [frame for frame in heard if frame[0] != PONG] == [c for c in came if c[0] != PONG]
    fails(peer, PROTOCOL_ERROR)


@pytest.mark.parametrize("name", [name for name in FAULTS if "65536" not in name])
def test_a_fault_by_octets_is_1002(peer, name):
    fault = FAULTS[name](peer)
    if len(fault) > 300:
        pytest.skip("covered in one packet")
    peer.send_byte_by_byte(fault)
    if "what is over" in name:
        expect(peer, TEXT, b"half and half")
    fails(peer, PROTOCOL_ERROR)


@pytest.mark.parametrize(
    ("name", "size"),
    [
        ("RSV 100 on text", 2),
        ("RSV 010 on ping", 2),
        ("opcode 3", 2),
        ("opcode 15", 2),
        ("text with the wrong mask bit", 2),
        ("continuation of nothing, fin=True", 2),
        ("Close of 65536 bytes", 10),
        ("text with length 125 in 2 bytes", 8),
        ("binary with length 65535 in 8 bytes", 14),
        ("binary with the top bit of the length set (63)", 14),
    ],
)
def test_a_bad_header_is_1002_though_no_more_than_it_comes(peer, name, size):
    if not peer.masked and size > 2:
        size -= 4  # there is no masking key in it
    if name == "Close of 65536 bytes" and peer.masked:
        size += 4
    peer.send(FAULTS[name](peer)[:size])
    fails(peer, PROTOCOL_ERROR)


@pytest.mark.parametrize("backlog", [1, 50, 1000])
def test_a_backlog_before_a_fault_is_answered_whole(peer, backlog):
    data = os.urandom(1000)
    peer.send(peer.encode(BINARY, data) * backlog + peer.encode(3))
    for _ in range(backlog):
        expect(peer, BINARY, data)
    fails(peer, PROTOCOL_ERROR)


# 5: fragmentation


def fragments(peer: Peer, opcode: int, pieces: Iterable[bytes], rsv: int = 0) -> list[bytes]:
    """The frames of one message; the first bears rsv."""
    pieces = list(pieces)
    return [
        peer.encode(
            CONTINUATION if i else opcode,
            piece,
            fin=i == len(pieces) - 1,
            rsv=0 if i else rsv,
        )
        for i, piece in enumerate(pieces)
    ]


@pytest.mark.parametrize(
    "pieces",
    [
        pytest.param([b"one", b"two"], id="2"),
        pytest.param([b"", b""], id="2 empty"),
        pytest.param([b"", b"", b""], id="3 empty"),
        pytest.param([b"", b"middle", b""], id="empty ends"),
        pytest.param([b"start", b"", b"end"], id="empty middle"),
        pytest.param([b"x"] * 1000, id="1000 of 1"),
        pytest.param([b""] * 100 + [b"x"], id="100 empty"),
        pytest.param([b"x" * 65536] * 16, id="16 of 64 KiB"),
        pytest.param([b"x" * size for size in SIZES[:-1]], id="every length form"),
    ],
)
@pytest.mark.parametrize("opcode", [TEXT, BINARY], ids=["text", "binary"])
def test_fragments_make_one_message(peer, opcode, pieces):
    peer.send(b"".join(fragments(peer, opcode, pieces)))
    expect(peer, opcode, b"".join(pieces))
    close(peer)


@pytest.mark.parametrize("how", ["a frame at a time", "in one packet", "by octets"])
def test_control_frames_stand_anywhere_between_fragments(peer, how):
    """Three fragments, two pings and a pong, in all the orders that there are."""
    begun = fragments(peer, TEXT, ["grü".encode()[:3], "grü".encode()[3:] + b"\xc3", b"\x9fe"])
    controls = [peer.encode(PING, b"1"), peer.encode(PING, b"2"), peer.encode(PONG, b"3")]
    for places in itertools.permutations(range(6), 3):
        frames: list[bytes] = [b""] * 6
        for place, control in zip(places, controls):
            frames[place] = control
        rest = iter(begun)
        frames = [frame or next(rest) for frame in frames]
        if how == "in one packet":
            peer.send(b"".join(frames))
        elif how == "by octets":
            peer.send_byte_by_byte(b"".join(frames))
        else:
            for frame in frames:
                peer.send(frame)
        heard = [peer.recv_frame()[:2] for _ in range(3)]
        assert (TEXT, "grüße".encode()) in heard
        pongs = [payload for opcode, payload in heard if opcode == PONG]
        assert pongs == ([b"1", b"2"] if places[0] < places[1] else [b"2", b"1"])
    close(peer)


def test_a_ping_is_answered_while_a_message_is_unfinished(peer):
    for i in range(5):
        peer.send_frame(CONTINUATION if i else TEXT, b"fragment%d" % i, fin=i == 4)
        if i < 4:
            still_there(peer)
    expect(peer, TEXT, b"".join(b"fragment%d" % i for i in range(5)))
    close(peer)


# 6: UTF-8

VALID_UTF8 = {
    "ASCII": "Hello",
    "Greek": "κόσμε",
    "Latin": "Hello-µ@ßöäüàá-UTF-8!!",
    "first of 1": "\x00",
    "first of 2": "\x80",
    "first of 3": "\u0800",
    "first of 4": "\U00010000",
    "last of 1": "\x7f",
    "last of 2": "\u07ff",
    "last of 3": "\uffff",
    "last of 4": "\U0010ffff",
    "before the surrogates": "\ud7ff",
    "after the surrogates": "\ue000",
    "replacement": "\ufffd",
    "byte order mark": "\ufeffx",
    "noncharacters": "\ufffe\uffff\ufdd0\ufdef",
    "noncharacters of all planes": "".join(chr(p << 16 | e) for p in range(17) for e in (65534, 65535)),
    "bidirectional and C1": "\u202e\u2066\x85\x9b",
    "long": "grüße 🌍 κόσμε " * 400,
}

INVALID_UTF8 = {  # after Markus Kuhn's stress test, and what RFC 3629 adds
    "5 bytes, first": "f8 88 80 80 80",
    "6 bytes, first": "fc 84 80 80 80 80",
    "4 bytes, last of 21 bits": "f7 bf bf bf",
    "5 bytes, last": "fb bf bf bf bf",
    "6 bytes, last": "fd bf bf bf bf bf",
    "first beyond Unicode": "f4 90 80 80",
    "continuation byte, first": "80",
    "continuation byte, last": "bf",
    **{f"{n} continuation bytes": "80 bf " * (n // 2) + "80 " * (n % 2) for n in range(2, 8)},
    "all continuation bytes": " ".join(f"{b:02x}" for b in range(0x80, 0xC0)),
    **{f"lonely start {b:02x}": f"{b:02x} 20" for b in (0xC0, 0xC1, 0xC2, 0xDF, 0xE0, 0xE1, 0xEF)},
    **{f"lonely start {b:02x}": f"{b:02x} 20" for b in (*range(0xF0, 0xFE),)},
    "last of 2 missing, overlong": "c0",
    "last of 3 missing, overlong": "e0 80",
    "last of 4 missing, overlong": "f0 80 80",
    "last of 5 missing": "f8 80 80 80",
    "last of 6 missing": "fc 80 80 80 80",
    "last of 2 missing": "df",
    "last of 3 missing": "ef bf",
    "last of 4 missing, beyond": "f7 bf bf",
    "last of 4 missing": "f0 9f 8c",
    "last of 3 missing, within": "e2 82 41",
    "last of 4 missing, within": "f4 8f bf 41",
    "never a byte fe": "fe",
    "never a byte ff": "ff",
    "never bytes": "fe fe ff ff",
    "overlong / in 2": "c0 af",
    "overlong / in 3": "e0 80 af",
    "overlong / in 4": "f0 80 80 af",
    "overlong / in 5": "f8 80 80 80 af",
    "overlong / in 6": "fc 80 80 80 80 af",
    "largest overlong in 2": "c1 bf",
    "largest overlong in 3": "e0 9f bf",
    "largest overlong in 4": "f0 8f bf bf",
    "largest overlong in 5": "f8 87 bf bf bf",
    "largest overlong in 6": "fc 83 bf bf bf bf",
    "overlong NUL in 2": "c0 80",
    "overlong NUL in 3": "e0 80 80",
    "overlong NUL in 4": "f0 80 80 80",
    **{
        f"surrogate {code:04x}": chr(code).encode("utf-8", "surrogatepass").hex(" ")
        for code in (0xD800, 0xDB7F, 0xDB80, 0xDBFF, 0xDC00, 0xDF80, 0xDFFF)
    },
    **{
        f"surrogates {high:04x} {low:04x}": (chr(high) + chr(low))
        .encode("utf-8", "surrogatepass")
        .hex(" ")
        for high, low in [(0xD800, 0xDC00), (0xD800, 0xDFFF), (0xDBFF, 0xDC00), (0xDBFF, 0xDFFF)]
    },
    "κόσμε and a surrogate": "ce ba e1 bd b9 cf 83 ce bc ce b5 ed a0 80 65 64",
    "κόσμε and beyond Unicode": "ce ba e1 bd b9 cf 83 ce bc ce b5 f4 90 80 80 65 64",
    "after 4095 bytes": "61 " * 4095 + "ff",
    "across 4096 bytes": "61 " * 4095 + "e2 28 a1",
}


def fatal_octet(data: bytes) -> int | None:
    """The index of the first octet after which nothing can make the text valid any more.

    After table 3-7 of the Unicode standard, as Python's own decoder takes ED A0 in good faith.
    """
    seconds = {0xE0: (0xA0, 0xBF), 0xED: (0x80, 0x9F), 0xF0: (0x90, 0xBF), 0xF4: (0x80, 0x8F)}
    missing, low, high = 0, 0x80, 0xBF
    for i, octet in enumerate(data):
        if missing:
            if not low <= octet <= high:
                return i
            missing, low, high = missing - 1, 0x80, 0xBF
        elif octet >= 0x80:
            if not 0xC2 <= octet <= 0xF4:
                return i
            missing = 1 + (octet >= 0xE0) + (octet >= 0xF0)
            low, high = seconds.get(octet, (0x80, 0xBF))
    return None


@pytest.mark.parametrize("name", VALID_UTF8)
def test_valid_text_comes_back_wherever_it_is_cut(peer, name):
    text = VALID_UTF8[name].encode()
    peer.send_frame(TEXT, text)
    expect(peer, TEXT, text)
    for cut in range(len(text) + 1)[:60]:
        peer.send(b"".join(fragments(peer, TEXT, [text[:cut], text[cut:]])))
        expect(peer, TEXT, text)
    octets = [text[i : i + 1] for i in range(len(text))][:3000]
    cut_short = b"".join(octets).decode(errors="ignore").encode()
    peer.send(b"".join(fragments(peer, TEXT, octets[: len(cut_short)])))
    expect(peer, TEXT, cut_short)
    peer.send_byte_by_byte(peer.encode(TEXT, text[:200].decode(errors="ignore").encode()))
    expect(peer, TEXT, text[:200].decode(errors="ignore").encode())
    close(peer)


@pytest.mark.parametrize("name", INVALID_UTF8)
def test_invalid_text_is_1007(peer, name):
    peer.send_frame(TEXT, b"before")
    peer.send_frame(TEXT, bytes.fromhex(INVALID_UTF8[name]))
    expect(peer, TEXT, b"before")
    fails(peer, INVALID_DATA)


@pytest.mark.parametrize("name", INVALID_UTF8)
def test_invalid_text_is_1007_at_its_first_bad_octet_in_fragments(peer, name):
    """An octet earlier there is still hope, and the connection stands."""
    text = bytes.fromhex(INVALID_UTF8[name])
    fatal = fatal_octet(text)
    good = text[:fatal]
    peer.send_frame(TEXT, good, fin=False)
    still_there(peer)
    if fatal is None:
        peer.send_frame(CONTINUATION)
    else:
        peer.send_frame(CONTINUATION, text[fatal : fatal + 1], fin=False)
    fails(peer, INVALID_DATA)


@pytest.mark.parametrize("name", INVALID_UTF8)
def test_invalid_text_is_1007_at_its_first_bad_octet_within_a_frame(peer, name):
    """The frame declares more, which never comes; and the text comes octet-wise."""
    text = bytes.fromhex(INVALID_UTF8[name])
    fatal = fatal_octet(text)
    if fatal is None:
        text, fatal = text + b"A", len(text)
    wire = peer.encode(TEXT, text[: fatal + 1], declared=fatal + 1000)
    peer.send(wire[:-4])
    peer.send_byte_by_byte(wire[-4:])
    fails(peer, INVALID_DATA)


def test_binary_is_not_held_to_utf8(peer):
    for text in INVALID_UTF8.values():
        peer.send_frame(BINARY, bytes.fromhex(text))
        expect(peer, BINARY, bytes.fromhex(text))
    close(peer)


# 7: the closing handshake


def is_valid_code(code: int) -> bool:
    """RFC 6455, 7.4, and 1012 to 1014 of IANA's registry since."""
    return 3000 <= code <= 4999 or (1000 <= code <= 1014 and code not in (1004, 1005, 1006))


CODES = [
    *(0, 1, 125, 126, 255, 256, 998, 999),
    *range(1000, 1018),
    *(1099, 1100, 1999, 2000, 2001, 2998, 2999, 3000, 3001, 3333, 3998, 3999),
    *(4000, 4001, 4444, 4998, 4999, 5000, 5001, 9999, 32768, 65535),
]


@pytest.mark.parametrize("code", CODES)
def test_a_valid_close_code_is_answered_with_itself_another_with_1002(peer, code):
    peer.send_close(code, "reason")
    if is_valid_code(code):
        is_closed(peer, code)
    else:
        fails(peer, PROTOCOL_ERROR)


def test_a_close_without_code_is_answered_without_one(peer):
    peer.send_frame(CLOSE)
    is_closed(peer, None)


@pytest.mark.parametrize("reason", ["", "x", "grüße 🌍", "x" * 123, "ü" * 61])
@pytest.mark.parametrize("chop", [1, 1000], ids=["by octets", "whole"])
def test_a_close_with_a_reason_is_answered(peer, reason, chop):
    peer.send_chopped(peer.encode(CLOSE, close_body(3000, reason)), chop)
    is_closed(peer, 3000)


@pytest.mark.parametrize(
    "name", [name for name in INVALID_UTF8 if len(bytes.fromhex(INVALID_UTF8[name])) <= 110]
)
def test_a_close_reason_that_is_not_utf8_is_1007(peer, name):
    peer.send_close(1000, b"reason: " + bytes.fromhex(INVALID_UTF8[name]))
    fails(peer, INVALID_DATA)


@pytest.mark.parametrize("cut", range(1, 15))
def test_a_close_reason_is_checked_though_it_comes_in_two_reads(peer, cut):
    wire = peer.encode(CLOSE, close_body(1000, b"ab\xce\xba\xe1\xbd\xff"))
    peer.send(wire[:cut])
    peer.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    time.sleep(0.001)  # the two halves are to be read apart, as far as that can be had
    peer.send(wire[cut:])
    fails(peer, INVALID_DATA)


@pytest.mark.parametrize("what", [TEXT, BINARY, PING, PONG, CLOSE, 3], ids=str)
@pytest.mark.parametrize("how", ["in the same packet", "later"])
def test_what_comes_after_a_close_is_not_heard(peer, what, how):
    after = peer.encode(what, close_body(1001) if what == CLOSE else b"after")
    first = peer.encode(TEXT, b"before") + peer.encode(CLOSE, close_body(1000))
    peer.send(first + (after if how == "in the same packet" else b""))
    expect(peer, TEXT, b"before")
    if how == "later":
        recv_close_frame(peer, NORMAL)
        peer.exit_status = 0
        peer.send(after)
        if peer.masked:
            recv_end_of_tcp(peer)
    else:
        is_closed(peer, NORMAL)


def test_a_close_within_a_message_is_answered_and_the_rest_is_not_heard(peer):
    peer.send(
        peer.encode(TEXT, b"half", fin=False)
        + peer.encode(CLOSE, close_body(1000))
        + peer.encode(CONTINUATION, b"half")
    )
    is_closed(peer, NORMAL)


def test_what_came_before_a_close_is_answered_first(peer):
    data = os.urandom(65536)
    for _ in range(8):
        peer.send_frame(BINARY, data)
    peer.send_frame(PING, b"last")
    peer.send_close(1000)
    heard = [peer.recv_frame()[:2] for _ in range(9)]
    assert sorted(heard) == sorted([(BINARY, data)] * 8 + [(PONG, b"last")])
    is_closed(peer, NORMAL)


def test_a_close_and_the_end_of_tcp_in_one_go_are_a_closing_handshake(peer):
    peer.send_close(1000)
    peer.sock.shutdown(socket.SHUT_WR)
    peer.exit_status = 0
    recv_close_frame(peer, NORMAL)
    recv_end_of_tcp(peer)


@pytest.mark.parametrize(
    "said",
    [b"", b"\x81", b"\x81\x85abc", b"\x01\x80abcd", b"\x88\x82abcd\x6a"],
    ids=["between frames", "half a header", "half a mask", "half a message", "half a Close"],
)
@pytest.mark.parametrize("how", ["FIN", "RST"])
def test_tcp_that_ends_without_a_close_is_a_lost_connection(peer, said, how):
    if not peer.masked and said:
        said = bytes([said[0], said[1] & 0x7F]) if len(said) > 1 else said
    if said:
        peer.send(said)
    peer.exit_status = 6
    if how == "RST":
        peer.reset()
        return
    peer.sock.shutdown(socket.SHUT_WR)
    recv_end_of_tcp(peer)


# 9 and 10: many, large, in small pieces


@pytest.mark.parametrize("opcode", [TEXT, BINARY], ids=["text", "binary"])
def test_a_mebibyte_in_chops_of_64_bytes(peer, opcode):
    data = b"0123456789abcdef" * (MIB // 16)
    peer.send_chopped(peer.encode(opcode, data), 64)
    expect(peer, opcode, data)
    close(peer)


@pytest.mark.parametrize("size", [64, 256, 1300, 4096, 65536])
@pytest.mark.parametrize("opcode", [TEXT, BINARY], ids=["text", "binary"])
def test_a_message_in_fragments_of_one_size(peer, opcode, size):
    data = b"0123456789abcdef" * (MIB // 64)
    pieces = [data[i : i + size] for i in range(0, len(data), size)]
    peer.send(b"".join(fragments(peer, opcode, pieces)))
    expect(peer, opcode, data)
    close(peer)


@pytest.mark.parametrize("size", [0, 16, 256, 1024])
def test_a_thousand_messages_one_after_the_other(peer, size):
    data = b"x" * size
    for _ in range(1000):
        peer.send_frame(TEXT, data)
        expect(peer, TEXT, data)
    close(peer)


# 12 and 13: permessage-deflate


def payload_of(size: int) -> bytes:
    """Something that compresses well, and refers back near and far; it is text, too."""
    words = random.Random(size)
    out = bytearray()
    while len(out) < size:
        out += b'{"seq":%d,"user":"%08x"}' % (len(out), words.getrandbits(8))
    return bytes(out[:size])


def send_compressed(peer: Peer, opcode: int, data: bytes, pieces: int = 1, chop: int = 0) -> None:
    """As a compressed message in that many fragments."""
    assert peer.deflater is not None
    wire = peer.deflater.deflate(data)
    size = max(1, -(-len(wire) // pieces))
    parts = [wire[i : i + size] for i in range(0, len(wire), size)]
    frames = b"".join(fragments(peer, opcode, parts, rsv=4))
    peer.send_chopped(frames, chop or len(frames))


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("opcode", [TEXT, BINARY], ids=["text", "binary"])
def test_a_compressed_message_comes_back_as_it_was(compressing, opcode, size):
    peer = compressing()
    data = payload_of(size)
    send_compressed(peer, opcode, data)
    compressed = expect_data(peer, opcode, data)
    assert compressed == (size >= 128), "small messages go out as they are"
    peer.send_frame(opcode, data)  # the same, not compressed, which is as good
    expect_data(peer, opcode, data)
    close(peer)


@pytest.mark.parametrize("size", [1, 127, 128, 1000, 65536, MIB])
def test_an_incompressible_message_comes_back_as_it_was(compressing, size):
    peer = compressing()
    data = os.urandom(size)
    send_compressed(peer, BINARY, data)
    expect_data(peer, BINARY, data)
    close(peer)


@pytest.mark.parametrize("no_takeover", [False, True], ids=["takeover", "no takeover"])
@pytest.mark.parametrize("bits", [None, *range(8, 16)])
def test_every_window_of_ours_is_followed(compressing, bits, no_takeover):
    """Repetitions lie as far back as the window allows; the last message leans on the first."""
    peer = compressing(ours=Side(bits, no_takeover))
    reach = (1 << max(bits or 15, 9)) - 262
    block = random.Random(bits).randbytes(reach)
    for data in (block, block, block * 2 + b"x", b"", block):
        send_compressed(peer, BINARY, data)
        expect_data(peer, BINARY, data)
    close(peer)


@pytest.mark.parametrize("no_takeover", [False, True], ids=["takeover", "no takeover"])
@pytest.mark.parametrize("bits", [None, *range(8, 16)])
def test_no_more_than_the_window_we_ask_for_is_needed(compressing, bits, no_takeover):
    """What comes is inflated with that window and not a byte more."""
    peer = compressing(theirs=Side(bits, no_takeover))
    window = 1 << (bits or 15)
    rand = random.Random(bits)
    near, edge, far = (rand.randbytes(window + d) for d in (-window // 3, -7, 41))
    for data in (near * 3, edge * 2, far * 2, payload_of(3 * window), near + far[:100] + near):
        peer.send_frame(BINARY, data)
        expect_data(peer, BINARY, data, strictly=len(data) < 140_000)
    close(peer)


def test_context_is_taken_over_from_message_to_message(compressing):
    """By us: the second is a mere reference to the first."""
    peer = compressing()
    data = os.urandom(1000)
    for i in range(20):
        wire = peer.deflater.deflate(data)
        assert i == 0 or len(wire) < 50
        peer.send_frame(BINARY, wire, rsv=4)
        expect_data(peer, BINARY, data)
        peer.send_frame(TEXT, b"plain, between")
        expect_data(peer, TEXT, b"plain, between")
    close(peer)


def test_a_reference_to_a_message_before_is_1007_where_none_was_agreed_on(compressing):
    peer = compressing(ours=Side(no_takeover=True))
    data = os.urandom(1000)
    lying = rawws.Deflater(takeover=True)
    peer.send_frame(BINARY, lying.deflate(data), rsv=4)
    expect_data(peer, BINARY, data)
    peer.send_frame(BINARY, lying.deflate(data), rsv=4)
    fails(peer, INVALID_DATA)


def test_messages_of_all_kinds_mixed(compressing):
    """Compressed or not, fragmented or not, control frames between, with and without takeover."""
    rand = random.Random(7692)
    for no_takeover in (False, True):
        peer = compressing(ours=Side(no_takeover=no_takeover))
        for _ in range(200):
            data = payload_of(rand.randrange(3000))
            opcode = rand.choice([TEXT, BINARY])
            if rand.random() < 0.3:
                peer.send(b"".join(fragments(peer, opcode, [data[:100], data[100:]])))
            else:
                send_compressed(peer, opcode, data, rand.choice([1, 2, 7]))
            expect_data(peer, opcode, data)
        close(peer)


@pytest.mark.parametrize("pieces", [2, 3, 10, 1 << 20], ids=["2", "3", "10", "octets"])
def test_a_compressed_message_may_be_fragmented_anywhere(compressing, pieces):
    peer = compressing()
    for data in (b"Hello", b"", payload_of(2000), "grüße 🌍".encode() * 50):
        send_compressed(peer, TEXT, data, pieces)
        expect_data(peer, TEXT, data)
        send_compressed(peer, TEXT, data, pieces, chop=1)
        expect_data(peer, TEXT, data)
    close(peer)


def test_control_frames_stand_between_compressed_fragments(compressing):
    peer = compressing()
    data = payload_of(500)
    wire = peer.deflater.deflate(data)
    parts = fragments(peer, TEXT, [wire[:1], b"", wire[1:20], wire[20:], b""], rsv=4)
    for part in parts[:-1]:
        peer.send(part)
        still_there(peer)
    peer.send(parts[-1])
    expect_data(peer, TEXT, data)
    close(peer)


RFC_EXAMPLES = {  # RFC 7692, 7.2.3
    "one block": ("f2 48 cd c9 c9 07 00", b"Hello"),
    "no compression": ("00 05 00 fa ff 48 65 6c 6c 6f 00", b"Hello"),
    "final block": ("f3 48 cd c9 c9 07 00 00", b"Hello"),
    "two blocks": ("f2 48 05 00 00 00 ff ff ca c9 c9 07 00", b"Hello"),
    "empty": ("00", b""),
    "empty fixed": ("02 00", b""),
    "final block, empty, then more": ("03 00 f2 48 cd c9 c9 07 00", b"Hello"),
    "two final blocks": ("f3 48 cd c9 c9 07 00 f3 48 cd c9 c9 07 00 00", b"HelloHello"),
    "many empty blocks": ("00 00 00 ff ff " * 200 + "f2 48 cd c9 c9 07 00", b"Hello"),
}


@pytest.mark.parametrize("name", RFC_EXAMPLES)
@pytest.mark.parametrize("pieces", [1, 1 << 20], ids=["whole", "by octets"])
def test_every_way_to_write_a_deflate_stream_is_read(compressing, name, pieces):
    peer = compressing()
    wire, data = bytes.fromhex(RFC_EXAMPLES[name][0]), RFC_EXAMPLES[name][1]
    size = max(1, len(wire) // pieces)
    parts = [wire[i : i + size] for i in range(0, len(wire), size)]
    for _ in range(2):  # and the next message finds everything in order
        peer.send(b"".join(fragments(peer, TEXT, parts, rsv=4)))
        expect_data(peer, TEXT, data)
    close(peer)


def test_the_context_outlives_a_final_block(compressing):
    """RFC 7692, 7.2.3.2 and 7.2.3.4: the second message refers to the first."""
    peer = compressing()
    peer.send_frame(TEXT, bytes.fromhex("f3 48 cd c9 c9 07 00 00"), rsv=4)
    expect_data(peer, TEXT, b"Hello")
    peer.send_frame(TEXT, bytes.fromhex("f2 00 11 00 00"), rsv=4)
    expect_data(peer, TEXT, b"Hello")
    close(peer)


def _deflate_faults() -> Iterable[tuple[str, Callable[[Peer], bytes]]]:
    """Name, and bytes that break the rules of frames where compression was agreed on."""
    hello = bytes.fromhex("f2 48 cd c9 c9 07 00")

    def one(*args: object, **how: object) -> Callable[[Peer], bytes]:
        return lambda peer: peer.encode(*args, **how)

    def after_begin(fault: Callable[[Peer], bytes], rsv: int) -> Callable[[Peer], bytes]:
        begin = hello[:2] if rsv else b"he"
        return lambda peer: peer.encode(TEXT, begin, fin=False, rsv=rsv) + fault(peer)

    for name in ("ping", "pong", "Close"):
        yield f"RSV1 on {name}", one(OPCODES[name], rsv=4)
        yield f"RSV1 on {name} within", after_begin(one(OPCODES[name], rsv=4), 4)
    for rsv in (0, 4):
        kind = "a compressed message" if rsv else "a plain message"
        yield f"RSV1 on the end of {kind}", after_begin(one(0, hello[2:], rsv=4), rsv)
        yield f"RSV1 on a middle of {kind}", after_begin(one(0, hello[2:4], rsv=4, fin=False), rsv)
    for rsv in (1, 2, 3, 5, 6, 7):
        yield f"RSV {rsv:03b}", one(TEXT, hello, rsv=rsv)
        yield f"RSV {rsv:03b} on continuation", after_begin(one(0, hello[2:], rsv=rsv), 4)
    yield "RSV1 on opcode 3", one(3, hello, rsv=4)
    yield "continuation with RSV1 of nothing", one(0, hello, rsv=4)
    yield "compressed within compressed", after_begin(one(TEXT, hello, rsv=4), 4)


DEFLATE_FAULTS = dict(_deflate_faults())


@pytest.mark.parametrize("name", DEFLATE_FAULTS)
def test_reserved_bits_out_of_place_are_1002_with_compression_too(compressing, name):
    peer = compressing()
    peer.send(peer.encode(TEXT, b"before") + DEFLATE_FAULTS[name](peer))
    expect_data(peer, TEXT, b"before")
    fails(peer, PROTOCOL_ERROR)


BROKEN_DEFLATE = {
    "reserved block type": b"\x07\x00\x00\x00\x00",
    "reserved block type, later": bytes.fromhex("f2 48 05 00 00 00 ff ff 07 00"),
    "stored length does not match": b"\x00\x05\x00\x00\x00Hello\x00",
    "stored block too short": b"\x00\x0a\x00\xf5\xffHello",
    "distance beyond the start": bytes.fromhex("f2 00 11 00 00"),
    "cut off in a block": zlib.compress(payload_of(1000), 9)[2:-100],
    "text": b"this is not deflated at all, but it says so",
    "zeros": b"\x00" * 20,
    "a zlib header": zlib.compress(b"Hello"),
    "a gzip header": b"\x1f\x8b\x08\x00" + bytes(20),
    "bad code lengths": b"\x04\xff\xff\xff\xff\xff\xff\xff\xff\xff",
    "ones": b"\xff" * 50,
    "garbage after a final block": bytes.fromhex("f3 48 cd c9 c9 07 00 ff ff ff ff"),
}


@pytest.mark.parametrize("name", BROKEN_DEFLATE)
@pytest.mark.parametrize("pieces", [1, 1 << 20], ids=["whole", "by octets"])
def test_a_broken_deflate_stream_is_1007(compressing, name, pieces):
    peer = compressing()
    wire = BROKEN_DEFLATE[name]
    size = max(1, len(wire) // pieces)
    parts = [wire[i : i + size] for i in range(0, len(wire), size)]
    peer.send(peer.encode(TEXT, b"before") + b"".join(fragments(peer, BINARY, parts, rsv=4)))
    expect_data(peer, TEXT, b"before")
    fails(peer, INVALID_DATA)


def test_a_compressed_message_of_no_bytes_at_all_is_no_deflate_stream(compressing):
    """RFC 7692, 7.2.3.6: an empty message has one byte."""
    peer = compressing()
    peer.send_frame(TEXT, b"", rsv=4)
    fails(peer, INVALID_DATA)


@pytest.mark.parametrize("name", INVALID_UTF8)
def test_invalid_text_is_1007_when_inflated(compressing, name):
    peer = compressing()
    send_compressed(peer, TEXT, b"before")
    send_compressed(peer, TEXT, b"x" * 200 + bytes.fromhex(INVALID_UTF8[name]))
    expect_data(peer, TEXT, b"before")
    fails(peer, INVALID_DATA)


def test_invalid_inflated_text_is_1007_before_the_message_ends(compressing):
    peer = compressing()
    wire = peer.deflater.deflate(b"x" * 200 + b"\xff") + rawws.DEFLATE_TAIL
    peer.send_frame(TEXT, wire, rsv=4, fin=False)
    fails(peer, INVALID_DATA)


def test_compressed_binary_is_not_held_to_utf8(compressing):
    peer = compressing()
    data = b"\xff\xfe" * 500
    send_compressed(peer, BINARY, data)
    assert expect_data(peer, BINARY, data)
    close(peer)


@pytest.mark.parametrize("pieces", [1, 2, 50])
@pytest.mark.parametrize("beyond", [1, 4096, 32 * MIB], ids=["1", "4096", "much"])
@pytest.mark.parametrize("opcode", [TEXT, BINARY], ids=["text", "binary"])
def test_what_inflates_beyond_the_limit_is_1009(compressing, opcode, beyond, pieces):
    peer = compressing()
    send_compressed(peer, opcode, bytes(peer.max_message + beyond), pieces)
    fails(peer, TOO_BIG)


def test_what_inflates_to_the_very_limit_is_not_too_big(compressing):
    peer = compressing()
    for pieces in (1, 3):
        send_compressed(peer, BINARY, bytes(peer.max_message), pieces)
        # whether what comes back is compressed depends on how fast this machine does it
        expect_data(peer, BINARY, bytes(peer.max_message))
    close(peer)


def test_incompressible_bytes_of_the_very_limit_are_not_too_big(compressing):
    """What counts is the size after inflating; stored blocks are a little longer."""
    peer = compressing()
    data = random.Random(1).randbytes(peer.max_message)
    peer.deflater = rawws.Deflater(level=0)
    send_compressed(peer, BINARY, data)
    expect_data(peer, BINARY, data)
    close(peer)


@pytest.mark.parametrize("opcode", [TEXT, BINARY], ids=["text", "binary"])
def test_a_plain_message_of_the_very_limit_is_not_too_big_one_byte_more_is_1009(peer, opcode):
    data = b"x" * peer.max_message
    peer.send_frame(opcode, data)
    expect(peer, opcode, data)
    peer.send_frame(opcode, data[: MIB // 2], fin=False)
    peer.send_frame(CONTINUATION, declared=peer.max_message - MIB // 2 + 1)
    fails(peer, TOO_BIG)


@pytest.mark.parametrize("declared", [(1 << 63) - 1, 1 << 62, 1 << 40], ids=["2^63-1", "2^62", "1T"])
@pytest.mark.parametrize("rsv", [0, 4], ids=["plain", "compressed"])
def test_a_declared_length_beyond_the_limit_is_1009_at_once(compressing, declared, rsv):
    peer = compressing()
    peer.send_frame(BINARY, declared=declared, rsv=rsv)
    fails(peer, TOO_BIG)
