"""How wsrecv gets to its server: addresses, families, Unix sockets, and proxies, honest and not."""

from __future__ import annotations

import contextlib
import os
import select
import shutil
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterator

import programs
import pytest
import rawws
from rawws import ScriptedServer, ServerPeer
from test_tls import Authority, scripted

OK, USAGE, CONNECT, TLS, REFUSED = 0, 2, 3, 4, 5
HOST = "server.invalid"  # which no resolver knows (RFC 6761)


def say(text: str) -> Callable[[ServerPeer], None]:
    def script(peer: ServerPeer) -> None:
        peer.accept()
        peer.send_text(text)
        peer.close()

    return script


@pytest.fixture(scope="module")
def authority(tmp_path_factory) -> Authority:
    made = Authority(tmp_path_factory.mktemp("ours"), "Our CA")
    made.sign("wrong", "DNS:other.example")
    made.sign("server", f"DNS:{HOST}")
    return made


# Addresses


def test_resolve_gives_a_name_addresses(wsrecv):
    with ScriptedServer(say("x")) as server:
        rule = f"{HOST}:{server.port}:127.0.0.1"
        wsrecv("--resolve", rule, f"ws://{HOST}:{server.port}/").wait(OK)
    wsrecv("--resolve", f"{HOST}:1:127.0.0.1", f"ws://{HOST}:2/").wait(CONNECT)
    with ScriptedServer(say("x")) as server:
        wsrecv("--resolve", f"*:{server.port}:127.0.0.1", f"ws://{HOST}:{server.port}/").wait(OK)


def test_connect_to_leads_elsewhere_and_the_server_hears_the_urls_name(wsrecv):
    heads = []

    def script(peer: ServerPeer) -> None:
        heads.append(peer.accept())
        peer.close()

    for rule in (f"{HOST}:80:127.0.0.1:{{}}", f"::127.0.0.1:{{}}", f"{HOST}::127.0.0.1:{{}}"):
        with ScriptedServer(script) as server:
            wsrecv("--connect-to", rule.format(server.port), f"ws://{HOST}/").wait(OK)
        assert heads[-1].headers["host"] == HOST
    wsrecv("--connect-to", "other:80:127.0.0.1:1", f"ws://{HOST}/").wait(CONNECT)


def test_the_certificate_must_be_the_urls_name_wherever_it_leads(wsrecv, authority):
    with scripted(authority.server_context("server"), say("x")) as server:
        rule = f"{HOST}:443:127.0.0.1:{server.port}"
        wsrecv("--cacert", authority.ca, "--connect-to", rule, f"wss://{HOST}/").wait(OK)


@pytest.mark.parametrize(
    "option",
    [["--resolve", text] for text in ("", "h", "h:1", "h:1:", "h:1:x", "h::127.0.0.1",
                                      ":1:127.0.0.1", "h:0:127.0.0.1", "h:1:127.0.0.1,",
                                      "h:65536:127.0.0.1", "h:1:[::1",
                                      "h:1:127.0.0.1" + ",127.0.0.1" * 16)]
    + [["--connect-to", text] for text in ("", "h", "h:1", "h:1:h", "h:1:h:x", "h:x:h:1",
                                           "[::1:1:h:2")]
    + [["-x", text] for text in ("ftp://h", "http://", "http://h:x", "socks4://h", "h i")]
    + [["--unix-socket", text] for text in ("", "x" * 108)],
    ids=repr,
)  # fmt: skip
def test_a_route_that_is_none_is_2(wsrecv, option):
    refused = wsrecv(*option).wait(USAGE)
    assert refused.stderr.count("\n") == 1 and option[0] in refused.stderr.replace("--proxy", "-x")


def listen_v6() -> socket.socket:
    try:
        return socket.create_server(("::1", 0), family=socket.AF_INET6)
    except OSError:
        pytest.skip("this machine has no IPv6")


def test_an_address_that_refuses_is_passed_by(wsrecv):
    listen_v6().close()
    with ScriptedServer(say("x")) as server:
        rule = f"{HOST}:{server.port}:[::1],127.0.0.1"
        wsrecv("--resolve", rule, f"ws://{HOST}:{server.port}/").wait(OK)


@contextlib.contextmanager
def deaf(family: socket.AddressFamily, host: str) -> Iterator[int]:
    """A port that answers no SYN: its backlog is full."""
    with socket.socket(family) as listener:
        listener.bind((host, 0))
        listener.listen(0)
        port = listener.getsockname()[1]
        with contextlib.ExitStack() as stack:
            for _ in range(4):
                filler = stack.enter_context(socket.socket(family))
                filler.setblocking(False)
                filler.connect_ex((host, port))
            yield port


def test_an_address_that_does_not_answer_is_not_waited_for(wsrecv):
    """RFC 8305: the other family is tried a quarter of a second later, and the first one wins."""
    listen_v6().close()
    with deaf(socket.AF_INET6, "::1") as port:
        with ScriptedServer(say("x"), port) as server:
            rule = f"{HOST}:{server.port}:[::1],127.0.0.1"
            wsrecv("--resolve", rule, f"ws://{HOST}:{server.port}/").wait(OK)
        only = ["-6", "--connect-timeout", "0.5", "--resolve", rule, f"ws://{HOST}:{port}/"]
        assert "no address answers" in wsrecv(*only).wait(CONNECT).stderr


def test_one_family_only(wsrecv):
    with listen_v6() as listener:
        url = f"ws://localhost:{listener.getsockname()[1]}/"
        wsrecv("-4", url).wait(CONNECT)
        listener.settimeout(0.2)
        with pytest.raises(TimeoutError):
            listener.accept()
    wsrecv("-6", "ws://127.0.0.1:1/").wait(CONNECT)
    with ScriptedServer(say("x")) as server:
        wsrecv("-4", f"ws://localhost:{server.port}/").wait(OK)


def test_tcp_keep_alive_is_on(wsrecv):
    def script(peer: ServerPeer) -> None:
        peer.accept()
        port = peer.sock.getpeername()[1]
        command = ["ss", "-Htno", f"sport = :{port}"]
        assert "timer:(keepalive," in programs.subprocess.check_output(command, text=True)
        peer.close()

    with ScriptedServer(script) as server:
        wsrecv(server.url).wait(OK)


# Unix sockets


@pytest.mark.parametrize("secure", [False, True], ids=["ws", "wss"])
def test_a_unix_socket(wsrecv, authority, tmp_path, secure):
    server = scripted(authority.server_context("server"), say("x")) if secure \
        else ScriptedServer(say("x"))  # fmt: skip
    server._listener.close()
    server._listener = socket.socket(socket.AF_UNIX)
    server._listener.bind(str(tmp_path / "socket"))
    server._listener.listen()
    server._listener.settimeout(rawws.TIMEOUT)
    options = ["--unix-socket", f"{tmp_path}/socket", "--cacert", authority.ca, "-r"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ServerPeer, "__init__", unix_peer)
        with server:
            heard = wsrecv(*options, f"{'wss' if secure else 'ws'}://{HOST}/").wait(OK)
    assert heard.read_rest() == "x\n"


def unix_peer(self: ServerPeer, sock: socket.socket) -> None:
    """As Peer.__init__, but for TCP_NODELAY."""
    sock.settimeout(rawws.TIMEOUT)
    self.sock, self.masked, self._buffer = sock, False, bytearray()


def test_3_when_nobody_listens_on_the_unix_socket(wsrecv, tmp_path):
    path = str(tmp_path / "socket")
    assert f"'{path}': no such file" in wsrecv("--unix-socket", path).wait(CONNECT).stderr


# Proxies: real ones


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


def need(name: str) -> str:
    path = shutil.which(name, path=os.environ["PATH"] + ":/usr/sbin")
    if path is None:
        pytest.skip(f"{name} is missing: run scripts/setup test")
    return path


def is_listening(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
        return True
    return False


class ProxyProgram(programs.Program):
    """A proxy that is stopped by a signal, whatever status it then ends with."""

    def clean_up(self) -> None:
        self.process.terminate()
        self.process.wait(rawws.TIMEOUT)
        self.expected = self.process.returncode
        super().clean_up()


@pytest.fixture
def tinyproxy(start, tmp_path) -> Callable[..., int]:
    def run(*lines: str) -> int:
        port = free_port()
        (tmp_path / "tiny").write_text(
            "\n".join([f"Port {port}", "Listen 127.0.0.1", "Allow 127.0.0.1", "Timeout 60", *lines])
        )
        start(ProxyProgram, [need("tinyproxy"), "-d", "-c", f"{tmp_path}/tiny"], stdout=-3)
        programs.wait_until("tinyproxy listens", lambda: is_listening(port))
        return port

    return run


@pytest.fixture
def danted(start, tmp_path) -> Callable[..., int]:
    def run(rules: str = "socks pass { from: 0/0 to: 0/0 }", method: str = "none") -> int:
        port = free_port()
        (tmp_path / "dante").write_text(
            f"logoutput: {tmp_path}/dante.log\ninternal: 127.0.0.1 port = {port}\n"
            f"external: lo\nclientmethod: none\nsocksmethod: {method}\n"
            f"user.privileged: root\nuser.unprivileged: nobody\n"
            f"client pass {{ from: 0/0 to: 0/0 }}\n{rules}\n"
        )
        if os.geteuid() != 0:
            pytest.skip("danted is for root")
        command = [need("danted"), "-f", f"{tmp_path}/dante", "-p", f"{tmp_path}/pid"]
        start(ProxyProgram, command, stdout=-3)
        programs.wait_until("danted listens", lambda: is_listening(port))
        return port

    return run


@pytest.mark.parametrize("secure", [False, True], ids=["ws", "wss"])
def test_through_tinyproxy(wsrecv, tinyproxy, authority, secure):
    port = tinyproxy()
    server = scripted(authority.server_context(), say("x")) if secure else ScriptedServer(say("x"))
    with server:
        options = ["-r", "-x", f"http://127.0.0.1:{port}", "--cacert", authority.ca]
        assert wsrecv(*options, server.url).wait(OK).read_rest() == "x\n"


def test_tinyproxy_wants_to_know_who_asks(wsrecv, tinyproxy):
    port = tinyproxy("BasicAuth me s3cr3t")
    refused = wsrecv("-x", f"127.0.0.1:{port}", "ws://127.0.0.1:1/").wait(CONNECT)
    assert "407" in refused.stderr and "USER:PASSWORD@" in refused.stderr
    refused = wsrecv("-x", f"me:wr0ng@127.0.0.1:{port}", "ws://127.0.0.1:1/").wait(CONNECT)
    assert "does not accept the USER:PASSWORD" in refused.stderr and "wr0ng" not in refused.stderr
    with ScriptedServer(say("x")) as server:
        wsrecv("-x", f"http://me:s3cr3t@127.0.0.1:{port}", server.url).wait(OK)


def at_any_localhost(script: Callable[[ServerPeer], object]) -> ScriptedServer:
    """A server that is there at whichever of its addresses somebody else takes localhost for."""
    server = ScriptedServer(script)
    if socket.has_dualstack_ipv6():
        server._listener.close()
        server._listener = socket.create_server(
            ("::", 0), family=socket.AF_INET6, dualstack_ipv6=True
        )
        server._listener.settimeout(rawws.TIMEOUT)
        server.port = server._listener.getsockname()[1]
    return server


def test_through_danted(wsrecv, danted):
    port = danted()
    with ScriptedServer(say("x")) as server:
        wsrecv("-x", f"socks5h://127.0.0.1:{port}", server.url).wait(OK)
    with at_any_localhost(say("x")) as server:  # the proxy resolves
        wsrecv("-x", f"socks5h://127.0.0.1:{port}", f"ws://localhost:{server.port}/").wait(OK)
    url = f"ws://127.0.0.1:{free_port()}/"
    refused = wsrecv("-x", f"socks5h://127.0.0.1:{port}", url).wait(CONNECT)
    assert "connection refused" in refused.stderr and refused.stderr.count("\n") == 1


def test_danted_does_not_allow_it(wsrecv, danted):
    port = danted("socks block { from: 0/0 to: 0/0 }")
    options = ["--reconnect", "-x", f"socks5h://127.0.0.1:{port}"]
    assert "rules" in wsrecv(*options, "ws://127.0.0.1:1/").wait(CONNECT).stderr


# Proxies: scripted ones


def carry(one: socket.socket, other: socket.socket) -> None:
    """Carry bytes both ways until one side ends."""
    pairs = {one: other, other: one}
    for _ in rawws.turns():
        ready = [sock for sock in pairs if isinstance(sock, ssl.SSLSocket) and sock.pending()]
        ready = ready or select.select(list(pairs), [], [], 1)[0]
        for sock in ready:
            data = sock.recv(65536)
            if not data:
                return
            pairs[sock].sendall(data)


def connect_proxy(port: int, heads: list) -> Callable[[ServerPeer], None]:
    """A script: an HTTP proxy, all of whose ways lead to one port."""

    def script(peer: ServerPeer) -> None:
        heads.append(peer.recv_head())
        with socket.create_connection(("127.0.0.1", port)) as onward:
            peer.send(b"HTTP/1.1 103 Early Hints\r\nX: y\r\n\r\n")  # which are passed over
            peer.send(b"HTTP/1.1 200 OK\r\nProxy-Agent: x\r\n\r\n")
            carry(peer.sock, onward)

    return script


@pytest.mark.parametrize("secure", [False, True], ids=["ws", "wss"])
def test_through_a_proxy_that_speaks_tls(wsrecv, authority, secure):
    """A message of a megabyte goes through, either way: more than any buffer between holds."""
    heads: list = []
    text = "0123456789abcdef" * (1 << 16)

    def script(peer: ServerPeer) -> None:
        peer.accept()
        peer.send_text(text)
        assert peer.recv_message() == text
        peer.close()

    make = (lambda: scripted(authority.server_context(), script)) if secure \
        else (lambda: ScriptedServer(script))  # fmt: skip
    with make() as server:
        with scripted(authority.server_context(), connect_proxy(server.port, heads)) as proxy:
            options = ["--echo", "--no-compression", "--cacert", authority.ca]
            wsrecv(*options, "-x", f"https://u:p@localhost:{proxy.port}", server.url).wait(OK)
    host = server.url.split("/")[2]
    assert heads[0].start == f"CONNECT {host} HTTP/1.1"
    assert heads[0].headers["host"] == host
    assert heads[0].headers["proxy-authorization"] == "Basic dTpw"
    assert "authorization" not in heads[0].headers


def test_4_when_the_tls_proxy_is_not_who_it_says(wsrecv, authority):
    def script(peer: ServerPeer) -> None:
        with pytest.raises((ssl.SSLError, OSError)):
            ctx = authority.server_context("wrong")
            ctx.wrap_socket(peer.sock, server_side=True).recv(1)

    with ScriptedServer(script) as proxy:
        options = ["--reconnect", "--cacert", authority.ca, "-x", f"https://localhost:{proxy.port}"]
        refused = wsrecv(*options, "ws://h.invalid/").wait(TLS)
    assert "the proxy https://localhost" in refused.stderr and refused.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("said", "word"),
    [
        (b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n", "407"),
        (b"HTTP/1.1 403 Fo\x1b[2Jrbidden\r\n\r\n", "HTTP"),
        (b"HTTP/1.1 101 Switching Protocols\r\n\r\n", "101"),
        (b"HTTP/1.1 200 OK\r\n\r\n\x81\x01x", "more than an answer"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "HTTP"),
        (b"\x05\x00", "HTTP"),
        (b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 9999, "HTTP"),
        (b"HTTP/1.1 200", "ended"),
        (b"", "ended"),
    ],
)
def test_3_when_an_http_proxy_answers_nonsense(wsrecv, said, word):
    def script(peer: ServerPeer) -> None:
        peer.recv_head()
        with contextlib.suppress(OSError):
            peer.send(said)

    with ScriptedServer(script) as proxy:
        refused = wsrecv("-x", f"127.0.0.1:{proxy.port}", f"ws://{HOST}/").wait(CONNECT)
    assert word in refused.stderr and f"{HOST} port 80" in refused.stderr
    assert refused.stderr.count("\n") == 1 and "\x1b" not in refused.stderr


@pytest.mark.parametrize(
    ("answers", "word"),
    [
        ([b"\x05\x00", b"\x05\x02"], "rules"),
        ([b"\x05\x00", b"\x05\x05\x00\x01\0\0\0\0\0\0"], "refused"),
        ([b"\x05\x00", b"\x05\x63\x00\x01\0\0\0\0\0\0"], "does not tell"),
        ([b"\x05\x00", b"\x05\x00\x00\x07\0\0\0\0\0\0"], "not SOCKS5"),
        ([b"\x05\x00", b"\x05\x00\x00\x01\0\0\0\0\0\0more"], "more than an answer"),
        ([b"\x05\x00", b"\x05\x00\x00\x03\xff" + b"x" * 100], "ended"),
        ([b"\x05\xff"], "user name"),
        ([b"\x05\x02", b"\x01\x01"], "user name"),
        ([b"\x05\x02", b"\x05\x00"], "not SOCKS5"),
        ([b"HTTP/1.1 400 Bad Request\r\n\r\n"], "not SOCKS5"),
        ([b"\x05"], "ended"),
        ([b""], "ended"),
    ],
    ids=repr,
)  # fmt: skip
def test_3_when_a_socks_proxy_answers_nonsense(wsrecv, answers, word):
    def script(peer: ServerPeer) -> None:
        for answer in answers:
            assert peer.sock.recv(4096)
            peer.send(answer)

    with ScriptedServer(script) as proxy:
        url = f"socks5h://me:s3cr3t@127.0.0.1:{proxy.port}"
        refused = wsrecv("-x", url, f"ws://{HOST}/").wait(CONNECT)
    assert word in refused.stderr and "s3cr3t" not in refused.stderr
    assert refused.stderr.count("\n") == 1


def test_what_a_socks_proxy_hears(wsrecv):
    """Byte for byte, answered a byte at a time: a name with a user, and an address."""
    def script(peer: ServerPeer, host: bytes) -> None:
        assert peer.sock.recv(4096) == b"\x05\x02\x00\x02"
        peer.send_byte_by_byte(b"\x05\x02")
        assert peer.sock.recv(4096) == b"\x01\x02me\x03pw:"
        peer.send_byte_by_byte(b"\x01\x00")
        assert peer.sock.recv(4096) == b"\x05\x01\x00" + host + struct.pack("!H", 81)
        peer.send_byte_by_byte(b"\x05\x00\x00\x03\x01x\x00\x00")
        say("x")(peer)

    name = b"\x03" + bytes([len(HOST)]) + HOST.encode()
    for url, host in ((HOST, name), ("192.0.2.1", b"\x01\xc0\x00\x02\x01"),
                      ("[2001:db8::1]",
                       b"\x04\x20\x01\x0d\xb8" + bytes(11) + b"\x01")):  # fmt: skip
        with ScriptedServer(lambda peer, host=host: script(peer, host)) as proxy:
            wsrecv("-x", f"socks5h://me:pw%3a@127.0.0.1:{proxy.port}", f"ws://{url}:81/").wait(OK)


def hears(request: bytes, answer: bytes) -> Callable[[ServerPeer], None]:
    """A SOCKS4a proxy, which is the server, too."""

    def script(peer: ServerPeer) -> None:
        assert peer.sock.recv(4096) == request
        peer.send_byte_by_byte(answer)
        say("x")(peer)

    return script


def test_what_a_socks4a_proxy_hears(wsrecv):
    """A name, which it resolves, or an address."""
    granted = b"\0\x5a" + bytes(6)
    name = b"\x04\x01\x00\x51\0\0\0\x01me\0" + HOST.encode() + b"\0"
    for url, request in ((HOST, name), ("192.0.2.1", b"\x04\x01\x00\x51\xc0\x00\x02\x01me\0")):
        with ScriptedServer(hears(request, granted)) as proxy:
            wsrecv("-x", f"socks4a://me:pw@127.0.0.1:{proxy.port}", f"ws://{url}:81/").wait(OK)


@pytest.mark.parametrize(
    ("answer", "word"), [(b"\0\x5b" + bytes(6), "refused"), (b"\0\x5d" + bytes(6), "identd"),
                         (b"\x05\0" + bytes(6), "not SOCKS4"), (b"\0\x5a", "ended")],
)  # fmt: skip
def test_3_when_a_socks4a_proxy_does_not_grant_it(wsrecv, answer, word):
    def script(peer: ServerPeer) -> None:
        peer.sock.recv(4096)
        peer.send(answer)

    with ScriptedServer(script) as proxy:
        refused = wsrecv("-x", f"socks4a://127.0.0.1:{proxy.port}", f"ws://{HOST}/").wait(CONNECT)
    assert word in refused.stderr


@pytest.mark.parametrize("scheme", ["socks5", "socks"])
def test_a_socks5_proxy_is_told_an_address(wsrecv, danted, scheme):
    """It is wsrecv that resolves, as --resolve has it."""
    port = danted()
    with ScriptedServer(say("x")) as server:
        options = ["--resolve", f"{HOST}:{server.port}:127.0.0.1"]
        wsrecv(*options, "-x", f"{scheme}://127.0.0.1:{port}", f"ws://{HOST}:{server.port}/").wait(OK)
    refused = wsrecv("-x", f"{scheme}://127.0.0.1:{port}", f"ws://{HOST}/").wait(CONNECT)
    assert f"cannot resolve '{HOST}'" in refused.stderr


def test_3_when_the_proxy_is_not_there_or_silent(wsrecv):
    refused = wsrecv("-x", f"127.0.0.1:{free_port()}", "ws://h/").wait(CONNECT)
    assert "cannot connect to the proxy 127.0.0.1:" in refused.stderr
    assert "proxy" in wsrecv("-x", "http://proxy.invalid", "ws://h/").wait(CONNECT).stderr
    over = threading.Event()
    for scheme in ("http", "https", "socks5h"):
        over.clear()
        with ScriptedServer(lambda peer: over.wait(rawws.TIMEOUT)) as proxy:
            options = ["--connect-timeout", "1", "-x", f"{scheme}://127.0.0.1:{proxy.port}"]
            refused = wsrecv(*options, "ws://h/").wait(CONNECT)
            over.set()
        assert "the proxy has not answered" in refused.stderr


def test_again_through_the_proxy(wsrecv, authority):
    """Each connection has a tunnel of its own, and the last one's is gone."""
    heads: list = []
    scripts = [lambda peer: peer.accept() and None, say("x")]
    context = authority.server_context()
    with ScriptedServer(scripts) as server:
        def over_tls(peer: ServerPeer) -> None:
            peer.sock = context.wrap_socket(peer.sock, server_side=True)
            connect_proxy(server.port, heads)(peer)

        with ScriptedServer([over_tls, over_tls]) as proxy:
            options = ["--cacert", authority.ca, "--reconnect", "--retry-max-delay", "0.1"]
            wsrecv(*options, "-x", f"https://localhost:{proxy.port}", server.url).wait(OK)
    assert len(heads) == 2


# Which proxy


@pytest.mark.parametrize(
    ("variable", "secure"),
    [("http_proxy", False), ("ws_proxy", False), ("WS_PROXY", False), ("all_proxy", False),
     ("ALL_PROXY", False), ("https_proxy", True), ("HTTPS_PROXY", True), ("wss_proxy", True),
     ("all_proxy", True)],
)  # fmt: skip
def test_the_environment_names_a_proxy(wsrecv, monkeypatch, variable, secure):
    monkeypatch.setenv(variable, f"127.0.0.1:{free_port()}")
    url = f"{'wss' if secure else 'ws'}://{HOST}/"
    assert "cannot connect to the proxy" in wsrecv(url).wait(CONNECT).stderr
    assert "cannot resolve" in wsrecv("-x", "", url).wait(CONNECT).stderr
    assert "cannot resolve" in wsrecv("--noproxy", "invalid", url).wait(CONNECT).stderr


def test_the_environment_of_a_cgi_names_none(wsrecv, monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", f"127.0.0.1:{free_port()}")
    monkeypatch.setenv("https_proxy", f"127.0.0.1:{free_port()}")
    assert "cannot resolve" in wsrecv(f"ws://{HOST}/").wait(CONNECT).stderr


def test_2_when_the_environment_names_nonsense(wsrecv, monkeypatch):
    monkeypatch.setenv("all_proxy", "http://u:s3cr3t@h x")
    refused = wsrecv(f"ws://{HOST}/").wait(USAGE)
    assert "all_proxy" in refused.stderr and "s3cr3t" not in refused.stderr


def test_a_kind_of_proxy_that_is_not_known_is_a_warning_in_the_environment(wsrecv, monkeypatch):
    monkeypatch.setenv("all_proxy", "gopher://u:s3cr3t@h")
    with ScriptedServer([lambda peer: peer.accept() and None, say("x")]) as server:
        options = ["--reconnect", "--retry-max-delay", "0.1"]
        listener = wsrecv(*options, server.url).wait(OK)
        assert listener.stderr.count("all_proxy") == 1 and "s3cr3t" not in listener.stderr
    with ScriptedServer(say("x")) as server:
        assert "proxy" not in wsrecv("--noproxy", "127.0.0.1", server.url).wait(OK).stderr
    wsrecv("-x", "gopher://h", f"ws://{HOST}/").wait(USAGE)


@pytest.mark.parametrize("variable", ["no_proxy", "NO_PROXY"])
def test_no_proxy_names_who_goes_without(wsrecv, monkeypatch, variable):
    monkeypatch.setenv("http_proxy", f"127.0.0.1:{free_port()}")
    monkeypatch.setenv(variable, "other, .invalid,127.0.0.0/8")
    assert "cannot resolve" in wsrecv(f"ws://{HOST}/").wait(CONNECT).stderr
    with ScriptedServer(say("x")) as server:
        wsrecv(server.url).wait(OK)
    assert "the proxy" in wsrecv("ws://192.0.2.1/").wait(CONNECT).stderr
