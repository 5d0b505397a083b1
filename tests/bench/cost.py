"""What a request costs: for each kind of request, the CPU time and memory that it takes the server,
beside the CPU time and bytes that it takes whoever sends it, and the longest round trip of another
client meanwhile, beside that to an idle server. The sender has its bytes ready beforehand, and
throws away what it is answered, so that it is nearly as cheap as one in C.

Prints a line of JSON for each case, and at the end the table; with --output it becomes a part of
RESULTS.md. The machine should have nothing else to do.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import select
import socket
import ssl
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(TESTS / "integration"), str(TESTS / "soak")]

import programs
import rawws
import report
from soak import Probe, make_certificate

MIB = 1 << 20
HOST = b"Host: localhost\r\n"
JSON = b"Accept: application/json\r\n"
SEGMENTS = 140  # bytes on the wire that each connection costs besides: a SYN, and an ACK
MARK = rawws.frame(rawws.PONG, b"behind all", masked=False)


class Sender:
    """Sends what was prepared, reads and forgets what comes, and counts the bytes it sends."""

    def __init__(self, server: programs.Server) -> None:
        self.server = server
        self.sent = 0
        self.open: list[socket.socket] = []  # to the end of the case

    def connect(self, receive_buffer: int = 0) -> socket.socket:
        sock = socket.socket()
        if receive_buffer:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        sock.connect(("127.0.0.1", self.server.port))
        self.sent += SEGMENTS
        self.open.append(sock)
        return sock

    def send(self, sock: socket.socket, data: bytes) -> None:
        self.sent += len(data)
        sock.sendall(data)

    def exchange(self, sock: socket.socket, data: bytes, mark: bytes, count: int) -> None:
        """Sends, and reads until `mark` has come so often."""
        rest, tail = memoryview(data), b""
        sock.setblocking(False)
        while count > 0:
            readable, writable, _ = select.select([sock], [sock] if rest else [], [], 60)
            assert readable or writable, "the server does not answer"
            if writable:
                rest = rest[sock.send(rest[:262144]) :]
            if readable:
                came = sock.recv(262144)
                assert came, "the server closed the connection"
                tail += came
                count -= tail.count(mark)
                tail = tail[-len(mark) + 1 :]
        sock.setblocking(True)
        self.sent += len(data) - len(rest)


def upgraded(sender: Sender, target: str = "/ws", extensions: bytes = b"") -> socket.socket:
    sock = sender.connect()
    sender.exchange(sock, b"GET %s HTTP/1.1\r\n%sUpgrade: websocket\r\nConnection: Upgrade\r\n"
                    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
                    b"%s\r\n" % (target.encode(), HOST, extensions), b"\r\n\r\n", 1)
    return sock


DEFLATE = b"Sec-WebSocket-Extensions: permessage-deflate; client_no_context_takeover\r\n"


def say(frames: bytes, extensions: bytes = b"") -> Callable[[Sender], None]:
    def run(sender: Sender) -> None:
        sock = upgraded(sender, extensions=extensions)
        sender.exchange(sock, frames + rawws.frame(rawws.PING, b"behind all"), MARK, 1)

    return run


def request(line: bytes, fields: bytes = b"", body: bytes = b"") -> bytes:
    if line.startswith(b"POST"):
        fields += b"Content-Length: %d\r\n" % len(body)
    return line + b" HTTP/1.1\r\n" + HOST + fields + b"\r\n" + body


def pipeline(one: bytes, count: int, connections: int = 1) -> Callable[[Sender], None]:
    def run(sender: Sender) -> None:
        for _ in range(connections):
            sender.exchange(sender.connect(), one * count, b"HTTP/1.1 ", count)

    return run


def hold(data: bytes, count: int, receive_buffer: int = 0) -> Callable[[Sender], None]:
    """Connections that stay as they are when this was sent."""

    def run(sender: Sender) -> None:
        for _ in range(count):
            sender.send(sender.connect(receive_buffer), data)
        time.sleep(1)

    return run


def shake_hands(count: int) -> Callable[[Sender], None]:
    """All at once."""

    def run(sender: Sender) -> None:
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        begun = []
        for _ in range(count):
            sock, into, out = sender.connect(), ssl.MemoryBIO(), ssl.MemoryBIO()
            tls = context.wrap_bio(into, out)
            with contextlib.suppress(ssl.SSLWantReadError):
                tls.do_handshake()
            sender.send(sock, out.read())
            begun.append((tls, sock, into, out))
        for tls, sock, into, out in begun:
            while True:
                into.write(sock.recv(65536))
                with contextlib.suppress(ssl.SSLWantReadError):
                    tls.do_handshake()
                    break
            sender.send(sock, out.read())

    return run


def published(size: int, count: int, letter: bytes = b"x") -> Callable[[programs.Server], None]:
    """History that is there before."""

    def prepare(server: programs.Server) -> None:
        sender = Sender(server)
        say(rawws.frame(rawws.TEXT, letter * size) * count)(sender)
        for sock in sender.open:
            sock.close()

    return prepare


def many_channels(server: programs.Server) -> list[rawws.Client]:
    return [server.client(f"/ws/channel-{i}") for i in range(200)]


def many_subscribers(server: programs.Server) -> list[rawws.Client]:
    return programs.connect(server, 500)


@dataclass
class Case:
    name: str
    run: Callable[[Sender], None]
    options: tuple[str, ...] = ()
    prepare: Callable[[programs.Server], object] = lambda server: None


def words(size: int) -> bytes:
    chooser = random.Random(1)
    return b" ".join(b"%x" % chooser.randrange(1 << 20) for _ in range(size // 5))[:size]


def cases() -> Iterator[Case]:
    deflater = rawws.Deflater(takeover=False)
    newlines = rawws.frame(rawws.TEXT, deflater.deflate(b"\n" * MIB), rsv=4)
    prose = rawws.frame(rawws.TEXT, deflater.deflate(words(8192)), rsv=4)
    history = ("--history-messages", "2000")
    events = b"Accept: text/event-stream\r\n"
    lines = b'{"a": "bcdefg"}\n' * 1000

    yield Case("WebSocket message of 100 bytes", say(rawws.frame(rawws.TEXT, b"x" * 100) * 500_000))
    yield Case("WebSocket message of 16 KiB", say(rawws.frame(rawws.TEXT, b"x" * 16384) * 10_000))
    yield Case("WebSocket message of 8 KiB, compressed", say(prose * 5_000, DEFLATE))
    yield Case("1 MiB of newlines, compressed", say(newlines * 60, DEFLATE))
    yield Case("POST of 100 bytes", pipeline(request(b"POST /ws", body=b"x" * 100), 100_000))
    yield Case("NDJSON, 1,000 lines a request", pipeline(
        request(b"POST /ws", b"Content-Type: application/x-ndjson\r\n", lines), 3_000))
    yield Case("GET of a page of 100 messages", pipeline(request(b"GET /ws", JSON), 10_000), history,
               published(100, 2000))
    yield Case("GET of a page of 1 MiB of control characters", pipeline(
        request(b"GET /ws", JSON), 50), history, published(MIB - 1, 1, b"\x01"))
    yield Case("HEAD of that page", pipeline(request(b"HEAD /ws", JSON), 100_000), history,
               published(MIB - 1, 1, b"\x01"))
    yield Case("pages that are not read", hold(request(b"GET /ws", JSON) * 50, 10, 4096), history,
               published(MIB - 1, 1, b"\x01"))
    yield Case("event stream with a replay of 2,000 messages", replays(800), history,
               published(100, 2000))
    yield Case("event stream with a replay that is not read", hold(
        request(b"GET /ws?history=all", events), 100, 4096), history, published(MIB, 1, b"\n"))
    yield Case("`?info`, 500 subscribers", pipeline(request(b"GET /ws?info"), 50_000),
               prepare=many_subscribers)
    yield Case("`/channels`, 200 channels", pipeline(request(b"GET /channels"), 10_000),
               prepare=many_channels)
    yield Case("TLS handshake", shake_hands(300), ("tls",))
    yield Case("silent connection", hold(b"", 900))
    yield Case("unfinished body of 1 MB", hold(
        b"POST /ws HTTP/1.1\r\n%sContent-Length: 1000000\r\n\r\n" % HOST + b"x" * 999_999, 100))
    yield Case("refused Origin", pipeline(
        request(b"GET /ws", b"Origin: https://evil.example\r\n" + JSON), 99, 1_000))
    yield Case("ping of 125 bytes", say(rawws.frame(rawws.PING, b"x" * 125) * 500_000),
               ("--max-control-per-second", "0"))
    yield Case("fragments of one byte", say(
        (rawws.frame(rawws.TEXT, b"x", fin=False)
         + rawws.frame(rawws.CONTINUATION, b"x", fin=False) * 100_000
         + rawws.frame(rawws.CONTINUATION, b"x")) * 50))


def replays(count: int) -> Callable[[Sender], None]:
    asked = request(b"GET /ws?history=all", b"Accept: text/event-stream\r\n")

    def run(sender: Sender) -> None:
        for _ in range(count):
            sender.exchange(sender.connect(), asked, b"\n\n", 2000)

    return run


def cpu_seconds(pid: int) -> float:
    """Of all threads, to the nanosecond."""
    tasks = Path(f"/proc/{pid}/task").iterdir()
    return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks) / 1e9


def start(case: Case, directory: str) -> tuple[programs.Server, str]:
    """The server of a case, and what the probe is to be told of it."""
    options, prefix = list(case.options), ""
    if options[:1] == ["tls"]:
        certificate, key = make_certificate(directory)
        options, prefix = ["--tls-cert", certificate, "--tls-key", key], "tls:"
    server = programs.Server("-w", "1", "--prefix", "", *options)
    return server, f"{prefix}{server.port}"


def measure(case: Case, directory: str, control: programs.Server) -> dict[str, object]:
    server, where = start(case, directory)
    kept = case.prepare(server)
    probe = Probe(where, control.port)
    sender = Sender(server)
    time.sleep(0.5)
    peak, held = server.reset_peak(), server.rss_anon()
    cpu, own = cpu_seconds(server.pid), time.process_time()
    case.run(sender)
    own = time.process_time() - own
    cpu = cpu_seconds(server.pid) - cpu
    peak, held = server.peak_rss() - peak, server.rss_anon() - held
    round_trips = probe.finish()
    for sock in sender.open:
        sock.close()
    for client in kept or []:
        client.disconnect()
    server.stop()
    server.clean_up()
    return {
        "case": case.name,
        "sent_bytes": sender.sent,
        "server_cpu_ms": round(cpu * 1000, 1),
        "sender_cpu_ms": round(own * 1000, 1),
        "cpu_ratio": round(cpu / own, 1),
        "server_ns_a_byte": round(cpu * 1e9 / sender.sent, 1),
        "peak_bytes": peak,
        "held_bytes": held,
        "peak_a_byte": round(max(peak, 0) / sender.sent, 2),
        "held_a_byte": round(max(held, 0) / sender.sent, 2),
        "longest_ms": round_trips["loaded"]["max"],
        "control_ms": round_trips["control"]["max"],
    }


EXPLANATION = """One worker; what the server and the sender spend on it, and what the server holds
for it, by the bytes sent (a connection counts as 140 bytes). The memory is RssAnon: at its peak, and
when all was answered and the connections were still there. The last two columns are the longest of
a hundred round trips a second that another client made meanwhile, to this server and in turn to an
idle one: what they have in common is the machine's. Load of the machine: {load:.1f}, {cpus} CPUs.
"""


def table(results: list[dict[str, object]]) -> str:
    heads = ["request", "sent", "CPU: server, ms", "sender, ms", "server : sender",
             "server, ns a byte sent", "memory: peak, B a byte sent", "held, B a byte sent",
             "longest round trip, ms", "to an idle server, ms"]
    names = ["case", "sent_bytes", "server_cpu_ms", "sender_cpu_ms", "cpu_ratio",
             "server_ns_a_byte", "peak_a_byte", "held_a_byte", "longest_ms", "control_ms"]
    rows = [[f"{it[name]:,}" if name != "case" else it[name] for name in names] for it in results]
    return report.table(heads, rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n\n")[0])
    parser.add_argument("--case", default="", help="only cases with this in their name")
    parser.add_argument("--server", help="the program (build/server/wsbroadcastd)")
    parser.add_argument("--output", type=Path, help="the directory with RESULTS.md")
    arguments = parser.parse_args()
    if arguments.server:
        programs.WSBROADCASTD = arguments.server
    control = programs.Server("-w", "1")
    results = []
    with tempfile.TemporaryDirectory() as directory:
        for case in cases():
            if arguments.case not in case.name:
                continue
            results.append(measure(case, directory, control))
            print(json.dumps(results[-1]), flush=True)
    control.stop()
    control.clean_up()
    text = EXPLANATION.format(load=os.getloadavg()[0], cpus=os.cpu_count())
    text = f"{report.COST}\n\n{text}\n{table(results)}"
    print(f"\n{text}")
    if arguments.output:
        report.put_cost(arguments.output, text)


if __name__ == "__main__":
    main()
