"""wss://, both programs: whom they believe, what they say when they do not, and that TLS changes
nothing in what is delivered, to whom, and how slow peers are dealt with."""

from __future__ import annotations

import asyncio
import re
import signal
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path

import programs
import pytest
import rawws
import websockets
from conftest import Bystanders

CLIENT_TLS, CLIENT_REFUSED, CLIENT_LOST, CLIENT_PROTOCOL = 4, 5, 6, 7
SIZES = [0, 1, 125, 126, 16383, 16384, 16385, 65535, 65536, 1 << 20]


# ---- certificates ----


class Authority:
    """A certificate authority of our own, and what it has signed: NAME.pem and NAME.key."""

    def __init__(self, directory: Path, name: str) -> None:
        self.directory = directory
        self.name = name
        self._openssl("req", "-x509", "-noenc", *self._key("ca"), "-subj", f"/CN={name}", "-days",
                      "30", "-out", "ca.pem", "-addext", "basicConstraints=critical,CA:TRUE")
        self.ca = str(directory / "ca.pem")
        self.sign("good", "DNS:localhost,IP:127.0.0.1")

    @staticmethod
    def _key(name: str, kind: str = "ec") -> list[str]:
        how = ["-newkey", "rsa:2048"] if kind == "rsa" else [
            "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
        return [*how, "-keyout", f"{name}.key"]

    def _openssl(self, *args: str) -> None:
        subprocess.run(["openssl", *args], cwd=self.directory, check=True, capture_output=True)

    def sign(self, name: str, alt_names: str, *, days: int = 30, kind: str = "ec") -> None:
        self._openssl("req", "-noenc", *self._key(name, kind), "-subj", f"/CN={name}", "-out", "request")
        (self.directory / "extensions").write_text(f"subjectAltName={alt_names}\n")
        self._openssl("x509", "-req", "-in", "request", "-out", f"{name}.pem", "-CA", "ca.pem",
                      "-CAkey", "ca.key", "-CAcreateserial", "-days", str(days), "-extfile",
                      "extensions")

    def sign_for(self, name: str, seconds: int) -> datetime:
        """Sign a certificate that is valid for so long, and say when that is over."""
        end = datetime.now(timezone.utc).replace(microsecond=0) + timedelta(seconds=seconds + 1)
        self._openssl("req", "-noenc", *self._key(name), "-subj", f"/CN={name}", "-out", "request")
        (self.directory / "index").write_text("")
        (self.directory / "ca.conf").write_text(
            "[ca]\ndefault_ca=ours\n[ours]\ndatabase=index\nrand_serial=yes\nnew_certs_dir=.\n"
            "policy=any\ndefault_md=sha256\n[any]\ncommonName=supplied\n")
        self._openssl("ca", "-batch", "-config", "ca.conf", "-in", "request", "-out",
                      f"{name}.pem", "-cert", "ca.pem", "-keyfile", "ca.key", "-notext",
                      "-startdate", f"{end - timedelta(days=1):%Y%m%d%H%M%SZ}",
                      "-enddate", f"{end:%Y%m%d%H%M%SZ}")
        return end

    def cert(self, name: str = "good") -> str:
        return str(self.directory / f"{name}.pem")

    def key(self, name: str = "good") -> str:
        return str(self.directory / f"{name}.key")

    def serve(self, name: str = "good") -> list[str]:
        """The options of a server with that certificate."""
        return ["--tls-cert", self.cert(name), "--tls-key", self.key(name)]

    def client_context(self, cert: str | None = None) -> ssl.SSLContext:
        context = ssl.create_default_context(cafile=self.ca)
        if cert:
            context.load_cert_chain(self.cert(cert), self.key(cert))
        return context

    def server_context(self, name: str = "good") -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.cert(name), self.key(name))
        return context


@pytest.fixture(scope="module")
def authority(tmp_path_factory) -> Authority:
    made = Authority(tmp_path_factory.mktemp("ours"), "Our CA")
    made.sign("wrong", "DNS:other.example,DNS:*.other.example,IP:192.0.2.7")
    made.sign("nameless", "email:nobody@example.org")
    made.sign("localhost", "email:nobody@example.org")  # its common name, and no DNS name
    made.sign("expired", "DNS:localhost,IP:127.0.0.1", days=-1)
    made.sign("client", "DNS:client")
    made.sign("rsa", "DNS:localhost,IP:127.0.0.1", kind="rsa")
    made.sign("other", "DNS:other.example,DNS:*.more.example")
    made.sign("other-rsa", "DNS:other.example", kind="rsa")
    return made


@pytest.fixture(scope="module")
def stranger(tmp_path_factory) -> Authority:
    return Authority(tmp_path_factory.mktemp("theirs"), "Their CA")


# ---- peers ----


def wrap(peer: rawws.Peer, context: ssl.SSLContext, **how: object) -> rawws.Peer:
    """From here on the peer speaks TLS. An end without close_notify is an error for it."""
    context.options &= ~ssl.OP_IGNORE_UNEXPECTED_EOF  # which Python sets
    peer.sock = context.wrap_socket(peer.sock, suppress_ragged_eofs=False, **how)
    return peer


class TlsServer(programs.Server):
    """wsbroadcastd with TLS; its clients check its certificate."""

    def __init__(self, authority: Authority, *options: str, cert: str = "good") -> None:
        super().__init__(*authority.serve(cert), *options)
        self.context = authority.client_context()

    def connect(self, context: ssl.SSLContext | None = None, *, receive_buffer: int = 0,
                session: ssl.SSLSession | None = None) -> rawws.Client:
        """A client with a finished TLS handshake, and nothing said yet."""
        client = rawws.Client(self.port, receive_buffer=receive_buffer)
        wrap(client, context or self.context, server_hostname="localhost", session=session)
        return client

    def client(self, target: str = "/ws", **how: int) -> rawws.Client:
        return self.connect(**how).upgrade(target)


@pytest.fixture
def tls_server(start, authority) -> Callable[..., TlsServer]:
    return lambda *options, **how: start(TlsServer, authority, *options, **how)


@pytest.fixture
def server(tls_server) -> TlsServer:
    """Stands in for the plain server, also where conftest's fixtures ask for it."""
    return tls_server("--log-level", "debug")


@pytest.fixture
def bystanders(server) -> Iterator[Bystanders]:
    pair = Bystanders(server)
    yield pair
    pair.finish()


def scripted(context: ssl.SSLContext, script: Callable[[rawws.Peer], object]) -> rawws.ScriptedServer:
    """A TLS server that does what the script says."""

    def over_tls(peer: rawws.Peer) -> None:
        script(wrap(peer, context, server_side=True))

    server = rawws.ScriptedServer(over_tls)
    server.url = server.url.replace("ws://127.0.0.1", "wss://localhost")
    return server


def refused_handshake(context: ssl.SSLContext) -> rawws.ScriptedServer:
    """A TLS server whose client will not like its certificate."""

    def script(peer: rawws.Peer) -> None:
        with pytest.raises((ssl.SSLError, ConnectionError)):
            wrap(peer, context, server_side=True).recv_head()

    server = rawws.ScriptedServer(script)
    server.url = server.url.replace("ws://127.0.0.1", "wss://localhost")
    return server


def payload(size: int) -> bytes:
    return bytes(i * 7 % 251 for i in range(min(size, 9973))) * (size // 9973 + 1)


# ---- wsbroadcastd ----


def test_says_wss_and_broadcasts_every_size(server) -> None:
    assert server.url.startswith("wss://")
    one, other = server.client(), server.client()
    for size in SIZES:
        data = payload(size)[:size]
        one.send_binary(data)
        assert one.recv_message() == data
        assert other.recv_message() == data
    one.close()
    other.close()


def test_modern_versions_and_ciphers_only(server, authority) -> None:
    assert server.connect().sock.version() == "TLSv1.3"
    context = authority.client_context()
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    client = server.connect(context).upgrade()
    assert client.sock.version() == "TLSv1.2"
    assert client.sock.cipher()[0].startswith("ECDHE-")
    client.close()
    context = authority.client_context()
    context.minimum_version = ssl.TLSVersion.TLSv1
    context.maximum_version = ssl.TLSVersion.TLSv1_1
    context.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.raises(ssl.SSLError):
        server.connect(context)
    context = authority.client_context()
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers("AES128-SHA:AES128-GCM-SHA256:ECDHE-ECDSA-AES128-SHA")
    with pytest.raises(ssl.SSLError):
        server.connect(context)


def test_alpn_is_http_1_1(server, authority) -> None:
    context = authority.client_context()
    context.set_alpn_protocols(["h2", "http/1.1"])
    assert server.connect(context).sock.selected_alpn_protocol() == "http/1.1"
    context.set_alpn_protocols(["h2"])
    with pytest.raises(ssl.SSLError):
        server.connect(context)


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_sessions_are_resumed(server, authority, version) -> None:
    context = authority.client_context()
    context.minimum_version = context.maximum_version = version
    first = server.connect(context).upgrade()
    first.send_text("x")  # a ticket of TLS 1.3 comes with what is read
    assert first.recv_message() == "Message: x"
    assert not first.sock.session_reused
    again = server.connect(context, session=first.sock.session).upgrade()
    assert again.sock.session_reused
    again.close()
    first.close()


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_an_idle_connection_costs_at_most_15_000_bytes(tls_server, authority, version) -> None:
    """User-space memory, as the slope between 200 and 1,700 that have joined and read all there is.
    OpenSSL's five largest structures are 11,500 of it."""
    server = tls_server()
    context = authority.client_context()
    context.minimum_version = context.maximum_version = version
    clients = [server.connect(context).upgrade() for _ in range(200)]
    some = server.rss_anon()
    clients += [server.connect(context).upgrade() for _ in range(1500)]
    each = (server.rss_anon() - some) / 1500
    clients[0].send_text("x")
    assert {client.recv_message() for client in clients} == {"Message: x"}
    print(f"{each:.0f} bytes a connection")
    if not programs.SANITIZED:
        assert each <= 15_000
    for client in clients:
        client.reset()


def test_aes_128_goes_before_aes_256(server, authority) -> None:
    """Also for a client that would have it the other way round."""
    assert server.connect().sock.cipher()[0] == "TLS_AES_128_GCM_SHA256"
    context = authority.client_context()
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    assert server.connect(context).sock.cipher()[0] == "ECDHE-ECDSA-AES128-GCM-SHA256"


def test_close_notify_is_sent(server) -> None:
    client = server.client()
    client.send_close(1000)
    assert client.recv_close()[0] == 1000
    client.recv_eof()  # raises SSLEOFError when close_notify is missing
    refused = server.connect()
    refused.send(refused.request(Connection="close", Upgrade=None))
    assert refused.recv_response().status == 426
    refused.recv_eof()


def test_half_closed_clients_are_answered(server) -> None:
    """They have said all they had to say, and still listen: no matter how they put it."""
    client = server.connect()
    client.send(client.request("/elsewhere", Connection="close"))
    with socket.socket(fileno=socket.dup(client.sock.fileno())) as raw:
        raw.shutdown(socket.SHUT_WR)  # FIN without close_notify
    assert client.recv_response().status == 404
    client.recv_eof()
    client = server.client()
    client.send_text("bye")
    client.send_close(1000)
    with socket.socket(fileno=socket.dup(client.sock.fileno())) as raw:
        raw.shutdown(socket.SHUT_WR)
    assert client.recv_message() == "Message: bye"
    assert client.recv_close()[0] == 1000


def test_what_is_owed_is_delivered_before_the_end(server) -> None:
    """Its Close and its FIN are there before it has read what it is owed: all of it comes."""
    client = server.client(receive_buffer=16384)
    sent = [bytes([n]) + payload(1 << 19)[: 1 << 19] for n in range(12)]
    for data in sent:
        client.send_binary(data)
    client.send_close(1000)
    with socket.socket(fileno=socket.dup(client.sock.fileno())) as raw:
        raw.shutdown(socket.SHUT_WR)
    assert [client.recv_message() for _ in sent] == sent
    assert client.recv_close()[0] == 1000
    client.recv_eof()


def test_compression_over_tls(wsrecv, server, authority) -> None:
    listener = wsrecv("-r", "-n", "2", "--cacert", authority.ca, server.url)
    listener.wait_stderr("Connected")

    async def talk() -> None:
        context = authority.client_context()
        async with websockets.connect(server.url, ssl=context, max_size=None) as client:
            assert client.extensions
            for text in ("a" * 500_000, "b" * 70_000):
                await client.send(text)
                assert await client.recv() == f"Message: {text}"

    asyncio.run(talk())
    assert listener.read_rest() == f"Message: {'a' * 500_000}\nMessage: {'b' * 70_000}\n"
    listener.wait(0)


def test_slow_reader_gets_everything_and_delays_nobody(server, bystanders) -> None:
    slow = server.client(receive_buffer=4096)
    publisher = server.client()
    sent = [bytes([n]) + payload(1 << 18) for n in range(40)]  # 10 MiB: less than may lag
    for data in sent:
        publisher.send_binary(data)
        while publisher.recv_message() != data:
            pass
    bystanders.wait_round()
    got = []
    while len(got) < len(sent):
        message = slow.recv_message()
        if isinstance(message, bytes):
            got.append(message)
    assert got == sent
    slow.disconnect()


def test_too_slow_a_reader_is_closed(server, bystanders) -> None:
    slow = server.client(receive_buffer=4096)
    publisher = server.client()
    sent = [bytes([n]) + payload(1 << 19) for n in range(60)]
    for data in sent:
        publisher.send_binary(data)
        while publisher.recv_message() != data:
            pass
    server.wait_stderr("limit max-lag: closed with 1008")
    got = []
    with pytest.raises((rawws.Closed, rawws.ConnectionLost, ssl.SSLError)):
        for _ in rawws.turns():
            got.append(slow.recv_message())
    got = [message for message in got if isinstance(message, bytes)]
    assert got == sent[: len(got)]


def client_hello() -> bytes:
    out = ssl.MemoryBIO()
    hello = ssl.create_default_context().wrap_bio(ssl.MemoryBIO(), out, server_hostname="localhost")
    with pytest.raises(ssl.SSLWantReadError):
        hello.do_handshake()
    return out.read()


@pytest.mark.parametrize("attack", [
    b"GET /ws HTTP/1.1\r\nHost: x\r\n\r\n",
    b"\0" * 100,
    b"\x16\x03\x01\xff\xff" + b"A" * 70000,
    bytes(range(256)) * 300,
    client_hello()[:5] + b"\x02" + client_hello()[6:],
], ids=["http", "zeros", "huge-record", "garbage", "wrong-hello"])
def test_what_is_not_tls_is_dropped_with_a_reason(server, bystanders, attack) -> None:
    with rawws.Client(server.port) as client:
        try:
            client.send(attack)
            while client.sock.recv(65536):
                pass
        except ConnectionError:
            pass
    server.wait_stderr("lost: TLS failed: ")
    bystanders.wait_round()


def test_garbage_after_the_handshake_is_dropped(server, bystanders) -> None:
    client = server.client()
    raw = socket.socket(fileno=socket.dup(client.sock.fileno()))
    raw.sendall(b"\x17\x03\x03\x00\x20" + b"x" * 32)
    server.wait_stderr("TLS failed: .*mac")
    with pytest.raises((ssl.SSLError, ConnectionError)):
        for _ in rawws.turns():
            client.recv_message()
    raw.close()


def test_who_does_not_finish_the_handshake_is_dropped(server, bystanders) -> None:
    clients = [rawws.Client(server.port) for _ in range(20)]
    for i, client in enumerate(clients):
        client.send(client_hello()[: i * 10])
    for client in clients:
        client.sock.settimeout(12)
        assert client.sock.recv(1) == b""
    bystanders.wait_round()


def test_byte_by_byte(server, authority) -> None:
    """The handshake and a message, in pieces of one byte."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = rawws.Client(server.port)
    tls = authority.client_context().wrap_bio(incoming, outgoing, server_hostname="localhost")

    def step(do: Callable[[], object]) -> object:
        while True:
            try:
                return do()
            except ssl.SSLWantReadError:
                client.send_byte_by_byte(outgoing.read())
                incoming.write(client.sock.recv(100))

    step(tls.do_handshake)
    tls.write(client.request())
    got = b""
    while b"\r\n\r\n" not in got:
        got += step(lambda: tls.read(1 << 16))
    tls.write(rawws.frame(rawws.TEXT, b"hello"))
    assert step(lambda: tls.read(1 << 16)) == rawws.frame(rawws.TEXT, b"Message: hello", masked=False)
    client.disconnect()


def test_bad_files_are_named_at_the_start(start, authority, tmp_path) -> None:
    protected = tmp_path / "protected.key"
    subprocess.run(["openssl", "pkey", "-in", authority.key(), "-aes128", "-passout", "pass:secret",
                    "-out", protected], check=True, capture_output=True)
    for cert, key, said in [
        ("/nowhere.pem", authority.key(), "/nowhere.pem: No such file or directory"),
        (authority.cert(), authority.cert(), "there is none in it"),
        (authority.cert(), authority.key("client"), "is not that of the certificate in"),
        (authority.cert(), str(protected), "protected by a passphrase"),
        (authority.cert(), authority.key("rsa"),
         "is of type RSA, but the certificate in " + authority.cert() + " is for a key of type EC"),
        (authority.cert("rsa"), authority.key(),
         "is of type EC, but the certificate in " + authority.cert("rsa") + " is for a key of type "
         "RSA"),
    ]:
        program = start(programs.Program, [programs.WSBROADCASTD, "-l", "127.0.0.1:0",
                                           "--tls-cert", cert, "--tls-key", key])
        program.wait(1)
        assert said in program.stderr
        assert program.stderr.count("\n") == 1
    start(programs.Program, [programs.WSBROADCASTD, "--tls-cert", authority.cert()]).wait(2)
    start(programs.Program, [programs.WSBROADCASTD, *authority.serve(), "--tls-cert",
                             authority.cert("rsa")]).wait(2)


# ---- several certificates ----


def shown(server: TlsServer, name: str, *, sigalgs: str | None = None,
          version: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3) -> str:
    """The common name of the certificate that openssl s_client is shown."""
    program = subprocess.run(
        ["openssl", "s_client", "-connect", f"127.0.0.1:{server.port}",
         *(["-servername", name] if name else ["-noservername"]),
         *(["-sigalgs", sigalgs] if sigalgs else []),
         "-tls1_2" if version == ssl.TLSVersion.TLSv1_2 else "-tls1_3"],
        input="", capture_output=True, text=True, timeout=rawws.TIMEOUT)
    found = re.search(r"^subject=CN ?= ?(.*)$", program.stdout, re.M)
    return found[1] if found else "none"


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_certificates_are_chosen_by_name_and_by_what_the_client_speaks(tls_server, authority,
                                                                       version) -> None:
    options = [word for name in ("rsa", "other", "other-rsa") for word in authority.serve(name)]
    server = tls_server(*options)  # behind that of "good"
    ecdsa, rsa = "ECDSA+SHA256", "RSA-PSS+SHA256"
    for name, sigalgs, expected in [
        ("localhost", None, "good"),
        ("localhost", ecdsa, "good"),
        ("localhost", rsa, "rsa"),
        ("other.example", None, "other"),
        ("other.example", rsa, "other-rsa"),
        ("a.more.example", None, "other"),
        ("nobody.example", None, "good"),
        ("nobody.example", rsa, "rsa"),
        ("", None, "good"),
    ]:
        assert shown(server, name, sigalgs=sigalgs, version=version) == expected, (name, sigalgs)
    client = server.client()  # and one is broadcast to as before
    client.send_text("x")
    assert client.recv_message() == "Message: x"


def test_an_expired_certificate_is_a_warning_at_the_start_and_at_a_reload(start, authority) -> None:
    server = start(programs.Server, *authority.serve("expired"), *authority.serve("rsa"))
    said = rf"the certificate in {authority.cert('expired')} has expired \(2.*SIGHUP"
    server.wait_stderr(said)
    server.process.send_signal(signal.SIGHUP)
    server.wait_stderr(said, 2)
    assert f"the certificate in {authority.cert('rsa')} has" not in server.stderr


# ---- one server, with and without ----


@pytest.mark.parametrize("workers", ["1", "3"])
def test_one_server_speaks_ws_on_one_address_and_wss_on_another(start, authority, tmp_path,
                                                                workers) -> None:
    place = f"unix:{tmp_path}/socket"
    server = start(programs.Server, *authority.serve(), "-w", workers, "-l", "127.0.0.1:0",
                   "-l", "127.0.0.1:0,tls=off", "-l", f"{place},tls=off,mode=0600", "-l",
                   "127.0.0.1:0,tls=on", listeners=4)
    assert [url.partition(":")[0] for url in server.urls] == ["wss", "ws", "unix", "wss"]
    assert server.urls[2] == f"{place} (path /ws)"
    clients = []
    for port, url in zip(server.ports, server.urls):
        for _ in range(4):  # on all workers
            client = rawws.Client(port)
            if url.startswith("wss"):
                wrap(client, authority.client_context(), server_hostname="localhost")
            clients.append(client.upgrade())
    for speaker in clients[::4]:
        speaker.send_text("x")
        assert {client.recv_message() for client in clients} == {"Message: x"}


# ---- plain HTTP ----


@pytest.mark.parametrize("request_line", ["GET /ws", "POST /ws", "OPTIONS /", "DELETE /ws"])
def test_plain_http_gets_a_400_that_says_so_and_is_counted(tls_server, bystanders,
                                                           request_line) -> None:
    server = tls_server()
    for _ in range(2):
        with rawws.Client(server.port) as client:
            client.send(f"{request_line} HTTP/1.1\r\nHost: x\r\n\r\n".encode() + b"x" * 100_000)
            response = client.recv_response()
            assert response.status == 400
            assert response.headers["connection"] == "close"
            assert response.headers["content-type"].startswith("text/plain")
            assert "wss://" in response.body and "https://" in response.body
            client.recv_eof()
    server.wait_stderr(r"127\.0\.0\.1 port \d+: limit plain-http: answered with 400", 2)
    server.stop()
    assert "limit plain-http: 2 hits" in server.stderr


# ---- reload ----


def serial_of(server: TlsServer, ca: str) -> object:
    client = server.connect(ssl.create_default_context(cafile=ca))
    serial = client.sock.getpeercert()["serialNumber"]
    client.disconnect()
    return serial


def test_sighup_reloads_the_certificate(start, authority, tmp_path) -> None:
    def put(name: str) -> None:
        for end, source in (("pem", authority.cert(name)), ("key", authority.key(name))):
            (tmp_path / f"live.{end}").write_bytes(Path(source).read_bytes())

    authority.sign("renewed", "DNS:localhost,IP:127.0.0.1")
    put("good")
    live = Authority.__new__(Authority)
    live.directory, live.ca = tmp_path, authority.ca
    server = start(TlsServer, live, cert="live")
    before = serial_of(server, authority.ca)
    old = server.client()
    pair = Bystanders(server)

    put("renewed")
    server.process.send_signal(signal.SIGHUP)
    server.wait_stderr("reloaded the TLS certificate in ")
    renewed = serial_of(server, authority.ca)
    assert renewed != before

    (tmp_path / "live.pem").write_text("not a certificate")
    server.process.send_signal(signal.SIGHUP)
    server.wait_stderr("the TLS certificate stays as it was: cannot use the certificate in ")
    assert serial_of(server, authority.ca) == renewed

    old.send_text("still here")
    while old.recv_message() != "Message: still here":
        pass
    old.disconnect()
    pair.finish()


def test_sighup_without_pause_under_load(server) -> None:
    """Handshakes and reloads at the same time; nobody is turned away."""
    stop = threading.Event()

    def hang_up() -> None:
        while not stop.wait(0.005):
            server.process.send_signal(signal.SIGHUP)

    thread = threading.Thread(target=hang_up)
    thread.start()
    try:
        for _ in range(50):
            server.client().close()
    finally:
        stop.set()
        thread.join()


# ---- mutual TLS ----


def test_mutual_tls(tls_server, wsrecv, authority, stranger) -> None:
    server = tls_server("--tls-client-ca", authority.ca, "--log-level", "debug")
    for context in (authority.client_context(), authority.client_context()):
        with pytest.raises((ssl.SSLError, ConnectionError)):  # TLS 1.3: told at the first read
            server.connect(context).upgrade()
    impostor = authority.client_context()
    impostor.load_cert_chain(stranger.cert(), stranger.key())
    with pytest.raises((ssl.SSLError, ConnectionError)):
        server.connect(impostor).upgrade()
    context = authority.client_context("client")
    client = server.connect(context).upgrade()
    client.send_text("in")
    assert client.recv_message() == "Message: in"
    again = server.connect(context, session=client.sock.session).upgrade()
    assert again.sock.session_reused
    again.close()
    client.close()
    base = ["--cacert", authority.ca, "-n", "1", "-m", "hi", server.url]
    program = wsrecv("--cert", authority.cert("client"), "--key", authority.key("client"), *base)
    assert program.read_rest() == "Received: Message: hi\n"
    program.wait(0)
    program = wsrecv(*base).wait(CLIENT_TLS)
    assert "the server wants a certificate; name one with --cert FILE" in program.stderr
    program = wsrecv("--cert", stranger.cert(), "--key", stranger.key(), *base).wait(CLIENT_TLS)
    assert "does not accept the certificate of --cert" in program.stderr


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_an_expired_client_certificate_does_not_stay_in_by_resumption(tls_server, authority,
                                                                      version) -> None:
    server = tls_server("--tls-client-ca", authority.ca, "--log-level", "debug")
    end = authority.sign_for("brief", 4)
    context = authority.client_context("brief")
    context.minimum_version = context.maximum_version = version
    client = server.connect(context).upgrade()
    client.send_text("in")
    assert client.recv_message() == "Message: in"
    session = client.sock.session
    while datetime.now(timezone.utc) < end - timedelta(seconds=1):
        with server.connect(context, session=session).upgrade() as again:
            assert again.sock.session_reused
            again.send_text("again")
            assert again.recv_message() == "Message: again"
            session = again.sock.session  # renewed, from resumption to resumption
        time.sleep(0.2)
    time.sleep((end - datetime.now(timezone.utc)).total_seconds() + 1.5)  # only the clock tells
    with pytest.raises((ssl.SSLError, ConnectionError)):
        server.connect(context, session=session).upgrade()
    server.wait_stderr("TLS failed: certificate verify failed")


def test_a_reload_ends_those_whose_certificate_is_not_admitted_any_more(
        tls_server, authority, stranger, tmp_path) -> None:
    ca = tmp_path / "ca.pem"
    ca.write_text(Path(authority.ca).read_text() + Path(stranger.ca).read_text())
    server = tls_server("--tls-client-ca", str(ca), "-w", "2")
    theirs = authority.client_context()
    theirs.load_cert_chain(stranger.cert(), stranger.key())
    stays = [server.connect(authority.client_context("client")).upgrade() for _ in range(4)]
    goes = [server.connect(theirs).upgrade() for _ in range(100)]
    listens = server.connect(theirs)
    listens.send(listens.request(Accept="text/event-stream", Upgrade=None, Connection=None))
    assert listens.recv_head().start.startswith("HTTP/1.1 200")
    asks = server.connect(theirs)
    asks.send(asks.request("/channels", Upgrade=None, Connection=None))
    assert asks.recv_response().status == 200

    ca.write_text(Path(authority.ca).read_text())
    server.process.send_signal(signal.SIGHUP)
    for client in goes:
        code, reason = client.recv_close()
        assert (code, reason) == (1008, "the client certificate is no longer accepted")
        client.recv_eof()
    while listens.sock.recv(4096):
        pass
    asks.recv_eof()
    server.wait_stderr("its client certificate is no longer accepted: closed with 1008", 100)
    server.wait_stderr("its client certificate is no longer accepted: ended", 2)
    stays[0].send_text("still in")
    assert {client.recv_message() for client in stays} == {"Message: still in"}
    with pytest.raises((ssl.SSLError, ConnectionError)):
        server.connect(theirs).upgrade()


# ---- wsrecv ----


def test_wsrecv_and_wsbroadcastd(server, wsrecv, authority) -> None:
    listener = wsrecv("-r", "--cacert", authority.ca, server.url)
    listener.wait_stderr("Connected to wss://")
    speaker = server.client()
    for size in SIZES:
        speaker.send_text("é" * (size // 2))
        assert listener.read_line() == "Message: " + "é" * (size // 2)
        speaker.recv_message()
    speaker.close()
    listener.stop()
    server.wait_stderr("closed with 1000")


def test_wsrecv_knows_the_name(wsrecv, authority) -> None:
    """The name is told (SNI), an address is not (RFC 6066, 3)."""
    told = []
    context = authority.server_context()
    context.sni_callback = lambda _, name, __: told.append(name)

    def script(peer: rawws.Peer) -> None:
        peer.accept()
        peer.close()

    for host in ("localhost", "127.0.0.1"):
        with scripted(context, script) as server:
            url = server.url.replace("localhost", host)
            wsrecv("--cacert", authority.ca, url).wait(0)
    assert told == ["localhost", None]


@pytest.mark.parametrize("cert, options, said", [
    ("good", [], "signed by an authority that is not known here; name it with --cacert FILE"),
    ("wrong", ["ca"], "is not for 'localhost' but for: other.example, *.other.example, 192.0.2.7;"),
    ("nameless", ["ca"], "is not for 'localhost' but for: no name at all;"),
    ("localhost", ["ca"], "is not for 'localhost' but for: no name at all;"),
    ("expired", ["ca"], "has expired (2"),
])
def test_wsrecv_does_not_believe(wsrecv, authority, cert, options, said) -> None:
    arguments = ["--cacert", authority.ca] if options else []
    with refused_handshake(authority.server_context(cert)) as server:
        program = wsrecv(*arguments, server.url).wait(CLIENT_TLS)
        assert said in program.stderr
        assert program.stderr.count("\n") == 1
        assert program.stderr.startswith(f"wsrecv: {server.url}: the server's certificate ")


@pytest.mark.parametrize("cert", ["good", "wrong", "expired"])
def test_insecure_believes_everybody(wsrecv, authority, cert) -> None:
    def script(peer: rawws.Peer) -> None:
        peer.accept()
        peer.send_text("hello")
        peer.close()

    with scripted(authority.server_context(cert), script) as server:
        program = wsrecv("-k", server.url)
        assert program.read_rest() == "Received: hello\n"
        program.wait(0)


@pytest.mark.parametrize("options, said", [
    ([], "the server wants a certificate; name one with --cert FILE"),
    (["stranger"], "the server does not accept the certificate of --cert"),
], ids=["none", "unknown"])
def test_a_refused_client_certificate_is_4_every_time(wsrecv, authority, stranger, options,
                                                      said) -> None:
    """With TLS 1.3 the client has finished its handshake before the server looks at the
    certificate: the alert comes while the request is being written, to a socket that is closed."""
    context = authority.server_context()
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(authority.ca)

    def script(peer: rawws.Peer) -> None:
        with pytest.raises((ssl.SSLError, ConnectionError)):
            wrap(peer, context, server_side=True)
        peer.disconnect()

    base = ["--cacert", authority.ca]
    if options:
        base += ["--cert", stranger.cert(), "--key", stranger.key()]
    for _ in range(15):
        with rawws.ScriptedServer(script) as server:
            url = server.url.replace("ws://127.0.0.1", "wss://localhost")
            assert said in wsrecv(*base, url).wait(CLIENT_TLS).stderr


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "TLS"])
def test_an_answer_that_came_before_writing_failed_is_read(wsrecv, authority, tls) -> None:
    """The server answers before it has read the request, and resets the connection."""
    context = authority.server_context()

    def script(peer: rawws.Peer) -> None:
        if tls:
            wrap(peer, context, server_side=True)
        peer.sock.recv(1)
        peer.send(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        peer.disconnect()  # RST, as not all was read

    for _ in range(5):
        with rawws.ScriptedServer(script) as server:
            url = server.url.replace("ws://127.0.0.1", "wss://localhost") if tls else server.url
            fields = [word for n in range(60) for word in ("-H", f"X-{n}: " + "x" * 20_000)]
            program = wsrecv("--cacert", authority.ca, *fields, url).wait(CLIENT_REFUSED)
            assert "403" in program.stderr


def test_cacert_may_be_the_certificate_itself(wsrecv, authority) -> None:
    with scripted(authority.server_context(), lambda peer: (peer.accept(), peer.close())) as server:
        wsrecv("--cacert", authority.cert(), server.url).wait(0)


def test_wsrecv_names_bad_files(wsrecv, authority) -> None:
    url = "wss://localhost:1/ws"
    assert "/nowhere: No such file" in wsrecv("--cacert", "/nowhere", url).wait(CLIENT_TLS).stderr
    said = wsrecv("--cacert", authority.key(), url).wait(CLIENT_TLS).stderr
    assert "cannot use the certificates in" in said
    assert said.count("\n") == 1
    assert "/no.pem" in wsrecv("--cert", "/no.pem", "--key", "/no", url).wait(CLIENT_TLS).stderr
    assert "--cert FILE" in wsrecv("--key", "/nowhere", url).wait(2).stderr


def test_wsrecv_names_a_bad_file_of_the_environment(wsrecv, authority, monkeypatch) -> None:
    """OpenSSL would pass over it, and then every server would be signed by nobody who is known."""
    monkeypatch.setenv("SSL_CERT_FILE", "/nowhere.pem")
    said = wsrecv("wss://localhost:1/ws").wait(CLIENT_TLS).stderr
    assert "SSL_CERT_FILE" in said and "/nowhere.pem: No such file" in said
    assert said.count("\n") == 1
    with scripted(authority.server_context(), lambda peer: (peer.accept(), peer.close())) as server:
        wsrecv("--cacert", authority.ca, server.url).wait(0)
    monkeypatch.setenv("SSL_CERT_FILE", authority.ca)
    with scripted(authority.server_context(), lambda peer: (peer.accept(), peer.close())) as server:
        wsrecv(server.url).wait(0)


@pytest.mark.parametrize("answer", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"hello\r\n", b""],
                         ids=["http", "text", "nothing"])
def test_wsrecv_and_a_server_without_tls(wsrecv, answer) -> None:
    def script(peer: rawws.Peer) -> None:
        peer.sock.recv(4096)
        peer.send(answer)

    with rawws.ScriptedServer(script) as server:
        program = wsrecv(server.url.replace("ws:", "wss:")).wait(CLIENT_TLS)
        assert "TLS" in program.stderr and "on this port" in program.stderr
        assert program.stderr.count("\n") == 1


def test_wsrecv_and_a_plain_wsbroadcastd(wsbroadcastd, wsrecv) -> None:
    plain = wsbroadcastd()
    program = wsrecv(plain.url.replace("ws:", "wss:")).wait(CLIENT_TLS)
    assert "the server does not speak TLS on this port; is it a ws:// URL?" in program.stderr


def test_ws_to_a_server_that_speaks_tls(server, wsrecv) -> None:
    """Whether it says something that is no TLS, or just goes."""
    program = wsrecv(server.url.replace("wss:", "ws:"))
    assert "wss:// URL" in program.wait_stderr(r"^wsrecv: .*\n")[0][0]
    program.wait(program.process.wait(rawws.TIMEOUT))
    assert program.process.returncode in (CLIENT_REFUSED, CLIENT_LOST, CLIENT_PROTOCOL)


def test_truncation_is_told(wsrecv, authority) -> None:
    """TCP ends, and neither a Close nor close_notify came: somebody may have cut it off."""

    def script(peer: rawws.Peer) -> None:
        peer.accept()
        peer.send_text("hello")

    with scripted(authority.server_context(), script) as server:
        program = wsrecv("--cacert", authority.ca, server.url)
        assert program.read_rest() == "Received: hello\n"
        program.wait(CLIENT_LOST)
        assert "connection lost: the connection was cut off: it ended without TLS's close_notify" \
            in program.stderr


def test_close_notify_without_close_is_told_as_that(wsrecv, authority) -> None:
    def script(peer: rawws.Peer) -> None:
        peer.accept()
        peer.sock.unwrap()

    with scripted(authority.server_context(), script) as server:
        program = wsrecv("--cacert", authority.ca, server.url).wait(CLIENT_LOST)
        assert "connection lost: the server ended it without a Close" in program.stderr


def test_wsrecv_sends_close_notify(wsrecv, authority) -> None:
    def script(peer: rawws.Peer) -> None:
        peer.accept()
        peer.close()
        with socket.socket(fileno=socket.dup(peer.sock.fileno())) as raw:
            raw.shutdown(socket.SHUT_WR)
        peer.recv_eof()

    with scripted(authority.server_context(), script) as server:
        wsrecv("--cacert", authority.ca, server.url).wait(0)


def test_after_a_close_truncation_does_not_matter(wsrecv, authority) -> None:
    with scripted(authority.server_context(), lambda peer: (peer.accept(), peer.close())) as server:
        assert "close_notify" not in wsrecv("-k", server.url).wait(0).stderr


def test_slow_output_holds_up_the_server(wsrecv, authority) -> None:
    """Nobody reads wsrecv's output: it stops reading, memory is bounded, and nothing is lost."""
    lines = [f"{n} " + "x" * 20_000 for n in range(1000)]
    sent = threading.Event()

    def script(peer: rawws.Peer) -> None:
        peer.accept()
        peer.sock.settimeout(3 * rawws.TIMEOUT)
        for line in lines:
            peer.send_text(line)
        sent.set()
        peer.close()

    with scripted(authority.server_context(), script) as server:
        program = wsrecv("-r", "--no-compression", "-k", server.url)
        program.wait_stderr("Connected")
        time.sleep(0.5)
        assert not sent.is_set()
        assert programs.SANITIZED or program.rss_anon() < 12 << 20
        assert program.read_rest() == "\n".join(lines) + "\n"
        program.wait(0)


def test_echo_of_large_messages(wsrecv, authority) -> None:
    """wsrecv writes as much as it reads: records both ways at once."""

    def script(peer: rawws.Peer) -> None:
        peer.accept()
        for size in SIZES * 2:
            data = payload(size)[:size]
            peer.send_binary(data)
            assert peer.recv_message() == data
        peer.close()

    with scripted(authority.server_context(), script) as server:
        wsrecv("--echo", "-k", server.url).wait(0)
