"""Programs under test: start them, watch what they say, see them end as they should."""

from __future__ import annotations

import os
import re
import select
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import rawws

BUILD = Path(__file__).resolve().parents[2] / "build"
WSBROADCASTD = os.environ.get("WSBROADCASTD") or str(BUILD / "server" / "wsbroadcastd")
WSRECV = os.environ.get("WSRECV") or str(BUILD / "client" / "wsrecv")

WORKERS = os.environ.get("WS_TEST_WORKERS")  # of every server that a test does not give a number

STOP_SECONDS = 5.0  # after SIGTERM everything is over within this


def _is_sanitized() -> bool:
    if os.environ.get("WS_SANITIZE", "").upper() not in ("", "0", "OFF", "NO"):
        return True
    program = Path(WSBROADCASTD)
    return program.exists() and b"__asan_init" in program.read_bytes()


SANITIZED = _is_sanitized()
if SANITIZED:
    rawws.TIMEOUT = 30.0


class Program:
    """A running program. Its stderr is read all the time, its stdout only when asked for."""

    def __init__(
        self, argv: list[str], *, stdin: object = None, stdout: object = None,
        stderr: object = None, **popen: object,
    ) -> None:  # fmt: skip
        self.name = Path(argv[0]).name
        self.process = subprocess.Popen(
            argv,
            stdin=subprocess.DEVNULL if stdin is None else stdin,
            stdout=subprocess.PIPE if stdout is None else stdout,
            stderr=subprocess.PIPE if stderr is None else stderr,
            **popen,
        )
        self.pid = self.process.pid
        self.expected: int | None = None
        self._out = bytearray()
        self._err = bytearray()
        self._err_ended = False
        self._err_grew = threading.Condition()
        self._may_read = threading.Event()
        self._may_read.set()
        self._err_thread = threading.Thread(target=self._read_stderr, daemon=True)
        self._err_thread.start()

    # What it says

    def _read_stderr(self) -> None:
        while self.process.stderr and (data := os.read(self.process.stderr.fileno(), 65536)):
            self._may_read.wait()
            with self._err_grew:
                self._err += data
                self._err_grew.notify_all()
        with self._err_grew:
            self._err_ended = True
            self._err_grew.notify_all()

    def hold_stderr(self) -> None:
        """From here on stderr is read once at the most, until release_stderr."""
        self._may_read.clear()

    def release_stderr(self) -> None:
        self._may_read.set()

    @property
    def stderr(self) -> str:
        """All that has come on stderr so far; all there is once the program has been waited for."""
        with self._err_grew:
            return self._err.decode(errors="replace")

    def wait_stderr(self, pattern: str, count: int = 1) -> list[re.Match[str]]:
        """Wait until pattern stands on stderr count times."""

        def found() -> list[re.Match[str]] | None:
            matches = list(re.finditer(pattern, self._err.decode(errors="replace"), re.M))
            return matches if len(matches) >= count else None

        with self._err_grew:
            self._err_grew.wait_for(lambda: found() or self._err_ended, rawws.TIMEOUT)
            matches = found()
            said = self._err.decode(errors="replace")
        assert matches, f"{self.name}: no {pattern!r} on stderr, but: {said!r}"
        return matches

    def _fill_stdout(self, timeout: float) -> bool:
        """Read once; false at the end of stdout."""
        assert self.process.stdout is not None
        fd = self.process.stdout.fileno()
        poll = select.poll()
        poll.register(fd, select.POLLIN)
        assert poll.poll(timeout * 1000), (
            f"{self.name}: nothing on stdout for {timeout} s; stderr: {self.stderr!r}"
        )
        data = os.read(fd, 1 << 18)
        self._out += data
        return bool(data)

    def read_line(self) -> str:
        """The next line of stdout, without its newline."""
        while (end := self._out.find(b"\n")) < 0:
            assert self._fill_stdout(rawws.TIMEOUT), f"{self.name}: stdout ended: {self._out!r}"
        line = self._out[:end].decode()
        del self._out[: end + 1]
        return line

    def read_rest(self) -> str:
        """All that still comes on stdout, to its end."""
        while self._fill_stdout(rawws.TIMEOUT):
            pass
        rest = self._out.decode()
        self._out.clear()
        return rest

    # How it ends

    def wait(self, status: int = 0, timeout: float | None = None) -> Program:
        """It ends by itself, with this status (-N: killed by signal N)."""
        self.expected = status
        try:
            self.process.wait(rawws.TIMEOUT if timeout is None else timeout)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"{self.name} does not end; stderr: {self.stderr!r}") from None
        self._err_thread.join(rawws.TIMEOUT)
        self.check_end()
        return self

    def stop(self, signum: int = signal.SIGTERM) -> Program:
        """It ends in good order when a signal tells it to: the server with 0, wsrecv by dying of
        that signal after its closing handshake."""
        self.process.send_signal(signum)
        return self.wait(-signum if self.name == "wsrecv" else 0, STOP_SECONDS)

    def check_end(self) -> None:
        """The status is the expected one, and no sanitizer has complained."""
        said = self.stderr
        assert "Sanitizer" not in said and "runtime error" not in said, said
        assert self.process.returncode == self.expected, (
            f"{self.name}: status {self.process.returncode} instead of {self.expected}; {said!r}"
        )

    def clean_up(self) -> None:
        """What a test leaves running must end on SIGTERM; in any case it is gone afterwards."""
        self.release_stderr()
        try:
            if self.process.poll() is None:
                self.stop()
            elif self.expected is None:  # ended by itself, and the test did not say that it may
                self.wait(0)
        finally:
            self.process.kill()
            self.process.wait()
            self._err_thread.join(rawws.TIMEOUT)
            for pipe in (self.process.stdin, self.process.stdout, self.process.stderr):
                if pipe is not None:
                    pipe.close()

    # What it holds

    def rss_anon(self) -> int:
        """Bytes of anonymous memory that are resident."""
        status = Path(f"/proc/{self.pid}/status").read_text()
        found = re.search(r"^RssAnon:\s+(\d+) kB$", status, re.M)
        assert found
        return int(found[1]) * 1024

    def reset_peak(self) -> int:
        """From here on peak_rss is measured anew; answers what is resident now."""
        Path(f"/proc/{self.pid}/clear_refs").write_text("5")
        return self.peak_rss()

    def peak_rss(self) -> int:
        """The most bytes that have been resident at any time since reset_peak."""
        found = re.search(r"^VmHWM:\s+(\d+) kB$", Path(f"/proc/{self.pid}/status").read_text(), re.M)
        assert found
        return int(found[1]) * 1024

    def cpu_seconds(self) -> float:
        """The CPU time it has used, of all threads."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def _open_files(self) -> list[str]:
        """What its file descriptors refer to."""
        found = []
        for fd in Path(f"/proc/{self.pid}/fd").iterdir():
            try:
                found.append(os.readlink(fd))
            except FileNotFoundError:  # closed meanwhile
                pass
        return found

    def descriptors(self) -> int:
        """How many file descriptors are open; without those of /dev/null, of which libuv keeps one
        for each worker from its first connection on."""
        return sum(what != "/dev/null" for what in self._open_files())

    def sockets(self) -> int:
        """How many sockets are open."""
        return sum(what.startswith("socket:") for what in self._open_files())


class Server(Program):
    """wsbroadcastd on ports of its own choice, ready to serve.

    The port of a Unix socket is its path.
    """

    def __init__(self, *options: str, listeners: int = 1, **popen: object) -> None:
        given = {"-l", "--listen", "-c", "--config"} & set(options)
        listen = () if given else ("-l", "127.0.0.1:0")
        workers = ("-w", WORKERS) if WORKERS and "-w" not in options else ()
        super().__init__([WSBROADCASTD, *listen, *workers, *options], **popen)
        try:
            ready = self.wait_stderr(
                r"listening on (wss?://\S+:(\d+)/\S*|unix:(\S+) \(path .*)", listeners
            )
        except BaseException:
            self.process.kill()
            raise
        self.urls = [match[1] for match in ready]
        self.ports = [int(match[2]) if match[2] else match[3] for match in ready]
        self.url = self.urls[0]
        self.port = self.ports[0]

    def client(self, target: str = "/ws", **how: int) -> rawws.Client:
        """A client that has done the opening handshake."""
        return rawws.Client(self.port, **how).upgrade(target)


def wait_until(what: str, holds: Callable[[], bool], timeout: float | None = None) -> None:
    """For what can only be asked for again and again, such as the state of another process."""
    deadline = time.monotonic() + (rawws.TIMEOUT if timeout is None else timeout)
    while not holds():
        assert time.monotonic() < deadline, f"not in time: {what}"
        time.sleep(0.005)


def reachable_address() -> str:
    """An address of this machine that others can reach, over which one counts as one of them.

    A machine without any has no network that could be tested: that is said, and nothing tried."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # of documentation (RFC 5737); sends nothing
        except OSError:
            pytest.skip("this machine has no address but loopback")
        return probe.getsockname()[0]


def connect(server: Server, count: int) -> list[rawws.Client]:
    """Connect count clients, a hundred opening handshakes at a time."""
    clients: list[rawws.Client] = []
    while len(clients) < count:
        batch = [rawws.Client(server.port) for _ in range(min(100, count - len(clients)))]
        for client in batch:
            client.send(client.request())
        for client in batch:
            client.recv_accept()
        clients += batch
    return clients
