"""What connections cost wsbroadcastd, and that nothing of them stays."""

from __future__ import annotations

import resource

import programs
import pytest
import rawws

IDLE, FIRST = 12_000, 500
BYTES_A_CONNECTION = 400
WAVES, WAVE = 20, 50


def test_an_idle_connection_costs_at_most_400_bytes(server):
    """User-space memory, as the slope between 500 and 12,500 upgraded connections."""
    if resource.getrlimit(resource.RLIMIT_NOFILE)[0] < FIRST + IDLE + 100:
        pytest.skip("too few file descriptors are allowed here")
    clients = programs.connect(server, FIRST)
    talk(clients[:2])
    some = server.rss_anon()
    clients += programs.connect(server, IDLE)
    many = server.rss_anon()
    try:
        assert server.descriptors() >= len(clients)
        talk(clients[:1] + clients[-1:])
        each = (many - some) / IDLE
        print(f"{each:.0f} bytes a connection")
        if not programs.SANITIZED:  # redzones cost more than what they guard
            assert each <= BYTES_A_CONNECTION
    finally:
        for client in clients:
            client.reset()
    with server.client() as after:  # it has lived through 12,500 resets
        talk([after])


def talk(clients: list[rawws.Client]) -> None:
    """Each says something, all of them hear it."""
    for i, client in enumerate(clients):
        client.send_text(f"said by {i}")
        for other in clients:
            assert other.recv_message() == f"Message: said by {i}"


def test_talking_costs_an_idle_subscriber_no_more_than_its_count(server):
    """A subscriber that has talked and listened is, idle again, as cheap as before, but for the
    count of what it did in a second, which stays (some 110 bytes; memory grows by pages)."""
    clients = programs.connect(server, FIRST)
    half = len(clients) // 2
    for client in clients[:half]:
        client.send_frame(rawws.PING, b"x")
        assert client.recv_frame()[:2] == (rawws.PONG, b"x")
    before = server.rss_anon()
    for client in clients[half:]:
        client.send_frame(rawws.PING, b"x")
        assert client.recv_frame()[:2] == (rawws.PONG, b"x")
    grown = server.rss_anon() - before
    if not programs.SANITIZED:
        assert grown / half <= 160
    for client in clients:
        client.close()


def test_a_thousand_clients_come_talk_and_go(server):
    """In waves, and each leaves in another way; in the end all is as it was at first."""
    ways = [rawws.Client.close, rawws.Client.disconnect, rawws.Client.reset, break_off]
    with server.client() as stays:
        descriptors = server.descriptors()
        after_first_waves = 0
        for wave in range(WAVES):
            clients = programs.connect(server, WAVE)
            for i, client in enumerate(clients):
                client.send_text(f"{wave} {i}")
            said = {f"Message: {wave} {i}" for i in range(WAVE)}
            order = [stays.recv_message() for _ in range(WAVE)]
            assert set(order) == said
            for client in clients:
                assert [client.recv_message() for _ in range(WAVE)] == order
            for i, client in enumerate(clients):
                ways[i % len(ways)](client)
            programs.wait_until("all are gone", lambda: server.descriptors() == descriptors)
            if wave == WAVES // 4:
                after_first_waves = server.rss_anon()
        if not programs.SANITIZED:
            assert server.rss_anon() - after_first_waves < 256 << 10
    server.stop()


def break_off(client: rawws.Client) -> None:
    """Leave in the middle of a frame."""
    client.send(rawws.frame(rawws.TEXT, b"half", declared=100))
    client.disconnect()
