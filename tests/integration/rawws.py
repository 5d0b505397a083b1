"""A WebSocket peer on a bare socket, that keeps the protocol only where it is told to.

`Client` talks to wsbroadcastd, `ScriptedServer` talks to wsrecv. Both hand out a `Peer`, which can
send any bytes at all and takes apart, strictly, what comes back. Every wait has a timeout.
"""

from __future__ import annotations

import base64
import hashlib
import os
import socket
import struct
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from typing import NamedTuple

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0x0, 0x1, 0x2, 0x8, 0x9, 0xA
GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
TIMEOUT = 10.0  # seconds; conftest.py makes it longer for a sanitizer build


class ConnectionLost(Exception):
    """TCP ended where a frame or a response had to come."""


class Closed(Exception):
    """A Close frame came where a message had to come."""

    def __init__(self, code: int | None, reason: str) -> None:
        super().__init__(f"Close {code} {reason!r}")
        self.code = code
        self.reason = reason


class Frame(NamedTuple):
    """One frame as it came, unmasked."""

    opcode: int
    payload: bytes
    fin: bool = True
    rsv: int = 0
    masking_key: bytes | None = None

    @property
    def close_code(self) -> int | None:
        return int.from_bytes(self.payload[:2], "big") if self.payload else None

    @property
    def close_reason(self) -> str:
        return self.payload[2:].decode()


class Head(NamedTuple):
    """The head of an HTTP request or response: start line and headers, names in lower case."""

    start: str
    headers: dict[str, str]

    @property
    def status(self) -> int:
        return int(self.start.split(" ")[1])

    @property
    def target(self) -> str:
        return self.start.split(" ")[1]


class Response(NamedTuple):
    """A whole HTTP response."""

    status: int
    headers: dict[str, str]
    body: str


def turns() -> Iterator[None]:
    """`for _ in turns():` for loops in which something keeps coming: they end in time, too."""
    deadline = time.monotonic() + TIMEOUT
    while time.monotonic() < deadline:
        yield
    raise TimeoutError(f"what was waited for has not come in {TIMEOUT} s")


def mask(data: bytes, key: bytes) -> bytes:
    """XOR data with the masking key (RFC 6455, 5.3)."""
    size = len(data)
    keys = (key * (size // 4 + 1))[:size]
    return (int.from_bytes(data, "big") ^ int.from_bytes(keys, "big")).to_bytes(size, "big")


def frame(
    opcode: int,
    payload: bytes = b"",
    *,
    fin: bool = True,
    rsv: int = 0,
    masked: bool = True,
    declared: int | None = None,
    length_bytes: int | None = None,
) -> bytes:
    """Encode a frame (RFC 6455, 5.2), or something that only looks like one.

    declared: the length in the header, where it is not that of the payload.
    length_bytes: 0, 2 or 8 bytes of extended length, where it is not the shortest form.
    """
    length = len(payload) if declared is None else declared
    if length_bytes is None:
        length_bytes = 0 if length < 126 else 2 if length < 65536 else 8
    short = {0: length, 2: 126, 8: 127}[length_bytes]
    head = bytes([fin << 7 | rsv << 4 | opcode, masked << 7 | short])
    head += length.to_bytes(length_bytes, "big") if length_bytes else b""
    if not masked:
        return head + payload
    key = os.urandom(4)
    return head + key + mask(payload, key)


def close_body(code: int | None, reason: bytes | str = b"") -> bytes:
    """The payload of a Close frame (RFC 6455, 5.5.1)."""
    if code is None:
        return b""
    return struct.pack("!H", code) + (reason.encode() if isinstance(reason, str) else reason)


def accept_of(key: str) -> str:
    """The Sec-WebSocket-Accept that belongs to a Sec-WebSocket-Key (RFC 6455, 4.2.2)."""
    return base64.b64encode(hashlib.sha1(key.encode() + GUID).digest()).decode()


def parse_extensions(value: str) -> list[tuple[str, dict[str, str | None]]]:
    """The elements of a Sec-WebSocket-Extensions field (RFC 6455, 9.1), none of them quoted."""
    parsed = []
    for element in value.split(","):
        name, *parameters = (part.strip() for part in element.split(";"))
        pairs = [parameter.partition("=") for parameter in parameters]
        assert len({pair[0] for pair in pairs}) == len(pairs), f"a parameter twice: {value}"
        parsed.append((name, {key: text if equals else None for key, equals, text in pairs}))
    return parsed


DEFLATE_TAIL = b"\x00\x00\xff\xff"


class Deflater:
    """Compresses messages (RFC 7692, 7.2.1) for a receiver whose window has 2^bits bytes."""

    def __init__(self, bits: int = 15, *, takeover: bool = True, level: int = 6) -> None:
        self._bits = max(bits, 9)  # zlib has no less; with 9 it refers back 250 bytes at the most
        self._level = level
        self._takeover = takeover
        self._zlib: object = None

    def deflate(self, data: bytes) -> bytes:
        if self._zlib is None or not self._takeover:
            self._zlib = zlib.compressobj(self._level, zlib.DEFLATED, -self._bits)
        wire = self._zlib.compress(data) + self._zlib.flush(zlib.Z_SYNC_FLUSH)
        assert wire.endswith(DEFLATE_TAIL)
        return wire[: -len(DEFLATE_TAIL)]


class Inflater:
    """Inflates messages (RFC 7692, 7.2.2), with a window of no more than was agreed on."""

    def __init__(self, bits: int = 15, *, takeover: bool = True) -> None:
        self._bits = bits
        self._takeover = takeover
        self._zlib: object = None

    def inflate(self, wire: bytes, *, strictly: bool = False) -> bytes:
        """strictly: a byte at a time, so that zlib remembers no more than its window holds."""
        if self._zlib is None or not self._takeover:
            self._zlib = zlib.decompressobj(-self._bits)
        wire += DEFLATE_TAIL
        if not strictly:
            return self._zlib.decompress(wire)
        data = bytearray()
        for at in range(0, len(wire), 64):
            rest = wire[at : at + 64]
            while byte := self._zlib.decompress(rest, 1):
                data += byte
                rest = self._zlib.unconsumed_tail
        return bytes(data)


class Peer:
    """One end of a connection. `masked` tells whether what it sends is masked: a client's is.

    Where permessage-deflate was agreed on, `deflater` and `inflater` belong to it.
    """

    deflater: Deflater | None = None
    inflater: Inflater | None = None

    def __init__(self, sock: socket.socket, *, masked: bool) -> None:
        self.sock = sock
        self.masked = masked
        self._buffer = bytearray()
        sock.settimeout(TIMEOUT)
        if sock.family != socket.AF_UNIX:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def __enter__(self) -> Peer:
        return self

    def __exit__(self, *_: object) -> None:
        self.disconnect()

    # Sending

    def send(self, data: bytes) -> None:
        self.sock.sendall(data)

    def send_byte_by_byte(self, data: bytes) -> None:
        for i in range(len(data)):
            self.sock.sendall(data[i : i + 1])

    def send_chopped(self, data: bytes, size: int) -> None:
        for i in range(0, len(data), size):
            self.sock.sendall(data[i : i + size])

    def encode(self, opcode: int, payload: bytes = b"", **how: object) -> bytes:
        """A frame, masked as it must be from this end unless `how` says otherwise."""
        return frame(opcode, payload, **{"masked": self.masked, **how})

    def send_frame(self, opcode: int, payload: bytes = b"", **how: object) -> None:
        self.send(self.encode(opcode, payload, **how))

    def send_text(self, text: str) -> None:
        self.send_frame(TEXT, text.encode())

    def send_binary(self, data: bytes) -> None:
        self.send_frame(BINARY, data)

    def send_close(self, code: int | None = None, reason: bytes | str = b"") -> None:
        self.send_frame(CLOSE, close_body(code, reason))

    def disconnect(self) -> None:
        """Leave without a word: FIN, or RST if something is unread."""
        self.sock.close()

    def reset(self) -> None:
        """Leave with RST."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()

    # Receiving

    def _fill(self) -> None:
        try:
            data = self.sock.recv(1 << 18)
        except ConnectionResetError as error:
            raise ConnectionLost("connection reset") from error
        if not data:
            raise ConnectionLost("end of stream")
        self._buffer += data

    def recv_exactly(self, size: int) -> bytes:
        while len(self._buffer) < size:
            self._fill()
        data = bytes(self._buffer[:size])
        del self._buffer[:size]
        return data

    def recv_head(self) -> Head:
        """The head of an HTTP request or response."""
        while (end := self._buffer.find(b"\r\n\r\n")) < 0:
            self._fill()
        start, *lines = self.recv_exactly(end + 4)[:-4].decode("latin-1").split("\r\n")
        headers = {}
        for line in lines:
            name, _, value = line.partition(":")
            assert name.lower() not in headers, f"header {name} came twice"
            headers[name.lower()] = value.strip()
        return Head(start, headers)

    def recv_response(self, *, has_body: bool = True) -> Response:
        """A whole HTTP response; an answer to HEAD has no body."""
        head = self.recv_head()
        assert head.start.startswith("HTTP/1.1 "), head.start
        if has_body and head.headers.get("transfer-encoding") == "chunked":
            body = b"".join(self.recv_chunks())
        else:
            body = self.recv_exactly(int(head.headers["content-length"]) if has_body else 0)
        return Response(head.status, head.headers, body.decode())

    def recv_chunks(self) -> Iterator[bytes]:
        """A body in chunks (RFC 9112, 7.1), without extensions and trailers."""
        size = 1
        while size:
            while (end := self._buffer.find(b"\r\n")) < 0:
                self._fill()
            size = int(self.recv_exactly(end + 2), 16)
            yield self.recv_exactly(size)
            assert self.recv_exactly(2) == b"\r\n"

    def recv_frame(self) -> Frame:
        """The next frame; its length must be in the shortest form (RFC 6455, 5.2)."""
        first, second = self.recv_exactly(2)
        length = second & 0x7F
        if length == 126:
            length = int.from_bytes(self.recv_exactly(2), "big")
            assert length > 125, "length is not in its shortest form"
        elif length == 127:
            length = int.from_bytes(self.recv_exactly(8), "big")
            assert length > 65535, "length is not in its shortest form"
        key = self.recv_exactly(4) if second & 0x80 else None
        payload = self.recv_exactly(length)
        assert (key is None) == self.masked, "masked is what comes from a client, and only that"
        return Frame(
            opcode=first & 0xF,
            payload=mask(payload, key) if key else payload,
            fin=bool(first & 0x80),
            rsv=first >> 4 & 7,
            masking_key=key,
        )

    def recv_message(self) -> str | bytes:
        """The next message in one frame, text or binary; pings on the way are answered."""
        while True:
            got = self.recv_frame()
            assert got.fin and got.rsv == 0, got
            if got.opcode == TEXT:
                return got.payload.decode()
            if got.opcode == BINARY:
                return got.payload
            if got.opcode == CLOSE:
                raise Closed(got.close_code, got.close_reason)
            assert got.opcode in (PING, PONG), got
            if got.opcode == PING:
                self.send_frame(PONG, got.payload)

    def recv_close(self) -> tuple[int | None, str]:
        """Code and reason of the Close that comes, after whatever messages come before it."""
        try:
            for _ in turns():
                self.recv_message()
        except Closed as closed:
            return closed.code, closed.reason
        raise AssertionError

    def recv_eof(self) -> None:
        """The peer closes TCP, in order, and sends nothing before it."""
        assert not self._buffer, f"unexpected: {bytes(self._buffer[:80])!r}"
        data = self.sock.recv(1)
        assert data == b"", f"unexpected: {data + self.sock.recv(80)!r}"


class Client(Peer):
    """A client on a bare socket. In place of a port there may be the path of a Unix socket."""

    def __init__(
        self, port: int | str, host: str = "127.0.0.1", *, receive_buffer: int = 0
    ) -> None:
        local = isinstance(port, str)
        tcp = socket.AF_INET6 if ":" in host else socket.AF_INET
        sock = socket.socket(socket.AF_UNIX if local else tcp)
        if receive_buffer:  # has to be set before connect, as it decides the window
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        sock.settimeout(TIMEOUT)
        try:
            sock.connect(port if local else (host, port))
        except BaseException:
            sock.close()
            raise
        super().__init__(sock, masked=True)
        self.key = base64.b64encode(os.urandom(16)).decode()

    def request(
        self,
        target: str = "/ws",
        *,
        method: str = "GET",
        version: str = "HTTP/1.1",
        **changes: str | None,
    ) -> bytes:
        """A handshake request. changes: Header_Name='value' replaces or adds, None leaves out."""
        headers: dict[str, str | None] = {
            "Host": "127.0.0.1",
            "Upgrade": "websocket",
            "Connection": "Upgrade",
            "Sec-WebSocket-Key": self.key,
            "Sec-WebSocket-Version": "13",
        }
        headers |= {name.replace("_", "-"): value for name, value in changes.items()}
        lines = [f"{name}: {value}" for name, value in headers.items() if value is not None]
        return "\r\n".join([f"{method} {target} {version}", *lines, "", ""]).encode("latin-1")

    def recv_accept(self) -> Head:
        """The 101 that answers `request`, checked as RFC 6455, 4.1 wants it."""
        head = self.recv_head()
        assert head.start.startswith("HTTP/1.1 101 "), head
        assert head.headers["upgrade"].lower() == "websocket"
        assert head.headers["connection"].lower() == "upgrade"
        assert head.headers["sec-websocket-accept"] == accept_of(self.key)
        return head

    def upgrade(self, target: str = "/ws", **changes: str | None) -> Client:
        """The whole opening handshake."""
        self.send(self.request(target, **changes))
        self.accepted = self.recv_accept()
        return self

    def close(self, code: int = 1000) -> None:
        """The whole closing handshake, and TCP."""
        self.send_close(code)
        assert self.recv_close()[0] == code
        self.recv_eof()
        self.disconnect()


class ServerPeer(Peer):
    """What a scripted server has in hand: the connection of one client."""

    def __init__(self, sock: socket.socket) -> None:
        super().__init__(sock, masked=False)

    def accept(self, **changes: str | None) -> Head:
        """The opening handshake; answers the request's head. changes: as in Client.request."""
        request = self.recv_head()
        headers: dict[str, str | None] = {
            "Upgrade": "websocket",
            "Connection": "Upgrade",
            "Sec-WebSocket-Accept": accept_of(request.headers["sec-websocket-key"]),
        }
        headers |= {name.replace("_", "-"): value for name, value in changes.items()}
        lines = [f"{name}: {value}" for name, value in headers.items() if value is not None]
        self.send("\r\n".join(["HTTP/1.1 101 Switching Protocols", *lines, "", ""]).encode())
        return request

    def close(self, code: int | None = 1000, reason: str = "") -> None:
        """The server's closing handshake: Close, the client's answer with the same code."""
        self.send_close(code, reason)
        assert self.recv_close()[0] == code

    def await_close(self, code: int = 1000) -> None:
        """The client's closing handshake, answered."""
        assert self.recv_close()[0] == code
        self.send_close(code)


def says(*texts: str) -> Callable[[ServerPeer], None]:
    """A script: accept, send these, and let the client close."""

    def script(peer: ServerPeer) -> None:
        peer.accept()
        for text in texts:
            peer.send_text(text)
        peer.await_close(1000)

    return script


class ScriptedServer:
    """Serves one connection with `script`, in a thread, and closes it when the script returns; or,
    with a list of scripts, as many connections, one after the other.

    What a script raises is raised again where the `with` block ends.
    """

    def __init__(
        self,
        script: Callable[[ServerPeer], object] | list[Callable[[ServerPeer], object]],
        port: int = 0,
    ) -> None:
        self._scripts = script if isinstance(script, list) else [script]
        self.served = 0  # connections that have come
        self._error: BaseException | None = None
        self._listener = socket.create_server(("127.0.0.1", port))
        self._listener.settimeout(TIMEOUT)
        self.port: int = self._listener.getsockname()[1]
        self.url = f"ws://127.0.0.1:{self.port}/ws"
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def _serve(self) -> None:
        try:
            for script in self._scripts:
                sock, _ = self._listener.accept()
                self.served += 1
                with ServerPeer(sock) as peer:
                    script(peer)
        except BaseException as error:  # handed over to the test's own thread
            self._error = error

    def __enter__(self) -> ScriptedServer:
        self._thread.start()
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        if kind is None:
            self._thread.join(2 * TIMEOUT)
            assert not self._thread.is_alive(), "the server's script does not end"
        self._listener.close()
        if kind is None and self._error is not None:
            raise self._error
