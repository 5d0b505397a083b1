"""Every limit has a name, is counted and logged when it is hit, and spares everybody else."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import time

import programs
import pytest
import rawws
from rawws import BINARY, CONTINUATION, PING, PONG, TEXT, Client, frame


def log_names(server, limit: str, done: str) -> None:
    server.wait_stderr(rf"127\.0\.0\.1 port \d+: limit {limit}: {done}")


def connect(server) -> Client:
    """Connected, and not a word said."""
    return Client(server.port)


def test_who_never_says_a_word_is_answered_with_408(wsbroadcastd):
    server = wsbroadcastd("--handshake-timeout", "0.3")
    silent = connect(server)
    response = silent.recv_response()
    assert response.status == 408 and response.headers["connection"] == "close"
    silent.recv_eof()
    log_names(server, "handshake-timeout", "refused with 408")


def test_a_head_that_comes_too_slowly_is_answered_with_408(wsbroadcastd):
    server = wsbroadcastd("--handshake-timeout", "0.3")
    slow = connect(server)
    slow.send(b"GET /ws HTT")
    assert slow.recv_response().status == 408


def test_answered_requests_start_the_time_anew(wsbroadcastd):
    server = wsbroadcastd("--handshake-timeout", "1")
    client = connect(server)
    for _ in range(3):
        client.send(b"GET /nowhere HTTP/1.1\r\nHost: x\r\n\r\n")
        assert client.recv_response().status == 404
    assert client.recv_response().status == 408


@pytest.mark.parametrize(
    ("option", "extra", "status"),
    [
        (("--max-header-bytes", "1K"), {"X_Much": "x" * 1024}, 431),
        (("--max-header-count", "8"), {f"X_{i}": "x" for i in range(8)}, 431),
    ],
    ids=["bytes", "count"],
)
def test_a_head_over_the_limit_is_431(wsbroadcastd, option, extra, status):
    server = wsbroadcastd(*option)
    client = connect(server)
    client.send(client.request(**extra))
    assert client.recv_response().status == status
    log_names(server, option[0][2:], "refused")
    server.client().close()


def test_a_silent_peer_is_asked_and_dropped_when_it_does_not_answer(wsbroadcastd):
    server = wsbroadcastd("--ping-interval", "0.3", "--ping-timeout", "0.3")
    client = server.client()
    assert client.recv_frame().opcode == PING
    with pytest.raises(rawws.ConnectionLost):
        client.recv_frame()
    log_names(server, "ping-timeout", "dropped")


def test_a_peer_that_answers_its_pings_stays(wsbroadcastd):
    server = wsbroadcastd("--ping-interval", "0.3", "--ping-timeout", "0.3")
    client = server.client()
    for _ in range(3):
        ping = client.recv_frame()
        assert ping.opcode == PING
        client.send_frame(PONG, ping.payload)
    client.send_text("still here")
    assert client.recv_message() == "Message: still here"


def test_a_message_that_is_never_finished_is_closed(wsbroadcastd):
    server = wsbroadcastd("--message-timeout", "0.3", "--prefix", "")
    whole = server.client()
    for wire in (frame(TEXT, b"half", declared=100), frame(TEXT, b"half", fin=False)):
        client = server.client()
        client.send(wire)
        assert client.recv_close()[0] == 1008
    log_names(server, "message-timeout", "closed with 1008")
    whole.send_text("untouched")
    assert whole.recv_message() == "untouched"


def test_too_many_fragments_are_closed(wsbroadcastd):
    client = wsbroadcastd("--max-fragments", "10").client()
    client.send(frame(BINARY, b"x", fin=False) + frame(CONTINUATION, b"x", fin=False) * 10)
    assert client.recv_close() == (1008, "too many fragments")


def test_as_many_fragments_as_are_allowed_are_a_message(wsbroadcastd):
    client = wsbroadcastd("--max-fragments", "10").client()
    client.send(frame(BINARY, b"x", fin=False) + frame(CONTINUATION, b"x", fin=False) * 8)
    client.send(frame(CONTINUATION, b"x"))
    assert client.recv_message() == b"x" * 10


@pytest.mark.parametrize(
    "option", [("--max-messages-per-second", "20"), ("--max-bytes-per-second", "1K")], ids=str
)
def test_a_client_that_talks_too_fast_is_closed(wsbroadcastd, option):
    server = wsbroadcastd(*option)
    quiet, fast = server.client(), server.client()
    fast.send(frame(TEXT, b"x" * 100) * 100)
    assert fast.recv_close() == (1008, "too fast")
    log_names(server, option[0][2:], "closed with 1008")
    quiet.send_text("slowly")
    for _ in rawws.turns():
        if quiet.recv_message() == "Message: slowly":
            break


def test_a_flood_of_control_frames_is_closed(server):
    client = server.client()
    client.send(frame(PING, b"x" * 100) * 5000)
    assert client.recv_close() == (1008, "too many control frames")
    log_names(server, "max-control-per-second", "closed with 1008")


def test_an_idle_client_is_closed_with_1000(wsbroadcastd):
    server = wsbroadcastd("--idle-timeout", "0.5")
    assert server.client().recv_close() == (1000, "idle")
    log_names(server, "idle-timeout", "closed with 1000")


def test_one_connection_too_many_is_503_and_room_is_made_again(wsbroadcastd):
    server = wsbroadcastd("--max-connections", "2")
    first, second = server.client(), server.client()
    assert connect(server).recv_response().status == 503
    log_names(server, "max-connections", "refused with 503")
    first.close()
    for _ in rawws.turns():  # the server hears of the end when it does
        third = connect(server)
        third.send(third.request())
        if third.recv_head().start.startswith("HTTP/1.1 101"):
            break
    second.close()


def test_connections_are_counted_by_address(wsbroadcastd):
    address = programs.reachable_address()
    server = wsbroadcastd("--max-connections-per-address", "1", "-l", "0.0.0.0:0")
    here = Client(server.port, address).upgrade()
    assert Client(server.port, address).recv_response().status == 503
    server.wait_stderr(
        rf"{re.escape(address)} port \d+: limit max-connections-per-address: refused with 503"
    )
    here.close()
    for _ in rawws.turns():  # the server hears of the end when it does
        again = Client(server.port, address)
        again.send(again.request())
        if again.recv_head().start.startswith("HTTP/1.1 101"):
            break


@pytest.mark.parametrize("local", [False, True], ids=["loopback", "unix"])
def test_where_a_proxy_may_be_each_connection_is_a_client(wsbroadcastd, tmp_path, local):
    server = wsbroadcastd(
        *("--max-connections-per-address", "1", "--max-messages-per-second", "3"),
        *("-l", f"unix:{tmp_path}/socket" if local else "0.0.0.0:0"),
    )
    clients = [server.client() for _ in range(3)]
    for client in clients:
        client.send(frame(TEXT, b"x") * 3)
    for client in clients:
        for _ in range(9):
            assert client.recv_message() == "Message: x"


def post(client: Client, body: bytes) -> int:
    client.send(
        b"POST /ws HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n" % len(body) + body
    )
    return client.recv_response().status


@pytest.mark.parametrize("workers", ["1", "2"])
@pytest.mark.parametrize(
    "limit",
    [("--max-messages-per-second", "5"), ("--max-bytes-per-second", "50")],
    ids=["messages", "bytes"],
)
def test_connecting_anew_does_not_get_around_a_rate(wsbroadcastd, workers, limit):
    """40 messages of 10 bytes, each on a connection of its own, through no loopback."""
    address = programs.reachable_address()
    server = wsbroadcastd(*limit, "-w", workers, "-l", "0.0.0.0:0")
    begin = time.monotonic()
    statuses = []
    for _ in range(40):
        client = Client(server.port, address)
        statuses.append(post(client, b"x" * 10))
        client.disconnect()
    seconds = int(time.monotonic() - begin) + 2  # that have begun meanwhile
    assert set(statuses) == {200, 429}
    assert statuses.count(200) <= 5 * seconds


def test_requests_and_connections_of_an_address_share_its_rate(wsbroadcastd):
    address = programs.reachable_address()
    server = wsbroadcastd("--max-messages-per-second", "5", "-l", "0.0.0.0:0")
    talker = Client(server.port, address).upgrade()
    poster = Client(server.port, address)
    for _ in rawws.turns():  # a second may begin in between
        for _ in range(5):
            post(poster, b"x")
        talker.send_text("one too many")
        try:
            while talker.recv_message() != "Message: one too many":
                pass
        except rawws.Closed as closed:
            assert (closed.code, closed.reason) == (1008, "too fast")
            break


@pytest.mark.parametrize(
    ("kind", "limit"),
    [
        ("lines", ("--max-messages-per-second", "1")),
        ("lines", ("--max-bytes-per-second", "20")),
        ("one", ("--max-bytes-per-second", "20")),
    ],
    ids=["lines-messages", "lines-bytes", "one-bytes"],
)
def test_what_fits_into_no_second_is_413_and_not_to_be_tried_again(wsbroadcastd, kind, limit):
    server = wsbroadcastd(*limit)
    client = connect(server)
    body = b'"0123456789"\n"0123456789"\n' if kind == "lines" else b"x" * 21
    fields = b"Content-Type: application/x-ndjson\r\n" if kind == "lines" else b""
    client.send(
        b"POST /ws HTTP/1.1\r\nHost: localhost\r\n%sContent-Length: %d\r\n\r\n%s"
        % (fields, len(body), body)
    )
    response = client.recv_response()
    assert response.status == 413 and "retry-after" not in response.headers
    assert limit[0] in response.body
    assert post(client, b"x" * 20) == 200


def test_a_message_that_fits_into_no_second_is_closed_with_1009(wsbroadcastd):
    client = wsbroadcastd("--max-bytes-per-second", "20").client()
    client.send_text("x" * 21)
    assert client.recv_close()[0] == 1009


@pytest.mark.parametrize("workers", ["1", "2"])
def test_connections_beyond_the_limit_hold_next_to_no_descriptors(wsbroadcastd, workers, tmp_path):
    """They come and say nothing: few are told why, the others are closed at once."""
    server = wsbroadcastd(
        *("-w", workers, "--max-connections", "10", "--handshake-timeout", "60"),
        *("--close-timeout", "60", "-l", f"unix:{tmp_path}/socket"),
    )
    inside = [server.client() for _ in range(10)]
    before = server.sockets()
    silent = [Client(server.port) for _ in range(300)]
    ended = [client for client in silent if client.sock.recv(1) == b""]
    assert server.sockets() <= before + 16
    assert 300 - 16 <= len(ended) < 300
    log = server.wait_stderr("limit max-connections: (closed at once|refused with 503)")
    assert log
    inside[0].send_text("undisturbed")
    assert inside[-1].recv_message() == "Message: undisturbed"


def test_a_reader_below_the_least_rate_is_dropped(wsbroadcastd):
    server = wsbroadcastd("--min-read-rate", "1M", "--max-lag", "0", "--prefix", "")
    stuck = server.client(receive_buffer=4096)
    talker = server.client()
    for _ in range(12):
        talker.send_binary(os.urandom(1 << 20))
        assert len(talker.recv_message()) == 1 << 20
    log_names(server, "min-read-rate", "dropped")
    stuck.disconnect()


def test_a_close_that_is_not_answered_ends_in_time(wsbroadcastd):
    server = wsbroadcastd("--close-timeout", "0.3", "--idle-timeout", "0.3")
    client = server.client()
    assert client.recv_close() == (1000, "idle")
    with pytest.raises(rawws.ConnectionLost):
        client.recv_frame()
    log_names(server, "close-timeout", "dropped")


def test_the_counts_are_reported_at_the_end(wsbroadcastd):
    server = wsbroadcastd("--max-message", "10")
    for _ in range(3):
        client = server.client()
        client.send_text("more than ten bytes")
        assert client.recv_close()[0] == 1009
    server.stop()
    server.wait_stderr("limit max-message: 3 hits$")


def test_messages_that_each_end_in_time_are_not_closed_though_they_never_pause(wsbroadcastd):
    """Every read ends within a message: the clock is that message's, not the first one's."""
    server = wsbroadcastd("--message-timeout", "0.5", "--prefix", "")
    client = server.client()
    message = frame(BINARY, bytes(1000))
    client.send(message[:500])
    deadline = time.monotonic() + 1.5
    sent = 0
    while time.monotonic() < deadline:
        client.send(message[500:] + message[:500])
        assert client.recv_message() == bytes(1000)
        sent += 1
    client.send(message[500:])
    assert client.recv_message() == bytes(1000)
    assert sent > 2


@pytest.mark.parametrize(
    "limits",
    [("--min-read-rate", "10K"), ("--ping-interval", "1", "--ping-timeout", "1")],
    ids=["min-read-rate", "ping-timeout"],
)
def test_a_reader_that_is_behind_and_reads_on_is_not_dropped(wsbroadcastd, limits):
    server = wsbroadcastd(*limits, "--max-lag", "0", "--prefix", "")
    slow = server.client(receive_buffer=65536)
    talker = server.client()
    for _ in range(8):
        talker.send_binary(bytes(1 << 20))
        assert len(talker.recv_message()) == 1 << 20
    talker.disconnect()
    deadline = time.monotonic() + 3
    while time.monotonic() < deadline:  # some 2 MB a second
        slow.recv_exactly(40_000)
        time.sleep(0.02)
    assert not re.search("limit (min-read-rate|ping-timeout)", server.stderr)


def test_a_tls_handshake_that_takes_too_long_is_counted(wsbroadcastd, tmp_path):
    key, certificate = tmp_path / "key.pem", tmp_path / "cert.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
         "-nodes", "-subj", "/CN=localhost", "-keyout", key, "-out", certificate],
        check=True, capture_output=True,
    )  # fmt: skip
    server = wsbroadcastd(
        "--handshake-timeout", "0.3", "--tls-cert", str(certificate), "--tls-key", str(key)
    )
    silent = connect(server)
    log_names(server, "handshake-timeout", "dropped")
    silent.disconnect()


def test_a_close_that_a_fault_earned_and_nobody_takes_is_counted(wsbroadcastd):
    server = wsbroadcastd("--close-timeout", "0.3")
    client = server.client()
    client.send(frame(3))
    assert client.recv_close()[0] == 1002
    log_names(server, "close-timeout", "dropped")
