"""A few kilobytes from a stranger: what they may cost the server, and those who are in.

Each attack runs beside two bystanders that talk all the time and miss nothing. Memory is judged in
builds without sanitizers only, whose own is many times more.
"""

from __future__ import annotations

import contextlib

import programs
import rawws

MIB = 1024 * 1024
SLACK = 24 * MIB  # of the allocator, and of what others hold meanwhile


def deflated(client: rawws.Client, text: bytes, count: int = 1) -> bytes:
    """The same compressed message, so many times."""
    payload = rawws.Deflater(takeover=False).deflate(text)
    return client.encode(rawws.TEXT, payload, rsv=4) * count


def deflating(server: programs.Server, target: str) -> rawws.Client:
    """A client that may send compressed messages, each by itself."""
    offer = "permessage-deflate; client_no_context_takeover"
    return rawws.Client(server.port).upgrade(target, Sec_WebSocket_Extensions=offer)


def listen_to_events(server: programs.Server, target: str, receive_buffer: int = 4096):
    client = rawws.Client(server.port, receive_buffer=receive_buffer)
    client.send(client.request(target, Accept="text/event-stream", Upgrade=None, Connection=None))
    assert client.recv_head().status == 200
    return client


def check_memory(server: programs.Server, before: int, most: int) -> None:
    grown = server.peak_rss() - before
    print(f"grew by {grown / MIB:.1f} MiB")
    if not programs.SANITIZED:
        assert grown <= most


def test_compressed_newlines_for_a_listener_that_does_not_read(wsbroadcastd, bystanders_of):
    """60 KB that inflate to 60 MiB, and to several times as much as events."""
    server = wsbroadcastd("--log-level", "debug")
    others = bystanders_of(server)
    listener = listen_to_events(server, "/ws/lines")
    publisher = deflating(server, "/ws/lines")
    before = server.reset_peak()
    publisher.send(deflated(publisher, b"\n" * MIB, 60))
    publisher.send_frame(rawws.PING, b"behind all")
    while publisher.recv_frame().payload != b"behind all":
        pass
    others.wait_round()
    check_memory(server, before, 16 * MIB + 16 * MIB + SLACK)  # a lag, and a few messages of a turn
    publisher.reset()
    listener.reset()
    others.finish()


def test_bodies_that_never_end_hold_no_more_than_max_memory(wsbroadcastd, bystanders_of):
    server = wsbroadcastd("--max-memory", "32M")
    others = bystanders_of(server)
    before = server.reset_peak()
    attackers = []
    for _ in range(40):
        attacker = rawws.Client(server.port)
        attackers.append(attacker)
        attacker.send(
            attacker.request(
                method="POST",
                Upgrade=None,
                Connection=None,
                Content_Type="application/x-ndjson",
                Content_Length=str(4 * MIB),
            )
        )
        try:
            attacker.send(b"1\n" * (2 * MIB - 8))
        except (ConnectionResetError, BrokenPipeError):
            pass
    server.wait_stderr(r"limit max-memory: (refused with|answered with) 503")
    others.wait_round()
    check_memory(server, before, 32 * MIB + SLACK)
    for attacker in attackers:
        attacker.reset()
    with rawws.Client(server.port) as honest:  # there is room again
        programs.wait_until("a POST is taken", lambda: post(honest, b"hello") == 200)
    others.finish()


def post(client: rawws.Client, body: bytes) -> int:
    client.send(
        client.request(
            method="POST", Upgrade=None, Connection=None, Content_Length=str(len(body))
        )
        + body
    )
    return client.recv_response().status


def test_readers_of_many_channels_that_do_not_read(wsbroadcastd, bystanders_of):
    """No channel lags by --max-lag; all of them together do by --max-memory. On a slow machine one
    that publishes may come to cost more than the readers that are left, and go, too."""
    server = wsbroadcastd("--max-memory", "64M")
    others = bystanders_of(server)
    before = server.reset_peak()
    clients = []
    for channel in range(20):
        reader = rawws.Client(server.port, receive_buffer=4096).upgrade(f"/ws/{channel}")
        publisher = deflating(server, f"/ws/{channel}")
        with contextlib.suppress(rawws.ConnectionLost, ConnectionError):
            publisher.send(deflated(publisher, b"x" * MIB, 10))
            publisher.send_frame(rawws.PING, b"behind all")
            while publisher.recv_frame().payload != b"behind all":
                pass
        clients += [reader, publisher]
    server.wait_stderr(r"limit max-memory: closed with 1008")
    others.wait_round()
    check_memory(server, before, 64 * MIB + SLACK)
    for client in clients:
        client.reset()
    others.finish()


def test_messages_that_are_never_whole_hold_no_more_than_max_memory(wsbroadcastd, bystanders_of):
    """Each is small on the wire, and inflates to just below --max-message."""
    server = wsbroadcastd("--max-memory", "16M")
    others = bystanders_of(server)
    before = server.reset_peak()
    attackers = [deflating(server, "/ws") for _ in range(60)]
    for attacker in attackers:
        payload = rawws.Deflater(takeover=False).deflate(b"\0" * (MIB - 10))
        attacker.send_frame(rawws.BINARY, payload, rsv=4, fin=False)
    server.wait_stderr(r"limit max-memory: closed with 1008")
    others.wait_round()
    check_memory(server, before, 16 * MIB + SLACK)
    for attacker in attackers:
        attacker.reset()
    others.finish()
