"""Users: who may subscribe and publish, by tokens of a file; reload; the operator's view."""

from __future__ import annotations

import hashlib
import http.client
import json
import signal
import subprocess
from pathlib import Path

import programs
import pytest
import rawws

from test_admin import Admin


def line(name: str, token: str, rights: str = "subscribe==,** publish==,**") -> str:
    return f"{name} sha256:{hashlib.sha256(token.encode()).hexdigest()} {rights}\n"


def bearer(token: str | None) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"} if token is not None else {}


class Answer:
    def __init__(self, port: int, method: str, target: str, body: bytes | None = None,
                 **fields: str) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=rawws.TIMEOUT)
        connection.request(method, target, body,
                           {name.replace("_", "-"): value for name, value in fields.items()})
        response = connection.getresponse()
        self.status = response.status
        self.fields = response.headers
        self.text = "" if self.status == 200 and "event-stream" in str(
            response.headers["Content-Type"]) else response.read().decode()
        connection.close()


def handshake(port: int, target: str = "/ws", **fields: str) -> rawws.Head:
    """The head of the response to an opening handshake."""
    with rawws.Client(port) as client:
        client.send(client.request(target, **fields))
        return client.recv_head()


@pytest.fixture
def file(tmp_path) -> Path:
    path = tmp_path / "tokens"
    path.write_text(
        "# tokens\n" + line("alice", "a" * 43) + line("reader", "r" * 43, "subscribe=news/*")
        + line("writer", "w" * 43, "publish=news/*,=") + line("nobody", "n" * 43, "subscribe="))
    return path


@pytest.fixture
def server(start, file):
    return start(programs.Server, "--token-file", str(file))


WAYS = {  # of asking for a channel, and what it takes
    "websocket": "subscribe", "events": "subscribe", "messages": "subscribe", "info": "subscribe",
    "post": "publish", "lines": "publish",
}


def ask(port: int, way: str, target: str, **fields: str) -> tuple[int, str | None]:
    """The status, and the challenge."""
    if way == "websocket":
        head = handshake(port, target, **fields)
        return head.status, head.headers.get("www-authenticate")
    if way in ("events", "messages"):
        fields["Accept"] = "text/event-stream" if way == "events" else "application/json"
    if way == "lines":
        fields["Content-Type"] = "application/x-ndjson"
    answer = Answer(port, "POST" if WAYS[way] == "publish" else "GET",
                    target + (("&" if "?" in target else "?") + "info" if way == "info" else ""),
                    b"1\n" if WAYS[way] == "publish" else None, **fields)
    return answer.status, answer.fields["WWW-Authenticate"]


@pytest.mark.parametrize("way", WAYS)
def test_without_a_valid_token_it_is_401_and_without_the_right_403(server, way):
    good = 101 if way == "websocket" else 200
    # the channel exists, so that what reads it finds it
    keeper = rawws.Client(server.port)
    keeper.upgrade("/ws/news/a", **bearer("a" * 43))
    assert ask(server.port, way, "/ws/news/a") == (401, "Bearer")
    for wrong in ("x" * 43, "a" * 42, "a" * 44, "a.b.c", "ä"):
        assert ask(server.port, way, "/ws/news/a", **bearer(wrong)) == (
            401, 'Bearer error="invalid_token"')
    assert ask(server.port, way, "/ws/news/a", Authorization="Basic YTpi")[0] == 401
    assert ask(server.port, way, "/ws/news/a", **bearer("a" * 43))[0] == good
    may, may_not = ("r", "w") if WAYS[way] == "subscribe" else ("w", "r")
    assert ask(server.port, way, "/ws/news/a", **bearer(may * 43))[0] == good
    for token in (may_not, "n"):
        assert ask(server.port, way, "/ws/news/a", **bearer(token * 43)) == (
            403, 'Bearer error="insufficient_scope"')
    for target in ("/ws/news/a/b", "/ws/other"):
        assert ask(server.port, way, target, **bearer(may * 43))[0] == 403
    keeper.close()


@pytest.mark.parametrize("way", WAYS)
def test_what_anyone_may_takes_no_token_but_a_wrong_one_is_refused_all_the_same(
        start, file, tmp_path, way):
    config = tmp_path / "conf"
    config.write_text(f"[server]\nlisten = 127.0.0.1:0\ntoken-file = {file}\n"
                      "[channel open]\nmay-subscribe = anyone\nmay-publish = anyone\n"
                      "[channel shut]\nmay-subscribe = nobody\nmay-publish = nobody\n")
    server = start(programs.Server, "--config", str(config))
    good = 101 if way == "websocket" else 200
    keeper = server.client("/ws/open")
    assert ask(server.port, way, "/ws/open")[0] == good
    assert ask(server.port, way, "/ws/open", **bearer("x" * 43))[0] == 401
    assert ask(server.port, way, "/ws/open?access_token=")[0] == 401
    assert ask(server.port, way, "/ws/open", **bearer("n" * 43))[0] == good
    assert ask(server.port, way, "/ws/shut")[0] == 403
    assert ask(server.port, way, "/ws/shut", **bearer("a" * 43))[0] == 403
    keeper.close()


def test_without_users_credentials_are_not_looked_at(start):
    server = start(programs.Server)
    for fields in ({}, bearer("x"), {"Authorization": "Basic YTpi"}):
        assert ask(server.port, "websocket", "/ws?access_token=", **fields)[0] == 101


def test_a_token_may_come_in_four_ways_and_the_first_decides(start, file):
    server = start(programs.Server, "--token-file", str(file), "--auth-cookie", "session",
                   "--origin", "https://page.example", "--origin", "*")
    good, bad, port = "a" * 43, "x" * 43, server.port

    def status(target="/ws", **fields):
        return handshake(port, target, **fields).status

    assert status(**bearer(good)) == 101
    assert status(Cookie=f"a=b; session={good}") == 101
    assert status(Sec_WebSocket_Protocol=f"bearer.{good}, wsbroadcast") == 101
    assert status(f"/ws?access_token={good}") == 101
    assert status(f"/ws?access_token={good}", **bearer(bad)) == 401
    assert status(f"/ws?access_token={bad}", **bearer(good)) == 101
    # a cookie only from this server's own pages, or those listed by name
    cookie = {"Cookie": f"session={good}"}
    assert status(Origin="https://page.example", **cookie) == 101
    assert status(Origin=f"http://127.0.0.1:{port}", **cookie) == 101
    assert status(Origin="https://other.example", **cookie) == 401
    assert status(Sec_Fetch_Site="cross-site", **cookie) == 401
    assert status(Sec_Fetch_Site="same-origin", **cookie) == 101
    assert Answer(port, "POST", "/ws", b"x", **cookie).status == 401


def test_a_page_with_cookies_may_read_by_its_own_name_alone(start, file):
    server = start(programs.Server, "--token-file", str(file), "--auth-cookie", "session",
                   "--origin", "*")
    fields = Answer(server.port, "GET", "/channels", Origin="https://page.example").fields
    assert fields["Access-Control-Allow-Origin"] == "https://page.example"
    assert fields["Access-Control-Allow-Credentials"] == "true"
    preflight = Answer(server.port, "OPTIONS", "/ws", Origin="https://page.example",
                       Access_Control_Request_Method="POST")
    assert preflight.status == 204  # takes no token, which a preflight never has


def test_the_subprotocol_wsbroadcast_is_agreed_to_and_a_token_never(server, start):
    token = "a" * 43
    head = handshake(server.port, Sec_WebSocket_Protocol=f"bearer.{token}, wsbroadcast")
    assert head.status == 101 and head.headers["sec-websocket-protocol"] == "wsbroadcast"
    head = handshake(server.port, Sec_WebSocket_Protocol=f"bearer.{token}")
    assert head.status == 101 and "sec-websocket-protocol" not in head.headers
    open_server = start(programs.Server)
    head = handshake(open_server.port, Sec_WebSocket_Protocol="other,wsbroadcast")
    assert head.headers["sec-websocket-protocol"] == "wsbroadcast"
    for offer in ("bearer.x", "WSBROADCAST", "wsbroadcast2"):
        head = handshake(open_server.port, Sec_WebSocket_Protocol=offer)
        assert head.status == 101 and "sec-websocket-protocol" not in head.headers


def test_publishing_over_a_websocket_without_the_right_closes_it(start, server):
    with rawws.Client(server.port) as client:
        client.upgrade("/ws/news/a", **bearer("r" * 43))
        client.send_text("x")
        assert client.recv_close() == (1008, "no right to publish here")


def test_the_list_of_channels_has_what_may_be_subscribed_to(server):
    clients = []
    for name in ("news/a", "news/b", "secret"):
        clients.append(rawws.Client(server.port))
        clients[-1].upgrade(f"/ws/{name}", **bearer("a" * 43))

    def names(query: str = "", **fields: str) -> list[str]:
        page = json.loads(Answer(server.port, "GET", "/channels" + query, **fields).text)
        return sorted(channel["channel"] for channel in page["channels"])

    assert names() == []
    assert names(**bearer("a" * 43)) == ["", "news/a", "news/b", "secret"]
    assert names(**bearer("r" * 43)) == ["news/a", "news/b"]
    assert names(**bearer("w" * 43)) == []
    assert Answer(server.port, "GET", "/channels", **bearer("x" * 43)).status == 401
    # one that is not to be seen is as one that is not there
    for name in ("secret", "missing"):
        assert Answer(server.port, "GET", f"/channels?after={name}",
                      **bearer("r" * 43)).status == 404
    page = json.loads(Answer(server.port, "GET", "/channels?limit=1", **bearer("r" * 43)).text)
    assert page["next"] in ("news/a", "news/b")
    for client in clients:
        client.close()


def test_only_who_has_a_right_there_makes_a_channel(start, file):
    server = start(programs.Server, "--token-file", str(file), "--create-channels", "authorized",
                   "--may-subscribe", "anyone", "--may-publish", "anyone")
    assert ask(server.port, "websocket", "/ws/news/a")[0] == 404
    assert ask(server.port, "post", "/ws/news/a")[0] == 404
    assert ask(server.port, "post", "/ws/news/a", **bearer("r" * 43))[0] == 404
    with rawws.Client(server.port) as client:
        client.upgrade("/ws/news/a", **bearer("r" * 43))
        assert ask(server.port, "websocket", "/ws/news/a")[0] == 101
        assert ask(server.port, "post", "/ws/news/a")[0] == 200


@pytest.mark.parametrize("workers", ["1", "3"])
def test_a_reload_ends_those_whose_line_is_gone_and_no_others(start, file, workers):
    server = start(programs.Server, "--token-file", str(file), "-w", workers)
    gone, stays, less = ([], [], [])
    for _ in range(20):
        for group, token in ((gone, "r"), (stays, "a"), (less, "w")):
            client = rawws.Client(server.port)
            group.append(client)
            if group is less:
                token = "l"
            client.send(client.request("/ws/news/a", **bearer(token * 43)))
    for client in less:
        assert client.recv_head().status == 401
    for client in gone + stays:
        client.recv_accept()
    stream = rawws.Client(server.port)
    stream.send(b"GET /ws/news/a HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n"
                b"Authorization: Bearer " + b"r" * 43 + b"\r\n\r\n")
    assert stream.recv_head().status == 200
    file.write_text(line("alice", "a" * 43) + line("bob", "b" * 43))
    server.process.send_signal(signal.SIGHUP)
    for client in gone:
        assert client.recv_close() == (1008, "the token is not valid any more")
    while stream.sock.recv(4096):
        pass
    assert ask(server.port, "websocket", "/ws", **bearer("r" * 43))[0] == 401
    assert ask(server.port, "websocket", "/ws", **bearer("b" * 43))[0] == 101
    stays[0].send_text("x")
    for client in stays:
        assert client.recv_message() == "x"


def test_a_reload_judges_rights_again_also_of_those_that_are_anonymous(start, file, tmp_path):
    config = tmp_path / "conf"
    base = f"[server]\nlisten = 127.0.0.1:0\ntoken-file = {file}\n"
    config.write_text(base + "[channel news/**]\nmay-subscribe = anyone\nmay-publish = anyone\n")
    server = start(programs.Server, "--config", str(config))
    anonymous = server.client("/ws/news/a")
    reader, alice, other = (rawws.Client(server.port) for _ in range(3))
    reader.upgrade("/ws/news/b", **bearer("r" * 43))
    alice.upgrade("/ws/news/b", **bearer("a" * 43))
    other.upgrade("/ws/news/c", **bearer("n" * 43))
    config.write_text(base)
    server.process.send_signal(signal.SIGHUP)
    for client in (anonymous, other):
        assert client.recv_close() == (1008, "no right to subscribe any more")
    alice.send_text("x")
    assert reader.recv_message() == alice.recv_message() == "x"
    file.write_text(file.read_text().replace("news/*", "old/*"))
    server.process.send_signal(signal.SIGHUP)
    assert reader.recv_close() == (1008, "no right to subscribe any more")
    alice.send_text("y")
    assert alice.recv_message() == "y"


def test_a_token_file_that_is_wrong_stops_the_start_and_changes_nothing_later(start, file):
    server = start(programs.Server, "--token-file", str(file))
    file.write_text("alice\n" + line("bob", "b" * 43, "rights=all"))
    failed = subprocess.run([programs.WSBROADCASTD, "-l", "0", "--token-file", str(file)],
                            capture_output=True, text=True, check=False, timeout=rawws.TIMEOUT)
    assert failed.returncode == 2
    assert f"{file}:1: " in failed.stderr and f"{file}:2: " in failed.stderr
    server.process.send_signal(signal.SIGHUP)
    server.wait_stderr("the configuration stays as it was")
    assert ask(server.port, "websocket", "/ws", **bearer("a" * 43))[0] == 101
    assert ask(server.port, "websocket", "/ws", **bearer("b" * 43))[0] == 401


def test_the_operator_sees_users_and_ends_all_that_one_has(start, file):
    admin = Admin(start, "--token-file", str(file), "--log-connections")
    clients = {}
    for user in ("alice", "reader"):
        clients[user] = [rawws.Client(admin.server.port) for _ in range(3)]
        for client in clients[user]:
            client.upgrade("/ws/news/a", **bearer(user[0] * 43))
    assert [row["user"] for row in admin.connections("?user=alice")] == ["alice"] * 3
    assert json.loads(admin.ask("DELETE", "/connections?user=reader")[1]) == {"closed": 3}
    for client in clients["reader"]:
        assert client.recv_close()[0] == 1008
        client.disconnect()
    admin.server.wait_stderr("connection id=.* user=reader", 3)
    clients["alice"][0].send_text("x")
    for client in clients["alice"]:
        assert client.recv_message() == "x"
    # all channels are the operator's to see
    names = [row["channel"] for row in json.loads(admin.ask("GET", "/channels")[1])["channels"]]
    assert "news/a" in names


def test_one_user_subscribes_with_so_many_connections_on_all_workers(start, file):
    server = start(programs.Server, "--token-file", str(file), "-w", "2",
                   "--max-connections-per-user", "2")
    clients = [rawws.Client(server.port) for _ in range(2)]
    for client in clients:
        client.upgrade(**bearer("a" * 43))
    assert ask(server.port, "websocket", "/ws", **bearer("a" * 43))[0] == 503
    assert ask(server.port, "events", "/ws", **bearer("a" * 43))[0] == 503
    assert ask(server.port, "websocket", "/ws/news/a", **bearer("r" * 43))[0] == 101
    clients[0].close()
    programs.wait_until("a place is free", lambda: ask(
        server.port, "websocket", "/ws", **bearer("a" * 43))[0] == 101)
    server.wait_stderr("limit max-connections-per-user: refused with 503")


def test_tokens_stand_in_nothing_that_the_server_tells(start, file):
    admin = Admin(start, "--token-file", str(file), "--log-connections", "--log-level", "debug",
                  "--publish", "none")
    token, wrong = "a" * 43, "wrong" * 8
    told = ""
    for secret in (token, wrong):
        for target, fields in ((f"/ws?access_token={secret}", {}), ("/ws", bearer(secret)),
                               ("/ws", {"Sec_WebSocket_Protocol": f"bearer.{secret}"}),
                               ("/other", bearer(secret))):
            for way in WAYS:
                ask(admin.server.port, way, target, **fields)
            told += Answer(admin.server.port, "POST", target, b"x", **fields).text
    with rawws.Client(admin.server.port) as client:
        client.upgrade(f"/ws?access_token={token}")
        for target in ("/metrics", "/connections", "/config", "/channels"):
            told += admin.ask("GET", target)[1]
    admin.server.stop()
    told += admin.server.stderr
    assert "alice" in told
    for secret in (token, wrong, hashlib.sha256(token.encode()).hexdigest()):
        assert secret not in told


def test_a_new_token_and_its_line_let_in(start, tmp_path):
    made = subprocess.run([programs.WSBROADCASTD, "--new-token", "alice"], capture_output=True,
                          text=True, check=True)
    token, of_file = made.stdout.splitlines()
    assert len(token) == 43 and of_file.startswith("alice sha256:")
    path = tmp_path / "tokens"
    path.write_text(of_file)  # without a newline, which is put there before the next
    made = subprocess.run([programs.WSBROADCASTD, "--new-token", "bob", "--token-file", str(path)],
                          capture_output=True, text=True, check=True)
    other = made.stdout.strip()
    server = start(programs.Server, "--token-file", str(path))
    for good in (token, other):
        assert ask(server.port, "websocket", "/ws", **bearer(good))[0] == 101
    fresh = tmp_path / "fresh"
    subprocess.run([programs.WSBROADCASTD, "--new-token", "x", "--token-file", str(fresh)],
                   stdout=subprocess.DEVNULL, check=True)
    assert fresh.stat().st_mode & 0o777 == 0o600
    for name in ("", "a b", "#a", "a]", "a\x01"):
        assert subprocess.run([programs.WSBROADCASTD, "--new-token", name], check=False,
                              capture_output=True).returncode == 1


@pytest.mark.parametrize("options", [
    ["--may-subscribe", "authorized"], ["--may-publish", "authorized"],
    ["--create-channels", "authorized"], ["--auth-cookie", "a"], ["--jwt-issuer", "i"]])
def test_what_needs_users_is_refused_where_there_are_none(options):
    failed = subprocess.run([programs.WSBROADCASTD, "-l", "0", *options], capture_output=True,
                            text=True, check=False, timeout=rawws.TIMEOUT)
    assert failed.returncode == 2 and "--jwt-key" in failed.stderr


def keep_asking(port: int, count: int, *, via: str | None = None, secret: str = "x" * 43) -> list[int]:
    """The statuses of so many requests on one connection."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=rawws.TIMEOUT)
    got = []
    for _ in range(count):
        connection.request("GET", "/channels", headers=bearer(secret) | (
            {"X-Forwarded-For": via} if via else {}))
        response = connection.getresponse()
        response.read()
        got.append(response.status)
        if response.status == 429:
            assert response.headers["Retry-After"] == "60"
    connection.close()
    return got


def test_guessing_is_stopped_by_address_and_costs_others_nothing(start, file):
    admin = Admin(start, "--token-file", str(file), "-w", "2", "--trusted-proxy", "127.0.0.1",
                  "--max-auth-failures-per-minute", "5")
    port = admin.server.port
    assert keep_asking(port, 3, via="192.0.2.1") == [401] * 3
    assert keep_asking(port, 4, via="192.0.2.1") == [401, 401, 429, 429]
    assert keep_asking(port, 1, via="192.0.2.1", secret="a" * 43) == [429]
    assert keep_asking(port, 2, via="192.0.2.2", secret="a" * 43) == [200, 200]
    # without a credential there is nothing to guess
    assert Answer(port, "GET", "/channels", X_Forwarded_For="192.0.2.1").status == 200
    metrics = admin.metrics()
    assert metrics['wsbroadcastd_credentials_total{verdict="refused"}'] == 5
    assert metrics['wsbroadcastd_credentials_total{verdict="limited"}'] == 3
    assert metrics['wsbroadcastd_credentials_total{verdict="accepted"}'] == 2
    assert metrics['wsbroadcastd_limit_hits_total{limit="max-auth-failures-per-minute"}'] == 3
    admin.server.wait_stderr(r"192\.0\.2\.1.*refused with 401: '/channels': the token is not valid")
    assert "x" * 43 not in admin.server.stderr


def test_through_loopback_each_connection_guesses_for_itself(start, file):
    server = start(programs.Server, "--token-file", str(file),
                   "--max-auth-failures-per-minute", "2")
    assert keep_asking(server.port, 3) == [401, 401, 429]
    assert keep_asking(server.port, 2, secret="a" * 43) == [200, 200]


def test_sections_of_users_give_rights_to_tokens_that_name_none(start, file, tmp_path):
    file.write_text(line("alice", "a" * 43, "") + line("bob", "b" * 43, "")
                    + line("alice", "o" * 43, "subscribe=own"))
    config = tmp_path / "conf"
    base = f"[server]\nlisten = 127.0.0.1:0\ntoken-file = {file}\n"
    config.write_text(base + "[user alice]\nsubscribe = news/*, =\npublish = news/alice\n")
    server = start(programs.Server, "--config", str(config))
    for way, target, token, status in (
        ("websocket", "/ws/news/a", "a", 101), ("websocket", "/ws", "a", 101),
        ("websocket", "/ws/other", "a", 403), ("post", "/ws/news/alice", "a", 200),
        ("post", "/ws/news/bob", "a", 403), ("websocket", "/ws/news/a", "b", 403),
        ("websocket", "/ws/own", "o", 101), ("websocket", "/ws/news/a", "o", 403),
    ):
        assert ask(server.port, way, target, **bearer(token * 43))[0] == status, (way, target, token)
    with rawws.Client(server.port) as client:
        client.upgrade("/ws/news/a", **bearer("a" * 43))
        config.write_text(base + "[user alice]\nsubscribe = =\n")
        server.process.send_signal(signal.SIGHUP)
        assert client.recv_close() == (1008, "no right to subscribe any more")


def refusal_of(directory, text: str) -> tuple:
    """The file of a configuration that cannot be used, and what --check-config says of it."""
    config = directory / "conf"
    config.write_text(text)
    failed = subprocess.run([programs.WSBROADCASTD, "--config", str(config), "--check-config"],
                            capture_output=True, text=True, check=False, timeout=rawws.TIMEOUT)
    assert failed.returncode == 2
    return config, failed.stderr


def test_what_is_wrong_with_a_section_of_a_user_is_told(tmp_path):
    config, said = refusal_of(
        tmp_path, "[user a]\nsubscribe = x//y\nrights = all\npublish = a\npublish = b\n[user a]\n"
    )
    for number in (2, 3, 5, 6):
        assert f"{config}:{number}: " in said


def test_sections_of_users_without_a_source_of_users_are_an_error(tmp_path):
    config, said = refusal_of(
        tmp_path, "[server]\nlisten = 127.0.0.1:0\n[user a]\nsubscribe = =\n[user b]\n"
    )
    for number in (3, 5):
        assert f"{config}:{number}: [user NAME] needs a source of users" in said


@pytest.mark.skipif(programs.SANITIZED, reason="redzones cost more than what they guard")
def test_an_idle_subscriber_with_a_token_costs_at_most_64_bytes_more(start, file):
    server = start(programs.Server, "--token-file", str(file), "--may-subscribe", "anyone", "-w", "1")
    count, clients, cost = 8_000, [], {}

    def connect(many: int, **fields: str) -> None:
        while many > 0:
            batch = [rawws.Client(server.port) for _ in range(min(100, many))]
            for client in batch:
                client.send(client.request(**fields))
            for client in batch:
                client.recv_accept()
            clients.extend(batch)
            many -= len(batch)

    connect(500)
    connect(500, **bearer("a" * 43))
    try:
        for what, fields in (("anonymous", {}), ("authorized", bearer("a" * 43))):
            before = server.rss_anon()
            connect(count, **fields)
            cost[what] = (server.rss_anon() - before) / count
        print(f"bytes a subscriber: {cost}")
        assert cost["authorized"] - cost["anonymous"] <= 64 + 4  # a page is half a byte of each
    finally:
        for client in clients:
            client.reset()
