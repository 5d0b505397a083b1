"""Who comes later, or comes back, misses nothing: history, event IDs and the seam to what is new."""

from __future__ import annotations

import base64
import os
import socket
import time
from pathlib import Path

import programs
import pytest
import rawws
import seam

SEAM_SECONDS = float(os.environ.get("WS_SEAM_SECONDS", "2"))  # a minute, by hand
SEAM_CLIENTS = int(os.environ.get("WS_SEAM_CLIENTS", "40"))


@pytest.mark.parametrize(("target", "workers"), [("/ws", "1"), ("/ws/prices/eur", "2")])
def test_the_join_is_seamless(wsbroadcastd, target, workers):
    server = wsbroadcastd(
        "--prefix", "", "--history-bytes", "1M", "--max-lag", "0", "--ping-interval", "0", "-w", workers
    )
    seam.Crowd(server, target, SEAM_CLIENTS, SEAM_SECONDS, seed=len(target)).run()


def ask(server: programs.Server, target: str, **fields: str) -> rawws.Client:
    return rawws.Client(server.port).upgrade(target, **fields)


def place_of(client: rawws.Client) -> str:
    return client.accepted.headers["last-event-id"]


def filling(size: int) -> str:
    """Text that compression makes little of: sockets fill up with it."""
    return base64.b64encode(os.urandom(size * 3 // 4)).decode()


def say(client: rawws.Client, first: int, last: int, size: int = 0) -> None:
    """Messages with these numbers, and wait until they are out."""
    for number in range(first, last + 1):
        client.send_text(f"{number} " + filling(size))
    for number in range(first, last + 1):
        assert str(client.recv_message()).startswith(f"{number} ")


def hears(client: rawws.Client, first: int, last: int) -> None:
    for number in range(first, last + 1):
        assert str(client.recv_message()).startswith(f"{number} "), number


def sleeps(server: programs.Server) -> bool:
    """None of its threads has run for a while: there is nothing to do."""
    threads = Path(f"/proc/{server.pid}/task")
    before = [path.read_text() for path in sorted(threads.glob("*/schedstat"))]
    time.sleep(0.05)
    return before == [path.read_text() for path in sorted(threads.glob("*/schedstat"))]


# ---- where one begins ----


@pytest.mark.parametrize("channel", ["/ws", "/ws/a"])
def test_the_101_says_where_one_begins(wsbroadcastd, channel):
    server = wsbroadcastd("--prefix", "", "--history-messages", "10")
    talker = server.client(channel)
    epoch, _, sequence = place_of(talker).partition("-")
    assert len(epoch) == 16 and sequence == "0"
    say(talker, 1, 30)
    for target, begins in [
        (channel, 30),
        (f"{channel}?history=0", 30),
        (f"{channel}?history=3", 27),
        (f"{channel}?history=10", 20),
        (f"{channel}?history=11", 20),
        (f"{channel}?history=99999999999999999999999", 20),
        (f"{channel}?history=all", 20),
        (f"{channel}?last_event_id={epoch}-30", 30),
        (f"{channel}?last_event_id={epoch}-25", 25),
        (f"{channel}?last_event_id={epoch}-20", 20),
        (f"{channel}?last_event_id={epoch}-19", 20),  # too old: a gap, which the answer tells
        (f"{channel}?last_event_id={epoch}-0", 20),
        (f"{channel}?last_event_id={'0' * 16}-29", 20),  # of another log
        (f"{channel}?last_event_id={'0' * 16}-9999", 20),
        (f"{channel}?history=2&last_event_id={epoch}-22", 22),
    ]:
        client = ask(server, target)
        assert place_of(client) == f"{epoch}-{begins}", target
        hears(client, begins + 1, 30)
        client.close()
        client = ask(server, channel + "?x=y", Last_Event_ID=f"{epoch}-24")
        assert place_of(client) == f"{epoch}-24"
        hears(client, 25, 30)
        client.close()
    talker.close()


def test_without_history_one_begins_with_what_is_new(wsbroadcastd):
    server = wsbroadcastd("--prefix", "")
    talker = server.client()
    epoch = place_of(talker).partition("-")[0]
    say(talker, 1, 5)
    queries = ["", "?history=all", "?history=3", f"?last_event_id={epoch}-2"]
    for number, query in enumerate(queries, 6):
        client = ask(server, "/ws" + query)
        assert place_of(client) == f"{epoch}-{number - 1}"
        say(talker, number, number)
        hears(client, number, number)
        client.close()
    talker.close()


@pytest.mark.parametrize(
    ("query", "fields"),
    [
        ("?history=", {}),
        ("?history=-1", {}),
        ("?history=1.5", {}),
        ("?history=some", {}),
        ("?history=1&history=1", {}),
        ("?last_event_id=7", {}),
        ("?last_event_id={epoch}", {}),
        ("?last_event_id={epoch}-x", {}),
        ("?last_event_id={epoch}-01", {}),
        ("?last_event_id={epoch}-18446744073709551616", {}),
        ("?last_event_id={epoch}-4", {}),  # of a message to come
        ("?last_event_id={epoch}-18446744073709551615", {}),
        ("?last_event_id={epoch}-1&last_event_id={epoch}-1", {}),
        ("", {"Last_Event_ID": "{epoch}-4"}),
        ("", {"Last_Event_ID": "garbage"}),
        ("", {"Last_Event_ID": "\x7f"}),
    ],
)
def test_what_is_no_place_is_400_and_changes_nothing(wsbroadcastd, query, fields):
    server = wsbroadcastd("--prefix", "", "--history-messages", "10")
    talker = server.client("/ws/a")
    epoch = place_of(talker).partition("-")[0]
    say(talker, 1, 3)
    client = rawws.Client(server.port)
    fields = {name: value.format(epoch=epoch) for name, value in fields.items()}
    client.send(client.request("/ws/a" + query.format(epoch=epoch), **fields))
    response = client.recv_response()
    assert response.status == 400, response
    assert len(response.body.splitlines()) == 1
    client.disconnect()
    late = ask(server, "/ws/a?history=all")
    assert place_of(late) == f"{epoch}-0"
    hears(late, 1, 3)
    late.close()
    talker.close()


def test_two_fields_with_an_id_are_400(wsbroadcastd):
    server = wsbroadcastd()
    client = rawws.Client(server.port)
    request = client.request(Last_Event_ID="0123456789abcdef-1")
    client.send(request.replace(b"\r\n\r\n", b"\r\nLast-Event-ID: 0123456789abcdef-1\r\n\r\n"))
    assert client.recv_response().status == 400
    client.disconnect()


def test_a_channel_with_history_outlives_its_clients_and_then_expires(wsbroadcastd):
    server = wsbroadcastd("--prefix", "", "--history-age", "2s", "--max-channels", "1")
    talker = server.client("/ws/a")
    say(talker, 1, 3)
    place = place_of(talker)
    talker.close()
    late = ask(server, "/ws/a?history=all")
    assert place_of(late) == place
    hears(late, 1, 3)
    late.close()

    def takes_another() -> bool:
        client = rawws.Client(server.port)
        client.send(client.request("/ws/b"))
        status = client.recv_head().status
        client.disconnect()
        return status == 101

    programs.wait_until("its history expires", takes_another)


def test_a_replay_is_the_same_with_and_without_compression(wsbroadcastd):
    server = wsbroadcastd("--prefix", "", "--history-messages", "1000")
    talker = server.client()
    say(talker, 1, 1000, 300)
    plain = ask(server, "/ws?history=all")
    deflated = ask(server, "/ws?history=all", Sec_WebSocket_Extensions="permessage-deflate")
    say(talker, 1001, 1010, 300)
    hears(plain, 1, 1010)
    inflater = rawws.Inflater(takeover=False)
    compressed = 0
    for number in range(1, 1021):
        if number == 1011:  # it has read what was retained, and goes on with what is compressed
            say(talker, 1011, 1020, 300)
        got = deflated.recv_frame()
        text = inflater.inflate(got.payload) if got.rsv else got.payload
        assert text.startswith(b"%d " % number)
        compressed += got.rsv == 4
    assert compressed > 0
    programs.wait_until("nobody is catching up any more", lambda: sleeps(server))
    for client in (talker, plain, deflated):
        client.disconnect()


def test_a_long_replay_delays_nobody_and_ends_when_it_is_to_end(wsbroadcastd):
    """One that does not read its replay is not in the way; it is closed, and the server stops."""
    server = wsbroadcastd("--prefix", "", "--history-bytes", "64M", "--close-timeout", "1")
    talker = server.client()
    chunk = 500_000
    for _ in range(60):
        talker.send_binary(bytes(chunk))
        assert len(talker.recv_message()) == chunk
    lazy = [rawws.Client(server.port, receive_buffer=4096).upgrade("/ws?history=all")]
    eager = ask(server, "/ws?history=all")
    for _ in range(20):
        talker.send_text("x")
        assert talker.recv_message() == "x"
    for _ in range(60):
        assert len(eager.recv_message()) == chunk
    for _ in range(20):
        assert eager.recv_message() == "x"
    # A Close that comes during the replay is answered behind the message that has begun.
    closing = ask(server, "/ws?history=all")
    closing.recv_message()
    closing.send_close(1000)
    heard = 1
    try:
        while True:
            closing.recv_message()
            heard += 1
    except rawws.Closed as closed:
        assert closed.code == 1000
    assert heard < 60
    closing.recv_eof()
    for client in [talker, eager, closing, *lazy]:
        client.disconnect()


# ---- places on the way ----


def test_pings_bear_the_place_behind_which_they_stand(wsbroadcastd):
    server = wsbroadcastd("--prefix", "", "--ping-interval", "0.3", "--history-messages", "100")
    talker = server.client()
    epoch = place_of(talker).partition("-")[0]
    say(talker, 1, 7)
    listener = ask(server, "/ws?history=3")
    hears(listener, 5, 7)
    got = listener.recv_frame()
    assert (got.opcode, got.payload.decode()) == (rawws.PING, f"{epoch}-7")
    listener.send_frame(rawws.PONG, got.payload)
    listener.send_frame(rawws.PONG, b"ffffffffffffffff-7")  # answers nothing: harmless
    listener.send_frame(rawws.PONG, b"nonsense")
    say(talker, 8, 9)
    hears(listener, 8, 9)
    got = listener.recv_frame()
    assert (got.opcode, got.payload.decode()) == (rawws.PING, f"{epoch}-9")
    talker.disconnect()
    listener.disconnect()


@pytest.mark.parametrize("limit", ["200msg", "1s", "100K"])
@pytest.mark.parametrize("deflate", [False, True])
def test_who_is_skipped_is_told_the_new_place_before_the_next_message(
    wsbroadcastd, limit, deflate
):
    """What it got before, the gap, and what it gets afterwards are all the messages there are."""
    server = wsbroadcastd(
        *("--prefix", "", "--max-message", "4K", "--slow-consumer", "skip", "--max-lag", limit),
        *("--ping-interval", "0"),
    )
    fields = {"Sec_WebSocket_Extensions": "permessage-deflate"} if deflate else {}
    slow = rawws.Client(server.port, receive_buffer=4096).upgrade(**fields)
    talker = server.client()
    number = 0
    for _ in rawws.turns():
        say(talker, number + 1, number + 50, 4000)
        number += 50
        if "limit max-lag: skipped" in server.stderr:
            break
    say(talker, number + 1, number + 1)
    place, jumps = 0, 0
    inflater = rawws.Inflater(takeover=False)
    while place < number + 1:
        got = slow.recv_frame()
        if got.opcode == rawws.PING:
            jumps += 1
            assert int(got.payload.split(b"-")[1]) > place
            place = int(got.payload.split(b"-")[1])
            continue
        text = inflater.inflate(got.payload) if got.rsv else got.payload
        place += 1
        assert text.startswith(b"%d " % place)
    assert jumps >= 1
    say(talker, number + 2, number + 2)
    got = slow.recv_frame()
    assert got.opcode == rawws.TEXT and got.payload.startswith(b"%d " % (number + 2))
    talker.disconnect()
    slow.disconnect()


def test_who_lags_too_many_messages_is_closed(wsbroadcastd):
    server = wsbroadcastd("--prefix", "", "--max-lag", "100msg", "--max-message", "64K")
    slow = rawws.Client(server.port, receive_buffer=4096).upgrade()
    talker = server.client()
    number = 0
    for _ in rawws.turns():
        say(talker, number + 1, number + 20, 60_000)
        number += 20
        if "limit max-lag: closed with 1008" in server.stderr:
            break
    assert slow.recv_close() == (1008, "too slow")
    talker.disconnect()
    slow.disconnect()


# ---- memory ----


def test_history_costs_a_tenth_more_than_it_holds_however_many_lag_in_it(wsbroadcastd):
    size = 16 << 20
    server = wsbroadcastd(
        *("--prefix", "", "--history-bytes", str(size), "--max-lag", "1M", "--max-message", "4K"),
        *("--log-level", "debug"),  # which leaves no line out
    )
    talker = server.client()
    say(talker, 1, 10, 1000)
    before = server.rss_anon()
    for begin in range(0, 40_000, 500):
        say(talker, begin, begin + 499, 1000)
    lagging = [
        rawws.Client(server.port, receive_buffer=4096).upgrade(f"/ws?history={(n + 1) * 300}")
        for n in range(50)
    ]
    say(talker, 1, 300, 1000)
    grown = server.rss_anon() - before
    print(f"{grown / size:.3f} of what is held")
    if not programs.SANITIZED:
        connections = len(lagging) * 8192  # which have more to themselves while they stall
        assert grown <= size * 1.1 + (1 << 20) + connections
    assert "max-lag" not in server.stderr
    for begin in range(0, 20_000, 500):  # what they have yet to read is history no more
        say(talker, begin, begin + 499, 1000)
    server.wait_stderr("limit max-lag: closed with 1008", len(lagging))
    for client in [talker, *lagging]:
        client.disconnect()


def test_where_it_will_go_on_a_replaying_client_may_hold_no_more_than_any(wsbroadcastd, tmp_path):
    """One that stops reading when little is left of its replay has a place in the live log, too. That
    it is within the history with the one does not let it hold all that comes with the other.

    How much a socket takes differs from kernel to kernel, so there are many who stop at different
    points. One that has far to go in the history holds nothing, and stays."""
    max_lag = 1 << 20
    server = wsbroadcastd(
        *("-w", "1", "-l", f"unix:{tmp_path}/socket", "--prefix", "", "--ping-interval", "0"),
        *("--history-bytes", "64M", "--max-lag", str(max_lag), "--max-message", "64K"),
    )
    counts = range(100, 400, 12)
    talkers = [server.client(f"/ws/{count}") for count in counts]
    for talker, count in zip(talkers, counts):
        for _ in range(count):
            talker.send_binary(os.urandom(1000))
        for _ in range(count):
            talker.recv_message()
    lazy = [rawws.Client(server.port) for _ in counts]
    for client, count in zip(lazy, counts):
        client.send(
            client.request(
                f"/ws/{count}?history=all", Sec_WebSocket_Extensions="permessage-deflate"
            )
        )
        client.sock.recv(1, socket.MSG_PEEK)  # it has joined, and takes nothing out of its socket
    for talker in talkers:
        for _ in range(2 * max_lag // 32768):
            talker.send_binary(os.urandom(32768))
            talker.recv_message()

    def is_closed_in_its_replay(client: rawws.Client, count: int) -> bool:
        client.recv_accept()
        return any(client.recv_frame().opcode == rawws.CLOSE for _ in range(count))

    closed = [is_closed_in_its_replay(client, count) for client, count in zip(lazy, counts)]
    assert any(closed) and not closed[-1]
    for client in [*talkers, *lazy]:
        client.disconnect()
