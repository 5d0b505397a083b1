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
