"""The PROXY protocol (proxy=on): whose connection it is, in limits and logs; what is no header; behind
haproxy."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import ssl
import struct
import subprocess

import programs
import pytest
import rawws

HAPROXY = shutil.which("haproxy", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
HTTP = b"GET /ws HTTP/1.1\r\nHost: a\r\n\r\n"


def version_1(address: str, port: int = 4711) -> bytes:
    family = "TCP6" if ":" in address else "TCP4"
    return f"PROXY {family} {address} {address} {port} 80\r\n".encode()


def version_2(address: str, port: int = 4711, more: bytes = b"") -> bytes:
    v6 = ":" in address
    packed = socket.inet_pton(socket.AF_INET6 if v6 else socket.AF_INET, address)
    body = packed + packed + struct.pack("!HH", port, 80) + more
    return b"\r\n\r\n\0\r\nQUIT\n\x21" + (b"\x21" if v6 else b"\x11") + struct.pack("!H", len(body)) + body


def connect(server: programs.Server, header: bytes) -> rawws.Client:
    client = rawws.Client(server.port)
    client.send(header)
    return client


def is_closed(client: rawws.Client) -> None:
    """It ends without a word; what it had sent and nobody has read makes that a reset."""
    try:
        assert client.sock.recv(100) == b""
    except ConnectionResetError:
        pass


@pytest.fixture
def serve(start):
    def serve_with(*options: str, workers: int = 1) -> programs.Server:
        return start(programs.Server, "-l", "127.0.0.1:0,proxy=on", "-w", str(workers),
                     "--log-level", "debug", *options)

    return serve_with


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("header, name", [
    (version_1("192.0.2.7"), "192.0.2.7 port 4711"),
    (version_1("2001:db8::7"), "2001:db8::7 port 4711"),
    (version_2("192.0.2.7"), "192.0.2.7 port 4711"),
    (version_2("2001:db8::7", more=b"\x04\x00\x03abc"), "2001:db8::7 port 4711"),
], ids=["v1-ipv4", "v1-ipv6", "v2-ipv4", "v2-ipv6-tlv"])
def test_the_log_has_the_address_of_the_header(serve, header, name, workers):
    server = serve(workers=workers)
    client = connect(server, header).upgrade()
    client.send_text("x")
    assert client.recv_frame().payload == b"Message: x"
    server.wait_stderr(f"{name}: joined")
    client.disconnect()
    server.wait_stderr(f"{name}: lost")


def test_a_header_in_pieces_is_read_whole_and_nothing_behind_it_is_lost(serve):
    server = serve()
    client = rawws.Client(server.port)
    for byte in version_2("192.0.2.7") + HTTP[:10]:
        client.send(bytes([byte]))
    client.send(HTTP[10:])
    assert client.recv_head().start.startswith("HTTP/1.1 426 ")


def test_clients_of_one_proxy_are_limited_by_their_own_addresses(serve):
    server = serve("--max-connections-per-address", "1")
    first = connect(server, version_1("192.0.2.1")).upgrade()
    second = connect(server, version_1("192.0.2.2")).upgrade()
    third = connect(server, version_1("192.0.2.1"))
    third.send(HTTP)
    assert third.recv_head().start.startswith("HTTP/1.1 503 ")
    server.wait_stderr("192.0.2.1 port 4711: limit max-connections-per-address: refused with 503")
    first.disconnect()
    second.disconnect()


def test_the_proxys_own_connections_have_its_own_address(serve):
    server = serve()
    for header in b"PROXY UNKNOWN\r\n", b"\r\n\r\n\0\r\nQUIT\n\x20\x00\x00\x00":
        client = connect(server, header).upgrade()
        client.disconnect()
    server.wait_stderr("127.0.0.1 port [0-9]+: joined", 2)


@pytest.mark.parametrize("header", [
    HTTP, b"PROXY TCP4 192.0.2.1 nonsense 1 2\r\n", version_2("192.0.2.1")[:13] + b"\xff" * 20,
    b"PROXY " + b"x" * 200,
], ids=["http", "v1", "v2", "long"])
def test_what_does_not_begin_with_a_header_is_closed(serve, header):
    server = serve()
    client = connect(server, header)
    is_closed(client)
    server.wait_stderr("does not begin with a header of the PROXY protocol")
    connect(server, version_1("192.0.2.7")).upgrade().disconnect()


def test_a_header_that_does_not_come_is_not_waited_for_for_ever(serve):
    server = serve("--handshake-timeout", "0.2")
    client = connect(server, b"PROXY ")
    is_closed(client)
    server.wait_stderr("no header of the PROXY protocol came in time")


def test_tls_begins_behind_the_header(start, tmp_path):
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                    "ec_paramgen_curve:P-256", "-noenc", "-subj", "/CN=localhost", "-keyout",
                    tmp_path / "key.pem", "-out", tmp_path / "cert.pem"], check=True,
                   capture_output=True)
    server = start(programs.Server, "-l", "127.0.0.1:0,proxy=on", "--log-level", "debug",
                   "--tls-cert", str(tmp_path / "cert.pem"), "--tls-key", str(tmp_path / "key.pem"))
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    sock = socket.create_connection(("127.0.0.1", server.port))
    sock.sendall(version_1("192.0.2.7"))
    with context.wrap_socket(sock) as secure:
        secure.sendall(HTTP)
        assert secure.recv(1000).startswith(b"HTTP/1.1 426 ")
    plain = connect(server, version_2("192.0.2.8"))
    plain.send(HTTP)
    assert plain.recv_head().start.startswith("HTTP/1.1 400 ")
    plain.disconnect()  # which is when it is logged
    server.wait_stderr("192.0.2.8 port 4711: limit plain-http")


def test_it_ends_while_headers_are_waited_for(serve):
    server = serve()
    waiting = [connect(server, b"PROXY ") for _ in range(3)]
    server.stop()
    for client in waiting:
        is_closed(client)


@pytest.mark.skipif(HAPROXY is None, reason="haproxy is not installed (scripts/setup test)")
@pytest.mark.parametrize("version", ["send-proxy", "send-proxy-v2"])
def test_behind_haproxy_the_client_has_its_own_address(serve, start, tmp_path, version):
    server = serve()
    configuration = tmp_path / "haproxy.cfg"
    configuration.write_text(
        "defaults\n  mode tcp\n  timeout connect 5s\n  timeout client 1m\n  timeout server 1m\n"
        f"listen feed\n  bind unix@{tmp_path}/socket accept-proxy\n"
        f"  server ws 127.0.0.1:{server.port} {version}\n")
    haproxy = start(programs.Program, [HAPROXY, "-db", "-f", str(configuration)])
    path = tmp_path / "socket"
    programs.wait_until("haproxy listens", path.exists)
    client = rawws.Client(str(path))
    client.send(version_1("198.51.100.9", 1234))  # the client of a proxy in front of haproxy
    client.upgrade()
    client.send_text("x")
    assert client.recv_frame().payload == b"Message: x"
    server.wait_stderr("198.51.100.9 port 1234: joined")
    client.disconnect()
    haproxy.process.send_signal(signal.SIGUSR1)  # on SIGTERM its status is that of the signal
    haproxy.wait(0)
