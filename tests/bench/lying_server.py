"""A broadcast server that gets the third message wrong, to see that the generator notices.

Usage: lying_server.py lose|double|swap|change|prefix|close|honest
"""

import asyncio
import sys

import websockets

LIE = sys.argv[1]
connections = []
texts = []


async def tell(text: str) -> None:
    """Everybody hears it; of the third message, the first client hears something else."""
    texts.append(text)
    for connection in list(connections):
        lied_to = connection is connections[0] and LIE != "honest"
        for heard in lie() if lied_to else [text]:
            await connection.send(f"Message: {heard}")
    if LIE == "close" and len(texts) == 3:
        await connections[0].close()


def lie() -> list[str]:
    """What the first client hears when the newest text is broadcast."""
    newest = texts[-1]
    if LIE == "swap" and len(texts) in (3, 4):
        return [] if len(texts) == 3 else [newest, texts[-2]]
    if len(texts) != 3:
        return [newest]
    return {
        "lose": [],
        "double": [newest, newest],
        "change": [newest[:20] + "#" + newest[21:]],
        "prefix": ["And: " + newest],
    }.get(LIE, [newest])


async def serve(websocket) -> None:
    """Join, and pass on what comes until the client goes."""
    connections.append(websocket)
    try:
        async for text in websocket:
            await tell(text)
    except websockets.ConnectionClosed:
        pass


async def main() -> None:
    """Serve until the process is ended."""
    async with websockets.serve(serve, "127.0.0.1", 0, compression=None) as server:
        port = server.sockets[0].getsockname()[1]
        print(f"listening on ws://127.0.0.1:{port}/", file=sys.stderr, flush=True)
        await asyncio.Future()


asyncio.run(main())
