"""Python's websockets, printing what wsrecv prints: pywebsockets.py URL"""

import asyncio
import sys

import websockets


async def receive(url: str) -> None:
    async with websockets.connect(url, compression=None, max_size=None) as socket:
        async for message in socket:
            print(f"Received: {message}")


asyncio.run(receive(sys.argv[1]))
