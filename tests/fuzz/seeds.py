#!/usr/bin/python3
"""Writes the seed corpus, corpus/HARNESS/NAME: run it after adding a seed here, and commit both.

A seed is what stands on the wire, and then the choices of its harness, which are told at the top of
each fuzz_HARNESS.c.
"""

import pathlib
import struct
import zlib

CORPUS = pathlib.Path(__file__).parent / "corpus"
KEY = bytes.fromhex("37fa213d")
PIECES = 0x4A  # the choice of a harness that has no other: cut here and there


def seed(harness, name, data):
    path = CORPUS / harness / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


def crlf(text):
    return text.strip().replace("\n", "\r\n").encode() + b"\r\n\r\n"


# ---- tokens ----

HEADER = '{"alg":"HS256","typ":"JWT"}'
CLAIMS = (
    '{"sub":"alice","exp":2000000000,"nbf":1,"iss":"us","aud":["feed"],'
    '"subscribe":["news/*","**","="],"publish":[]}'
)
seed("token", "signed", f"{HEADER}\n{CLAIMS}".encode() + b"\1")
seed("token", "mercure", (HEADER + '\n{"exp":2e9,"mercure":{"subscribe":["*"],"publish":["a"]}}')
     .encode() + b"\1")
seed("token", "crit", b'{"alg":"HS256","crit":["exp"],"kid":"a"}\n{"exp":1e10}\1')
seed("token", "unsigned", b"eyJhbGciOiJub25lIn0.eyJleHAiOjIwMDAwMDAwMDB9.\0")
seed("token", "query", b"a=b&access_token=abc%2Ed; session=\"x.y.z\"\2")

# ---- event streams, and JSON for people ----

seed("event_parser", "events", b"\xef\xbb\xbf: hello\r\nretry: 250\n\nid: 1-2\nevent: news\ndata: a\n"
     b"data\ndata:b\n\nid\ndata: c\r\rdata: not ended\3")
seed("event_parser", "too_long", b"data: " + b"x" * 120 + b"\n\n\7")
seed("json_view", "object", b' {"a": [1.50, -2e3, true, null, {}, []], "b\\u001b": "x \\"\\\\ y"} ')
seed("json_view", "terminal", '["\u009b31m", "\u2028", "\u202e", "\x7f", "ü 漢"]'.encode())
# ---- the state of an upgrade ----


def piece(name, data):
    return struct.pack("<HI", name, len(data)) + data


NUMBER = piece(2, struct.pack("<Q", 1000))
RECORD = piece(1, piece(1, b"news") + NUMBER + piece(3, b"more"))
END = piece(0, b"")
seed("state", "whole", RECORD + piece(2, b"") + END + b"\1")
seed("state", "header", b"WSBSTATE" + struct.pack("<I", 1) + RECORD + END + b"\0")
seed("state", "cut", RECORD[:-1] + b"\1")
seed("state", "duplicate", piece(1, NUMBER + NUMBER) + END + b"\1")

# ---- heads ----

REQUEST = """
GET /ws HTTP/1.1
Host: localhost:8000
Upgrade: websocket
Connection: keep-alive, Upgrade
Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==
Sec-WebSocket-Version: 13
"""
RESPONSE = """
HTTP/1.1 101 Switching Protocols
Upgrade: websocket
Connection: Upgrade
Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=
"""
OFFER = "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\n"
ANSWER = "Sec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover\n"

REQUESTS = {
    "right": REQUEST,
    "offers_compression": REQUEST + OFFER,
    "offers_twice": REQUEST + OFFER + OFFER,
    "offers_nonsense": REQUEST + "Sec-WebSocket-Extensions: ;;=\n",
    "absolute_form": REQUEST.replace("/ws", "ws://localhost/ws?x=1"),
    "asterisk_form": REQUEST.replace("GET /ws", "OPTIONS *"),
    "fragment": REQUEST.replace("/ws", "/ws#x"),
    "http_1_0": REQUEST.replace("HTTP/1.1", "HTTP/1.0"),
    "http_2_0": REQUEST.replace("HTTP/1.1", "HTTP/2.0"),
    "http_2_preface": "PRI * HTTP/2.0\n\nSM",
    "http_0_9": "GET /ws",
    "head": "HEAD /ws HTTP/1.1\nHost: a",
    "post_with_body": "POST /ws HTTP/1.1\nHost: a\nContent-Length: 3\n\nabc",
    "chunked": "POST /ws HTTP/1.1\nHost: a\nTransfer-Encoding: chunked\n\n0\n",
    "two_lengths": "GET /ws HTTP/1.1\nHost: a\nContent-Length: 3\nContent-Length: 4",
    "length_and_chunked": "GET / HTTP/1.1\nHost: a\nContent-Length: 3\nTransfer-Encoding: chunked",
    "length_of_2_64": "GET / HTTP/1.1\nHost: a\nContent-Length: 18446744073709551616",
    "elsewhere": REQUEST.replace("/ws", "/elsewhere"),
    "not_an_upgrade": "GET /ws HTTP/1.1\nHost: a\nConnection: close",
    "no_host": REQUEST.replace("Host", "Hose"),
    "empty_host": REQUEST.replace("localhost:8000", ""),
    "two_hosts": REQUEST + "Host: b\n",
    "version_8": REQUEST.replace("Version: 13", "Version: 8"),
    "two_versions": REQUEST + "Sec-WebSocket-Version: 13\n",
    "no_version": REQUEST.replace("Sec-WebSocket-Version", "X"),
    "no_key": REQUEST.replace("Sec-WebSocket-Key", "X"),
    "two_keys": REQUEST + "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\n",
    "short_key": REQUEST.replace("dGhl", ""),
    "stray_bits_in_key": REQUEST.replace("ZQ==", "ZZ=="),
    "no_connection": REQUEST.replace("Connection", "X"),
    "lists_over_fields": REQUEST + "Connection: , ,x\nUpgrade: h2c,\twebsocket\n",
    "empty_values": "GET / HTTP/1.1\nHost:\nA: \nB:\t \nC:x ",
    "folded": "GET / HTTP/1.1\nHost: a\nX: one\n two\n\tthree",
    "space_before_colon": "GET / HTTP/1.1\nHost : a",
    "empty_name": "GET / HTTP/1.1\nHost: a\n: x",
    "control_bytes": "GET / HTTP/1.1\nHost: a\x01\x7f\nX: \x00",
    "obs_text": "GET /\xe4 HTTP/1.1\nHost: \xe4",
    "origin": REQUEST + "Origin: http://localhost:1",
    "origin_elsewhere": REQUEST + "Origin: https://evil.example",
    "origin_null": REQUEST + "Origin: null",
    "two_origins": REQUEST + "Origin: http://localhost\nOrigin: http://localhost",
    "not_http": "GET /ws ICE/1.1\nHost: a",
    "many_fields": "GET / HTTP/1.1\n" + "".join(f"a{i}: {i}\n" for i in range(201)),
    "long_target": "GET /" + "x" * 8200 + " HTTP/1.1",
    "long_head": "GET / HTTP/1.1\nHost: a\n" + ("X: " + "y" * 500 + "\n") * 34,
}
RESPONSES = {
    "right": RESPONSE,
    "compression": RESPONSE + ANSWER,
    "all_parameters": RESPONSE + ANSWER.rstrip() + "; client_no_context_takeover; "
    "server_max_window_bits=8; client_max_window_bits=15\n",
    "client_bits_without_value": RESPONSE + ANSWER.rstrip() + "; client_max_window_bits\n",
    "two_answers": RESPONSE + ANSWER + ANSWER,
    "unknown_extension": RESPONSE + "Sec-WebSocket-Extensions: x-webkit-deflate-frame\n",
    "wrong_accept": RESPONSE.replace("s3p", "S3P"),
    "two_accepts": RESPONSE + "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\n",
    "no_upgrade": RESPONSE.replace("Upgrade: websocket", "X: y"),
    "two_upgrades": RESPONSE + "Upgrade: websocket\n",
    "no_connection": RESPONSE.replace("Connection", "X"),
    "subprotocol": RESPONSE + "Sec-WebSocket-Protocol: chat\n",
    "forbidden": "HTTP/1.1 403 Forbidden\nContent-Length: 2\n\nno",
    "no_reason": "HTTP/1.1 404",
    "reason_with_escapes": "HTTP/1.1 500 \x1b[31m\xc2\x9b\xe2\x80\xae\xff",
    "redirect": "HTTP/1.1 302 Found\nLocation: /",
    "http_1_0": "HTTP/1.0 200 OK",
    "http_2_0": "HTTP/2.0 200 OK",
    "not_http": "SSH-2.0-OpenSSH_9.2",
    "status_of_four_digits": "HTTP/1.1 1010 OK",
    "continue_first": "HTTP/1.1 100 Continue",
}


def text_bytes(text):
    head = text.strip("\n").replace("\n", "\r\n").encode("latin-1")
    return head + (b"" if b"\r\n\r\n" in head else b"\r\n\r\n")


def heads():
    for name, text in REQUESTS.items():
        seed("http_head", "request_" + name, text_bytes(text) + bytes([PIECES & ~1]))
        seed("handshake_request", name, text_bytes(text) + bytes([0x06]))
    for name, text in RESPONSES.items():
        seed("http_head", "response_" + name, text_bytes(text) + bytes([PIECES | 1]))
        seed("handshake_response", name, text_bytes(text) + b"\x00")
    seed("handshake_request", "compression_is_off", text_bytes(REQUEST + OFFER) + b"\x01")
    seed("handshake_response", "compression_not_offered", text_bytes(RESPONSE + ANSWER) + b"\x01")
    seed("http_head", "request_bare_newlines", REQUEST.encode() + b"\n\x4a")
    seed("http_head", "request_byte_by_byte", text_bytes(REQUEST) + b"\x00")
    seed("http_head", "request_cut_short", text_bytes(REQUEST)[:-2] + b"\x4a")
    seed("http_head", "request_with_frames_behind", text_bytes(REQUEST) + b"\x81\x80\0\0\0\0\x4a")
    seed("http_head", "request_empty_lines_before", b"\r\n\r\n" + text_bytes(REQUEST) + b"\x4a")


# ---- JSON ----

TEXTS = {
    "object": b'{"a": [1, -2.5e+3, true, false, null], "b": {"c": "d"}}',
    "string": b'"\\u00e9\\ud83d\\ude00 \\"\\\\\\/\\b\\f\\n\\r\\t gr\xc3\xbc\xc3\x9fe"',
    "lone_surrogate": b'"\\ud800"',
    "huge_number": b"[1e999, -0.0E-1]",
    "white_space": b" \t\r\n[ ] \n",
    "nul_behind": b"{}\0",
    "nul_escape_in_name": b'{"\\u0000": 1}',
    "cut": b'{"a": [tru',
    "two_values": b"1 2",
    "no_utf8": b'"\xed\xa0\x80"',
    "depth_512": b"[" * 512 + b"]" * 512,
    "depth_513": b'{"":' * 513 + b"0" + b"}" * 513,
}


def texts():
    for name, text in TEXTS.items():
        seed("json_check", name, text + bytes([PIECES]))


# ---- lines of the log ----

LOG_LINES = {
    "plain": b"it rains",
    "fields": b"connection\0127.0.0.1 port 9\0a/b\0\0two words\0k=\"v\"\0\\",
    "controls": b"one\ntwo\r\x1b[2J\0\x01\x7f\xe2\x80\xa8\0\xff\xc3",
    "long": b"x" * 1100 + b"\0" + b'"' * 600 + b"\0" + b"\xff" * 600,
    "many": b"t" + b"\0\n" * 14,
}


def lines():
    for name, text in LOG_LINES.items():
        for choice, form in enumerate(("text", "json", "timed", "json_timed", "journal", "json_journal")):
            seed("log_line", f"{name}_{form}", text + bytes([choice]))


# ---- permessage-deflate ----

EXTENSIONS = {
    "plain": "permessage-deflate",
    "all": "permessage-deflate; server_no_context_takeover; client_no_context_takeover; "
    "server_max_window_bits=8; client_max_window_bits=9",
    "bits_without_value": "permessage-deflate; client_max_window_bits",
    "quoted": 'permessage-deflate; server_max_window_bits="10"',
    "quoted_pair": 'permessage-deflate; server_max_window_bits="1\\0"',
    "quote_left_open": 'permessage-deflate; server_max_window_bits="10',
    "several": "foo, permessage-deflate; server_max_window_bits=16, permessage-deflate",
    "several_fields": "foo; a=b\npermessage-deflate;client_max_window_bits=12\nbar",
    "case": "PerMessage-Deflate; SERVER_MAX_WINDOW_BITS=12",
    "twice": "permessage-deflate; server_no_context_takeover; server_no_context_takeover",
    "flag_with_value": "permessage-deflate; client_no_context_takeover=1",
    "zero_first": "permessage-deflate; server_max_window_bits=08",
    "too_few": "permessage-deflate; server_max_window_bits=7",
    "too_long": "permessage-deflate; server_max_window_bits=" + "1" * 100,
    "unknown_parameter": "permessage-deflate; level=9",
    "empty_members": " ,, permessage-deflate ,\t,",
    "empty": "",
    "only_commas": ",,,",
    "no_name": "; a=b",
    "no_value": "a; b=",
}


def extensions():
    for name, text in EXTENSIONS.items():
        seed("extension", name, text.encode())


def deflate(data, bits=15, level=6, flush=zlib.Z_SYNC_FLUSH):
    machine = zlib.compressobj(level, zlib.DEFLATED, -max(bits, 9))
    out = machine.compress(data) + machine.flush(flush)
    return out[:-4] if flush == zlib.Z_SYNC_FLUSH else out


def inflations():
    def choices(bits=15, cap=0, cut=PIECES):
        return bytes([bits - 8, cap, cut])

    hello = b"Hello Hello Hello "
    stored = b"\x00\x05\x00\xfa\xffHello\x00"
    for name, data, more in [
        ("rfc7692_hello", bytes.fromhex("f248cdc9c90700"), choices()),
        ("rfc7692_stored", stored, choices()),
        ("rfc7692_final_block", bytes.fromhex("f348cdc9c9070000"), choices()),
        ("rfc7692_two_blocks", bytes.fromhex("f24805000000ffffcac9c90700"), choices()),
        ("empty", b"", choices()),
        ("empty_message", b"\x00", choices()),
        ("text", deflate(hello * 9), choices()),
        ("window_8", deflate(hello * 40, 8), choices(8)),
        ("window_9_far_back", deflate(bytes(range(256)) * 4, 9), choices(8)),
        ("window_15_far_back", deflate(bytes(range(256)) + bytes(30000) + bytes(range(256))),
         choices(9)),
        ("bomb", deflate(bytes(1 << 20)), choices(cap=4)),
        ("bomb_that_fits", deflate(bytes(1 << 17)), choices()),
        ("one_byte_too_many", deflate(bytes(101)), choices(cap=3)),
        ("just_fits", deflate(bytes(100)), choices(cap=3)),
        ("nothing_fits", deflate(b"x"), choices(cap=1)),
        ("all_finals", deflate(b"x", flush=zlib.Z_FINISH) * 40, choices()),
        ("too_many_finals", deflate(b"x", flush=zlib.Z_FINISH) * 300, choices()),
        ("final_then_garbage", deflate(b"x", flush=zlib.Z_FINISH) + b"\xff" * 9, choices()),
        ("bad_block_type", b"\x07\x00", choices()),
        ("bad_stored_length", b"\x00\x05\x00\x00\x00", choices()),
        ("distance_too_far", b"\x4b\x04\x82\xff\x00", choices(8)),
        ("cut_short", deflate(hello * 9)[:-6], choices()),
        ("incompressible", bytes(i * 197 % 251 ^ i >> 3 for i in range(700)), choices()),
    ]:
        seed("inflate", name, data + more)


# ---- frames ----


def frame(first, payload=b"", mask=KEY, length=None, form=None):
    """A frame; `length` is what it declares, `form` the length's form, if not the right ones."""
    length = len(payload) if length is None else length
    form = form or (7 if length < 126 else 16 if length < 65536 else 64)
    bit = 0x80 if mask else 0
    head = {7: lambda: bytes([first, bit | length]),
            16: lambda: struct.pack(">BBH", first, bit | 126, length),
            64: lambda: struct.pack(">BBQ", first, bit | 127, length)}[form]()
    if not mask:
        return head + payload
    return head + mask + bytes(b ^ mask[i % 4] for i, b in enumerate(payload))


TEXT, BINARY, CLOSE, PING, PONG = 0x81, 0x82, 0x88, 0x89, 0x8A
FRAMES = {
    "text": lambda f: f(TEXT, b"Hello"),
    "several": lambda f: f(TEXT, b"one") + f(BINARY, b"\x00\xff") + f(TEXT, "ö€😀".encode()),
    "empty": lambda f: f(TEXT) + f(BINARY) + f(PING) + f(PONG),
    "fragments": lambda f: f(1, b"Hel") + f(0, b"lo ") + f(0) + f(0x80, b"you"),
    "ping_between": lambda f: f(1, b"Hel") + f(PING, b"?") + f(0x80, b"lo") + f(PONG, b"!"),
    "utf8_cut_by_fragments": lambda f: f(1, b"\xf0\x9f") + f(0, b"\x98") + f(0x80, b"\x80"),
    "bad_utf8": lambda f: f(TEXT, b"ok \xc0\xaf no"),
    "surrogate": lambda f: f(TEXT, b"\xed\xa0\x80"),
    "bad_utf8_in_second_fragment": lambda f: f(1, b"\xe2\x82") + f(0x80, b"\x28"),
    "utf8_left_open": lambda f: f(TEXT, b"\xe2\x82"),
    "length_125": lambda f: f(BINARY, bytes(125)),
    "length_126": lambda f: f(BINARY, bytes(126)),
    "length_65535": lambda f: f(BINARY, b"x" * 65535),
    "length_65536": lambda f: f(BINARY, b"x" * 65536),
    "length_not_minimal_16": lambda f: f(BINARY, bytes(5), form=16),
    "length_not_minimal_64": lambda f: f(BINARY, bytes(500), form=64),
    "length_2_63_less_1": lambda f: f(BINARY, b"x", length=2**63 - 1),
    "length_2_63": lambda f: f(BINARY, b"x", length=2**63),
    "reserved_bit": lambda f: f(0xA1, b"x"),
    "reserved_opcode": lambda f: f(0x83, b"x"),
    "reserved_control": lambda f: f(0x8B, b"x"),
    "continuation_of_nothing": lambda f: f(0x80, b"x"),
    "message_within_message": lambda f: f(1, b"x") + f(TEXT, b"y"),
    "ping_of_125": lambda f: f(PING, b"x" * 125),
    "ping_of_126": lambda f: f(PING, b"x" * 126),
    "ping_fragment": lambda f: f(9, b"x"),
    "close": lambda f: f(CLOSE, b"\x03\xe8bye"),
    "close_empty": lambda f: f(CLOSE),
    "close_half_a_code": lambda f: f(CLOSE, b"\x03"),
    "close_bad_code": lambda f: f(CLOSE, b"\x03\xee"),
    "close_bad_reason": lambda f: f(CLOSE, b"\x03\xe8\xff"),
    "frames_behind_close": lambda f: f(CLOSE, b"\x0f\xa0") + f(TEXT, b"x"),
    "cut_in_header": lambda f: f(TEXT, b"Hello") + f(BINARY, bytes(300))[:3],
    "cut_in_payload": lambda f: f(TEXT, b"Hello")[:-2],
}
DEFLATED = {
    "text": lambda f: f(0xC1, deflate(b"Hello")),
    "twice_the_same": lambda f: f(0xC1, deflate(b"Hello Hello")) * 2,
    "context": lambda f: f(0xC1, bytes.fromhex("f248cdc9c90700")) + f(0xC1, b"\xf2\x00\x11\x00\x00"),
    "fragments": lambda f: f(0x41, deflate(b"Hello")[:3]) + f(0x80, deflate(b"Hello")[3:]),
    "ping_between": lambda f: f(0x41, deflate(b"Hi")[:1]) + f(PING) + f(0x80, deflate(b"Hi")[1:]),
    "beside_plain": lambda f: f(TEXT, b"a") + f(0xC1, deflate(b"b")) + f(TEXT, b"c"),
    "reserved_bit_on_continuation": lambda f: f(0x41, deflate(b"Hi")) + f(0xC0, b"x"),
    "reserved_bit_on_ping": lambda f: f(0xC9, b"x"),
    "bomb": lambda f: f(0xC2, deflate(bytes(1 << 20))),
    "empty": lambda f: f(0xC1, b"\x00") + f(0xC1),
    "bad_utf8": lambda f: f(0xC1, deflate(b"ok \xff no")),
    "broken": lambda f: f(0xC2, b"\x07\xff"),
    "final": lambda f: f(0xC1, deflate(b"Hi", flush=zlib.Z_FINISH)) + f(0xC1, deflate(b"Hi")),
}


def frames():
    def unmasked(first, payload=b"", **more):
        return frame(first, payload, mask=None, **more)

    for name, build in FRAMES.items():
        small = 0b1010 if "length" in name else 0  # of at most 1000 bytes
        seed("decoder", "server_" + name, build(frame) + bytes([0, 0, PIECES]))
        seed("decoder", "client_" + name, build(unmasked) + bytes([0, small | 1, PIECES]))
    for name, build in DEFLATED.items():
        seed("decoder", "server_deflated_" + name, build(frame) + bytes([0, 0x10, PIECES]))
        seed("decoder", "client_deflated_" + name, build(unmasked) + bytes([0, 0x71, PIECES]))
        seed("decoder", "server_deflated_small_" + name, build(frame) + bytes([0x3F, 0x1A, PIECES]))
    seed("decoder", "server_unmasked", unmasked(TEXT, b"x") + bytes([0, 0, PIECES]))
    seed("decoder", "client_masked", frame(TEXT, b"x") + bytes([0, 1, PIECES]))


# ---- URLs ----

URLS = {
    "plain": "ws://localhost/ws",
    "port": "ws://example.org:8000/ws?a=b&c",
    "secure": "wss://example.org",
    "default_port": "wss://example.org:443/",
    "v6": "ws://[2001:db8::1]:8000/",
    "v6_zone": "ws://[fe80::1%25eth0]/",
    "v_future": "ws://[v1.x]/",
    "v4": "ws://127.0.0.1/",
    "escapes": "ws://a/%20%C3%A4?%23",
    "escape_in_host": "ws://a%20b/",
    "case": "WS://LOCALHOST/WS",
    "user": "ws://me:secret@a/",
    "fragment": "ws://a/#b",
    "http": "http://a/",
    "port_0": "ws://a:0/",
    "port_65536": "ws://a:65536/",
    "empty_port": "ws://a:/",
    "no_host": "ws:///x",
    "no_slashes": "ws:a",
    "query_only": "ws://a?b",
    "dots": "ws://a/../b/./c//",
    "space": "ws://a/b c",
    "line_break": "ws://a/\r\nX: y",
    "sub_delims": "ws://a!$&'()*+;=/b!$&'()*+,;=:@",
    "not_ascii": "ws://ä/ö",
    "empty": "",
}


def urls():
    for name, text in URLS.items():
        seed("url", name, text.encode())


# ---- proxies, rules, fields, redirections ----

SOCKS, PROXY, EXCEPTED, RESOLVE, CONNECT_TO, FIELD, RETRY_AFTER, REDIRECT = range(8)
WITH_USER = 0x80


def networks():
    said = {
        "socks_v4": (b"\5\0\5\0\0\1\0\0\0\0\0\0", 0),
        "socks_name": (b"\5\0\5\0\0\3\1x\0\0", 0),
        "socks_v6": (b"\5\0\5\0\0\4" + bytes(18), 0),
        "socks_user": (b"\5\2\1\0\5\0\0\1\0\0\0\0\0\0", WITH_USER),
        "socks_refused": (b"\5\0\5\2", 0),
    }
    for name, (data, user) in said.items():
        seed("network", name, data + bytes([3, SOCKS | user]))
    texts = {
        "proxy": (PROXY, "socks5h://me:p%40@[::1]:9"),
        "excepted": (EXCEPTED, "a, .example 192.0.2.0/24,2001:db8::/32,*"),
        "resolve": (RESOLVE, "h:80:127.0.0.1,[::1],::2"),
        "connect_to": (CONNECT_TO, "h:80:[::1]:81"),
        "connect_to_empty": (CONNECT_TO, ":::"),
        "field": (FIELD, "X-Name: value"),
        "field_of_ours": (FIELD, "sec-websocket-key: x"),
        "seconds": (RETRY_AFTER, "120"),
        "date": (RETRY_AFTER, "Sun, 06 Nov 1994 08:49:38 GMT"),
        "relative": (REDIRECT, "../x?y#z"),
        "absolute": (REDIRECT, "http://u:p@h:81/x"),
    }
    for name, (what, text) in texts.items():
        seed("network", name, text.encode() + bytes([what]))


# ---- what is printed ----

IS_TEXT = 0x80
RECEIVED, RAW, JSON, HEX, BASE64, FORMAT, BYTES_OUT = range(7)


def renders():
    every = rb"%p|%x|%X|%b|%l|%t|%I|%U|%r|%i|%u|%n|%%\a\e\n\r\t\v\0\\\c"
    rich = "q\" \\ \b\f\n\r\t \0 \x1b[m \x7f\x85 gr\u00fc\u00df \u2028\u202e\u2066\u061c \U0001f30d"
    cases = {
        "every_escape": (every, rich.encode(), IS_TEXT),
        "unknown": (b"%p %z", b"x", IS_TEXT),
        "end": (b"x\\", b"x", IS_TEXT),
        "binary": (b"%p %b", bytes(range(256)), 0),
    }
    for name, (text, payload, kind) in cases.items():
        seed("render", name, text + b"\0" + payload + bytes([choose(FORMAT, kind)]))
    for mode in range(BYTES_OUT + 1):
        seed("render", f"mode{mode}", b"\0" + rich.encode() + bytes([choose(mode, IS_TEXT)]))


def choose(mode, kind):
    """The last byte: of those with that bit, the least that is this mode modulo the modes."""
    return next(n for n in range(kind, 256) if n % (BYTES_OUT + 1) == mode)


# ---- plays for the server ----

(BYTES, UPGRADE, FRAME, LONG, DEFLATE, TURN, TIME, ROOM, FLOOD, EOF, RESET, BREAK, PIECE, WAKE,
 AGAIN, PAUSE, STOP, REFUSED) = range(18)
(JOIN, LISTEN, PAGES, ASK, POST, LINES, UNFINISHED, BOMB, OTHERS, STALL, DRAIN, DRIP, ADDRESS,
 EXPIRE, STARVE) = range(0x80, 0x80 + 15)  # steps of the second kind

# Of JOIN, LISTEN, PAGES: from where on; CHANNEL_A in another channel; BACK * n so many messages back.
NOW, ALL, LAST, PLACE, PLACE_IN_FIELD, BEGINNING, FOREIGN, TO_COME = range(8)
CHANNEL_A, BACK = 8, 16

# Of a play's third byte.
HISTORY, NO_ECHO, SKIP, MEMORY_8K, MEMORY_64K, LAG_LIMITS, SHORT, FEW = 1, 2, 4, 8, 16, 32, 64, 128


def step(kind, *operands, who=0):
    out = bytes([kind | who << 5])
    for operand in operands:
        if isinstance(operand, bytes):
            out += bytes([len(operand)]) + operand
        else:
            out += bytes([operand])
    return out


def play(name, *steps, choice=0, tight=0, more=0):
    seed("server", name, bytes([choice, tight, more]) + b"".join(steps))


def plays():
    turn = step(TURN)
    up = [step(UPGRADE, 0, who=who) for who in range(3)]
    deflating = [step(UPGRADE, which, who=who) for who, which in enumerate((1, 4, 0))]

    def say(text, who=0):
        return step(FRAME, TEXT, text, who=who)

    def raw(data, who=0):
        return b"".join(step(BYTES, data[at:at + 255], who=who) for at in range(0, len(data), 255))

    play("broadcast", *up, turn, say(b"Hello"), say(b"there", 1), turn, say(b"!", 2), turn)
    play("broadcast_prefix", *up, turn, say(b"Hello"), turn, choice=4)
    play("broadcast_deflated", *deflating, turn, step(DEFLATE, 1, b"Hello " * 30), turn,
         say(b"x" * 100, 2), turn, choice=2)
    play("compression_off", *deflating, turn, step(LONG, TEXT, 20, 65), turn, choice=1)
    play("nobody_watches", *deflating[:2], turn, step(LONG, TEXT, 20, 65), turn, choice=8)
    play("binary", *up, turn, step(FRAME, BINARY, b"\x00\xff"), turn)
    play("fragments", *up, step(FRAME, 1, b"Hel"), step(FRAME, PING, b"?"), turn,
         step(FRAME, 0x80, b"lo"), turn)
    play("with_the_handshake", up[0] + say(b"at once") + step(FRAME, CLOSE, b"\x03\xe8"), turn)
    play("byte_by_byte", step(PIECE, 1), up[0], say(b"slowly"), turn)
    play("pings", up[0], *[step(FRAME, PING, bytes([i]) * 125) for i in range(20)], turn)
    play("pings_unread", up[0], turn, step(ROOM, 3), *[step(FRAME, PING, b"x" * 100)] * 30, turn,
         turn, step(FLOOD), turn)
    play("close", up[0], turn, step(FRAME, CLOSE, b"\x03\xe8bye"), turn, step(EOF), turn)
    play("close_not_followed_by_eof", up[0], turn, step(FRAME, CLOSE), turn, step(TIME, 50), turn)
    play("close_behind_messages", *up[:2], turn, say(b"one"), say(b"two"),
         step(FRAME, CLOSE, b"\x0f\xa0"), say(b"three"), turn, turn)
    play("fault", *up[:2], turn, say(b"good"), step(FRAME, 0xB1, b"bad"), turn, step(TIME, 50))
    play("bad_utf8", up[0], step(FRAME, TEXT, b"\xff"), turn)
    play("too_big", up[0], step(LONG, BINARY, 10, 1), turn, choice=0x20)
    play("inflates_too_big", *deflating[:1], step(DEFLATE, 2, bytes(200)), turn, choice=0x20)
    play("stall_and_go_on", *up, turn, step(ROOM, 10, who=1), step(LONG, TEXT, 200, 65), turn,
         say(b"more"), turn, step(ROOM, 255, who=1), turn, say(b"yet more"), step(FLOOD, who=1),
         turn, turn)
    play("stall_within_a_frame_then_close", *up[:2], turn, step(ROOM, 1, who=1), say(b"Hello"),
         turn, step(FRAME, CLOSE, b"\x03\xe8", who=1), turn, step(FLOOD, who=1), turn)
    play("stall_then_fault", *up[:2], turn, step(ROOM, 1, who=1), say(b"Hello"), turn,
         step(FRAME, 0xF1, b"", who=1), turn, step(TIME, 100), turn)
    play("stall_forever", *up[:2], turn, step(ROOM, 1, who=1), say(b"Hello"), turn, step(STOP),
         step(TIME, 100), turn)
    play("too_slow", *up[:2], turn, step(ROOM, 1, who=1), *[step(LONG, TEXT, 9, 66) + turn] * 20,
         step(FLOOD, who=1), turn, choice=0x40)
    play("too_slow_deflated", *deflating, turn, step(ROOM, 1, who=1),
         *[step(LONG, TEXT, 200, 66) + turn] * 20, step(FLOOD, who=1), turn, choice=0xC2)
    play("leaves_while_stalled", *up[:2], turn, step(ROOM, 1, who=1), say(b"Hello"), turn,
         step(EOF, who=1), turn, say(b"still here"), turn)
    play("reset", *up[:2], say(b"x"), step(RESET), turn, say(b"y", 1), turn)
    play("reset_while_stalled", *up[:2], turn, step(ROOM, 1, who=1), say(b"Hello"), turn,
         step(RESET, who=1), turn)
    play("eof_behind_message", *up[:2], turn, say(b"bye") + step(EOF), turn)
    play("half_close_of_http", raw(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"), step(EOF), turn)
    play("pipelined_http", raw(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n" * 3), up[0], say(b"x"), turn)
    play("head_and_get", raw(b"HEAD / HTTP/1.1\r\nHost: a\r\n\r\nGET /ws HTTP/1.1\r\nHost: a\r\n"
                             b"Connection: close\r\n\r\n"), turn)
    play("too_many_requests", *[raw(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n" * 9)] * 12, turn)
    play("unread_http", step(ROOM, 5), raw(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n" * 3), turn,
         raw(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"), turn, step(TIME, 220), turn, step(FLOOD), turn)
    post = b"POST /ws HTTP/1.1\r\nHost: localhost\r\n"
    listen = b"GET /ws%s HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n%s\r\n"
    hello = post + b"Content-Length: 5\r\n\r\nhello"
    chunks = post + b"Transfer-Encoding: chunked\r\n\r\n3;a=b\r\nhel\r\n2\r\nlo\r\n0\r\nT: t\r\n\r\n"
    lines = post + b"Content-Type: application/x-ndjson\r\nContent-Length: %d\r\n\r\n%s"
    play("post", up[1], raw(hello), turn, say(b"x", 1), turn)
    play("post_chunked", up[1], raw(chunks), turn, raw(chunks[:-9]), step(EOF), turn)
    play("post_pipelined", up[1], raw(hello * 4 + chunks), up[0], turn, say(b"y"), turn)
    play("post_byte_by_byte", up[1], step(PIECE, 1), raw(chunks + hello), *[turn] * 9)
    play("post_binary", up[1], raw(post + b"Content-Type: application/octet-stream\r\n"
                                   b"Content-Length: 2\r\n\r\n\xff\0"), turn)
    play("post_lines", up[1], raw(lines % (12, b'{"a":1}\n2\r\n')), turn,
         raw(lines % (6, b"1\n2x\n3")), turn, choice=4)
    play("post_expects", up[1], raw(post + b"Expect: 100-continue\r\nContent-Length: 2\r\n\r\n"),
         turn, raw(b"hi"), turn)
    play("post_cut", raw(post + b"Content-Length: 9\r\n\r\nhello"), turn, step(TIME, 220), turn,
         step(TIME, 250), step(TIME, 250), step(TIME, 250), turn)
    play("post_smuggles", raw(post + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n"
                              b"0\r\n\r\n"), turn)
    play("post_too_long", raw(post + b"Content-Length: 500\r\n\r\n"), turn, choice=0x20)
    play("post_too_long_a_chunk", raw(post + b"Transfer-Encoding: chunked\r\n\r\nfff\r\n"), turn,
         choice=0x20)
    play("post_too_fast", raw(hello * 15), turn, tight=8)
    play("post_elsewhere", raw(hello.replace(b"/ws", b"/ws/a/b") + hello.replace(b"/ws", b"/ws/a b")),
         turn, choice=3)
    play("options_head_info", raw(b"".join(
        b"%s HTTP/1.1\r\nHost: localhost\r\n\r\n" % what
        for what in (b"OPTIONS /ws", b"HEAD /ws?info", b"GET /ws?info", b"GET /channels",
                     b"GET /channels?limit=1&after=", b"DELETE /ws"))), turn)
    play("history_as_json", raw(hello * 3 + b"GET /ws?limit=2 HTTP/1.1\r\nHost: localhost\r\n"
                                b"Accept: application/json\r\n\r\n"), turn, choice=3)
    play("events", raw(listen % (b"", b""), 1), turn, up[0], say(b"one\r\ntwo"), turn,
         step(FRAME, BINARY, b"\0\xff"), turn, raw(hello, 2), turn, step(EOF, who=1), turn)
    play("events_of_history", raw(hello * 9), turn, raw(listen % (b"?history=5", b""), 1),
         raw(hello), turn, say(b"x"), turn, choice=3)
    play("events_stall", raw(listen % (b"", b""), 1), turn, step(ROOM, 1, who=1), up[0],
         *[step(LONG, TEXT, 9, 66) + turn] * 5, step(FLOOD, who=1), turn, turn)
    play("events_stall_in_history", raw(hello * 20), turn, step(ROOM, 99, who=1),
         raw(listen % (b"?history=all", b""), 1), turn, raw(hello), turn,
         *[step(ROOM, 200, who=1) + turn] * 6, step(FLOOD, who=1), turn, choice=3)
    play("events_too_slow", raw(listen % (b"", b""), 1), turn, step(ROOM, 1, who=1), up[0],
         *[step(LONG, TEXT, 9, 66) + turn] * 20, step(FLOOD, who=1), turn, choice=0x40)
    play("events_skip", raw(listen % (b"", b""), 1), turn, step(ROOM, 1, who=1), up[0],
         *[step(LONG, TEXT, 9, 66) + turn] * 20, step(FLOOD, who=1), turn, say(b"x"), turn,
         choice=0xC0)
    play("events_heartbeat", raw(listen % (b"", b"")), turn, *[step(TIME, 10)] * 12, step(STOP), turn,
         tight=1)
    play("events_and_stop", raw(listen % (b"", b"")), turn, raw(hello, 1), turn, step(STOP), turn,
         step(EOF), turn)
    play("events_back_without_a_place", raw(listen % (b"", b"Last-Event-ID: x\r\n")),
         raw(listen % (b"?last_event_id=0123456789abcdef-9", b""), 1), turn)
    play("answers_unread", step(ROOM, 5), raw(b"GET /channels HTTP/1.1\r\nHost: localhost\r\n\r\n"
                                             * 90), turn, raw(hello * 20), turn, step(FLOOD), turn,
         turn)
    play("bad_http", raw(b"\x16\x03\x01\x02\x00\x01"), turn)
    play("says_nothing", step(WAKE), step(TIME, 220), turn, step(TIME, 50), turn)
    play("slow_head", raw(b"GET /ws HTTP/1.1\r\n"), turn, step(TIME, 220), turn, step(TIME, 50))
    play("says_nothing_and_takes_nothing", step(ROOM, 0), step(WAKE), step(TIME, 220), turn,
         step(TIME, 50), turn)
    play("come_and_go", up[0], turn, step(EOF), step(AGAIN), up[0], turn, say(b"x"), turn,
         step(RESET), step(AGAIN), turn, step(AGAIN), up[0], turn)
    play("stop_at_once", *up, step(STOP), turn)
    play("stop_while_opening", raw(b"GET /ws"), turn, step(STOP), turn)
    play("stop_twice", *up, turn, step(STOP), step(TIME, 1), step(STOP), turn)
    play("stop_and_they_answer", *up[:2], turn, say(b"x"), step(STOP), turn,
         step(FRAME, CLOSE, b"\x03\xe9"), step(FRAME, CLOSE, b"\x03\xe9", who=1), turn, step(EOF))
    play("accept_fails", step(REFUSED), turn, *up, turn)
    play("pings_and_no_pong", *up, turn, *[step(TIME, 10) + step(FRAME, PONG, who=1)] * 12, turn,
         tight=1)
    play("too_many_pings", up[0], turn, step(FRAME, PING, b"x") * 5, turn, tight=2)
    play("too_many_fragments", up[0], turn, step(FRAME, 1, b"x") + step(FRAME, 0, b"y") * 3, turn,
         tight=4)
    play("too_many_messages", *up[:2], turn, say(b"x") * 12, turn, say(b"more"), turn, tight=8)
    play("too_many_connections", *up, turn, say(b"x"), turn, step(EOF), turn, step(AGAIN, who=2),
         up[2], turn, tight=16)
    play("idle", *up[:2], turn, step(TIME, 25), say(b"x"), step(TIME, 25), turn, tight=32)
    play("message_left_open", *up[:2], turn, step(FRAME, 1, b"x"), turn, step(TIME, 40), turn,
         step(TIME, 40), turn, tight=32)
    play("reads_too_slowly", *up[:2], turn, step(ROOM, 9, who=1), step(LONG, TEXT, 200, 65), turn,
         *[step(ROOM, 9, who=1) + step(TIME, 22)] * 4, turn, tight=64)
    play("long_head", raw(text_bytes(REQUEST) * 2), turn, tight=128)
    play("paused", up[0], turn, step(PAUSE, 1), say(b"later"), turn, step(PAUSE, 0), turn)
    play("paused_behind_eof", up[0], turn, step(EOF), step(PAUSE, 1), turn, step(PAUSE, 0), turn)


def mixed_plays():
    """Features that meet."""
    turn = step(TURN)
    three = [step(JOIN, NOW, 0), step(JOIN, NOW, 1, who=1), step(LISTEN, NOW, who=2)]
    many = step(OTHERS, 2, 30, 40)  # that do not compress
    lines = step(OTHERS, 4, 30, 40)  # newlines
    ends = {"eof": step(EOF, who=1), "reset": step(RESET, who=1), "break": step(BREAK, who=1)}

    for name, end in ends.items():
        play(f"lag_then_{name}", *three, turn, step(STALL, who=1), many, turn, many, turn, end, turn,
             step(FLOOD, who=1), turn, many, turn, choice=0x80)
        play(f"events_lag_then_{name}", step(LISTEN, NOW, who=1), three[0], turn,
             step(STALL, who=1), lines, turn, lines, turn, end, step(DRAIN, 40, who=1), turn,
             step(FLOOD, who=1), lines, turn, choice=0x80)
        play(f"stop_then_{name}", *three, turn, step(STALL, who=1), many, turn, step(STOP), turn,
             step(DRAIN, 9, who=1), turn, end, turn, step(FLOOD, who=1), turn)
        play(f"replay_then_{name}", many, step(JOIN, ALL, 1, who=1), step(DRIP, 99, who=1), turn,
             turn, many, turn, end, turn, many, turn, more=HISTORY)
    play("stop_twice_while_they_lag", *three, turn, step(STALL, who=1), step(STALL, who=2), many,
         turn, step(STOP), turn, step(STOP), turn, choice=0x80)
    play("lag_in_messages", *three, step(DRIP, 5, who=1), step(DRIP, 20, who=2), turn,
         step(OTHERS, 0, 30, 2), turn, step(TIME, 20), turn, step(TIME, 20), turn, more=LAG_LIMITS)
    play("replay_events_in_drips", many, step(LISTEN, ALL, who=2), step(DRIP, 120, who=2), turn,
         three[0], many, *[turn] * 20, lines, *[turn] * 9, more=HISTORY)
    play("replay_from_places", many, step(JOIN, PLACE | BACK * 5, 1), turn,
         step(LISTEN, PLACE_IN_FIELD | BACK * 3, who=1), step(JOIN, BEGINNING, 0, who=2), turn, many,
         turn, step(AGAIN), step(JOIN, FOREIGN, 8), step(AGAIN, who=1), step(JOIN, TO_COME, 0, who=1),
         turn, many, turn, choice=2, more=HISTORY)
    play("replay_and_no_echo", many, step(JOIN, ALL, 1), step(DRIP, 90), turn,
         step(FRAME, TEXT, b"mine"), turn, step(FRAME, TEXT, b"mine, too"), many, *[turn] * 20,
         choice=2, more=HISTORY | NO_ECHO)
    play("no_echo_and_skip", step(JOIN, NOW, 1), step(JOIN, NOW, 0, who=1), turn, step(STALL),
         many, step(LONG, TEXT, 20, 65), turn, many, turn, step(FLOOD), turn,
         step(FRAME, TEXT, b"mine"), turn, choice=0x80, more=NO_ECHO | SKIP)
    play("skip_while_replaying", many, step(JOIN, ALL, 1), step(DRIP, 30), turn,
         step(LISTEN, ALL, who=1), step(DRIP, 30, who=1), *([turn, many] * 6), step(FLOOD), turn,
         choice=0x80, more=HISTORY | SKIP)
    play("pages", many, lines, step(PAGES, ALL, 1 | 14), step(PAGES, LAST | BACK * 4, 14 | 16), turn,
         step(PAGES, PLACE | BACK * 2, 32), step(PAGES, CHANNEL_A, 0), turn, more=HISTORY)
    play("pages_unread", many, step(STALL), step(PAGES, ALL, 14), turn, step(DRAIN, 200), turn, many,
         turn, step(DRIP, 200), *[turn] * 9, step(FLOOD), turn, more=HISTORY)
    play("pages_unread_and_stop", many, step(STALL), step(PAGES, ALL, 14), turn, step(DRAIN, 200),
         turn, step(STOP), turn, step(DRAIN, 200), turn, step(EOF), turn, more=HISTORY)
    play("pages_and_half_close", many, step(DRIP, 90), step(PAGES, ALL, 2), step(EOF), *[turn] * 9,
         more=HISTORY)
    play("asked_under_load", *three, step(ASK, 0 | 8 * 9, who=2), many, turn, step(AGAIN, who=1),
         *[step(ASK, what | 8 * 3, who=1) for what in range(8)], turn, many, turn)
    play("posts", three[2], step(POST, 0, 16 * 7, b"hello"), turn,
         step(POST, 0, 4 | 1, b"\0\xff", who=1), step(POST, 1, 2, b"[1]", who=1), turn,
         step(POST, 0, 3 | 4, b"1\n2\n", who=1), turn, choice=4)
    play("lines_for_the_stalled", *three, turn, step(STALL, who=1), step(STALL, who=2), step(AGAIN),
         step(LINES, 0, 100, 100, 65), turn, step(DRAIN, 255, who=1), turn, step(FLOOD, who=2), turn,
         choice=2)
    play("bodies_that_never_end", *[step(UNFINISHED, 0, 255, who=who) for who in range(3)], turn,
         *[step(AGAIN, who=who) + step(UNFINISHED, 1, 255, who=who) for who in range(3)], turn,
         step(ASK, 3), turn, more=MEMORY_8K)
    play("bombs", step(JOIN, NOW, 1), step(LISTEN, NOW, who=1), step(STALL, who=1), turn,
         step(BOMB, TEXT, 200, 10), step(BOMB, BINARY, 200, 0), turn, step(DRAIN, 255, who=1), turn)
    play("short_of_memory", step(JOIN, NOW, 1), step(JOIN, CHANNEL_A, 1, who=1),
         step(LISTEN, NOW, who=2), turn, step(STALL, who=1), step(STALL, who=2), step(STARVE, 9),
         many, step(OTHERS, 3, 30, 40), turn, step(TIME, 4), many, turn, step(TIME, 40), turn,
         step(STARVE, 0), step(FLOOD, who=1), turn, many, turn)
    play("short_of_memory_and_skip", *three, turn, step(STALL, who=1), step(STALL, who=2), many, turn,
         step(TIME, 4), many, turn, step(TIME, 40), step(FLOOD, who=1), turn, many, turn,
         more=MEMORY_64K | SKIP)
    play("short_of_memory_and_stop", *three, turn, step(STALL, who=1), step(STARVE, 5), many, turn,
         step(STOP), turn, step(TIME, 4), turn, step(STOP), turn)
    play("short_of_memory_by_address", step(ADDRESS, 1), three[0], three[1], step(ADDRESS, 2),
         three[2], turn, *[step(STALL, who=who) for who in range(3)], many, turn, step(TIME, 4), turn,
         step(TIME, 40), turn, more=MEMORY_8K)
    play("short_of_memory_while_replaying", many, step(JOIN, ALL, 1), step(LISTEN, ALL, who=1),
         step(DRIP, 20), step(DRIP, 20, who=1), turn, many, turn, step(STARVE, 4), turn,
         step(TIME, 4), turn, step(TIME, 40), turn, more=HISTORY)
    play("history_that_ages", many, step(JOIN, ALL, 0), step(DRIP, 60), turn, step(TIME, 30),
         step(EXPIRE), turn, many, step(EXPIRE), *[turn] * 9, step(TIME, 60), step(EXPIRE),
         step(FLOOD), turn, more=HISTORY | SHORT)
    play("too_many_channels", step(JOIN, CHANNEL_A, 0), step(JOIN, CHANNEL_A, 1, who=1),
         step(UPGRADE, 0, who=2), step(OTHERS, 1, 9, 9), turn, step(EOF), turn, choice=8, more=FEW)
    play("small_windows", step(JOIN, NOW, 4), step(JOIN, NOW, 8, who=1), step(JOIN, NOW, 9, who=2),
         turn, step(OTHERS, 0, 9, 90), turn, step(EOF, who=1), turn, step(OTHERS, 0, 9, 90), turn,
         choice=2)


if __name__ == "__main__":
    heads()
    texts()
    lines()
    extensions()
    inflations()
    frames()
    urls()
    networks()
    renders()
    plays()
    mixed_plays()
