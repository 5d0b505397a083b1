"""Real peers, in both roles, with and without compression: what they and ours say is the same.

Every message is echoed, by `wsbroadcastd --prefix ''` or `wsrecv --echo`, and compared by the
peer. Sizes stand at the edges of the length forms; fragments are cut at random, by a seed that is
part of the test's name.
"""

from __future__ import annotations

import asyncio
import http.server
import json
import os
import random
import re
import shutil
import socket
import ssl
import subprocess
import threading
import urllib.request
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

import programs
import pytest
import rawws
import websockets

HERE = Path(__file__).resolve().parent
SIZES = [0, 1, 125, 126, 127, 128, 129, 4096, 65535, 65536, 65537, 1 << 20]
PATIENCE = 60.0  # seconds, for a browser to start or a whole exchange to end


@cache
def has_tls() -> bool:
    told = subprocess.run([programs.WSBROADCASTD, "--help"], capture_output=True, check=True)
    return b"--tls-cert" in told.stdout


class Wire(NamedTuple):
    """How a connection is made: the scheme, and what each side needs to know for it."""

    scheme: str
    server: tuple[str, ...] = ()  # options of wsbroadcastd
    client: tuple[str, ...] = ()  # options of wsrecv
    cert: Path | None = None
    key: Path | None = None

    def context(self, purpose: ssl.Purpose) -> ssl.SSLContext | None:
        """For Python: a client's (SERVER_AUTH) or a server's (CLIENT_AUTH)."""
        if self.cert is None:
            return None
        if purpose is ssl.Purpose.SERVER_AUTH:
            return ssl.create_default_context(purpose, cafile=str(self.cert))
        context = ssl.create_default_context(purpose)
        context.load_cert_chain(self.cert, self.key)
        return context

    def files(self, *, key: bool) -> list[str]:
        if self.cert is None:
            return []
        return [str(self.cert), *([str(self.key)] if key else [])]


@pytest.fixture(params=["ws", "wss"])
def wire(request, tmp_path) -> Wire:
    """Plain TCP, or TLS with a certificate of 127.0.0.1 that was made for the test."""
    if request.param == "ws":
        return Wire("ws")
    if not has_tls():
        pytest.skip("wsbroadcastd has no --tls-cert yet")
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
        + ["-nodes", "-days", "2", "-subj", "/CN=127.0.0.1", "-addext"]
        + ["subjectAltName=IP:127.0.0.1", "-keyout", str(key), "-out", str(cert)],
        check=True,
        capture_output=True,
    )
    return Wire(
        "wss",
        ("--tls-cert", str(cert), "--tls-key", str(key)),
        ("--cacert", str(cert)),
        cert,
        key,
    )


@pytest.fixture
def echo_server(wsbroadcastd, wire) -> programs.Server:
    return wsbroadcastd("--prefix", "", *wire.server)


def messages(rand: random.Random) -> Iterator[str | bytes]:
    """Text and binary, noise and repetition, at the edges of the length forms and between."""
    for size in [*SIZES, *(rand.randrange(5000) for _ in range(60))]:
        kind = rand.randrange(3)
        if kind == 0:
            yield rand.randbytes(size)
        elif kind == 1:
            yield bytes(i * i >> 3 & 0xFF for i in range(size))
        else:
            text = ("grüße 🌍 ñandú " * (size // 8 + 1)).encode()[:size].decode(errors="ignore")
            yield text + "." * (size - len(text.encode()))


def cut(rand: random.Random, message: str | bytes) -> str | bytes | list:
    """The message, or its fragments."""
    if rand.random() < 0.5 or not message:
        return message
    places = sorted(rand.randrange(len(message) + 1) for _ in range(rand.randrange(1, 9)))
    return [message[a:b] for a, b in zip([0, *places], [*places, len(message)])]


async def converse(peer: websockets.WebSocketCommonProtocol, seed: int) -> None:
    """Say all of it and hear all of it, at the same time, with pings on the way."""
    rand = random.Random(seed)
    said = list(messages(rand))

    async def say() -> None:
        for i, message in enumerate(said):
            await peer.send(cut(rand, message))
            if i % 10 == 0:
                await (await peer.ping(b"%d" % i))

    saying = asyncio.create_task(say())
    for i, message in enumerate(said):
        heard = await peer.recv()
        assert type(heard) is type(message) and heard == message, f"message {i} of seed {seed}"
    await saying


# Python's websockets

COMPRESSION = pytest.mark.parametrize("compression", [None, "deflate"], ids=["plain", "deflate"])


@COMPRESSION
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_websockets_as_client_hears_what_it_says(echo_server, wire, compression, seed):
    async def run() -> None:
        async with websockets.connect(
            echo_server.url,
            compression=compression,
            max_size=2 << 20,
            ssl=wire.context(ssl.Purpose.SERVER_AUTH),
        ) as client:
            assert [e.name for e in client.extensions] == (
                ["permessage-deflate"] if compression else []
            )
            await converse(client, seed)
        assert client.close_code == 1000

    asyncio.run(asyncio.wait_for(run(), PATIENCE))


@pytest.mark.parametrize(
    "parameters",
    [
        {"client_max_window_bits": 9, "server_max_window_bits": 9},
        {"client_no_context_takeover": True, "server_no_context_takeover": True},
        {"server_max_window_bits": 12, "client_no_context_takeover": True},
    ],
    ids=str,
)
def test_websockets_as_client_with_parameters_of_compression(wsbroadcastd, parameters):
    from websockets.extensions.permessage_deflate import ClientPerMessageDeflateFactory

    server = wsbroadcastd("--prefix", "")

    async def run() -> None:
        async with websockets.connect(
            server.url,
            compression=None,
            extensions=[ClientPerMessageDeflateFactory(**parameters)],
            max_size=2 << 20,
        ) as client:
            assert client.extensions
            await converse(client, 4)

    asyncio.run(asyncio.wait_for(run(), PATIENCE))


@COMPRESSION
@pytest.mark.parametrize("offers", [True, False], ids=["", "no compression"])
@pytest.mark.parametrize("seed", [1, 2])
def test_websockets_as_server_hears_what_it_says(wsrecv, wire, compression, offers, seed):
    async def run() -> programs.Program:
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        async def serve(peer: websockets.WebSocketServerProtocol) -> None:
            try:
                assert bool(peer.extensions) == bool(compression and offers)
                await converse(peer, seed)
                done.set_result(None)
            except BaseException as error:
                done.set_exception(error)

        async with websockets.serve(
            serve,
            "127.0.0.1",
            0,
            compression=compression,
            max_size=2 << 20,
            ssl=wire.context(ssl.Purpose.CLIENT_AUTH),
        ) as server:
            port = server.sockets[0].getsockname()[1]
            options = ["--echo", *wire.client, *([] if offers else ["--no-compression"])]
            program = wsrecv(*options, f"{wire.scheme}://127.0.0.1:{port}/")
            await done
            return program

    program = asyncio.run(asyncio.wait_for(run(), PATIENCE))
    assert program.wait(0).read_rest() == ""


# Node's ws


@pytest.fixture
def node(start, monkeypatch) -> Callable[..., programs.Program]:
    monkeypatch.setenv("NODE_PATH", os.environ.get("NODE_PATH") or "/usr/share/nodejs")
    script = str(HERE / "ws_differential.js")
    return lambda *args: start(programs.Program, ["node", script, *args])


@pytest.mark.parametrize("compression", ["plain", "deflate"])
@pytest.mark.parametrize("seed", ["1", "2"])
def test_node_ws_as_client_hears_what_it_says(echo_server, wire, node, compression, seed):
    client = node("client", echo_server.url, compression, seed, *wire.files(key=False))
    told = json.loads(client.wait(0, PATIENCE).read_rest())
    assert (told["heard"], told["code"]) == (72, 1000)
    assert bool(told["extensions"]) == (compression == "deflate")


@pytest.mark.parametrize("compression", ["plain", "deflate"])
@pytest.mark.parametrize("seed", ["1", "2"])
def test_node_ws_as_server_hears_what_it_says(wsrecv, wire, node, compression, seed):
    server = node("server", compression, seed, *wire.files(key=True))
    port = server.wait_stderr(r"^listening on port (\d+)$")[0][1]
    listener = wsrecv("--echo", *wire.client, f"{wire.scheme}://127.0.0.1:{port}/")
    told = json.loads(server.wait(0, PATIENCE).read_rest())
    assert (told["heard"], told["code"]) == (72, 1000)
    assert bool(told["extensions"]) == (compression == "deflate")
    assert listener.wait(0).read_rest() == ""


# curl


@cache
def curl_has_ws() -> bool:
    told = subprocess.run(["curl", "--version"], capture_output=True, text=True, check=True)
    return bool(re.search(r"^Protocols:.* ws\b", told.stdout, re.M))


@pytest.mark.skipif(not curl_has_ws(), reason="this curl does not speak WebSocket")
def test_curl_prints_what_is_said(echo_server, wire, start):
    """curl's command line receives only."""
    url = echo_server.url
    trust = ["--cacert", str(wire.cert)] if wire.cert else []
    curl = start(programs.Program, ["curl", "-sSN", "-v", *trust, url])
    curl.wait_stderr(r"< HTTP/1\.1 101 ")

    async def say() -> None:
        context = wire.context(ssl.Purpose.SERVER_AUTH)
        async with websockets.connect(url, ssl=context) as publisher:
            for size in SIZES:
                await publisher.send("x" * size + "\n")

    asyncio.run(asyncio.wait_for(say(), PATIENCE))
    for size in SIZES:
        assert curl.read_line() == "x" * size
    curl.process.terminate()
    curl.process.wait(rawws.TIMEOUT)
    curl.expected = curl.process.returncode


# Chromium

CHROMIUM_FLAGS = """--headless --no-sandbox --disable-gpu --disable-quic --no-first-run
    --disable-background-networking --disable-component-update --disable-sync
    --disable-dev-shm-usage --ignore-certificate-errors""".split()


class Browser:
    """Chromium behind chromedriver: a session of WebDriver, spoken by plain HTTP."""

    def __init__(self, profile: Path) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        self._driver = subprocess.Popen(
            ["chromedriver", f"--port={port}"],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env={**os.environ, "HOME": str(profile)},
        )
        self._url = f"http://127.0.0.1:{port}"
        try:
            assert self._driver.stdout is not None
            for line in self._driver.stdout:
                if b"started successfully" in line:
                    break
            options = {"args": [*CHROMIUM_FLAGS, f"--user-data-dir={profile / 'profile'}"]}
            wanted = {
                "browserName": "chrome",
                "goog:chromeOptions": options,
                "goog:loggingPrefs": {"browser": "ALL"},
            }
            session = self._call("POST", "/session", {"capabilities": {"alwaysMatch": wanted}})
            self._url += f"/session/{session['sessionId']}"
            self._call("POST", "/timeouts", {"script": int(PATIENCE * 1000)})
        except BaseException:
            self._end_driver()
            raise

    def _call(self, method: str, path: str, body: object = None) -> object:
        data = None if method != "POST" else json.dumps(body or {}).encode()
        request = urllib.request.Request(
            self._url + path, data, {"Content-Type": "application/json"}, method=method
        )
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(request, timeout=PATIENCE) as response:
            return json.load(response)["value"]

    def run(self, page: str) -> dict:
        """Open the page and wait for its window.result."""
        self._call("POST", "/url", {"url": page})
        script = """const done = arguments[0];
            const look = () => window.result ? done(window.result) : setTimeout(look, 5);
            look();"""
        return self._call("POST", "/execute/async", {"script": script, "args": []})

    def open(self, page: str) -> None:
        self._call("POST", "/url", {"url": page})

    def script(self, text: str, *args: object) -> object:
        """What the body of a function returns, in the page."""
        return self._call("POST", "/execute/sync", {"script": text, "args": list(args)})

    def keys(self, selector: str, text: str) -> None:
        """Types into an element, as a person does."""
        found = self._call("POST", "/element", {"using": "css selector", "value": selector})
        (element,) = found.values()
        self._call("POST", f"/element/{element}/value", {"text": text})

    def console(self) -> list[str]:
        """What the console has got since the last call."""
        return [line["message"] for line in self._call("POST", "/se/log", {"type": "browser"})]

    def quit(self) -> None:
        try:
            self._call("DELETE", "")
        finally:
            self._end_driver()

    def _end_driver(self) -> None:
        self._driver.terminate()
        try:
            self._driver.wait(10)
        except subprocess.TimeoutExpired:
            self._driver.kill()
            self._driver.wait()
        self._driver.stdout.close()


@pytest.fixture(scope="module")
def browser(tmp_path_factory) -> Iterator[Browser]:
    if shutil.which("chromedriver") is None:
        pytest.skip("chromium-driver is not installed")
    session = Browser(tmp_path_factory.mktemp("chromium"))
    yield session
    session.quit()


@pytest.fixture(scope="module")
def page() -> Iterator[str]:
    """The address of a page that talks, served over HTTP on this machine."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *args: object) -> None:
            super().__init__(*args, directory=str(HERE))

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Quiet) as httpd:
        thread = threading.Thread(target=httpd.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{httpd.server_address[1]}/differential_page.html"
        httpd.shutdown()
        thread.join()


@pytest.mark.parametrize("options", [(), ("--no-compression",)], ids=["deflate", "plain"])
def test_chromium_hears_what_it_says(wsbroadcastd, wire, browser, page, options):
    """It offers permessage-deflate by itself."""
    server = wsbroadcastd("--prefix", "", *options, *wire.server)
    result = browser.run(f"{page}?url={server.url}")
    assert result["wrong"] == [] and result["heard"] == result["said"] == 30
    assert (result["code"], result["reason"], result["wasClean"]) == (4321, "", True)
    assert result["extensions"].startswith("permessage-deflate") == (not options)
