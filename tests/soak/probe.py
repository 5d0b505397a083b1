"""How long a round trip takes to a server under load and, in turn, to an idle one: a ping and its
pong, each a hundred times a second. A process of its own, so that the load does not delay it.

    probe.py PORT CONTROL_PORT     until its standard input ends; prints a line of JSON

A port with "tls:" before it is of a server with TLS.
"""

from __future__ import annotations

import json
import select
import ssl
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "integration"))

import rawws


def round_trip(client: rawws.Client) -> float:
    """Milliseconds."""
    began = time.perf_counter()
    client.send_frame(rawws.PING, b"probe")
    while (frame := client.recv_frame()).opcode != rawws.PONG:
        if frame.opcode == rawws.PING:
            client.send_frame(rawws.PONG, frame.payload)
    return (time.perf_counter() - began) * 1000


def connect(port: str) -> rawws.Client:
    client = rawws.Client(int(port.removeprefix("tls:")))
    if port.startswith("tls:"):
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        client.sock = context.wrap_socket(client.sock)
    return client.upgrade("/ws/probe")


def summary(times: list[float]) -> dict[str, float]:
    times.sort()
    at = {"p50": 0.5, "p99": 0.99, "max": 1}
    return {name: round(times[int((len(times) - 1) * part)], 2) for name, part in at.items()}


def main() -> None:
    rawws.TIMEOUT = 60.0
    clients = [connect(port) for port in sys.argv[1:3]]
    times: list[list[float]] = [[], []]
    print("ready", flush=True)
    while not select.select([sys.stdin], [], [], 0.01)[0]:
        for client, measured in zip(clients, times, strict=True):
            measured.append(round_trip(client))
    print(json.dumps(dict(zip(("loaded", "control"), map(summary, times), strict=True))))


if __name__ == "__main__":
    main()
