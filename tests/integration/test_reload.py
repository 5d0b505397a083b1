"""SIGHUP: the configuration is read anew, and what cannot be used changes nothing."""

from __future__ import annotations

import os
import signal
import socket
import threading
from pathlib import Path

import programs
import pytest
import rawws

from test_channel_settings import post, retained

RELOADED = r"reloaded the configuration in "


class Configured:
    """A server with a configuration file that can be changed."""

    def __init__(self, start, path: Path, text: str, *options: str) -> None:
        self.path = path
        self.reloads = 0
        self.write(text)
        self.server = start(programs.Server, "--config", str(path), *options)

    def write(self, text: str) -> None:
        fresh = self.path.with_suffix(".new")
        fresh.write_text(f"[server]\n{text}")
        fresh.rename(self.path)

    def hang_up(self) -> None:
        self.server.process.send_signal(signal.SIGHUP)

    def reload(self, text: str) -> None:
        """And wait until that is in force."""
        self.write(text)
        self.hang_up()
        self.reloads += 1
        self.server.wait_stderr(RELOADED, self.reloads)


@pytest.fixture
def configured(start, tmp_path):
    def make(text: str, *options: str) -> Configured:
        return Configured(start, tmp_path / "wsbroadcastd.conf", text, *options)

    return make


LISTEN = "listen = 127.0.0.1:0\n"


def hears(client: rawws.Client, text: str) -> str:
    client.send_text(text)
    return client.recv_message()


@pytest.mark.parametrize("workers", ["1", "4"])
def test_settings_change_under_connections_that_stay(configured, workers):
    it = configured(LISTEN + "prefix = 1:", "-w", workers)
    clients = [it.server.client() for _ in range(8)]
    assert hears(clients[0], "x") == "1:x"
    it.reload(LISTEN + "prefix = 2:\nhistory-messages = 2\nmax-message = 10")
    for client in clients[1:]:
        assert client.recv_message() == "1:x"
    assert hears(clients[0], "x") == "2:x"
    assert post(it.server, "", "x" * 11) == 413
    assert post(it.server, "/news", "y") == 200
    assert retained(it.server, "/news") == ["y"]
    clients[1].send_text("x" * 11)
    while (frame := clients[1].recv_frame()).opcode != 8:
        pass
    assert frame.close_code == 1009


def test_a_section_that_comes_holds_for_channels_that_there_are(configured):
    it = configured(LISTEN + "history-messages = 5")
    for i in range(5):
        assert post(it.server, "/a", str(i)) == 200
        assert post(it.server, "/b", str(i)) == 200
    it.reload(LISTEN + "history-messages = 5\n[channel a]\nhistory-messages = 2\npublish = none")
    assert retained(it.server, "/a") == ["3", "4"]
    assert retained(it.server, "/b") == ["0", "1", "2", "3", "4"]
    assert post(it.server, "/a") == 403
    it.reload(LISTEN + "history-messages = 5\n")
    assert post(it.server, "/a") == 200
    assert len(retained(it.server, "/a")) == 3


def test_errors_are_told_and_change_nothing(configured):
    it = configured(LISTEN + "prefix = 1:")
    it.write(LISTEN + "prefix = 2:\nmax-lag = much\nfoo = 1")
    it.hang_up()
    it.server.wait_stderr("the configuration stays as it was")
    it.server.wait_stderr(r"wsbroadcastd.conf:4: 'max-lag'")
    it.server.wait_stderr(r"wsbroadcastd.conf:5: 'foo' is not an option")
    assert hears(it.server.client(), "x") == "1:x"
    os.remove(it.path)
    it.hang_up()
    it.server.wait_stderr("the configuration stays as it was", 2)
    assert hears(it.server.client(), "x") == "1:x"
    it.reload(LISTEN + "prefix = 3:")
    assert hears(it.server.client(), "x") == "3:x"


def test_what_the_command_line_says_still_wins(configured):
    it = configured(LISTEN, "--prefix", "line:")
    it.reload(LISTEN + "prefix = file:")
    assert hears(it.server.client(), "x") == "line:x"


@pytest.mark.parametrize("workers", ["1", "3"])
def test_listeners_come_and_go_and_connections_stay(configured, tmp_path, workers):
    path = tmp_path / "socket"
    it = configured(LISTEN, "-w", workers)
    old = [it.server.client() for _ in range(4)]
    it.reload(f"listen = unix:{path}\nlisten = 127.0.0.2:0\n")
    ready = it.server.wait_stderr(r"listening on (ws://127\.0\.0\.2:(\d+)/|unix:)", 2)
    port = next(int(match[2]) for match in ready if match[2])
    with pytest.raises(OSError):
        programs.wait_until("the listener is gone", lambda: not connects(it.server.port))
        socket.create_connection(("127.0.0.1", it.server.port), rawws.TIMEOUT)
    with socket.socket(socket.AF_UNIX) as local:
        local.connect(str(path))
    with socket.create_connection(("127.0.0.2", port), rawws.TIMEOUT):
        pass
    old[0].send_text("x")
    for client in old:
        assert client.recv_message() == "Message: x"
    it.reload("listen = 127.0.0.2:0\n")
    assert not path.exists()


def connects(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), rawws.TIMEOUT).close()
    except OSError:
        return False
    return True


def test_an_address_that_is_taken_changes_nothing(configured):
    with socket.socket() as taken:
        taken.bind(("127.0.0.3", 0))
        taken.listen()
        it = configured(LISTEN + "prefix = 1:")
        it.write(LISTEN + f"listen = 127.0.0.2:0\nlisten = 127.0.0.3:{taken.getsockname()[1]}\n"
                 "prefix = 2:")
        it.hang_up()
        it.server.wait_stderr("the configuration stays as it was: cannot listen on 127.0.0.3:")
        client = it.server.client()
        assert hears(client, "x") == "1:x"
        sockets = it.server.sockets()
        it.hang_up()
        it.server.wait_stderr("the configuration stays as it was: cannot listen on 127.0.0.3:", 2)
        assert it.server.sockets() == sockets  # what was opened before it is closed again


def test_what_needs_a_restart_is_named(configured):
    it = configured(LISTEN + "workers = 1\ncompression-level = 6")
    it.reload(LISTEN + "workers = 2\ncompression-level = 9\nstdout = on")
    options = ["compression-level", "stdout"]
    if not programs.WORKERS:  # else the command line has it, which wins
        options.append("workers")
    for option in options:
        it.server.wait_stderr(rf"{option} has changed: it stays as it was until the server is "
                              "restarted")


def test_rates_and_limits_by_address_come_and_go(configured):
    it = configured(LISTEN)
    it.reload(LISTEN + "max-messages-per-second = 2")
    with it.server.client() as client:
        client.send(b"".join(client.encode(1, b"x") for _ in range(4)))
        while (frame := client.recv_frame()).opcode != 8:
            pass
        assert frame.close_code == 1008
    it.reload(LISTEN)
    with it.server.client() as client:
        client.send(b"".join(client.encode(1, b"x") for _ in range(40)))
        for _ in range(40):
            assert client.recv_message() == "Message: x"


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_storm_of_reloads_under_load_loses_no_message(configured, workers):
    it = configured(LISTEN + "max-lag = 64M", "-w", workers)
    readers = [it.server.client() for _ in range(20)]
    count = 2000

    def publish() -> None:
        with it.server.client() as client:
            for i in range(count):
                client.send_text(str(i))
                client.recv_frame()

    publisher = threading.Thread(target=publish)
    publisher.start()
    hang_ups = 0
    while publisher.is_alive() or hang_ups < 100:
        it.write(LISTEN + f"max-lag = {64 + hang_ups % 2}M\nhistory-messages = {hang_ups % 50}")
        it.hang_up()
        hang_ups += 1
    publisher.join()
    for reader in readers:
        for i in range(count):
            assert reader.recv_message() == f"Message: {i}"
    assert "stays as it was" not in it.server.stderr


def test_the_log_level_changes(configured):
    it = configured(LISTEN)
    it.reload(LISTEN + "log-level = debug")
    it.server.client()
    it.server.wait_stderr(": joined")
