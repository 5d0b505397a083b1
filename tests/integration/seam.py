"""Publishers at full speed, and clients that join with every form of history, drop and resume.

Every byte of every client is held against one reader that was there from the beginning: nothing
may be lost, doubled or out of order, wherever a client joins. Run as a program, this is the
publishers: `seam.py PORT CHANNEL SECONDS PUBLISHERS`; it prints how many messages each has sent.
"""

from __future__ import annotations

import random
import selectors
import subprocess
import sys
import time
from typing import NamedTuple

import rawws

WINDOW = 256  # messages of a publisher that it has not heard itself
SHORT, LONG = 20, 400  # bytes of fillings; the long one is worth compressing


def payload(publisher: int, number: int) -> bytes:
    return b"%d %d " % (publisher, number) + b"x" * (SHORT if number % 4 else LONG)


# ---- the publishers, a process of their own ----


def open_frame(body: bytes) -> bytes:
    """A frame of a client with the masking key 0: nothing to compute."""
    head = b"\x81" + (
        bytes([0x80 | len(body)])
        if len(body) < 126
        else b"\xfe" + len(body).to_bytes(2, "big")
    )
    return head + bytes(4) + body


class Publisher:
    def __init__(self, port: int, target: str, number: int) -> None:
        self.client = rawws.Client(port).upgrade(target)
        self.number = number
        self.sent = self.heard = 0
        self.tail = b""
        self.out = b""
        self.client.sock.setblocking(False)

    def read(self) -> None:
        data = self.tail + self.client.sock.recv(1 << 20)
        own = b"%d " % self.number
        at, size = 0, len(data)
        while at + 4 <= size:
            length, head = data[at + 1], 2
            if length == 126:
                length, head = int.from_bytes(data[at + 2 : at + 4], "big"), 4
            if at + head + length > size:
                break
            assert data[at] == 0x81
            if data.startswith(own, at + head):
                self.heard += 1
            at += head + length
        self.tail = data[at:]

    def write(self, going_on: bool) -> None:
        while going_on and not self.out and self.sent - self.heard < WINDOW:
            batch = range(self.sent, self.sent + 16)
            self.out = b"".join(open_frame(payload(self.number, n)) for n in batch)
            self.sent += 16
        if self.out:
            try:
                self.out = self.out[self.client.sock.send(self.out) :]
            except BlockingIOError:
                pass

    def done(self) -> bool:
        return not self.out and self.heard == self.sent


def publish(port: int, target: str, seconds: float, count: int) -> None:
    publishers = [Publisher(port, target, number) for number in range(count)]
    selector = selectors.DefaultSelector()
    for publisher in publishers:
        selector.register(publisher.client.sock, selectors.EVENT_READ, publisher)
    end = time.monotonic() + seconds
    while True:
        going_on = time.monotonic() < end
        for publisher in publishers:
            publisher.write(going_on)
        if not going_on and all(publisher.done() for publisher in publishers):
            break
        for key, _ in selector.select(0.01):
            key.data.read()
    print(*(publisher.sent for publisher in publishers), flush=True)


# ---- the clients ----


class Message(NamedTuple):
    rsv: int
    payload: bytes


def frames_of(data: bytes) -> tuple[list[Message], int]:
    """The whole frames, all of them text, and where the rest begins."""
    found, at, size = [], 0, len(data)
    while at + 4 <= size:
        length, head = data[at + 1], 2
        if length == 126:
            length, head = int.from_bytes(data[at + 2 : at + 4], "big"), 4
        elif length == 127:
            raise AssertionError("a message that nobody has sent")
        if at + head + length > size:
            break
        assert data[at] & 0x8F == 0x81, data[at : at + 10]
        found.append(Message(data[at] >> 4 & 7, data[at + head : at + head + length]))
        at += head + length
    return found, at


def sequence_of(event_id: str) -> int:
    return int(event_id.partition("-")[2])


class Segment(NamedTuple):
    """What one connection got: the messages from `start` on, without a gap."""

    start: int
    asked: str
    messages: list[Message]


class Wanderer:
    """Joins, hears, drops, and comes back, always knowing its place."""

    def __init__(self, server, target: str, chance: random.Random, *, deflate: bool) -> None:
        self.server, self.target, self.chance, self.deflate = server, target, chance, deflate
        self.segments: list[Segment] = []
        self.place: str | None = None
        self.connect()

    def _ask(self) -> tuple[str, dict[str, str]]:
        forms = ["now", "last", "all", "other epoch", "too old"]
        if self.place is not None:
            forms += ["query", "field", "query", "field", "both"]
        form = self.chance.choice(forms)
        epoch = self.server.epoch
        return {
            "now": lambda: ("", {}),
            "last": lambda: (f"?history={self.chance.randrange(2000)}", {}),
            "all": lambda: ("?history=all", {}),
            "other epoch": lambda: ("?last_event_id=0123456789abcdef-17", {}),
            "too old": lambda: (f"?last_event_id={epoch}-0", {}),
            "query": lambda: (f"?last_event_id={self.place}", {}),
            "field": lambda: ("", {"Last_Event_ID": self.place}),
            "both": lambda: (f"?history=3&last_event_id={epoch}-1", {"Last_Event_ID": self.place}),
        }[form]()

    def connect(self) -> None:
        query, fields = self._ask()
        if self.deflate:
            fields["Sec_WebSocket_Extensions"] = "permessage-deflate"
        # Who has room for little stalls within history, too, and near its end.
        room = self.chance.choice([0, 0, 4096, 32768])
        self.client = rawws.Client(self.server.port, receive_buffer=room)
        self.client.upgrade(self.target + query, **fields)
        self.start = self.client.accepted.headers["last-event-id"]
        self.asked = f"{query} {fields}"
        assert self.start.startswith(self.server.epoch + "-")
        if "Last_Event_ID" in fields and sequence_of(fields["Last_Event_ID"]) > sequence_of(
            self.start
        ):
            raise AssertionError(f"asked for {fields}, and it begins before: {self.start}")
        self.data = bytearray(self.client._buffer)
        self.messages: list[Message] = []
        self.got = 0
        self.goal = self.chance.choice([0, 500, 5_000, 50_000, 300_000, 2_000_000])
        self.client.sock.setblocking(False)

    def read(self) -> bool:
        """False when it has had enough for now."""
        try:
            data = self.client.sock.recv(1 << 20)
        except BlockingIOError:
            return True
        assert data, f"{self.asked}: the server has closed"
        self.data += data
        self.got += len(data)
        return self.got < self.goal

    def drop(self) -> None:
        if self.chance.random() < 0.5:
            self.client.reset()
        else:
            self.client.disconnect()
        self.settle()

    def settle(self) -> None:
        self.catch_up()
        self.segments.append(Segment(sequence_of(self.start), self.asked, self.messages))
        self.place = f"{self.server.epoch}-{self.reached()}"

    def catch_up(self) -> None:
        """Takes apart what has come since."""
        messages, at = frames_of(bytes(self.data))
        self.messages += messages
        del self.data[:at]

    def reached(self) -> int:
        """The last message that it has."""
        return sequence_of(self.start) + len(self.messages)


class Crowd:
    """Runs the clients until the publishers are done and everybody has heard the last message."""

    def __init__(self, server, target: str, clients: int, seconds: float, seed: int) -> None:
        self.server = server
        self.chance = random.Random(seed)
        self.target = target
        reference = rawws.Client(server.port).upgrade(target)
        server.epoch = reference.accepted.headers["last-event-id"].partition("-")[0]
        assert reference.accepted.headers["last-event-id"] == f"{server.epoch}-0"
        self.publishers = subprocess.Popen(
            [sys.executable, "-B", __file__, str(server.port), target, str(seconds), "8"],
            stdout=subprocess.PIPE,
            text=True,
        )
        self.selector = selectors.DefaultSelector()
        self.everything = bytearray()
        self.reference = reference
        reference.sock.setblocking(False)
        self.selector.register(reference.sock, selectors.EVENT_READ, None)
        self.clients = []
        for i in range(clients):
            client = Wanderer(server, target, self.chance, deflate=i % 3 == 0)
            self.selector.register(client.client.sock, selectors.EVENT_READ, client)
            self.clients.append(client)

    def _turn(self, wander: bool) -> None:
        for key, _ in self.selector.select(0.05):
            client = key.data
            if client is None:
                self.everything += self.reference.sock.recv(1 << 20)
            elif not client.read() and wander:
                self.selector.unregister(client.client.sock)
                client.drop()
                client.connect()
                self.selector.register(client.client.sock, selectors.EVENT_READ, client)

    def run(self) -> None:
        while self.publishers.poll() is None:
            self._turn(True)
        sent = [int(number) for number in self.publishers.stdout.read().split()]
        self.publishers.stdout.close()
        assert self.publishers.returncode == 0
        total = sum(sent)
        # Everybody hears the last message: where that is in its bytes is found out as they come.
        while len(self._reference()) < total:
            self._turn(False)
        self._check_reference(sent)
        self._reach(total)
        self._say_one_more(total)
        for client in self.clients:
            client.settle()
            self._check(client)
            client.client.disconnect()
        self.reference.disconnect()

    def _reach(self, total: int) -> None:
        for client in self.clients:
            while client.catch_up() or client.reached() < total:
                self._turn(False)

    def _say_one_more(self, total: int) -> None:
        """By now nobody reads history: whoever takes compressed messages gets one."""
        self.reference.send(open_frame(payload(0, 0)))
        while len(self._reference()) < total + 1:
            self._turn(False)
        self._reach(total + 1)
        for client in self.clients:
            assert bool(client.messages[-1].rsv) == client.deflate, client.asked

    def _reference(self) -> list[bytes]:
        """What the one that was there from the beginning has heard so far."""
        messages, at = frames_of(bytes(self.everything))
        del self.everything[:at]
        self.heard = getattr(self, "heard", [])
        self.heard += [message.payload for message in messages]
        return self.heard

    def _check_reference(self, sent: list[int]) -> None:
        """All messages of each publisher came, in its order."""
        following = [0] * len(sent)
        for message in self.heard:
            publisher = int(message.split(b" ", 1)[0])
            assert message == payload(publisher, following[publisher]), message[:40]
            following[publisher] += 1
        assert following == sent

    def _check(self, client: Wanderer) -> None:
        """Each of its connections got what came behind its place, and nothing else."""
        inflater = rawws.Inflater(takeover=False)
        for segment in client.segments:
            expected = self.heard[segment.start : segment.start + len(segment.messages)]
            got = [
                inflater.inflate(message.payload) if message.rsv else message.payload
                for message in segment.messages
            ]
            assert client.deflate or not any(message.rsv for message in segment.messages)
            if got == expected:
                continue
            at = next(i for i, pair in enumerate(zip(got, expected)) if pair[0] != pair[1])
            raise AssertionError(
                f"{segment.asked}: it began at {segment.start}; its message {at} of {len(got)} is "
                f"{got[at][:30]!r} instead of {expected[at][:30]!r}"
            )


if __name__ == "__main__":
    publish(int(sys.argv[1]), sys.argv[2], float(sys.argv[3]), int(sys.argv[4]))
