"""One client's connection in the soak: HTTP and WebSocket over asyncio, strict about what comes."""

from __future__ import annotations

import asyncio
import base64
import os
import socket
import ssl
from typing import ClassVar, NamedTuple

import rawws


class Lost(Exception):
    """TCP ended where something more had to come."""


class Closed(Exception):
    """A Close frame came."""

    def __init__(self, payload: bytes) -> None:
        self.code = int.from_bytes(payload[:2], "big") if payload else None
        self.reason = payload[2:].decode()
        super().__init__(f"Close {self.code} {self.reason!r}")


class Response(NamedTuple):
    status: int
    headers: dict[str, str]
    body: bytes


class Address(NamedTuple):
    """Where a server is; `tls` is how to speak to it."""

    port: int
    tls: ssl.SSLContext | None = None


class Link:
    """A connection. What it does may raise Lost or Closed, whoever ended it."""

    all_open: ClassVar[set[Link]] = set()

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._deflater: rawws.Deflater | None = None
        self._inflater: rawws.Inflater | None = None
        self.all_open.add(self)
        self.place = ""  # the ID before the first message

    @classmethod
    async def open(cls, address: Address, receive_buffer: int = 0) -> Link:
        sock = socket.socket()
        sock.setblocking(False)
        if receive_buffer:  # before connect, as it decides the window
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        try:
            await asyncio.get_running_loop().sock_connect(sock, ("127.0.0.1", address.port))
            name = "localhost" if address.tls else None
            return cls(*await asyncio.open_connection(sock=sock, ssl=address.tls,
                                                      server_hostname=name))
        except (OSError, asyncio.IncompleteReadError) as error:
            sock.close()
            raise Lost(str(error)) from error

    # Sending

    async def send(self, data: bytes) -> None:
        try:
            self._writer.write(data)
            await self._writer.drain()
        except (OSError, RuntimeError) as error:
            raise Lost(str(error)) from error

    def send_soon(self, data: bytes) -> None:
        """Without waiting for room."""
        self._writer.write(data)

    async def say(self, opcode: int, payload: bytes) -> None:
        if self._deflater is not None and opcode < rawws.CLOSE and len(payload) > 60:
            await self.send(rawws.frame(opcode, self._deflater.deflate(payload), rsv=4))
        else:
            await self.send(rawws.frame(opcode, payload))

    def half_close(self) -> bool:
        """Not with TLS: asyncio cannot."""
        if self._writer.can_write_eof():
            self._writer.write_eof()
        return self._writer.can_write_eof()

    def abort(self) -> None:
        """Leave with RST, where something is unread."""
        self.all_open.discard(self)
        self._writer.transport.abort()

    @classmethod
    def abort_all(cls) -> None:
        for link in list(cls.all_open):
            link.abort()

    # Receiving

    async def _exactly(self, size: int) -> bytes:
        try:
            return await self._reader.readexactly(size)
        except (asyncio.IncompleteReadError, OSError) as error:
            raise Lost(str(error)) from error

    async def line(self) -> bytes:
        """A line, without its end."""
        try:
            line = await self._reader.readuntil(b"\n")
        except (asyncio.IncompleteReadError, OSError) as error:
            raise Lost(str(error)) from error
        return line[:-1].removesuffix(b"\r")

    async def head(self) -> tuple[int, dict[str, str]]:
        version, status, *_ = (await self.line()).decode().split(" ")
        assert version == "HTTP/1.1", version
        headers = {}
        while line := (await self.line()).decode():
            name, _, value = line.partition(":")
            headers[name.lower()] = value.strip()
        return int(status), headers

    async def response(self, *, has_body: bool = True) -> Response:
        """A whole response; an answer to HEAD has no body."""
        status, headers = await self.head()
        body = b""
        if has_body and headers.get("transfer-encoding") == "chunked":
            while size := int(await self.line(), 16):
                body += await self._exactly(size)
                assert await self.line() == b""
            assert await self.line() == b""
        elif has_body:
            body = await self._exactly(int(headers["content-length"]))
        return Response(status, headers, body)

    async def frame(self) -> tuple[int, bytes]:
        """The next frame; pings are answered, and a Close raises Closed."""
        while True:
            first, length = await self._exactly(2)
            assert first & 0x80, "a message in fragments"
            if length >= 126:
                length = int.from_bytes(await self._exactly(2 if length == 126 else 8), "big")
            payload = await self._exactly(length)
            opcode = first & 15
            if opcode == rawws.CLOSE:
                raise Closed(payload)
            if opcode == rawws.PING:
                self.send_soon(rawws.frame(rawws.PONG, payload))
                continue
            if first & 0x40:
                assert self._inflater is not None, "compressed without agreement"
                payload = self._inflater.inflate(payload)
            return opcode, payload

    async def message(self) -> bytes:
        while True:
            opcode, payload = await self.frame()
            if opcode in (rawws.TEXT, rawws.BINARY):
                return payload

    # Both

    async def upgrade(self, target: str, *, deflate: bool = False, last_id: str = "") -> Link:
        more = f"Last-Event-ID: {last_id}\r\n" if last_id else ""
        if deflate:
            more += "Sec-WebSocket-Extensions: permessage-deflate\r\n"
        key = base64.b64encode(os.urandom(16)).decode()
        await self.send((
            f"GET {target} HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n"
            f"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n"
            f"{more}\r\n").encode())
        status, headers = await self.head()
        if status == 503:
            raise Lost("503")
        assert status == 101, status
        assert headers["sec-websocket-accept"] == rawws.accept_of(key)
        self.place = headers["last-event-id"]
        if "permessage-deflate" in headers.get("sec-websocket-extensions", ""):
            self._deflater = rawws.Deflater()
            self._inflater = rawws.Inflater(takeover=False)
        return self

    async def listen(self, target: str, last_id: str = "") -> Link:
        """An event stream."""
        more = f"Last-Event-ID: {last_id}\r\n" if last_id else ""
        await self.request("GET", target, "Accept: text/event-stream\r\n" + more)
        status, _ = await self.head()
        if status == 503:
            raise Lost("503")
        assert status == 200, status
        self.place = (await self.event())[0]
        return self

    async def event(self) -> tuple[str, bytes]:
        """The next event: its ID and its data."""
        identity, lines = "", []
        while True:
            line = await self.line()
            if not line:
                if identity:
                    return identity, b"\n".join(lines)
                continue  # behind a comment
            name, _, value = line.partition(b":")
            value = value.removeprefix(b" ")
            if name == b"id":
                identity = value.decode()
            elif name == b"data":
                lines.append(value)

    async def request(self, method: str, target: str, fields: str = "", body: bytes = b"") -> None:
        length = f"Content-Length: {len(body)}\r\n" if method == "POST" else ""
        await self.send(f"{method} {target} HTTP/1.1\r\nHost: localhost\r\n{fields}{length}\r\n"
                        .encode() + body)
