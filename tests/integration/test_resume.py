"""wsrecv comes back without a gap, or says that there is one: event IDs, --since, --state-file."""

from __future__ import annotations

import contextlib
import json
import os
import random
import re
import signal
import socket
import stat
import subprocess
import threading
from collections.abc import Callable

import programs
import pytest
import rawws
from rawws import PING, PONG, ScriptedServer, ServerPeer

KILLS = int(os.environ.get("WS_KILLS", "100"))
KILL_MESSAGES = int(os.environ.get("WS_KILL_MESSAGES", "100000"))

OK, OUTPUT, USAGE, REFUSED, GAP = 0, 1, 2, 5, 10
EPOCH, OTHER = "00112233445566aa", "ffeeddccbbaa9988"
FAST = ["--reconnect", "--retry-max-delay", "0.1"]
KEEPS_ALL = ("--prefix", "", "--history-bytes", "64M", "--max-lag", "0")


@pytest.fixture(scope="session")
def gives_ids() -> None:
    """Fails where the server under test is one that knows nothing of event IDs."""
    server = programs.Server()
    try:
        with server.client() as client:
            assert "last-event-id" in client.accepted.headers, (
                f"{programs.WSBROADCASTD} gives no event IDs: name another one by WSBROADCASTD"
            )
    finally:
        server.stop()
        server.clean_up()


@pytest.fixture
def real_server(gives_ids, wsbroadcastd) -> Callable[..., programs.Server]:
    """real_server(option, ...) starts one that gives event IDs."""
    return wsbroadcastd


def publish(server: programs.Server, *texts: str, target: str = "/ws") -> None:
    """All of them are published when this returns."""
    with server.client(target) as client:
        for text in texts:
            client.send_text(text)
        for text in texts:
            while client.recv_message() != text:
                pass
        client.close()


def last_id(server: programs.Server) -> str:
    with server.client() as client:
        client.close()
        return client.accepted.headers["last-event-id"]


def say(
    place: str | None, *texts: str, ask: list[rawws.Head] | None = None, close: int = 1001
) -> Callable[[ServerPeer], None]:
    """A script that gives a place, says something and closes; `ask` gets the request."""

    def script(peer: ServerPeer) -> None:
        request = peer.accept(Last_Event_ID=place)
        if ask is not None:
            ask.append(request)
        for text in texts:
            peer.send_text(text)
        peer.close(close)

    return script


def gaps(listener: programs.Program) -> list[str]:
    return re.findall(r"^wsrecv: (gap: .*)$", listener.stderr, re.M)


# Reconnecting


def test_a_new_connection_begins_behind_the_last_message(wsrecv):
    asked: list[rawws.Head] = []
    scripts = [
        say(f"{EPOCH}-7", "one", "two", ask=asked),
        say(f"{EPOCH}-9", "three", ask=asked),
        say(f"{EPOCH}-10", ask=asked, close=1000),
    ]
    with ScriptedServer(scripts) as server:
        listener = wsrecv("-r", *FAST, server.url).wait(OK)
    assert listener.read_rest() == "one\ntwo\nthree\n"
    assert [head.headers.get("last-event-id") for head in asked] == [
        None,
        f"{EPOCH}-9",
        f"{EPOCH}-10",
    ]
    assert gaps(listener) == []


@pytest.mark.parametrize(
    ("then", "said"),
    [
        (f"{EPOCH}-9", []),
        (f"{EPOCH}-10", ["gap: 1 message lost"]),
        (f"{EPOCH}-26", ["gap: 17 messages lost"]),
        (f"{OTHER}-9", ["gap: an unknown number of messages lost"]),
        (f"{OTHER}-0", ["gap: an unknown number of messages lost"]),
        (None, ["gap: an unknown number of messages lost"]),
        ("nonsense", ["gap: an unknown number of messages lost"]),
    ],
)
def test_what_was_lost_between_two_connections_is_said_once(wsrecv, then, said):
    scripts = [say(f"{EPOCH}-7", "one", "two"), say(then, "three"), say(then, close=1000)]
    if then and "-" in then:
        epoch, number = then.split("-")
        scripts[2] = say(f"{epoch}-{int(number) + 1}", close=1000)
    with ScriptedServer(scripts) as server:
        listener = wsrecv("-q", "-r", *FAST, server.url).wait(OK)
    assert listener.read_rest() == "one\ntwo\nthree\n"
    assert gaps(listener) == said


def test_a_server_that_goes_back_is_believed_and_its_messages_are_printed(wsrecv):
    scripts = [say(f"{EPOCH}-7", "8", "9"), say(f"{EPOCH}-8", "9", "10", close=1000)]
    with ScriptedServer(scripts) as server:
        listener = wsrecv("-F", "%i %p", *FAST, server.url).wait(OK)
    assert listener.read_rest().splitlines() == [
        f"{EPOCH}-{number} {number}" for number in (8, 9, 9, 10)
    ]
    assert gaps(listener) == []
    listener.wait_stderr(f"the server went back to {EPOCH}-8: messages come again")


@pytest.mark.parametrize(
    "place",
    [
        None,
        "",
        "nonsense",
        f"{EPOCH}-",
        f"{EPOCH}-01",
        f"{EPOCH}--1",
        f"{EPOCH.upper()}-1",
        f"{EPOCH}-18446744073709551615",
        f"{EPOCH}-18446744073709551616",
        "x" * 4000,
    ],
)
def test_a_server_without_ids_is_served_as_ever(wsrecv, place):
    asked: list[rawws.Head] = []
    first = say(place, "one", ask=asked)
    with ScriptedServer([first, say(place, "two", ask=asked, close=1000)]) as server:
        listener = wsrecv("--json", *FAST, server.url).wait(OK)
    objects = [json.loads(line) for line in listener.read_rest().splitlines()]
    assert [o["data"] for o in objects] == ["one", "two"]
    assert not any("id" in o or "gap" in o for o in objects)
    assert all("last-event-id" not in head.headers for head in asked)
    assert gaps(listener) == []


def test_two_places_in_one_response_are_none(wsrecv):
    def script(peer: ServerPeer) -> None:
        peer.accept(Last_Event_ID=f"{EPOCH}-1\r\nLast-Event-ID: {EPOCH}-2")
        peer.send_text("x")
        peer.close()

    with ScriptedServer(script) as server:
        assert wsrecv("-F", "<%i>", server.url).wait(OK).read_rest() == "<>\n"


# Pings


def test_a_ping_with_a_later_place_is_a_gap_and_others_are_pings(wsrecv):
    pings = [
        f"{EPOCH}-2",  # where we are
        f"{EPOCH}-0",  # back
        f"{EPOCH}-20x",
        "nonsense",
        "",
        f"{EPOCH}-19",  # 17 further
        f"{EPOCH}-19",
        f"{OTHER}-5",
    ]

    def script(peer: ServerPeer) -> None:
        peer.accept(Last_Event_ID=f"{EPOCH}-0")
        peer.send_text("one")
        peer.send_text("two")
        for ping in pings:
            peer.send_frame(PING, ping.encode())
        for ping in pings:
            pong = peer.recv_frame()
            assert (pong.opcode, pong.payload) == (PONG, ping.encode())
        peer.send_text("three")
        peer.close()

    with ScriptedServer(script) as server:
        listener = wsrecv("-q", "--stats", "-F", "%i", server.url).wait(OK)
    assert listener.read_rest().splitlines() == [f"{EPOCH}-1", f"{EPOCH}-2", f"{OTHER}-6"]
    assert gaps(listener) == [
        "gap: 17 messages lost",
        "gap: an unknown number of messages lost",
    ]
    listener.wait_stderr("0 reconnects, 2 gaps$")


def test_a_ping_within_a_message_counts_what_is_whole(wsrecv):
    def script(peer: ServerPeer) -> None:
        peer.accept(Last_Event_ID=f"{EPOCH}-4")
        peer.send_frame(rawws.TEXT, b"a", fin=False)
        peer.send_frame(PING, f"{EPOCH}-4".encode())
        peer.send_frame(rawws.CONTINUATION, b"b")
        peer.send_frame(PING, f"{EPOCH}-5".encode())
        peer.close()

    with ScriptedServer(script) as server:
        listener = wsrecv("-F", "%i %p", server.url).wait(OK)
    assert listener.read_rest() == f"{EPOCH}-5 ab\n"
    assert gaps(listener) == []


def test_a_server_that_gave_no_place_may_send_pings_that_look_like_one(wsrecv):
    def script(peer: ServerPeer) -> None:
        peer.accept()
        peer.send_frame(PING, f"{EPOCH}-19".encode())
        peer.send_text("x")
        peer.close()

    with ScriptedServer(script) as server:
        listener = wsrecv("-F", "<%i>", server.url).wait(OK)
    assert listener.read_rest() == "<>\n"
    assert gaps(listener) == []


# What is made of a gap


def test_json_has_the_id_and_a_gap_before_the_message_behind_it(wsrecv):
    def script(peer: ServerPeer) -> None:
        peer.accept(Last_Event_ID=f"{EPOCH}-0")
        peer.send_text("1")
        peer.send_frame(PING, f"{EPOCH}-3".encode())
        peer.send_frame(PING, f"{EPOCH}-5".encode())
        peer.send_text("6")
        peer.send_text("7")
        peer.send_frame(PING, f"{EPOCH}-9".encode())
        peer.send_frame(PING, f"{OTHER}-9".encode())
        peer.send_frame(PING, f"{OTHER}-11".encode())
        peer.send_text("12")
        peer.close()

    with ScriptedServer(script) as server:
        lines = wsrecv("--json", server.url).wait(OK).read_rest().splitlines()
    found = [(o["id"], o["data"], o.get("gap")) for o in map(json.loads, lines)]
    assert found == [
        (f"{EPOCH}-1", "1", None),
        (f"{EPOCH}-6", "6", 4),
        (f"{EPOCH}-7", "7", None),
        (f"{OTHER}-12", "12", "unknown"),
    ]


def test_fail_on_gap_prints_what_came_and_ends_with_10(wsrecv):
    def script(peer: ServerPeer) -> None:
        peer.accept(Last_Event_ID=f"{EPOCH}-0")
        peer.send_text("1")
        peer.send(
            peer.encode(PING, f"{EPOCH}-3".encode()) + peer.encode(rawws.TEXT, b"behind the gap")
        )
        peer.await_close()

    with ScriptedServer(script) as server:
        listener = wsrecv("-q", "-r", *FAST, "--fail-on-gap", server.url).wait(GAP)
    assert listener.read_rest() == "1\n"
    assert listener.stderr == "wsrecv: gap: 2 messages lost\n"


def test_fail_on_gap_between_two_connections(wsrecv):
    def script(peer: ServerPeer) -> None:
        peer.accept(Last_Event_ID=f"{OTHER}-1")
        peer.send_text("behind the gap")
        peer.await_close()

    with ScriptedServer([say(f"{EPOCH}-7", "one"), script]) as server:
        listener = wsrecv("-q", "-r", *FAST, "--fail-on-gap", server.url).wait(GAP)
    assert listener.read_rest() == "one\n"
    assert gaps(listener) == ["gap: an unknown number of messages lost"]


@pytest.mark.parametrize(
    ("option", "said"),
    [
        (["--fail-on-gap"], "gaps go unseen"),
        (["--since", "all"], "--since may have done nothing"),
        (["--state-file", "STATE"], "the state file '.*' does not change"),
    ],
)
def test_who_asks_for_what_takes_ids_hears_that_there_are_none(wsrecv, tmp_path, option, said):
    option = [str(tmp_path / "state") if word == "STATE" else word for word in option]
    asked: list[rawws.Head] = []
    scripts = [say(None, "one"), say(None, "two", ask=asked, close=1000)]
    with ScriptedServer(scripts) as server:
        listener = wsrecv("-q", "-r", *FAST, *option, server.url).wait(OK)
    assert listener.read_rest() == "one\ntwo\n"
    assert asked[0].target == "/ws"  # what has been heard is not asked for again
    assert len(listener.wait_stderr(said)) == 1


# --since


@pytest.mark.parametrize(
    ("since", "path", "target", "field"),
    [
        ("all", "/ws", "/ws?history=all", None),
        ("12", "/ws?a=b", "/ws?a=b&history=12", None),
        (f"{EPOCH}-5", "/ws", "/ws", f"{EPOCH}-5"),
    ],
)
def test_since_is_for_the_first_connection_and_then_the_place_is(
    wsrecv, since, path, target, field
):
    asked: list[rawws.Head] = []
    scripts = [say(f"{EPOCH}-5", "6", ask=asked), say(f"{EPOCH}-6", "7", ask=asked, close=1000)]
    with ScriptedServer(scripts) as server:
        url = server.url.removesuffix("/ws") + path
        listener = wsrecv("-r", *FAST, "--since", since, url).wait(OK)
    assert listener.read_rest() == "6\n7\n"
    assert [head.target for head in asked] == [target, path]
    assert [head.headers.get("last-event-id") for head in asked] == [field, f"{EPOCH}-6"]


def test_since_outlives_refusals_and_redirections(wsrecv):
    asked: list[rawws.Head] = []

    def refuse(peer: ServerPeer) -> None:
        peer.recv_head()
        peer.send(b"HTTP/1.1 503 X\r\nContent-Length: 0\r\n\r\n")

    def redirect(peer: ServerPeer) -> None:
        peer.recv_head()
        peer.send(b"HTTP/1.1 302 X\r\nLocation: /new\r\nContent-Length: 0\r\n\r\n")

    scripts = [refuse, redirect, say(f"{EPOCH}-0", "1", ask=asked, close=1000)]
    with ScriptedServer(scripts) as server:
        wsrecv(*FAST, "--since", "all", server.url).wait(OK)
    assert [head.target for head in asked] == ["/new?history=all"]


def test_since_an_id_counts_what_the_server_has_no_more(wsrecv):
    with ScriptedServer(say(f"{EPOCH}-22", "x", close=1000)) as server:
        listener = wsrecv("--since", f"{EPOCH}-5", server.url).wait(OK)
    assert gaps(listener) == ["gap: 17 messages lost"]


@pytest.mark.parametrize("since", ["", "0", "-1", "ALL", "1.5", f"{EPOCH}-", "99999999999999999999"])
def test_since_something_else_is_2(wsrecv, since):
    listener = wsrecv("--since", since).wait(USAGE)
    assert listener.stderr.count("\n") == 1
    assert "--since" in listener.stderr


def test_a_last_event_id_in_a_header_option_is_2(wsrecv):
    listener = wsrecv("-H", "last-event-id: x").wait(USAGE)
    listener.wait_stderr("--since ID")


# --state-file


def state_file(tmp_path) -> str:
    return str(tmp_path / "state")


def listen_once(wsrecv, state: str, place: str, *texts: str, options=()) -> tuple[str, str | None]:
    """One run against a server that says `texts`; what was printed, and the place asked for."""
    asked: list[rawws.Head] = []
    with ScriptedServer(say(place, *texts, ask=asked, close=1000)) as server:
        connect = f"localhost:80:127.0.0.1:{server.port}"  # the URL stays the same
        args = ("-r", "--connect-to", connect, "--state-file", state, *options, "ws://localhost/ws")
        printed = wsrecv(*args).wait(OK).read_rest()
    return printed, asked[0].headers.get("last-event-id")


def test_the_next_run_begins_where_the_last_one_ended(wsrecv, tmp_path):
    state = state_file(tmp_path)
    assert listen_once(wsrecv, state, f"{EPOCH}-4", "5", "6") == ("5\n6\n", None)
    assert listen_once(wsrecv, state, f"{EPOCH}-6", "7") == ("7\n", f"{EPOCH}-6")
    assert listen_once(wsrecv, state, f"{EPOCH}-7") == ("", f"{EPOCH}-7")


def test_a_run_that_hears_nothing_has_a_place_too(wsrecv, tmp_path):
    state = state_file(tmp_path)
    assert listen_once(wsrecv, state, f"{EPOCH}-4") == ("", None)
    assert listen_once(wsrecv, state, f"{EPOCH}-4") == ("", f"{EPOCH}-4")


def test_messages_that_become_nothing_have_a_place_too(wsrecv, tmp_path):
    state = state_file(tmp_path)
    nothing = ("0", "1"), ("-F", "\\c")
    with ScriptedServer(say(f"{EPOCH}-4", *nothing[0], close=1000)) as server:
        wsrecv(*nothing[1], "--state-file", state, server.url).wait(OK)
    assert f"{EPOCH}-6" in open(state).read()


def test_the_state_file_overrides_since_and_says_so(wsrecv, tmp_path):
    state = state_file(tmp_path)
    assert listen_once(wsrecv, state, f"{EPOCH}-4", "5", options=("--since", "all"))[1] is None
    asked: list[rawws.Head] = []
    with ScriptedServer(say(f"{EPOCH}-5", ask=asked, close=1000)) as server:
        connect = f"localhost:80:127.0.0.1:{server.port}"
        args = ("--connect-to", connect, "--state-file", state, "--since", "all")
        listener = wsrecv(*args, "ws://localhost/ws").wait(OK)
    assert (asked[0].target, asked[0].headers["last-event-id"]) == ("/ws", f"{EPOCH}-5")
    listener.wait_stderr(f"going on behind {EPOCH}-5, where '{state}' says")


def test_what_is_not_printed_is_not_in_the_file(wsrecv, tmp_path):
    """The reader of the pipe takes nothing, and wsrecv is killed."""
    state = state_file(tmp_path)
    size = 4000
    count = 100  # more than a pipe holds

    def script(peer: ServerPeer) -> None:
        peer.accept(Last_Event_ID=f"{EPOCH}-0")
        for number in range(count):
            peer.send_text(f"{number:0{size}}")
        with pytest.raises((rawws.ConnectionLost, OSError)):
            peer.recv_exactly(1)

    with ScriptedServer(script) as server:
        connect = f"localhost:80:127.0.0.1:{server.port}"
        args = ("-r", "--connect-to", connect, "--state-file", state, "ws://localhost/ws")
        listener = wsrecv(*args)
        first = listener.read_line()  # so it prints; what it can it has printed when it waits
        programs.wait_until("the pipe is full", lambda: is_stuck(state))
        listener.process.send_signal(signal.SIGKILL)
        listener.wait(-signal.SIGKILL)
        printed = [first, *listener.read_rest().splitlines()]
    assert printed == [f"{number:0{size}}" for number in range(len(printed))]
    assert len(printed) < count
    place = listen_once(wsrecv, state, f"{EPOCH}-{len(printed)}")[1]
    assert place in (f"{EPOCH}-{len(printed)}", f"{EPOCH}-{len(printed) - 1}")


def is_stuck(state: str, seen: dict[str, object] = {}) -> bool:  # noqa: B006
    """The file is what it was a hundred looks ago."""
    content = open(state).read()
    seen["looks"] = seen.get("looks", 0) + 1 if seen.get("content") == content else 0
    seen["content"] = content
    return seen["looks"] > 20


def test_with_exec_the_place_is_that_of_the_commands_that_succeeded(wsrecv, tmp_path):
    state = state_file(tmp_path)

    def script(peer: ServerPeer) -> None:
        peer.accept(Last_Event_ID=f"{EPOCH}-4")
        for text in ("5", "6", "7", "8"):
            peer.send_text(text)
        peer.await_close(1000)  # after the command that fails; a Close of ours would cross it

    with ScriptedServer(script) as server:
        connect = f"localhost:80:127.0.0.1:{server.port}"
        args = ("--json", "--connect-to", connect, "--state-file", state)
        acting = ("--exec", "grep -v '\"7\"'", "--exec-fail", "stop")
        wsrecv(*args, *acting, "ws://localhost/ws").wait(1)
    assert listen_once(wsrecv, state, f"{EPOCH}-6")[1] == f"{EPOCH}-6"


def test_with_exec_a_failure_that_is_ignored_is_done(wsrecv, tmp_path):
    state = state_file(tmp_path)
    with ScriptedServer(say(f"{EPOCH}-4", "5", "6", close=1000)) as server:
        connect = f"localhost:80:127.0.0.1:{server.port}"
        args = ("--connect-to", connect, "--state-file", state, "--exec", "false")
        wsrecv(*args, "ws://localhost/ws").wait(OK)
    assert listen_once(wsrecv, state, f"{EPOCH}-6")[1] == f"{EPOCH}-6"


def test_with_several_commands_the_place_is_before_the_first_that_runs(wsrecv, tmp_path):
    """The first of three commands waits until it is killed; the others succeed."""
    state = state_file(tmp_path)
    done = tmp_path / "done"
    done.mkdir()
    command = f'read -r x; test "$x" = 6 && exec sleep 60; : >{done}/$x'

    def script(peer: ServerPeer) -> None:
        peer.accept(Last_Event_ID=f"{EPOCH}-4")
        for text in ("5", "6", "7", "8"):
            peer.send_text(text + "\n")
        peer.recv_close()

    with ScriptedServer(script) as server:
        connect = f"localhost:80:127.0.0.1:{server.port}"
        args = ("--connect-to", connect, "--state-file", state, "--exec-jobs", "3")
        listener = wsrecv(*args, "--exec", command, "ws://localhost/ws")
        programs.wait_until("the others are done", lambda: len(list(done.iterdir())) == 3)
        listener.stop()
    assert listen_once(wsrecv, state, f"{EPOCH}-5")[1] == f"{EPOCH}-5"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("no state file\n", "is not a state file of wsrecv"),
        ("\n" * 500, "is not a state file of wsrecv"),
        ("CUT", "is not a state file of wsrecv"),
        ("URL", "is that of another URL than ws://localhost/ws"),
        ("RECORDS", "is damaged"),
    ],
)
def test_a_file_that_is_something_else_is_2_and_stays_as_it_is(wsrecv, tmp_path, content, said):
    state = state_file(tmp_path)
    listen_once(wsrecv, state, f"{EPOCH}-4", "5")
    good = open(state).read()
    content = {
        "CUT": good[:190],
        "URL": good.replace("localhost", "elsewhere"),
        "RECORDS": good.replace(f"{EPOCH}-", f"{OTHER}-"),
    }.get(content, content)
    with open(state, "w") as file:
        file.write(content)
    listener = wsrecv("--state-file", state, "ws://localhost/ws").wait(USAGE)
    assert listener.stderr.count("\n") == 1
    listener.wait_stderr(said)
    assert open(state).read() == content


def test_a_torn_record_leaves_the_one_before(wsrecv, tmp_path):
    state = state_file(tmp_path)
    listen_once(wsrecv, state, f"{EPOCH}-4", "5", "6")
    good = open(state).read()
    with open(state, "w") as file:
        file.write(good.replace(f"{EPOCH}-6 ", f"{EPOCH}-9 "))
    assert listen_once(wsrecv, state, f"{EPOCH}-5")[1] == f"{EPOCH}-5"


def test_an_empty_file_is_a_new_one(wsrecv, tmp_path):
    state = state_file(tmp_path)
    open(state, "w").close()
    assert listen_once(wsrecv, state, f"{EPOCH}-4", "5") == ("5\n", None)
    assert listen_once(wsrecv, state, f"{EPOCH}-5")[1] == f"{EPOCH}-5"


@pytest.mark.parametrize("kind", ["missing directory", "directory", "fifo", "device", "no space"])
def test_a_file_that_cannot_be_had_is_2(wsrecv, tmp_path, kind):
    state = state_file(tmp_path)
    if kind == "missing directory":
        state += "/state"
    elif kind == "directory":
        os.mkdir(state)
    elif kind == "fifo":
        os.mkfifo(state)
    elif kind == "device":
        state = "/dev/null"
    else:
        state = "/proc/version"  # a regular file that nobody can write
    listener = wsrecv("--state-file", state, "ws://localhost/ws").wait(USAGE)
    assert listener.stderr.count("\n") == 1
    assert f"'{state}'" in listener.stderr


def test_a_file_that_is_in_use_is_2(wsrecv, tmp_path):
    state = state_file(tmp_path)

    def script(peer: ServerPeer) -> None:
        peer.accept(Last_Event_ID=f"{EPOCH}-4")
        second = wsrecv("--state-file", state, server.url).wait(USAGE)
        second.wait_stderr(f"'{state}' is in use by another wsrecv")
        peer.close()

    with ScriptedServer(script) as server:
        wsrecv("--state-file", state, server.url).wait(OK)


def mode_of(path: str) -> int:
    return stat.S_IMODE(os.stat(path).st_mode)


def test_the_file_is_its_owners_alone(wsrecv, tmp_path):
    state = state_file(tmp_path)
    before = os.umask(0)
    try:
        listen_once(wsrecv, state, f"{EPOCH}-4", "5")
        assert mode_of(state) == 0o600
        os.chmod(state, 0o664)  # as others may have made it
        listen_once(wsrecv, state, f"{EPOCH}-5", "6")
        assert mode_of(state) == 0o600
    finally:
        os.umask(before)


def test_2_when_the_file_is_a_symbolic_link(wsrecv, tmp_path):
    state = state_file(tmp_path)
    for target in (str(tmp_path / "precious"), str(tmp_path / "missing")):
        if "precious" in target:
            (tmp_path / "precious").write_text("")
        os.symlink(target, state)
        refused = wsrecv("--state-file", state, "ws://localhost/ws").wait(USAGE)
        assert f"'{state}' is a symbolic link" in refused.stderr
        os.unlink(state)
    assert (tmp_path / "precious").read_text() == "" and not (tmp_path / "missing").exists()


def test_the_file_has_no_secret_and_yet_knows_its_url(wsrecv, tmp_path):
    """A URL with another token is another URL."""
    state = state_file(tmp_path)

    def url(token: str) -> str:
        return f"ws://me:{token}@localhost/ws?a=b&access_token={token}"

    for _ in range(2):
        with ScriptedServer(say(f"{EPOCH}-4", close=1000)) as server:
            connect = f"localhost:80:127.0.0.1:{server.port}"
            wsrecv("--connect-to", connect, "--state-file", state, url("s3cr3t")).wait(OK)
        assert "s3cr3t" not in open(state).read()
        assert "ws://localhost/ws?a=b&access_token=***" in open(state).read()
    refused = wsrecv("--state-file", state, url("0ther")).wait(USAGE)
    assert "that of another URL" in refused.stderr and "0ther" not in refused.stderr


@pytest.mark.parametrize("how", ["removed", "replaced", "moved"])
def test_1_when_the_file_is_removed_or_replaced_while_in_use(wsrecv, tmp_path, how):
    """Whoever makes a new one of that name is its only user."""
    state = state_file(tmp_path)
    other = str(tmp_path / "other")
    with socket.create_server(("127.0.0.1", 0)) as accepting:
        accepting.settimeout(rawws.TIMEOUT)
        url = f"ws://127.0.0.1:{accepting.getsockname()[1]}/ws"
        listener = wsrecv("-r", "--state-file", state, url)
        peer = ServerPeer(accepting.accept()[0])
    with peer:
        peer.accept(Last_Event_ID=f"{EPOCH}-4")
        peer.send_text("5")
        assert listener.read_line() == "5"
        programs.wait_until("5 is stored", lambda: f"{EPOCH}-5" in open(state).read())
        if how == "removed":
            os.unlink(state)
        elif how == "moved":
            os.rename(state, other)
        else:
            open(other, "w").close()
            os.rename(other, state)
        peer.sock.settimeout(0.05)
        for _ in rawws.turns():  # it looks at the name now and then
            peer.send_text("6")
            with contextlib.suppress(TimeoutError):
                peer.await_close(1000)
                break
        listener.wait(OUTPUT)
    said = "replaced" if how == "replaced" else "removed"
    assert f"'{state}': it was {said} while in use\n" in listener.stderr
    if how == "replaced":
        assert open(state).read() == ""
    else:
        assert not os.path.exists(state)


@pytest.fixture(params=["a full disk", "ulimit -f"])
def small_disk(request, start, tmp_path) -> Callable[[str], programs.Program]:
    """small_disk(script): where $DISK has room for 4096 bytes, or each file there may have so
    many."""
    if os.environ.get("WS_SANITIZE") == "thread":
        pytest.skip("TSan's runtime grows a file of its own, and dies of ulimit -f 0")
    disk = tmp_path / "disk"
    disk.mkdir()
    script = f"DISK={disk} WSRECV={programs.WSRECV}; "
    if request.param == "ulimit -f":
        return lambda rest: start(programs.Program, ["bash", "-c", f"{script} ulimit -f 4; {rest}"])
    mount = f"mount -t tmpfs -o size=4k none {disk}"
    if subprocess.run(["unshare", "-m", "sh", "-c", mount], capture_output=True).returncode:
        pytest.skip("needs root, to mount a file system")
    return lambda rest: start(
        programs.Program, ["unshare", "-m", "bash", "-c", f"{script} {mount}; {rest}"]
    )


def test_1_when_the_disk_has_no_room_for_the_state_file(small_disk):
    listener = small_disk("""
        head -c 4096 /dev/zero >$DISK/full; ulimit -f 0
        $WSRECV --state-file $DISK/state ws://localhost/ws
    """).wait(OUTPUT)
    assert re.search(r"cannot write the state file '.*/state': .*", listener.stderr)
    assert listener.stderr.count("\n") == 1


def test_no_part_of_a_message_is_left_that_comes_again(small_disk, wsrecv, tmp_path):
    """Of five lines of 1001 bytes four fit in; the fifth is for the next run."""
    state = state_file(tmp_path)
    texts = [str(number) * 1000 for number in range(1, 6)]

    def script(peer: ServerPeer) -> None:
        peer.accept(Last_Event_ID=f"{EPOCH}-0")
        for text in texts:
            peer.send_text(text)
        peer.await_close(1000)

    with ScriptedServer(script) as server:
        listener = small_disk(f"""
            $WSRECV -q -r --connect-to localhost:80:127.0.0.1:{server.port} \\
                --state-file {state} ws://localhost/ws >>$DISK/out
            echo $?; cat $DISK/out
        """)
        status, *lines = listener.read_rest().splitlines()
        listener.wait(0)
    assert "cannot write to standard output" in listener.stderr
    assert (int(status), lines) == (OUTPUT, texts[:4])
    assert listen_once(wsrecv, state, f"{EPOCH}-4", texts[4]) == (texts[4] + "\n", f"{EPOCH}-4")


# Against wsbroadcastd


def test_a_server_that_is_started_again_is_an_unknown_gap(real_server, wsrecv):
    server = real_server(*KEEPS_ALL)
    listener = wsrecv("-r", "-n", "2", "--reconnect", "--retry-max-delay", "0.1", server.url)
    listener.wait_stderr("Connected")
    publish(server, "one")
    assert listener.read_line() == "one"
    server.stop()
    again = real_server(*KEEPS_ALL, "-l", f"127.0.0.1:{server.port}")
    listener.wait_stderr("gap: an unknown number of messages lost")
    publish(again, "two")
    listener.wait(OK)
    assert listener.read_rest() == "two\n"


def test_a_short_history_is_a_counted_gap(real_server, wsrecv, tmp_path):
    server = real_server("--prefix", "", "--history-messages", "3")
    publish(server, "1", "2")
    state = state_file(tmp_path)
    args = ("-r", "-q", "--state-file", state, "--since", "all", server.url)
    assert wsrecv(*args, "-n", "2").wait(OK).read_rest() == "1\n2\n"
    publish(server, *map(str, range(3, 11)))
    listener = wsrecv(*args, "-n", "3").wait(OK)
    assert listener.read_rest() == "8\n9\n10\n"
    assert gaps(listener) == ["gap: 5 messages lost"]
    assert wsrecv(*args, "--fail-on-gap", "--timeout", "0.1").wait(124).stderr.count("gap") == 0


def test_since_an_id_of_wsbroadcastd(real_server, wsrecv):
    server = real_server(*KEEPS_ALL)
    publish(server, "1", "2", "3", "4")
    lines = wsrecv("--json", "-n", "2", "--since", "4", server.url).wait(OK).read_rest()
    objects = [json.loads(line) for line in lines.splitlines()]
    assert [o["data"] for o in objects] == ["1", "2"]
    listener = wsrecv("-r", "-n", "2", "--since", objects[1]["id"], server.url).wait(OK)
    assert listener.read_rest() == "3\n4\n"
    assert objects[1]["id"] == last_id(server).replace("-4", "-2")
    epoch = last_id(server).split("-")[0]
    wsrecv("--since", f"{epoch}-5", server.url).wait(REFUSED)  # it has not happened yet


def test_with_exec_every_message_is_acted_on_though_wsrecv_is_killed(real_server, wsrecv, tmp_path):
    """The example of the manual; the command that ran when it was killed runs again. None gets less
    than a message."""
    server = real_server(*KEEPS_ALL)
    texts = [str(number) for number in range(40)]
    publish(server, *texts)
    acted = tmp_path / "acted"
    acted.touch()

    def done() -> list[str]:
        return acted.read_text().splitlines()

    args = ("-q", "--since", "all", "--state-file", state_file(tmp_path),
            "--exec", f'echo "$(cat)" >>{acted}', server.url)  # fmt: skip
    for goal in (3, 10, 25):
        listener = wsrecv(*args)
        programs.wait_until(f"{goal} are acted on", lambda: len(done()) >= goal)  # noqa: B023
        listener.process.send_signal(signal.SIGKILL)
        listener.wait(-signal.SIGKILL)
    listener = wsrecv(*args)
    programs.wait_until("the last is acted on", lambda: "39" in done())
    listener.stop()
    assert sorted(set(done()), key=int) == texts
    assert len(done()) <= len(texts) + 3


def test_keep_alive_pings_amid_a_stream_are_no_gaps(real_server, wsrecv):
    server = real_server(*KEEPS_ALL, "--ping-interval", "0.05", "--ping-timeout", "60")
    count = 3000
    listener = wsrecv("-v", "-r", "-n", str(count), "--fail-on-gap", server.url)
    listener.wait_stderr("Connected")
    publisher = server.client()
    for start in range(0, count, 100):
        for number in range(start, start + 100):
            publisher.send_text(f"{number} " + "x" * 1000)
        for number in range(start, start + 100):
            assert listener.read_line().split()[0] == str(number)
        if start == 0:
            listener.wait_stderr("< ping, [1-9]")
    listener.wait(OK)
    publisher.disconnect()


class Script:
    """What a shell script is to wsrecv: a pipe, whose end it reads, however often that ends."""

    def __init__(self, *, reads: bool = True) -> None:
        self._end, self.pipe = os.pipe()
        self.lines: list[str] = []
        self._grew = threading.Condition()
        self._thread = threading.Thread(target=self._read, daemon=True)
        if reads:
            self.read()

    def read(self) -> None:
        self._thread.start()

    def _read(self) -> None:
        with os.fdopen(self._end) as file:
            for line in file:
                with self._grew:
                    self.lines.append(line.rstrip("\n"))
                    self._grew.notify_all()

    def wait(self, count: int) -> None:
        """Until it has read so many lines."""
        with self._grew:
            enough = self._grew.wait_for(lambda: len(self.lines) >= count, 3 * rawws.TIMEOUT)
            assert enough, f"{len(self.lines)} lines of {count}"

    def wait_line(self, line: str) -> None:
        with self._grew:
            came = self._grew.wait_for(lambda: line in self.lines[-2:], 3 * rawws.TIMEOUT)
            assert came, f"no {line!r}, but {len(self.lines)} lines up to {self.lines[-1:]}"

    def close(self) -> None:
        os.close(self.pipe)
        self._thread.join(rawws.TIMEOUT)


def test_a_reader_that_is_left_behind_learns_by_how_much(real_server, wsrecv):
    """Each message is printed or counted in a gap, and has the ID that it was published with."""
    server = real_server("--slow-consumer", "skip", "--max-lag", "100msg", "--prefix", "")
    count = 30000
    script = Script(reads=False)
    listener = wsrecv("--json", "--no-compression", server.url, stdout=script.pipe)
    listener.wait_stderr("Connected")
    publisher = wsrecv("-q", "-s", "--input-eof", "close", server.url, stdin=-1, stdout=-3)
    publisher.process.stdin.write(b"".join(b"%d %01000d\n" % (n, 0) for n in range(1, count + 1)))
    publisher.process.stdin.close()
    publisher.wait(OK)
    script.read()

    def lost() -> int:
        return sum(int(gap.split()[1]) for gap in gaps(listener))

    programs.wait_until("all has come", lambda: len(script.lines) + lost() == count)
    listener.stop()
    script.close()
    assert lost() > 0, "nothing was skipped"
    number = 0
    for message in map(json.loads, script.lines):
        number += 1 + message.get("gap", 0)
        assert int(message["data"].split()[0]) == number
        assert message["id"].endswith(f"-{number}")


def test_killed_at_any_moment_nothing_is_lost_and_one_message_repeated_at_most(
    real_server, wsrecv, tmp_path
):
    server = real_server(*KEEPS_ALL)
    script = Script()
    stride = KILL_MESSAGES // KILLS
    chance = random.Random(KILLS)
    args = ("-r", "--reconnect", "--since", "all", "--state-file", state_file(tmp_path))
    publisher = server.client()
    published = 0
    for _ in range(KILLS):
        listener = wsrecv(*args, server.url, stdout=script.pipe)
        burst = b"".join(
            publisher.encode(rawws.TEXT, str(number).encode())
            for number in range(published, published + stride)
        )
        sender = threading.Thread(target=publisher.send, args=(burst,))
        sender.start()  # so that it is killed while they come
        published += stride
        script.wait(min(len(script.lines) + chance.randrange(stride), published - stride // 4))
        listener.process.send_signal(signal.SIGKILL)
        listener.wait(-signal.SIGKILL)
        sender.join()
    listener = wsrecv(*args, server.url, stdout=script.pipe)
    script.wait_line(str(published - 1))
    listener.wait_stderr("Connected")
    listener.stop()
    script.close()
    publisher.disconnect()
    heard = list(map(int, script.lines))
    repeats = sum(after == before for before, after in zip(heard, heard[1:]))
    print(f"{KILLS} kills, {len(heard)} lines, {repeats} repeats")
    assert [n for i, n in enumerate(heard) if i == 0 or n != heard[i - 1]] == list(range(published))
    assert repeats <= KILLS


# --no-echo: own messages are not sent, and are no gap


def test_own_messages_that_are_not_sent_are_no_gap(real_server, wsrecv):
    """Not even when keep-alive pings of the server tell its place."""
    server = real_server("--prefix", "", "--no-echo", "--ping-interval", "0.2")
    talker = wsrecv("-q", "-v", "-s", "-F", "%i %p", "--fail-on-gap", server.url, stdin=subprocess.PIPE)
    with server.client() as other:
        before = int(other.accepted.headers["last-event-id"].partition("-")[2])
        for number in range(3):
            talker.process.stdin.write(b"mine\n" * 10)
            talker.process.stdin.flush()
            for _ in range(10):
                assert other.recv_message() == "mine"
            other.send_text(f"theirs {number}")
            place, _, text = talker.read_line().partition(" ")
            assert text == f"theirs {number}"
            assert int(place.partition("-")[2]) == before + 11 * (number + 1)
        talker.wait_stderr("< ping, ", count=8)  # of the runs, and of keep-alive
    talker.stop()
    assert gaps(talker) == []


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
def test_the_state_file_goes_on_behind_own_messages(real_server, wsrecv, tmp_path, how):
    """So that they do not come as another's when it begins again."""
    state = tmp_path / "state"
    options = ["-q", "-r", "-s", "--state-file", str(state)]
    server = real_server("--prefix", "", "--no-echo", "--history-messages", "100")
    talker = wsrecv(*options, server.url, stdin=subprocess.PIPE)
    with server.client() as other:
        talker.process.stdin.write(b"mine\n" * 5)
        talker.process.stdin.flush()
        for _ in range(5):
            assert other.recv_message() == "mine"
        place = last_id(server)
        programs.wait_until("the place is stored", lambda: place in state.read_text())
        talker.process.send_signal(how)
        talker.wait(-how)
        other.send_text("theirs")
        again = wsrecv(*options, server.url, stdin=subprocess.PIPE)
        assert again.read_line() == "theirs"
        again.stop()
    assert gaps(again) == []


def test_messages_of_others_that_are_lost_are_told_beside_own_ones(wsrecv):
    """A ping that moves the place further than own messages account for is a gap."""

    def script(peer: ServerPeer) -> None:
        peer.accept(last_event_id=f"{EPOCH}-7", wsbroadcast_echo="no")
        for _ in range(3):
            assert peer.recv_message() == "mine"
        peer.send_frame(PING, f"{EPOCH}-10".encode())  # 8, 9 and 10 are its own
        peer.send_text("11")
        peer.send_frame(PING, f"{EPOCH}-15".encode())  # 12 to 15 are not
        peer.send_text("16")
        peer.close()

    with ScriptedServer(script) as server:
        talker = wsrecv("-q", "-F", "%i %p", "-m", "mine", "-m", "mine", "-m", "mine", server.url).wait(0)
    assert gaps(talker) == ["gap: 4 messages lost"]
    assert talker.read_rest() == f"{EPOCH}-11 11\n{EPOCH}-16 16\n"


def test_what_the_server_would_have_sent_back_is_no_excuse(wsrecv):
    """Where own messages are sent, too, what a ping leaves out is lost."""

    def script(peer: ServerPeer) -> None:
        peer.accept(last_event_id=f"{EPOCH}-7")
        assert peer.recv_message() == "mine"
        peer.send_frame(PING, f"{EPOCH}-8".encode())
        peer.close()

    with ScriptedServer(script) as server:
        talker = wsrecv("-q", "-m", "mine", server.url).wait(0)
    assert gaps(talker) == ["gap: 1 message lost"]


def test_own_messages_of_a_lost_connection_come_back_as_anybodys(real_server, wsrecv):
    """The server does not know that it is the same client; nothing is lost, nothing is told twice."""
    server = real_server("--prefix", "", "--no-echo", "--history-messages", "100", "--ping-interval", "0.2")
    talker = wsrecv("-q", "-v", "-r", "-s", server.url, stdin=subprocess.PIPE)
    with server.client() as other:
        for number in range(4):
            talker.process.stdin.write(b"mine\n")
            talker.process.stdin.flush()
            assert other.recv_message() == "mine"
            other.send_text(f"theirs {number}")
            assert talker.read_line() == f"theirs {number}"
            talker.process.send_signal(signal.SIGUSR2)
            talker.wait_stderr("HTTP/1.1 101", count=number + 2)
        talker.wait_stderr("< ping, ", count=6)
    talker.stop()
    assert gaps(talker) == []
