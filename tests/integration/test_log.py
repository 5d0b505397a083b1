"""The log never stops the server, whatever reads it does; and no client fills it at will."""

from __future__ import annotations

import re
import time

import pytest
import rawws

LINES = 4000  # of some 150 bytes: more than a pipe (64 KiB) and the queue (256 KiB) hold
REQUESTS = 100  # on a connection, before the server closes it
REFUSED = r"refused with 403: '/ws/(\d+)'"
DROPPED = r"^wsbroadcastd: (\d+) log lines? dropped here"


def be_refused(server, first: int, count: int) -> None:
    """Requests of a page that is not welcome, each of which is worth a line in the log."""
    for start in range(first, first + count, REQUESTS):
        client = rawws.Client(server.port)
        numbers = range(start, min(start + REQUESTS, first + count))
        client.send(
            b"".join(
                b"GET /ws/%d HTTP/1.1\r\nHost: localhost\r\nAccept: application/json\r\n"
                b"Origin: http://evil.example\r\n\r\n" % number
                for number in numbers
            )
        )
        for _ in numbers:
            assert client.recv_response().status == 403
        client.disconnect()


@pytest.fixture(params=["1", "2"], ids=["one worker", "two workers"])
def stuck(request, wsbroadcastd):
    """A server whose log nobody reads, with more lines than the pipe and the queue take."""
    server = wsbroadcastd("-w", request.param, "--log-level", "debug", "--prefix", "")
    pair = server.client(), server.client()
    server.hold_stderr()
    be_refused(server, 0, LINES)
    return server, *pair


def test_messages_go_on_while_nobody_reads_the_log(stuck):
    _, talker, listener = stuck
    talker.send_text("still here")
    assert listener.recv_message() == "still here"


def test_sigterm_ends_the_server_though_nobody_reads_the_log(stuck):
    server, *clients = stuck
    server.process.terminate()
    for client in clients:
        assert client.recv_close()[0] == 1001
        client.send_close(1001)
    assert server.process.wait(rawws.TIMEOUT) == 0
    server.expected = 0


def test_lines_that_found_no_room_are_counted_where_they_are_missing(stuck):
    server, talker, listener = stuck
    server.release_stderr()
    server.wait_stderr(DROPPED)
    be_refused(server, LINES, 1)
    server.wait_stderr(rf"'/ws/{LINES}'")
    missing, last = 0, -1
    for line in server.stderr.splitlines():
        assert re.match("wsbroadcastd: ", line) and line.count("wsbroadcastd: ") == 1
        if found := re.search(REFUSED, line):
            assert int(found[1]) > last
            last = int(found[1])
        if found := re.search(DROPPED, line):
            missing += int(found[1])
    seen = len(re.findall(REFUSED, server.stderr))
    others = len(re.findall("joined|lost|closed with", server.stderr))
    assert seen < LINES + 1 <= seen + missing <= LINES + 1 + 2 * LINES // REQUESTS + others + 10
    talker.close()
    listener.close()


def test_the_last_lines_are_written_before_the_end(wsbroadcastd):
    server = wsbroadcastd("--log-level", "debug")
    be_refused(server, 0, 500)
    server.stop()
    assert "stopping on SIGTERM" in server.stderr
    assert len(re.findall(REFUSED, server.stderr)) == 500


def test_one_client_gets_few_lines_of_a_kind_and_then_a_count(wsbroadcastd):
    server = wsbroadcastd()
    begin = time.monotonic()
    be_refused(server, 0, 500)
    server.stop()  # what is still to be told is told at the end
    told = len(re.findall(REFUSED, server.stderr))
    left_out = re.findall(r"127\.0\.0\.1: refused: (\d+) more such lines", server.stderr)
    assert told + sum(map(int, left_out)) == 500
    assert told <= 10 * (1 + (time.monotonic() - begin) // 10)
