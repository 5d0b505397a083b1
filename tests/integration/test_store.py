"""With --store nothing that was acknowledged is lost: through restarts, kill -9 and a full disk."""

from __future__ import annotations

import json
import os
import random
import resource
import select
import signal
import subprocess
import threading
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

import programs
import pytest
import rawws

KILLS = int(os.environ.get("WS_STORE_KILLS", "5"))  # 200 in the long tier
PUBLISHERS = 4


def post(server: programs.Server, text: str, target: str = "/ws", **fields: str) -> dict:
    request = urllib.request.Request(f"http://127.0.0.1:{server.port}{target}", text.encode(),
                                     {"Content-Type": "text/plain", **fields})  # fmt: skip
    with urllib.request.urlopen(request, timeout=20) as answer:
        return json.load(answer)


def kept(server: programs.Server, target: str = "/ws") -> list[tuple[str, str]]:
    """(ID, text) of all that is retained."""
    found, after = [], ""
    while True:
        request = urllib.request.Request(
            f"http://127.0.0.1:{server.port}{target}?{after or 'history=all'}",
            headers={"Accept": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=20) as answer:
            page = json.load(answer)
        found += [(one["id"], one["data"]) for one in page["messages"]]
        if page["next"] is None:
            return found
        after = f"after={page['next']}"


def status_of(server: programs.Server, target: str, text: str | None = None) -> tuple[int, str, dict]:
    request = urllib.request.Request(f"http://127.0.0.1:{server.port}{target}",
                                     None if text is None else text.encode(),
                                     {"Content-Type": "text/plain"})  # fmt: skip
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            return answer.status, answer.read().decode(), dict(answer.headers)
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode(), dict(error.headers)


@pytest.fixture
def stored(wsbroadcastd, tmp_path) -> Callable[..., programs.Server]:
    """stored(option, ...) starts a server on the test's file."""
    return lambda *options, **how: wsbroadcastd(
        "--prefix", "", "--store", str(tmp_path / "messages"), *options, **how
    )


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_restart_goes_on_where_it_was(stored, workers):
    server = stored("-w", workers)
    client = server.client("/ws/a")
    ids = [post(server, f"{i}", "/ws/a")["id"] for i in range(3)]
    client.send_text("said")
    assert [client.recv_message() for _ in range(4)] == ["0", "1", "2", "said"]
    server.stop()
    server = stored("-w", workers)
    again = server.client(f"/ws/a?last_event_id={ids[1]}")
    assert [again.recv_message() for _ in range(2)] == ["2", "said"]
    epoch, _, sequence = post(server, "more", "/ws/a")["id"].partition("-")
    assert (epoch, sequence) == (ids[0].partition("-")[0], "5")
    assert again.recv_message() == "more"


def test_numbers_go_on_also_where_no_message_is_kept(stored, tmp_path):
    config = tmp_path / "conf"
    config.write_text("[channel a]\nhistory-messages = 0\n")
    server = stored("--config", str(config))
    before = [post(server, "x", "/ws/a")["id"] for _ in range(3)]  # it is gone after each
    server.stop()
    server = stored("--config", str(config))
    epoch = before[0].partition("-")[0]
    assert [*before, post(server, "x", "/ws/a")["id"]] == [f"{epoch}-{n}" for n in range(1, 5)]


def test_all_ways_to_publish_come_in_one_order_for_all(stored):
    server = stored("-w", "2", "--stdin", stdin=subprocess.PIPE)
    readers = [server.client() for _ in range(4)]
    post(server, '"one"\n"two"\n', **{"Content-Type": "application/x-ndjson"})
    for number, reader in enumerate(readers):
        reader.send_text(f"from {number}")
    server.process.stdin.write(b"a line\n")
    server.process.stdin.flush()
    heard = [[reader.recv_message() for _ in range(7)] for reader in readers]
    assert all(one == heard[0] for one in heard)
    assert [text for _, text in kept(server)] == heard[0]
    assert set(heard[0]) >= {"a line", *(f"from {number}" for number in range(4))}


def test_own_messages_are_left_out_with_no_echo(stored):
    server = stored("--no-echo")
    one, other = server.client(), server.client()
    one.send_text("from one")
    assert other.recv_message() == "from one"
    other.send_text("from other")
    assert one.recv_message() == "from other"


def test_what_was_said_before_the_end_is_stored(stored):
    server = stored()
    client = server.client()
    for number in range(500):
        client.send_text(f"{number}")
    for number in range(500):
        assert client.recv_message() == f"{number}"
    server.stop()
    assert [text for _, text in kept(stored())] == [f"{number}" for number in range(500)]


class Publisher(threading.Thread):
    """Publishes until the server is gone; notes what was acknowledged."""

    def __init__(self, server: programs.Server, name: str) -> None:
        super().__init__(daemon=True)
        self.server, self.text = server, name
        self.acknowledged: dict[str, str] = {}

    def run(self) -> None:
        number = 0
        try:
            while True:
                text = f"{self.text}-{number}"
                self.acknowledged[post(self.server, text)["id"]] = text
                number += 1
        except (OSError, urllib.error.URLError, ValueError):
            return


def test_what_was_acknowledged_survives_kill_9(stored):
    chance = random.Random(1)
    acknowledged: dict[str, str] = {}
    server = stored("-w", "2")
    for round_ in range(KILLS):
        publishers = [Publisher(server, f"{round_}-{i}") for i in range(PUBLISHERS)]
        for publisher in publishers:
            publisher.start()
        least = chance.randrange(20, 200)
        programs.wait_until("enough is acknowledged",
                            lambda: sum(len(one.acknowledged) for one in publishers) >= least)  # noqa: B023  # fmt: skip
        server.process.kill()
        server.wait(-signal.SIGKILL)
        for publisher in publishers:
            publisher.join(20)
            assert not acknowledged.keys() & publisher.acknowledged.keys(), "an ID was given twice"
            acknowledged |= publisher.acknowledged
        server = stored("-w", "2")
    there = kept(server)
    assert len(dict(there)) == len(there)
    assert len({text for _, text in there}) == len(there), "a message is there twice"
    assert acknowledged.items() <= dict(there).items()
    sequences = [int(id_.partition("-")[2]) for id_, _ in there]
    assert sequences == list(range(1, len(there) + 1))


def small() -> None:
    """For preexec_fn: files end at 1 MiB, as on a disk that is full."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, hard))


def test_a_full_disk_is_told_to_publishers_and_passes(stored):
    server = stored("--store-patience", "1s", preexec_fn=small)
    listener, talker = server.client(), server.client()
    text = "x" * 100_000
    published = 0
    status, body, fields = 200, "", {}
    while status == 200:
        status, body, fields = status_of(server, "/ws", text)
        published += status == 200
        assert published < 100
    assert status == 503 and "cannot be written" in body and int(fields["Retry-After"]) > 0
    for _ in range(published):
        assert listener.recv_message() == text
    assert "degraded" in status_of(server, "/health")[1]
    assert status_of(server, "/health")[0] == 200
    assert status_of(server, "/health?publish")[0] == 503
    for _ in range(published):
        talker.recv_message()
    talker.send_text("in vain" * 30_000)
    assert talker.recv_close()[0] == 1011
    resource.prlimit(server.pid, resource.RLIMIT_FSIZE,
                     (resource.RLIM_INFINITY, resource.RLIM_INFINITY))  # fmt: skip
    programs.wait_until("there is room", lambda: status_of(server, "/ws", "again")[0] == 200)
    assert listener.recv_message() == "again"
    assert status_of(server, "/health?publish")[0] == 200
    server.wait_stderr("cannot be written")
    server.wait_stderr("can be written again")
    texts = [one for _, one in kept(server)]
    assert texts.count(text) == published and not any("in vain" in one for one in texts)


def test_a_pong_says_that_what_was_sent_before_is_stored(stored):
    server = stored("--store-patience", "1m", preexec_fn=small)
    talker = server.client()
    talker.send_frame(rawws.PING, b"nothing")
    assert talker.recv_frame()[:2] == (rawws.PONG, b"nothing")
    text = "x" * 100_000
    while status_of(server, "/ws", text)[0] == 200:
        assert talker.recv_message() == text
    talker.send_text("y" * 200_000)
    for number in range(5):  # the oldest is answered, and the newest
        talker.send_frame(rawws.PING, f"{number}".encode())
    server.wait_stderr("cannot be written")
    programs.wait_until("it is degraded", lambda: status_of(server, "/health?publish")[0] == 503)
    assert select.select([talker.sock], [], [], 0)[0] == []
    resource.prlimit(server.pid, resource.RLIMIT_FSIZE,
                     (resource.RLIM_INFINITY, resource.RLIM_INFINITY))  # fmt: skip
    frames = [talker.recv_frame() for _ in range(3)]
    frames.sort(key=lambda frame: frame[0] == rawws.TEXT)
    assert [frame[:2] for frame in frames[:2]] == [(rawws.PONG, b"0"), (rawws.PONG, b"4")]
    assert frames[2][0] == rawws.TEXT


def run(*arguments: str) -> subprocess.CompletedProcess:
    return subprocess.run([programs.WSBROADCASTD, *arguments], capture_output=True, text=True,
                          timeout=60, check=False)  # fmt: skip


def test_a_file_has_one_server(stored, tmp_path):
    stored()
    second = run("-p", "0", "--store", str(tmp_path / "messages"))
    assert second.returncode == 1
    assert "in use by another process" in second.stderr and second.stderr.count("\n") == 1


def test_what_is_no_store_is_left_alone(tmp_path):
    path = tmp_path / "notes"
    path.write_text("not a database, but somebody's notes\n" * 100)
    refused = run("-p", "0", "--store", str(path))
    assert refused.returncode == 1 and str(path) in refused.stderr
    assert path.read_text().startswith("not a database")


def test_a_store_can_be_checked(stored, tmp_path):
    server = stored()
    post(server, "x")
    server.stop()
    checked = run("--store", str(tmp_path / "messages"), "--check-store")
    assert (checked.returncode, checked.stdout) == (0, "OK\n")


def test_new_epochs_after_a_backup_was_restored(stored, tmp_path):
    server = stored()
    before = post(server, "x")["id"].partition("-")[0]
    server.stop()
    after = post(stored("--new-epoch"), "y")["id"].partition("-")[0]
    assert after != before


def test_a_copy_that_is_made_while_it_runs_is_whole(stored, tmp_path):
    server = stored()
    for number in range(20):
        post(server, f"{number}")
    subprocess.run(["/usr/bin/python3", "-c", "import sqlite3, sys\n"
                    "sqlite3.connect(sys.argv[1]).backup(sqlite3.connect(sys.argv[2]))",
                    str(tmp_path / "messages"), str(tmp_path / "copy")], check=True)  # fmt: skip
    checked = run("--store", str(tmp_path / "copy"), "--check-store")
    assert (checked.returncode, checked.stdout) == (0, "OK\n")


def test_only_its_user_can_read_it(stored, tmp_path):
    stored()
    assert Path(tmp_path / "messages").stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("options", [
    ["--check-store"],
    ["--new-epoch"],
    ["--history-memory", "1M"],
    ["--store", "x", "--max-message", "1G"],
    ["--store", "x", "--store-sync", "never"],
])  # fmt: skip
def test_wrong_usage(options, tmp_path):
    refused = subprocess.run([programs.WSBROADCASTD, *options], capture_output=True, text=True,
                             timeout=20, check=False, cwd=tmp_path)  # fmt: skip
    assert refused.returncode == 2 and refused.stderr.count("\n") == 1
