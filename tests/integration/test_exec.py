"""wsrecv --exec: a command for each message."""

from __future__ import annotations

import json
import os
import signal
import threading
from pathlib import Path

import programs
import pytest
import rawws
from rawws import ScriptedServer, ServerPeer
from test_output import say_all


def lines_of(listener) -> list[str]:
    return listener.read_rest().splitlines()


def test_the_command_has_the_payload_on_stdin_and_nowhere_else(wsrecv):
    secret = "zeb\nraffe ' $(id) `id` %s"
    command = (
        "cat; echo; tr '\\0' '\\n' </proc/$$/cmdline | grep -c 'raff[e]'; "
        "tr '\\0' '\\n' </proc/$$/environ | grep -c 'raff[e]'; echo \"$#\""
    )
    with ScriptedServer(say_all(secret)) as server:
        listener = wsrecv("-q", "--exec", command, server.url)
        out = listener.read_rest()
        listener.wait(0)
    assert out == secret + "\n0\n0\n0\n"


def test_bytes_are_given_as_they_came(wsrecv):
    blob = bytes(range(256)) * 1000
    with ScriptedServer(say_all(blob, b"", "text")) as server:
        listener = wsrecv("-q", "--exec", "sha1sum", server.url)
        lines = lines_of(listener)
        listener.wait(0)
    import hashlib

    sums = [hashlib.sha1(data).hexdigest() for data in (blob, b"", b"text")]
    assert [line.split()[0] for line in lines] == sums


def test_a_message_longer_than_a_pipe_is_given_whole(wsrecv):
    with ScriptedServer(say_all("x" * 5_000_000)) as server:
        listener = wsrecv("-q", "--exec", "wc -c", server.url)
        assert lines_of(listener) == ["5000000"]
        listener.wait(0)


def test_stdin_can_be_opened_again(wsrecv):
    with ScriptedServer(say_all("hello")) as server:
        listener = wsrecv("-q", "--exec", "cat /dev/stdin", server.url)
        assert listener.read_rest() == "hello"
        listener.wait(0)


def test_an_output_option_says_what_the_command_gets(wsrecv):
    with ScriptedServer(say_all("a\nb", b"\xff")) as server:
        listener = wsrecv("-q", "--json", "--exec", "cat", server.url)
        objects = [json.loads(line) for line in lines_of(listener)]
        listener.wait(0)
    assert [o.get("data", o.get("base64")) for o in objects] == ["a\nb", "/w=="]


def test_exec_with_wsbroadcastd(server, bash):
    """As a user sees it."""
    listener = bash('"$WSRECV" -q -n 1 -m "disk full" --exec "tr a-z A-Z; echo" "$1"', server.url)
    assert listener.read_rest() == "MESSAGE: DISK FULL\n"
    listener.wait(0)


def test_one_job_runs_in_order_and_all_run_before_the_end(wsrecv):
    texts = [str(i) for i in range(200)]
    with ScriptedServer(say_all(*texts)) as server:
        listener = wsrecv("-q", "--exec", "cat; echo", server.url)
        assert lines_of(listener) == texts
        listener.wait(0)


def test_jobs_run_side_by_side(wsrecv, tmp_path):
    """Each of three waits until all three are there."""
    command = f"cd {tmp_path}; touch $(cat); while [ $(ls | wc -l) -lt 3 ]; do sleep 0.02; done; echo ok"

    with ScriptedServer(say_all("a", "b", "c")) as server:
        listener = wsrecv("-q", "--exec-jobs", "3", "--exec", command, server.url)
        assert lines_of(listener) == ["ok"] * 3
        listener.wait(0)


def test_no_more_jobs_than_that(wsrecv, tmp_path):
    command = (
        f"mkdir {tmp_path}/$$; ls {tmp_path} | wc -l; sleep 0.05; rmdir {tmp_path}/$$"
    )
    with ScriptedServer(say_all(*"abcdefgh")) as server:
        listener = wsrecv("-q", "--exec-jobs", "2", "--exec", command, server.url)
        counts = [int(line) for line in lines_of(listener)]
        listener.wait(0)
    assert len(counts) == 8 and max(counts) <= 2


def test_a_slow_command_stalls_the_socket_and_loses_nothing(wsrecv, tmp_path):
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    sent = 0
    stalled = threading.Event()

    def script(peer: ServerPeer) -> None:
        nonlocal sent
        peer.accept()
        peer.sock.settimeout(1)
        wire = b""
        try:
            for _ in range(4000):
                wire = rawws.frame(rawws.BINARY, bytes(1 << 16), masked=False)
                while wire:
                    wire = wire[peer.sock.send(wire) :]
                sent += 1
        except TimeoutError:
            pass
        stalled.set()
        peer.sock.settimeout(rawws.TIMEOUT)
        peer.send(wire)
        sent += bool(wire)
        peer.close()

    with ScriptedServer(script) as server:
        command = f"wc -c; [ -p {gate} ] && cat {gate} >/dev/null || true"
        listener = wsrecv("-q", "--exec", command, server.url)
        assert stalled.wait(60)
        assert sent < 1000, "the socket is read though the command has not ended"
        if not programs.SANITIZED:
            assert listener.rss_anon() < 4 << 20
        gate.rename(tmp_path / "open")
        with open(tmp_path / "open", "w"):
            pass
        lines = lines_of(listener)
        listener.wait(0, 60)
    assert lines == ["65536"] * sent


def test_a_command_that_does_not_read_harms_nobody(wsrecv):
    with ScriptedServer(say_all("x" * 1_000_000, "y" * 1_000_000)) as server:
        listener = wsrecv("-q", "--exec", "exec 0<&-; echo ran", server.url)
        assert lines_of(listener) == ["ran", "ran"]
        listener.wait(0)
    assert listener.stderr == ""


def test_the_command_has_default_signals_and_no_descriptor_of_ours(wsrecv):
    command = (
        "grep -E '^Sig(Ign|Blk)' /proc/self/status | cut -f2; for fd in /proc/self/fd/*; do "
        "echo ${fd##*/}; done | sort -n | tail -1"
    )
    with ScriptedServer(say_all("x")) as server:
        listener = wsrecv("-q", "--exec", command, server.url)
        ignored_blocked_fd = lines_of(listener)
        listener.wait(0)
    assert int(ignored_blocked_fd[1], 16) & (1 << signal.SIGPIPE - 1) == 0
    assert {int(mask, 16) & 0x7FFFFFFF for mask in ignored_blocked_fd[:2]} == {0}
    assert int(ignored_blocked_fd[2]) <= 10  # 0, 1, 2, and what the shell opens for the glob


def test_the_command_does_not_have_the_token(wsrecv, tmp_path):
    """In the environment of wsrecv it is a credential; whoever gets the messages need not have it."""
    heads = []

    def script(peer: ServerPeer) -> None:
        heads.append(peer.accept())
        peer.send_text("x")
        peer.close()

    token = tmp_path / "token"
    token.write_text("other")
    for options in ((), ("--bearer-file", str(token))):
        with ScriptedServer(script) as server:
            listener = wsrecv(
                "-q", *options, "--exec", "env", server.url,
                env={**os.environ, "WSRECV_TOKEN": "s3cr3t", "KEPT": "yes"},
            )  # fmt: skip
            out = listener.read_rest()
            listener.wait(0)
        assert "KEPT=yes" in out.splitlines() and "s3cr3t" not in out
    assert [head.headers["authorization"] for head in heads] == ["Bearer s3cr3t", "Bearer other"]


# Failures


def test_a_failure_is_reported_and_the_rest_goes_on(wsrecv):
    with ScriptedServer(say_all("1", "0", "3")) as server:
        listener = wsrecv("-q", "--exec", 'n=$(cat); echo "$n"; exit "$n"', server.url)
        assert lines_of(listener) == ["1", "0", "3"]
        listener.wait(0)
    lines = listener.stderr.splitlines()
    assert len(lines) == 2 and "status 1" in lines[0] and "status 3" in lines[1]


@pytest.mark.parametrize(
    ("command", "status", "said"),
    [
        ("exit 3", 3, "status 3"),
        ("kill -9 $$", 137, "signal 9"),
        ("no-such-command-anywhere", 127, "status 127"),
    ],
)
def test_exec_fail_stop_ends_with_the_status_of_the_command(wsrecv, command, status, said):
    """After a closing handshake; messages that waited are not run."""

    def script(peer: ServerPeer) -> None:
        peer.accept()
        for text in ("a", "b", "c"):
            peer.send_text(text)
        peer.await_close(1000)

    with ScriptedServer(script) as server:
        listener = wsrecv("-q", "--exec-fail", "stop", "--exec", f"echo ran; {command}", server.url)
        assert lines_of(listener) == ["ran"]
        listener.wait(status)
    assert said in listener.stderr


def test_a_command_that_hangs_is_ended_with_all_that_it_started(wsrecv):
    """Its children would hold stdout open, and the pipeline with it."""
    with ScriptedServer(say_all("a")) as server:
        listener = wsrecv(
            "-q", "--exec-timeout", "0.3", "--exec", "echo ran; sleep 1000; true", server.url
        )
        assert lines_of(listener) == ["ran"]  # to the end of stdout
        listener.wait(0)
    assert "--exec-timeout" in listener.stderr and listener.stderr.count("\n") == 1


def test_a_command_that_ignores_sigterm_is_killed(wsrecv):
    with ScriptedServer(say_all("a")) as server:
        listener = wsrecv(
            "-q", "--exec-timeout", "0.2", "--exec-fail", "stop", "--exec",
            "trap '' TERM; echo ran; while :; do sleep 0.1; done", server.url,
        )  # fmt: skip
        assert lines_of(listener) == ["ran"]
        listener.wait(137)


def test_wsrecv_waits_for_its_commands_at_the_end(wsrecv):
    with ScriptedServer(say_all("a")) as server:
        listener = wsrecv("-q", "--exec", "sleep 0.5; echo done", server.url)
        assert lines_of(listener) == ["done"]
        listener.wait(0)


def hung(wsrecv, tmp_path, *options: str):
    """A wsrecv whose command hangs and has begun; and the pid of that."""
    server = ScriptedServer(lambda peer: (peer.accept(), peer.send_text("x"), peer.recv_close()))
    server.__enter__()
    listener = wsrecv("-q", *options, "--exec", "echo $$; sleep 1000; true", server.url)
    pid = int(listener.read_line())
    return server, listener, pid


def gone(pid: int) -> bool:
    status = Path(f"/proc/{pid}/status")
    return not status.exists() or "\nState:\tZ" in status.read_text()


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_command_and_then_wsrecv(wsrecv, tmp_path, signum):
    server, listener, pid = hung(wsrecv, tmp_path)
    listener.stop(signum)
    assert gone(pid)
    assert listener.read_rest() == ""
    assert listener.stderr == ""
    server._listener.close()


def test_124_ends_the_command_too(wsrecv, tmp_path):
    server, listener, pid = hung(wsrecv, tmp_path, "--timeout", "1")
    listener.wait(124)
    programs.wait_until("the command is gone", lambda: gone(pid))
    assert listener.read_rest() == ""
    server._listener.close()


def test_124_also_when_only_a_command_is_left(wsrecv):
    with ScriptedServer(say_all("x")) as server:
        listener = wsrecv("-q", "--timeout", "1", "--exec", "sleep 1000; true", server.url)
        listener.wait(124)
        assert listener.read_rest() == ""


def test_count_runs_as_many_commands_and_until_the_one_that_matches(server, wsrecv):
    listener = wsrecv("-q", "-m", "a", "-m", "b", "-m", "c", "-n", "2", "--exec", "cat; echo", server.url)
    assert lines_of(listener) == ["Message: a", "Message: b"]
    listener.wait(0)
    listener = wsrecv("-q", "-m", "a", "-m", "b", "--until", "b$", "--exec", "cat; echo", server.url)
    assert lines_of(listener) == ["Message: a", "Message: b"]
    listener.wait(0)
