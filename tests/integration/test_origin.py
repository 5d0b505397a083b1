"""Which pages may talk to the server (RFC 6455, 10.2): by default those of its own host."""

from __future__ import annotations

import pytest
from rawws import Client


def answer(port: int, **fields: str) -> tuple[int, str]:
    client = Client(port)
    client.send(client.request(**fields))
    head = client.recv_head()
    body = b""
    if not head.start.startswith("HTTP/1.1 101"):
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


def test_a_list_replaces_the_same_host_rule(wsbroadcastd):
    server = wsbroadcastd("--origin", "https://a.example", "--origin", "http://b.example:81")
    asked = {"Host": "localhost"}
    assert answer(server.port, Origin="https://a.example", **asked)[0] == 101
    assert answer(server.port, Origin="http://b.example:81", **asked)[0] == 101
    assert answer(server.port, Origin="http://b.example", **asked)[0] == 403
    assert answer(server.port, Origin="http://localhost", **asked)[0] == 403
    assert answer(server.port, **asked)[0] == 101


def test_a_star_admits_everybody_but_two_origins(wsbroadcastd):
    server = wsbroadcastd("--origin", "*")
    assert answer(server.port, Origin="http://any.example")[0] == 101
    assert answer(server.port, Origin="http://a.example\r\nOrigin: http://b.example")[0] == 403


def test_the_refusal_names_the_option_that_admits_the_caller(server):
    status, body = answer(server.port, Origin="http://page.example:81")
    assert status == 403
    assert "--origin 'http://page.example:81'" in body
    server.wait_stderr("--origin 'http://page.example:81'")


@pytest.mark.parametrize("origin", ["a.example", "http://a.example/"])
def test_what_is_no_origin_is_wrong_usage(start, origin):
    import programs

    program = start(programs.Program, [programs.WSBROADCASTD, "--origin", origin])
    program.wait(2)
    assert "is not an origin" in program.stderr


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
        assert answer(server.port, Host=host, Upgrade=None, Accept="application/json")[0] == 200
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
