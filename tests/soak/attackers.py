"""Those in the soak that keep to no rules. Each attack is bounded, and is over within seconds; what
the server makes of it (a refusal, a Close, a reset) is its affair: others must not feel it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine

import rawws
from honest import Stage
from link import Closed, Link, Lost

MIB = 1 << 20
NEWLINES = rawws.Deflater(takeover=False).deflate(b"\n" * MIB)
ZEROS = rawws.Deflater(takeover=False).deflate(bytes(MIB - 10))


async def _deflating(stage: Stage, target: str) -> Link:
    return await (await Link.open(stage.address)).upgrade(target, deflate=True)


async def compressed_newlines(stage: Stage) -> None:
    """For an event stream that is not read."""
    listener = await (await Link.open(stage.address, 4096)).listen("/ws/evil")
    link = await _deflating(stage, "/ws/evil")
    for _ in range(20):
        await link.send(rawws.frame(rawws.TEXT, NEWLINES, rsv=4))
    await stage.rest(1, 2)
    listener.abort()
    link.abort()


async def head_flood(stage: Stage) -> None:
    """Of pages that would be long."""
    link = await Link.open(stage.address)
    request = b"HEAD /ws%s HTTP/1.1\r\nHost: localhost\r\nAccept: application/json\r\n\r\n"
    await link.send(request % b"?history=all&limit=1000" * 100 + request % b"?info" * 100)
    for _ in range(50):
        await link.response(has_body=False)
    link.abort()


async def unread_pages(stage: Stage) -> None:
    link = await Link.open(stage.address, 4096)
    await link.send(b"GET /ws?limit=1000 HTTP/1.1\r\nHost: localhost\r\n"
                    b"Accept: application/json\r\n\r\n" * 50)
    await stage.rest(1, 2)
    link.abort()


async def unread_replays(stage: Stage) -> None:
    links = [await Link.open(stage.address, 4096) for _ in range(20)]
    for link in links:
        await link.request("GET", "/ws?history=all", "Accept: text/event-stream\r\n")
    await stage.rest(1, 2)
    for link in links:
        link.abort()


async def foreign_origins(stage: Stage) -> None:
    link = await Link.open(stage.address)
    await link.send(b"GET /ws HTTP/1.1\r\nHost: localhost\r\nOrigin: https://evil.example\r\n"
                    b"Accept: application/json\r\n\r\n" * 99)
    for _ in range(20):
        await link.response()
    link.abort()


async def unfinished_bodies(stage: Stage) -> None:
    links = [await Link.open(stage.address) for _ in range(8)]
    for link in links:
        await link.send(b"POST /ws/evil HTTP/1.1\r\nHost: localhost\r\n"
                        b"Content-Type: application/x-ndjson\r\nContent-Length: 4000000\r\n\r\n"
                        + b"1\n" * MIB)
    await stage.rest(1, 2)
    for link in links:
        link.abort()


async def unfinished_messages(stage: Stage) -> None:
    """Small on the wire, large when inflated."""
    links = [await _deflating(stage, "/ws/evil") for _ in range(8)]
    for link in links:
        await link.send(rawws.frame(rawws.BINARY, ZEROS, rsv=4, fin=False))
    await stage.rest(1, 2)
    for link in links:
        link.abort()


async def silent_sockets(stage: Stage) -> None:
    """Which do not even begin a TLS handshake."""
    links = [await Link.open(stage.address._replace(tls=None)) for _ in range(50)]
    await stage.rest(1, 2)
    for link in links:
        link.abort()


async def fragment_flood(stage: Stage) -> None:
    link = await (await Link.open(stage.address)).upgrade("/ws/evil")
    await link.send(rawws.frame(rawws.TEXT, b"x", fin=False)
                    + rawws.frame(rawws.CONTINUATION, b"", fin=False) * 50_000)
    await link.message()


async def ping_flood(stage: Stage) -> None:
    """Whose pongs are not read."""
    link = await (await Link.open(stage.address, 4096)).upgrade("/ws/evil")
    await link.send(rawws.frame(rawws.PING, b"x" * 125) * 5_000)
    await stage.rest(1, 2)
    link.abort()


async def channels_of_readers_that_do_not_read(stage: Stage) -> None:
    links = []
    for number in range(5):
        links.append(await (await Link.open(stage.address, 4096)).upgrade(f"/ws/evil/{number}"))
        links.append(await _deflating(stage, f"/ws/evil/{number}"))
        await links[-1].send(rawws.frame(rawws.BINARY, ZEROS, rsv=4) * 8)
    await stage.rest(1, 2)
    for link in links:
        link.abort()


async def garbage(stage: Stage) -> None:
    for size in (1, 100, 20_000):
        link = await Link.open(stage.address)
        await link.send(stage.random.randbytes(size))
        await stage.rest(0, 0.2)
        link.abort()


ATTACKS: list[Callable[[Stage], Coroutine]] = [
    compressed_newlines,
    head_flood,
    unread_pages,
    unread_replays,
    foreign_origins,
    unfinished_bodies,
    unfinished_messages,
    silent_sockets,
    fragment_flood,
    ping_flood,
    channels_of_readers_that_do_not_read,
    garbage,
]


async def attack(stage: Stage) -> None:
    """One attack after the other, in any order; each begins within ten seconds or fails."""
    while await stage.rest(0.1, 1):
        attack_once = stage.random.choice(ATTACKS)
        try:
            async with asyncio.timeout(20):
                await attack_once(stage)
            outcome = "ended"
        except (Lost, Closed):
            outcome = "cut short"
        except TimeoutError:
            outcome = "not finished in 20 s"
        stage.counts[f"attack {attack_once.__name__}: {outcome}"] += 1
