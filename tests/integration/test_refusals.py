"""A server that refuses the opening handshake: what it says in the body is shown, and cannot do harm."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest
from rawws import ScriptedServer, ServerPeer

REFUSED = 5
SAYS = "wsrecv: the server says: "


def refuses(body: bytes, *fields: str, ends: bool = True) -> Callable[[ServerPeer], None]:
    """A script: 403, these fields and this body; and the end of the connection, or not."""

    def script(peer: ServerPeer) -> None:
        peer.recv_head()
        head = "\r\n".join(["HTTP/1.1 403 No", *fields, "", ""])
        peer.send(head.encode() + body)
        if not ends:
            peer.recv_eof()

    return script


def said(wsrecv, script: Callable[[ServerPeer], None]) -> list[str]:
    """What wsrecv shows of the body."""
    with ScriptedServer(script) as server:
        lines = wsrecv(server.url).wait(REFUSED).stderr.splitlines()
    assert "refused with HTTP status 403 No" in lines[0]
    assert all(line.startswith(SAYS) for line in lines[1:])
    return [line.removeprefix(SAYS) for line in lines[1:]]


def test_the_advice_of_our_own_server_is_shown(wsbroadcastd, wsrecv):
    server = wsbroadcastd("--origin", "https://ours.example")
    client = server.client("/ws")  # one without an Origin is let in
    client.disconnect()
    lines = wsrecv("--origin", "https://theirs.example", server.url).wait(REFUSED).stderr.splitlines()
    assert len(lines) == 2 and "403" in lines[0]
    assert lines[1].startswith(SAYS) and "--origin" in lines[1]


def test_its_advice_is_shown_before_each_retry_but_not_with_quiet(wsrecv):
    script = refuses(b"come back later\n", "Content-Length: 16")

    def busy(peer: ServerPeer) -> None:
        peer.recv_head()
        peer.send(b"HTTP/1.1 503 Busy\r\nContent-Length: 5\r\n\r\nlater")

    for options, shown in (((), 2), (("-q",), 1)):
        with ScriptedServer([busy, script]) as server:
            again = wsrecv("--reconnect", *options, server.url).wait(REFUSED)
        assert again.stderr.count(SAYS) == shown, again.stderr


@pytest.mark.parametrize(
    "body, fields",
    [(b"a\r\nb\n", ["Content-Length: 5"]), (b"a\r\nb\n", ["Connection: close"]),
     (b"1\r\na\r\n3\r\n\r\nb\r\n0\r\n\r\n", ["Transfer-Encoding: chunked"])],
    ids=["length", "until the end", "chunked"],
)  # fmt: skip
def test_a_body_of_any_framing_is_read(wsrecv, body, fields):
    assert said(wsrecv, refuses(body, *fields)) == ["a", "b"]


def test_a_body_in_pieces_is_waited_for(wsrecv):
    def script(peer: ServerPeer) -> None:
        peer.recv_head()
        for byte in b"HTTP/1.1 403 No\r\nContent-Length: 4\r\n\r\nword":
            peer.send(bytes([byte]))

    assert said(wsrecv, script) == ["word"]


def test_what_never_ends_is_cut(wsrecv):
    before = time.monotonic()
    lines = said(wsrecv, refuses(b"one\n" * 2000, "Connection: close", ends=False))
    assert lines == ["one"] * 5 + ["..."]
    lines = said(wsrecv, refuses(b"x" * 1000, "Content-Length: 1000"))
    assert len(lines) == 1 and lines[0].endswith("...") and len(lines[0]) < 300
    assert said(wsrecv, refuses(b"half", "Content-Length: 8", ends=False)) == ["half"]
    assert time.monotonic() - before < 20  # and not for ever


def test_control_characters_are_escaped(wsrecv):
    assert said(wsrecv, refuses(b"\x1b[2J\xff ok", "Content-Length: 8")) == [r"\x1b[2J\xff ok"]


@pytest.mark.parametrize("field", ["Content-Type: text/html", "Content-Encoding: gzip"])
def test_what_people_cannot_read_is_left_out(wsrecv, field):
    assert said(wsrecv, refuses(b"<html>", field, "Content-Length: 6")) == []


@pytest.mark.parametrize("fields", [["Content-Length: 0"], ["Transfer-Encoding: chunked"]])
def test_an_empty_or_broken_body_is_no_error_of_its_own(wsrecv, fields):
    assert said(wsrecv, refuses(b"zz\r\n" if "chunked" in fields[0] else b"", *fields)) == []
