"""What the server tells a service manager (sd_notify), which is a datagram socket of the test."""

from __future__ import annotations

import ctypes
import os
import signal
import socket
import time
from pathlib import Path

import programs
import pytest
import rawws

PTRACE_INTERRUPT, PTRACE_DETACH, PTRACE_SEIZE = 0x4207, 17, 0x4206


class Manager:
    """Hears notifications, each of which is assignments, a line each."""

    def __init__(self, path: Path) -> None:
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(str(path))
        self.environment = os.environ | {"NOTIFY_SOCKET": str(path)}

    def next(self, timeout: float = rawws.TIMEOUT) -> dict[str, str]:
        self.socket.settimeout(timeout)
        return dict(line.split("=", 1) for line in self.socket.recv(4096).decode().split("\n"))

    def wait(self, name: str) -> dict[str, str]:
        """The next one that assigns name; others are left out."""
        while name not in (said := self.next()):
            pass
        return said

    def drain(self) -> None:
        """Until nothing has come for a while that is long for the watchdog."""
        try:
            while self.next(0.5):
                pass
        except TimeoutError:
            pass


@pytest.fixture
def manager(tmp_path):
    manager = Manager(tmp_path / "notify")
    yield manager
    manager.socket.close()


def test_the_manager_hears_of_the_start_of_clients_and_of_the_end(wsbroadcastd, manager):
    server = wsbroadcastd(env=manager.environment)
    assert manager.next() == {"READY": "1", "STATUS": "0 connections"}
    client = server.client()
    assert manager.next() == {"STATUS": "1 connection"}
    server.process.send_signal(signal.SIGTERM)
    assert manager.next() == {"STOPPING": "1"}
    assert client.recv_frame().opcode == rawws.CLOSE
    client.sock.close()
    server.wait()


def test_a_server_that_cannot_start_is_never_ready(start, manager):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        argv = [programs.WSBROADCASTD, "-l", f"127.0.0.1:{port}"]
        start(programs.Program, argv, env=manager.environment).wait(1)
    with pytest.raises(TimeoutError):
        manager.next(0.1)


@pytest.mark.parametrize("good", [True, False])
def test_the_manager_hears_of_a_reload_whether_it_succeeds_or_not(start, manager, tmp_path, good):
    file = tmp_path / "wsbroadcastd.conf"
    file.write_text("[server]\nlisten = 127.0.0.1:0\n")
    server = start(programs.Server, "-c", str(file), env=manager.environment)
    manager.wait("READY")
    file.write_text(f"[server]\nlisten = 127.0.0.1:0\n{'' if good else 'nonsense = 1'}\n")
    before = time.monotonic_ns() // 1000
    server.process.send_signal(signal.SIGHUP)
    said = manager.wait("RELOADING")
    assert said["RELOADING"] == "1"
    assert before <= int(said["MONOTONIC_USEC"]) <= time.monotonic_ns() // 1000
    assert manager.wait("READY") == {"READY": "1"}
    server.wait_stderr("reloaded the configuration" if good else "'nonsense' is not an option")


def watched(manager: Manager, seconds: float, pid: int | None = None) -> dict[str, str]:
    environment = manager.environment | {"WATCHDOG_USEC": str(int(seconds * 1e6))}
    return environment if pid is None else environment | {"WATCHDOG_PID": str(pid)}


def workers_of(server: programs.Server) -> list[int]:
    """The threads that wait in the same system call as the main thread: loops."""
    tasks = Path(f"/proc/{server.pid}/task")

    def call(thread: int) -> str:
        return (tasks / str(thread) / "syscall").read_text().split()[0]

    threads = [int(task.name) for task in tasks.iterdir()]
    return [one for one in threads if one != server.pid and call(one) == call(server.pid)]


class StandingStill:
    """A single thread of a program, stopped (ptrace)."""

    def __init__(self, thread: int) -> None:
        self.thread = thread
        self.libc = ctypes.CDLL(None, use_errno=True)

    def _ptrace(self, request: int) -> None:
        zero = ctypes.c_void_p(0)
        if self.libc.ptrace(ctypes.c_long(request), ctypes.c_long(self.thread), zero, zero) != 0:
            error = ctypes.get_errno()
            pytest.skip(f"ptrace: {os.strerror(error)}")

    def __enter__(self) -> None:
        self._ptrace(PTRACE_SEIZE)
        self._ptrace(PTRACE_INTERRUPT)
        os.waitpid(self.thread, 0x40000000)  # __WALL

    def __exit__(self, *_: object) -> None:
        self._ptrace(PTRACE_DETACH)


def test_the_watchdog_is_fed_twice_in_its_time(wsbroadcastd, manager):
    wsbroadcastd("-w", "2", env=watched(manager, 1))
    manager.wait("WATCHDOG")
    start = time.monotonic()
    for _ in range(4):
        assert manager.wait("WATCHDOG")["WATCHDOG"] == "1"
    assert 1.5 < time.monotonic() - start


def test_the_watchdog_is_not_fed_while_one_worker_stands_still(wsbroadcastd, manager):
    server = wsbroadcastd("-w", "2", env=watched(manager, 0.1))
    manager.wait("WATCHDOG")
    programs.wait_until("both wait for events", lambda: len(workers_of(server)) == 2)
    workers = workers_of(server)
    with StandingStill(workers[0]):
        manager.drain()  # does not end while it is fed
    manager.wait("WATCHDOG")


def test_the_watchdog_of_another_process_is_not_fed(wsbroadcastd, manager):
    wsbroadcastd(env=watched(manager, 0.02, pid=1))
    manager.wait("READY")
    with pytest.raises(TimeoutError):
        manager.next(0.2)


def test_a_manager_that_is_gone_does_not_end_the_server(wsbroadcastd, manager, tmp_path):
    manager.socket.close()
    server = wsbroadcastd(env=manager.environment)
    server.wait_stderr("cannot notify the service manager")
    server.client().close()
