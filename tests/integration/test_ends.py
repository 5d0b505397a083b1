"""How wsrecv says that it is connected, and with which code it closes."""

from __future__ import annotations

import os
import signal
import socket

import programs
import pytest
import rawws
from rawws import ScriptedServer, ServerPeer

OK, USAGE, CONNECT = 0, 2, 3


def closed_with(wsrecv, *options: str, stop: bool = False, **how: object) -> tuple[int | None, str]:
    """The code and the reason of its Close, which is answered with the same."""
    found: list[tuple[int | None, str]] = []

    def script(peer: ServerPeer) -> None:
        peer.accept()
        peer.send_text("x")
        found.append(peer.recv_close())
        peer.send_close(found[0][0])

    with ScriptedServer(script) as server:
        listener = wsrecv(*options, server.url, **how)
        if stop:
            listener.read_line()
            listener.stop()
        else:
            listener.wait(OK)
    return found[0]


def test_the_code_and_the_reason_are_those_of_the_option(wsrecv):
    assert closed_with(wsrecv, "-n", "1") == (1000, "")
    assert closed_with(wsrecv, "-n", "1", "--close", "4001") == (4001, "")
    assert closed_with(wsrecv, "-n", "1", "--close", "1001:bis später: x") == (1001, "bis später: x")
    assert closed_with(wsrecv, "--close", "3000:signal", stop=True) == (3000, "signal")


def test_0_when_the_server_answers_the_code_at_the_end_of_input(wsrecv):
    options = ["-s", "--input-eof", "close", "--close", "4000:done"]
    assert closed_with(wsrecv, *options) == (4000, "done")


def test_a_connection_that_is_replaced_is_closed_with_1000(wsrecv):


    def first(peer: ServerPeer) -> None:
        peer.accept()
        peer.send_text("x")
        peer.await_close(1000)

    def second(peer: ServerPeer) -> None:
        peer.accept()
        peer.close()

    with ScriptedServer([first, second]) as server:
        listener = wsrecv("--close", "4001", server.url)
        listener.read_line()
        listener.process.send_signal(signal.SIGUSR2)
        listener.wait(OK)


@pytest.mark.parametrize("value", ["", "999", "1004", "1005", "1006", "1015", "2000", "5000", "1000x",
                                   ":x", "1000:" + "x" * 124])  # fmt: skip
def test_a_code_that_must_not_be_sent_is_2(wsrecv, value):
    assert "--close" in wsrecv("--close", value).wait(USAGE).stderr


# Ready


def test_a_descriptor_gets_a_line_once_connected_and_is_closed(server, wsrecv):
    read, write = os.pipe()
    listener = wsrecv("--exec", "sleep 30", "--ready-fd", str(write), server.url, pass_fds=[write])
    os.close(write)
    with os.fdopen(read) as ready:
        assert ready.read() == "ready\n"  # to the end, also while a command runs
    with server.client() as client:
        client.send_text("x")
    listener.stop()


def test_nothing_is_told_when_it_does_not_connect(wsrecv):
    read, write = os.pipe()
    listener = wsrecv("--ready-fd", str(write), "ws://127.0.0.1:1/", pass_fds=[write])
    os.close(write)
    listener.wait(CONNECT)
    with os.fdopen(read) as ready:
        assert ready.read() == ""


def test_a_file_is_written_once_connected(wsrecv, tmp_path):
    ready = tmp_path / "ready"
    ready.write_text("of another run\n")
    there: list[bool] = []

    def script(peer: ServerPeer) -> None:
        there.append(ready.exists())
        peer.accept()
        programs.wait_until("the file is there", lambda: ready.exists() and ready.read_text() != "")
        peer.close()

    with ScriptedServer(script) as server:
        url = f"ws://127.0.0.1:{server.port}/ws"
        wsrecv("--ready-file", str(ready), f"{url}?token=s3cr3t").wait(OK)
    assert there == [False] and ready.read_text() == f"{url}?token=***\n"


def test_what_cannot_be_told_is_2(wsrecv, tmp_path):
    assert "--ready-fd" in wsrecv("--ready-fd", "77").wait(USAGE).stderr
    assert "--ready-file" in wsrecv("--ready-file", str(tmp_path)).wait(USAGE).stderr


def test_a_service_manager_is_notified_once(wsrecv, tmp_path):
    def lost(peer: ServerPeer) -> None:
        peer.accept()

    def last(peer: ServerPeer) -> None:
        peer.accept()
        peer.close()

    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.settimeout(rawws.TIMEOUT)
        with ScriptedServer([lost, last]) as server:
            environment = {**os.environ, "NOTIFY_SOCKET": str(tmp_path / "notify")}
            wsrecv("--reconnect", "--retry-max-delay", "0.1", server.url, env=environment).wait(OK)
        assert manager.recv(100) == b"READY=1"
        manager.setblocking(False)
        with pytest.raises(BlockingIOError):
            manager.recv(100)
