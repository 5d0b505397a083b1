"""Publishers of each kind, and readers of each kind: as much as a publisher can say gets through to
all that read, nobody that reads is closed, and memory stays bounded.

WS_TEST_LONG=1 sends 64 MiB through each pair, instead of 4."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import programs
import pytest
import rawws
from test_events import Listener

LONG = os.environ.get("WS_TEST_LONG") == "1"
BYTES = (64 if LONG else 4) << 20
PAD = "x" * 1000
COUNT = BYTES // 1024
LINES = 500  # of an NDJSON request
AHEAD = 8 << 10  # messages, 8 MiB: what a reader may be behind that is short of CPU time


def text(number: int) -> str:
    return f'{{"n":{number},"x":"{PAD}"}}'


def number_of(message: str) -> int:
    assert message.endswith(f',"x":"{PAD}"}}'), message[:80]
    return int(message[5 : message.index(",")])


# ---- publishers: each says all numbers of a range ----


def say(server: programs.Server, pipe: int, numbers: range) -> None:
    client = server.client()
    for number in numbers:
        client.send_text(text(number))
    client.close()


def post_bodies(server: programs.Server, kind: str, bodies: list[bytes]) -> None:
    """Pipelined, on one connection."""
    client = rawws.Client(server.port)

    def send() -> None:
        for body in bodies:
            client.send(
                b"POST /ws HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n"
                % (kind.encode(), len(body))
                + body
            )

    sender = threading.Thread(target=send)
    sender.start()
    for _ in bodies:
        assert client.recv_response().status == 200
    sender.join()
    client.disconnect()


def post(server: programs.Server, pipe: int, numbers: range) -> None:
    post_bodies(server, "text/plain", [text(number).encode() for number in numbers])


def post_lines(server: programs.Server, pipe: int, numbers: range) -> None:
    bodies = [
        "\n".join(map(text, numbers[first : first + LINES])).encode()
        for first in range(0, len(numbers), LINES)
    ]
    post_bodies(server, "application/x-ndjson", bodies)


def feed(server: programs.Server, pipe: int, numbers: range) -> None:
    with open(pipe, "wb", closefd=False) as out:
        out.writelines(text(number).encode() + b"\n" for number in numbers)


PUBLISHERS = {"ws": say, "post": post, "ndjson": post_lines, "stdin": feed}


# ---- readers: programs that read as fast as can be, into a file ----


@contextlib.contextmanager
def reading(server: programs.Server, kind: str, file: Path) -> Iterator[None]:
    """It has joined, and reads on to the end."""
    argv = {
        "stdout": ["sleep", "infinity"],  # it is the server's own
        "events": ["curl", "-sSN", "-H", "Accept: text/event-stream", "-o", str(file)],
        "deflate": [programs.WSRECV, "-qr"],
    }.get(kind, [programs.WSRECV, "-qr", "--no-compression"])
    if kind != "stdout":
        scheme, query = "http" if kind == "events" else "ws", "?history=all" if kind == "history" else ""
        argv += ["--unix-socket", server.port, f"{scheme}://localhost/ws{query}"]
    with open(file, "ab") as out, subprocess.Popen(argv, stdout=out) as reader:
        try:
            programs.wait_until("a reader joins", lambda: subscribers(server) > 0)
            yield
        finally:
            reader.kill()


def subscribers(server: programs.Server) -> int:
    with rawws.Client(server.port) as client:
        client.send(b"GET /ws?info HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        return json.loads(client.recv_response().body)["subscribers"]


def numbers_in(file: Path) -> list[int]:
    lines = file.read_text().splitlines()
    return [number_of(line.removeprefix("data: ")) for line in lines if '"n":' in line]


def has_come(number: int, file: Path) -> bool:
    """The last line is that of the number."""
    size = file.stat().st_size
    with open(file, "rb") as read:
        read.seek(max(0, size - 2 * len(text(COUNT))))
        return f'"n":{number},'.encode() in read.read()


@pytest.mark.parametrize("workers", ["1", "2"])
@pytest.mark.parametrize("reader", ["plain", "deflate", "events", "history", "stdout"])
@pytest.mark.parametrize("publisher", PUBLISHERS)
def test_all_that_is_published_arrives(
    wsbroadcastd, tmp_path, publisher, reader, workers
):
    """Once and in order, and nothing is skipped."""
    read, write = os.pipe()
    file = tmp_path / "heard"
    with open(file, "wb") as out:
        server = wsbroadcastd(
            *("-l", f"unix:{tmp_path}/socket", "-w", workers, "--prefix", "", "--no-echo"),
            *(["--stdin"] if publisher == "stdin" else []),
            *(["--stdout"] if reader == "stdout" else []),
            *(["--history-messages", "3000"] if reader == "history" else []),
            stdin=read,
            stdout=out,
        )
    os.close(read)
    middle = COUNT // 2 if reader == "history" else 0
    if middle > 0:
        PUBLISHERS[publisher](server, write, range(middle))
    with reading(server, reader, file):
        server.reset_peak()
        before = server.rss_anon()
        for begin in range(middle, COUNT, AHEAD):
            end = min(begin + AHEAD, COUNT)
            PUBLISHERS[publisher](server, write, range(begin, end))
            programs.wait_until(f"message {end - 1}", lambda last=end - 1: has_come(last, file))
        grown = server.peak_rss() - before
    numbers = numbers_in(file)
    print(f"{grown >> 10} KiB")
    assert "limit max-lag" not in server.stderr
    assert numbers == list(range(numbers[0], COUNT))
    assert numbers[0] == 0 or reader == "history"
    if not programs.SANITIZED:
        assert grown < 40 << 20
    os.close(write)


# ---- each rule by itself ----


def test_standard_output_stops_no_publisher(wsbroadcastd):
    """Nobody waits for it, be it as fast as can be."""
    with open(os.devnull, "wb") as null:
        server = wsbroadcastd("--prefix", "", "--stdout", stdout=null)
    client = server.client()
    said = 12000

    def send() -> None:
        for number in range(said):
            client.send_text(text(number))

    sender = threading.Thread(target=send, daemon=True)
    sender.start()
    assert [number_of(str(client.recv_message())) for _ in range(said)] == list(range(said))
    sender.join()
    client.close()


@pytest.mark.parametrize("kind", ["post", "ndjson"])
def test_a_client_that_posts_waits_for_the_subscribers_of_another_worker(
    wsbroadcastd, tmp_path, kind
):
    """It says more at once than they may be behind. Its next requests, which it has sent already,
    are answered afterwards; nobody misses anything."""
    listen = ["-l", f"unix:{tmp_path}/socket", "-w", "2", "--log-level", "debug"]
    server = wsbroadcastd(*listen, "--max-message", "8M", "--prefix", "")
    bodies = [(b'"%d' % number + b"x" * (5 << 20) + b'"') for number in range(4)]
    with server.client() as there:  # the next one is another worker's
        reading = threading.Thread(
            target=lambda: heard.extend(str(there.recv_message())[:3] for _ in bodies)
        )
        heard: list[str] = []
        reading.start()
        post_bodies(server, "text/plain" if kind == "post" else "application/x-ndjson", bodies)
        reading.join()
        assert heard == [f'"{number}x' for number in range(4)]
        server.wait_stderr("paused: subscribers of other workers are behind")


@pytest.mark.parametrize("workers", ["1", "2"])
def test_lines_without_text_do_not_outrun_their_readers(wsbroadcastd, workers):
    """What counts is what is appended: an event without data is 40 times the empty line."""
    count = 300000
    read, write = os.pipe()
    server = wsbroadcastd(
        *("-w", workers, "--stdin", "--max-lag", "128K", "--max-message", "32K"), stdin=read
    )
    os.close(read)
    listener = Listener(server.port)

    def feed_lines() -> None:
        with open(write, "wb", closefd=False) as out:
            out.write(b"\n" * count)

    feeder = threading.Thread(target=feed_lines)
    feeder.start()
    for _ in range(count):
        while not listener.recv_line().startswith("data:"):
            pass
    feeder.join()
    listener.disconnect()
    os.close(write)


def test_without_a_limit_on_lag_standard_input_waits_for_its_slowest_reader(wsbroadcastd):
    """It is not read into memory: no more than 16 MiB of it are held for one that does not read,
    which gets all in the end."""
    count = 40 << 10
    read, write = os.pipe()
    server = wsbroadcastd("--prefix", "", "--max-lag", "0", "--stdin", stdin=read)
    os.close(read)
    stuck, client = server.client(), server.client()
    writer = threading.Thread(target=feed, args=(server, write, range(count)), daemon=True)
    writer.start()
    client.sock.settimeout(2.5)  # longer than anybody is waited for who may lag too far
    heard = 0
    with pytest.raises(TimeoutError):
        while heard < count:
            assert number_of(str(client.recv_message())) == heard
            heard += 1
    assert heard * 1024 < (16 << 20) + (4 << 20)  # and the buffers of the socket
    client.sock.settimeout(rawws.TIMEOUT)

    def go_on() -> None:
        for number in range(heard, count):
            assert number_of(str(client.recv_message())) == number

    other = threading.Thread(target=go_on, daemon=True)
    other.start()
    for number in range(count):
        assert number_of(str(stuck.recv_message())) == number
    other.join(rawws.TIMEOUT)
    writer.join(rawws.TIMEOUT)
    assert not other.is_alive() and not writer.is_alive()
    client.close()
    stuck.close()
    os.close(write)
