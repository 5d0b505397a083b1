"""Channels: each is a stream of its own, made at first use, and gone without a trace."""

from __future__ import annotations

import json
import random
import resource
import selectors

import programs
import pytest
import rawws

CHANNELS, SUBSCRIBERS = 1500, 10  # 15,000 descriptors here, and as many in the server


def upgrade_all(port: int, targets: list[str]) -> list[rawws.Client]:
    """All of them connect, and then ask, so that nobody waits for another."""
    clients = [rawws.Client(port) for _ in targets]
    for client, target in zip(clients, targets):
        client.send(client.request(target))
    for client in clients:
        client.accepted = client.recv_accept()
    return clients


def disconnect(clients: list[rawws.Client]) -> None:
    for client in clients:
        client.disconnect()


def test_a_message_is_heard_in_its_own_channel_alone(wsbroadcastd):
    server = wsbroadcastd("--prefix", "")
    targets = ["/ws", "/ws/a", "/ws/a/b", "/ws/A", "/ws/ws", "/ws/a.b~c_d-e"]
    clients = [server.client(target) for target in targets]
    for client, target in zip(clients, targets):
        client.send_text(f"to {target}")
    for client, target in zip(clients, targets):
        assert client.recv_message() == f"to {target}"
        client.close()


def test_the_prefix_is_for_the_default_channel_alone(server):
    with server.client("/ws/a") as client, server.client() as default:
        client.send_text('{"a": 1}')
        assert client.recv_message() == '{"a": 1}'
        default.send_text("x")
        assert default.recv_message() == "Message: x"


def test_compression_is_that_of_the_default_channel(server):
    plain = server.client("/ws/a")
    deflated = rawws.Client(server.port).upgrade(
        "/ws/a", Sec_WebSocket_Extensions="permessage-deflate"
    )
    plain.send_text("x" * 1000)
    assert plain.recv_message() == "x" * 1000
    got = deflated.recv_frame()
    assert got.rsv == 4
    assert rawws.Inflater().inflate(got.payload).decode() == "x" * 1000
    disconnect([plain, deflated])


@pytest.mark.parametrize("bits", range(8, 12))
def test_one_with_a_small_window_makes_nobody_elses_frames_larger(wsbroadcastd, bits):
    """It gets frames that are not compressed, as the extension allows for any message."""
    server = wsbroadcastd("--prefix", "")
    far = random.Random(bits).randbytes(3000)  # which returns too far behind for a small window
    message = far + far
    wide = rawws.Client(server.port).upgrade(Sec_WebSocket_Extensions="permessage-deflate")
    wide.send_binary(message)
    alone = wide.recv_frame()
    assert alone.rsv == 4 and len(alone.payload) < len(far) + 200
    narrow = rawws.Client(server.port).upgrade(
        Sec_WebSocket_Extensions=f"permessage-deflate; server_max_window_bits={bits}"
    )
    assert f"server_max_window_bits={bits}" in narrow.accepted.headers["sec-websocket-extensions"]
    wide.send_binary(message)
    beside = wide.recv_frame()
    assert (beside.rsv, beside.payload) == (4, alone.payload)
    got = narrow.recv_frame()
    assert (got.rsv, got.payload) == (0, message)
    disconnect([wide, narrow])


@pytest.mark.parametrize("bits", range(12, 16))
def test_one_with_a_large_window_can_follow_what_is_compressed(wsbroadcastd, bits):
    server = wsbroadcastd("--prefix", "")
    far = random.Random(bits).randbytes(5000)
    message = far + far[:2000] + far
    wide = rawws.Client(server.port).upgrade(Sec_WebSocket_Extensions="permessage-deflate")
    narrow = rawws.Client(server.port).upgrade(
        Sec_WebSocket_Extensions=f"permessage-deflate; server_max_window_bits={bits}"
    )
    wide.send_binary(message)
    for client, window in (wide, 15), (narrow, bits):
        got = client.recv_frame()
        assert got.rsv == 4 and len(got.payload) < len(message)
        assert rawws.Inflater(window).inflate(got.payload) == message
    disconnect([wide, narrow])


@pytest.mark.parametrize(
    "target",
    ["/ws/", "/ws//a", "/ws/a/", "/ws/a//b", "/ws/.", "/ws/..", "/ws/a/../b", "/ws/%61", "/ws/a%2Fb"]
    + ["/ws/a+b", "/ws/a:b", "/ws/" + "a" * 129, "/wsa", "/other/ws"],
)
def test_an_illegal_name_is_404_and_makes_nothing(wsbroadcastd, target):
    server = wsbroadcastd("--max-channels", "1")
    client = rawws.Client(server.port)
    client.send(client.request(target))
    assert client.recv_response().status == 404
    client.disconnect()
    server.client("/ws/" + "a" * 128).close()


def test_one_channel_too_many_is_503_and_the_others_go_on(wsbroadcastd):
    server = wsbroadcastd("--max-channels", "2", "--prefix", "")
    first, second = server.client("/ws/1"), server.client("/ws/2")
    third = rawws.Client(server.port)
    third.send(third.request("/ws/3"))
    assert third.recv_response().status == 503
    third.disconnect()
    server.wait_stderr("limit max-channels: refused with 503")
    server.client("/ws/2").close()
    server.client("/ws").close()
    first.close()
    programs.wait_until("there is room again", lambda: admits(server, "/ws/3"))
    second.send_text("still here")
    assert second.recv_message() == "still here"
    second.close()


def admits(server: programs.Server, target: str) -> bool:
    client = rawws.Client(server.port)
    client.send(client.request(target))
    status = client.recv_head().status
    client.disconnect()
    return status == 101


def test_a_channel_that_all_have_left_begins_anew(wsbroadcastd):
    server = wsbroadcastd("--prefix", "", "--max-channels", "1")
    client = server.client("/ws/a")
    first = client.accepted.headers["last-event-id"]
    client.send_text("x")
    client.recv_message()
    client.close()
    programs.wait_until("it is gone", lambda: admits(server, "/ws/other"))
    programs.wait_until("so is the other", lambda: admits(server, "/ws/a"))
    again = server.client("/ws/a")
    assert again.accepted.headers["last-event-id"].endswith("-0")
    assert again.accepted.headers["last-event-id"] != first
    again.close()


@pytest.mark.parametrize("workers", ["1", "2"])
def test_channels_come_and_go_and_nothing_is_left(wsbroadcastd, workers):
    """With a history nothing could be made up: without one all channels go. In the end as many as
    are allowed can be made anew."""
    server = wsbroadcastd("--prefix", "", "--max-channels", "60", "-w", workers)
    chance = random.Random(7)
    clients: list[rawws.Client] = []
    for _ in range(600):
        if clients and (len(clients) > 50 or chance.random() < 0.4):
            leaving = clients.pop(chance.randrange(len(clients)))
            chance.choice([leaving.close, leaving.disconnect, leaving.reset])()
        else:
            target = f"/ws/{chance.randrange(60)}"
            clients.append(server.client(target))
            clients[-1].send_text("x")
    disconnect(clients)
    programs.wait_until("all are gone", lambda: admits(server, "/ws/new"))
    fresh = []
    for number in range(60):
        programs.wait_until("there is room", lambda n=number: admits(server, f"/ws/fresh/{n}"))
        fresh.append(server.client(f"/ws/fresh/{number}"))
    disconnect(fresh)


def test_1500_channels_with_subscribers_each_of_which_hears_its_own(wsbroadcastd):
    if resource.getrlimit(resource.RLIMIT_NOFILE)[0] < CHANNELS * SUBSCRIBERS + 200:
        pytest.skip("too few file descriptors are allowed here")
    server = wsbroadcastd("--prefix", "", "-w", "2")
    targets = [f"/ws/c/{number}" for number in range(CHANNELS) for _ in range(SUBSCRIBERS)]
    clients = []
    for begin in range(0, len(targets), 500):
        clients += upgrade_all(server.port, targets[begin : begin + 500])
    groups = [clients[i : i + SUBSCRIBERS] for i in range(0, len(clients), SUBSCRIBERS)]
    epochs = {group[0].accepted.headers["last-event-id"] for group in groups}
    assert len(epochs) == CHANNELS
    for number, group in enumerate(groups):
        group[number % SUBSCRIBERS].send_text(f"to {number}")
    for number, group in enumerate(groups):
        for client in group:
            assert client.recv_message() == f"to {number}"
    groups[3][0].send_text("only here")
    assert groups[3][1].recv_message() == "only here"
    selector = selectors.DefaultSelector()
    for client in groups[2] + groups[4]:
        selector.register(client.sock, selectors.EVENT_READ)
    assert not selector.select(0)
    disconnect(clients)


def status_of(server: programs.Server, request: bytes) -> rawws.Response:
    with rawws.Client(server.port) as client:
        client.send(request)
        return client.recv_response()


def test_channels_that_nobody_listed_are_404_and_not_made(wsbroadcastd):
    """Whatever is asked of them; the default one and those of the pipes are there."""
    server = wsbroadcastd("--create-channels", "listed", "--stdin=in", "--stdout=out/1", "--prefix", "")
    for name in ("", "/in", "/out/1"):
        with server.client(f"/ws{name}") as client:
            client.send_text(name)
            assert client.recv_message() == name
    assert server.read_line() == "/out/1"
    head = b"%s /ws/%s HTTP/1.1\r\nHost: localhost\r\n"
    for name in (b"other", b"out", b"i", b"in/1"):
        for request in (
            rawws.Client(server.port).request(f"/ws/{name.decode()}"),
            head % (b"POST", name) + b"Content-Length: 1\r\n\r\nx",
            head % (b"GET", name) + b"Accept: text/event-stream\r\n\r\n",
            head % (b"GET", name) + b"Accept: application/json\r\n\r\n",
        ):
            answer = status_of(server, request)
            assert (answer.status, answer.body.count("\n")) == (404, 1)
            assert "--create-channels" in answer.body
    listed = status_of(server, b"GET /channels HTTP/1.1\r\nHost: localhost\r\n\r\n")
    assert {c["channel"] for c in json.loads(listed.body)["channels"]} == {"", "in", "out/1"}


def channels_of(server: programs.Server) -> int:
    listed = status_of(server, b"GET /channels?limit=1000 HTTP/1.1\r\nHost: localhost\r\n\r\n")
    page = json.loads(listed.body)
    return len(page["channels"]) + (page["next"] is not None)


def test_idle_channels_without_history_cost_nothing(wsbroadcastd):
    """Made by subscribing, and left, with a history that has nothing of them."""
    server = wsbroadcastd("--history-messages", "100")

    def wave() -> None:
        for begin in range(0, 5000, 500):
            disconnect(upgrade_all(server.port, [f"/ws/{begin + i}" for i in range(500)]))
        programs.wait_until("all are gone", lambda: channels_of(server) == 1)

    wave()  # what the allocator keeps, it keeps once
    before = server.rss_anon()
    wave()
    assert programs.SANITIZED or server.rss_anon() - before < 256 * 1024


def test_there_are_at_most_10000_channels_by_default(wsbroadcastd):
    """What they retain keeps them; whoever asks for one more is told."""
    server = wsbroadcastd("--history-messages", "1")
    post = "POST /ws/%d HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\n\r\nx"
    with rawws.Client(server.port) as client:
        for begin in range(0, 10_000, 100):
            client.send("".join(post % (begin + i) for i in range(100)).encode())
            assert [client.recv_response().status for _ in range(100)] == [200] * 100
        client.send((post % 10_000 + post % 1).encode())
        assert [client.recv_response().status for _ in range(2)] == [503, 200]
    server.wait_stderr("limit max-channels: answered with 503")
