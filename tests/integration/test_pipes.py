"""The server in a pipeline: standard input is broadcast (--stdin), and senders need not hear
themselves (--no-echo)."""

from __future__ import annotations

import os
import re
import select
import threading

import programs
import pytest
import rawws


@pytest.fixture
def fed(wsbroadcastd):
    """fed(option, ...) is a server and the writing end of the pipe that is its standard input."""
    ends = []

    def start(*options: str) -> tuple[programs.Server, int]:
        read, write = os.pipe()
        server = wsbroadcastd("--prefix", "", *options, stdin=read)
        os.close(read)
        ends.append(write)
        return server, write

    yield start
    for end in ends:
        try:
            os.close(end)
        except OSError:  # the test has done so
            pass


def test_each_line_is_a_message_as_soon_as_it_is_whole(fed):
    server, pipe = fed("--stdin")
    with_prefix = server.client()
    os.write(pipe, b"one\ntw")
    assert with_prefix.recv_message() == "one"
    os.write(pipe, b"o\n\nthree\n")
    assert [with_prefix.recv_message() for _ in range(3)] == ["two", "", "three"]
    with_prefix.close()


def test_a_line_never_gets_the_prefix(wsbroadcastd):
    read, write = os.pipe()
    server = wsbroadcastd("--stdin", stdin=read)
    client = server.client()
    os.write(write, b"x\n")
    assert client.recv_message() == "x"
    client.send_text("y")
    assert client.recv_message() == "Message: y"
    client.close()
    os.close(read)
    os.close(write)


def test_lines_go_to_the_channel_that_is_named_alone(fed):
    server, pipe = fed("--stdin=logs/a")
    other, client = server.client(), server.client("/ws/logs/a")
    os.write(pipe, b"line\n")
    assert client.recv_message() == "line"
    other.send_text("mine")
    assert other.recv_message() == "mine"
    client.close()
    other.close()


def test_a_name_that_no_channel_can_have_is_wrong_usage(start):
    server = start(programs.Program, [programs.WSBROADCASTD, "--stdin=a//b"]).wait(2)
    assert "'--stdin': 'a//b' is no channel's name" in server.stderr


def test_the_server_goes_on_when_its_input_ends(fed):
    server, pipe = fed("--stdin")
    client = server.client()
    os.write(pipe, b"last, without an end")
    os.close(pipe)
    assert client.recv_message() == "last, without an end"
    server.wait_stderr("standard input has ended after 1 line: serving goes on")
    client.send_text("still here")
    assert client.recv_message() == "still here"
    client.close()


def test_a_line_that_is_not_text_is_named_and_not_sent(fed):
    server, pipe = fed("--stdin", "--max-message", "10")
    client = server.client()
    os.write(pipe, b"good\nb\xffd\n" + b"x" * 11 + b"\n" + b"x" * 10 + b"\n" + b"y" * 200000 + b"\nend\n")
    assert [client.recv_message() for _ in range(3)] == ["good", "x" * 10, "end"]
    server.wait_stderr("line 2 of standard input is not UTF-8")
    server.wait_stderr("line 3 of standard input is longer than 10 bytes: not sent")
    server.wait_stderr("line 5 of standard input is longer than 10 bytes: not sent")
    client.close()


def test_a_terminal_is_read_and_left_as_it_was(wsbroadcastd):
    master, slave = os.openpty()
    server = wsbroadcastd("--prefix", "", "--stdin", stdin=slave)
    client = server.client()
    os.write(master, b"typed\n")
    assert client.recv_message() == "typed"
    assert os.get_blocking(slave)
    os.write(master, b"\x04")
    server.wait_stderr("standard input has ended")
    client.close()
    os.close(master)
    os.close(slave)


@pytest.mark.parametrize("workers", ["1", "4"])
@pytest.mark.parametrize("lag", ["1M", "500msg"])
def test_a_file_does_not_outrun_its_readers(wsbroadcastd, tmp_path, workers, lag):
    """It is many times what they may lag behind, and all of them get all of it."""
    file, gate = tmp_path / "lines", tmp_path / "gate"
    lines = 50000
    with open(file, "wb") as out:
        out.writelines(b"%d %s\n" % (number, b"x" * 1000) for number in range(lines))
    os.mkfifo(gate)
    read = os.open(gate, os.O_RDONLY | os.O_NONBLOCK)
    server = wsbroadcastd(
        *("--prefix", "", "--stdin", "-w", workers, "--max-message", "2K", "--max-lag", lag), stdin=read
    )
    clients = [server.client() for _ in range(3)]
    heard = [0] * len(clients)

    def listen(which: int) -> None:
        for number in range(lines):
            got = clients[which].recv_message()
            assert got.startswith(f"{number} ")
            heard[which] += 1

    threads = [threading.Thread(target=listen, args=(which,)) for which in range(len(clients))]
    for thread in threads:
        thread.start()
    with open(gate, "wb") as out:
        out.write(file.read_bytes())
    for thread in threads:
        thread.join()
    os.close(read)
    assert heard == [lines] * len(clients)
    for client in clients:
        client.close()


def test_who_does_not_read_holds_up_nobody_for_long(fed):
    server, pipe = fed("--stdin", "--max-lag", "64K", "--max-message", "2K")
    stuck, client = server.client(), server.client()
    line = b"x" * 1000 + b"\n"
    writer = threading.Thread(target=lambda: [os.write(pipe, line) for _ in range(12000)])
    writer.start()
    for _ in range(12000):
        assert client.recv_message() == "x" * 1000
    writer.join()
    server.wait_stderr("limit max-lag: closed with 1008")
    client.close()
    stuck.disconnect()


# ---- --no-echo ----

SENDERS, SAID = 6, 1500


def frames(client: rawws.Client, count: int) -> list[str]:
    """So many messages, compressed or not."""
    heard = []
    inflater = rawws.Inflater()
    while len(heard) < count:
        frame = client.recv_frame()
        if frame.opcode == rawws.TEXT:
            body = inflater.inflate(frame.payload) if frame.rsv == 4 else frame.payload
            heard.append(bytes(body).decode())
    return heard


def others(order: list[str], sender: int) -> list[str]:
    return [text for text in order if not text.startswith(f"{sender} ")]


def join(server: programs.Server, target: str, deflate: bool) -> rawws.Client:
    fields = {"Sec_WebSocket_Extensions": "permessage-deflate"} if deflate else {}
    return rawws.Client(server.port).upgrade(target, **fields)


@pytest.mark.parametrize("workers", ["1", "4"])
@pytest.mark.parametrize("late", [False, True], ids=["live", "stalled"])
def test_nobody_hears_itself_and_all_others_in_one_order(wsbroadcastd, workers, late):
    """Half of them agree on compression; they join with history; late: they speak before they
    read, so that their own messages are found again far behind."""
    server = wsbroadcastd(
        *("--prefix", "", "--no-echo", "-w", workers, "--history-messages", "100000"),
        *("--max-lag", "0", "--compression-min-size", "0", "--compression-level", "1"),
    )
    before = server.client()
    for number in range(3000):
        before.send_text(f"before {number} " + "z" * 300)
    listener = server.client("/ws?history=all")
    past = frames(listener, 3000)
    senders = [join(server, "/ws?history=all", which % 2 == 1) for which in range(SENDERS)]
    heard: list[list[str]] = [[] for _ in senders]
    go = threading.Barrier(SENDERS)

    def read(which: int) -> None:
        heard[which] = frames(senders[which], 3000 + (SENDERS - 1) * SAID)

    def speak(which: int) -> None:
        reader = threading.Thread(target=read, args=(which,))
        if not late:
            reader.start()
        go.wait()
        for number in range(SAID):
            senders[which].send_text(f"{which} {number} " + "x" * (600 if number % 3 else 5))
        if late:
            go.wait()
            reader.start()
        reader.join()

    threads = [threading.Thread(target=speak, args=(which,)) for which in range(SENDERS)]
    for thread in threads:
        thread.start()
    order = past + frames(listener, SENDERS * SAID)
    for thread in threads:
        thread.join()
    for which in range(SENDERS):
        assert heard[which] == others(order, which)
    before.send_text("last")
    for client in senders:
        assert frames(client, 1) == ["last"]  # nothing of its own came late
    for client in [*senders, listener]:
        client.disconnect()
    before.disconnect()


def test_the_only_one_hears_nothing_of_itself(wsbroadcastd):
    server = wsbroadcastd("--prefix", "", "--no-echo")
    alone = server.client()
    for _ in range(300):
        alone.send_text("x" * 1000)
    alone.send_frame(rawws.PING, b"end")
    while (frame := alone.recv_frame()).opcode != rawws.PONG:
        assert frame.opcode == rawws.PING
    alone.close()


def place_after(client: rawws.Client, count: int) -> bytes:
    """The ID of the count-th message after the one at which the client joined."""
    epoch, _, sequence = client.accepted.headers["last-event-id"].partition("-")
    return f"{epoch}-{int(sequence) + count}".encode()


def test_the_101_says_that_own_messages_are_not_sent(wsbroadcastd):
    with wsbroadcastd("--no-echo").client() as client:
        assert client.accepted.headers["wsbroadcast-echo"] == "no"
    with wsbroadcastd().client() as client:
        assert "wsbroadcast-echo" not in client.accepted.headers


def test_a_ping_with_the_place_follows_what_was_left_out(wsbroadcastd):
    """A client that counts what it hears does not know of its own; here are a run, one between
    others' messages, and a run behind them."""
    server = wsbroadcastd("--prefix", "", "--no-echo")
    client, other = server.client(), server.client()
    client.send(b"".join(client.encode(rawws.TEXT, b"mine") for _ in range(3)))
    assert [other.recv_message() for _ in range(3)] == ["mine"] * 3
    other.send_text("theirs")
    count, opcodes = 0, []
    while not opcodes or opcodes[-1] != rawws.TEXT:
        frame = client.recv_frame()
        opcodes.append(frame.opcode)
        if frame.opcode == rawws.PING:  # one, unless TCP has cut the run
            count = max(n for n in range(4) if frame.payload == place_after(client, n))
    assert frame.payload == b"theirs" and count == 3
    client.send_text("mine")
    frame = client.recv_frame()
    assert (frame.opcode, frame.payload) == (rawws.PING, place_after(client, 5))
    client.close()
    other.close()


def test_places_are_right_though_it_reads_late(wsbroadcastd):
    """Its own are noted far ahead of where it reads; each run of them is told where it is."""
    server = wsbroadcastd("--prefix", "", "--no-echo", "--max-lag", "0")
    client, other = server.client(), server.client()
    for number in range(400):
        other.send_text(f"{number} " + "z" * 20000)
        assert other.recv_frame().opcode == rawws.PING  # it is published
        for _ in range(number % 3):
            client.send_text("mine")
            assert other.recv_message() == "mine"
    place, own = 0, 0  # of what was sent before, the last so many its own
    for number in range(400):
        told = []
        while (frame := client.recv_frame()).opcode == rawws.PING:
            told.append(frame.payload)
        assert frame.payload.startswith(b"%d " % number), number
        # Before its socket is full a run may be left out in several turns of the loop.
        run = [place_after(client, place - own + n + 1) for n in range(own)]
        assert told[-1:] == run[-1:] and set(told) <= set(run), number
        own = number % 3
        place += 1 + own
    client.disconnect()
    other.close()


def test_a_new_connection_hears_what_an_old_one_has_sent(wsbroadcastd):
    server = wsbroadcastd("--prefix", "", "--no-echo", "--history-messages", "10")
    old = server.client()
    old.send_text("mine")
    old.close()
    new = server.client("/ws?history=all")
    assert new.recv_message() == "mine"
    new.close()


# ---- --stdout ----


def test_each_message_is_a_line_as_soon_as_it_is_there(wsbroadcastd):
    server = wsbroadcastd("--stdout")
    client = server.client()
    client.send_text("hello")
    assert server.read_line() == "Message: hello"
    client.send_binary(b"\x00\xff")
    assert server.read_line() == "base64:AP8="
    client.disconnect()


UNSAFE = "red \x1b[31m \x07 \x9b1m \u202e ü\t"


def test_a_terminal_gets_control_characters_escaped(wsbroadcastd):
    """What strangers say can do nothing to it; binary messages are base64 as ever."""
    master, slave = os.openpty()
    server = wsbroadcastd("--prefix", "", "--stdout", stdout=slave)
    with server.client() as client:
        client.send_text(UNSAFE)
        client.send_binary(b"\x1b[0m")
        shown = b""
        while shown.count(b"\n") < 2:
            assert select.select([master], [], [], rawws.TIMEOUT)[0], shown
            shown += os.read(master, 4096)
    assert shown.decode().split("\r\n") == [
        r"red \x1b[31m \x07 \xc2\x9b1m \xe2\x80\xae ü\x09",
        "base64:G1swbQ==",
        "",
    ]
    server.stop()
    os.close(slave)
    os.close(master)


def test_a_pipe_gets_text_as_it_is(wsbroadcastd):
    server = wsbroadcastd("--prefix", "", "--stdout")
    with server.client() as client:
        client.send_text(UNSAFE)
        assert server.read_line() == UNSAFE


def test_the_server_stands_in_the_middle_of_a_pipeline(fed):
    server, pipe = fed("--stdin=a", "--stdout=a")
    lines = [f"{number} {'x' * 500}" for number in range(20000)]
    writer = threading.Thread(target=lambda: os.write(pipe, "\n".join(lines).encode() + b"\n"))
    writer.start()
    for line in lines:
        assert server.read_line() == line
    writer.join()
    server.stop()
    assert server.read_rest() == ""


def test_serving_goes_on_when_nobody_reads_what_is_printed(wsbroadcastd):
    read, write = os.pipe()
    server = wsbroadcastd("--prefix", "", "--stdout", stdout=write)
    os.close(write)
    client = server.client()
    os.close(read)
    client.send_text("one")
    server.wait_stderr("cannot write to standard output: broken pipe: no more is printed")
    client.send_text("two")
    assert [client.recv_message() for _ in range(2)] == ["one", "two"]
    client.close()


def test_a_reader_that_is_too_slow_misses_whole_lines_and_nobody_waits(wsbroadcastd):
    """What is printed and what the log says was not are all that was sent, however the server's
    thread that prints is scheduled."""
    server = wsbroadcastd("--prefix", "", "--stdout", "--max-lag", "64K", "--max-message", "2K")
    client = server.client()
    for number in range(2000):
        client.send_text(f"{number} " + "x" * 1000)
        assert client.recv_message().startswith(f"{number} ")
    missed = "limit max-lag: standard output is read too slowly: (.*) messages? (?:is|are) not"
    server.wait_stderr(missed)
    client.close()
    lines = [server.read_line() for _ in range(10)]  # its reader is back, and reads to the end
    server.process.terminate()
    lines += server.read_rest().split("\n")
    server.wait(0)
    numbers = [int(line.split()[0]) for line in lines[:-1]]
    assert lines[:-1] == [f"{number} " + "x" * 1000 for number in numbers]
    assert numbers == sorted(set(numbers))
    in_part = 1 if lines[-1] else 0  # the end may have come within a line
    said = sum(int(found) for found in re.findall(missed, server.stderr))
    assert len(numbers) + said in (2000 - in_part, 2000)
