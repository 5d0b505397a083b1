"""Messages that are in files: --message-file and --message-binary."""

from __future__ import annotations

import os

import pytest
from rawws import BINARY, TEXT, ScriptedServer, ServerPeer
from test_input import collect

OK, USAGE = 0, 2


def heard(wsrecv, *options: str, **how: object) -> list[tuple[int, bytes]]:
    """The messages that the server gets, which answers each."""
    frames: list[tuple[int, bytes]] = []
    with ScriptedServer(collect(frames, reply="ok")) as server:
        wsrecv("-q", *options, "-n", "1", server.url, **how).wait(OK)
    return frames


def test_a_file_is_one_message_without_its_last_newline(wsrecv, tmp_path):
    (tmp_path / "text").write_text("two\nlines\n\n")
    assert heard(wsrecv, "--message-file", f"{tmp_path}/text") == [(TEXT, b"two\nlines\n")]
    (tmp_path / "text").write_text("")
    assert heard(wsrecv, "--message-file", f"{tmp_path}/text") == [(TEXT, b"")]


def test_message_binary_sends_every_byte(wsrecv, tmp_path):
    (tmp_path / "bytes").write_bytes(b"\xff\x00\n")
    options = ["--message-binary", "--message-file", f"{tmp_path}/bytes"]
    assert heard(wsrecv, *options) == [(BINARY, b"\xff\x00\n")]
    assert heard(wsrecv, "-m", "text", "--message-binary") == [(BINARY, b"text")]


def test_standard_input_can_be_a_message(wsrecv):
    read, write = os.pipe()
    os.write(write, b"secret\n")
    os.close(write)
    assert heard(wsrecv, "--message-file", "-", stdin=read) == [(TEXT, b"secret")]
    os.close(read)


def test_messages_and_files_go_in_the_order_of_the_command_line_on_every_connect(wsrecv, tmp_path):
    (tmp_path / "file").write_text("from a file\n")
    got: list[list[str]] = []

    def script(peer: ServerPeer) -> None:
        peer.accept()
        got.append([peer.recv_message() for _ in range(3)])
        peer.close(1012) if len(got) == 1 else peer.close()

    options = ["-m", "a", "--message-file", f"{tmp_path}/file", "-m", "b"]
    with ScriptedServer([script, script]) as server:
        wsrecv("-q", "--reconnect", *options, server.url).wait(OK)
    assert got == [["a", "from a file", "b"]] * 2


def test_our_own_server_gets_it(server, wsrecv, tmp_path):
    (tmp_path / "file").write_text("hello\n")
    listener = wsrecv("-r", "-n", "1", "--message-file", f"{tmp_path}/file", server.url).wait(OK)
    assert listener.read_rest() == "Message: hello\n"


@pytest.mark.parametrize(
    "options, said",
    [(["--message-file", "/nowhere"], "'/nowhere'"), (["--message-file", "-", "-s"], "--send"),
     (["--message-file", "-", "--message-file", "-"], "already"),
     (["--message-file", "{bytes}"], "--message-binary")],
    ids=["unreadable", "-s", "twice", "no UTF-8"],
)  # fmt: skip
def test_what_cannot_be_sent_is_refused_at_the_start(wsrecv, tmp_path, options, said):
    (tmp_path / "bytes").write_bytes(b"\xff")
    options = [option.format(bytes=tmp_path / "bytes") for option in options]
    refused = wsrecv(*options).wait(USAGE)
    assert said in refused.stderr and refused.stderr.count("\n") == 1
