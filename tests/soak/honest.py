"""Those in the soak that keep to the rules: publishers, which number what they say, and readers,
which miss nothing of it."""

from __future__ import annotations

import asyncio
import json
import random
import zlib
from collections import Counter
from collections.abc import AsyncIterator, Callable, Coroutine
from dataclasses import dataclass, field
from typing import IO

import rawws
from link import Address, Closed, Link, Lost


class Broken(Exception):
    """A promise was broken."""


PAD = "".join(random.Random(0).choices("abcdefghijklmnopqrstuvwxyz     ", k=70_000))


def text(publisher: str, number: int) -> bytes:
    """What a publisher says: a JSON string of many sizes, which tells whether it was changed."""
    size = 60_000 if number % 97 == 96 else zlib.crc32(b"%d" % number) % 1500
    pad = PAD[number % 1000 :][:size]
    return f'"{publisher} {number} {zlib.crc32(pad.encode()):08x} {pad}"'.encode()


@dataclass
class Stage:
    """One server, what is going on there, and what has been said and heard."""

    address: Address
    random: random.Random
    pace: float  # seconds between two messages of a publisher
    skips: bool = False  # slow readers miss messages
    said: dict[str, dict[str, int]] = field(default_factory=dict)  # channel: publisher: messages
    counts: Counter[str] = field(default_factory=Counter)
    over: asyncio.Event = field(default_factory=asyncio.Event)  # nothing new is begun
    silent: asyncio.Event = field(default_factory=asyncio.Event)  # all has been published

    async def rest(self, least: float, most: float) -> bool:
        """False when it is over."""
        try:
            await asyncio.wait_for(self.over.wait(), self.random.uniform(least, most))
        except asyncio.TimeoutError:
            pass
        return not self.over.is_set()

    def name_publisher(self, kind: str, channel: str) -> str:
        name = f"{kind}-{len(self.said.setdefault(channel, {}))}"
        self.said[channel][name] = 0
        return name


def target_of(channel: str, query: str = "") -> str:
    return ("/ws/" + channel if channel else "/ws") + query


class Stream:
    """What one reader has got of a channel: of each publisher all, in order, none twice."""

    def __init__(self, stage: Stage, channel: str, *, whole: bool = False, gaps: bool = False):
        self._stage = stage
        self._said = stage.said.setdefault(channel, {})
        self._whole = whole  # it began before anybody spoke
        self._gaps = gaps  # it may miss some
        self.next: dict[str, int] = {}
        self.count = 0

    def take(self, payload: bytes) -> None:
        try:
            publisher, number, check, pad = payload[1:-1].decode().split(" ", 3)
        except ValueError:
            raise Broken(f"this is no message of the soak: {payload[:80]!r}") from None
        if f"{zlib.crc32(pad.encode()):08x}" != check:
            raise Broken(f"message {number} of {publisher} is changed")
        expected = self.next.get(publisher, 0 if self._whole else int(number))
        if int(number) != expected and not (self._gaps and int(number) > expected):
            raise Broken(f"{publisher}: {number} came in place of {expected}")
        self.next[publisher] = int(number) + 1
        self.count += 1
        self._stage.counts["messages read"] += 1

    def is_complete(self) -> bool:
        """It has got the last message of everybody that it has ever heard of."""
        names = self._said if self._whole else self.next
        return self._stage.silent.is_set() and all(
            self.next.get(name, 0) == self._said[name] for name in names
        )


# ---- publishers ----


async def keep_saying(stage: Stage, channel: str, kind: str,
                      say: Callable[[list[bytes]], object], at_a_time: int = 1) -> None:
    """Calls `say` with what comes next, until it is over; with a burst now and then."""
    name = stage.name_publisher(kind, channel)
    while await stage.rest(stage.pace / 2, stage.pace * 1.5):
        batches = 40 if stage.random.random() < 0.01 else 1
        for _ in range(batches):
            number = stage.said[channel][name]
            await say([text(name, number + i) for i in range(at_a_time)])
            stage.said[channel][name] = number + at_a_time
            stage.counts["messages said"] += at_a_time


async def say_websocket(stage: Stage, channel: str, deflate: bool) -> None:
    link = await (await Link.open(stage.address)).upgrade(target_of(channel), deflate=deflate)

    async def hear() -> None:
        stream = Stream(stage, channel, gaps=stage.skips)
        try:
            while True:
                stream.take(await link.message())
        except Closed as closed:
            if closed.code != 1000:
                raise Broken(f"a publisher was ended: {closed}") from None

    hearing = asyncio.create_task(hear())

    async def say(payloads: list[bytes]) -> None:
        if hearing.done():
            hearing.result()
        for payload in payloads:
            await link.say(rawws.TEXT, payload)

    await keep_saying(stage, channel, "deflated" if deflate else "plain", say)
    await link.say(rawws.CLOSE, rawws.close_body(1000))
    await hearing  # the answer to its Close: all that it said has been taken
    link.abort()


async def say_posts(stage: Stage, channel: str, lines: bool) -> None:
    link: Link | None = None

    async def say(payloads: list[bytes]) -> None:
        nonlocal link
        fields = "Content-Type: application/x-ndjson\r\n" if lines else ""
        while True:
            if link is None:
                link = await Link.open(stage.address)
            await link.request("POST", target_of(channel), fields, b"\n".join(payloads))
            response = await link.response()
            if response.headers.get("connection") == "close":
                link.abort()
                link = None
            if response.status == 200:
                return
            if response.status != 503:  # else it is certainly not published
                raise Broken(f"a POST was answered with {response.status}: {response.body!r}")
            stage.counts["POSTs put off (503)"] += 1
            await asyncio.sleep(0.1)

    await keep_saying(stage, channel, "lines" if lines else "post", say, 20 if lines else 1)


async def say_on_stdin(stage: Stage, channel: str, pipe: IO[bytes]) -> None:
    loop = asyncio.get_running_loop()
    transport, protocol = await loop.connect_write_pipe(asyncio.streams.FlowControlMixin, pipe)
    writer = asyncio.StreamWriter(transport, protocol, None, loop)

    async def say(payloads: list[bytes]) -> None:
        for payload in payloads:
            writer.write(payload + b"\n")
        await writer.drain()

    await keep_saying(stage, channel, "stdin", say)
    writer.close()


# ---- readers ----


async def until_complete(stream: Stream, receive: Callable[[], Coroutine]) -> AsyncIterator:
    """What comes, up to the last message of everybody."""
    waiting: asyncio.Task | None = None
    try:
        while not stream.is_complete():
            waiting = waiting or asyncio.create_task(receive())
            await asyncio.wait([waiting], timeout=1)
            if waiting.done():
                received, waiting = waiting.result(), None
                yield received
    finally:
        if waiting:
            waiting.cancel()


async def read_websocket(stage: Stage, channel: str, *, deflate: bool, query: str = "",
                         whole: bool = False) -> None:
    """Stays to the end."""
    link = await Link.open(stage.address)
    await link.upgrade(target_of(channel, query), deflate=deflate)
    stream = Stream(stage, channel, whole=whole)
    async for payload in until_complete(stream, link.message):
        stream.take(payload)
    link.abort()


async def read_events(stage: Stage, channel: str, *, query: str = "", whole: bool = False) -> None:
    link = await (await Link.open(stage.address)).listen(target_of(channel, query))
    stream = Stream(stage, channel, whole=whole)
    last = int(link.place.partition("-")[2])
    async for identity, data in until_complete(stream, link.event):
        number = int(identity.partition("-")[2])
        if number != last + 1:
            raise Broken(f"event {number} came behind {last}")
        last = number
        stream.take(data)
    link.abort()


async def read_stdout(stage: Stage, channel: str, pipe: IO[bytes]) -> None:
    reader = asyncio.StreamReader(limit=1 << 20)
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), pipe)
    stream = Stream(stage, channel, whole=True)
    async for line in until_complete(stream, reader.readline):
        stream.take(line.removesuffix(b"\n"))


async def come_and_go(stage: Stage, channel: str, *, events: bool) -> None:
    """Leaves now and then, however it goes, and comes back to where it was."""
    stream, place = Stream(stage, channel, gaps=stage.skips), ""
    while await stage.rest(0, 1):
        link = await Link.open(stage.address)
        try:
            if events:
                await link.listen(target_of(channel), place)
            else:
                await link.upgrade(target_of(channel), deflate=stage.random.random() < 0.5,
                                   last_id=place)
        except Lost:
            stage.counts["comings put off"] += 1
            continue
        if place and link.place != place:  # it was away for longer than the history goes back
            stage.counts["gaps after coming back"] += 1
            stream = Stream(stage, channel, gaps=stage.skips)
        epoch, _, number = link.place.partition("-")
        count = 0
        try:
            for _ in range(stage.random.randrange(2000)):
                data = (await link.event())[1] if events else await link.message()
                count += 1
                stream.take(data)
                if stage.over.is_set():
                    break
        except (Closed, Lost) as lost:
            raise Broken(f"a reader that keeps up was ended: {lost}") from lost
        place = f"{epoch}-{int(number) + count}"
        stage.counts["came back"] += 1
        link.abort()


async def read_slowly(stage: Stage, channel: str, *, events: bool) -> None:
    """Never as fast as they speak: what it gets until it is closed is complete."""
    while await stage.rest(0, 1):
        link = await Link.open(stage.address, receive_buffer=4096)
        stream = Stream(stage, channel, gaps=stage.skips)
        try:
            if events:
                await link.listen(target_of(channel))
            else:
                await link.upgrade(target_of(channel), deflate=stage.random.random() < 0.5)
            while await stage.rest(0, stage.pace):
                stream.take((await link.event())[1] if events else await link.message())
        except (Closed, Lost) as end:
            stage.counts[f"slow readers ended ({getattr(end, 'code', 'lost')})"] += 1
        link.abort()


async def read_half_closed(stage: Stage, channel: str) -> None:
    """Says that it will say nothing more; the server may end it, with what it sent whole."""
    while await stage.rest(0.5, 2):
        link = await Link.open(stage.address)
        stream = Stream(stage, channel, gaps=stage.skips)
        try:
            await link.upgrade(target_of(channel))
            await asyncio.sleep(stage.random.random() / 2)
            if link.half_close():
                stage.counts["half-closed readers"] += 1
            while not stage.over.is_set():
                stream.take(await link.message())
        except (Closed, Lost):
            pass
        link.abort()


# ---- those who ask ----


async def ask(stage: Stage, targets: list[str]) -> None:
    """Answers under load are whole, and JSON; a page's messages follow each other."""
    link: Link | None = None
    while await stage.rest(0.02, 0.2):
        try:
            link = link or await Link.open(stage.address)
            await link.request("GET", stage.random.choice(targets), "Accept: application/json\r\n")
            response = await link.response()
        except Lost:
            stage.counts["requests lost"] += 1
            link = None
            continue
        stage.counts[f"requests answered with {response.status}"] += 1
        if response.headers.get("connection") == "close":
            link.abort()
            link = None
        if response.status != 200:
            continue
        messages = json.loads(response.body).get("messages")
        if isinstance(messages, list):  # it is a page
            check_page(messages)


def check_page(messages: list[dict[str, str]]) -> None:
    numbers = [int(message["id"].partition("-")[2]) for message in messages]
    if numbers and numbers != list(range(numbers[0], numbers[0] + len(numbers))):
        raise Broken(f"a page leaves messages out: {numbers}")
