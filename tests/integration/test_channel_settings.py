"""Sections [channel PATTERN] of the configuration file: what holds for which channels."""

from __future__ import annotations

import json
import subprocess
import urllib.request
from pathlib import Path

import programs
import pytest
import rawws


def configure(tmp_path: Path, sections: str, server: str = "") -> tuple[str, str]:
    path = tmp_path / "wsbroadcastd.conf"
    path.write_text(f"[server]\nlisten = 127.0.0.1:0\n{server}\n{sections}")
    return "--config", str(path)


def post(server: programs.Server, channel: str, text: str = "x") -> int:
    request = urllib.request.Request(f"http://127.0.0.1:{server.port}/ws{channel}", text.encode())
    try:
        with urllib.request.urlopen(request, timeout=rawws.TIMEOUT) as response:
            return response.status
    except urllib.error.HTTPError as error:
        return error.code


def retained(server: programs.Server, channel: str) -> list[str]:
    request = urllib.request.Request(f"http://127.0.0.1:{server.port}/ws{channel}?since=all",
                                     headers={"Accept": "application/json"})
    with urllib.request.urlopen(request, timeout=rawws.TIMEOUT) as response:
        return [message["data"] for message in json.load(response)["messages"]]


def test_a_prefix_is_of_its_section_and_never_inherited(start, tmp_path):
    server = start(programs.Server, *configure(
        tmp_path, '[channel said/*]\nprefix = "said: "\n[channel =]\nno-echo = off\n'))
    for target, heard in (("/ws", "Message: x"), ("/ws/said/a", "said: x"), ("/ws/other", "x")):
        with server.client(target) as client:
            client.send_text("x")
            assert client.recv_message() == heard


def test_the_first_section_that_matches_holds_and_leaves_the_rest_to_the_server(start, tmp_path):
    server = start(programs.Server, *configure(
        tmp_path, "[channel a/b]\nhistory-messages = 1\n[channel a/*]\nhistory-messages = 2\n",
        "history-messages = 3"))
    for channel, count in (("/a/b", 1), ("/a/c", 2), ("/a/b/c", 3), ("", 3)):
        for i in range(5):
            assert post(server, channel, str(i)) == 200
        assert retained(server, channel) == [str(i) for i in range(5 - count, 5)]


def test_the_ways_to_publish_are_of_each_channel(start, tmp_path):
    server = start(programs.Server, *configure(
        tmp_path, "[channel feed/**]\npublish = http\n[channel chat]\npublish = ws\n"))
    assert post(server, "/feed/x/y") == 200
    assert post(server, "/chat") == 403
    with server.client("/ws/feed/x") as client:
        client.send_text("x")
        assert client.recv_close() == (1008, "this feed is read-only")
    with server.client("/ws/chat") as client:
        client.send_text("x")
        assert client.recv_message() == "x"


def test_sizes_of_messages_are_of_each_channel_however_they_come(start, tmp_path):
    server = start(programs.Server, *configure(
        tmp_path, "[channel small]\nmax-message = 10\n[channel large]\nmax-message = 100\n",
        "max-message = 50"))
    for channel, size in (("/small", 10), ("/large", 100), ("/other", 50)):
        assert post(server, channel, "x" * size) == 200
        assert post(server, channel, "x" * (size + 1)) == 413
        with server.client("/ws" + channel) as client:
            client.send_text("x" * size)
            assert client.recv_message() == "x" * size
            client.send_text("x" * (size + 1))
            assert client.recv_close()[0] == 1009
        with server.client("/ws" + channel) as client:  # in pieces
            client.send_frame(1, b"x" * size, fin=False)
            client.send_frame(0, b"x")
            assert client.recv_close()[0] == 1009


def test_a_full_channel_refuses_further_subscribers_and_leaves_others_alone(start, tmp_path):
    server = start(programs.Server, *configure(tmp_path, "[channel room]\nmax-subscribers = 2\n"))
    first, second = server.client("/ws/room"), server.client("/ws/room")
    third = rawws.Client(server.port)
    third.send(third.request("/ws/room"))
    response = third.recv_response()
    assert response.status == 503
    assert "as many subscribers as it may have" in response.body
    server.client("/ws/other")
    second.close()
    programs.wait_until("the place is free", lambda: _joins(server, "/ws/room"))
    first.close()


def _joins(server: programs.Server, target: str) -> bool:
    client = rawws.Client(server.port)
    client.send(client.request(target))
    return client.recv_head().status == 101


def test_compression_and_echo_are_of_each_channel(start, tmp_path):
    server = start(programs.Server, *configure(
        tmp_path, "[channel plain]\nno-compression = on\n[channel quiet]\nno-echo = on\n"))
    offer = {"Sec-WebSocket-Extensions": "permessage-deflate"}
    for target, agreed in (("/ws/plain", False), ("/ws/quiet", True)):
        client = rawws.Client(server.port)
        client.send(client.request(target, **offer))
        head = client.recv_head()
        assert head.status == 101
        assert ("sec-websocket-extensions" in head.headers) == agreed
    quiet, other = server.client("/ws/quiet"), server.client("/ws/quiet")
    quiet.send_text("x")
    assert other.recv_message() == "x"
    other.send_text("y")
    assert quiet.recv_message() == "y"


def test_rates_are_of_each_channel(start, tmp_path):
    server = start(programs.Server, *configure(
        tmp_path, "[channel slow]\nmax-messages-per-second = 1\n"))
    with server.client("/ws/fast") as client:
        for _ in range(50):
            client.send_text("x")
        for _ in range(50):
            assert client.recv_message() == "x"
    with server.client("/ws/slow") as client:
        client.send(b"".join(client.encode(1, b"x") for _ in range(3)))
        while (frame := client.recv_frame()).opcode != 8:
            pass
        assert int.from_bytes(frame.payload[:2], "big") == 1008


def test_every_error_of_a_section_is_told_with_its_line(tmp_path):
    path = tmp_path / "wsbroadcastd.conf"
    path.write_text("[server]\n[channel a/*]\nlisten = 1\nmax-message = much\nno-echo = on\n"
                    "no-echo = off\n[channel a/b]\n[channel a?b/]\n[channel]\n[channel =]\n"
                    "max-lag = 1M\nmax-lag = 10msg\n")
    said = subprocess.run([programs.WSBROADCASTD, "--config", path, "--check-config"],
                          capture_output=True, text=True, timeout=20)
    assert said.returncode == 2
    told = {int(line.split(":")[2]): line for line in said.stderr.splitlines()}
    assert sorted(told) == [3, 4, 6, 7, 8, 9]
    assert "'listen' is not an option of single channels" in told[3]
    assert "'max-message': 'much' is not a number of bytes" in told[4]
    assert "'no-echo' stands in line 5 already" in told[6]
    assert "'a/b' is never reached: [channel a/*] in line 2 comes first" in told[7]
    assert "'a?b/' is not a pattern of channels" in told[8]


def test_what_is_printed_has_the_sections(tmp_path):
    path = configure(tmp_path, '[channel a/**]\nprefix = "x "\nhistory-age = 5m\n')[1]
    first = subprocess.run([programs.WSBROADCASTD, "--config", path, "--print-config"],
                           capture_output=True, text=True, timeout=20)
    again = tmp_path / "again.conf"
    again.write_text(first.stdout)
    second = subprocess.run([programs.WSBROADCASTD, "--config", again, "--print-config"],
                            capture_output=True, text=True, timeout=20)
    assert second.stderr == ""
    values = [line.split("    #")[0] for line in second.stdout.splitlines() if line[:1] not in "#"]
    assert values[-3:] == ["[channel a/**]", 'prefix = "x "', "history-age = 5m"]


@pytest.mark.parametrize("name", ["prefix", "publish", "no-echo", "history-messages", "max-lag",
                                  "history-bytes", "history-age", "max-message", "slow-consumer",
                                  "max-subscribers", "max-messages-per-second", "no-compression",
                                  "max-bytes-per-second"])
def test_each_option_of_channels_is_one_of_the_server_too(name):
    said = subprocess.run([programs.WSBROADCASTD, "--help"], capture_output=True, text=True,
                          timeout=20)
    assert f"--{name}" in said.stdout
