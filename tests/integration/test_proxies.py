"""Behind nginx: as it comes, as it has to be told, and with a pool of kept connections."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import programs
import pytest
from rawws import Client
from test_http import check_line

NGINX = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
pytestmark = pytest.mark.skipif(NGINX is None, reason="nginx is not installed (scripts/setup test)")

UPGRADES = """
    proxy_http_version 1.1;
    proxy_set_header Upgrade $http_upgrade;
    proxy_set_header Connection "upgrade";
"""
POOLED = """
    proxy_http_version 1.1;
    proxy_set_header Connection "";
"""
CONFIGURATION = """
daemon off; master_process off; worker_processes 1; pid {dir}/pid; error_log stderr;
events {{ worker_connections 64; }}
http {{
    access_log off;
    client_body_temp_path {dir}/body; proxy_temp_path {dir}/proxy; fastcgi_temp_path {dir}/fastcgi;
    uwsgi_temp_path {dir}/uwsgi; scgi_temp_path {dir}/scgi;
    upstream feed {{ server 127.0.0.1:{port}; keepalive 4; keepalive_timeout 60s; }}
    server {{
        listen unix:{dir}/socket;
        location / {{ proxy_pass http://feed; {how} }}
    }}
}}
"""


@pytest.fixture
def nginx(start, tmp_path) -> Callable[[programs.Server, str], str]:
    """nginx(server, how) is the Unix socket of an nginx in front of it, configured so."""

    def run(server: programs.Server, how: str = "") -> str:
        file = tmp_path / "nginx.conf"
        file.write_text(CONFIGURATION.format(dir=tmp_path, port=server.port, how=how))
        start(programs.Program, [NGINX, "-e", "stderr", "-c", str(file), "-p", str(tmp_path)])
        programs.wait_until("nginx listens", lambda: is_there(tmp_path / "socket"))
        return str(tmp_path / "socket")

    return run


def is_there(path: Path) -> bool:
    try:
        Client(str(path)).disconnect()
    except OSError:
        return False
    return True


def test_as_it_comes_nginx_is_told_what_it_lacks(server, nginx):
    with Client(nginx(server)) as client:
        client.send(client.request())
        answer = client.recv_response()
    check_line(answer, 426)
    assert "proxy" in answer.body and "HTTP/1.1" in answer.body and "Upgrade" in answer.body
    server.wait_stderr("refused with 426: '/ws': .*proxy")


def test_a_listed_page_may_do_all_whatever_host_nginx_asks_for(wsbroadcastd, nginx):
    """By default nginx asks for the name of its upstream, which is no name of this machine."""
    server = wsbroadcastd("--origin", "https://app.example", "--prefix", "")
    socket = nginx(server, UPGRADES)
    with Client(socket) as client, Client(socket) as poster:
        client.upgrade(Origin="https://app.example", Host="feed.example")
        poster.send(
            b"POST /ws HTTP/1.1\r\nHost: feed.example\r\nOrigin: https://app.example\r\n"
            b"Content-Length: 5\r\n\r\nhello"
        )
        answer = poster.recv_head()
        assert answer.status == 200
        assert answer.headers["access-control-allow-origin"] == "https://app.example"
        assert client.recv_message() == "hello"
        client.send_text("back")
        assert client.recv_message() == "back"


def test_a_pool_of_kept_connections_gets_no_answer_that_it_did_not_ask_for(wsbroadcastd, nginx):
    server = wsbroadcastd("--keepalive-timeout", "0.5", "--handshake-timeout", "0.25", "-w", "1")
    socket = nginx(server, POOLED + "proxy_set_header Host localhost; proxy_next_upstream off;")
    listening = server.sockets()
    for _ in range(3):
        with Client(socket) as client:
            for _ in range(3):
                client.send(b"GET /channels HTTP/1.1\r\nHost: x\r\n\r\n")
                head = client.recv_head()
                assert head.status == 200, head
                client.recv_exactly(int(head.headers["content-length"]))
        assert server.sockets() > listening  # kept in the pool
        programs.wait_until("they are closed", lambda: server.sockets() == listening)
    server.stop()
    assert "limit" not in server.stderr


# ---- --trusted-proxy: whose request it is ----

FORWARDS = UPGRADES + 'proxy_set_header X-Forwarded-For "1.1.1.1, 198.51.100.9, 10.1.2.3";'


def ask(server: programs.Server, fields: str) -> Client:
    client = Client(server.port)
    client.send(f"GET /channels HTTP/1.1\r\nHost: 127.0.0.1\r\n{fields}\r\n".encode())
    return client


def test_behind_nginx_the_log_has_the_clients_address(wsbroadcastd, nginx):
    server = wsbroadcastd("--trusted-proxy", "127.0.0.1", "--trusted-proxy", "10.0.0.0/8",
                          "--log-level", "debug")
    with Client(nginx(server, FORWARDS)) as client:
        client.upgrade()
        server.wait_stderr("198.51.100.9 port 0: joined")


@pytest.mark.parametrize("fields", ["X-Forwarded-For: 1.1.1.1, 198.51.100.9\r\n",
                                    "Forwarded: for=1.1.1.1, for=198.51.100.9\r\n"])
def test_limits_are_those_of_the_client_that_a_trusted_proxy_names(wsbroadcastd, fields):
    server = wsbroadcastd("--trusted-proxy", "127.0.0.0/8", "--max-connections-per-address", "1")
    first = ask(server, fields)
    assert first.recv_head().start.startswith("HTTP/1.1 200 ")
    other = ask(server, fields.replace("198.51.100.9", "198.51.100.8"))
    assert other.recv_head().start.startswith("HTTP/1.1 200 ")
    second = ask(server, fields)
    assert second.recv_head().start.startswith("HTTP/1.1 503 ")
    server.wait_stderr("198.51.100.9 port 0: limit max-connections-per-address")
    first.disconnect()
    programs.wait_until("its place is free", lambda: ask(server, fields).recv_head().start
                        .startswith("HTTP/1.1 200 "))


def test_each_request_of_a_kept_connection_has_a_client_of_its_own(wsbroadcastd):
    server = wsbroadcastd("--trusted-proxy", "127.0.0.1", "--log-level", "debug")
    client = Client(server.port)
    for fields in "X-Forwarded-For: 198.51.100.1\r\n", "X-Forwarded-For: 198.51.100.2\r\n", "":
        client.send(f"GET /nothing HTTP/1.1\r\nHost: 127.0.0.1\r\n{fields}\r\n".encode())
        assert client.recv_response().status == 404
    server.wait_stderr("198.51.100.1 port 0: refused with 404")
    server.wait_stderr("198.51.100.2 port 0: refused with 404")
    server.wait_stderr("127.0.0.1 port [0-9]+: refused with 404")


def test_others_cannot_say_who_they_are(wsbroadcastd):
    server = wsbroadcastd("--trusted-proxy", "10.0.0.0/8", "--log-level", "debug")
    client = Client(server.port)
    client.send(b"GET /nothing HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Forwarded-For: 1.1.1.1\r\n\r\n")
    assert client.recv_head().start.startswith("HTTP/1.1 404 ")
    server.wait_stderr("127.0.0.1 port [0-9]+: refused with 404")
