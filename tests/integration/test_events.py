"""Server-Sent Events: the same messages, for browsers and for curl."""

from __future__ import annotations

import base64
import random
import re
import socket
import subprocess
import threading
from collections.abc import Iterator
from typing import NamedTuple

import programs
import pytest
import rawws
from rawws import Client, ConnectionLost
from test_differential import browser, page  # noqa: F401 (fixtures)
from test_http import BINARY, Peer, check_line, sequence


class Event(NamedTuple):
    """One event that would be dispatched (WHATWG HTML, 9.2.6)."""

    id: str
    data: str
    type: str = "message"

    @property
    def payload(self) -> str | bytes:
        return base64.b64decode(self.data) if self.type == "binary" else self.data


class Listener(Client):
    """Listens to an event stream, and takes it apart as the standard says."""

    def __init__(self, port: int, target: str = "/ws", *, receive_buffer: int = 0, **fields: str):
        super().__init__(port, receive_buffer=receive_buffer)
        self.send(
            self.request(
                target,
                Upgrade=None,
                Connection=None,
                Sec_WebSocket_Key=None,
                Sec_WebSocket_Version=None,
                Accept="text/event-stream",
                **fields,
            )
        )
        self.accepted = self.recv_head()
        assert self.accepted.status == 200, self.accepted
        assert self.accepted.headers["content-type"] == "text/event-stream"
        assert "content-length" not in self.accepted.headers
        self.last_id = ""
        self.comments = 0
        self.retry = 0

    def recv_line(self) -> str:
        while (end := self._buffer.find(b"\n")) < 0:
            self._fill()
        return self.recv_exactly(end + 1)[:-1].decode()

    def event(self) -> Event:
        data, kind = [], "message"
        for _ in rawws.turns():
            line = self.recv_line()
            name, _, value = line.partition(":")
            value = value.removeprefix(" ")
            if line == "" and data:
                return Event(self.last_id, "\n".join(data), kind)
            assert line in ("", ":") or name in ("id", "data", "event", "retry"), line
            if name == "id":
                self.last_id = value
            elif name == "data":
                data.append(value)
            elif name == "event":
                kind = value
            elif name == "retry":
                self.retry = int(value)
            elif line == ":":
                self.comments += 1


@pytest.fixture
def keeper(wsbroadcastd) -> programs.Server:
    return wsbroadcastd("--prefix", "", "--history-messages", "100000")


def test_events_are_the_messages(keeper):
    said = ["plain", "", " space", "two\nlines", "cr\rlf\r\n\r\nend\n", "ünï: 🌍", "id: 7\n\ndata: x"]
    with Listener(keeper.port) as listener, keeper.client() as client:
        for text in said:
            client.send_text(text)
        client.send_binary(b"\xff\n\0")
        events = [listener.event() for _ in range(len(said) + 1)]
    assert [event.data for event in events[:-1]] == [re.sub("\r\n?", "\n", text) for text in said]
    assert events[-1].payload == b"\xff\n\0"
    assert [sequence(event.id) for event in events] == list(range(1, len(events) + 1))
    assert listener.accepted.headers["last-event-id"].endswith("-0")


def test_the_place_is_known_before_the_first_event(keeper):
    """Who is cut off before it has heard anything comes back without a gap."""
    last = Peer(keeper.port).post("before")["id"]
    with Listener(keeper.port) as listener:
        Peer(keeper.port).post("after")
        assert listener.accepted.headers["last-event-id"] == last
        listener.recv_line()  # the ID, in an event of its own that is not dispatched
    with Listener(keeper.port, Last_Event_ID=last) as again:
        assert again.event().data == "after"


def test_streams_are_told_to_come_back_at_different_times(keeper):
    """Else all that one server has lost would return at the same moment."""
    peer = Peer(keeper.port)
    delays = set()
    for _ in range(10):
        with Listener(keeper.port) as listener:
            peer.post("hello")
            listener.event()
            delays.add(listener.retry)
    assert all(1000 <= delay <= 5000 for delay in delays) and len(delays) > 1, delays


def test_curl_listens(keeper):
    url = f"http://127.0.0.1:{keeper.port}/ws?history=all"
    Peer(keeper.port).post("hello")
    curl = subprocess.Popen(
        ["curl", "-sSN", "-H", "Accept: text/event-stream", url],
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert curl.stdout is not None
        while (line := curl.stdout.readline()) != "data: hello\n":
            assert line
    finally:
        curl.kill()
        curl.wait()
        curl.stdout.close()
    peer = Peer(keeper.port)
    programs.wait_until("it has left", lambda: peer.get("/ws?info")["subscribers"] == 0)


@pytest.mark.parametrize("query", ["history=all", "history=20000", "last_event_id={epoch}-0"])
def test_history_and_live_are_one(keeper, query):
    """Publishing goes on while it catches up: nothing is lost, doubled or out of order."""
    peer = Peer(keeper.port)
    epoch = peer.post("0 ")["id"].split("-")[0]
    count = 20_000

    def publish() -> None:
        with keeper.client() as client:
            rand = random.Random(7)
            for i in range(1, count):
                client.send_text(f"{i} " + "x" * rand.randrange(300))
                if i % 100 == 0:
                    for _ in range(100):
                        client.recv_message()
            for _ in range(99):
                client.recv_message()

    thread = threading.Thread(target=publish)
    thread.start()
    heard = []
    programs.wait_until("some are there", lambda: sequence(peer.get("/ws?info")["last_id"]) > 5000)
    with Listener(keeper.port, "/ws?" + query.format(epoch=epoch)) as listener:
        heard = [listener.event() for _ in range(count)]
    thread.join()
    assert [int(event.data.split(" ")[0]) for event in heard] == list(range(count))
    assert [sequence(event.id) for event in heard] == list(range(1, count + 1))


@pytest.mark.parametrize("id_", ["17", "garbage", "{epoch}-3", "{epoch}-99999", "0000000000000000-1"])
@pytest.mark.parametrize("field", [True, False])
def test_an_id_that_is_not_ours_is_of_another_epoch(keeper, id_, field):
    """A browser never comes back after a 400: it gets what is kept, and the first ID shows the gap."""
    epoch = Peer(keeper.port).post("one")["id"].split("-")[0]
    last = Peer(keeper.port).post("two")["id"]
    id_ = id_.format(epoch=epoch)
    target = "/ws" if field else f"/ws?last_event_id={id_}&history=1"
    fields = {"Last_Event_ID": id_} if field else {}
    with Listener(keeper.port, target, **fields) as listener:
        assert listener.accepted.headers["last-event-id"] == f"{epoch}-0"
        assert [listener.event().data for _ in range(2)] == ["one", "two"]
        assert listener.last_id == last


def test_an_empty_id_is_none(keeper):
    peer = Peer(keeper.port)
    last = peer.post("before")["id"]
    with Listener(keeper.port, "/ws?last_event_id=", Last_Event_ID="") as listener:
        assert listener.accepted.headers["last-event-id"] == last
    with Listener(keeper.port, "/ws?history=1", Last_Event_ID="") as listener:
        assert listener.event().data == "before"
    with Client(keeper.port).upgrade("/ws?last_event_id=", Last_Event_ID="") as client:
        assert client.accepted.headers["last-event-id"] == last
    assert len(peer.get("/ws?after=&last_event_id=")["messages"]) == 1


def test_a_silent_stream_has_heartbeats(wsbroadcastd):
    server = wsbroadcastd("--ping-interval", "1", "--ping-timeout", "1")
    with Listener(server.port) as listener, server.client() as client:
        while listener.recv_line() != ":":
            pass
        client.send_text("still there")
        assert listener.event().data == "Message: still there"


def test_what_a_listener_says_is_ignored(keeper):
    with Listener(keeper.port) as listener:
        listener.send(b"GET /ws HTTP/1.1\r\n\r\n" + bytes(range(256)) * 1000)
        Peer(keeper.port).post("hello")
        assert listener.event().data == "hello"


def test_who_half_closes_has_left(keeper):
    peer = Peer(keeper.port)
    with Listener(keeper.port) as listener:
        assert peer.get("/ws?info")["subscribers"] == 1
        listener.sock.shutdown(socket.SHUT_WR)
        programs.wait_until("it has left", lambda: peer.get("/ws?info")["subscribers"] == 0)


def test_the_end_of_the_server_is_the_end_of_the_stream(wsbroadcastd):
    """After all that was published; without a Close frame or anything else behind it."""
    server = wsbroadcastd("--prefix", "")
    with Listener(server.port) as listener:
        Peer(server.port).post("last words")
        server.stop()
        assert listener.event().data == "last words"
        with pytest.raises(ConnectionLost):
            listener.event()


@pytest.mark.parametrize("policy", ["close", "skip"])
def test_a_slow_listener_meets_the_policy(wsbroadcastd, policy):
    server = wsbroadcastd("--prefix", "", "--max-lag", "2M", "--slow-consumer", policy)
    with server.client() as client, Listener(server.port, receive_buffer=4096) as listener:
        for i in range(400):
            client.send_text(f"{i} " + "x" * 50_000)
            client.recv_message()
        server.wait_stderr("limit max-lag: " + ("closed" if policy == "close" else "skipped"))
        heard: list[Event] = []
        stop = threading.Event()

        def say_the_end() -> None:
            """Again and again: what is said before it has caught up is skipped, too."""
            while not stop.wait(0.02):
                client.send_text("the end")

        thread = threading.Thread(target=say_the_end)
        thread.start()
        try:
            while not heard or heard[-1].data != "the end":
                heard.append(listener.event())
        except (ConnectionLost, ConnectionResetError):
            assert policy == "close"
        finally:
            stop.set()
            thread.join()
    ids = [sequence(event.id) for event in heard]
    assert ids == sorted(set(ids)) and len(ids) < 400
    assert all(event.data.startswith(f"{n - 1} ") for n, event in zip(ids, heard) if n <= 400)
    assert (heard[-1].data == "the end") == (policy == "skip")


def test_forms_of_one_history_agree(keeper):
    """WebSocket, with and without compression, events, and JSON."""
    peer = Peer(keeper.port)
    for i in range(500):
        peer.post(f"{i} " + "abc" * (i % 100))
    peer.post(b"\x00\xff", Content_Type=BINARY)
    deflate = {"Sec_WebSocket_Extensions": "permessage-deflate"}
    with (
        keeper.client("/ws?history=all") as plain,
        Client(keeper.port).upgrade("/ws?history=all", **deflate) as deflated,
        Listener(keeper.port, "/ws?history=all") as listener,
    ):
        messages = [plain.recv_message() for _ in range(501)]
        assert [deflated.recv_message() for _ in range(501)] == messages
        assert [listener.event().payload for _ in range(501)] == messages
    read = peer.get("/ws?limit=1000")["messages"]
    assert [m.get("data") or base64.b64decode(m["base64"]) for m in read] == messages


class Line:
    """A line between a browser and the server that can be cut."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._ends: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
                far = socket.create_connection(("127.0.0.1", self._port))
            except OSError:
                return
            self._ends += [near, far]
            for pair in ((near, far), (far, near)):
                threading.Thread(target=self._carry, args=pair, daemon=True).start()

    @staticmethod
    def _carry(source: socket.socket, sink: socket.socket) -> None:
        try:
            while data := source.recv(65536):
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    def go_to(self, port: int) -> None:
        """Those who connect from now on come to another server."""
        self._port = port

    def cut(self) -> None:
        for end in self._ends:
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
        self._ends.clear()

    def close(self) -> None:
        self._listener.close()
        self.cut()


@pytest.fixture
def line(keeper) -> Iterator[Line]:
    made = Line(keeper.port)
    yield made
    made.close()


def test_a_page_reads_every_answer(wsbroadcastd, browser, page):  # noqa: F811
    """Chromium's fetch, from another origin, which is of the same host: refusals are no secret."""
    server = wsbroadcastd("--max-message", "1000")
    url = page.replace("differential_page", "fetch_page")
    result = browser.run(f"{url}?server=http://127.0.0.1:{server.port}")
    assert {name: status for name, (status, _) in result.items()} == {
        "posted": 200,
        "keyed": 200,
        "long": 413,
        "nameless": 404,
        "nowhere": 404,
        "plain": 426,
        "info": 200,
        "bad": 400,
    }, result
    assert "--max-message" in result["long"][1] and "history" in result["bad"][1]


def test_an_event_source_outlives_an_id_of_another_server(keeper, line, browser, page):  # noqa: F811
    """It sends what it heard last, whoever answers now; after a 400 it would never come back."""
    for text in ("one", "two", "the end"):
        Peer(keeper.port).post(text, "/ws/b")

    def answer(peer: rawws.ServerPeer) -> None:
        peer.recv_head()
        peer.send(
            b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n"
            b"Access-Control-Allow-Origin: *\r\n\r\nretry: 10\nid: 17\ndata: elsewhere\n\n"
        )
        line.go_to(keeper.port)

    with rawws.ScriptedServer(answer) as other:
        line.go_to(other.port)
        url = page.replace("differential_page", "events_page")
        result = browser.run(f"{url}?url=http://127.0.0.1:{line.port}/ws/b")
    assert [data for _, _, data in result["heard"]] == ["elsewhere", "one", "two", "the end"]
    assert result["heard"][0][0] == "17" and sequence(result["heard"][1][0]) == 1


def test_a_browser_comes_back_without_a_gap(keeper, line, browser, page):  # noqa: F811
    """Chromium's EventSource resumes by itself when its connection has ended, twice."""
    peer = Peer(keeper.port)
    errors: list[BaseException] = []
    wanted = []

    def publish() -> None:
        try:
            for round_ in range(3):
                programs.wait_until(
                    "the browser is there",
                    lambda: peer.get("/ws/b?info")["subscribers"] == 1,
                    60,
                )
                for i in range(50):
                    wanted.append(peer.post(f"{round_} {i}\nline", "/ws/b")["id"])
                if round_ < 2:
                    line.cut()
                    programs.wait_until(
                        "it has left", lambda: peer.get("/ws/b?info")["subscribers"] == 0
                    )
                    for i in range(50):
                        wanted.append(peer.post(f"gap {i}", "/ws/b")["id"])
                    wanted.append(peer.post(b"\xff", "/ws/b", Content_Type=BINARY)["id"])
            wanted.append(peer.post("the end", "/ws/b")["id"])
        except BaseException as error:
            errors.append(error)

    peer.post("it begins", "/ws/b")
    thread = threading.Thread(target=publish)
    thread.start()
    url = page.replace("differential_page", "events_page")
    result = browser.run(f"{url}?url=http://127.0.0.1:{line.port}/ws/b")
    thread.join()
    assert not errors, errors
    assert result["opened"] == 3
    assert [id_ for id_, _, _ in result["heard"]] == wanted
    assert [data for _, kind, data in result["heard"] if kind == "binary"] == ["/w==", "/w=="]
