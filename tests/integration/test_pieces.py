"""Pages of history and replayed events are made as the socket takes them: they cost the server next
to nothing while nobody reads, and are whole and exact however they are read."""

from __future__ import annotations

import json
import random
import socket
import threading

import programs
import pytest
import rawws
from rawws import Client, ConnectionLost
from test_events import Listener
from test_http import Peer, sequence

MIB = 1 << 20
CONTROLS = "\x01" * (MIB - 100)  # six times as long as JSON
NEWLINES = "\n" * (MIB - 100)  # six times as long as an event
PAGE = b"GET /ws HTTP/1.1\r\nHost: localhost\r\nAccept: application/json\r\n\r\n"
HEAD = PAGE.replace(b"GET", b"HEAD")


@pytest.fixture
def keeper(wsbroadcastd) -> programs.Server:
    return wsbroadcastd("--prefix", "", "--history-messages", "1000", "--handshake-timeout", "100")


def ask(server: programs.Server, request: bytes = PAGE) -> Client:
    """Asks, and reads next to nothing."""
    client = Client(server.port, receive_buffer=4096)
    client.send(request)
    return client


def wait_half_written(client: Client) -> None:
    """The answer has begun, and what it holds is more than the sockets took."""
    assert client.recv_head().status == 200


# What they cost


def test_a_head_makes_no_page(keeper):
    """12.8 KB of requests, each for a page of 6 MiB."""
    count = 12_800 // len(HEAD)
    Peer(keeper.port).post(CONTROLS)
    before = keeper.cpu_seconds()
    with Client(keeper.port) as client:
        client.send(HEAD * count)
        for _ in range(count):
            answer = client.recv_response(has_body=False)
            assert answer.status == 200
        assert answer.headers["content-type"] == "application/json"
        assert answer.headers["transfer-encoding"] == "chunked"
    assert keeper.cpu_seconds() - before < 0.3


def test_a_head_of_the_channels_makes_no_list(keeper):
    with Client(keeper.port) as client:
        client.send(b"HEAD /channels HTTP/1.1\r\nHost: localhost\r\n\r\n" * 2)
        client.send(b"GET /channels HTTP/1.1\r\nHost: localhost\r\n\r\n")
        for _ in range(2):
            answer = client.recv_response(has_body=False)
            assert answer.status == 200 and "content-length" not in answer.headers
        assert len(json.loads(client.recv_response().body)["channels"]) == 1


@pytest.mark.skipif(programs.SANITIZED, reason="what a sanitizer holds back is more")
def test_pages_that_nobody_reads_are_not_held(keeper):
    Peer(keeper.port).post(CONTROLS)
    before = keeper.rss_anon()
    clients = [ask(keeper) for _ in range(50)]
    for client in clients:
        wait_half_written(client)
    assert keeper.rss_anon() - before < 8 * MIB
    for client in clients:
        client.disconnect()


@pytest.mark.skipif(programs.SANITIZED, reason="what a sanitizer holds back is more")
def test_replays_that_nobody_reads_are_not_held(keeper):
    Peer(keeper.port).post(NEWLINES)
    before = keeper.rss_anon()
    clients = [Listener(keeper.port, "/ws?history=1", receive_buffer=4096) for _ in range(100)]
    assert keeper.rss_anon() - before < 16 * MIB
    for client in clients:
        client.disconnect()


def test_others_do_not_wait_for_a_page(keeper, bystanders):
    Peer(keeper.port).post(CONTROLS)
    with Client(keeper.port) as client:
        client.send(PAGE)
        bystanders.wait_round()
        assert json.loads(client.recv_response().body)["messages"][0]["data"] == CONTROLS


# Pages


def various(seed: int, count: int) -> list[str]:
    """Texts of all lengths, of what has to be escaped and what does not."""
    chosen = random.Random(seed)
    parts = ["plain ", "\x01", '"', "\\", "\r\n", "\n", "ü", "\u2028", "🌍", "x" * 1000]
    return [
        "".join(chosen.choices(parts, k=chosen.choice([0, 1, 10, 100, 5000]))) for _ in range(count)
    ]


def read_slowly(client: Client) -> rawws.Response:
    """Like recv_response, but a few kilobytes at a time: the server stalls again and again."""
    client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    return client.recv_response()


def test_a_page_is_whole_however_it_is_read(keeper):
    peer, said = Peer(keeper.port), various(1, 40)
    for text in said:
        peer.post(text)
    found, after = [], ""
    while after is not None:
        with ask(keeper, PAGE.replace(b"/ws", b"/ws?limit=1000" + after.encode())) as client:
            page = json.loads(read_slowly(client).body)
        found += page["messages"]
        after = page["next"] and f"&after={page['next']}"
    assert [message["data"] for message in found] == said
    assert [sequence(message["id"]) for message in found] == list(range(1, len(said) + 1))


def test_a_page_is_bounded_as_it_is_sent(keeper):
    """1 MiB of JSON, or one message."""
    peer = Peer(keeper.port)
    for _ in range(10):
        peer.post("\x01" * 60_000)
    peer.post(CONTROLS)
    sizes, counts, after = [], [], ""
    while after is not None:
        answer = peer.ask("GET", f"/ws?limit=1000{after}", Accept="application/json")
        page = json.loads(answer.body)
        sizes.append(len(answer.body))
        counts.append(len(page["messages"]))
        after = page["next"] and f"&after={page['next']}"
    assert counts == [2, 2, 2, 2, 2, 1]
    assert max(sizes[:-1]) <= MIB < sizes[-1]


def test_requests_behind_a_page_wait_for_it(keeper):
    peer = Peer(keeper.port)
    peer.post(CONTROLS)
    post = b"POST /ws/other HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\n\r\nx"
    with ask(keeper, PAGE + HEAD + post + PAGE + PAGE.replace(b"/ws", b"/ws?limit=0")) as client:
        assert json.loads(client.recv_response().body)["messages"][0]["data"] == CONTROLS
        assert client.recv_response(has_body=False).status == 200
        assert sequence(json.loads(client.recv_response().body)["id"]) == 1
        assert json.loads(client.recv_response().body)["messages"][0]["data"] == CONTROLS
        assert client.recv_response().status == 400
        client.send(client.request())
        client.recv_accept()


def test_http_1_0_gets_a_page_that_the_end_ends(keeper):
    Peer(keeper.port).post(CONTROLS)
    with ask(keeper, PAGE.replace(b"1.1", b"1.0")) as client:
        head = client.recv_head()
        assert head.headers["connection"] == "close"
        assert "transfer-encoding" not in head.headers and "content-length" not in head.headers
        body = b""
        with pytest.raises(ConnectionLost):
            while True:
                body += client.recv_exactly(1)
                body += client.recv_exactly(len(client._buffer))
    assert json.loads(body)["messages"][0]["data"] == CONTROLS


def test_who_half_closes_gets_all_of_the_page(keeper):
    Peer(keeper.port).post(CONTROLS)
    with ask(keeper) as client:
        client.sock.shutdown(socket.SHUT_WR)
        assert json.loads(client.recv_response().body)["messages"][0]["data"] == CONTROLS
        client.recv_eof()


def test_a_page_outlives_what_it_shows(wsbroadcastd):
    """The history drops the message, and would forget the channel, while the page is written."""
    server = wsbroadcastd("--prefix", "", "--history-messages", "5", "--history-age", "1s")
    peer = Peer(server.port)
    peer.post(CONTROLS, "/ws/short")
    with ask(server, PAGE.replace(b"/ws", b"/ws/short")) as client:
        wait_half_written(client)
        programs.wait_until("it expires", lambda: peer.get("/ws/short?info")["messages"] == 0)
        assert json.loads(b"".join(client.recv_chunks()))["messages"][0]["data"] == CONTROLS
    programs.wait_until(
        "the channel is forgotten",
        lambda: [channel["channel"] for channel in peer.get("/channels")["channels"]] == [""],
    )


@pytest.mark.parametrize("how", [Client.disconnect, Client.reset])
def test_who_leaves_within_a_page_leaves_nothing(keeper, bystanders, how):
    peer = Peer(keeper.port)
    peer.post(CONTROLS, "/ws/x")
    before = keeper.sockets()
    for _ in range(20):
        client = ask(keeper, PAGE.replace(b"/ws", b"/ws/x"))
        wait_half_written(client)
        how(client)
    bystanders.wait_round()
    programs.wait_until("all have left", lambda: keeper.sockets() == before)


def test_a_page_that_is_not_read_ends_in_time(wsbroadcastd):
    server = wsbroadcastd("--prefix", "", "--history-messages", "5", "--handshake-timeout", "1")
    Peer(server.port).post(CONTROLS)
    with ask(server) as client:
        wait_half_written(client)
        server.wait_stderr("limit handshake-timeout: dropped")
        with pytest.raises(ConnectionLost):
            for _ in client.recv_chunks():
                pass


def test_the_server_ends_within_pages_and_replays(keeper):
    Peer(keeper.port).post(CONTROLS + "\n" * 50)
    clients = [ask(keeper) for _ in range(3)]
    clients += [Listener(keeper.port, "/ws?history=1", receive_buffer=4096) for _ in range(3)]
    for client in clients[:3]:
        wait_half_written(client)
    keeper.stop()
    keeper.wait()
    for client in clients:
        client.disconnect()


# Events


def test_an_event_that_has_begun_ends_before_the_stream(wsbroadcastd):
    """The server stops, and the reader goes on reading: nothing is cut."""
    keeper = wsbroadcastd("--prefix", "", "--history-messages", "9", "--close-timeout", "100")
    peer = Peer(keeper.port)
    for text in (NEWLINES, "never heard"):
        peer.post(text)
    with Listener(keeper.port, "/ws?history=2", receive_buffer=65536) as listener:
        begin = [listener.recv_line() for _ in range(3)]
        assert begin[0].startswith("id: ") and begin[1].startswith("retry: ") and begin[2] == ""
        assert listener.recv_line().startswith("id: ")
        keeper.process.terminate()
        keeper.wait_stderr("stopping on SIGTERM")
        assert listener.event().data == NEWLINES
        listener.recv_eof()
    keeper.wait()


def test_long_events_of_the_past_meet_the_live_ones(wsbroadcastd):
    """Readers of all speeds, that come back by ID: no seam, nothing twice, nothing between lines."""
    server = wsbroadcastd(
        "--prefix", "", "--history-messages", "100000", "--ping-interval", "0.1", "--max-lag", "0"
    )
    peer, said = Peer(server.port), ["\n" * 300_000, *various(2, 60), CONTROLS]
    for text in said[:30]:
        peer.post(text)

    def publish() -> None:
        publisher = Peer(server.port)
        for text in said[30:]:
            publisher.post(text)

    thread = threading.Thread(target=publish, daemon=True)
    thread.start()
    for buffer in (2048, 20_000, 0):
        heard, query, last = [], "?history=all", ""
        while len(heard) < len(said):
            with Listener(server.port, f"/ws{query}", receive_buffer=buffer) as listener:
                for _ in range(min(25, len(said) - len(heard))):
                    event = listener.event()
                    heard.append(event.data)
                    last = event.id
                    assert sequence(last) == len(heard)
            query = f"?last_event_id={last}"
        assert heard == [text.replace("\r\n", "\n").replace("\r", "\n") for text in said]
    thread.join()


def test_one_that_skips_within_a_long_event_hears_it_to_its_end(wsbroadcastd):
    server = wsbroadcastd(
        "--prefix", "", "--history-messages", "1", "--max-lag", "2msg", "--slow-consumer", "skip"
    )
    peer = Peer(server.port)
    peer.post(NEWLINES)
    with Listener(server.port, "/ws?history=1", receive_buffer=4096) as listener:
        for _ in rawws.turns():  # lag is judged when something is published
            peer.post("meanwhile")
            if "limit max-lag: skipped" in server.stderr:
                break
        assert listener.event().data == NEWLINES
        with Listener(server.port) as other:
            for _ in rawws.turns():  # where it goes on is known to nobody but itself
                told = peer.post("on")["id"]
                assert other.event().id == told
                event = listener.event()  # whole, and new
                assert event.data in ("meanwhile", "on") and sequence(event.id) > 3
                if event.id == told:
                    break
