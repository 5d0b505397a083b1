"""Where live begins: Live-Event-ID in the server's responses, and wsrecv --until-live, which ends there."""

from __future__ import annotations

import pytest
from rawws import Client, ScriptedServer, ServerPeer
from test_resume import EPOCH, OTHER, publish

OK, INCOMPLETE, PROTOCOL = 0, 1, 7
KEEPS = ("--prefix", "", "--history-messages", "1000")
SCALE = pytest.mark.parametrize("workers", ["1", "3"])


@SCALE
def test_the_responses_name_the_newest_message(wsbroadcastd, workers):
    server = wsbroadcastd(*KEEPS, "-w", workers)
    empty = server.client("/ws").accepted.headers
    assert empty["live-event-id"] == empty["last-event-id"]
    publish(server, "one", "two", "three")
    epoch, _, count = empty["last-event-id"].partition("-")
    newest = f"{epoch}-{int(count) + 3}"
    for target in ("/ws", "/ws?history=all", "/ws?history=1"):
        assert server.client(target).accepted.headers["live-event-id"] == newest
        with Client(server.port) as stream:
            fields = "Host: 127.0.0.1\r\nAccept: text/event-stream"
            stream.send(f"GET {target} HTTP/1.1\r\n{fields}\r\n\r\n".encode())
            head = stream.recv_head()
        assert head.status == 200 and head.headers["live-event-id"] == newest


@SCALE
def test_it_prints_what_the_server_has_kept_and_ends_with_0(wsbroadcastd, wsrecv, workers):
    server = wsbroadcastd(*KEEPS, "-w", workers)
    texts = [f"line {i}" for i in range(500)]
    publish(server, *texts)
    listener = wsrecv("-q", "-r", "--until-live", server.url).wait(OK)
    assert listener.read_rest().splitlines() == texts
    listener = wsrecv("-q", "-r", "--until-live", "--since", "3", server.url).wait(OK)
    assert listener.read_rest().splitlines() == texts[-3:]


def test_with_a_state_file_each_run_gets_what_is_new(wsbroadcastd, wsrecv, tmp_path):
    server = wsbroadcastd(*KEEPS)
    job = ["-r", "--until-live", "--state-file", str(tmp_path / "state"), server.url]
    for texts in (["a", "b"], [], ["c"], []):
        publish(server, *texts)
        listener = wsrecv(*job).wait(OK)
        assert listener.read_rest().splitlines() == texts
        assert "--since" not in listener.stderr


def test_it_ends_at_once_where_nothing_is_kept(wsbroadcastd, wsrecv):
    server = wsbroadcastd("--prefix", "")
    publish(server, "gone")
    assert wsrecv("-q", "-r", "--until-live", server.url).wait(OK).read_rest() == ""


def test_what_comes_later_is_not_waited_for_and_commands_are(wsbroadcastd, wsrecv, tmp_path):
    server = wsbroadcastd(*KEEPS)
    publish(server, "one", "two")
    command = f"cat >>{tmp_path}/out; echo >>{tmp_path}/out"
    wsrecv("-q", "--until-live", "--exec", command, server.url).wait(OK)
    assert (tmp_path / "out").read_text() == "one\ntwo\n"


def starts(at: int, live: str | None, *texts: str, code: int = 1000, ping: int = 0):
    """A script: history begins behind `at`; these messages; then it closes, or waits for a Close."""

    def script(peer: ServerPeer) -> None:
        peer.accept(Last_Event_ID=f"{EPOCH}-{at}", Live_Event_ID=live)
        for text in texts:
            peer.send_text(text)
        if ping:
            peer.send_frame(9, f"{EPOCH}-{ping}".encode())
        peer.close(code) if code != 1000 or not live else peer.await_close()

    return script


def test_a_lost_connection_is_made_up_for(wsrecv):
    scripts = [starts(0, f"{EPOCH}-3", "a", "b", code=1012), starts(2, f"{EPOCH}-4", "c", "d")]
    with ScriptedServer(scripts) as server:
        listener = wsrecv("-r", "--until-live", "--reconnect", server.url).wait(OK)
    assert listener.read_rest() == "a\nb\nc\nd\n"


def test_messages_that_the_server_left_out_count_as_told(wsrecv):
    with ScriptedServer(starts(0, f"{EPOCH}-3", "a", ping=3)) as server:
        listener = wsrecv("-r", "--until-live", server.url).wait(OK)
    assert listener.read_rest() == "a\n" and "gap: 2 messages" in listener.stderr


def test_1_when_it_ends_before(wsrecv):
    with ScriptedServer(starts(0, f"{EPOCH}-3", "a", code=1001)) as server:
        assert "kept" in wsrecv("-r", "--until-live", server.url).wait(INCOMPLETE).stderr


@pytest.mark.parametrize(
    "live", [None, "", "soon", f"{OTHER}-1", f"{EPOCH}-1\r\nLive-Event-ID: {EPOCH}-1"]
)
def test_7_and_a_line_when_the_server_does_not_say_where_live_begins(wsrecv, live):
    def script(peer: ServerPeer) -> None:
        peer.accept(Last_Event_ID=f"{EPOCH}-0", Live_Event_ID=live)
        peer.await_close()

    with ScriptedServer(script) as server:
        refused = wsrecv("-q", "--until-live", "--reconnect", server.url).wait(PROTOCOL)
    assert "--until-live" in refused.stderr and refused.stderr.count("\n") == 1
