"""What wsrecv says in its opening handshake when it is told to, to whom it says it, and where
redirections lead."""

from __future__ import annotations

import base64
import contextlib
import os
from collections.abc import Callable

import pytest
from rawws import Head, ScriptedServer, ServerPeer, turns
from test_tls import Authority, scripted

OK, USAGE, TLS, REFUSED, LOST, PROTOCOL = 0, 2, 4, 5, 6, 7
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
    ["X: a\r\nY: b", "X: a\nY: b", "X", "", ": x", "X y: z", "X\r\n: y", "Host:",
     "host;", "Upgrade: h2c", "Upgrade;", "Connection: close", "Sec-WebSocket-Key: x",
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


def test_a_file_of_fields_may_end_its_lines_with_crlf(wsrecv, tmp_path):
    (tmp_path / "fields").write_bytes(b"X-One: 1\r\n\r\nX-Two: 2\r\n")
    head = request_of(wsrecv, "-H", f"@{tmp_path}/fields")
    assert head.headers["x-one"] == "1" and head.headers["x-two"] == "2"


def test_a_file_of_fields_that_cannot_be_read_is_named(wsrecv):
    assert "'/nowhere'" in wsrecv("-H", "@/nowhere").wait(USAGE).stderr


def test_host_can_be_given_and_is_for_the_origin_of_the_url(wsrecv):
    assert request_of(wsrecv, "-H", "Host: virtual.example").headers["host"] == "virtual.example"
    there: list[Head] = []
    away = ScriptedServer(keep(there))
    with away, ScriptedServer(redirect(307, f"ws://127.0.0.1:{away.port}/x")) as home:
        wsrecv("-H", "Host: virtual.example", home.url).wait(OK)
    assert there[0].headers["host"] == f"127.0.0.1:{away.port}"


def test_a_field_without_a_value_and_one_less(wsrecv, tmp_path):
    head = request_of(wsrecv, "-H", "X-Empty;", "-H", "User-Agent:", "--origin", "https://a.example",
                      "-H", "Origin: ")  # fmt: skip
    assert head.headers["x-empty"] == ""
    assert not {"user-agent", "origin"} & set(head.headers)
    (tmp_path / "fields").write_text("X-Empty;\nUser-Agent:\nAuthorization:\n")
    head = request_of(wsrecv, "-H", f"@{tmp_path}/fields", url="ws://me:x@127.0.0.1:{port}/")
    assert head.headers["x-empty"] == "" and not {"user-agent", "authorization"} & set(head.headers)


def test_a_file_of_fields_has_comments_and_may_be_standard_input(wsrecv, tmp_path):
    read, write = os.pipe()
    os.write(write, b"# why\nX-One: 1 # no comment\n")
    os.close(write)
    heads: list[Head] = []
    with ScriptedServer(keep(heads)) as server:
        wsrecv("-H", "@-", server.url, stdin=read).wait(OK)
    os.close(read)
    assert heads[0].headers["x-one"] == "1 # no comment"
    assert "standard input" in wsrecv("-H", "@-", "-s").wait(USAGE).stderr


def test_query_adds_encoded_parameters(wsrecv):
    options = ["--query", "name=a&b=c d+é", "--query", "x y=", "--query", "last_event_id=1"]
    encoded = "name=a%26b%3Dc%20d%2B%C3%A9&x%20y=&last_event_id=1"
    assert request_of(wsrecv, *options).target == f"/ws?{encoded}"
    url = "ws://127.0.0.1:{port}/p?q"
    assert request_of(wsrecv, *options, url=url).target == f"/p?q&{encoded}"


def test_query_reaches_our_own_server(wsbroadcastd, wsrecv):
    server = wsbroadcastd("--prefix", "", "--history-messages", "9")
    with server.client() as client:
        for text in ("one", "two", "three"):
            client.send_text(text)
        listener = wsrecv("-r", "-n", "2", "--query", "history=2", server.url).wait(OK)
    assert listener.read_rest() == "two\nthree\n"


# Cookies


def setting(location: str, *cookies: str, heads: list[Head] | None = None):
    """A script: a redirection that sets cookies, one field for each."""

    def script(peer: ServerPeer) -> None:
        head = peer.recv_head()
        if heads is not None:
            heads.append(head)
        fields = [f"Location: {location}", *[f"Set-Cookie: {cookie}" for cookie in cookies]]
        peer.send("\r\n".join(["HTTP/1.1 302 Found", *fields, "", ""]).encode())

    return script


def test_cookies_that_a_redirection_sets_are_sent_to_the_same_host(wsrecv):
    heads: list[Head] = []
    cookies = [f"session={SECRET}; HttpOnly; Path=/", "other=1; Path=/elsewhere", "tls=1; Secure",
               "old=1; Max-Age=0", "wide=1; Domain=0.0.1", "novalue", "a=b; path=/ws"]  # fmt: skip
    scripts = [setting("/ws/next", *cookies, heads=heads), keep(heads)]
    with ScriptedServer(scripts) as server:
        listener = wsrecv("-v", server.url).wait(OK)
    assert "cookie" not in heads[0].headers
    sent = sorted(heads[1].headers["cookie"].split("; "))
    assert sent == ["a=b", f"session={SECRET}", "wide=1"]
    assert SECRET not in listener.stderr


def test_a_cookie_joins_those_of_the_user_and_goes_to_no_other_host(wsrecv):
    heads: list[Head] = []
    with ScriptedServer([setting("/ws", "a=1", "b=2"), setting("/ws", "a=3; Max-Age=5"),
                         keep(heads)]) as server:  # fmt: skip
        wsrecv("-H", "Cookie: mine=0", server.url).wait(OK)
    assert heads[0].headers["cookie"].startswith("mine=0; ")
    assert set(heads[0].headers["cookie"].split("; ")) == {"mine=0", "a=3", "b=2"}
    there: list[Head] = []
    away = ScriptedServer(keep(there))
    with away, ScriptedServer(setting(f"ws://localhost:{away.port}/ws", "a=1")) as home:
        wsrecv("-4", home.url).wait(OK)
    assert "cookie" not in there[0].headers


def test_a_cookie_is_sent_on_later_attempts(wsrecv):
    heads: list[Head] = []
    scripts = [setting("/ws", "a=1"), lambda peer: (heads.append(peer.accept()), peer.close(1012)),
               keep(heads)]  # fmt: skip
    with ScriptedServer(scripts) as server:
        wsrecv("--reconnect", server.url).wait(OK)
    assert [head.headers.get("cookie") for head in heads] == ["a=1"] * 2


def test_sni_is_asked_for_and_the_certificate_is_for_it(wsrecv, tmp_path):
    authority = Authority(tmp_path, "ours")
    authority.sign("virtual", "DNS:virtual.example")
    asked: list[str | None] = []
    context = authority.server_context("virtual")
    context.sni_callback = lambda sock, name, context: asked.append(name)
    heads: list[Head] = []
    with scripted(context, keep(heads)) as server:
        url = f"wss://127.0.0.1:{server.port}/ws"
        wsrecv("--cacert", authority.cert("ca"), "--sni", "virtual.example", url).wait(OK)
    assert asked == ["virtual.example"]
    assert heads[0].headers["host"] == f"127.0.0.1:{server.port}"


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


def test_a_subprotocol_that_bears_a_credential_stays_with_its_origin(wsrecv):
    """Pages have no other field for one, and servers read it there."""
    for name in (f"bearer.{SECRET}", f"Authorization.{SECRET}", SECRET * 3):
        here: list[Head] = []
        there: list[Head] = []
        away = ScriptedServer(keep(there, sec_websocket_protocol="mqtt"))
        to_away = redirect(307, f"ws://127.0.0.1:{away.port}/x", here)
        home = ScriptedServer([redirect(307, "/again", here), to_away])
        with away, home:
            listener = wsrecv("-v", "--subprotocol", "mqtt", "--subprotocol", name, home.url)
            listener.wait(OK)
        assert [head.headers["sec-websocket-protocol"] for head in here] == [f"mqtt, {name}"] * 2
        assert there[0].headers["sec-websocket-protocol"] == "mqtt"
        assert SECRET not in listener.stderr
        assert "> Sec-WebSocket-Protocol: mqtt, ***\n" in listener.stderr


@pytest.mark.parametrize("names", [[f"bearer.{SECRET}="], [f"bearer.{SECRET}"] * 2])
def test_a_subprotocol_that_is_refused_does_not_show_its_credential(wsrecv, names):
    options = [word for name in names for word in ("--subprotocol", name)]
    assert SECRET not in wsrecv(*options).wait(USAGE).stderr


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
                    [f"ftp://a:{SECRET}@127.0.0.1:1/"]):  # fmt: skip
        refused = wsrecv(*options).wait(USAGE)
        assert refused.stderr.count("\n") == 1
        assert SECRET not in refused.stderr
    monkeypatch.setenv("WSRECV_TOKEN", f"{SECRET} x")
    refused = wsrecv().wait(USAGE)
    assert "WSRECV_TOKEN" in refused.stderr and SECRET not in refused.stderr


def test_two_credentials_are_2(wsrecv, tmp_path):
    (tmp_path / "token").write_text(f"{SECRET}\n")
    for options in (["-u", f"me:{SECRET}"], ["--bearer-file", f"{tmp_path}/token"],
                    ["-H", f"authorization: {SECRET}"]):  # fmt: skip
        refused = wsrecv(*options, "-H", f"Authorization: Digest {SECRET}").wait(USAGE)
        assert "uthorization" in refused.stderr and SECRET not in refused.stderr


def test_a_header_field_goes_before_the_user_of_the_url(wsrecv):
    url = f"ws://me:{SECRET}@127.0.0.1:{{port}}/"
    head = request_of(wsrecv, "-H", "Authorization: Digest x", url=url)  # which would see two
    assert head.headers["authorization"] == "Digest x"


@pytest.mark.parametrize("arguments", [
    ["-H", "Authorization:", "Bearer", SECRET],
    ["-H", "Authorization:", SECRET],
    ["-H", "X-Key:", SECRET, "ws://127.0.0.1:1/"],
    ["-A", "my", SECRET, "ws://127.0.0.1:1/"],
    ["ws://127.0.0.1:1/", f"ws://me:{SECRET}@127.0.0.1:1/"],
    [f"ws://127.0.0.1:1/?token={SECRET} x"],
    [f"ftp://127.0.0.1:1/?token={SECRET}"],
])
def test_wrong_usage_shows_no_secret(wsrecv, arguments):
    """Whatever was not quoted, or is one too many."""
    refused = wsrecv(*arguments).wait(USAGE)
    assert refused.stderr.count("\n") == 1
    assert SECRET not in refused.stderr


def refuse(status: int) -> Callable[[ServerPeer], None]:
    def script(peer: ServerPeer) -> None:
        peer.recv_head()
        peer.send(f"HTTP/1.1 {status} No\r\nContent-Length: 0\r\n\r\n".encode())

    return script


def test_401_says_whether_credentials_were_given(wsrecv):
    for options, hint in (
        ([], "--user-file"),
        (["-u", "me:x"], "does not accept the credentials"),
        (["-H", "Authorization: x"], "does not accept the credentials"),
        (["--subprotocol", "bearer.x"], "does not accept the credentials"),
    ):
        with ScriptedServer(refuse(401)) as server:
            refused = wsrecv(*options, server.url).wait(REFUSED)
        assert hint in refused.stderr
        assert ("--user-file" in refused.stderr) == (not options)
    away = ScriptedServer(refuse(401))
    with away, ScriptedServer(redirect(307, f"ws://127.0.0.1:{away.port}/")) as home:
        refused = wsrecv("-u", "me:x", home.url).wait(REFUSED)
    assert "credentials are for the origin of the URL alone" in refused.stderr


def test_a_secret_of_the_query_is_sent_and_never_shown(wsrecv, tmp_path):
    heads: list[Head] = []

    def say(peer: ServerPeer) -> None:
        heads.append(peer.accept())
        peer.send_text("x")
        peer.close(1011)

    for name in ("access_token", "token", "api_key", "key", "sig", "auth", "jwt", "password"):
        query = f"a=b&{name}={SECRET}&c=d"
        with ScriptedServer([redirect(307, f"/x?{query}"), say, refuse(404)]) as server:
            url = f"{server.url}?{query}"
            listener = wsrecv("-v", "--json", "--reconnect", "--retry-max-delay", "0.1", url)
            shown = f"ws://127.0.0.1:{server.port}/ws?a=b&{name}=***&c=d"
            assert f'"url":"{shown}"' in listener.read_line().replace(" ", "")
            listener.wait(REFUSED)
        assert heads[-1].target == f"/x?{query}"
        assert SECRET not in listener.stderr
        assert f"Connected to {shown.replace('/ws?', '/x?')}\n" in listener.stderr
        assert f"> GET /ws?a=b&{name}=***&c=d HTTP/1.1\n" in listener.stderr
        assert f"< Location: /x?a=b&{name}=***&c=d\n" in listener.stderr


def test_a_redirection_that_is_not_followed_shows_no_secret(wsrecv):
    for location in (f"ws://me:{SECRET}@h x/", f"ftp://h/?token={SECRET}", f"/?token={SECRET}"):
        with ScriptedServer(redirect(302, location)) as server:
            options = ["--max-redirs", "0"] if location[0] == "/" else []
            assert SECRET not in wsrecv(*options, server.url).wait(REFUSED).stderr


# What may come before the response


def test_interim_responses_are_passed_over(wsrecv):
    """RFC 9110, 15.2: a client must be ready for any number of them, within reason."""

    def hint(peer: ServerPeer) -> None:
        peer.send(b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\n\r\n" * 3)
        peer.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        peer.accept()
        peer.send_text("hello")
        peer.close()

    with ScriptedServer(hint) as server:
        listener = wsrecv("-r", server.url).wait(OK)
        assert listener.read_rest() == "hello\n"


def test_7_when_interim_responses_have_no_end(wsrecv):
    for interim in (b"HTTP/1.1 102 Wait\r\n\r\n", b"HTTP/1.1 103 x\r\nX: %04000d\r\n\r\n" % 0):

        def hint_on(peer: ServerPeer) -> None:
            peer.recv_head()
            with contextlib.suppress(ConnectionError):
                for _ in turns():
                    peer.send(interim)

        with ScriptedServer(hint_on) as server:
            refused = wsrecv(server.url).wait(PROTOCOL)
        assert refused.stderr.count("\n") == 1


def test_no_message_shows_a_secret(wsrecv):
    """Not when it is refused, not when it is lost, not when it connects again."""
    with ScriptedServer([lambda peer: peer.accept(), refuse(401)]) as server:
        url = f"ws://me:{SECRET}@127.0.0.1:{server.port}/ws"
        refused = wsrecv("--reconnect", "--retry-max-delay", "0.1", url).wait(REFUSED)
    assert SECRET not in refused.stderr and "@" not in refused.stderr
    assert "401" in refused.stderr and "credentials" in refused.stderr


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


# What hands type, and hints for what they mistype


def test_a_url_needs_no_scheme(wsrecv):
    for typed, target in (
        ("127.0.0.1:{port}/ws/news?x", "/ws/news?x"),
        ("127.0.0.1:{port}", "/"),
        ("localhost:{port}/ws", "/ws"),
        (":{port}", "/ws"),
        (":{port}/other", "/other"),
    ):
        assert request_of(wsrecv, "-4", url=typed).target == target


def test_404_asks_for_the_path_that_is_meant(wsrecv, server):
    lost = wsrecv(f"127.0.0.1:{server.port}").wait(REFUSED)
    assert f"; is ws://127.0.0.1:{server.port}/ws meant?\n" in lost.stderr
    lost = wsrecv(f"127.0.0.1:{server.port}/nothing").wait(REFUSED)
    assert "; check the path\n" in lost.stderr


def test_http_is_no_websocket_url_and_the_error_says_what_is(wsrecv):
    with ScriptedServer(refuse(404)) as server:
        refused = wsrecv(f"http://127.0.0.1:{server.port}/ws").wait(REFUSED)
    assert "for a WebSocket write ws://" in refused.stderr


@pytest.mark.parametrize("answer", [b"\x15\x03\x03\x00\x02\x02\x46", b"", b"HTTP/1.1 400 Bad Request\r\n\r\n"],
                         ids=["alert", "nothing", "400"])  # fmt: skip
def test_ws_to_a_server_that_speaks_tls(wsrecv, answer):
    """An alert, the end of TCP, or plain HTTP: what servers of TLS answer to what is none."""

    def script(peer: ServerPeer) -> None:
        peer.recv_head()
        peer.send(answer)

    with ScriptedServer(script) as server:
        lost = wsrecv(server.url)
        lost.wait({b"": LOST, b"\x15": PROTOCOL, b"H": REFUSED}[answer[:1]])
    assert "wss://" in lost.stderr and lost.stderr.count("\n") == 1
