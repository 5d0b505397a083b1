"""Subprotocols: id.wsbroadcast, for clients that see only messages, and wsbroadcast."""

from __future__ import annotations

import pytest
import rawws
from rawws import Client, Closed
from test_http import Peer, sequence

IDS = "id.wsbroadcast"


def join(port: int, target: str = "/ws", offer: str = IDS, **fields: str) -> Client:
    client = Client(port)
    client.send(client.request(target, Sec_WebSocket_Protocol=offer, **fields))
    head = client.recv_accept()
    client.agreed = head.headers.get("sec-websocket-protocol")
    client.accepted = head
    return client


def recv(client: Client) -> str | bytes:
    """The next message, which may come in fragments."""
    opcode, payload = 0, b""
    for _ in rawws.turns():
        frame = client.recv_frame()
        if frame.opcode == rawws.CLOSE:
            raise Closed(frame.close_code, frame.close_reason)
        if frame.opcode in (rawws.PING, rawws.PONG):
            continue
        assert (frame.opcode == 0) == (opcode != 0)
        opcode = frame.opcode or opcode
        payload += frame.payload
        if frame.fin:
            return payload.decode() if opcode == rawws.TEXT else payload
    raise AssertionError


def split(message: str | bytes) -> tuple[str, str | bytes]:
    """A message as its ID, and what was published."""
    newline = "\n" if isinstance(message, str) else b"\n"
    name, _, payload = message.partition(newline)
    return name if isinstance(name, str) else name.decode(), payload


@pytest.fixture
def keeper(wsbroadcastd):
    return wsbroadcastd("--prefix", "", "--history-messages", "1000", "--workers", "2")


@pytest.mark.parametrize(
    "offer, agreed",
    [
        (IDS, IDS),
        ("wsbroadcast", "wsbroadcast"),
        ("chat, wsbroadcast, id.wsbroadcast", "wsbroadcast"),
        ("chat, id.wsbroadcast,wsbroadcast", IDS),
        ("chat", None),
        ("bearer.secret", None),
        ("bearer.secret, wsbroadcast", "wsbroadcast"),
        ("wsbroadcasts, xid.wsbroadcast", None),
    ],
)
def test_the_first_that_is_known_is_agreed_to(server, offer, agreed):
    with join(server.port, offer=offer) as client:
        assert client.agreed == agreed
        client.close()


@pytest.mark.parametrize(
    "options, offer, agreed",
    [
        (["chat"], "soap, chat", "chat"),
        (["chat", "soap"], "soap, chat", "soap"),
        (["chat"], "soap, Chat", None),
        (["*"], "soap, chat", "soap"),
        (["*"], "bearer.secret, chat", "chat"),
        (["*"], "bearer.secret", None),
        (["*"], "a/b, chat", "chat"),
        (["chat"], IDS, IDS),
    ],
)
def test_what_the_user_names_is_agreed_to(wsbroadcastd, options, offer, agreed):
    server = wsbroadcastd(*(word for name in options for word in ("--subprotocol", name)))
    with join(server.port, offer=offer) as client:
        assert client.agreed == agreed
        client.close()


def test_a_channel_has_its_own(wsbroadcastd, tmp_path):
    config = tmp_path / "conf"
    config.write_text("[server]\nlisten = 127.0.0.1:0\nsubprotocol = chat\n"
                      "[channel soap]\nsubprotocol = soap\n")
    server = wsbroadcastd("--config", str(config))
    for target, agreed in [("/ws", "chat"), ("/ws/soap", "soap"), ("/ws/other", "chat")]:
        with join(server.port, target, "chat, soap") as client:
            assert client.agreed == agreed


def test_each_message_is_behind_its_id(keeper):
    """Others get the same messages as ever, in the same order."""
    peer = Peer(keeper.port)
    with join(keeper.port) as client, keeper.client() as other, keeper.client() as third:
        posted = peer.post("posted")["id"]
        third.send_binary(b"\x00\n\xff")
        client.send_text("said by itself")
        client.send_text("")
        heard = [split(recv(client)) for _ in range(4)]
        plain = [other.recv_message() for _ in range(4)]
    assert heard[0] == (posted, "posted")
    assert sorted(map(str, plain)) == sorted(str(payload) for _, payload in heard)
    assert [payload for _, payload in heard] == plain
    assert [sequence(name) for name, _ in heard] == [1, 2, 3, 4]


def test_history_and_live_are_one(keeper):
    """Long messages of the past come in fragments; their payload is the same."""
    peer = Peer(keeper.port)
    said = [f"{i} " + "ü" * (0, 1, 60, 126, 5000, 70000)[i % 6] for i in range(60)]
    first = peer.post(said[0])["id"]
    for text in said[1:40]:
        peer.post(text)
    with keeper.client() as binary:
        binary.send_binary(bytes(range(256)) * 100)
        binary.recv_message()
    with join(keeper.port, f"/ws?last_event_id={first}") as client:
        assert client.accepted.headers["last-event-id"] == first
        for text in said[40:]:
            peer.post(text)
        heard = [split(recv(client)) for _ in range(60)]
    assert [sequence(name) for name, _ in heard] == list(range(2, 62))
    texts = [payload for _, payload in heard if isinstance(payload, str)]
    assert texts == said[1:]
    assert heard[39][1] == bytes(range(256)) * 100


def test_own_messages_are_not_left_out(wsbroadcastd):
    """Else each would look like a gap."""
    server = wsbroadcastd("--prefix", "", "--no-echo")
    with join(server.port) as client, server.client() as other:
        assert "wsbroadcast-echo" not in client.accepted.headers
        client.send_text("mine")
        assert split(recv(client))[1] == "mine"
        assert other.recv_message() == "mine"
        other.send_text("other's")
        assert split(recv(client))[1] == "other's"


def test_a_skip_shows_as_a_gap(wsbroadcastd):
    server = wsbroadcastd("--prefix", "", "--max-lag", "100000", "--slow-consumer", "skip")
    peer = Peer(server.port)
    slow = Client(server.port, receive_buffer=4096)
    slow.send(slow.request("/ws", Sec_WebSocket_Protocol=IDS))
    slow.recv_accept()
    with slow:
        text = "x" * 50_000
        while "skipped" not in server.stderr:
            peer.post(text)
        places = []
        while (frame := slow.recv_frame()).opcode != rawws.PING:  # it goes on behind this ID
            places.append(sequence(split(frame.payload)[0]))
        skipped_to = sequence(frame.payload.decode())
        assert peer.post("last")["id"].endswith(f"-{skipped_to + 1}")
        assert sequence(split(recv(slow))[0]) == skipped_to + 1
    assert places == list(range(1, len(places) + 1)) and places[-1] < skipped_to


def gone(server) -> str:
    """An ID behind which a message is missing."""
    peer = Peer(server.port)
    first = peer.post("first")["id"]
    for i in range(4):
        peer.post(str(i))
    return first


@pytest.mark.parametrize("name", ["{gone}", "0123456789abcdef-1", "nonsense", "{epoch}-99"])
def test_a_gap_is_refused_if_asked_for(wsbroadcastd, name):
    """A page cannot see the status of a handshake: it sees the Close."""
    server = wsbroadcastd("--history-messages", "2")
    first = gone(server)
    name = name.format(gone=first, epoch=first.split("-")[0])
    target = f"/ws?last_event_id={name}&gap=refuse"
    with join(server.port, target) as client:
        assert client.recv_close() == (1008, "gap")
    events = Peer(server.port).ask("GET", target, Accept="text/event-stream")
    assert events.status == 410
    assert Peer(server.port).get("/ws?info")["subscribers"] == 0
    if name == first:
        with Client(server.port) as client:
            client.send(client.request(target))
            assert client.recv_head().status == 410


def test_without_a_gap_nothing_is_refused(keeper):
    first = gone(keeper)
    with join(keeper.port, f"/ws?last_event_id={first}&gap=refuse") as client:
        assert [split(recv(client))[1] for _ in range(4)] == list("0123")
    with join(keeper.port, "/ws?gap=refuse&history=1") as client:
        assert split(recv(client))[1] == "3"


def test_gap_has_one_value(server):
    with Client(server.port) as client:
        client.send(client.request("/ws?gap=maybe"))
        assert client.recv_head().status == 400
