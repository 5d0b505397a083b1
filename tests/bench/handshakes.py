#!/usr/bin/python3
"""What a storm of TLS handshakes costs those who are connected.

    handshakes.py PATH/wsbroadcastd [--count N] [--rounds N] [--rsa]

Two connections of one server, a publisher and a subscriber, measure the latency of a message every
other millisecond: first alone, then while N clients, whose TCP connections stand, all begin their
TLS handshake at once. Prints a line of JSON for each round, and one with the medians; `ratio` is
the p99 in the storm to the quiet p99. Ends with 1 if not all handshakes were finished.

The server has the first CPU that may be used; the probe and the clients share the second, where the
clients give way (nice).
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import re
import resource
import select
import socket
import ssl
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

QUIET = 2.0  # seconds
PACE = 0.002
REQUEST = (b"GET /ws HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
           b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n")


def make_certificate(directory: str, rsa: bool) -> tuple[str, str]:
    cert, key = f"{directory}/cert.pem", f"{directory}/key.pem"
    kind = ["rsa:2048"] if rsa else ["ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
    subprocess.run(["openssl", "req", "-x509", "-noenc", "-newkey", *kind, "-keyout", key, "-out",
                    cert, "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"],
                   check=True, capture_output=True)
    return cert, key


def pin(which: int) -> None:
    cpus = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, {cpus[which % len(cpus)]})


def trusting(cert: str) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=cert)


# ---- the probe ----


class Probe:
    def __init__(self, port: int, context: ssl.SSLContext) -> None:
        self.ends = []
        for _ in range(2):
            sock = socket.create_connection(("127.0.0.1", port))
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sock = context.wrap_socket(sock, server_hostname="localhost")
            sock.sendall(REQUEST)
            head = b""
            while not head.endswith(b"\r\n\r\n"):
                head += sock.recv(1)
            self.ends.append(sock)
        self.number = 0

    def once(self, due: float) -> float:
        """The seconds from when a message was due at one end until it is at the other."""
        publisher, subscriber = self.ends
        self.number += 1
        text = b"%08d" % self.number
        publisher.sendall(b"\x81\x88\0\0\0\0" + text)
        got = b""
        while not got.endswith(text):
            got += subscriber.recv(4096)
        ended = time.perf_counter()
        publisher.recv(4096)
        return ended - due

    def run(self, over) -> list[float]:
        """Latencies until over() holds. A message that is late makes the next ones late, too."""
        found = []
        due = time.perf_counter()
        while not over():
            found.append(self.once(due))
            due += PACE
            time.sleep(max(0.0, due - time.perf_counter()))
        return found


def p99(latencies: list[float]) -> float:
    return sorted(latencies)[int(0.99 * (len(latencies) - 1))] * 1000


# ---- the storm ----


class Newcomer:
    def __init__(self, port: int, context: ssl.SSLContext) -> None:
        self.sock = socket.create_connection(("127.0.0.1", port))
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context.wrap_bio(self.incoming, self.outgoing, server_hostname="localhost")
        self.step()

    def step(self) -> bool:
        """True when it has finished its handshake."""
        try:
            self.tls.do_handshake()
        except ssl.SSLWantReadError:
            return False
        return True

    def send(self) -> None:
        self.sock.sendall(self.outgoing.read())


def storm(port: int, cert: str, count: int, pipe) -> None:
    pin(1)
    os.nice(20)
    context = trusting(cert)
    newcomers = {}
    poll = select.epoll()
    for _ in range(count):
        newcomer = Newcomer(port, context)
        newcomers[newcomer.sock.fileno()] = newcomer
        poll.register(newcomer.sock, select.EPOLLIN)
    pipe.send("ready")
    pipe.recv()
    began = time.perf_counter()
    for newcomer in newcomers.values():
        newcomer.send()
    left, deadline = count, time.monotonic() + 60
    while left and time.monotonic() < deadline:
        for fd, _ in poll.poll(1):
            newcomer = newcomers[fd]
            data = newcomer.sock.recv(65536)
            newcomer.incoming.write(data)
            if not data or newcomer.step():
                left -= 1 if data else 0
                poll.unregister(fd)
            newcomer.send()
    pipe.send((count - left, time.perf_counter() - began))
    pipe.recv()


# ---- a round ----


def measure(server: list[str], cert: str, key: str, count: int) -> dict:
    program = subprocess.Popen(
        [*server, "-l", "127.0.0.1:0", "--tls-cert", cert, "--tls-key", key, "--prefix", ""],
        stderr=subprocess.PIPE, text=True, preexec_fn=lambda: pin(0))
    try:
        line = next(line for line in program.stderr if "listening on" in line)
        port = int(re.search(r":(\d+)/", line)[1])
        probe = Probe(port, trusting(cert))
        ours, theirs = multiprocessing.Pipe()
        child = multiprocessing.Process(target=storm, args=(port, cert, count, theirs))
        child.start()
        ours.recv()
        end = time.monotonic() + QUIET
        quiet = probe.run(lambda: time.monotonic() > end)
        ours.send("go")
        during = probe.run(ours.poll)
        done, seconds = ours.recv()
        ours.send("end")
        child.join()
    finally:
        program.terminate()
        program.wait()
    return {"handshakes": done, "of": count, "seconds": round(seconds, 3),
            "quiet_p99_ms": round(p99(quiet), 3), "storm_p99_ms": round(p99(during), 3),
            "storm_max_ms": round(max(during) * 1000, 3), "samples": len(during),
            "ratio": round(p99(during) / p99(quiet), 2)}


def main() -> int:
    parser = argparse.ArgumentParser(description="Latency of others in a storm of TLS handshakes.")
    parser.add_argument("server", help="the path of wsbroadcastd")
    parser.add_argument("--count", type=int, default=1000, help="handshakes (default: 1000)")
    parser.add_argument("--rounds", type=int, default=5, help="(default: 5)")
    parser.add_argument("--rsa", action="store_true", help="a key of RSA, 2048 bits, not P-256")
    args = parser.parse_args()
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    pin(1)
    try:
        os.nice(-15)  # also the server's: what else the machine does is not to be measured
    except PermissionError:
        print("handshakes.py: not root: other load on this machine is measured, too",
              file=sys.stderr)
    rounds = []
    with tempfile.TemporaryDirectory() as directory:
        cert, key = make_certificate(directory, args.rsa)
        for _ in range(args.rounds):
            rounds.append(measure([str(Path(args.server).resolve())], cert, key, args.count))
            print(json.dumps(rounds[-1]), flush=True)
    print(json.dumps({"median": {name: statistics.median(one[name] for one in rounds)
                                 for name in rounds[0]}}))
    return 0 if all(one["handshakes"] == one["of"] for one in rounds) else 1


if __name__ == "__main__":
    sys.exit(main())
