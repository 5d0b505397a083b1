"""Everything at once: two servers, one of them with TLS, with two workers each; publishers of every
kind; readers of every kind, each of which checks its stream; and attackers. See --help."""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import resource
import ssl
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "integration"))

import programs
import rawws
from attackers import attack
from honest import (
    Broken, Stage, ask, come_and_go, read_events, read_half_closed, read_slowly, read_stdout,
    read_websocket, say_on_stdin, say_posts, say_websocket,
)
from link import Address, Link

MIB = 1 << 20
GROWTH = 32 * MIB  # of memory, for which the allocator and retained history may account
SETTLE_SECONDS = 30  # in which memory returns
END_SECONDS = 60  # for everybody to come to the end
OPTIONS = ["-w", "2", "--prefix", "", "--max-memory", "128M", "--history-messages", "5000",
           "--history-bytes", "4M", "--history-total", "8M", "--ping-interval", "2"]


def make_certificate(directory: str) -> tuple[str, str]:
    certificate, key = f"{directory}/cert.pem", f"{directory}/key.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-noenc",
         "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-days", "2", "-keyout",
         key, "-out", certificate], check=True, capture_output=True)
    return certificate, key


def cast(stage: Stage, server: programs.Server, pipes: bool) -> tuple[list, list, list]:
    """Those who stay to the end, those who publish, and all others: coroutines."""
    stay = [read_websocket(stage, channel, deflate=deflate, whole=True)
            for channel in ("", "a") for deflate in (False, True)]
    stay += [read_events(stage, channel, whole=True) for channel in ("", "a")]
    publish = [say_websocket(stage, channel, deflate) for channel in ("", "a")
               for deflate in (False, True)]
    publish += [say_posts(stage, channel, lines) for channel in ("", "a") for lines in (False, True)]
    if pipes:
        stay.append(read_stdout(stage, "a", server.process.stdout))
        publish.append(say_on_stdin(stage, "a", server.process.stdin))
    others = [come_and_go(stage, channel, events=events) for channel in ("", "a")
              for events in (False, True, False)]
    others += [read_slowly(stage, "", events=events) for events in (False, True)]
    others += [read_half_closed(stage, "a") for _ in range(2)]
    others += [ask(stage, ["/ws?info", "/ws/a?info", "/channels", "/channels?limit=2"]),
               ask(stage, ["/ws?limit=100", "/ws?history=50", "/ws/a?limit=1000", "/ws/a"])]
    others += [attack(stage) for _ in range(3)]
    return stay, publish, others


async def join_later(stage: Stage, seconds: float) -> None:
    """Readers of history come in the midst of it, and stay."""
    await stage.rest(seconds / 3, seconds / 2)
    await asyncio.gather(
        read_websocket(stage, "", deflate=True, query="?history=all"),
        read_websocket(stage, "a", deflate=False, query="?history=100"),
        read_events(stage, "a", query="?history=all"),
    )


async def play(stage: Stage, server: programs.Server, pipes: bool, seconds: float) -> None:
    """All of it on one server; raises what any of those on it found."""
    stay, publish, others = cast(stage, server, pipes)
    async with asyncio.TaskGroup() as group:
        readers = [group.create_task(coroutine) for coroutine in stay]
        await asyncio.sleep(1)  # they are there before anybody speaks
        readers.append(group.create_task(join_later(stage, seconds)))
        publishers = [group.create_task(coroutine) for coroutine in publish]
        busy = [group.create_task(coroutine) for coroutine in others]
        await asyncio.sleep(seconds)
        stage.over.set()
        await all_end(publishers, "publishers do not end")
        stage.silent.set()
        for task in (await asyncio.wait(busy, timeout=5))[1]:
            task.cancel()  # it may wait for a message that nobody says any more
        await all_end(readers, "readers have not got everything")


async def all_end(tasks: list[asyncio.Task], otherwise: str) -> None:
    _, left = await asyncio.wait(tasks, timeout=END_SECONDS)
    if left:
        names = ", ".join(task.get_coro().__qualname__ for task in left)
        raise Broken(f"{len(left)} {otherwise} within {END_SECONDS} s: {names}")


def start(options: list[str], pipes: bool, tls: tuple[str, str] | None) -> programs.Server:
    more = ["--tls-cert", tls[0], "--tls-key", tls[1], "--slow-consumer", "skip"] if tls else []
    if not pipes:
        return programs.Server(*options, *more, stdout=subprocess.DEVNULL)
    return programs.Server(*options, *more, "--stdin=a", "--stdout=a", stdin=subprocess.PIPE)


class Probe:
    """The probe's process, between a server and an idle one."""

    def __init__(self, port: int | str, control: int) -> None:
        script = Path(__file__).with_name("probe.py")
        self._process = subprocess.Popen(
            [sys.executable, "-B", script, str(port), str(control)], stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, text=True)
        assert self._process.stdout.readline() == "ready\n"

    def finish(self) -> dict[str, dict[str, float]]:
        said, _ = self._process.communicate(timeout=60)
        assert self._process.returncode == 0, "the probe failed"
        return json.loads(said)


def check_memory(server: programs.Server, before: int, sockets: int) -> dict[str, float]:
    """All clients are gone, and what they made it hold is, too."""
    programs.wait_until("all sockets are closed", lambda: server.sockets() <= sockets, 60)
    settled = time.monotonic() + SETTLE_SECONDS
    while (now := server.rss_anon()) > before + GROWTH and not programs.SANITIZED:
        if time.monotonic() < settled:
            time.sleep(0.2)
            continue
        raise Broken(f"it holds {now / MIB:.1f} MiB; before, it held {before / MIB:.1f}")
    return {"before": round(before / MIB, 1), "peak": round(server.peak_rss() / MIB, 1),
            "after": round(now / MIB, 1)}


def check_goodbye(server: programs.Server) -> None:
    """It ends with those who are there: one that reads, one that does not, one in the midst of a
    request."""
    tls = bool(server.url.startswith("wss"))
    left = rawws.Client(server.port)
    left.send(b"GET /ws HTTP/1.1\r\n" if not tls else b"")
    if not tls:
        reader = rawws.Client(server.port).upgrade("/ws/goodbye")
        unread = rawws.Client(server.port, receive_buffer=4096).upgrade("/ws/goodbye")
        for _ in range(100):
            unread.send_binary(bytes(60_000))
        server.process.terminate()
        while (frame := reader.recv_frame()).opcode != rawws.CLOSE:
            pass
        if frame.close_code != 1001:
            raise Broken(f"its goodbye was {frame.close_code}")
    else:
        server.process.terminate()
    server.wait(0, 30)


def soak(seconds: float, seed: int) -> None:
    with tempfile.TemporaryDirectory() as directory:
        pace = 0.1 if programs.SANITIZED else 0.05
        control = programs.Server("-w", "1")
        servers = [start(OPTIONS, True, None), start(OPTIONS, False, make_certificate(directory))]
        context = ssl.create_default_context(cafile=f"{directory}/cert.pem")
        addresses = [Address(servers[0].port), Address(servers[1].port, context)]
        stages = [Stage(address, random.Random(seed + i), pace, skips=address.tls is not None)
                  for i, address in enumerate(addresses)]
        sockets = [server.sockets() for server in servers]
        before = [server.rss_anon() for server in servers]
        for server in servers:
            server.reset_peak()
        probe = Probe(servers[0].port, control.port)

        async def both() -> None:
            async with asyncio.TaskGroup() as group:
                for stage, server, pipes in zip(stages, servers, (True, False), strict=True):
                    group.create_task(play(stage, server, pipes, seconds))
            Link.abort_all()
            await asyncio.sleep(0.1)  # which is done in the loop

        try:
            asyncio.run(both())
            round_trips = probe.finish()
            for name, server, *more in zip(("plain", "tls"), servers, before, sockets, strict=True):
                memory = check_memory(server, *more)
                print(json.dumps({"server": name, "memory_mib": memory}))
                check_goodbye(server)
            control.stop()
        finally:
            for server in (*servers, control):
                server.process.kill()
            for stage, server in zip(stages, servers, strict=True):
                said = [line for line in server.stderr.splitlines() if "evil.example" not in line]
                print("\n".join(said[-40:]))
                print(json.dumps(dict(sorted(stage.counts.items())), indent=1))
        print(json.dumps({"round_trip_ms": round_trips}))


def leaves(error: BaseException) -> Iterator[BaseException]:
    """What groups of exceptions contain, in the end."""
    if isinstance(error, BaseExceptionGroup):
        for inner in error.exceptions:
            yield from leaves(inner)
    else:
        yield error


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=600, help="how long (600)")
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 31),
                        help="of everything that is random (random)")
    arguments = parser.parse_args()
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    print(f"seed {arguments.seed}, {arguments.seconds:g} s, {programs.WSBROADCASTD}", flush=True)
    try:
        soak(arguments.seconds, arguments.seed)
    except BaseExceptionGroup as group:
        for error in leaves(group):
            print(f"failed: {type(error).__name__}: {error}", file=sys.stderr)
        traceback.print_exception(next(leaves(group)))
        return 1
    print("passed")
    return 0


if __name__ == "__main__":
    sys.exit(main())
