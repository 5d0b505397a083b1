"""A broadcast server on Python's websockets, for comparison: its own broadcast(), with the prefix.

Usage: websockets_server.py PORT [deflate]
"""

import asyncio
import sys

import websockets

connections = set()


async def serve(websocket) -> None:
    """Join, and pass on what comes until the client goes."""
    connections.add(websocket)
    try:
        async for text in websocket:
            websockets.broadcast(connections, f"Message: {text}")
    except websockets.ConnectionClosed:
        pass
    finally:
        connections.discard(websocket)


async def main() -> None:
    """Serve until the process is ended."""
    compression = "deflate" if sys.argv[2:] == ["deflate"] else None
    async with websockets.serve(serve, "127.0.0.1", int(sys.argv[1]), compression=compression,
                                backlog=4096):
        await asyncio.Future()


asyncio.run(main())
