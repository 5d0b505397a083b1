"""wsrecv stays connected: what is retried and what is not, what waits meanwhile, and how a dead
link is noticed."""

from __future__ import annotations

import email.utils
import os
import re
import signal
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Iterator

import programs
import pytest
import rawws
from rawws import CLOSE, PING, ScriptedServer, ServerPeer
from test_tls import Authority

EPOCH = "00112233445566aa"
FAST = ["--reconnect", "--retry-max-delay", "0.1"]
OK, CONNECT, TLS, REFUSED, LOST, PROTOCOL, CLOSED, RETRIES, TIMEOUT = 0, 3, 4, 5, 6, 7, 8, 9, 124


def say(*texts: str, close: int | None = 1000, reason: str = "") -> Callable[[ServerPeer], None]:
    def script(peer: ServerPeer) -> None:
        peer.accept()
        for text in texts:
            peer.send_text(text)
        peer.close(close, reason)

    return script


def say_and_vanish(*texts: str) -> Callable[[ServerPeer], None]:
    def script(peer: ServerPeer) -> None:
        peer.accept()
        for text in texts:
            peer.send_text(text)

    return script


def answer(status: str, *fields: str) -> Callable[[ServerPeer], None]:
    def script(peer: ServerPeer) -> None:
        peer.recv_head()
        lines = [f"HTTP/1.1 {status}", "Content-Length: 0", *fields, "", ""]
        peer.send("\r\n".join(lines).encode())

    return script


def free_port() -> int:
    """A port where nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


# What is retried


@pytest.mark.parametrize(
    ("first", "why"),
    [
        (say_and_vanish("one"), "without a Close"),
        (say("one", close=1001), "1001"),
        (say("one", close=1011, reason="oh"), "1011: oh"),
        (say("one", close=1012), "1012"),
        (say("one", close=1013), "1013"),
    ],
    ids=["lost", "1001", "1011", "1012", "1013"],
)
def test_a_connection_that_ends_untimely_is_followed_by_another(wsrecv, first, why):
    with ScriptedServer([first, say("two")]) as server:
        listener = wsrecv("-r", *FAST, server.url).wait(OK)
    assert listener.read_rest() == "one\ntwo\n"
    said = listener.stderr.splitlines()
    assert said[0] == said[2] == f"Connected to {server.url}"
    assert re.fullmatch(rf"wsrecv: reconnecting in 0\.1 s: {server.url}: .*{why}.*", said[1])
    assert len(said) == 3


@pytest.mark.parametrize("code", [1000, None])
def test_a_server_that_is_done_is_left_alone(wsrecv, code):
    with ScriptedServer(say("one", close=code)) as server:
        assert wsrecv("-r", *FAST, server.url).wait(OK).read_rest() == "one\n"


@pytest.mark.parametrize("status", ["500 X", "502 X", "503 X", "408 X", "429 X"])
def test_a_refusal_that_may_pass_is_retried(wsrecv, status):
    with ScriptedServer([answer(status), say("x")]) as server:
        assert wsrecv("-r", *FAST, server.url).wait(OK).read_rest() == "x\n"


def test_a_server_that_is_not_there_yet_is_waited_for(wsrecv):
    port = free_port()
    listener = wsrecv("-r", *FAST, f"ws://127.0.0.1:{port}/ws")
    listener.wait_stderr("reconnecting in .*refused")
    with ScriptedServer(say("x"), port):
        listener.wait(OK)
    assert listener.read_rest() == "x\n"


def test_without_reconnect_nothing_is_retried(wsrecv):
    with ScriptedServer(answer("503 X")) as server:
        assert wsrecv(server.url).wait(REFUSED).stderr.count("\n") == 1


# What is not


@pytest.mark.parametrize(
    ("script", "status"),
    [
        (answer("400 X"), REFUSED),
        (answer("401 X"), REFUSED),
        (answer("403 X"), REFUSED),
        (answer("404 X"), REFUSED),
        (lambda peer: peer.accept(sec_websocket_accept="x" * 28), PROTOCOL),
        (say(close=1002), CLOSED),
        (say(close=1009), CLOSED),
    ],
    ids=["400", "401", "403", "404", "accept", "1002", "1009"],
)
def test_what_would_end_the_same_way_is_not_retried_unless_all_errors_are(wsrecv, script, status):
    with ScriptedServer(script) as server:
        listener = wsrecv("-q", *FAST, server.url).wait(status)
    assert listener.stderr.count("\n") == 1
    assert server.served == 1
    with ScriptedServer([script, say("x")]) as server:
        listener = wsrecv("-r", *FAST, "--retry-all-errors", server.url).wait(OK)
    assert listener.read_rest() == "x\n"


def test_tls_that_is_cut_off_is_retried_and_tls_that_does_not_trust_is_not(wsrecv, tmp_path):
    authority = Authority(tmp_path, "Our CA")
    context = authority.server_context()

    def over_tls(peer: ServerPeer) -> None:
        peer.sock = context.wrap_socket(peer.sock, server_side=True)
        say("x")(peer)

    def distrusted(peer: ServerPeer) -> None:
        with pytest.raises((ssl.SSLError, OSError)):
            context.wrap_socket(peer.sock, server_side=True).recv(1)

    with ScriptedServer([lambda peer: peer.sock.recv(1), over_tls]) as server:
        url = f"wss://localhost:{server.port}/"
        assert wsrecv("-r", *FAST, "--cacert", authority.ca, url).wait(OK).read_rest() == "x\n"
    with ScriptedServer(distrusted) as server:
        wsrecv(*FAST, f"wss://localhost:{server.port}/").wait(TLS)


def test_9_when_the_last_retry_has_failed(wsrecv):
    with ScriptedServer([answer("503 X")] * 3) as server:
        listener = wsrecv(*FAST, "--retries", "2", server.url).wait(RETRIES)
    said = listener.stderr.splitlines()
    assert len(said) == 3
    why = f"{server.url}: the server refused with HTTP status 503 X"
    assert said[2] == f"wsrecv: giving up after 2 retries: {why}"
    assert server.served == 3


def test_a_name_that_does_not_resolve_is_retried_then_9(wsrecv):
    listener = wsrecv(*FAST, "--retries", "1", "ws://nowhere.invalid/").wait(RETRIES)
    assert "cannot resolve 'nowhere.invalid'" in listener.stderr


@pytest.mark.parametrize("option", [["--retries", "2"], ["--retry-all-errors"]])
def test_retrying_is_a_matter_of_reconnect(wsrecv, option):
    assert "--reconnect" in wsrecv(*option).wait(2).stderr


def test_quiet_says_nothing_of_retries(wsrecv):
    with ScriptedServer([say_and_vanish("one"), say("two")]) as server:
        listener = wsrecv("-q", *FAST, server.url).wait(OK)
    assert listener.stderr == ""


# When


def test_a_connection_that_held_begins_a_new_row_of_retries(wsrecv):
    def held(peer: ServerPeer) -> None:
        peer.accept()
        time.sleep(10.2)  # nothing but time tells

    def done(peer: ServerPeer) -> None:
        peer.accept()
        peer.close()

    with ScriptedServer([answer("503 X"), held, done]) as server:
        wsrecv(*FAST, "--retries", "1", server.url).wait(OK, 30)


def test_time_in_which_a_command_is_waited_for_is_not_idle(wsrecv):
    with ScriptedServer(say("a", "b", "c" * 3_000_000)) as server:  # more than one read brings
        listener = wsrecv("--idle-timeout", "0.3", "--exec", "wc -c; sleep 1", server.url).wait(OK)
    assert listener.read_rest().split() == ["1", "1", "3000000"]


def test_each_loss_has_its_own_reason(wsrecv):
    """A ping that nobody answered is not to blame for what is lost later."""

    def silent(peer: ServerPeer) -> None:
        peer.accept()
        while peer.sock.recv(4096):
            pass

    with ScriptedServer([silent, lambda peer: peer.accept()]) as server:
        listener = wsrecv(*FAST, "--retries", "2", "--ping-interval", "0.2", "--ping-timeout",
                          "0.2", server.url)  # fmt: skip
        said = [line[1] for line in listener.wait_stderr("reconnecting in (.*)", 2)]
        listener.stop()
    assert "--ping-timeout" in said[0] and "--ping-timeout" not in said[1]


@pytest.mark.parametrize("status", ["503 Busy", "429 Too Many Requests"])
@pytest.mark.parametrize("kind", ["seconds", "date"])
def test_retry_after_is_honoured(wsrecv, kind, status):
    """Waiting is cut short by a signal: what counts is what wsrecv says it will do."""
    after = "1000" if kind == "seconds" else email.utils.formatdate(time.time() + 1000, usegmt=True)
    with ScriptedServer(answer(status, f"Retry-After: {after}")) as server:
        listener = wsrecv(*FAST, server.url)
        delay = float(listener.wait_stderr(r"reconnecting in (\d+\.\d) s")[0][1])
        listener.stop(signal.SIGINT)
    assert 990 < delay < 1002


def test_a_signal_ends_the_wait_with_0_and_timeout_with_124(wsrecv):
    url = f"ws://127.0.0.1:{free_port()}/"
    listener = wsrecv("--reconnect", "--retry-max-delay", "1000", url)
    listener.wait_stderr("reconnecting in")
    listener.stop()
    assert "--timeout" in wsrecv("--reconnect", "--timeout", "0.3", url).wait(TIMEOUT).stderr


# What goes on across connections


def test_a_count_goes_on_across_connections(wsrecv):
    def third(peer: ServerPeer) -> None:
        peer.accept()
        peer.send_text("three")
        peer.await_close(1000)

    scripts = [say_and_vanish("one"), say("two", close=1001), third]
    with ScriptedServer(scripts) as server:
        heard = wsrecv("-r", "-n", "3", *FAST, server.url).wait(OK).read_rest()
    assert heard == "one\ntwo\nthree\n"


def test_the_messages_of_m_are_sent_after_every_connect(wsrecv):
    def hear(peer: ServerPeer, *, last: bool) -> None:
        peer.accept()
        assert [peer.recv_message() for _ in range(2)] == ["a", "b"]
        if last:
            peer.close()

    scripts = [lambda peer: hear(peer, last=False), lambda peer: hear(peer, last=True)]
    with ScriptedServer(scripts) as server:
        wsrecv("-m", "a", "-m", "b", *FAST, server.url).wait(OK)


def test_lines_wait_in_order_while_the_link_is_down(wsrecv):
    """They stay where they are: in the pipe."""

    def first(peer: ServerPeer) -> None:
        peer.accept()
        assert peer.recv_message() == "line 0"

    def second(peer: ServerPeer) -> None:
        peer.accept()
        assert [peer.recv_message() for _ in range(999)] == [f"line {i}" for i in range(1, 1000)]
        peer.close()

    with ScriptedServer([first, second]) as server:
        talker = wsrecv("-s", "--reconnect", "--retry-max-delay", "0.5", server.url,
                        stdin=subprocess.PIPE)
        talker.process.stdin.write(b"line 0\n")
        talker.process.stdin.flush()
        talker.wait_stderr("reconnecting")
        talker.process.stdin.write(b"".join(b"line %d\n" % i for i in range(1, 1000)))
        talker.process.stdin.flush()
        talker.wait(OK)


def test_lines_of_a_file_are_not_lost_before_the_first_connection(wsrecv, tmp_path):
    lines = [f"line {i}" for i in range(20000)]
    (tmp_path / "lines").write_text("".join(f"{line}\n" for line in lines))

    def script(peer: ServerPeer) -> None:
        peer.accept()
        assert [peer.recv_message() for _ in lines] == lines
        peer.close()

    with ScriptedServer([answer("503 X"), script]) as server, open(tmp_path / "lines") as stdin:
        wsrecv("-s", *FAST, server.url, stdin=stdin).wait(OK)


def test_a_pipeline_survives_a_restart_of_the_server(wsbroadcastd, wsrecv):
    server = wsbroadcastd()
    listener = wsrecv("-r", *FAST, server.url)
    listener.wait_stderr("Connected")
    wsrecv("-m", "before", "-n", "1", server.url).wait(OK)
    assert listener.read_line() == "Message: before"
    server.stop()
    listener.wait_stderr("reconnecting")
    again = wsbroadcastd("-l", f"127.0.0.1:{server.port}")
    listener.wait_stderr("Connected", 2)
    wsrecv("-m", "after", "-n", "1", again.url).wait(OK)
    assert listener.read_line() == "Message: after"
    listener.stop()


# Dead links


PINGS = ["--ping-interval", "0.3", "--ping-timeout", "0.3"]


def silent(peer: ServerPeer) -> None:
    """Hears the ping, and does not answer."""
    peer.accept()
    assert peer.recv_frame().opcode == PING
    with pytest.raises(rawws.ConnectionLost):
        peer.recv_frame()


def test_a_server_that_answers_no_ping_is_lost(wsrecv):
    with ScriptedServer(silent) as server:
        listener = wsrecv("-q", *PINGS, server.url).wait(LOST)
    assert listener.stderr.count("\n") == 1
    assert "--ping-timeout" in listener.stderr
    with ScriptedServer([silent, say("x")]) as server:
        assert wsrecv("-r", *PINGS, *FAST, server.url).wait(OK).read_rest() == "x\n"


def test_a_server_that_answers_pings_is_kept(wsrecv):
    def script(peer: ServerPeer) -> None:
        peer.accept()
        for _ in range(3):
            frame = peer.recv_frame()
            assert frame.opcode == PING
            peer.send_frame(rawws.PONG, frame.payload)
        peer.close()

    with ScriptedServer(script) as server:
        wsrecv(*PINGS, server.url).wait(OK)


def test_a_slow_reader_of_our_output_is_not_taken_for_a_dead_link(wsrecv):
    """While the pipe is full the socket is not read, and the pong lies in it."""
    count = 40000
    text = "x" * 100

    def script(peer: ServerPeer) -> None:
        peer.accept()
        peer.send(rawws.frame(rawws.TEXT, text.encode(), masked=False) * count)
        peer.close()

    with ScriptedServer(script) as server:
        listener = wsrecv("-r", *PINGS, server.url)
        listener.wait_stderr("Connected")
        time.sleep(1.5)  # nothing happens, and that is the point
        assert listener.read_rest().count("\n") == count
        listener.wait(OK)


class FarAway:
    """A network namespace, and a link to it that can be cut."""

    ADDRESS = "198.18.77.2"  # of RFC 2544's block for such uses

    def __init__(self) -> None:
        self.name = f"ws{os.getpid()}"

    def make(self) -> None:
        self._ip("netns", "add", self.name)
        self._ip("link", "add", f"{self.name}a", "type", "veth", "peer", "name", f"{self.name}b")
        self._ip("link", "set", f"{self.name}b", "netns", self.name)
        self._ip("addr", "add", "198.18.77.1/30", "dev", f"{self.name}a")
        self._ip("link", "set", f"{self.name}a", "up")
        self._ip("-n", self.name, "addr", "add", f"{self.ADDRESS}/30", "dev", f"{self.name}b")
        self._ip("-n", self.name, "link", "set", f"{self.name}b", "up")

    @staticmethod
    def _ip(*args: str) -> None:
        subprocess.run(["ip", *args], capture_output=True, check=True)

    def cut(self) -> None:
        self._ip("-n", self.name, "link", "set", f"{self.name}b", "down")

    def remove(self) -> None:
        for what in (["link", "del", f"{self.name}a"], ["netns", "del", self.name]):
            subprocess.run(["ip", *what], capture_output=True, check=False)


@pytest.fixture
def far_away() -> Iterator[FarAway]:
    made = FarAway()
    try:
        made.make()
        yield made
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"network namespaces are for root, where they are allowed: {error}")
    finally:
        made.remove()


def test_a_link_that_is_cut_is_noticed(start, wsrecv, far_away):
    command = ["ip", "netns", "exec", far_away.name, programs.WSBROADCASTD]
    command += ["-l", f"{far_away.ADDRESS}:0", "--origin", "*"]
    server = start(programs.Program, command)
    url = server.wait_stderr(r"listening on (ws://\S+)")[0][1]
    listener = wsrecv(*PINGS, url)
    listener.wait_stderr("Connected")
    far_away.cut()
    listener.wait(LOST)
    assert "connection lost: no answer to a ping" in listener.stderr


# Times


def test_3_when_the_server_does_not_answer_in_time(wsrecv):
    over = threading.Event()

    def script(peer: ServerPeer) -> None:
        peer.recv_head()
        assert over.wait(rawws.TIMEOUT)

    with ScriptedServer(script) as server:
        listener = wsrecv("--connect-timeout", "0.3", server.url).wait(CONNECT)
        over.set()
    assert listener.stderr.count("\n") == 1
    assert "--connect-timeout: the server has not answered" in listener.stderr


def test_a_head_without_end_is_7_or_in_the_end_3(wsrecv):
    """As many fields as one likes, or as slowly."""

    def endless(peer: ServerPeer) -> None:
        peer.recv_head()
        try:
            peer.send(b"HTTP/1.1 101 X\r\n")
            for _ in rawws.turns():
                peer.send(b"X: y\r\n" * 1000)
        except OSError:
            pass

    def dripping(peer: ServerPeer) -> None:
        peer.recv_head()
        try:
            peer.send(b"HTTP/1.1 101 X\r\nX: ")
            for _ in rawws.turns():
                peer.send(b"y")
                time.sleep(0.05)
        except OSError:
            pass

    with ScriptedServer(endless) as server:
        assert wsrecv(server.url).wait(PROTOCOL).stderr.count("\n") == 1
    with ScriptedServer(dripping) as server:
        assert wsrecv("--connect-timeout", "0.5", server.url).wait(CONNECT).stderr.count("\n") == 1


def test_124_when_no_message_comes_in_time_or_another_connection(wsrecv):
    def script(peer: ServerPeer) -> None:
        peer.accept()
        peer.send_text("one")
        peer.await_close(1000)

    with ScriptedServer(script) as server:
        listener = wsrecv("-q", "--idle-timeout", "0.3", server.url).wait(TIMEOUT)
    assert listener.stderr == (
        f"wsrecv: {server.url}: no message for the 0.3 seconds of --idle-timeout\n"
    )
    with ScriptedServer([script, say("two")]) as server:
        listener = wsrecv("-r", "--idle-timeout", "0.3", *FAST, server.url).wait(OK)
    assert listener.read_rest() == "one\ntwo\n"


@pytest.mark.parametrize("size", [10, 1_000_000], ids=["short", "of many reads"])
def test_a_message_that_came_while_the_process_was_stopped_is_no_idle_time(wsrecv, size):
    """SIGSTOP, a laptop that slept: the timer is due before the socket has been read."""
    stopped, sent = threading.Event(), threading.Event()

    def script(peer: ServerPeer) -> None:
        peer.accept()
        peer.sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4 * size)
        peer.send_text("first")
        assert stopped.wait(rawws.TIMEOUT)
        feeder = threading.Thread(target=lambda: peer.send_text("x" * size))
        feeder.start()
        feeder.join(0.2)  # a long message is with the kernels as far as they take it
        sent.set()
        feeder.join()
        peer.send_text("last")
        peer.close()

    with ScriptedServer(script) as server:
        listener = wsrecv("-q", "-r", "--idle-timeout", "0.5", server.url)
        assert listener.read_line() == "first"
        listener.process.send_signal(signal.SIGSTOP)
        stopped.set()
        assert sent.wait(rawws.TIMEOUT)
        time.sleep(0.6)  # more than the time of --idle-timeout
        listener.process.send_signal(signal.SIGCONT)
        assert listener.read_line() == "x" * size
        assert listener.read_line() == "last"
        listener.wait(OK)


def test_pings_without_end_are_no_messages(wsrecv):
    """Though there is always something to read."""

    def script(peer: ServerPeer) -> None:
        peer.accept()
        pings = peer.encode(PING, b"x") * 1000
        with pytest.raises(OSError):  # wsrecv has gone
            for _ in rawws.turns():
                peer.send(pings)

    with ScriptedServer(script) as server:
        wsrecv("-q", "--idle-timeout", "0.5", server.url).wait(TIMEOUT)


# SIGUSR2


def test_sigusr2_connects_again_where_it_was(wsrecv):
    """After a closing handshake, without --reconnect, and at once."""
    heads = []

    def first(peer: ServerPeer) -> None:
        peer.accept(last_event_id=f"{EPOCH}-7")
        peer.send_text("one")
        assert peer.recv_frame().opcode == CLOSE
        peer.send_text("two")  # what still comes is heard
        peer.send_close(1000)

    def second(peer: ServerPeer) -> None:
        heads.append(peer.accept(last_event_id=f"{EPOCH}-9"))
        peer.send_text("three")
        peer.close()

    with ScriptedServer([first, second]) as server:
        listener = wsrecv("-r", server.url)
        assert listener.read_line() == "one"
        listener.process.send_signal(signal.SIGUSR2)
        assert [listener.read_line(), listener.read_line()] == ["two", "three"]
        listener.wait(OK)
    assert heads[0].headers["last-event-id"] == f"{EPOCH}-9"
    assert listener.stderr == f"Connected to {server.url}\n" * 2


def test_sigusr2_ends_the_wait_for_the_next_attempt(wsrecv):
    port = free_port()
    listener = wsrecv("-r", "--reconnect", "--retry-max-delay", "3600", f"ws://127.0.0.1:{port}/")
    for _ in rawws.turns():  # until the wait is longer than this test
        waits = listener.wait_stderr(r"reconnecting in ([\d.]+) s", count=len(_waits(listener)) + 1)
        if float(waits[-1][1]) > 3:
            break
        listener.process.send_signal(signal.SIGUSR2)
    with ScriptedServer(say("one"), port=port):
        listener.process.send_signal(signal.SIGUSR2)
        assert listener.read_line() == "one"
        listener.wait(OK)


def _waits(listener) -> list[str]:
    return re.findall("reconnecting in", listener.stderr)


def _ends_slowly(closing: threading.Event, over: threading.Event):
    """It sets closing when the closing handshake has begun, and answers when over is set."""
    def script(peer: ServerPeer) -> None:
        peer.accept()
        peer.send_text("one")
        assert peer.recv_frame().opcode == CLOSE
        closing.set()
        assert over.wait(rawws.TIMEOUT)
        peer.send_close(1000)

    return script


def test_what_is_typed_while_it_connects_again_is_sent_then(wsrecv):
    closing, over = threading.Event(), threading.Event()

    def second(peer: ServerPeer) -> None:
        peer.accept()
        assert peer.recv_message() == "typed"
        peer.close()

    with ScriptedServer([_ends_slowly(closing, over), second]) as server:
        listener = wsrecv("-q", "-r", "-s", server.url, stdin=subprocess.PIPE)
        assert listener.read_line() == "one"
        listener.process.send_signal(signal.SIGUSR2)
        assert closing.wait(rawws.TIMEOUT)
        listener.process.stdin.write(b"typed\n")
        listener.process.stdin.flush()
        over.set()
        listener.wait(OK)


def test_sigusr2_does_nothing_to_what_is_ending(wsrecv):
    closing, over = threading.Event(), threading.Event()
    with ScriptedServer(_ends_slowly(closing, over)) as server:
        listener = wsrecv("-q", "-r", "-n", "1", server.url)
        assert closing.wait(rawws.TIMEOUT)
        listener.process.send_signal(signal.SIGUSR2)
        over.set()
        listener.wait(OK)
    assert server.served == 1
