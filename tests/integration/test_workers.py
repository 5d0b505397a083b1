"""Several workers: they share the connections, and all their subscribers hear one order."""

from __future__ import annotations

import os
import re
import resource
import signal
import socket
import threading
from collections.abc import Callable, Iterator

import programs
import pytest
import rawws

WORKERS = 4
MANY = 2_000 if programs.SANITIZED else 10_000
SUBSCRIBERS, PUBLISHERS, MESSAGES = 20, 8, 200


@pytest.fixture(params=["tcp", "unix", "inherited"])
def serve(request, wsbroadcastd, tmp_path) -> Iterator[Callable[..., programs.Server]]:
    """serve(option, ...) starts a server with four workers on a socket of each kind."""
    passed = socket.create_server(("127.0.0.1", 0), backlog=1024)
    listen = {
        "tcp": "127.0.0.1:0",
        "unix": f"unix:{tmp_path}/socket",
        "inherited": f"fd:{passed.fileno()}",
    }[request.param]

    def start(*options: str) -> programs.Server:
        server = wsbroadcastd(
            "-w", str(WORKERS), "-l", listen, *options, pass_fds=[passed.fileno()]
        )
        passed.close()  # the server's is the only one: with it the port goes
        return server

    yield start
    passed.close()


def shares(server: programs.Server) -> list[int]:
    """How many connections each worker had, once the server has ended."""
    said = re.findall(r"worker \d+: (\d+) connections in all", server.stderr)
    assert len(said) == WORKERS
    return [int(number) for number in said]


def test_connections_are_spread(serve):
    """Of many, no worker has less than half its share; and all of them hear a message."""
    if resource.getrlimit(resource.RLIMIT_NOFILE)[0] < MANY + 100:
        pytest.skip("too few file descriptors are allowed here")
    server = serve("--log-level", "debug")
    clients = programs.connect(server, MANY)
    try:
        clients[0].send_text("to all")
        for client in clients:
            assert client.recv_message() == "Message: to all"
    finally:
        for client in clients:
            client.reset()
    server.stop()
    assert sum(shares(server)) == MANY
    assert min(shares(server)) >= MANY / WORKERS / 2


def test_all_subscribers_on_all_workers_hear_one_order(serve):
    """Several publish at once; everybody hears everything once, and in the same order."""
    server = serve()
    publishers = programs.connect(server, PUBLISHERS)
    subscribers = programs.connect(server, SUBSCRIBERS)
    barrier = threading.Barrier(PUBLISHERS)

    def publish(who: int) -> None:
        barrier.wait(rawws.TIMEOUT)
        for i in range(MESSAGES):
            publishers[who].send_text(f"{who} {i}")

    threads = [threading.Thread(target=publish, args=[who]) for who in range(PUBLISHERS)]
    for thread in threads:
        thread.start()
    count = PUBLISHERS * MESSAGES
    first, *others = (
        [client.recv_message() for _ in range(count)] for client in publishers + subscribers
    )
    for thread in threads:
        thread.join(rawws.TIMEOUT)
    assert all(other == first for other in others), "not the same order for everyone"
    for who in range(PUBLISHERS):
        mine = [text for text in first if text.startswith(f"Message: {who} ")]
        assert mine == [f"Message: {who} {i}" for i in range(MESSAGES)]
    for client in publishers + subscribers:
        client.close()


def test_who_comes_and_goes_hears_a_run_without_gaps(serve):
    """While one publishes, others join and leave, in each of the ways there are."""
    server = serve()
    stop = threading.Event()
    errors: list[BaseException] = []

    def number_of(message: str | bytes) -> int:
        return int(str(message).removeprefix("Message: "))

    def visit(leave: Callable[[rawws.Client], None]) -> None:
        for _ in range(25):
            client = server.client()
            first = number_of(client.recv_message())
            for expected in range(first + 1, first + 10):
                assert number_of(client.recv_message()) == expected
            leave(client)

    def run(leave: Callable[[rawws.Client], None]) -> None:
        try:
            visit(leave)
        except BaseException as error:
            errors.append(error)

    def publish() -> None:
        with server.client() as publisher:
            number = 0
            while not stop.is_set():  # one at a time: the visitors' pace, not a flood
                publisher.send_text(str(number))
                assert number_of(publisher.recv_message()) == number
                number += 1

    ways = [rawws.Client.disconnect, rawws.Client.reset, rawws.Client.close]
    visitors = [threading.Thread(target=run, args=[way]) for way in ways for _ in range(2)]
    publisher = threading.Thread(target=publish)
    publisher.start()
    for visitor in visitors:
        visitor.start()
    for visitor in visitors:
        visitor.join(6 * rawws.TIMEOUT)
    stop.set()
    publisher.join(rawws.TIMEOUT)
    assert not errors, errors
    with server.client() as client:
        client.send_text("still there")
        assert client.recv_message() == "Message: still there"


@pytest.mark.parametrize("signals", [1, 2])
def test_everyone_on_every_worker_gets_1001(serve, signals):
    server = serve()
    clients = programs.connect(server, 200)
    server.process.send_signal(signal.SIGTERM)
    for client in clients:
        assert client.recv_close()[0] == 1001
    if signals == 1:
        for client in clients:
            client.send_close(1001)
            client.recv_eof()
    else:
        server.process.send_signal(signal.SIGINT)  # nobody has answered: it waits no longer
    server.wait(0, programs.STOP_SECONDS)
    for client in clients:
        client.disconnect()


def test_who_comes_while_it_stops_holds_nothing_up(serve):
    """Connections arrive, accepted or on their way from one worker to another, as it ends."""
    server = serve()
    stop = threading.Event()

    def knock() -> None:
        while not stop.is_set():
            try:
                rawws.Client(server.port).disconnect()
            except OSError:  # it has stopped listening
                pass

    threads = [threading.Thread(target=knock) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        with server.client() as client:
            client.send_text("x")
            client.recv_message()
        server.stop()
    finally:
        stop.set()
        for thread in threads:
            thread.join(rawws.TIMEOUT)


def test_limits_count_over_all_workers(wsbroadcastd):
    server = wsbroadcastd("-w", str(WORKERS), "--max-connections", "10")
    clients = [server.client() for _ in range(10)]
    with rawws.Client(server.port) as another:
        another.send(another.request())
        assert another.recv_response().status == 503
    for client in clients:
        client.close()
    server.stop()
    assert "limit max-connections: 1 hit\n" in server.stderr


def test_auto_is_one_for_each_cpu(wsbroadcastd):
    """taskset leaves it a single one."""
    cpu = min(os.sched_getaffinity(0))
    server = wsbroadcastd(
        "-w",
        "auto",
        "--log-level",
        "debug",
        preexec_fn=lambda: os.sched_setaffinity(0, [cpu]),
    )
    server.stop()
    assert re.findall(r"worker (\d+): ", server.stderr) == ["0"]


# What goes wrong


@pytest.fixture
def run(start):
    """run(argument, ...) starts wsbroadcastd with four workers that is to end by itself."""
    return lambda *args, **how: start(
        programs.Program, [programs.WSBROADCASTD, "-w", str(WORKERS), *args], **how
    )


def test_a_port_of_another_server_with_workers_is_in_use(wsbroadcastd, run):
    address = f"127.0.0.1:{wsbroadcastd('-w', str(WORKERS)).port}"
    program = run("-l", address).wait(1)
    assert re.search(rf"{address}: address already in use; ", program.stderr)


def test_a_port_that_somebody_would_share_is_in_use(run):
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        other.bind(("127.0.0.1", 0))
        other.listen()
        program = run("-l", f"127.0.0.1:{other.getsockname()[1]}").wait(1)
    assert "address already in use" in program.stderr


def test_a_worker_that_cannot_be_made_is_1_and_a_line(run, tmp_path):
    program = run(
        "-w",
        "100",
        "-l",
        f"unix:{tmp_path}/socket",
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64)),
    ).wait(1)
    (line,) = program.stderr.splitlines()
    assert re.search(r"cannot start worker \d+ of 100: too many open files; .*ulimit -n", line)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(programs.SANITIZED, reason="sanitizers need more address space than there is")
def test_a_thread_that_cannot_start_is_1_and_the_others_are_stopped(run):
    """Each thread's stack takes 256 MiB of the 1 GiB of addresses that the process may have."""

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_STACK, (1 << 28, 1 << 28))
        resource.setrlimit(resource.RLIMIT_AS, (1 << 30, 1 << 30))

    program = run("-w", "8", "-l", "127.0.0.1:0", preexec_fn=limit).wait(1)
    (line,) = program.stderr.splitlines()
    assert re.search(r"cannot start worker [2-8] of 8: .*; raise the limit on memory", line)


@pytest.mark.parametrize("number", ["0", "-1", "1025", "many", "", "2x"])
def test_a_number_of_workers_that_cannot_be_is_2(run, number):
    program = run("-w", number).wait(2)
    assert "'--workers'" in program.stderr


def test_a_publisher_waits_for_the_subscribers_of_another_worker(wsbroadcastd, tmp_path):
    """It says more at once than they may be behind. Then it goes on; nobody misses anything."""
    listen = ["-l", f"unix:{tmp_path}/socket", "-w", "2", "--log-level", "debug"]
    server = wsbroadcastd(*listen, "--max-message", "8M", "--prefix", "")
    with server.client() as there, server.client() as publisher:  # in turn, there and here
        for number in range(4):
            said = bytes([number]) * (5 << 20)
            publisher.send_binary(said)
            assert publisher.recv_message() == there.recv_message() == said
            server.wait_stderr("paused: subscribers of other workers are behind", number + 1)
