"""The configuration file: what it says holds, the command line wins, and every error is told."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import programs
import pytest
import rawws


@pytest.fixture
def write(tmp_path):
    """write(text) is a configuration file."""

    def write_file(text: str | bytes) -> Path:
        path = tmp_path / "wsbroadcastd.conf"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return write_file


def run(*arguments: str | Path) -> subprocess.CompletedProcess:
    return subprocess.run([programs.WSBROADCASTD, *map(str, arguments)], capture_output=True,
                          text=True, timeout=20)


def errors(path: Path, text: str) -> list[str]:
    """What is told of each line, without the program's name and the file's."""
    return [line.removeprefix(f"wsbroadcastd: {path}:") for line in text.splitlines()]


def test_what_the_file_says_holds(write):
    path = write('[server]\nlisten = 127.0.0.1:0\nprefix = "said; "  # with a semicolon\n'
                 "path = /feed\nno-compression = on\n")
    server = programs.Server("--config", str(path))
    client = rawws.Client(server.port).upgrade("/feed")
    client.send_text("x")
    assert client.recv_frame().payload == b"said; x"
    server.stop()


def test_the_command_line_wins_also_where_an_option_is_given_several_times(write):
    path = write("[server]\nprefix = file\norigin = https://a.example\n"
                 "origin = https://b.example\nmax-lag = 1M\n")
    said = run("-c", path, "--print-config", "--origin", "https://c.example", "--prefix", "line")
    assert said.returncode == 0
    values = [line for line in said.stdout.splitlines() if not line.startswith("#")]
    assert values == ["[server]", "prefix = line    # command line",
                      "origin = https://c.example    # command line",
                      f"max-lag = 1M    # {path}:5"]


def test_every_error_is_told_with_its_line(write):
    path = write('[server]\nmax-header-bytes = much\nfoo = 1\nprefix = "open\nconfig = x\nhelp = on\n'
                 "no-echo = yes\nmax-message = 1K\nmax-message = 2K\nlisten = :::\n"
                 "[channels]\nmax-lag = 1\n= 2\nword\n")
    said = run("--config", path, "--check-config")
    assert said.returncode == 2
    assert said.stdout == ""
    told = errors(path, said.stderr)
    assert [int(line.split(":")[0]) for line in told] == [2, 3, 4, 5, 6, 7, 9, 10, 11, 12, 13, 14]
    assert "'max-header-bytes': 'much' is not a number of bytes" in told[0]
    assert "'foo' is not an option" in told[1]
    assert "stands in line 8 already" in told[6]


def test_a_file_without_errors_is_ok_and_serves_nothing(write):
    said = run("--config", write("# nothing\n\n[server]\r\nmax-lag = 1M\r\n"), "--check-config")
    assert (said.returncode, said.stdout, said.stderr) == (0, "OK\n", "")


def test_what_is_printed_is_a_file_that_says_the_same(write, tmp_path):
    path = write('[server]\nprefix = " \\"\\\\#\\n\\t;"\nping-timeout = 2.5\nno-echo = on\n')
    first = run("--config", path, "--print-config")
    again = tmp_path / "again.conf"
    again.write_text(first.stdout)
    second = run("--config", again, "--print-config")
    drop_sources = re.compile(r"    # .*$", re.M)
    assert first.returncode == second.returncode == 0
    assert drop_sources.sub("", second.stdout) == drop_sources.sub("", first.stdout)


def test_the_example_of_the_build_has_every_option_and_is_a_valid_file():
    example = Path(programs.WSBROADCASTD).with_name("wsbroadcastd.conf")
    if not example.exists():
        pytest.skip("the build has made no documents")
    said = run("--config", example, "--check-config")
    assert (said.returncode, said.stderr) == (0, "")
    options = set(re.findall(r"--([a-z-]+)", run("--help").stdout))
    missing = {name for name in options if f"\n#{name} = " not in example.read_text()}
    assert missing <= {"config", "check-config", "print-config", "help", "version", "new-token",
                       "check-store", "new-epoch"}, missing


@pytest.mark.parametrize("content", [b"\xff\xfe[server]\n", b"[server]\0\n", b"\x7fELF" + bytes(100)],
                         ids=["utf-16", "nul", "binary"])
def test_what_is_no_text_is_an_error(write, content):
    said = run("--config", write(content), "--check-config")
    assert said.returncode == 2
    assert ":1: " in said.stderr


def test_a_file_of_10_mib_is_too_large(write):
    said = run("--config", write(b"# x\n" * (10 << 18)), "--check-config")
    assert said.returncode == 2
    assert "has more than 4194304 bytes" in said.stderr


def test_what_is_no_file_is_an_error(tmp_path):
    os.mkfifo(tmp_path / "fifo")
    for path, why in ((tmp_path, "directory"), (tmp_path / "none", "no such file"),
                      (tmp_path / "fifo", "invalid")):
        said = run("--config", path, "--check-config")
        assert said.returncode == 2
        assert str(path) in said.stderr
        assert why in said.stderr
