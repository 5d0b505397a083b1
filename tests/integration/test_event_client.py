"""wsrecv as a client of event streams (Server-Sent Events): our own server's, and others'."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from rawws import Head, ScriptedServer, ServerPeer
from test_resume import EPOCH, publish

OK, USAGE, REFUSED, LOST, PROTOCOL = 0, 2, 5, 6, 7
HEAD = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
KEEPS = ("--prefix", "", "--history-messages", "1000")
AGAIN = ("--reconnect", "--retry-max-delay", "0.1")


def http(url: str) -> str:
    return url.replace("ws", "http", 1)


def streams(body: bytes, *fields: str, heads: list[Head] | None = None,
            then: Callable[[ServerPeer], object] = lambda peer: None):  # fmt: skip
    """A script: the head of an event stream, this body, and the end."""

    def script(peer: ServerPeer) -> None:
        head = peer.recv_head()
        if heads is not None:
            heads.append(head)
        peer.send((HEAD + "".join(f"{field}\r\n" for field in fields) + "\r\n").encode() + body)
        then(peer)

    return script


def heard(wsrecv, body: bytes, *options: str, fields: tuple[str, ...] = (), status: int = OK) -> str:
    with ScriptedServer(streams(body, *fields)) as server:
        return wsrecv("-q", "-r", *options, http(server.url)).wait(status).read_rest()


# Our own server


@pytest.mark.parametrize("workers", ["1", "3"])
def test_it_prints_what_a_websocket_client_gets(wsbroadcastd, wsrecv, workers):
    server = wsbroadcastd(*KEEPS, "-w", workers)
    texts = ["one", "two\nlines", "", "grüße 🌍", " leading", "x" * 100_000]
    publish(server, *texts)
    with server.client() as client:
        client.send_binary(b"\xff\x00\n")
        client.recv_message()
        listener = wsrecv("-q", "--json", "--until-live", http(server.url))
        messages = [json.loads(line) for line in listener.read_rest().splitlines()]
        listener.wait(OK)
    assert [message.get("data") for message in messages] == [*texts, None]
    assert messages[-1]["base64"] == "/wAK" and messages[-1]["type"] == "binary"
    ids = [message["id"] for message in messages]
    assert [int(name.rpartition("-")[2]) for name in ids] == list(range(1, len(texts) + 2))


def test_it_goes_on_where_it_was_with_a_state_file(wsbroadcastd, wsrecv, tmp_path):
    server = wsbroadcastd(*KEEPS)
    job = ["-r", "--until-live", "--state-file", str(tmp_path / "state"), http(server.url)]
    for texts in (["a", "b"], [], ["c"]):
        publish(server, *texts)
        assert wsrecv(*job).wait(OK).read_rest().splitlines() == texts


def test_it_hears_what_comes_live_and_ends_at_a_count_or_a_signal(wsbroadcastd, wsrecv):
    server = wsbroadcastd("--prefix", "")
    listener = wsrecv("-r", "-n", "1", "--sse", server.url)  # whatever its scheme
    listener.wait_stderr(f"Connected to {http(server.url)}")
    other = wsrecv(http(server.url))
    other.wait_stderr("Connected")
    publish(server, "now")
    assert listener.wait(OK).read_rest() == "now\n"
    assert other.read_line() == "Received: now"
    other.stop()


def test_a_server_that_stops_is_an_end_in_good_order(wsbroadcastd, wsrecv):
    server = wsbroadcastd()
    listener = wsrecv(http(server.url))
    listener.wait_stderr("Connected")
    server.stop()
    listener.wait(OK)


def test_what_the_server_refuses_is_told_with_its_advice(wsbroadcastd, wsrecv):
    server = wsbroadcastd("--create-channels", "listed")
    refused = wsrecv(http(server.url) + "/nothing").wait(REFUSED)
    assert "404" in refused.stderr and "the server says: " in refused.stderr


# Any server


def test_lines_fields_and_comments_are_read_as_the_standard_has_it(wsrecv):
    body = (b"\xef\xbb\xbfdata: bom\n\n: comment\ndata:one\r\n\r\ndata: two\rdata:  three\r\r"
            b"data\n\nevent: none\n\nid: 1\n\ndatas: no\ndata: last\nfield\n\ndata: cut")  # fmt: skip
    assert heard(wsrecv, body) == "bom\none\ntwo\n three\n\nlast\n"
    assert heard(wsrecv, body.replace(b"\n", b"\r\n")) == "bom\none\ntwo\n three\n\nlast\n"


def test_a_stream_in_pieces(wsrecv):
    def script(peer: ServerPeer) -> None:
        peer.recv_head()
        peer.send((HEAD + "Transfer-Encoding: chunked\r\n\r\n").encode())
        for byte in b"data: one\r\n\r\ndata: two\n\n":
            peer.send(b"1\r\n" + bytes([byte]) + b"\r\n")
        peer.send(b"0\r\n\r\n")

    with ScriptedServer(script) as server:
        assert wsrecv("-r", http(server.url)).wait(OK).read_rest() == "one\ntwo\n"


def test_only_events_of_a_type(wsrecv):
    body = b"event: a\ndata: 1\n\nevent: b\ndata: 2\n\ndata: 3\n\n"
    assert heard(wsrecv, body) == "1\n2\n3\n"
    assert heard(wsrecv, body, "--event", "a") == "1\n"
    assert heard(wsrecv, body, "--event", "b", "--event", "message") == "2\n3\n"


def test_the_request_is_what_servers_expect(wsrecv):
    heads: list[Head] = []
    with ScriptedServer(streams(b"", heads=heads)) as server:
        wsrecv("-u", "me:x", "-H", "X-One: 1", "--query", "a=b", http(server.url)).wait(OK)
    fields = heads[0].headers
    assert heads[0].target == "/ws?a=b" and fields["accept"] == "text/event-stream"
    assert fields["x-one"] == "1" and fields["authorization"].startswith("Basic ")
    assert not {"upgrade", "sec-websocket-key", "sec-websocket-version"} & set(fields)


def test_it_comes_back_with_the_last_id_whatever_that_looks_like(wsrecv):
    heads: list[Head] = []
    scripts = [streams(b"id: so/me id\ndata: a\n\nretry: 10\n\n", heads=heads),
               streams(b"data: b\n\nid\n\n", heads=heads), streams(b"data: c\n\n", heads=heads)]  # fmt: skip
    with ScriptedServer(scripts) as server:
        listener = wsrecv("-q", "-r", "-n", "3", *AGAIN, http(server.url)).wait(OK)
    assert listener.read_rest() == "a\nb\nc\n"
    assert [head.headers.get("last-event-id") for head in heads] == [None, "so/me id", None]


def test_ids_that_count_show_gaps_and_skipped_events_are_none(wsrecv):
    body = f"id: {EPOCH}-1\nevent: x\ndata: a\n\nid: {EPOCH}-2\ndata: b\n\nid: {EPOCH}-5\ndata: c\n\n"
    with ScriptedServer(streams(body.encode(), f"Last-Event-ID: {EPOCH}-0")) as server:
        listener = wsrecv("-r", "--event", "message", http(server.url)).wait(OK)
    assert listener.read_rest() == "b\nc\n"
    assert listener.stderr.count("gap") == 1 and "gap: 2 messages" in listener.stderr


def test_a_redirection_is_followed(wsrecv):
    heads: list[Head] = []

    def redirect(peer: ServerPeer) -> None:
        peer.recv_head()
        peer.send(b"HTTP/1.1 307 X\r\nLocation: /there\r\nContent-Length: 0\r\n\r\n")

    with ScriptedServer([redirect, streams(b"data: x\n\n", heads=heads)]) as server:
        assert wsrecv("-r", http(server.url)).wait(OK).read_rest() == "x\n"
    assert heads[0].target == "/there"


def answers(response: bytes) -> Callable[[ServerPeer], None]:
    def script(peer: ServerPeer) -> None:
        peer.recv_head()
        peer.send(response)

    return script


@pytest.mark.parametrize(
    "response, status, said",
    [(b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 0\r\n\r\n", PROTOCOL, "ws://"),
     (b"HTTP/1.1 204 No\r\n\r\n", OK, ""),
     (b"HTTP/1.1 403 No\r\nContent-Length: 2\r\n\r\nno", REFUSED, "the server says: no"),
     (HEAD.encode() + b"Transfer-Encoding: chunked\r\n\r\n5\r\ndata", LOST, "ended it without"),
     (HEAD.encode() + b"Transfer-Encoding: chunked\r\n\r\nzz", PROTOCOL, "well-formed"),
     (HEAD.encode() + b"\r\ndata: \xff\n\n", PROTOCOL, "UTF-8"),
     (HEAD.encode() + b"\r\ndata: " + b"x" * 9000 + b"\n\n", PROTOCOL, "--max-message")],
    ids=["html", "204", "403", "cut", "chunk", "utf-8", "long"],
)  # fmt: skip
def test_what_is_no_stream_ends_with_the_status_of_a_websocket(wsrecv, response, status, said):
    with ScriptedServer(answers(response)) as server:
        options = ("--max-message", "4K", *(AGAIN if status in (OK, PROTOCOL) else ()))
        assert said in wsrecv(*options, http(server.url)).wait(status).stderr


@pytest.mark.parametrize("options", [["-m", "x"], ["-s"], ["--echo"]])
def test_an_event_stream_sends_nothing(wsrecv, options):
    assert "event stream" in wsrecv(*options, "http://127.0.0.1:1/").wait(USAGE).stderr


def test_event_is_for_event_streams(wsrecv):
    assert "--sse" in wsrecv("--event", "x", "ws://127.0.0.1:1/").wait(USAGE).stderr


def test_a_slow_reader_of_the_output_stops_the_stream(wsbroadcastd, wsrecv):
    """Nothing is lost, and memory does not grow with what waits."""
    server = wsbroadcastd("--prefix", "", "--max-lag", "0")
    listener = wsrecv("-r", "-n", "2000", http(server.url))
    listener.wait_stderr("Connected")
    with server.client() as client:
        for i in range(2000):
            client.send_text(f"{i:05} " + "x" * 4000)
            client.recv_message()
    lines = listener.read_rest().splitlines()
    assert [int(line[:5]) for line in lines] == list(range(2000))
    listener.wait(OK)
