"""The page (--page) and wsbroadcast.js, in Chromium."""

from __future__ import annotations

import contextlib
import gzip
import http.client
import json
import os
import random
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import programs
import pytest
import rawws
from programs import wait_until
from test_auth import line
from test_differential import browser  # noqa: F401 (a fixture)
from test_http import Peer, sequence

FILES = ["/wsbroadcast.js", "/wsbroadcast.d.ts"]
PAGE_FILES = [f"/wsbroadcast/{name}" for name in ("page.css", "page.js", "rows.js", "json.js")]
HTML = {"Accept": "text/html"}


# ---- without a browser ----


def fetch(port: int, path: str, method: str = "GET", **fields: str) -> http.client.HTTPResponse:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=rawws.TIMEOUT)
    headers = {name.replace("_", "-"): value for name, value in fields.items()}
    connection.request(method, path, headers=headers)
    response = connection.getresponse()
    response.content = response.read()
    connection.close()
    return response


@pytest.mark.parametrize("path", ["/", *FILES, *PAGE_FILES])
def test_files_are_gzipped_and_revalidated(server, path):
    plain = fetch(server.port, path, **HTML)
    packed = fetch(server.port, path, **HTML, Accept_Encoding="gzip, br")
    assert plain.status == packed.status == 200
    assert packed.headers["content-encoding"] == "gzip" and not plain.headers["content-encoding"]
    assert gzip.decompress(packed.content) == plain.content
    for response in (plain, packed):
        again = fetch(server.port, path, **HTML, If_None_Match=response.headers["etag"])
        assert (again.status, again.content) == (304, b"")
    assert fetch(server.port, path, **HTML, If_None_Match='"other"').status == 200
    head = fetch(server.port, path, "HEAD", **HTML)
    assert (head.status, head.content) == (200, b"")


@pytest.mark.parametrize("path", ["/", *PAGE_FILES])
def test_the_policy_allows_nothing_inline_and_nothing_from_elsewhere(server, path):
    policy = fetch(server.port, path, **HTML).headers["content-security-policy"]
    assert "default-src 'none'" in policy and "script-src 'self'" in policy
    assert "unsafe" not in policy and "*" not in policy and "http" not in policy


def test_the_module_is_small(server):
    assert len(fetch(server.port, "/wsbroadcast.js", Accept_Encoding="gzip").content) <= 6 * 1024


def test_who_may_see_the_page(wsbroadcastd):
    """By default connections through loopback, without --server-name; the module is for all."""
    for options, path, status in [
        (("--no-page",), "/", 404),
        (("--server-name", "127.0.0.1"), "/", 404),
        (("--server-name", "127.0.0.1", "--page", "/"), "/", 200),
        (("--page", "/look"), "/look", 200),
        (("--page", "/look"), "/", 404),
        (("--path", "/"), "/", 200),
    ]:
        server = wsbroadcastd(*options)
        response = fetch(server.port, path, **HTML)
        assert response.status == status, (options, path)
        assert (b"Real-Time WebSocket Client" in response.content) == (status == 200)
        assert fetch(server.port, "/wsbroadcast.js").status == 200


def test_programs_get_what_they_always_got(server, wsbroadcastd):
    assert fetch(server.port, "/").status == 404
    assert fetch(server.port, "/", Accept="text/event-stream").status == 404
    root = wsbroadcastd("--path", "/")
    with root.client("/") as client:
        client.close()


# ---- in Chromium ----


class Blocker:
    """A proxy that answers 403 to WebSockets, and passes on all else."""

    def __init__(self, port: int) -> None:
        self._to = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.refused = 0
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                threading.Thread(
                    target=self._serve, args=(self._listener.accept()[0],), daemon=True
                ).start()

    def _serve(self, client: socket.socket) -> None:
        with contextlib.suppress(OSError), client:
            head = client.recv(65536)
            if b"upgrade: websocket" in head.lower():
                self.refused += 1
                client.sendall(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")
                return
            with socket.create_connection(("127.0.0.1", self._to)) as server:
                server.sendall(head)
                threading.Thread(target=self._pump, args=(client, server), daemon=True).start()
                self._pump(server, client)

    @staticmethod
    def _pump(source: socket.socket, sink: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        self._listener.close()


class Cutter(Blocker):
    """A proxy that cuts each connection after a random number of bytes from the server."""

    def __init__(self, port: int, seed: int) -> None:
        self._rand = random.Random(seed)
        self.cuts = 0
        self.cutting = False
        super().__init__(port)

    def _serve(self, client: socket.socket) -> None:
        with contextlib.suppress(OSError), client:
            left = 1 << 40
            with socket.create_connection(("127.0.0.1", self._to)) as server:
                threading.Thread(target=self._pump, args=(client, server), daemon=True).start()
                while left > 0 and (data := server.recv(min(65536, left))):
                    client.sendall(data)
                    left -= len(data)
                    if self.cutting and left > 8000:
                        left = self._rand.randrange(0, 8000)
                self.cuts += left == 0
                client.shutdown(socket.SHUT_RDWR)
                server.shutdown(socket.SHUT_RDWR)


class Page:
    """The page, as a person sees and uses it."""

    def __init__(self, browser: object, port: int, query: str = "") -> None:
        self.browser = browser
        browser.console()
        browser.open(f"http://127.0.0.1:{port}/{query}")
        wait_until("the page is ready", lambda: not self.script("return $('connect').disabled"))

    def script(self, text: str, *args: object) -> object:
        return self.browser.script(
            "const $ = (id) => document.getElementById(id); " + text, *args
        )

    def click(self, name: str) -> None:
        self.script("$(arguments[0]).click()", name)

    def words(self) -> str:
        return self.script("return $('words').textContent")

    def rows(self) -> list[str]:
        return self.script(
            "return [...document.querySelectorAll('.row')].map((r) => "
            "r.querySelector('.what').textContent)"
        )

    def connect(self) -> None:
        self.click("connect")
        self.await_words("Connected!")

    def await_words(self, text: str) -> None:
        wait_until(text, lambda: self.words().startswith(text), 30)

    def await_rows(self, rows: list[str]) -> None:
        try:
            wait_until("the rows", lambda: self.rows() == rows)
        except AssertionError:
            assert self.rows() == rows
            raise

    def errors(self) -> list[str]:
        return self.browser.console()


@pytest.fixture
def keeper(wsbroadcastd) -> programs.Server:
    return wsbroadcastd("--history-messages", "200000", "--history-bytes", "100M")


def test_the_tutorial_s_flow(server, browser):
    page = Page(browser, server.port)
    assert page.script("return document.title") == "Real-Time WebSocket Client"
    assert page.script("return document.querySelector('h1').textContent") == (
        "Real-Time WebSocket Client"
    )
    assert page.script("return $('connect').textContent") == "Connect to WebSocket"
    page.connect()
    with server.client() as other:
        other.send_text("hello")
        page.await_rows(["Received: Message: hello"])
    browser.keys("#text", "from the page\ue007")
    page.await_rows(["Received: Message: hello", "Received: Message: from the page"])
    page.click("connect")
    page.await_words("Not connected")
    assert page.errors() == []


def test_markup_stays_text(server, browser):
    peer = Peer(server.port)
    page = Page(browser, server.port)
    page.connect()
    text = "<img src=x onerror=\"document.title='owned'\"><script>document.title='owned'</script>"
    peer.post(text)
    peer.post(json.dumps({"<b>key</b>": [text, None, True, 1]}))
    wait_until("both", lambda: len(page.rows()) == 2)
    assert page.rows()[0] == f"Received: {text}"
    for index in (0, 1):
        page.script("document.querySelectorAll('.row')[arguments[0]].click()", index)
        made = "main b, main img, main script"
        assert page.script("return document.querySelectorAll(arguments[0]).length", made) == 0
    assert "<b>key</b>" in page.script("return $('body').textContent")
    assert page.script("return document.title") == "Real-Time WebSocket Client"
    assert page.errors() == []


def test_it_comes_back_after_a_restart_and_shows_the_gap(wsbroadcastd, browser):
    """The new server has begun to count anew: that is a gap, as nobody can say what is missing."""
    server = wsbroadcastd("--prefix", "")
    page = Page(browser, server.port)
    page.connect()
    Peer(server.port).post("before")
    page.await_rows(["Received: before"])
    server.process.terminate()
    server.process.wait(10)
    page.await_words("Disconnected: ")
    assert "Next try in" in page.words()
    again = wsbroadcastd("--prefix", "", "-l", str(server.port))
    page.await_words("Connected!")
    Peer(again.port).post("after")
    wait_until("all three", lambda: len(page.rows()) == 3)
    before, gap, after = page.rows()
    assert (before, after) == ("Received: before", "Received: after")
    assert gap.startswith("Messages may be missing here")


def test_a_connection_that_is_cut_misses_nothing(keeper, browser):
    """It resumes behind the last message that it has seen."""
    peer = Peer(keeper.port)
    page = Page(browser, keeper.port)
    page.connect()
    peer.post("0")
    page.await_rows(["Received: 0"])
    page.script(
        "const send = WebSocket.prototype.send;"
        "WebSocket.prototype.send = function (data) {"
        "  window.socket = this; send.call(this, data); }"
    )
    browser.keys("#text", "1\ue007")
    page.await_rows(["Received: 0", "Received: Message: 1"])
    page.script("window.socket.close()")
    peer.post("2")
    page.await_words("Connected!")
    page.await_rows(["Received: 0", "Received: Message: 1", "Received: 2"])


def test_where_websockets_are_blocked(keeper, browser):
    """It listens to an event stream, and posts."""
    blocker = Blocker(keeper.port)
    try:
        page = Page(browser, blocker.port)
        page.click("connect")
        page.await_words("Connected! (event stream")
        Peer(keeper.port).post("from afar")
        page.await_rows(["Received: from afar"])
        browser.keys("#text", "from the page\ue007")
        page.await_rows(["Received: from afar", "Received: from the page"])
        with keeper.client() as other:
            other.send_binary(b"\x00\x01\xff")
            page.await_rows(
                ["Received: from afar", "Received: from the page", "Received: 00 01 ff"]
            )
        assert blocker.refused > 0
    finally:
        blocker.close()


def test_a_hundred_thousand_messages_are_a_few_rows(keeper, browser):
    count, peer = 100_000, Peer(keeper.port)
    for start in range(0, count, 10_000):
        lines = "".join(f'{{"n":{n}}}\n' for n in range(start, start + 10_000))
        peer.ask("POST", "/ws", lines, Content_Type="application/x-ndjson")
    page = Page(browser, keeper.port, "?history=all")
    page.connect()
    wait_until(
        "all are there",
        lambda: page.script("return $('counts').textContent").startswith("100,000 messages"),
        60,
    )
    wait_until("the newest", lambda: page.rows()[-1:] == [f'Received: {{"n":{count - 1}}}'])
    assert 5 < len(page.rows()) < 100
    page.script("$('list').scrollTop = 50000 * 30")
    wait_until("the middle", lambda: 'Received: {"n":50000}' in page.rows())
    assert len(page.rows()) < 100
    browser.keys("#filter", '"n":777')
    wait_until(
        "the count",
        lambda: page.script("return $('counts').textContent").startswith("111 of 100,000"),
    )
    wait_until("the rows", lambda: page.rows() and all('"n":777' in row for row in page.rows()))
    assert page.errors() == []


def test_pause_holds_and_then_shows(server, browser):
    peer = Peer(server.port)
    page = Page(browser, server.port)
    page.connect()
    peer.post("1")
    page.await_rows(["Received: 1"])
    page.click("pause")
    peer.post("2")
    wait_until("it is held", lambda: "1 held" in page.script("return $('counts').textContent"))
    assert page.rows() == ["Received: 1"]
    page.click("pause")
    page.await_rows(["Received: 1", "Received: 2"])


def test_a_token_opens_what_is_refused_without(wsbroadcastd, browser, tmp_path):
    """A page sees no status of a handshake: the module asks again, and says why."""
    tokens = tmp_path / "tokens"
    tokens.write_text(line("alice", "a" * 43))
    server = wsbroadcastd("--prefix", "", "--token-file", str(tokens))
    page = Page(browser, server.port)
    page.click("connect")
    page.await_words("Refused: ")
    assert page.script("return $('connect').textContent") == "Connect to WebSocket"
    page.script("$('token').value = arguments[0]", "a" * 43)
    page.connect()
    browser.keys("#text", "by alice\ue007")
    page.await_rows(["Received: by alice"])


@pytest.mark.parametrize("kept", ["100000", "1"])
def test_what_is_cut_off_is_complete_or_said_to_be_missing(wsbroadcastd, browser, kept):
    """Each message once, in order; and with little history, gaps told exactly where they are."""
    server = wsbroadcastd("--prefix", "", "--history-messages", kept)
    cutter = Cutter(server.port, seed=int(kept))
    peer, count, cuts = Peer(server.port), 1, int(os.environ.get("WS_PAGE_CUTS", "30"))
    try:
        page = Page(browser, cutter.port)
        page.script(
            """window.heard = [];
            import('/wsbroadcast.js').then(({ connect }) => {
                const feed = connect('/ws', {
                    since: 'all',
                    onmessage: (data, { id }) => heard.push(['message', id, data]),
                    ongap: (gap) => heard.push(['gap', gap.after, gap.missed]),
                    onstate: (state) => state === 'waiting' && setTimeout(() => feed.retry(), 5),
                });
            });"""
        )
        peer.post("1")
        wait_until("the first", lambda: page.script("return heard.length") == 1)
        cutter.cutting = True
        while cutter.cuts < cuts:
            count += 1
            peer.post(str(count) + "x" * (count % 300))
            time.sleep(0.002)  # a pace, so that most cuts are within the stream
        cutter.cutting = False
        count += 1
        last = peer.post("last")["id"]
        wait_until("the last", lambda: page.script("return heard.at(-1)[1]") == last, 30)
        at, gaps = 0, 0
        for kind, name, more in page.script("return heard"):
            if kind == "gap":
                assert sequence(name) == at and more > 0
                at, gaps = at + more, gaps + 1
                continue
            at += 1
            assert sequence(name) == at
            assert more in ("last", str(at) + "x" * (at % 300)) or at == 1
        assert at == count and (gaps > 0) == (kept == "1"), gaps
    finally:
        cutter.close()


def test_each_control_has_a_name(server, browser):
    """As a screen reader would say it."""
    page = Page(browser, server.port)
    assert page.script(
        "return [...document.querySelectorAll('input, textarea, select, button')].filter((e) => "
        "!(e.labels?.length || e.textContent.trim() || e.ariaLabel)).map((e) => e.id)"
    ) == []
    assert page.script("return document.documentElement.lang") == "en"
