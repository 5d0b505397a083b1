"""Credentials that change while wsrecv runs: files are read anew for each connection, and
--token-command prints a token for each."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from programs import wait_until
from rawws import ScriptedServer, ServerPeer

OK, USAGE, CONNECT, REFUSED = 0, 2, 3, 5
AGAIN = ["--reconnect", "--retry-max-delay", "0.1"]


def says(heard: list[str | None], then: Callable[[], object], *, status: int = 101,
         field: str = "authorization"):  # fmt: skip
    """A script: keep who asks, do something, refuse with `status` or close with 1012."""

    def script(peer: ServerPeer) -> None:
        if status == 101:
            heard.append(peer.accept().headers.get(field))
            then()
            peer.close(1012)
            return
        heard.append(peer.recv_head().headers.get(field))
        then()
        peer.send(f"HTTP/1.1 {status} No\r\nContent-Length: 0\r\n\r\n".encode())

    return script


def last(heard: list[str | None], field: str = "authorization") -> Callable[[ServerPeer], None]:
    def script(peer: ServerPeer) -> None:
        heard.append(peer.accept().headers.get(field))
        peer.close()

    return script


@pytest.mark.parametrize("status", [101, 401, 503])
def test_a_token_that_is_rotated_is_read_anew(wsrecv, tmp_path, status):
    """Also after a 401, which is lasting with a token that is the same."""
    token = tmp_path / "token"
    token.write_text("first\n")
    heard: list[str | None] = []
    scripts = [says(heard, lambda: token.write_text("second\n"), status=status), last(heard)]
    with ScriptedServer(scripts) as server:
        wsrecv(*AGAIN, "--bearer-file", str(token), server.url).wait(OK)
    assert heard == ["Bearer first", "Bearer second"]


def test_users_and_header_fields_of_files_are_read_anew(wsrecv, tmp_path):
    fields = tmp_path / "fields"
    fields.write_text("X-Key: one\n")
    heard: list[str | None] = []
    scripts = [
        says(heard, lambda: fields.write_text("X-Key: two\n"), status=401, field="x-key"),
        last(heard, "x-key"),
    ]
    with ScriptedServer(scripts) as server:
        listener = wsrecv("-v", *AGAIN, "-H", f"@{fields}", server.url).wait(OK)
    assert heard == ["one", "two"] and "two" not in listener.stderr
    user = tmp_path / "user"
    user.write_text("a:b")
    heard.clear()
    scripts = [says(heard, lambda: user.write_text("a:c")), last(heard)]
    with ScriptedServer(scripts) as server:
        wsrecv(*AGAIN, "--user-file", str(user), server.url).wait(OK)
    assert len(set(heard)) == 2


def test_401_with_the_same_token_ends_it(wsrecv, tmp_path):
    (tmp_path / "token").write_text("same\n")
    heard: list[str | None] = []
    with ScriptedServer(says(heard, lambda: None, status=401)) as server:
        wsrecv(*AGAIN, "--bearer-file", f"{tmp_path}/token", server.url).wait(REFUSED)
    assert heard == ["Bearer same"]


def test_a_file_that_is_gone_for_a_while_is_waited_for(wsrecv, tmp_path):
    token = tmp_path / "token"
    token.write_text("first\n")
    heard: list[str | None] = []
    with ScriptedServer([says(heard, token.unlink), last(heard)]) as server:
        listener = wsrecv(*AGAIN, "--bearer-file", str(token), server.url)
        listener.wait_stderr("reconnecting in .*cannot read '.*token'")
        token.write_text("second\n")
        listener.wait(OK)
    assert heard[-1] == "Bearer second"


def counter(tmp_path: Path) -> str:
    """A command that prints another token each time."""
    return f"echo >>{tmp_path}/runs; echo token-$(wc -l <{tmp_path}/runs); echo more"


def test_a_command_prints_a_token_for_each_connection(wsrecv, tmp_path):
    heard: list[str | None] = []
    scripts = [says(heard, lambda: None), says(heard, lambda: None, status=401), last(heard)]
    with ScriptedServer(scripts) as server:
        listener = wsrecv("-v", *AGAIN, "--token-command", counter(tmp_path), server.url).wait(OK)
    assert heard == ["Bearer token-1", "Bearer token-2", "Bearer token-3"]
    assert "token-1" not in listener.stderr


def test_401_for_the_same_token_of_a_command_twice_ends_it(wsrecv):
    heard: list[str | None] = []
    with ScriptedServer([says(heard, lambda: None, status=401)] * 2) as server:
        wsrecv(*AGAIN, "--token-command", "echo same", server.url).wait(REFUSED)
    assert heard == ["Bearer same"] * 2


@pytest.mark.parametrize(
    "command, said",
    [("exit 7", "status 7"), ("kill -9 $$", "signal 9"), ("true", "bearer token"),
     ("echo 'no token'", "bearer token"), ("head -c 20000 /dev/zero | tr '\\0' x", "bearer token"),
     ("echo secret; exit 1", "status 1")],
)  # fmt: skip
def test_a_command_that_fails_is_an_attempt_that_fails(wsrecv, command, said):
    refused = wsrecv("--token-command", command, "ws://127.0.0.1:1/").wait(CONNECT)
    assert said in refused.stderr and "--token-command" in refused.stderr
    assert refused.stderr.count("\n") == 1 and "secret" not in refused.stderr


def test_a_command_that_hangs_is_ended_by_the_time_to_connect_or_a_signal(wsrecv, tmp_path):
    hang = f"echo $$ >{tmp_path}/pid; sleep 1000 & sleep 1000"
    url = "ws://127.0.0.1:1/"
    refused = wsrecv("--connect-timeout", "0.3", "--token-command", hang, url).wait(CONNECT)
    assert "--token-command has not ended" in refused.stderr
    group = int((tmp_path / "pid").read_text())
    wait_until("it is killed", lambda: not Path(f"/proc/{group}").exists())
    (tmp_path / "pid").unlink()
    listener = wsrecv("--token-command", hang, url)
    wait_until("it runs", (tmp_path / "pid").exists)
    listener.stop()


def test_a_command_whose_child_keeps_its_output_open_is_not_waited_for(wsrecv):
    heard: list[str | None] = []
    with ScriptedServer(last(heard)) as server:
        wsrecv("--token-command", "echo t; sleep 5 &", server.url).wait(OK)
    assert heard == ["Bearer t"]


def test_one_way_to_say_who_asks_is_enough(wsrecv):
    wsrecv("--token-command", "echo t", "-u", "a:b").wait(USAGE)
    wsrecv("--token-command", "echo t", "-H", "Authorization: x").wait(USAGE)
