"""Plain HTTP: publishing with POST, reading history, and asking who is there."""

from __future__ import annotations

import base64
import http.client
import json
import re
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from email.utils import parsedate_to_datetime

import programs
import pytest
import rawws
from rawws import Client, Response

NDJSON = "application/x-ndjson"
BINARY = "application/octet-stream"


class Peer:
    """One connection of Python's own HTTP client."""

    def __init__(self, port: int) -> None:
        self.http = http.client.HTTPConnection("127.0.0.1", port, timeout=rawws.TIMEOUT)

    def ask(self, method: str, target: str, body: object = None, **fields: str) -> Response:
        fields = {name.replace("_", "-"): value for name, value in fields.items()}
        self.http.request(method, target, body, fields)
        answer = self.http.getresponse()
        headers = {name.lower(): value for name, value in answer.getheaders()}
        return Response(answer.status, headers, answer.read().decode())

    def post(self, body: str | bytes, target: str = "/ws", **fields: str) -> dict:
        answer = self.ask("POST", target, body.encode() if isinstance(body, str) else body, **fields)
        assert answer.status == 200, answer
        return json.loads(answer.body)

    def get(self, target: str) -> dict:
        answer = self.ask("GET", target, Accept="application/json")
        assert answer.status == 200, answer
        assert answer.headers["content-type"] == "application/json"
        return json.loads(answer.body)


@pytest.fixture
def peer(server) -> Peer:
    return Peer(server.port)


def sequence(name: str) -> int:
    return int(re.fullmatch(r"[0-9a-f]{16}-(\d+)", name)[1])


def check_line(answer: Response, status: int) -> None:
    assert answer.status == status, answer
    assert answer.headers["content-type"].startswith("text/plain")
    assert answer.body.count("\n") == 1 and len(answer.body) > 5


# Publishing


def test_a_post_is_heard_as_it_was_sent(server, peer):
    """Without the prefix, which says that a WebSocket client said this."""
    with server.client() as client, server.client("/ws/news") as other:
        assert peer.post("grüße\n")["subscribers"] == 1
        assert client.recv_message() == "grüße\n"
        peer.post(b"\xff\0\n", Content_Type=BINARY)
        assert client.recv_message() == b"\xff\0\n"
        peer.post("", Content_Type="text/plain; charset=utf-8")
        assert client.recv_message() == ""
        peer.post("for others", "/ws/news")
        assert other.recv_message() == "for others"
        client.send_text("the end")
        assert client.recv_message() == "Message: the end"


def test_curl_publishes(server):
    with server.client() as client:
        told = subprocess.run(
            ["curl", "-sS", "-d", "hello", f"http://127.0.0.1:{server.port}/ws"],
            capture_output=True,
            check=True,
        )
        assert client.recv_message() == "hello"
    answer = json.loads(told.stdout)
    assert set(answer) == {"id", "subscribers"} and answer["subscribers"] == 1


@pytest.mark.parametrize("fields", [[], ["-H", "Transfer-Encoding: chunked"]])
def test_curl_is_told_to_go_on_with_a_long_message(server, tmp_path, fields):
    (tmp_path / "long").write_text("x" * 1_000_000 + "y")
    with server.client() as client:
        told = subprocess.run(
            ["curl", "-sSv", "-H", "Expect: 100-continue", "--expect100-timeout", "60", *fields]
            + ["--data-binary", f"@{tmp_path}/long", f"http://127.0.0.1:{server.port}/ws"],
            capture_output=True,
            check=True,
        )
        assert client.recv_message() == "x" * 1_000_000 + "y"
    assert b"100 Continue" in told.stderr


def test_ids_count_the_messages_of_a_channel(server, peer):
    with server.client() as client:
        first = peer.post("a")["id"]
        client.send_text("b")
        assert [client.recv_message() for _ in "ab"] == ["a", "Message: b"]
        third = peer.post("c")["id"]
        assert (sequence(first), sequence(third)) == (1, 3)
        assert first.split("-")[0] == third.split("-")[0]
        assert client.accepted.headers["last-event-id"] == first.split("-")[0] + "-0"
        assert sequence(peer.post("d", "/ws/elsewhere")["id"]) == 1


def test_pipelined_posts_are_answered_in_order(server):
    with server.client() as listener, Client(server.port) as client:
        posts = [
            b"POST /ws HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n%d" % (len(str(i)), i)
            if i % 2
            else b"POST /ws HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
            b"%x;x=y\r\n%d\r\n0\r\nTrailer: t\r\n\r\n" % (len(str(i)), i)
            for i in range(300)
        ]
        client.send(b"".join(posts) + client.request())
        for i in range(300):
            answer = client.recv_response()
            assert (answer.status, sequence(json.loads(answer.body)["id"])) == (200, i + 1)
        assert [listener.recv_message() for _ in range(300)] == [f"{i}" for i in range(300)]
        client.recv_accept()


@pytest.mark.parametrize("size", [1, 2, 3, 5, 64])
def test_a_request_may_come_in_pieces(server, size):
    request = (
        b"POST /ws/x HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
        b"5\r\nhello\r\n7\r\n, world\r\n0\r\n\r\n"
        b"POST /ws/x HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\n\r\nend"
    )
    with server.client("/ws/x") as listener, Client(server.port) as client:
        for i in range(0, len(request), size):
            client.send(request[i : i + size])
        assert [client.recv_response().status for _ in range(2)] == [200, 200]
        assert listener.recv_message() == "hello, world"
        assert listener.recv_message() == "end"


def test_who_does_not_read_the_answers_is_not_read_from(wsbroadcastd):
    """Pipelined requests that nobody takes the answers of cost the server next to nothing."""
    server = wsbroadcastd("--handshake-timeout", "100")
    before = server.rss_anon()
    with Client(server.port, receive_buffer=4096) as client:
        request = b"GET /ws?info HTTP/1.1\r\nHost: localhost\r\n\r\n"
        client.sock.settimeout(1)
        sent = 0
        with pytest.raises(TimeoutError):
            for _ in rawws.turns():
                sent += client.sock.send(request * 1000)
        assert programs.SANITIZED or server.rss_anon() - before < 8 << 20
        client.sock.settimeout(rawws.TIMEOUT)
        for _ in range(sent // len(request)):
            assert client.recv_response().status == 200


def test_http_and_websockets_share_one_order(wsbroadcastd):
    server = wsbroadcastd("--prefix", "", "--workers", "2")
    count, threads = 300, []
    listeners = [server.client() for _ in range(4)]
    talkers = [server.client() for _ in range(2)]

    def post(number: int) -> None:
        peer = Peer(server.port)
        for i in range(count):
            peer.post(f"http {number} {i}")

    def say(number: int) -> None:
        with talkers[number] as client:
            for i in range(count):
                client.send_text(f"ws {number} {i}")
            for _ in range(4 * count):
                client.recv_message()

    for number in range(2):
        threads += [threading.Thread(target=target, args=(number,), daemon=True) for target in (post, say)]
    for thread in threads:
        thread.start()
    heard = [[str(each.recv_message()) for _ in range(4 * count)] for each in listeners]
    for thread in threads:
        thread.join()
    assert all(each == heard[0] for each in heard)
    for who in ("http 0", "http 1", "ws 0", "ws 1"):
        assert [m for m in heard[0] if m.startswith(who)] == [f"{who} {i}" for i in range(count)]
    for each in listeners:
        each.disconnect()


# A message a line


def test_lines_are_messages(server, peer):
    with server.client() as client:
        told = peer.post('{"a": 1}\n[2,\t3]\r\n"four"', Content_Type=NDJSON)
        assert (sequence(told["id"]), told["count"], told["subscribers"]) == (3, 3, 1)
        heard = [client.recv_message() for _ in range(3)]
        assert heard == ['{"a": 1}', "[2,\t3]", '"four"']


@pytest.mark.parametrize(
    ("lines", "line"),
    [
        (b'{"a": 1}\n{"b": 2\n{"c": 3}\n', 2),
        (b'"\xff"\n', 1),
        (b"1\n\n2\n\r\n3\n\n4 5\n", 7),
        (b"1\n{}\0", 2),
        (b"1\n\0", 2),
        (b"1\n\0\n2", 2),
        (b"1\n2\nthree\n", 3),
        (b"1 2\n", 1),
        (b"1\n" + b'"' + b"x" * (1 << 20) + b'"\n', 2),
        (b"1\n" * 10_001, 10_001),
        (b"[" * 100_000, 1),
        (b"[" * 513 + b"]" * 513, 1),
        (b"01\n", 1),
        (b"NaN\n", 1),
    ],
    ids=["cut", "utf8", "blank", "nul_behind", "nul", "nul_line", "word", "two", "long", "many"]
    + ["deep", "deeper", "zero", "nan"],
)
def test_a_bad_line_is_named_and_nothing_is_published(server, peer, lines, line):
    with server.client() as client:
        answer = peer.ask("POST", "/ws", lines, Content_Type=NDJSON)
        check_line(answer, 413 if line > 100 or len(lines) > 1 << 20 else 400)
        assert f"line {line} " in answer.body and "nothing is published" in answer.body
        peer.post("next")
        assert client.recv_message() == "next"


@pytest.mark.parametrize("body", [b"", b"\n", b"\r\n \n\t"])
def test_no_line_at_all_is_400(peer, body):
    check_line(peer.ask("POST", "/ws", body, Content_Type=NDJSON), 400)


@pytest.mark.parametrize("kind", [NDJSON, "application/ndjson", "Application/NDJSON; charset=UTF-8"])
def test_blank_lines_are_skipped(server, peer, kind):
    with server.client() as client:
        told = peer.post("\n1\n\n \t\r\n2\r\n\r\n3\n\n", Content_Type=kind)
        assert (sequence(told["id"]), told["count"]) == (3, 3)
        assert [client.recv_message() for _ in range(3)] == ["1", "2", "3"]


@pytest.mark.parametrize(
    "line",
    ["1e999", "-1e-999", '"\\ud800"', '{"\\u0000": "\\udead"}', "9" * 400, '{"a": 1, "a": 2}', " [ ] "]
    + ["[" * 512 + "]" * 512, '{"":' * 512 + "null" + "}" * 512],
    ids=["huge", "tiny", "lone", "nul", "long", "twice", "spaces", "arrays", "objects"],
)
def test_whatever_rfc_8259_has_is_json(server, peer, line):
    with server.client() as client:
        assert peer.post(line + "\n", Content_Type=NDJSON)["count"] == 1
        assert client.recv_message() == line


@pytest.mark.parametrize(
    "lines",
    [
        b"[" + b"0," * 500_000 + b"0]\n" + b'{"a": ' * 500 + b"1" + b"}" * 500 + b"\n",
        (b"[" + b"[]," * 340_000 + b"0]\n") * 4,
        b"1\n" * 9_999 + b" " * 4_000_000 + b"2",
        b"\n" * 4_190_000 + b"1",
        b"1\n" * 2_097_152,
    ],
    ids=["values", "arrays", "white", "blank", "tiny"],
)
def test_checking_json_costs_no_memory(wsbroadcastd, lines):
    """At most about twice the body, which has to be there as a whole; a tree would take 80 times."""
    server = wsbroadcastd()
    peer = Peer(server.port)
    peer.ask("POST", "/ws", b"1\n" * 9_999, Content_Type=NDJSON)  # what is never given back
    before = server.reset_peak()
    answer = peer.ask("POST", "/ws", lines, Content_Type=NDJSON)
    assert answer.status in (200, 413), answer
    assert programs.SANITIZED or server.peak_rss() - before < 2 * len(lines) + (1 << 20)


@pytest.mark.parametrize("kind", [NDJSON, "text/plain", "application/json"])
@pytest.mark.parametrize(
    ("charset", "status"),
    [("utf-8", 200), ('"UTF-8"', 200), ("us-ascii", 200), ("utf-16", 415), ('"utf-16le"', 415)]
    + [("iso-8859-1", 415), ("", 415), ("utf-8; format=flowed", 200), ("utf-16; x=utf-8", 415)],
)
def test_another_charset_than_utf_8_is_415(peer, kind, charset, status):
    answer = peer.ask("POST", "/ws", b"1\n", Content_Type=f"{kind};q=1 ; Charset={charset}")
    assert answer.status == status, answer
    if status == 415:
        check_line(answer, 415)


# Bad input


def raw(*lines: str, body: bytes = b"") -> bytes:
    return "\r\n".join(["POST /ws HTTP/1.1", "Host: localhost", *lines, "", ""]).encode() + body


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (raw("Content-Length: 5", "Transfer-Encoding: chunked", body=b"0\r\n\r\n"), 400),
        (raw("Transfer-Encoding: chunked", "Content-Length: 5", body=b"0\r\n\r\n"), 400),
        (raw("Content-Length: 5", "Content-Length: 6", body=b"hello!"), 400),
        (raw("Content-Length: -1"), 400),
        (raw("Content-Length: 0x10"), 400),
        (raw("Content-Length: 99999999999999999999999"), 400),
        (raw("Content-Length: 1048577"), 413),
        (raw("Content-Length: 18446744073709551615"), 413),
        (raw("Transfer-Encoding: chunked", body=b"100001\r\n"), 413),
        (raw("Transfer-Encoding: chunked", body=b"ffffffffffffffff\r\n"), 413),
        (raw("Transfer-Encoding: chunked", body=b"10000000000000000\r\n"), 400),
        (raw("Transfer-Encoding: chunked", body=b"-1\r\n"), 400),
        (raw("Transfer-Encoding: chunked", body=b"5\r\nhello!\r\n0\r\n\r\n"), 400),
        (raw("Transfer-Encoding: chunked", body=b"1;" + b"x" * 40_000), 400),
        (raw("Transfer-Encoding: chunked", body=b"0\r\n" + b"x: y\r\n" * 9000), 400),
        (raw("Transfer-Encoding: gzip"), 400),
        (raw("Transfer-Encoding: gzip, chunked", body=b"0\r\n\r\n"), 501),
        (raw("Content-Encoding: gzip", "Content-Length: 1", body=b"x"), 415),
        (raw("Expect: the worst", "Content-Length: 1", body=b"x"), 417),
        (raw("Content-Length: 2", body=b"\xc3\x28"), 400),
        (raw("Content-Length: 1", body=b"\xc3"), 400),
        (raw(), 411),
        (raw("Content-Length: 1", "Origin: http://elsewhere.example", body=b"x"), 403),
        (raw("Content-Length: 1", "Origin: null", body=b"x"), 403),
        (raw("Content-Length: 1", body=b"x").replace(b"localhost", b"elsewhere.example"), 403),
        (raw("Content-Length: 1", body=b"x").replace(b"/ws", b"/ws/a%20b"), 404),
        (raw("Content-Length: 1", body=b"x").replace(b"/ws", b"/ws/"), 404),
        (raw("Content-Length: 1", body=b"x").replace(b"/ws", b"/ws/a/../b"), 404),
        (raw("Content-Length: 1", body=b"x").replace(b"/ws", b"/ws/" + b"x" * 129), 404),
        (raw("Content-Length: 1", body=b"x").replace(b"/ws", b"/channels"), 405),
        (raw("Transfer-Encoding: chunked", body=b"0\r\n\r\n").replace(b"1.1", b"1.0"), 400),
    ],
)
def test_bad_requests_are_refused_and_change_nothing(server, bystanders, request_, status):
    with server.client() as listener, Client(server.port) as client:
        client.send(request_)
        check_line(client.recv_response(), status)
        bystanders.wait_round()
        with server.client() as last:
            last.send_text("that is all")
        while (message := listener.recv_message()) != "Message: that is all":
            assert str(message).startswith("Message: bystander ")


@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_that_is_cut_off_is_not_published(server, chunked):
    with server.client() as listener:
        for body in (b"hell", b""):
            with Client(server.port) as client:
                length = "Transfer-Encoding: chunked" if chunked else "Content-Length: 5"
                client.send(raw(length, body=b"5\r\n" + body if chunked else body))
        assert Peer(server.port).post("whole")["subscribers"] == 1
        assert listener.recv_message() == "whole"


def test_a_body_that_does_not_come_is_408(wsbroadcastd):
    server = wsbroadcastd("--message-timeout", "1")
    with Client(server.port) as client:
        client.send(raw("Content-Length: 5", body=b"hell"))
        check_line(client.recv_response(), 408)
        client.recv_eof()
    server.wait_stderr("limit message-timeout: refused with 408")


def test_too_long_names_the_limit(wsbroadcastd):
    server = wsbroadcastd("--max-message", "10")
    peer = Peer(server.port)
    assert peer.post("0123456789")
    answer = peer.ask("POST", "/ws", b"0123456789x")
    check_line(answer, 413)
    assert "10 bytes" in answer.body and "--max-message" in answer.body
    server.wait_stderr("limit max-message: answered with 413")


def test_too_fast_is_429(wsbroadcastd):
    server = wsbroadcastd("--max-messages-per-second", "5")
    peer = Peer(server.port)
    for _ in rawws.turns():
        answer = peer.ask("POST", "/ws", b"again")
        if answer.status == 429:
            break
    check_line(answer, 429)
    assert answer.headers["retry-after"] == "1"


# Who may


def test_a_page_of_the_same_host_may_post_and_read(server, peer):
    answer = peer.ask("POST", "/ws", b"hi", Origin="http://127.0.0.1:9999")
    assert answer.status == 200
    assert answer.headers["access-control-allow-origin"] == "http://127.0.0.1:9999"


def test_a_listed_origin_may(wsbroadcastd):
    server = wsbroadcastd("--origin", "https://example.org")
    peer = Peer(server.port)
    fields = {"Origin": "https://example.org", "Host": "example.org"}
    assert peer.ask("POST", "/ws", b"hi", **fields).status == 200
    answer = peer.ask("OPTIONS", "/ws", **fields)
    assert answer.status == 204 and "POST" in answer.headers["access-control-allow-methods"]
    check_line(peer.ask("GET", "/ws?info", Host="example.com"), 403)


def allows(answer: Response, origin: str) -> None:
    """A page of this origin may read the answer, and know where it is."""
    assert answer.headers["access-control-allow-origin"] == origin, answer
    assert "Last-Event-ID" in answer.headers["access-control-expose-headers"]
    assert "Origin" in answer.headers["vary"]


APP = "https://app.example"
REFUSED = {
    "the name of no channel": (b"GET /ws/a//b HTTP/1.1\r\nHost: x\r\nOrigin: %s\r\n\r\n", 404),
    "no such channel": (
        b"GET /ws/a?info HTTP/1.1\r\nHost: x\r\nOrigin: %s\r\n\r\n",
        404,
    ),
    "another path": (b"GET / HTTP/1.1\r\nHost: x\r\nOrigin: %s\r\n\r\n", 404),
    "another method": (b"PUT /ws HTTP/1.1\r\nHost: x\r\nOrigin: %s\r\n\r\n", 405),
    "no upgrade": (b"GET /ws HTTP/1.1\r\nHost: x\r\nOrigin: %s\r\n\r\n", 426),
    "too long": (
        b"POST /ws HTTP/1.1\r\nHost: x\r\nOrigin: %s\r\nContent-Length: 9999999\r\n\r\n",
        413,
    ),
    "too long when it has come": (
        b"POST /ws HTTP/1.1\r\nHost: x\r\nOrigin: %s\r\nTransfer-Encoding: chunked\r\n\r\n"
        b"ffffff\r\n",
        413,
    ),
    "no chunk": (
        b"POST /ws HTTP/1.1\r\nHost: x\r\nOrigin: %s\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n",
        400,
    ),
    "no UTF-8": (
        b"POST /ws HTTP/1.1\r\nHost: x\r\nOrigin: %s\r\nContent-Length: 1\r\n\r\n\xff",
        400,
    ),
    "no length": (b"POST /ws HTTP/1.1\r\nHost: x\r\nOrigin: %s\r\n\r\n", 411),
    "one channel too many": (
        b"POST /ws/2 HTTP/1.1\r\nHost: x\r\nOrigin: %s\r\nContent-Length: 1\r\n\r\nx",
        503,
    ),
    "a body that does not come": (
        b"POST /ws HTTP/1.1\r\nHost: x\r\nOrigin: %s\r\nContent-Length: 9\r\n\r\nx",
        408,
    ),
    "a head that does not come": (b"POST /ws HTTP/1.1\r\nHost: x\r\nOrigin: %s\r\nX: ", 408),
    "a head that is too long": (
        b"GET /ws HTTP/1.1\r\nHost: x\r\nOrigin: %s\r\nX: " + b"x" * 20_000,
        431,
    ),
    "no event ID": (
        b"GET /ws?last_event_id=x HTTP/1.1\r\nHost: x\r\nAccept: application/json\r\n"
        b"Origin: %s\r\n\r\n",
        400,
    ),
}


@pytest.mark.parametrize("why", REFUSED)
def test_a_page_may_read_why_it_is_refused(wsbroadcastd, why):
    server = wsbroadcastd(
        *("--origin", APP, "--max-channels", "1"),
        *("--handshake-timeout", "1", "--message-timeout", "1"),
    )
    request, status = REFUSED[why]
    with server.client("/ws/1"), Client(server.port) as client:
        client.send(request.replace(b"%s", APP.encode()))
        answer = client.recv_response()
        assert answer.status == status
        allows(answer, APP)
    with Client(server.port) as client:
        client.send(request.replace(b"%s", b"https://evil.example"))
        assert "access-control-allow-origin" not in client.recv_response().headers


# What is refused before its Origin has come: at accept, in the midst of the head, in the target.
EARLY = {
    "at accept": (b"", 503),
    "too slow": (b"POST /ws HTTP/1.1\r\nHost: x\r\n", 408),
    "too many fields": (b"GET /ws HTTP/1.1\r\n" + b"X: y\r\n" * 300, 431),
    "too long a target": (b"GET /" + b"x" * 20_000, 414),
}


@pytest.mark.parametrize("why", EARLY)
@pytest.mark.parametrize(
    ("origins", "reader"),
    [([APP], APP), (["*"], "*"), ([APP, "https://other.example"], None), ([], None)],
    ids=["one", "any", "two", "none"],
)
def test_a_refusal_before_the_origin_is_known_names_the_only_one_it_can_be(
    wsbroadcastd, why, origins, reader
):
    request, status = EARLY[why]
    limits = ["--max-connections", "1"] if status == 503 else ["--handshake-timeout", "1"]
    server = wsbroadcastd(*limits, *(word for origin in origins for word in ("--origin", origin)))
    with server.client(), Client(server.port) as client:
        client.send(request)
        answer = client.recv_response()
    assert answer.status == status
    assert answer.headers.get("access-control-allow-origin") == reader


@pytest.mark.parametrize("target", ["/ws", "/ws/new", "/ws/a//b", "/", "/channels"])
def test_a_preflight_needs_no_credential_whatever_it_is_for(wsbroadcastd, target):
    """And is not refused: else the page could not read why what comes next is."""
    peer = Peer(wsbroadcastd("--origin", APP).port)
    fields = {"Access-Control-Request-Method": "POST", "Origin": APP}
    answer = peer.ask("OPTIONS", target, **fields)
    assert answer.status == 204
    allows(answer, APP)
    may_send = {name.strip() for name in answer.headers["access-control-allow-headers"].split(",")}
    assert may_send >= {"Authorization", "Content-Type", "Last-Event-ID", "Cache-Control"}
    assert "Idempotency-Key" in may_send
    answer = peer.ask("OPTIONS", target, **fields | {"Origin": "https://evil.example"})
    assert answer.status in (403, 404) and "access-control-allow-origin" not in answer.headers


ANSWERS = {
    "a page in chunks": ("/ws", {"Accept": "application/json"}, 200),
    "what all workers say": ("/ws?info", {}, 200),
    "the list of channels": ("/channels", {}, 200),
    "another server's name": ("/ws?info", {"Host": "other.example"}, 421),
}


@pytest.mark.parametrize("what", ANSWERS)
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_a_page_may_read_whatever_it_gets(wsbroadcastd, what, method):
    names = ("--server-name", "feed.example", "--origin", APP)
    peer = Peer(wsbroadcastd("-w", "2", "-l", "0.0.0.0:0", *names).port)
    target, fields, status = ANSWERS[what]
    answer = peer.ask(method, target, **({"Host": "feed.example", "Origin": APP} | fields))
    assert answer.status == status and "date" in answer.headers
    allows(answer, APP)


# What every answer has


def test_every_answer_has_a_date(server, peer):
    for method, target in [("GET", "/channels"), ("POST", "/ws"), ("GET", "/ws"), ("PUT", "/x")]:
        date = peer.ask(method, target, b"").headers["date"]
        assert abs(parsedate_to_datetime(date).timestamp() - time.time()) < 5
        assert date.endswith(" GMT")


def test_allow_lists_what_is_known_at_that_path(peer):
    for method in ("PUT", "OPTIONS"):
        assert peer.ask(method, "/channels").headers["allow"] == "GET, HEAD, OPTIONS"
        assert peer.ask(method, "/ws/x").headers["allow"] == "GET, HEAD, POST, OPTIONS"


@pytest.mark.parametrize(
    ("target", "path"),
    [
        ("/ws?access_token=secret", "/ws"),
        ("/nowhere?token=secret", "/nowhere"),
        ("/ws/a%2fb?secret", "/ws/a/b"),
        ("http://user:secret@localhost/nowhere?secret", "/nowhere"),
        ("/ws/gr%C3%BC%C3%9Fe//x?secret", "/ws/grüße//x"),
        ("/ws/%1b%5b31m?secret", r"/ws/\\x1b\[31m"),
        ("user:secret@localhost:80", ""),
    ],
)
def test_the_log_shows_the_path_and_no_secret(wsbroadcastd, target, path):
    server = wsbroadcastd("--log-level", "debug")
    with Client(server.port) as client:
        origin = "http://user:secret@evil.example"
        client.send(f"GET {target} HTTP/1.1\r\nHost: localhost\r\nOrigin: {origin}\r\n\r\n".encode())
        assert client.recv_response().status >= 400
    server.wait_stderr(f": refused with 4..: '{path}': ")
    assert "secret" not in server.stderr


BROWSER = "text/html,application/xhtml+xml,*/*;q=0.8"


def test_a_browser_is_shown_how_the_endpoint_is_used(wsbroadcastd):
    peer = Peer(wsbroadcastd("--no-page").port)
    for target, status in [("/", 404), ("/ws", 426), ("/favicon.ico", 404)]:
        answer = peer.ask("GET", target, Accept=BROWSER)
        assert answer.status == status
        assert answer.headers["content-type"] == "text/html; charset=utf-8"
        assert answer.body.startswith("<!doctype html>")
        for what in ("<code>/ws</code>", "EventSource", "POST", "WebSocket"):
            assert what in answer.body
        check_line(peer.ask("GET", target, Accept="*/*"), status)
    assert "/ws" in peer.ask("GET", "/").body


# Behind a proxy


@pytest.mark.parametrize("lost", ["version", "upgrade"])
def test_a_websocket_that_a_proxy_loses_names_the_proxy_and_is_logged(server, lost):
    """What nginx sends, where nothing is said of HTTP/1.1 and Upgrade."""
    with Client(server.port) as client:
        client.send(
            client.request(
                version="HTTP/1.0" if lost == "version" else "HTTP/1.1",
                Upgrade=None if lost == "upgrade" else "websocket",
                Connection="close",
            )
        )
        answer = client.recv_response()
    check_line(answer, 426)
    assert "proxy" in answer.body and "Upgrade" in answer.body
    server.wait_stderr("refused with 426: '/ws': .*proxy")


@pytest.mark.parametrize(
    ("who", "ws", "posts"),
    [("none", False, False), ("ws", True, False), ("http", False, True), ("all", True, True)],
)
def test_publish_says_who_may(wsbroadcastd, who, ws, posts):
    server = wsbroadcastd("--publish", who)
    with server.client() as listener, server.client() as client:
        client.send_text("by websocket")
        if ws:
            assert listener.recv_message() == "Message: by websocket"
        else:
            assert client.recv_close() == (1008, "this feed is read-only")
        answer = Peer(server.port).ask("POST", "/ws", b"by post")
        assert answer.status == (200 if posts else 403)
        if posts:
            assert listener.recv_message() == "by post"
        else:
            assert "--publish" in answer.body


# Reading history


@pytest.fixture
def keeper(wsbroadcastd) -> programs.Server:
    return wsbroadcastd("--prefix", "", "--history-messages", "1000")


def pages(peer: Peer, target: str, limit: int) -> Iterator[dict]:
    after = ""
    for _ in rawws.turns():
        page = peer.get(f"{target}?limit={limit}{after}")
        yield from page["messages"]
        if page["next"] is None:
            return
        assert len(page["messages"]) == limit
        after = f"&after={page['next']}"


def test_history_is_read_page_by_page(keeper):
    peer = Peer(keeper.port)
    said = ["plain", '"quoted"\\', "line\r\nline\u2028", "\0\x1b[31m", "ünïcödé 🌍", "", "</script>"]
    for text in said:
        last = peer.post(text)["id"]
    for data in (b"\xff\0", b""):
        last = peer.post(data, Content_Type=BINARY)["id"]
    read = list(pages(peer, "/ws", 4))
    assert [message["data"] for message in read[:-2]] == said
    assert [message["type"] for message in read] == ["text"] * len(said) + ["binary"] * 2
    assert [base64.b64decode(message["base64"]) for message in read[-2:]] == [b"\xff\0", b""]
    assert [sequence(message["id"]) for message in read] == list(range(1, len(read) + 1))
    assert read[-1]["id"] == last
    assert peer.get(f"/ws?after={last}")["messages"] == []
    assert [m["data"] for m in peer.get("/ws?history=3")["messages"][:1]] == ["</script>"]


def test_a_page_has_an_end_in_bytes_too(keeper):
    peer = Peer(keeper.port)
    for _ in range(8):
        peer.post("x" * 500_000)
    page = peer.get("/ws?limit=1000")
    assert 1 < len(page["messages"]) < 8 and page["next"] == page["messages"][-1]["id"]


def test_a_channel_that_does_not_exist_is_404(keeper):
    peer = Peer(keeper.port)
    for target in ("/ws/nobody", "/ws/nobody?history=all", "/ws/nobody?info"):
        check_line(peer.ask("GET", target, Accept="application/json"), 404)
    assert [channel["channel"] for channel in peer.get("/channels")["channels"]] == [""]


@pytest.mark.parametrize(
    "query",
    ["after=x", "limit=0", "limit=1001", "limit=x", "limit=", "limit=99999999999999999999"]
    + ["after=0000000000000000-1&after=0000000000000000-1", "history=x", "limit=1&limit=1"],
)
def test_bad_parameters_are_400(keeper, query):
    check_line(Peer(keeper.port).ask("GET", f"/ws?{query}", Accept="application/json"), 400)


def test_an_id_of_the_future_is_400(keeper):
    peer = Peer(keeper.port)
    epoch = peer.post("one")["id"].split("-")[0]
    check_line(peer.ask("GET", f"/ws?last_event_id={epoch}-2", Accept="application/json"), 400)
    assert len(peer.get(f"/ws?after={'f' * 16}-9")["messages"]) == 1  # another epoch: all there is


# Who is there


def test_info_counts(keeper):
    peer = Peer(keeper.port)
    with keeper.client("/ws/a") as one, keeper.client("/ws/a"):
        peer.post("x" * 100, "/ws/a")
        info = peer.get("/ws/a?info")
        assert (info["channel"], info["subscribers"], info["messages"]) == ("a", 2, 1)
        assert (info["bytes"], sequence(info["last_id"])) == (102, 1)
        one.recv_message()
    programs.wait_until("all have left", lambda: peer.get("/ws/a?info")["subscribers"] == 0)


def test_info_is_of_all_workers(wsbroadcastd):
    """Whichever worker is asked, it says how far the slowest is, and what all have acknowledged."""
    server = wsbroadcastd("--workers", "3", "--prefix", "", "--max-lag", "0")
    peer = Peer(server.port)
    readers = [server.client("/ws/a") for _ in range(6)]
    first = peer.post("x", "/ws/a")["id"]
    assert all(reader.recv_message() == "x" for reader in readers)
    with server.client("/ws/a", receive_buffer=4096):
        for _ in range(80):
            last = peer.post("x" * 100_000, "/ws/a")["id"]
        for reader in readers:
            for _ in range(80):
                reader.recv_message()
            reader.send_frame(rawws.PONG, last.encode())
            reader.send_frame(rawws.PING)
            assert reader.recv_frame().opcode == rawws.PONG
        for _ in range(20):
            info = Peer(server.port).get("/ws/a?info")
            assert info["subscribers"] == 7
            assert info["slowest_lag"]["bytes"] > 1_000_000 and info["slowest_lag"]["messages"] > 10
            assert info["slowest_lag"]["unacknowledged"] > 4096  # what its system has no room for
            assert info["acknowledged"] == first
    programs.wait_until("it has left", lambda: peer.get("/ws/a?info")["subscribers"] == 6)
    for _ in range(20):
        info = Peer(server.port).get("/ws/a?info")
        assert info["slowest_lag"]["messages"] == info["slowest_lag"]["bytes"] == 0
        assert info["acknowledged"] == last
    for reader in readers:
        reader.disconnect()


def test_who_asks_all_workers_may_leave_before_the_answer(wsbroadcastd):
    """Pipelined, half-closed, gone; and the server ends while some ask."""
    server = wsbroadcastd("--workers", "4", "--prefix", "")
    info = b"GET /ws?info HTTP/1.1\r\nHost: localhost\r\n\r\n"
    with server.client():
        with Client(server.port) as client:
            client.send(info * 300)
            for _ in range(300):
                assert json.loads(client.recv_response().body)["subscribers"] == 1
        with Client(server.port) as client:
            client.send(info)
            client.sock.shutdown(socket.SHUT_WR)
            assert client.recv_response().status == 200
            client.recv_eof()
        with Client(server.port) as client:
            client.send(info.replace(b"1.1", b"1.0"))
            assert client.recv_response().headers["connection"] == "close"
            client.recv_eof()
        for _ in range(300):
            client = Client(server.port)
            client.send(info * 10)
            client.reset()
        last = Client(server.port)
        last.send(info * 1000)
        server.stop()
        server.wait()
        last.disconnect()


def test_head_has_the_fields_and_no_body(server, peer):
    answer = peer.ask("HEAD", "/ws?info")
    assert answer.status == 200 and int(answer.headers["content-length"]) > 50
    assert peer.get("/ws?info")["subscribers"] == 0


def test_channels_are_listed_page_by_page(keeper):
    peer = Peer(keeper.port)
    names = {f"room/{i}" for i in range(25)}
    for name in names:
        peer.post("x", f"/ws/{name}")
    found, after = [], ""
    for _ in rawws.turns():
        page = peer.get(f"/channels?limit=10{after}")
        found += [channel["channel"] for channel in page["channels"]]
        if page["next"] is None:
            break
        after = f"&after={page['next']}"
    assert len(found) == 26 and set(found) == names | {""}
    check_line(peer.ask("GET", "/channels?after=gone"), 404)


def test_counts_are_exact_after_a_storm(server):
    """Thousands come, some with WebSockets and some to listen to events, and go as they like."""
    peer = Peer(server.port)
    errors: list[BaseException] = []

    def come_and_go(number: int) -> None:
        try:
            for i in range(250):
                if (i + number) % 3 == 0:
                    client = Client(server.port)
                    client.send(b"GET /ws HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n\r\n")
                    assert client.recv_head().status == 200
                else:
                    client = server.client()
                if i % 5 == 0 and (i + number) % 3:
                    client.close()
                client.disconnect()
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=come_and_go, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors
    programs.wait_until("all have left", lambda: peer.get("/ws?info")["subscribers"] == 0)
    with server.client():
        assert peer.get("/ws?info")["subscribers"] == 1


def test_a_channel_whose_path_is_taken_is_refused_by_name(wsbroadcastd):
    server = wsbroadcastd("--path", "/")
    peer = Peer(server.port)
    assert [entry["channel"] for entry in peer.get("/channels")["channels"]] == [""]
    for answer in (
        peer.ask("POST", "/channels", b"x"),
        peer.ask("GET", "/channels", Accept="text/event-stream"),
    ):
        check_line(answer, 404)
        assert "'channels'" in answer.body
    with Client(server.port) as client:
        client.send(client.request(target="/channels"))
        check_line(client.recv_response(), 404)
    with server.client("/channels/a"):
        names = [entry["channel"] for entry in peer.get("/channels")["channels"]]
        assert names == ["", "channels/a"]


def test_the_list_gives_way_to_the_endpoint_itself(wsbroadcastd):
    server = wsbroadcastd("--path", "/channels", "--prefix", "")
    with server.client("/channels") as client:
        assert Peer(server.port).post("the default channel", "/channels")["subscribers"] == 1
        assert client.recv_message() == "the default channel"


def test_a_browser_gets_a_page_where_the_root_is_the_endpoint(wsbroadcastd):
    server = wsbroadcastd("--path", "/", "--no-page")
    peer = Peer(server.port)
    answer = peer.ask("GET", "/", Accept=BROWSER)
    assert answer.status == 200
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert answer.headers["content-security-policy"] == "default-src 'none'"
    assert "<code>/NAME</code>" in answer.body and "426" not in answer.body
    assert peer.ask("HEAD", "/", Accept=BROWSER).status == 200
    assert peer.ask("GET", "/", Accept="*/*").status == 426
    assert peer.get("/?info")["subscribers"] == 0
