"""The forms of the log, the log file, and the line of each connection."""

from __future__ import annotations

import json
import os
import re
import signal
import socket

import programs
import pytest
import rawws

STAMP = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"


@pytest.fixture
def start(request):
    started = []

    def begin(*options, **how):
        server = programs.Server(*options, **how)
        started.append(server)
        return server

    yield begin
    for server in started:
        server.clean_up()


def lines_of(path):
    return path.read_text().splitlines() if path.exists() else []


def wait_for(path, pattern):
    def found():
        return any(re.search(pattern, line) for line in lines_of(path))

    programs.wait_until(f"{pattern} in {path}", found)


def free_server(path, *options):
    """A server whose log is a file: its Unix socket says when it serves."""
    where = path.parent / "ws.sock"
    process = programs.Program([programs.WSBROADCASTD, "-l", f"unix:{where}", *options])
    wait_for(path, "listening on unix:")
    return process, str(where)


def test_a_pipe_gets_the_program_and_no_time(start):
    server = start("--server-name", "x")
    assert re.search(r"(?m)^wsbroadcastd: listening on ", server.stderr)


def test_each_line_of_json_is_an_object_with_the_same_members(start):
    server = start("--log-format", "json", "--log-connections")
    with server.client("/ws/a") as client:
        client.send_text("hello")
        assert client.recv_message() == "hello"
        client.close(1000)
    server.wait_stderr('"message":"connection"')
    server.stop()
    entries = [json.loads(line) for line in server.stderr.splitlines()]
    for entry in entries:
        assert re.fullmatch(STAMP, entry["time"])
        assert entry["level"] in ("error", "warn", "info", "debug")
        assert entry["program"] == "wsbroadcastd" and entry["message"]
    (line,) = (entry for entry in entries if entry["message"] == "connection")
    assert line["channel"] == "a" and line["transport"] == "websocket"
    assert (line["messages_in"], line["bytes_in"], line["messages_out"]) == (1, 5, 1)
    assert (line["by"], line["code"]) == ("client", 1000)
    assert line["address"].startswith("127.0.0.1 port ") and line["seconds"] >= 0


@pytest.mark.parametrize("matches", [True, False], ids=["its stream", "another stream"])
def test_journald_gets_the_priority_of_each_line_and_others_do_not(matches):
    ours, theirs = socket.socketpair()
    status = os.fstat(theirs.fileno())
    name = f"{status.st_dev}:{status.st_ino + (0 if matches else 1)}"
    process = programs.Program(
        [programs.WSBROADCASTD, "-l", "127.0.0.1:0"], stderr=theirs,
        env={**os.environ, "JOURNAL_STREAM": name},
    )  # fmt: skip
    theirs.close()
    ours.settimeout(rawws.TIMEOUT)
    said = b""
    while b"listening on" not in said:
        said += ours.recv(65536)
    assert said.startswith(b"<6>" if matches else b"wsbroadcastd: ")
    process.stop()
    ours.close()


def test_a_log_file_has_the_time_and_is_reopened(tmp_path):
    path, moved = tmp_path / "ws.log", tmp_path / "ws.log.1"
    process, _ = free_server(path, "--log-file", str(path))
    try:
        for line in lines_of(path):
            assert re.match(rf"{STAMP} (info|warn) wsbroadcastd: ", line)
        for number in (signal.SIGUSR1, signal.SIGHUP):
            path.rename(moved)
            process.process.send_signal(number)
            wait_for(path, "reopened the log file")
        before = lines_of(moved)
        path.rename(tmp_path / "ws.log.2")
        path.mkdir()  # it cannot be opened: the old one stays in use, and says so
        process.process.send_signal(signal.SIGUSR1)
        wait_for(tmp_path / "ws.log.2", "error .*--log-file: cannot open .*goes on where")
        process.stop()
        assert any("stopping on SIGTERM" in line for line in lines_of(tmp_path / "ws.log.2"))
        assert lines_of(moved) == before and process.stderr == ""
    finally:
        process.clean_up()


def test_a_log_file_that_cannot_be_opened_is_an_error_at_the_start(tmp_path):
    process = programs.Program([programs.WSBROADCASTD, "-l", "0", "--log-file", str(tmp_path)])
    process.wait(1)
    assert re.fullmatch(r"wsbroadcastd: --log-file: cannot open '.*' for writing: .*directory.*; "
                        r"name a file .*\n", process.stderr)  # fmt: skip


def test_a_full_disk_stops_nothing_and_is_told_on_standard_error(tmp_path):
    where = tmp_path / "ws.sock"
    process = programs.Program(
        [programs.WSBROADCASTD, "-l", f"unix:{where}", "--log-file", "/dev/full"]
    )
    process.wait_stderr("cannot write to the log file: no space left")
    with rawws.Client(str(where)).upgrade("/ws") as client:
        client.send_text("on")
        assert client.recv_message() == "Message: on"
        client.close(1000)
    process.stop()


def test_the_line_of_a_connection_says_who_ended_it(start):
    server = start("--log-connections", "--max-message", "10")
    with server.client() as client:
        client.send_text("x" * 11)
        assert client.recv_close()[0] == 1009
    server.wait_stderr("connection .* by=server code=1009 .*limit=max-message")
    server.client().disconnect()
    server.wait_stderr("connection .* by=client code=1006")
    server.client().reset()
    server.wait_stderr('connection .* by=network code=1006 reason="connection reset by peer"')
    with server.client() as client:
        server.process.terminate()
        assert client.recv_close()[0] == 1001
        client.send_close(1001)
    server.wait_stderr("connection .* by=server code=1001")
    server.wait(0)
