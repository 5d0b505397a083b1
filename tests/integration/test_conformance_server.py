"""wsbroadcastd on the wire: with --prefix '' and one client it is an echo server.

The cases of conformance.py, and those that only a server can be held to.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator

import conformance
import programs
import pytest
import rawws
from conformance import *  # noqa: F403 - the tests that are common to both programs
from conformance import Side, close, expect, expect_data, fails, is_closed, payload_of
from rawws import BINARY, PING, PONG, TEXT, Client, Deflater, Inflater, close_body, frame

COMPRESSED = {"Sec_WebSocket_Extensions": "permessage-deflate"}


class Fleet:
    """Servers that many tests use, one for each set of options; each is checked in the end."""

    def __init__(self) -> None:
        self._servers: dict[tuple[str, ...], programs.Server] = {}

    def get(self, *options: str) -> programs.Server:
        server = self._servers.get(options)
        if server is None or server.process.poll() is not None:
            server = self._servers[options] = programs.Server("--prefix", "", *options)
            server.idle_descriptors = server.descriptors()
        return server

    def stop(self) -> None:
        for server in self._servers.values():
            server.clean_up()


@pytest.fixture(scope="module")
def fleet() -> Iterator[Fleet]:
    servers = Fleet()
    yield servers
    servers.stop()


@pytest.fixture
def connect(fleet) -> Iterator[Callable[..., Client]]:
    """connect(option, ..., header=value, ...) upgrades a client to a server with these options.

    After the test the server is still there, and all its connections are gone.
    """
    clients: list[Client] = []
    used: dict[int, programs.Server] = {}

    def connect_one(*options: str, **changes: str | None) -> Client:
        server = fleet.get(*options)
        used[server.pid] = server
        client = Client(server.port)
        clients.append(client)
        return agree(client.upgrade(**changes), changes)

    def agree(client: Client, changes: dict) -> Client:
        client.max_message = conformance.MIB
        answer = client.accepted.headers.get("sec-websocket-extensions")
        if answer is None:
            return client
        assert "Sec_WebSocket_Extensions" in changes, "not offered"
        ((name, agreed),) = rawws.parse_extensions(answer)
        assert name == "permessage-deflate" and "server_no_context_takeover" in agreed
        client.deflater = Deflater(
            int(agreed.get("client_max_window_bits", 15)),
            takeover="client_no_context_takeover" not in agreed,
        )
        client.inflater = Inflater(int(agreed.get("server_max_window_bits", 15)), takeover=False)
        return client

    yield connect_one
    for client in clients:
        client.disconnect()
    for server in used.values():
        if server.process.poll() is not None:  # tells what the server died of
            server.wait(0)
        programs.wait_until(
            "all connections are gone",
            lambda server=server: server.descriptors() == server.idle_descriptors,
        )


@pytest.fixture
def peer(connect) -> Client:
    return connect()


@pytest.fixture
def compressing(connect) -> Callable[..., Client]:
    """A client that has agreed on permessage-deflate: ours is the client's side of it."""

    def upgrade(ours: Side = Side(), theirs: Side = Side()) -> Client:
        offer = "permessage-deflate" + ours.parameters("client") + theirs.parameters("server")
        client = connect(Sec_WebSocket_Extensions=offer)
        assert client.inflater is not None, f"{offer} was not agreed on"
        return client

    return upgrade


# 4 of RFC 6455: the opening handshake


@pytest.mark.parametrize(
    "changes",
    [
        {"Upgrade": "WEBSOCKET"},
        {"Upgrade": "h2c , websocket"},
        {"Upgrade": "h2c\r\nUpgrade: websocket"},
        {"Upgrade": ",, websocket ,"},
        {"Connection": "UPGRADE"},
        {"Connection": "close, keep-alive, Upgrade"},
        {"Connection": "keep-alive\r\nConnection: , upgrade"},
        {"Host": "example.org:8000"},
        {"Host": "[::1]:80"},
        {"Sec_WebSocket_Protocol": "chat, superchat"},
        {"Sec_WebSocket_Protocol": "chat\r\nSec-WebSocket-Protocol: superchat"},
        {"Sec_WebSocket_Version": " 13\t"},
        {"Content_Length": "0"},
        {"X_Unknown": "whatever \x80\xff"},
        {"Sec_WebSocket_Unknown": "ignored"},
    ],
    ids=str,
)
def test_the_opening_handshake_takes_what_the_grammar_allows(connect, changes):
    peer = connect(**changes)
    assert "sec-websocket-protocol" not in peer.accepted.headers
    assert "sec-websocket-extensions" not in peer.accepted.headers
    peer.send_frame(TEXT, b"x")
    expect(peer, TEXT, b"x")
    close(peer)


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"Upgrade": "web socket"}, 426),
        ({"Upgrade": "websocket/13"}, 426),
        ({"Upgrade": "xwebsocket"}, 426),
        ({"Upgrade": ""}, 426),
        ({"Connection": ""}, 400),
        ({"Connection": "Upgrade-Insecure"}, 400),
        ({"Sec_WebSocket_Version": "12"}, 426),
        ({"Sec_WebSocket_Version": "0"}, 426),
        ({"Sec_WebSocket_Version": "256"}, 426),
        ({"Sec_WebSocket_Version": "13, 8"}, 426),
        ({"Sec_WebSocket_Version": "13\r\nSec-WebSocket-Version: 13"}, 400),
        ({"Sec_WebSocket_Key": None}, 400),
        ({"Sec_WebSocket_Key": "A" * 24}, 400),
        ({"Sec_WebSocket_Key": "A" * 21 + "B=="}, 400),
        ({"Sec_WebSocket_Key": "A" * 22 + "== x"}, 400),
        ({"Sec_WebSocket_Key": "A" * 22 + "==\r\nSec-WebSocket-Key: " + "A" * 22 + "=="}, 400),
        ({"Host": ""}, 400),
        ({"Host": "a, b"}, 400),
        ({"Content_Length": "5"}, 400),
    ],
    ids=str,
)
def test_the_opening_handshake_refuses_what_the_grammar_does_not_allow(fleet, changes, status):
    with Client(fleet.get().port) as client:
        client.send(client.request(**changes))
        response = client.recv_response()
        assert response.status == status
        if status == 426:
            assert response.headers["sec-websocket-version"] == "13"
            assert response.headers["upgrade"] == "websocket"


@pytest.mark.parametrize("method", ["POST", "PUT", "HEAD", "OPTIONS"])
def test_the_method_must_be_get(fleet, method):
    with Client(fleet.get().port) as client:
        client.send(client.request(method=method))
        assert client.recv_response(has_body=method != "HEAD").status == 405


@pytest.mark.parametrize("chop", [1, 7, 10_000])
def test_bytes_that_come_with_the_request_are_frames(fleet, connect, chop):
    """Compressed ones too, and the Close that ends it all."""
    connect()  # which checks the server afterwards
    with Client(fleet.get().port) as client:
        wire = client.request(Sec_WebSocket_Extensions="permessage-deflate")
        wire += frame(TEXT, b"one") + frame(PING, b"two")
        wire += frame(BINARY, Deflater().deflate(payload_of(500)), rsv=4)
        client.send_chopped(wire + frame(rawws.CLOSE, close_body(1000)), chop)
        client.recv_accept()
        client.inflater = Inflater(takeover=False)
        heard = [client.recv_frame() for _ in range(3)]
        assert (PONG, b"two") in [got[:2] for got in heard]
        one, three = [got for got in heard if got.opcode != PONG]
        assert one.payload == b"one"
        assert client.inflater.inflate(three.payload) == payload_of(500)
        is_closed(client, 1000)


def test_a_fault_that_comes_with_the_request_is_1002(fleet):
    with Client(fleet.get().port) as client:
        client.send(client.request() + frame(TEXT, b"x") + frame(TEXT, b"y", masked=False))
        client.recv_accept()
        expect(client, TEXT, b"x")
        fails(client, 1002)


def test_the_accept_is_the_rfcs_own_example(fleet):
    with Client(fleet.get().port) as client:
        client.key = "dGhlIHNhbXBsZSBub25jZQ=="
        client.send(client.request())
        assert client.recv_accept().headers["sec-websocket-accept"] == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="


# RFC 7692, 5 and 7.1: negotiation

SERVER_NO, CLIENT_NO = "server_no_context_takeover", "client_no_context_takeover"
SERVER_BITS, CLIENT_BITS = "server_max_window_bits", "client_max_window_bits"
LEAST_BITS = 12  # with a smaller window messages come as they are, which 6 allows
PMD = "permessage-deflate"


@pytest.mark.parametrize(
    ("offer", "agreed"),
    [
        (PMD, {}),
        (f"{PMD}; {SERVER_NO}", {}),
        (f"{PMD}; {CLIENT_NO}", {CLIENT_NO: None}),
        (f"{PMD};{CLIENT_NO};{SERVER_NO}", {CLIENT_NO: None}),
        (f"{PMD}; {CLIENT_BITS}", {}),
        *[(f"{PMD}; {CLIENT_BITS}={n}", {CLIENT_BITS: str(n)}) for n in range(8, 16)],
        *[(f"{PMD}; {SERVER_BITS}={n}", {SERVER_BITS: str(n)}) for n in range(8, 16)],
        (f'{PMD}; {SERVER_BITS}="10"', {SERVER_BITS: "10"}),
        (f'{PMD}; {CLIENT_BITS}="1\\1"', {CLIENT_BITS: "11"}),
        (f"{PMD} ; {CLIENT_BITS} = 9", {CLIENT_BITS: "9"}),
        (
            f"{PMD}; {CLIENT_BITS}=12; {SERVER_BITS}=9; {SERVER_NO}; {CLIENT_NO}",
            {CLIENT_BITS: "12", SERVER_BITS: "9", CLIENT_NO: None},
        ),
        # several offers: the first that can be kept
        (f"{PMD}; {SERVER_BITS}=10, {PMD}", {SERVER_BITS: "10"}),
        (f"{PMD}; {SERVER_BITS}=7, {PMD}; {CLIENT_NO}", {CLIENT_NO: None}),
        (f"{PMD}; unknown, {PMD}", {}),
        (f"x-webkit-deflate-frame, {PMD}; {CLIENT_BITS}", {}),
        (f'foo; bar=baz; quoted="token", {PMD}', {}),
        (f"{PMD}; {SERVER_NO}=1, {PMD}; {SERVER_BITS}, {PMD}; {SERVER_BITS}=8", {SERVER_BITS: "8"}),
        (f"foo\r\nSec-WebSocket-Extensions: {PMD}; {CLIENT_NO}", {CLIENT_NO: None}),
        (f",, {PMD} ,", {}),
    ],
)
def test_an_offer_is_answered_with_what_it_asked_for(connect, offer, agreed):
    peer = connect(Sec_WebSocket_Extensions=offer)
    ((name, answer),) = rawws.parse_extensions(peer.accepted.headers["sec-websocket-extensions"])
    assert name == PMD
    assert answer == {SERVER_NO: None, **agreed}
    conformance.send_compressed(peer, TEXT, payload_of(1000))
    compressed = expect_data(peer, TEXT, payload_of(1000), strictly=True)
    assert compressed == (int(agreed.get(SERVER_BITS, 15)) >= LEAST_BITS)
    close(peer)


@pytest.mark.parametrize(
    "offer",
    [
        "foo",
        "permessage-bzip2",
        "x-webkit-deflate-frame",
        "deflate-stream",
        f"x{PMD}",
        f"{PMD}x",
        f"foo; {PMD}",
        f"{PMD}; unknown",
        f"{PMD}; unknown=1",
        f"{PMD}; {SERVER_BITS}",
        *[f"{PMD}; {SERVER_BITS}={n}" for n in ("7", "16", "0", "08", "-8", "+9", "8.0", "x", "100")],
        *[f"{PMD}; {CLIENT_BITS}={n}" for n in ("7", "16", "0", "015", "x", "4294967304")],
        f"{PMD}; {SERVER_NO}=1",
        f'{PMD}; {CLIENT_NO}="true"',
        f"{PMD}; {SERVER_NO}; {SERVER_NO}",
        f"{PMD}; {CLIENT_NO}; {CLIENT_NO}",
        f"{PMD}; {SERVER_BITS}=9; {SERVER_BITS}=9",
        f"{PMD}; {CLIENT_BITS}; {CLIENT_BITS}=9",
        f"{PMD}; {CLIENT_BITS}={'9' * 200}",
    ],
)
def test_an_offer_that_cannot_be_kept_is_declined(connect, offer):
    """The connection stands, without compression (RFC 7692, 5.1 and 7.1)."""
    peer = connect(Sec_WebSocket_Extensions=offer)
    assert "sec-websocket-extensions" not in peer.accepted.headers
    peer.send_frame(TEXT, b"x" * 1000)
    expect(peer, TEXT, b"x" * 1000)
    peer.send_frame(TEXT, Deflater().deflate(b"x"), rsv=4)
    fails(peer, 1002)


@pytest.mark.parametrize(
    "field",
    [
        f"{PMD};",
        f"{PMD}; ;{CLIENT_NO}",
        f"{PMD}; {SERVER_BITS}=",
        f"{PMD}; =9",
        "; foo",
        "=",
        f"{PMD} {CLIENT_NO}",
        f"{PMD}={CLIENT_NO}",
        f'{PMD}; {SERVER_BITS}="9',
        f'{PMD}; {SERVER_BITS}="9"x',
        f'{PMD}; {SERVER_BITS}=""',
        f'{PMD}; {SERVER_BITS}="9 9"',
        f"{PMD}; {SERVER_BITS}=9 9",
        "perm@essage",
        "foo(bar)",
        f"{PMD}, foo;",
        f"{PMD}\r\nSec-WebSocket-Extensions: ;",
        "caf\xe9",
    ],
)
@pytest.mark.parametrize("options", [(), ("--no-compression",)], ids=["", "no compression"])
def test_an_extensions_field_that_is_no_list_of_extensions_is_400(fleet, field, options):
    """RFC 6455, 9.1: the handshake fails."""
    with Client(fleet.get(*options).port) as client:
        client.send(client.request(Sec_WebSocket_Extensions=field))
        assert client.recv_response().status == 400


def test_no_compression_declines_every_offer(connect):
    peer = connect("--no-compression", **COMPRESSED)
    assert "sec-websocket-extensions" not in peer.accepted.headers
    peer.send_frame(TEXT, b"x" * 1000)
    expect(peer, TEXT, b"x" * 1000)
    peer.send_frame(TEXT, Deflater().deflate(b"x"), rsv=4)
    fails(peer, 1002)


@pytest.mark.parametrize("least", [1, 128, 1000])
def test_messages_shorter_than_compression_min_size_go_out_plain(connect, least):
    peer = connect("--compression-min-size", str(least), **COMPRESSED)
    for size in sorted({0, 1, 17, least - 1, least, least + 1, 5000}):
        data = b"x" * size
        conformance.send_compressed(peer, TEXT, data)
        compressed = expect_data(peer, TEXT, data)
        if size < least:
            assert not compressed, size
        elif size > 16:
            assert compressed, size
    close(peer)


@pytest.mark.parametrize("level", ["1", "9"])
def test_every_compression_level_can_be_inflated(connect, level):
    peer = connect("--compression-level", level, **COMPRESSED)
    for size in (500, 70_000):
        peer.send_frame(TEXT, payload_of(size))
        assert expect_data(peer, TEXT, payload_of(size), strictly=True)
    close(peer)


# One message, many subscribers


def test_a_message_is_compressed_once_for_all(connect):
    """Two subscribers that agreed on the same get the same bytes, and whoever publishes."""
    first, second = connect(**COMPRESSED), connect(**COMPRESSED)
    third = connect(Sec_WebSocket_Extensions=f"{PMD}; {CLIENT_NO}; {CLIENT_BITS}=9")
    for publisher in (first, second, third):
        data = payload_of(3000) + os.urandom(50)
        publisher.send_frame(BINARY, data)
        frames = [subscriber.recv_frame() for subscriber in (first, second, third)]
        assert frames[0] == frames[1] == frames[2]
        assert frames[0].rsv == 4 and Inflater().inflate(frames[0].payload) == data
    for subscriber in (first, second, third):
        close(subscriber)


def test_plain_and_compressing_subscribers_get_the_same_in_the_same_order(connect):
    """Whatever the window, whatever the size, and whoever publishes."""
    offers = [None, PMD, f"{PMD}; {SERVER_BITS}=8", f"{PMD}; {SERVER_BITS}=10", None, PMD]
    everybody = [connect(Sec_WebSocket_Extensions=offer) for offer in offers]
    said = []
    for i in range(300):
        publisher = everybody[i % len(everybody)]
        data = b"%d " % i + payload_of((0, 1, 100, 127, 128, 500, 3000, 70_000)[i % 8])
        if publisher.deflater is not None and i % 3:
            conformance.send_compressed(publisher, TEXT, data)
        else:
            publisher.send_frame(TEXT, data)
        said.append(data)
    heard = [[conformance.recv_data(peer)[:2] for _ in said] for peer in everybody]
    assert sorted(heard[0]) == sorted((TEXT, data) for data in said)
    assert all(other == heard[0] for other in heard[1:])
    for i in range(len(everybody)):  # what one publisher said comes in its own order
        mine = [(TEXT, data) for data in said[i :: len(everybody)]]
        assert [got for got in heard[0] if got in mine] == mine
    for peer in everybody:
        close(peer)


def test_a_subscriber_that_leaves_takes_nothing_from_the_others(connect):
    """In the middle of a stream of compressed messages, by Close, FIN and RST."""
    stays, says = connect(**COMPRESSED), connect()
    for leave in (close, Client.disconnect, Client.reset):
        leaves = connect(**COMPRESSED)
        for i in range(20):
            says.send_frame(TEXT, payload_of(200 + i))
        for i in range(20):
            expect_data(stays, TEXT, payload_of(200 + i))
            expect_data(says, TEXT, payload_of(200 + i))
        if leave is close:
            for i in range(20):
                expect_data(leaves, TEXT, payload_of(200 + i))
        leave(leaves)
    for peer in (stays, says):
        close(peer)


# Closing, by the server


def test_a_stop_closes_with_1001_and_compressing_clients_hear_all_before_it(wsbroadcastd):
    server = wsbroadcastd("--prefix", "")
    with Client(server.port) as plain, Client(server.port) as compressing:
        plain.upgrade()
        compressing.upgrade(**COMPRESSED)
        compressing.inflater = Inflater(takeover=False)
        for _ in range(10):
            plain.send_frame(TEXT, payload_of(1000))
        for _ in range(10):
            expect_data(compressing, TEXT, payload_of(1000))
            expect_data(plain, TEXT, payload_of(1000))
        server.process.terminate()
        for client in (plain, compressing):
            conformance.recv_close_frame(client, 1001)
            client.send_close(1001)
            conformance.recv_end_of_tcp(client)
    server.wait(0)


def test_a_client_that_never_ends_tcp_is_dropped_all_the_same(fleet):
    """The server ends TCP at once after both Closes, and lets go of the socket in 2 s or so."""
    server = fleet.get()
    with server.client() as client:
        client.send_close(1000)
        is_closed(client, 1000)
        programs.wait_until(
            "the server lets go", lambda: server.descriptors() == server.idle_descriptors, 5
        )


# Memory that a connection holds


@pytest.mark.parametrize("rsv", [0, 4], ids=["plain", "compressed"])
def test_a_declared_length_alone_takes_no_memory(wsbroadcastd, rsv):
    """200 clients announce a message of 1 MiB each, and send a byte of it."""
    server = wsbroadcastd("--prefix", "")
    clients = [Client(server.port).upgrade(**COMPRESSED) for _ in range(200)]
    before = server.reset_peak()
    for client in clients:
        client.send(frame(BINARY, b"\x02", declared=1 << 20, rsv=rsv))
        client.send_byte_by_byte(b"\x00\x00")
    with server.client() as witness:
        conformance.still_there(witness)
        if not programs.SANITIZED:
            assert server.peak_rss() - before < 200 * 64 * 1024
    for client in clients:
        client.disconnect()


def test_inflating_holds_no_memory_between_messages_without_takeover(wsbroadcastd):
    """RFC 7692, 7.1.1.2 is for that: state and window of 100 clients would be 4 MiB."""
    server = wsbroadcastd("--prefix", "")
    offer = f"{PMD}; {CLIENT_NO}"
    clients = [Client(server.port).upgrade(Sec_WebSocket_Extensions=offer) for _ in range(120)]
    wire = frame(BINARY, Deflater().deflate(payload_of(40_000)), rsv=4)
    before = 0
    for i, publisher in enumerate(clients):
        publisher.send(wire)
        for client in clients:
            client.recv_frame()
        if i == 19:  # what all share has grown by now
            before = server.rss_anon()
    if not programs.SANITIZED:
        assert server.rss_anon() - before < 100 * 8 * 1024
    for client in clients:
        client.disconnect()
