"""The servers that the benchmark compares: how each is started, and how it is ended again."""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import socket
import subprocess
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
PYTHON = "/usr/bin/python3"  # Debian's, which has the packages
PR_SET_PDEATHSIG = 1


class Unavailable(Exception):
    """This server cannot do what was asked, or is not installed."""


@dataclass
class Wish:
    """What a case asks of a server."""

    deflate: bool = False
    tls: bool = False
    workers: int = 1
    options: list[str] = field(default_factory=list)  # for wsbroadcastd


def prepare(cpus: set[int]):
    """Returns what a child does before it becomes a program: its CPUs, its limits, its end."""
    libc = ctypes.CDLL(None)

    def in_child() -> None:
        os.sched_setaffinity(0, cpus)
        most = int(Path("/proc/sys/fs/nr_open").read_text())
        limit = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
        except (ValueError, OSError):  # only the privileged may; wsload says what that costs
            resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))
        libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)

    return in_child


def free_port() -> int:
    """A port of the loopback that nobody listens on just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def children(pid: int) -> list[int]:
    """The process and all that descend from it."""
    parents = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                stat = (entry / "stat").read_text()
            except OSError:
                continue
            parents[int(entry.name)] = int(stat.rsplit(")", 1)[1].split()[1])
    found = [pid]
    for one in found:
        found += [child for child, parent in parents.items() if parent == one]
    return found


class Server:
    """A server that runs, as a context manager."""

    def __init__(self, name: str, build: Path, cpus: set[int], wish: Wish):
        self.scratch = tempfile.TemporaryDirectory(prefix="bench-")
        self.port = free_port()
        self.log = Path(self.scratch.name) / "log"
        command = COMMANDS[name](self, build, wish)
        if not Path(command[0]).exists():
            self.scratch.cleanup()
            raise Unavailable(f"{name} is not installed")
        with self.log.open("wb") as log:
            # In a session of its own, Ctrl-C reaches only the one who cleans up.
            self.process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
                preexec_fn=prepare(cpus), env={**os.environ, "NODE_PATH": "/usr/share/nodejs"},
                cwd=HERE / "peers")
        try:
            self._wait()
        except BaseException:
            self.stop()
            raise

    def _wait(self) -> None:
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline and self.process.poll() is None:
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
                return
            except OSError:
                time.sleep(0.02)
        raise Unavailable(f"it did not start: {self.log.read_text(errors='replace')[-300:]}")

    def pids(self) -> list[int]:
        """Of all its processes."""
        return children(self.process.pid)

    def stop(self) -> None:
        """Ends it, and all that it started."""
        pids = self.pids()
        self.process.terminate()
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            for pid in pids:
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    pass
            self.process.wait()
        self.scratch.cleanup()

    def __enter__(self) -> Server:
        return self

    def __exit__(self, *unused) -> None:
        self.stop()


# ---- the commands ----


def plain_only(wish: Wish) -> None:
    """Refuses what only wsbroadcastd is compared with itself in."""
    if wish.tls or wish.workers > 1:
        raise Unavailable("not compared here")


def certificate(directory: str) -> list[str]:
    """A self-signed certificate and its key."""
    cert, key = f"{directory}/cert.pem", f"{directory}/key.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
         "-nodes", "-subj", "/CN=localhost", "-days", "2", "-keyout", key, "-out", cert],
        check=True, capture_output=True)
    return ["--tls-cert", cert, "--tls-key", key]


def wsbroadcastd(server: Server, build: Path, wish: Wish) -> list[str]:
    command = [str(build / "server/wsbroadcastd"), "--listen", f"127.0.0.1:{server.port}"]
    known = subprocess.run([command[0], "--help"], capture_output=True, text=True).stdout
    command += ["--log-level", "error", *wish.options]
    if "--workers" in known:
        command += ["--workers", str(wish.workers)]
    elif wish.workers > 1:
        raise Unavailable("it has no --workers yet")
    if wish.tls:
        command += certificate(server.scratch.name)
    return command


def floor(*options: str):
    """The floor, in one of its variants."""

    def command(server: Server, build: Path, wish: Wish) -> list[str]:
        plain_only(wish)
        return [str(build / "tests/bench/floor"), "--port", str(server.port), *options,
                *(["--deflate"] if wish.deflate else [])]

    return command


def nchan(server: Server, _build: Path, wish: Wish) -> list[str]:
    plain_only(wish)
    if not Path("/usr/lib/nginx/modules/ngx_nchan_module.so").exists():
        raise Unavailable("libnginx-mod-nchan is not installed")
    text = (HERE / "peers/nchan.conf").read_text()
    for name, value in {"PORT": server.port, "DIR": server.scratch.name,
                        "FILES": resource.getrlimit(resource.RLIMIT_NOFILE)[1],
                        "DEFLATE": "on" if wish.deflate else "off"}.items():
        text = text.replace(f"@{name}@", str(value))
    config = Path(server.scratch.name) / "nginx.conf"
    config.write_text(text)
    return ["/usr/sbin/nginx", "-e", f"{server.scratch.name}/error.log", "-c", str(config)]


def libwebsockets(server: Server, build: Path, wish: Wish) -> list[str]:
    plain_only(wish)
    if wish.deflate:
        raise Unavailable("Debian's libwebsockets is built without permessage-deflate")
    return [str(build / "tests/bench/lws_server"), str(server.port)]


def node_ws(server: Server, _build: Path, wish: Wish) -> list[str]:
    plain_only(wish)
    return ["/usr/bin/node", "ws_server.js", str(server.port),
            *(["deflate"] if wish.deflate else [])]


def python_websockets(server: Server, _build: Path, wish: Wish) -> list[str]:
    plain_only(wish)
    return [PYTHON, "websockets_server.py", str(server.port),
            *(["deflate"] if wish.deflate else [])]


def fastapi(server: Server, _build: Path, wish: Wish) -> list[str]:
    plain_only(wish)
    return [PYTHON, "-m", "uvicorn", "--app-dir", str(ROOT / "tests/integration"), "--port",
            str(server.port), "--log-level", "error", "--backlog", "4096", "--ws",
            "websockets", "--ws-per-message-deflate", "true" if wish.deflate else "false",
            "tutorial_server:app"]


COMMANDS = {
    "wsbroadcastd": wsbroadcastd,
    "floor": floor(),
    "floor-poll": floor("--poll-input", "128"),
    "floor-per-message": floor("--per-message"),
    "nchan": nchan,
    "libwebsockets": libwebsockets,
    "node-ws": node_ws,
    "websockets": python_websockets,
    "fastapi": fastapi,
}

TITLES = {
    "wsbroadcastd": "**wsbroadcastd**",
    "floor": "the floor: bare epoll, one write a peer and turn",
    "floor-poll": "the floor, input polled every 128 sends",
    "floor-per-message": "bare epoll, one write a message and peer",
    "nchan": "nginx + nchan",
    "libwebsockets": "libwebsockets",
    "node-ws": "Node ws",
    "websockets": "Python websockets broadcast",
    "fastapi": "FastAPI, the tutorial",
}
