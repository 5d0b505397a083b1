"""Which pages may talk to the server (RFC 6455, 10.2): by default those of its own host."""

from __future__ import annotations

import re

import pytest
from rawws import Client
from test_events import Listener
from test_http import Peer


def answer(port: int, **fields: str) -> tuple[int, str]:
    client = Client(port)
    client.send(client.request(**fields))
    head = client.recv_head()
    body = b""
    if "content-length" in head.headers:  # no 101, no page in chunks
        body = client.recv_exactly(int(head.headers["content-length"]))
    return int(head.start.split()[1]), body.decode()


@pytest.mark.parametrize(
    ("host", "origin", "status"),
    [
        ("localhost:8000", "http://localhost:8000", 101),
        ("localhost:8000", "http://localhost:3000", 101),
        ("localhost:8000", "https://LOCALHOST", 101),
        ("127.0.0.1:8000", "http://127.0.0.1", 101),
        ("[::1]:8000", "http://[::1]:9", 101),
        ("app.localhost", "http://app.localhost", 101),
        ("localhost:8000", "http://evil.example", 403),
        ("localhost:8000", "http://localhost.evil.example", 403),
        ("localhost:8000", "null", 403),
        ("127.0.0.1:8000", "http://localhost:8000", 403),
        ("rebound.example", "http://rebound.example", 403),
        ("127.0.0.1.evil.example", "http://127.0.0.1.evil.example", 403),
        ("localhost", "http://localhost\r\nOrigin: http://localhost", 403),
    ],
)
def test_on_loopback_the_page_must_be_of_this_machine(server, host, origin, status):
    assert answer(server.port, Host=host, Origin=origin)[0] == status


def test_no_origin_comes_in_whatever_the_host(server):
    assert answer(server.port, Host="anything.example")[0] == 101


def test_elsewhere_the_page_must_be_of_the_host_asked_for(wsbroadcastd):
    server = wsbroadcastd("-l", "0.0.0.0:0", listeners=1)
    assert answer(server.port, Host="chat.example:80", Origin="https://chat.example")[0] == 101
    assert answer(server.port, Host="chat.example:80", Origin="https://evil.example")[0] == 403


def test_a_list_admits_its_own_and_those_of_this_machine(wsbroadcastd):
    """Who could come in before still can, through an address that only this machine reaches."""
    server = wsbroadcastd("--origin", "https://a.example", "--origin", "http://b.example:81")
    asked = {"Host": "localhost"}
    assert answer(server.port, Origin="https://a.example", **asked)[0] == 101
    assert answer(server.port, Origin="http://b.example:81", **asked)[0] == 101
    assert answer(server.port, Origin="http://b.example", **asked)[0] == 403
    assert answer(server.port, Origin="http://localhost:3000", **asked)[0] == 101
    assert answer(server.port, **asked)[0] == 101
    rebound = "rebound.example"
    assert answer(server.port, Origin=f"http://{rebound}", Host=rebound)[0] == 403


def test_elsewhere_a_list_replaces_the_same_host_rule(wsbroadcastd):
    """Any name may point here: nothing says that the Host is this server."""
    server = wsbroadcastd("-l", "0.0.0.0:0", "--origin", "https://a.example", listeners=1)
    assert answer(server.port, Host="chat.example", Origin="https://a.example")[0] == 101
    assert answer(server.port, Host="chat.example", Origin="https://chat.example")[0] == 403


@pytest.mark.parametrize("host", ["feed.example", "backend:8000", "127.0.0.1:8000", "localhost"])
def test_a_listed_origin_may_do_the_same_by_all_ways(wsbroadcastd, host):
    """Whatever Host a proxy asks for."""
    server = wsbroadcastd("--origin", "https://app.example", "--history-messages", "1")
    fields = {"Origin": "https://app.example", "Host": host}
    assert answer(server.port, **fields)[0] == 101
    peer = Peer(server.port)
    assert peer.ask("POST", "/ws", b"x", **fields).status == 200
    assert peer.ask("GET", "/ws?info", **fields).status == 200
    assert peer.ask("GET", "/ws", Accept="application/json", **fields).status == 200
    with Listener(server.port, "/ws?history=1", **fields) as listener:
        assert listener.accepted.headers["access-control-allow-origin"] == "https://app.example"
        assert listener.event().data == "x"


def test_another_host_without_an_origin_is_refused_and_told_no_origin(server):
    """A page of a rebound name asks its own host, and may send no Origin."""
    told = Peer(server.port).ask("GET", "/ws?info", Host="rebound.example")
    assert told.status == 403
    assert "Host" in told.body and "--origin" not in told.body


def test_names_beneath_a_domain(wsbroadcastd):
    server = wsbroadcastd("--origin", "https://*.app.example", "--origin", "https://one.example:443")
    for origin, status in [
        ("https://a.app.example", 101),
        ("https://a.b.app.example", 101),
        ("https://A.App.Example:443", 101),
        ("https://one.example", 101),
        ("https://app.example", 403),
        ("https://evilapp.example", 403),
        ("https://a.app.example.evil.example", 403),
        ("http://a.app.example", 403),
    ]:
        assert answer(server.port, Origin=origin)[0] == status, origin


@pytest.mark.parametrize(
    "origin",
    ["http://127.0.0.1:80@evil.example", "http://localhost@evil.example", "http://localhost/", ""]
    + ["localhost", "http://localhost:", "http://localhost#.evil.example", "http://[::1]evil.example"],
)
@pytest.mark.parametrize("options", [[], ["--origin", "*"]])
def test_what_is_no_origin_is_never_that_of_this_machine(wsbroadcastd, origin, options):
    status, body = answer(wsbroadcastd(*options).port, Origin=origin, Host="127.0.0.1")
    assert status == 403 and "--origin" not in body


def test_a_star_admits_everybody_but_two_origins(wsbroadcastd):
    server = wsbroadcastd("--origin", "*")
    assert answer(server.port, Origin="http://any.example")[0] == 101
    assert answer(server.port, Origin="http://a.example\r\nOrigin: http://b.example")[0] == 403


def test_the_refusal_names_the_option_that_admits_the_caller(server):
    status, body = answer(server.port, Origin="http://page.example:81")
    assert status == 403
    assert "--origin 'http://page.example:81'" in body
    server.wait_stderr("--origin 'http://page.example:81'")


@pytest.mark.parametrize(
    "origin",
    ["a.example", "http://a.example/", "https://a.example,https://b.example", "https://*", "ws://a.example"]
    + ["https://a.*.example", "*.example", "https://*.10.0.0.1", "https://user@a.example"],
)
def test_what_is_no_origin_is_wrong_usage(start, origin):
    import programs

    program = start(programs.Program, [programs.WSBROADCASTD, "--origin", origin])
    program.wait(2)
    assert origin in program.stderr and re.search("origin|never", program.stderr)


# ---- the server's own names ----

REQUESTS = {
    "websocket": {},
    "events": {"Upgrade": None, "Accept": "text/event-stream"},
    "json": {"Upgrade": None, "Accept": "application/json"},
    "nothing": {"Upgrade": None},
}


@pytest.mark.parametrize("kind", REQUESTS)
def test_whoever_asks_for_another_server_gets_421(wsbroadcastd, kind):
    server = wsbroadcastd("--server-name", "feed.example", "-l", "0.0.0.0:0")
    status, body = answer(server.port, Host="rebound.example:80", **REQUESTS[kind])
    assert status == 421
    assert "--server-name 'rebound.example:80'" in body
    server.wait_stderr("refused with 421: .*--server-name 'rebound.example:80'")


@pytest.mark.parametrize(
    ("name", "host", "status"),
    [
        ("feed.example", "feed.example", 101),
        ("feed.example", "FEED.example.:8000", 101),
        ("feed.example", "sub.feed.example", 421),
        ("feed.example", "feed.example.evil.example", 421),
        ("feed.example", "localhost", 421),
        ("feed.example:8000", "feed.example:8000", 101),
        ("feed.example:8000", "feed.example:8001", 421),
        ("feed.example:8000", "feed.example", 421),
        ("feed.example:80", "feed.example", 101),
        ("192.0.2.7", "192.0.2.7:8000", 101),
        ("[2001:db8::1]", "[2001:DB8::1]:8000", 101),
        ("[2001:db8::1]:80", "[2001:db8::2]", 421),
    ],
)
def test_a_name_is_compared_as_dns_does_it_and_a_port_if_it_has_one(
    wsbroadcastd, name, host, status
):
    server = wsbroadcastd("--server-name", name, "-l", "0.0.0.0:0")
    assert answer(server.port, Host=host)[0] == status


def test_on_loopback_the_names_of_this_machine_are_good_too(wsbroadcastd):
    server = wsbroadcastd("--server-name", "feed.example")
    for host in ("localhost:8000", "127.0.0.1", "feed.example"):
        assert answer(server.port, Host=host)[0] == 101
        assert answer(server.port, Host=host, Origin=f"http://{host}")[0] == 101
        handshake = ("Upgrade", "Connection", "Sec_WebSocket_Key", "Sec_WebSocket_Version")
        with Client(server.port) as plain:
            fields = {"Host": host, "Accept": "application/json"} | dict.fromkeys(handshake)
            plain.send(plain.request(**fields))
            assert plain.recv_response().status == 200
    assert answer(server.port, Host="other.example")[0] == 421
    assert answer(server.port, Host="feed.example", Origin="http://evil.example")[0] == 403


WARNING = "DNS rebinding; start with --server-name"


@pytest.mark.parametrize(
    ("options", "warned"),
    [
        (("-l", "0.0.0.0:0"), True),
        (("-l", "0.0.0.0:0", "--origin", "https://app.example"), True),
        (("-l", "0.0.0.0:0", "--origin", "*"), False),
        (("-l", "0.0.0.0:0", "--server-name", "feed.example"), False),
        (("-l", "127.0.0.1:0"), False),
    ],
    ids=str,
)
def test_where_pages_could_come_by_rebinding_the_start_says_so(wsbroadcastd, options, warned):
    server = wsbroadcastd(*options)
    server.stop()
    assert (WARNING in server.stderr) == warned
    assert server.stderr.count("rebinding") <= 1


@pytest.mark.parametrize(
    "name",
    ["https://feed.example", "*.example", "", "feed.example/ws", "feed.example:", "::1", "a b"],
)
def test_what_is_no_name_of_a_server_is_wrong_usage(start, name):
    import programs

    program = start(programs.Program, [programs.WSBROADCASTD, "--server-name", name])
    program.wait(2)
    assert "is no name of a server" in program.stderr
