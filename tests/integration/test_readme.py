"""README.md: every command, page and configuration in it works as it stands there.

Each fenced block has a name behind its language. The commands run in bash, in an empty directory and
in a network namespace of their own, so that the README's fixed ports are free; that needs root. The
blocks `install` and `commands` are run by scripts/fresh, on a bare Debian."""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import programs
import pytest
from programs import Program
from rawws import Client
from test_differential import Browser

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text()
BLOCK = re.compile(r"^```(\w+) ([\w-]+)\n(.*?)^```$", re.M | re.S)
BUILD = Path(programs.WSBROADCASTD).parents[1]
CLONE_NEWNET = 0x40000000


def block(name: str) -> str:
    """The blocks of that name, one after the other."""
    found = [text for _, its_name, text in BLOCK.findall(README) if its_name == name]
    assert found, f"there is no block '{name}' in README.md"
    return "".join(found)


def command(name: str, start: str) -> str:
    """The one line of the block that begins so."""
    (line,) = (line for line in block(name).splitlines() if line.startswith(start))
    return line


def test_every_block_and_line_is_tried():
    source = Path(__file__).read_text()
    tried = dict.fromkeys(re.findall(r'block\("([\w-]+)"\)', source), None)
    lines: dict[str, list[str]] = {}
    for name, start in re.findall(r'command\("([\w-]+)", "([^"]*)"\)', source):
        lines.setdefault(name, []).append(start)
    assert README.count("```") == 2 * len(BLOCK.findall(README)) + 4, "a block without a name"
    for _, name, text in BLOCK.findall(README):
        if name not in tried:
            for line in text.splitlines():
                assert line.startswith(tuple(lines.get(name, []))), f"not tried: {line}"


def test_it_has_200_lines_at_the_most():
    assert README.count("\n") <= 200


def test_its_links_lead_somewhere():
    for target in re.findall(r"\]\(([^)#]+)\)", README):
        assert (ROOT / target).exists(), target


def test_what_installs_is_tried_on_a_bare_machine():
    fresh = (ROOT / "scripts/fresh").read_text()
    assert "readme_block install" in fresh and block("install")
    for line in block("commands").splitlines():
        assert line.split()[0].removeprefix("./") in fresh


@pytest.fixture(scope="module")
def private_network() -> Iterator[None]:
    """The test and all that it starts have a loopback of their own, where every port is free."""
    libc = ctypes.CDLL(None, use_errno=True)
    with open("/proc/thread-self/ns/net") as before:
        if libc.unshare(CLONE_NEWNET) != 0:
            pytest.skip("cannot make a network namespace: needs root")
        subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
        yield
        assert libc.setns(before.fileno(), CLONE_NEWNET) == 0


@pytest.fixture
def shell(start, tmp_path, private_network) -> Iterator[Callable[[str], Program]]:
    """shell(command) starts it in bash, in a directory that is empty at first."""
    path = tmp_path / "bin"
    home = tmp_path / "home"
    for directory in (path, home):
        directory.mkdir()
    for program in (programs.WSBROADCASTD, programs.WSRECV, BUILD / "tests/bench/wsload"):
        (path / Path(program).name).symlink_to(program)
    (path / "python3").symlink_to(sys.executable)
    groups: list[int] = []
    environment = {**os.environ, "PATH": f"{path}:{os.environ['PATH']}", "HOME": str(home)}

    def run(line: str) -> Program:
        # exec: so that a signal reaches a single command itself.
        prefix = "" if {"|", "&&"} & set(shlex.split(line, comments=True)) else "exec "
        program = start(Program, ["bash", "-c", prefix + line], cwd=home, env=environment,
                        start_new_session=True)  # fmt: skip
        groups.append(program.pid)
        return program

    run.home = home
    yield run
    for group in groups:  # what a test that failed has left of its pipelines
        with contextlib.suppress(ProcessLookupError):
            os.killpg(group, signal.SIGKILL)


def serve(shell: Callable[[str], Program], line: str) -> Program:
    server = shell(line)
    server.wait_stderr("listening on")
    return server


def output(shell: Callable[[str], Program], line: str) -> str:
    """What a command prints that ends by itself, with 0."""
    program = shell(line)
    said = program.read_rest()
    program.wait()
    return said


def stop(*ended: Program) -> None:
    """Ends what runs until it is told to end: a server with 0, a listener by the signal."""
    for program in ended:
        program.process.terminate()
        program.expected = program.process.wait(10)
        assert program.expected in (0, -15, 143)


def test_quick_start(shell):
    server = serve(shell, command("quick-start", "wsbroadcastd"))
    server.wait_stderr("ws://127.0.0.1:8000/ws")
    listener = shell(command("quick-start", "wsrecv"))
    listener.wait_stderr("Connected to ws://localhost:8000/ws")
    answer = json.loads(output(shell, command("quick-start", "curl")))
    assert answer["subscribers"] == 1
    assert listener.read_line() == "Received: hello"
    assert output(shell, "wsrecv -q -m hello -n 1") == "Received: hello\n"
    stop(listener, server)


@pytest.mark.skipif(shutil.which("chromedriver") is None, reason="chromium-driver is not installed")
def test_the_page_shows_what_was_said_and_what_comes(shell, tmp_path):
    server = serve(shell, command("quick-start", "wsbroadcastd"))
    (shell.home / "index.html").write_text(block("page"))
    (line,) = re.findall(r"`(python3 -m http.server .*?)`", README)
    (url,) = re.findall(r"^(http://127.*?/) \(", README, re.M)
    pages = shell(line.replace("python3", "python3 -u"))
    assert "Serving HTTP" in pages.read_line()
    shell(command("quick-start", "curl")).wait()
    browser = Browser(tmp_path)
    try:
        browser._call("POST", "/url", {"url": url})
        wait = """const [count, done] = arguments;
            const look = () => { const items = document.querySelectorAll('#feed li');
                items.length < count ? setTimeout(look, 5) : done(items[0].textContent); };
            look();"""

        def newest(count: int) -> str:
            return browser._call("POST", "/execute/async", {"script": wait, "args": [count]})

        assert newest(1) == "hello"
        shell(command("quick-start", "curl").replace("hello", "again", 1)).wait()
        assert newest(2) == "again"
    finally:
        browser.quit()
    stop(pages, server)


@pytest.fixture
def log_server(shell) -> Program:
    """The recipe with a log; its file has one line."""
    (shell.home / "app.log").write_text("begun\n")
    server = serve(shell, command("recipes", "tail"))

    def is_published() -> bool:  # else it reaches those that come after it
        answer = output(shell, command("recipes", "curl 'http://127.0.0.1:8000/ws/log?info'"))
        return answer.startswith("{") and not json.loads(answer)["last_id"].endswith("-0")

    programs.wait_until("the first line is published", is_published)
    return server


def say(shell, text: str) -> None:
    with open(shell.home / "app.log", "a") as log:
        log.write(f"{text}\n")


def end_log(log_server: Program) -> None:
    """The pipeline ends when its server does."""
    children = Path(f"/proc/{log_server.pid}/task/{log_server.pid}/children").read_text().split()
    for child in children:
        os.kill(int(child), 15)
    log_server.expected = log_server.process.wait(10)


def test_catching_up(shell, log_server):
    text = shell.home / "log.txt"
    line = command("recipes", "wsrecv -r --reconnect")
    for expected in ("begun\n", "begun\nmeanwhile\n"):
        listener = shell(line)
        programs.wait_until("it is written", lambda: text.exists() and text.read_text() == expected)
        stop(listener)
        say(shell, "meanwhile")
    end_log(log_server)


def test_a_command_for_each_message(shell, log_server):
    listener = shell(command("recipes", "wsrecv -q --exec"))
    wait_for_subscriber(shell)
    say(shell, "disk full")
    assert re.fullmatch(r"\d\d:\d\d:\d\d disk full", listener.read_line())
    stop(listener)
    end_log(log_server)


def test_until(shell, log_server):
    waiting = shell(command("recipes", "wsrecv -q --until"))
    wait_for_subscriber(shell)
    say(shell, "disk 81 %")
    say(shell, "disk 93 %")
    assert waiting.read_line() == "make room"
    waiting.wait()
    end_log(log_server)


def wait_for_subscriber(shell) -> None:
    def is_there() -> bool:
        answer = output(shell, command("recipes", "curl 'http://127.0.0.1:8000/ws/log?info'"))
        return json.loads(answer)["subscribers"] >= 1

    programs.wait_until("it is subscribed", is_there)


def test_publishing_and_looking(shell, log_server):
    for start in ("printf", "python3", "node"):
        if start == "node" and shutil.which("node") is None:
            continue
        shell(PUBLISHERS[start]).wait()
    page = output(shell, command("recipes", "curl -H 'Accept: application/json'"))
    texts = [message["data"] for message in json.loads(page)["messages"]]
    assert texts == ["begun", "one", "two", "three", "four"][: len(texts)] and len(texts) >= 4
    events = shell(command("recipes", "curl -N"))
    heard = [line for line in iter(events.read_line, "data: three") if line.startswith("data")]
    assert heard == ["data: begun", "data: one", "data: two"]
    stop(events)
    end_log(log_server)


PUBLISHERS = {
    "printf": command("recipes", "printf"),
    "python3": command("recipes", "python3"),
    "node": command("recipes", "node"),
}


SBIN = f"{os.environ.get('PATH', '')}:/usr/sbin"
NGINX = shutil.which("nginx", path=SBIN)
HAPROXY = shutil.which("haproxy", path=SBIN)


def serve_behind_a_proxy(shell, tmp_path: Path) -> tuple[Program, str]:
    """The server with the configuration of the README, but for the path of the socket."""
    path = str(tmp_path / "socket")
    conf = shell.home / "wsbroadcastd.conf"
    conf.write_text(block("proxied").replace("/run/wsbroadcastd/socket", path) + "log-connections = on\n")
    return serve(shell, f"wsbroadcastd --config {conf}"), path


def check_behind_a_proxy(shell, server: Program, proxy: Program) -> None:
    """Upgrades, event streams and POST, at port 80; the server knows the client's address."""

    def listens() -> bool:
        try:
            Client(80).disconnect()
        except OSError:
            return False
        return True

    programs.wait_until("the proxy listens", listens)
    curl = "curl -s -N -H 'Host: feed.example' http://127.0.0.1/ws "
    events = shell(curl + "-H 'Accept: text/event-stream'")
    assert events.read_line().startswith("id: ")
    with Client(80) as client:
        client.upgrade(Host="feed.example")
        assert json.loads(output(shell, curl + "-d hello"))["subscribers"] == 2
        assert client.recv_message() == "hello"
    while events.read_line() != "data: hello":
        pass
    server.wait_stderr(r"connection .*address=\"?127\.0\.0\.1")
    stop(events, proxy, server)


@pytest.mark.skipif(NGINX is None, reason="nginx is not installed")
def test_behind_nginx(shell, start, tmp_path):
    server, path = serve_behind_a_proxy(shell, tmp_path)
    conf = tmp_path / "nginx.conf"
    conf.write_text(
        f"daemon off; master_process off; pid {tmp_path}/pid; error_log stderr;\n"
        "events { worker_connections 64; }\n"
        f"http {{ access_log off; client_body_temp_path {tmp_path}/body; "
        f"proxy_temp_path {tmp_path}/proxy; fastcgi_temp_path {tmp_path}/f; "
        f"uwsgi_temp_path {tmp_path}/u; scgi_temp_path {tmp_path}/s;\n"
        "server { listen 80;\n" + block("nginx").replace("/run/wsbroadcastd/socket", path) + "} }\n"
    )  # fmt: skip
    nginx = start(Program, [NGINX, "-e", "stderr", "-c", str(conf), "-p", str(tmp_path)])
    check_behind_a_proxy(shell, server, nginx)


@pytest.mark.skipif(HAPROXY is None, reason="haproxy is not installed")
def test_behind_haproxy(shell, start, tmp_path):
    """Below the defaults of Debian's haproxy.cfg."""
    server, _ = serve_behind_a_proxy(shell, tmp_path)
    conf = tmp_path / "haproxy.cfg"
    conf.write_text(
        "defaults\n    mode http\n    timeout connect 5s\n    timeout client 50s\n"
        "    timeout server 50s\n" + block("haproxy")
    )
    haproxy = start(Program, [HAPROXY, "-db", "-f", str(conf)])
    check_behind_a_proxy(shell, server, haproxy)


def test_the_service_is_tried_on_a_booted_machine():
    trial = (ROOT / "scripts/trial").read_text()
    for line in block("service").splitlines():
        start = " ".join(line.split()[:3])
        assert f"readme service '{start}'" in trial, f"not tried: {start}"


def test_users(shell):
    shell(command("users", "wsbroadcastd --new-token")).wait()
    server = serve(shell, command("users", "wsbroadcastd --token-file"))
    listener = shell(command("users", "wsrecv --bearer-file"))
    listener.wait_stderr("Connected to ws://localhost:8000/ws")
    refused = shell(command("users", "wsrecv  "))
    refused.wait_stderr("401")
    refused.expected = refused.process.wait(10)
    assert refused.expected not in (0, 2)
    stop(listener, server)


def test_tls(shell):
    shell(command("tls", "openssl")).wait()
    server = serve(shell, command("tls", "wsbroadcastd"))
    listener = shell(command("tls", "wsrecv"))
    listener.wait_stderr("Connected to wss://localhost:8443/ws")
    stop(listener, server)


def test_wsload(shell):
    """With fewer clients, for a moment; other tests may run servers, which pidof would find."""
    server = serve(shell, command("quick-start", "wsbroadcastd"))
    line = command("wsload", "wsload").replace("-n 1000", "-n 20 -m 100 --warmup 0.1")
    load = shell(line.replace('"$(pidof wsbroadcastd)"', str(server.pid)))
    result = json.loads(load.read_rest())
    load.wait()
    assert result["ok"] and result["deliveries"] > 0
    stop(server)


def test_conformance_names_tests_that_exist():
    tests = ROOT / "tests/integration"
    defined = "".join(path.read_text() for path in tests.glob("*.py"))
    table = (ROOT / "tests/CONFORMANCE.md").read_text()
    for name in set(re.findall(r"\b(test_\w+)\b(?!\.py|\.c)", table)):
        assert f"def {name}(" in defined, name
    for file in set(re.findall(r"`(\w+\.py)`", table)):
        assert (tests / file).exists(), file


def test_contributing_names_files_that_exist():
    text = (ROOT / "CONTRIBUTING.md").read_text()
    for name in re.findall(r"`((?:server|client|common|tests|scripts|\.ci)/[\w./-]*)", text):
        assert (ROOT / name).exists(), name
    for target in re.findall(r"\]\(([^)#]+)\)", text):
        assert (ROOT / target).exists(), target
