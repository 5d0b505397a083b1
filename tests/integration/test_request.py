"""What wsrecv says in its opening handshake when it is told to, to whom it says it, and where
redirections lead."""

from __future__ import annotations

import base64
from collections.abc import Callable

import pytest
from rawws import Head, ScriptedServer, ServerPeer
from test_tls import Authority, scripted

OK, USAGE, TLS, REFUSED, PROTOCOL = 0, 2, 4, 5, 7
SECRET = "s3cr3t-0f-0urs"


def keep(heads: list[Head], **changes: str | None) -> Callable[[ServerPeer], None]:
    """A script: keep the request's head, accept, close."""

    def script(peer: ServerPeer) -> None:
        heads.append(peer.accept(**changes))
        peer.close()

    return script


def redirect(status: int, location: str | None, heads: list[Head] | None = None):
    def script(peer: ServerPeer) -> None:
        head = peer.recv_head()
        if heads is not None:
            heads.append(head)
        field = "" if location is None else f"Location: {location}\r\n"
        peer.send(f"HTTP/1.1 {status} Moved\r\n{field}Content-Length: 0\r\n\r\n".encode())

    return script


def request_of(wsrecv, *options: str, url: str = "", **changes: str | None) -> Head:
    """The head that wsrecv sends with these options."""
    heads: list[Head] = []
    with ScriptedServer(keep(heads, **changes)) as server:
        listener = wsrecv(*options, url.format(port=server.port) or server.url).wait(OK)
    assert SECRET not in listener.stderr
    return heads[0]


# Header fields


def test_header_fields_are_added_as_they_are(wsrecv, tmp_path):
    (tmp_path / "fields").write_text("X-Two: 2\n\nX-Three:3 : 4\n")
    head = request_of(wsrecv, "-H", "X-One: eins zwei", "--header", f"@{tmp_path}/fields")
    assert head.headers["x-one"] == "eins zwei"
    assert head.headers["x-two"] == "2" and head.headers["x-three"] == "3 : 4"


@pytest.mark.parametrize(
    "line",
    ["X: a\r\nY: b", "X: a\nY: b", "X", "", ": x", "X y: z", "X\r\n: y", "Host: other",
     "host: other", "Upgrade: h2c", "Connection: close", "Sec-WebSocket-Key: x",
     "sec-websocket-protocol: x", "Content-Length: 3", "Transfer-Encoding: chunked", "X: \x01"],
    ids=repr,
)  # fmt: skip
def test_what_would_break_the_request_is_refused(wsrecv, tmp_path, line):
    refused = wsrecv("-H", line).wait(USAGE)
    assert refused.stderr.startswith("wsrecv: option '--header': ")
    assert refused.stderr.count("\n") == 1
    if "\n" not in line and line:  # which makes lines of their own there
        (tmp_path / "fields").write_text(f"X-One: 1\n{line}\n")
        wsrecv("-H", f"@{tmp_path}/fields").wait(USAGE)


def test_a_file_of_fields_that_cannot_be_read_is_named(wsrecv):
    assert "'/nowhere'" in wsrecv("-H", "@/nowhere").wait(USAGE).stderr


def test_origin_and_user_agent(wsrecv):
    head = request_of(wsrecv)
    assert head.headers["user-agent"].startswith("wsrecv/")
    assert "origin" not in head.headers
    head = request_of(wsrecv, "--origin", "https://a.example", "-A", "mine/1")
    assert head.headers["origin"] == "https://a.example"
    assert head.headers["user-agent"] == "mine/1"
    assert request_of(wsrecv, "-H", "User-Agent: his").headers["user-agent"] == "his"


@pytest.mark.parametrize("option", ["--origin", "-A"])
def test_no_option_smuggles_a_line(wsrecv, option):
    wsrecv(option, "x\r\nX: y").wait(USAGE)


# Subprotocols


def test_one_of_the_subprotocols_is_taken_or_none(wsrecv):
    options = ["--subprotocol", "mqtt", "--subprotocol", "v2.x"]
    assert request_of(wsrecv, *options).headers["sec-websocket-protocol"] == "mqtt, v2.x"
    request_of(wsrecv, *options, sec_websocket_protocol="v2.x")


@pytest.mark.parametrize("answer", ["other", "MQTT", "mqtt, v2", ""])
def test_7_when_the_server_takes_a_subprotocol_that_was_not_offered(wsrecv, answer):
    with ScriptedServer(lambda peer: peer.accept(sec_websocket_protocol=answer)) as server:
        refused = wsrecv("--subprotocol", "mqtt", "--subprotocol", "v2", server.url).wait(PROTOCOL)
    assert "subprotocol" in refused.stderr


@pytest.mark.parametrize("names", [["a b"], [""], ["a,b"], ["a", "a"]])
def test_subprotocols_are_tokens_once_each(wsrecv, names):
    wsrecv(*[word for name in names for word in ("--subprotocol", name)]).wait(USAGE)


# Who asks


def basic(text: str) -> str:
    return "Basic " + base64.b64encode(text.encode()).decode()


def test_each_way_to_say_who_asks(wsrecv, tmp_path, monkeypatch):
    (tmp_path / "user").write_text(f"me:{SECRET}\n")
    (tmp_path / "token").write_text(f"{SECRET}\nmore")
    me = basic(f"me:{SECRET}")
    ways = [
        (["-u", f"me:{SECRET}"], "", me),
        (["--user-file", f"{tmp_path}/user"], "", me),
        (["--bearer-file", f"{tmp_path}/token"], "", f"Bearer {SECRET}"),
        ([], f"ws://me:{SECRET}@127.0.0.1:{{port}}/", me),
        ([], f"ws://m%65:{SECRET}%40%3a@127.0.0.1:{{port}}/", basic(f"me:{SECRET}@:")),
        ([], f"ws://{SECRET}@127.0.0.1:{{port}}/", basic(f"{SECRET}:")),
        (["-H", f"Authorization: Digest {SECRET}"], "", f"Digest {SECRET}"),
    ]
    for options, url, expected in ways:
        assert request_of(wsrecv, *options, url=url).headers["authorization"] == expected
    monkeypatch.setenv("WSRECV_TOKEN", SECRET)
    assert request_of(wsrecv).headers["authorization"] == f"Bearer {SECRET}"
    for options, url, expected in ways:  # which are said for this connection alone
        assert request_of(wsrecv, *options, url=url).headers["authorization"] == expected


def test_credentials_that_are_none_are_2_and_not_shown(wsrecv, tmp_path, monkeypatch):
    (tmp_path / "none").write_text(f"{SECRET}\x01\n")
    for options in (["-u", SECRET], ["--user-file", f"{tmp_path}/none"],
                    ["--bearer-file", f"{tmp_path}/none"], ["--user-file", "/nowhere"],
                    ["-u", "a:b", "--user-file", f"{tmp_path}/none"],
                    [f"ws://a:{SECRET}%0d%0a@127.0.0.1:1/"], [f"ws://a:{SECRET}%00@127.0.0.1:1/"],
                    [f"ws://a:{SECRET}@127.0.0.1:1/ x"],
                    [f"http://a:{SECRET}@127.0.0.1:1/"]):  # fmt: skip
        refused = wsrecv(*options).wait(USAGE)
        assert refused.stderr.count("\n") == 1
        assert SECRET not in refused.stderr
    monkeypatch.setenv("WSRECV_TOKEN", f"{SECRET} x")
    refused = wsrecv().wait(USAGE)
    assert "WSRECV_TOKEN" in refused.stderr and SECRET not in refused.stderr


def test_no_message_shows_a_secret(wsrecv):
    """Not when it is refused, not when it is lost, not when it connects again."""
    def refuse(peer: ServerPeer) -> None:
        peer.recv_head()
        peer.send(b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n")

    with ScriptedServer([lambda peer: peer.accept(), refuse]) as server:
        url = f"ws://me:{SECRET}@127.0.0.1:{server.port}/ws"
        refused = wsrecv("--reconnect", "--retry-max-delay", "0.1", url).wait(REFUSED)
    assert SECRET not in refused.stderr and "@" not in refused.stderr
    assert "401" in refused.stderr and "--user-file" in refused.stderr


# Redirections


@pytest.mark.parametrize("status", [301, 302, 307, 308])
@pytest.mark.parametrize(
    ("location", "target"),
    [
        ("/other?x=y", "/other?x=y"),
        ("other", "/a/other"),
        ("../up", "/up"),
        ("?q", "/a/ws?q"),
        ("ws://127.0.0.1:{port}/abs", "/abs"),
        ("http://127.0.0.1:{port}/http", "/http"),
        ("//127.0.0.1:{port}", "/"),
        ("/x#fragment", "/x"),
    ],
)
def test_a_redirection_is_followed(wsrecv, status, location, target):
    heads: list[Head] = []
    scripts: list = [None, keep(heads)]
    server = ScriptedServer(scripts)
    scripts[0] = redirect(status, location.format(port=server.port))
    with server:
        listener = wsrecv(f"ws://127.0.0.1:{server.port}/a/ws").wait(OK)
    assert heads[0].target == target
    assert listener.stderr.startswith(f"Connected to ws://127.0.0.1:{server.port}")


def test_circles_end_with_5(wsrecv):
    with ScriptedServer([redirect(302, "/ws")] * 11) as server:
        lost = wsrecv(server.url).wait(REFUSED)
    assert server.served == 11
    assert lost.stderr.count("\n") == 1 and "--max-redirs" in lost.stderr
    with ScriptedServer(redirect(302, "/ws")) as server:
        wsrecv("--max-redirs", "0", server.url).wait(REFUSED)


@pytest.mark.parametrize(
    "location", [None, "ftp://127.0.0.1/", "ws:// x", "ws://", "ws://h:99999/", "\x1b[2J"], ids=repr
)
def test_5_when_the_redirection_leads_nowhere(wsrecv, location):
    with ScriptedServer(redirect(301, location)) as server:
        lost = wsrecv(server.url).wait(REFUSED if location != "\x1b[2J" else PROTOCOL)
    assert lost.stderr.count("\n") == 1
    assert "\x1b" not in lost.stderr


@pytest.mark.parametrize("status", [300, 303, 304, 305])
def test_other_statuses_are_not_followed(wsrecv, status):
    with ScriptedServer(redirect(status, "/other")) as server:
        assert str(status) in wsrecv(server.url).wait(REFUSED).stderr


def test_secrets_are_for_the_origin_that_was_asked_alone(wsrecv, tmp_path):
    """Same scheme, host and port; and a server that leads away and back does not get them out."""
    (tmp_path / "token").write_text(f"{SECRET}\n")
    secrets = ["--bearer-file", f"{tmp_path}/token", "-H", "X-Key: " + SECRET]
    for options in (secrets, ["-H", f"Authorization: {SECRET}", "-H", f"Cookie: {SECRET}"]):
        for user in ("", "u:p@"):
            here: list[Head] = []
            there: list[Head] = []
            away = ScriptedServer(keep(there))
            to_away = redirect(307, f"ws://{user}127.0.0.1:{away.port}/x", here)
            home = ScriptedServer([redirect(307, "/again", here), to_away])
            with away, home:
                wsrecv(*options, "--origin", "http://o", home.url).wait(OK)
            assert [SECRET in str(head) for head in here] == [True, True]
            assert SECRET not in str(there[0])
            assert "authorization" not in there[0].headers
            assert there[0].headers["origin"] == "http://o"


def test_from_ws_to_wss_but_never_back(wsrecv, tmp_path):
    authority = Authority(tmp_path, "Our CA")
    heads: list[Head] = []
    with scripted(authority.server_context(), keep(heads)) as secure:
        with ScriptedServer(redirect(301, f"https://localhost:{secure.port}/s")) as plain:
            wsrecv("--cacert", authority.ca, plain.url).wait(OK)
    assert heads[0].target == "/s"
    away = redirect(301, "ws://127.0.0.1:1/ws")
    with scripted(authority.server_context(), away) as secure:
        url = f"wss://localhost:{secure.port}/ws"
        assert "no TLS" in wsrecv("--cacert", authority.ca, url).wait(REFUSED).stderr
