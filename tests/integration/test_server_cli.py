"""wsbroadcastd's command line, signals and exit statuses."""

from __future__ import annotations

import re
import signal
import socket

import programs
import pytest
import rawws


@pytest.fixture
def run(start):
    """run(argument, ...) starts wsbroadcastd that is to end by itself."""
    return lambda *args: start(programs.Program, [programs.WSBROADCASTD, *args])


# Help, version, usage


@pytest.mark.parametrize("option", ["-h", "--help"])
def test_help_names_every_option_in_80_columns(run, option):
    text = run(option).wait(0).read_rest()
    assert all(len(line) <= 80 for line in text.splitlines())
    for name in ("-l", "--listen", "--path", "--prefix", "--max-message", "--log-level"):
        assert name in text
    assert re.search(r"-V\b.*--version", text) and re.search(r"-h\b.*--help", text)


@pytest.mark.parametrize("option", ["-V", "--version"])
def test_version_is_one_line_on_stdout(run, option):
    text = run(option).wait(0).read_rest()
    assert re.fullmatch(r"wsbroadcastd \d+\.\d+\S*\n", text)


@pytest.mark.parametrize(
    "arguments",
    [
        ["--no-such-option"],
        ["-x"],
        ["stray"],
        ["-l"],
        ["-l", ""],
        ["-l", "127.0.0.1:port"],
        ["-l", "127.0.0.1:65536"],
        ["-l", "127.0.0.1:-1"],
        ["-l", "[::1:0"],
        ["-l", "127.0.0.1:0,tls=maybe"],
        ["-l", "127.0.0.1:0,mode=0660"],
        ["-l", "127.0.0.1:0,tls=on"],
        ["-p", "65536"],
        ["-p", "127.0.0.1:0"],
        ["--max-message", "12X"],
        ["--max-message", "many"],
        ["--max-message", "-1"],
        ["--max-message", ""],
        ["--max-message", "99999999999G"],
        ["--log-level", "loud"],
        ["--path", "no-slash"],
        ["--path", "/", "--stdin=channels"],
        ["--stdout=channels", "--path", "/"],
    ],
    ids=" ".join,
)
def test_a_usage_error_is_2_and_a_line_on_stderr(run, arguments):
    program = run(*arguments).wait(2)
    assert program.read_rest() == ""
    assert program.stderr.startswith("wsbroadcastd: ")


@pytest.mark.parametrize("level", ["error", "warn", "info", "debug"])
def test_log_levels_are_known(run, level):
    run("--log-level", level, "--version").wait(0)


# Listening


def test_port_0_is_answered_with_a_port(server):
    assert re.fullmatch(r"ws://127\.0\.0\.1:[1-9]\d*/ws", server.url)
    with server.client() as client:
        client.send_text("x")
        assert client.recv_message() == "Message: x"


def has_ipv6() -> bool:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        return False
    return True


@pytest.mark.parametrize(
    "arguments",
    [["-l", "0"], ["-l", ":0"], ["-l", "localhost:0"], ["-p", "0"], ["--port=0"]],
    ids=" ".join,
)
def test_a_port_alone_is_this_machine_over_ipv4_and_ipv6(start, arguments):
    listeners = 2 if has_ipv6() else 1
    server = start(Bare, arguments, listeners)
    urls = [f"ws://127.0.0.1:{server.ports[0]}/ws", f"ws://[::1]:{server.ports[0]}/ws"]
    assert server.urls == urls[:listeners]  # with one port
    hosts = ["127.0.0.1", "::1"][:listeners]
    clients = [rawws.Client(server.port, host).upgrade() for host in hosts]
    clients[0].send_text("x")
    assert {client.recv_message() for client in clients} == {"Message: x"}


class Bare(programs.Server):
    """A server with these arguments and no address of the tests' own."""

    def __init__(self, arguments: list[str], listeners: int) -> None:
        programs.Program.__init__(self, [programs.WSBROADCASTD, *arguments])
        ready = self.wait_stderr(r"listening on (ws://\S+:(\d+)/ws)", listeners)
        self.urls = [match[1] for match in ready]
        self.ports = [int(match[2]) for match in ready]
        self.port = self.ports[0]


def test_clients_of_all_listeners_hear_each_other(wsbroadcastd):
    server = wsbroadcastd("-l", "127.0.0.1:0", "--listen", "127.0.0.1:0", listeners=2)
    assert server.ports[0] != server.ports[1]
    with server.client() as one, rawws.Client(server.ports[1]).upgrade() as two:
        one.send_text("from one")
        assert one.recv_message() == two.recv_message() == "Message: from one"
        two.send_text("from two")
        assert one.recv_message() == two.recv_message() == "Message: from two"


def test_listens_on_ipv6(wsbroadcastd, wsrecv):
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        pytest.skip("no IPv6 on this machine")
    server = wsbroadcastd("-l", "[::1]:0")
    assert server.url == f"ws://[::1]:{server.port}/ws"
    listener = wsrecv(server.url, "-m", "six", "-n", "1").wait(0)
    assert listener.read_rest() == "Received: Message: six\n"


@pytest.mark.parametrize("before", [[], ["-l", "127.0.0.1:0"]], ids=["alone", "the second of two"])
def test_cannot_bind_is_1_and_names_address_and_reason(run, before):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        program = run(*before, "-l", address).wait(1)
    (line,) = [line for line in program.stderr.splitlines() if address in line]
    assert "address already in use" in line.lower()


def test_an_address_of_another_machine_cannot_be_bound(run):
    program = run("-l", "192.0.2.1:0").wait(1)  # RFC 5737: nobody's
    assert re.search(r"192\.0\.2\.1.*cannot assign|not available", program.stderr, re.I)


def test_a_restart_can_bind_at_once(wsbroadcastd):
    """Connections in TIME_WAIT do not keep the port."""
    first = wsbroadcastd()
    with first.client() as client:
        first.process.terminate()
        assert client.recv_close()[0] == 1001
        client.send_close(1001)
        client.recv_eof()
    first.wait(0)
    wsbroadcastd("-l", f"127.0.0.1:{first.port}")


# Signals


@pytest.mark.parametrize(
    "signum, said",
    [
        (signal.SIGHUP, "SIGHUP: there is nothing to reload"),
        (signal.SIGUSR1, "SIGUSR1: there is no log file to reopen"),
        (signal.SIGUSR2, "SIGUSR2: this server cannot be replaced while it runs"),
    ],
)
def test_a_signal_that_asks_for_nothing_we_have_is_logged_and_serving_goes_on(server, signum, said):
    with server.client() as client:
        for count in (1, 2):
            server.process.send_signal(signum)
            server.wait_stderr(said, count)
        client.send_text("x")
        assert client.recv_message() == "Message: x"
    server.stop()


# What is served


def test_path(wsbroadcastd):
    server = wsbroadcastd("--path", "/chat/room")
    assert server.url.endswith("/chat/room")
    with server.client("/chat/room") as client:
        client.send_text("x")
        assert client.recv_message() == "Message: x"
    with rawws.Client(server.port) as client:
        client.send(client.request("/ws"))
        assert client.recv_response().status == 404


def test_a_query_does_not_change_the_path(server):
    with server.client("/ws?room=1&x=/y") as client:
        client.send_text("x")
        assert client.recv_message() == "Message: x"


@pytest.mark.parametrize("prefix", ["", "grüße: ", "%s %n ", "p" * 200])
def test_prefix(wsbroadcastd, prefix):
    with wsbroadcastd("--prefix", prefix).client() as client:
        for text in ("", "text"):
            client.send_text(text)
            assert client.recv_message() == prefix + text
        client.send_binary(b"\x00bytes")
        assert client.recv_message() == b"\x00bytes"


@pytest.mark.parametrize(
    ("option", "limit"),
    [
        ([], 1 << 20),
        (["--max-message", "1000"], 1000),
        (["--max-message", "1K"], 1024),
        (["--max-message", "2M"], 2 << 20),
        (["--max-message=3K"], 3072),
    ],
)
def test_max_message(wsbroadcastd, option, limit):
    server = wsbroadcastd(*option)
    with server.client() as client, server.client() as fragmenting:
        client.send_binary(bytes(limit))
        assert client.recv_message() == bytes(limit)
        client.send_text("x" * limit)
        assert client.recv_message() == "Message: " + "x" * limit

        client.send_binary(bytes(limit + 1))
        assert client.recv_close()[0] == 1009

        fragmenting.send_frame(rawws.TEXT, b"x" * (limit - 9), fin=False)
        fragmenting.send_frame(rawws.CONTINUATION, b"y" * 9)
        while (heard := fragmenting.recv_message())[-1:] != "y":
            pass
        assert len(heard) == len("Message: ") + limit
        fragmenting.send_frame(rawws.TEXT, b"x" * (limit - 9), fin=False)
        fragmenting.send_frame(rawws.CONTINUATION, b"y" * 10)
        assert fragmenting.recv_close()[0] == 1009


def test_max_message_of_a_gigabyte_is_understood(wsbroadcastd):
    with wsbroadcastd("--max-message", "1G").client() as client:
        client.send(rawws.frame(rawws.TEXT, b"x", declared=1 << 30))  # begun, never ended
        client.send(bytes(1000))
        client.reset()


# Going away


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT])
def test_everyone_gets_1001_and_the_server_exits_0(server, signum):
    clients = [server.client() for _ in range(20)]
    server.process.send_signal(signum)
    for client in clients:
        assert client.recv_close()[0] == 1001
        client.send_close(1001)
        client.recv_eof()
        client.disconnect()
    server.wait(0, programs.STOP_SECONDS)


def test_exits_0_without_clients(server):
    server.stop(signal.SIGINT)


def test_connections_that_are_not_upgraded_do_not_hold_it_up(server):
    with rawws.Client(server.port), rawws.Client(server.port) as halfway:
        halfway.send(halfway.request()[:50])
        with server.client() as client:  # so the two before it have been accepted
            client.send_text("x")
            client.recv_message()
            server.stop()


def is_refused(port: int) -> bool:
    try:
        rawws.Client(port).disconnect()
    except ConnectionRefusedError:
        return True
    return False


def test_clients_that_do_not_answer_do_not_hold_it_up(server):
    with server.client() as client:
        server.process.terminate()
        assert client.recv_close()[0] == 1001
        if programs.WORKERS:  # each of them says so for itself
            programs.wait_until("nobody is accepted", lambda: is_refused(server.port))
        assert is_refused(server.port)  # it has stopped accepting before that
        server.wait(0, programs.STOP_SECONDS)


def test_a_second_signal_is_no_harm(server):
    with server.client() as client:
        server.process.terminate()
        assert client.recv_close()[0] == 1001
        server.stop(signal.SIGINT)


def test_what_was_published_before_is_delivered_before_the_close(server):
    """A listener that lags by some megabytes gets them all, and then the Close."""
    size, count = 1 << 16, 200
    with server.client(receive_buffer=8192) as lagging, server.client() as publisher:
        for i in range(count):
            publisher.send_binary(bytes([i]) * size)
            assert publisher.recv_message() == bytes([i]) * size
        server.process.terminate()
        assert publisher.recv_close()[0] == 1001
        publisher.send_close(1001)
        for i in range(count):
            assert lagging.recv_message() == bytes([i]) * size
        assert lagging.recv_close()[0] == 1001
        lagging.send_close(1001)
        lagging.recv_eof()
    server.wait(0, programs.STOP_SECONDS)


def test_a_listener_that_never_reads_does_not_hold_it_up(server):
    with server.client(receive_buffer=8192), server.client() as publisher:
        for _ in range(100):
            publisher.send_binary(bytes(1 << 16))
            publisher.recv_message()
        server.stop()


@pytest.mark.parametrize("limit", [5, 8])
def test_1_and_a_line_when_files_cannot_be_opened(start, limit):
    script = f"ulimit -n {limit}; exec {programs.WSBROADCASTD} -l 127.0.0.1:0"
    server = start(programs.Program, ["bash", "-c", script]).wait(1)
    assert re.fullmatch(r"wsbroadcastd: cannot open files: .*'ulimit -n'.*\n", server.stderr)
