"""The operator's address: metrics, health, connections, reload, drain; and who may use it."""

from __future__ import annotations

import json
import re
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path

import programs
import pytest
import rawws

from test_channel_settings import post


class Admin:
    """A server with --admin, and requests to that."""

    def __init__(self, start, *options: str) -> None:
        self.server = start(programs.Server, "--admin", "127.0.0.1:0", *options)
        found = self.server.wait_stderr(r"listening on 127\.0\.0\.1:(\d+) for the operator")
        self.port = int(found[0][1])

    def ask(self, method: str, target: str, **headers: str) -> tuple[int, str]:
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}{target}", method=method,
            headers={name.replace("_", "-"): value for name, value in headers.items()},
            data=b"" if method == "POST" else None)
        try:
            with urllib.request.urlopen(request, timeout=rawws.TIMEOUT) as response:
                return response.status, response.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    def metrics(self) -> dict[str, float]:
        status, text = self.ask("GET", "/metrics")
        assert status == 200
        return {line.rpartition(" ")[0]: float(line.rpartition(" ")[2])
                for line in text.splitlines() if not line.startswith("#")}

    def connections(self, query: str = "") -> list[dict]:
        status, text = self.ask("GET", "/connections" + query)
        assert status == 200
        return json.loads(text)["connections"]


@pytest.fixture
def admin(start):
    return lambda *options: Admin(start, *options)


@pytest.mark.parametrize("workers", ["1", "3"])
def test_the_metrics_count_what_has_happened(admin, workers):
    it = admin("-w", workers)
    clients = [it.server.client() for _ in range(4)]
    clients[0].send_text("hello")
    for client in clients:
        assert client.recv_message() == "Message: hello"
    assert post(it.server, "", "abc") == 200
    for client in clients:
        assert client.recv_message() == "abc"
    metrics = it.metrics()
    assert metrics['wsbroadcastd_connections{transport="websocket"}'] == 4
    assert metrics['wsbroadcastd_messages_received_total{way="websocket"}'] == 1
    assert metrics['wsbroadcastd_messages_received_total{way="http"}'] == 1
    assert metrics['wsbroadcastd_received_bytes_total{way="websocket"}'] == 5
    assert metrics["wsbroadcastd_deliveries_total"] == 8
    assert metrics['wsbroadcastd_sent_bytes_total{transport="websocket"}'] == 4 * (2 + 14 + 2 + 3)
    assert metrics['wsbroadcastd_http_responses_total{status="101"}'] == 4
    assert metrics['wsbroadcastd_http_responses_total{status="200"}'] == 1
    assert metrics["wsbroadcastd_publish_latency_seconds_count"] >= 1
    assert metrics["process_open_fds"] > 4
    assert metrics["wsbroadcastd_channels"] == 1
    clients[0].close()
    programs.wait_until("one has left", lambda: it.metrics()[
        'wsbroadcastd_connections{transport="websocket"}'] == 3)


def test_promtool_finds_nothing_in_the_metrics(admin):
    it = admin("--workers", "2")
    page = it.ask("GET", "/metrics")[1]
    try:
        said = subprocess.run(["promtool", "check", "metrics"], input=page, text=True,
                              capture_output=True, timeout=60)
    except FileNotFoundError:
        pytest.skip("promtool (Debian: prometheus) is not installed")
    assert (said.returncode, said.stdout + said.stderr) == (0, "")


def test_who_is_connected_page_by_page(admin):
    it = admin("-w", "3", "--prefix", "")
    clients = [it.server.client("/ws/a" if i % 2 else "/ws/b") for i in range(7)]
    clients[1].send_text("hello")
    for client in clients[1::2]:
        assert client.recv_message() == "hello"
    rows = it.connections("?channel=a")
    assert len(rows) == 3
    assert sum(row["messages_in"] for row in rows) == 1
    assert all(row["transport"] == "websocket" and row["messages_out"] == 1 for row in rows)
    assert all(row["address"].startswith("127.0.0.1 port ") for row in rows)
    assert all(abs(row["since"] - time.time()) < 60 and row["round_trip_ms"] >= 0 for row in rows)
    seen, after = [], 0
    while after is not None:
        page = json.loads(it.ask("GET", f"/connections?limit=2&after={after}")[1])
        assert len(page["connections"]) <= 2
        seen += [row["id"] for row in page["connections"]]
        after = page["next"]
    assert seen == sorted(seen)
    assert len(set(seen)) == 7
    assert it.ask("GET", "/connections?limit=0")[0] == 400
    assert it.ask("GET", "/connections?transport=x")[0] == 400


def test_connections_are_ended_by_id_and_by_filter(admin):
    it = admin("-w", "2")
    first, second, other = (it.server.client(t) for t in ("/ws/a", "/ws/a", "/ws/b"))
    row = it.connections("?channel=b")[0]
    assert it.ask("DELETE", f"/connections/{row['id']}?reason=bye%20now")[0] == 200
    assert other.recv_close() == (1008, "bye now")
    assert it.ask("DELETE", f"/connections/{row['id']}")[0] in (200, 404)
    assert json.loads(it.ask("DELETE", "/connections?channel=a")[1]) == {"closed": 2}
    for client in (first, second):
        assert client.recv_close() == (1008, "closed by the operator")
    assert it.ask("DELETE", "/connections")[0] == 400
    assert it.ask("DELETE", "/connections/x")[0] == 404
    assert it.ask("DELETE", "/connections?channel=a&reason=%FF")[0] == 400  # no reason of a Close


def test_health_says_whether_it_is_ready(admin):
    it = admin("--drain-delay", "30")
    assert it.ask("GET", "/health/live") == (200, "alive\n")
    assert it.ask("GET", "/health/ready") == (200, "ready\n")
    assert public_health(it.server) == 200
    client = it.server.client()
    it.server.process.send_signal(signal.SIGTERM)
    it.server.wait_stderr("stopping on SIGTERM: connections are closed within 30.0 seconds")
    status, why = it.ask("GET", "/health/ready")
    assert (status, why) == (503, "draining\n")
    assert public_health(it.server) == 503
    assert it.ask("GET", "/health/live")[0] == 200
    client.send_text("x")  # it serves as before
    assert client.recv_message() == "Message: x"


def public_health(server: programs.Server, path: str = "/health", **headers: str) -> int:
    request = urllib.request.Request(f"http://127.0.0.1:{server.port}{path}", headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=rawws.TIMEOUT) as response:
            return response.status
    except urllib.error.HTTPError as error:
        return error.code


def test_health_is_answered_whatever_host_a_load_balancer_names(start):
    server = start(programs.Server, "--server-name", "feed.example", "--health-path", "/up")
    assert public_health(server, "/up", Host="10.0.0.7:80") == 200
    assert public_health(server, "/health", Host="feed.example") == 404
    assert public_health(server, "/ws", Host="10.0.0.7") == 421
    none = start(programs.Server, "--health-path", "")
    assert public_health(none) == 404


def test_connections_are_closed_evenly_while_it_drains(start):
    server = start(programs.Server, "--drain", "1", "-w", "2")
    clients = [server.client() for _ in range(30)]
    began = time.monotonic()
    server.process.send_signal(signal.SIGTERM)
    times = []
    for client in clients:
        assert client.recv_close()[0] == 1001
        times.append(time.monotonic() - began)
        client.send_close(1001)
    assert max(times) - min(times) > 0.3  # not all at once
    server.wait()


def test_a_second_signal_ends_what_drains(start):
    server = start(programs.Server, "--drain", "30", "--drain-delay", "30")
    server.client()
    server.process.send_signal(signal.SIGTERM)
    server.wait_stderr("stopping on SIGTERM")
    server.process.send_signal(signal.SIGTERM)
    server.wait()


def test_reload_and_drain_by_request(start, tmp_path):
    path = tmp_path / "wsbroadcastd.conf"
    path.write_text("[server]\nlisten = 127.0.0.1:0\nprefix = 1:\n")
    it = Admin(start, "--config", str(path))
    path.write_text("[server]\nlisten = 127.0.0.1:0\nprefix = 2:\n")
    assert it.ask("POST", "/reload") == (200, "the configuration is in force\n")
    client = it.server.client()
    client.send_text("x")
    assert client.recv_message() == "2:x"
    path.write_text("[server]\nfoo = 1\n")
    assert it.ask("POST", "/reload")[0] == 409
    assert it.ask("GET", "/config")[1].splitlines()[0] == "[server]"
    assert it.ask("POST", "/drain") == (200, "draining\n")
    assert client.recv_close()[0] == 1001
    client.send_close(1001)
    it.server.wait()


def test_pages_of_others_and_foreign_names_get_nothing(admin):
    it = admin()
    for headers in ({"Origin": "https://evil.example"}, {"Sec_Fetch_Site": "cross-site"},
                    {"Host": "evil.example"}):
        for method, target in (("GET", "/metrics"), ("GET", "/connections"), ("POST", "/drain")):
            assert it.ask(method, target, **headers)[0] == 403
    assert it.ask("GET", "/connections", Origin=f"http://127.0.0.1:{it.port}")[0] == 200
    assert it.ask("GET", "/ws")[0] == 404
    assert public_health(it.server, "/metrics") == 404
    assert public_health(it.server, "/connections") == 404


def test_the_token_guards_all_but_metrics_and_health(admin, tmp_path):
    path = tmp_path / "token"
    path.write_text("0123456789abcdef0123\n")
    it = admin("--admin-token-file", str(path))
    assert it.ask("GET", "/metrics")[0] == 200
    assert it.ask("GET", "/health/ready")[0] == 200
    for wrong in ({}, {"Authorization": "Bearer 0123456789abcdef012"},
                  {"Authorization": "Basic 0123456789abcdef0123"}):
        assert it.ask("GET", "/connections", **wrong)[0] == 401
    assert it.ask("GET", "/connections", Authorization="Bearer 0123456789abcdef0123")[0] == 200
    assert "0123456789abcdef" not in it.ask(
        "GET", "/config", Authorization="Bearer 0123456789abcdef0123")[1]


def test_beyond_this_machine_a_token_is_needed(tmp_path):
    def run(*options: str) -> subprocess.CompletedProcess:
        return subprocess.run([programs.WSBROADCASTD, *options, "--check-config"],
                              capture_output=True, text=True, timeout=20)

    said = run("--admin", "0.0.0.0:0")
    assert said.returncode == 2
    assert "--admin-token-file" in said.stderr
    path = tmp_path / "token"
    path.write_text("short\n")
    assert "shorter than 16" in run("--admin", "0.0.0.0:0", "--admin-token-file", str(path)).stderr
    path.write_text("0123456789abcdef\n")
    assert run("--admin", "0.0.0.0:0", "--admin-token-file", str(path)).returncode == 0
    assert run("--admin", f"unix:{tmp_path}/s").returncode == 0


def test_the_history_of_a_channel_is_forgotten(admin):
    it = admin("--history-messages", "10")
    for channel in ("", "/a/b"):
        assert post(it.server, channel, "x") == 200
    assert it.ask("DELETE", "/channels/a/b/history")[0] == 200
    rows = {row["channel"]: row for row in json.loads(it.ask("GET", "/channels")[1])["channels"]}
    assert rows[""]["messages"] == 1
    assert "a/b" not in rows or rows["a/b"]["messages"] == 0
    assert it.ask("DELETE", "/channels/history")[0] == 200
    assert it.ask("DELETE", "/channels/none/history")[0] == 404
    assert it.ask("DELETE", "/channels/a")[0] == 404


def test_the_operator_gets_in_where_there_are_too_many_connections(admin):
    it = admin("--max-connections", "1")
    client = it.server.client()
    assert it.ask("GET", "/health/ready")[0] == 200
    refused = rawws.Client(it.server.port)
    refused.send(refused.request())
    assert refused.recv_response().status == 503
    client.close()


def test_many_scrapes_that_are_never_read_hold_up_nobody(admin):
    it = admin("-w", "2")
    idle = [socket.create_connection(("127.0.0.1", it.port)) for _ in range(200)]
    for sock in idle:
        sock.sendall(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n" * 5)
    client = it.server.client()
    for i in range(50):
        client.send_text(str(i))
        assert client.recv_message() == f"Message: {i}"
    for sock in idle:
        sock.close()
    assert it.metrics()["wsbroadcastd_deliveries_total"] == 50


def test_a_unix_socket_serves_the_operator(start, tmp_path):
    path = tmp_path / "admin"
    start(programs.Server, "--admin", f"unix:{path}").wait_stderr("for the operator")
    assert (Path(path).stat().st_mode & 0o777) == 0o660
    with socket.socket(socket.AF_UNIX) as sock:
        sock.connect(str(path))
        sock.sendall(b"GET /health/live HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        said = b""
        while piece := sock.recv(4096):
            said += piece
    assert re.search(rb"200 OK.*alive", said, re.S)


def test_each_connection_leaves_a_line_when_that_is_asked_for(start):
    server = start(programs.Server, "--log-connections")
    with server.client("/ws/a") as client:
        client.send_text("hello")
        assert client.recv_message() == "hello"
        client.close(1000)
    server.wait_stderr(r'connection id=\d+ address="127\.0\.0\.1 port \d+" channel=a '
                       r"transport=websocket seconds=\d+\.\d+ messages_in=1 bytes_in=5 "
                       r"messages_out=1 bytes_out=7 by=client code=1000")
    assert public_health(server) == 200
    server.wait_stderr(r'connection id=\d+ address="127\.0\.0\.1 port \d+" channel="" '
                       r"transport=http .* messages_in=0 .* by=(client|server)$")
