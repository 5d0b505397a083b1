"""Peers that others wrote: the tutorial's FastAPI server, Python's websockets, Node's ws."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path

import programs
import pytest
import rawws
import websockets

HERE = Path(__file__).resolve().parent
PYTHON = "/usr/bin/python3" if Path("/usr/bin/python3").exists() else sys.executable


@pytest.fixture
def fastapi_port(start) -> int:
    """The port of a FastAPI server of the tutorial's shape."""
    uvicorn = start(
        programs.Program,
        [PYTHON, "-m", "uvicorn", "--app-dir", str(HERE), "--port", "0", "tutorial_server:app"],
    )
    return int(uvicorn.wait_stderr(r"running on http://127\.0\.0\.1:(\d+)")[0][1])


def test_wsrecv_prints_what_the_fastapi_server_broadcasts(fastapi_port, wsrecv):
    url = f"ws://127.0.0.1:{fastapi_port}/ws"
    listener = wsrecv(url, "-n", "3")
    listener.wait_stderr(f"^Connected to {url}$")
    with rawws.Client(fastapi_port).upgrade() as publisher:
        publisher.send_text("eins")
        assert listener.read_line() == "Received: Message: eins"
        publisher.send_text("grüße 🌍")
        assert listener.read_line() == "Received: Message: grüße 🌍"
        publisher.send_text("x" * 100_000)
        assert listener.read_line() == "Received: Message: " + "x" * 100_000
    listener.wait(0)


def test_wsrecv_publishes_to_the_fastapi_server(fastapi_port, wsrecv):
    url = f"ws://127.0.0.1:{fastapi_port}/ws"
    publisher = wsrecv(url, "-m", "one", "-m", "two", "-n", "2").wait(0)
    assert publisher.read_rest() == "Received: Message: one\nReceived: Message: two\n"


def test_the_fastapi_server_is_left_with_a_closing_handshake(fastapi_port, wsrecv):
    """The tutorial's server goes on broadcasting after a listener has gone."""
    url = f"ws://127.0.0.1:{fastapi_port}/ws"
    wsrecv(url, "-m", "one", "-n", "1").wait(0)
    stays = wsrecv(url, "-m", "two", "-n", "1").wait(0)
    assert stays.read_rest() == "Received: Message: two\n"


def test_websockets_receives_as_the_tutorials_receiver_does(server):
    texts = ["hello", "grüße 🌍", "x" * 200_000, ""]

    async def receive() -> list[str]:
        async with websockets.connect(server.url) as receiver:
            async with websockets.connect(server.url) as publisher:
                for text in texts:
                    await publisher.send(text)
                return [await receiver.recv() for _ in texts]

    heard = asyncio.run(asyncio.wait_for(receive(), rawws.TIMEOUT))
    assert heard == [f"Message: {text}" for text in texts]


def test_websockets_hears_its_own_text_binary_and_pong(server):
    async def talk() -> None:
        async with websockets.connect(server.url) as client:
            await client.send("me")
            assert await client.recv() == "Message: me"
            await client.send(b"\x00\xff")
            assert await client.recv() == b"\x00\xff"
            await (await client.ping(b"payload"))
            await client.send(["in ", "three ", "fragments"])
            assert await client.recv() == "Message: in three fragments"
        assert client.close_code == 1000

    asyncio.run(asyncio.wait_for(talk(), rawws.TIMEOUT))


def test_websockets_sees_the_server_go_away(server):
    async def stay() -> int | None:
        async with websockets.connect(server.url) as client:
            server.process.terminate()
            with pytest.raises(websockets.ConnectionClosed):
                await client.recv()
            return client.close_code

    assert asyncio.run(asyncio.wait_for(stay(), rawws.TIMEOUT)) == 1001
    server.wait(0)


def test_node_ws_talks_text_and_binary(server, start, monkeypatch):
    monkeypatch.setenv("NODE_PATH", os.environ.get("NODE_PATH") or "/usr/share/nodejs")
    node = start(programs.Program, ["node", str(HERE / "ws_client.js"), server.url]).wait(0)
    heard = [json.loads(line) for line in node.read_rest().splitlines()]
    assert [what for what in heard if "pong" not in what] == [
        {"text": "Message: grüße 🌍"},
        {"binary": [0, 255, 10]},
        {"close": 1000},
    ]
    assert {"pong": "are you there"} in heard
