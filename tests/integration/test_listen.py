"""Unix sockets, and listening sockets that are inherited: from a parent, and from systemd."""

from __future__ import annotations

import grp
import os
import re
import shutil
import signal
import socket
import stat
import subprocess
from collections.abc import Iterator

import programs
import pytest
import rawws


@pytest.fixture
def run(start):
    """run(argument, ...) starts wsbroadcastd that is to end by itself."""
    return lambda *args, **how: start(programs.Program, [programs.WSBROADCASTD, *args], **how)


@pytest.fixture
def path(tmp_path) -> str:
    """Where a Unix socket may be."""
    return str(tmp_path / "socket")


def refusal(program: programs.Program, status: int = 1) -> str:
    """The one line with which it gives up."""
    (line,) = program.wait(status).stderr.splitlines()
    return line


def talk(server: programs.Server) -> None:
    with server.client() as one, server.client() as two:
        one.send_text("hello")
        assert one.recv_message() == two.recv_message() == "Message: hello"


# Unix sockets


def test_a_unix_socket_is_served_and_removed_in_the_end(wsbroadcastd, path):
    server = wsbroadcastd("-l", f"unix:{path}", "--log-level", "debug")
    assert server.url == f"unix:{path} (path /ws)"
    talk(server)
    server.stop()
    assert not os.path.exists(path)
    assert "a Unix socket: joined" in server.stderr


def test_clients_of_a_unix_socket_and_of_tcp_hear_each_other(wsbroadcastd, path):
    server = wsbroadcastd("-l", f"unix:{path}", "-l", "127.0.0.1:0", listeners=2)
    with rawws.Client(server.ports[0]).upgrade() as one:
        with rawws.Client(server.ports[1]).upgrade() as two:
            one.send_text("x")
            assert one.recv_message() == two.recv_message() == "Message: x"


@pytest.mark.parametrize(
    "setting, mode", [("", 0o660), (",mode=0600", 0o600), (",mode=666", 0o666)]
)
@pytest.mark.parametrize("umask", [0o077, 0o022, 0])
def test_the_mode_says_who_may_connect(wsbroadcastd, path, setting, mode, umask):
    """Whatever the umask."""
    server = wsbroadcastd("-l", f"unix:{path}{setting}", preexec_fn=lambda: os.umask(umask))
    assert stat.S_IMODE(os.stat(path).st_mode) == mode
    talk(server)


@pytest.mark.skipif(os.geteuid() != 0, reason="gives a file away")
@pytest.mark.parametrize("group", ["daemon", "65534"])
def test_the_group_of_a_unix_socket(wsbroadcastd, path, group):
    wsbroadcastd("-l", f"unix:{path},group={group},mode=0620")
    found = os.stat(path)
    assert found.st_gid == (65534 if group == "65534" else grp.getgrnam(group).gr_gid)
    assert stat.S_IMODE(found.st_mode) == 0o620


def test_a_group_that_is_not_there_is_told(run, path):
    line = refusal(run("-l", f"unix:{path},group=no-such-group"))
    assert "there is no group 'no-such-group'" in line
    assert not os.path.exists(path)


@pytest.mark.skipif(os.geteuid() != 0, reason="drops root's privileges")
def test_a_group_that_the_user_is_not_in_is_told(run, tmp_path):
    for directory in [tmp_path, *list(tmp_path.parents)[:2]]:
        directory.chmod(0o777)
    place = f"unix:{tmp_path}/socket,group=0"
    line = refusal(run("-l", place, user=65534, group=65534, extra_groups=[]))
    assert "no member of the group" in line
    assert not os.path.exists(f"{tmp_path}/socket")


def test_nobody_can_connect_before_mode_and_group_are_set(path):
    """In the order of the system calls: bind makes the file with its mode, then the group is set,
    then it listens."""
    if not shutil.which("strace"):
        pytest.skip("needs strace")
    calls = subprocess.run(
        ["strace", "-f", "-e", "trace=umask,bind,chown,lchown,chmod,fchmod,listen,fchownat",
         "timeout", "-s", "TERM", "2", programs.WSBROADCASTD, "-l",
         f"unix:{path},group={os.getegid()}"],
        capture_output=True, text=True, timeout=rawws.TIMEOUT,
        env={**os.environ, "ASAN_OPTIONS": "detect_leaks=0"}).stderr
    order = re.findall(r"(umask|bind|l?chown|listen)\((?!.*AF_INET)", calls)
    assert order == ["umask", "bind", "umask", "lchown", "listen"], calls


def test_the_socket_of_one_who_died_is_replaced(wsbroadcastd, path):
    dead = wsbroadcastd("-l", f"unix:{path}")
    dead.process.kill()
    dead.wait(-signal.SIGKILL)
    assert os.path.exists(path)
    talk(wsbroadcastd("-l", f"unix:{path}"))


def test_the_socket_of_one_who_listens_is_left_alone(wsbroadcastd, run, path):
    server = wsbroadcastd("-l", f"unix:{path}")
    line = refusal(run("-l", f"unix:{path}"))
    assert f"unix:{path}: address already in use; " in line
    talk(server)


def test_what_is_no_socket_is_left_alone(run, path):
    with open(path, "w") as file:
        file.write("precious")
    line = refusal(run("-l", f"unix:{path}"))
    assert f"unix:{path}: " in line and "is no socket" in line
    assert open(path).read() == "precious"


def test_a_socket_that_another_put_in_its_place_is_left_alone(wsbroadcastd, path):
    server = wsbroadcastd("-l", f"unix:{path}")
    os.unlink(path)
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(path)
        server.stop()
        assert os.path.exists(path)


def test_the_socket_of_a_successor_is_left_alone(wsbroadcastd, path):
    """Also when its file has the number that ours had: file systems give them out anew at once."""
    options = ["-l", f"unix:{path}", "-l", "127.0.0.1:0", "--close-timeout", "60"]
    old = wsbroadcastd(*options, listeners=2)
    with rawws.Client(old.ports[1]).upgrade() as client:
        old.process.send_signal(signal.SIGTERM)
        assert client.recv_frame().close_code == 1001
        new = wsbroadcastd("-l", f"unix:{path}")
    old.wait()
    talk(new)


def test_a_directory_that_is_missing_is_told(run, tmp_path):
    assert "make the directory first" in refusal(run("-l", f"unix:{tmp_path}/no/socket"))


@pytest.mark.skipif(os.geteuid() != 0, reason="drops root's privileges")
def test_a_directory_that_may_not_be_written_is_told(start, tmp_path):
    tmp_path.chmod(0o755)
    for parent in list(tmp_path.parents)[:2]:
        parent.chmod(0o755)
    # The build may lie where only root gets, as in a home of mode 700.
    program = shutil.copy(programs.WSBROADCASTD, tmp_path)
    line = refusal(start(programs.Program, [program, "-l", "unix:/socket"], user=65534, group=65534))
    assert "unix:/socket: permission denied; the directory" in line


@pytest.mark.parametrize("length", [107, 108])
def test_a_path_may_have_107_bytes_and_no_more(wsbroadcastd, run, tmp_path, length):
    name = f"{tmp_path}/".ljust(length, "s")
    if length == 107:
        talk(wsbroadcastd("-l", f"unix:{name}"))
    else:
        assert "has 107 at most" in refusal(run("-l", f"unix:{name}"), 2)


def test_no_path_is_a_usage_error(run):
    assert "there is no path" in refusal(run("-l", "unix:"), 2)


def test_the_limit_for_an_address_is_not_for_unix_sockets(wsbroadcastd, path):
    """All who come through a proxy would count as one."""
    talk(wsbroadcastd("-l", f"unix:{path}", "--max-connections-per-address", "1"))


# Inherited sockets


@pytest.fixture(params=["tcp", "unix"])
def passed(request, path) -> Iterator[socket.socket]:
    """A listening socket to pass on."""
    if request.param == "tcp":
        sock = socket.create_server(("127.0.0.1", 0))
    else:
        sock = socket.socket(socket.AF_UNIX)
        sock.bind(path)
        sock.listen()
    with sock:
        yield sock


def name_of(sock: socket.socket) -> str:
    if sock.family == socket.AF_UNIX:
        return f"unix:{sock.getsockname()} (path /ws)"
    return f"ws://127.0.0.1:{sock.getsockname()[1]}/ws"


def test_an_inherited_socket_is_served(wsbroadcastd, passed):
    fd = passed.fileno()
    server = wsbroadcastd("-l", f"fd:{fd}", pass_fds=[fd])
    assert server.url == name_of(passed)
    talk(server)
    if passed.family != socket.AF_UNIX:  # for all who are accepted from it
        assert passed.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
    server.stop()
    if passed.family == socket.AF_UNIX:  # it is its maker's to remove
        assert os.path.exists(passed.getsockname())


class Activated(programs.Server):
    """A server that is started as systemd would: LISTEN_FDS sockets, from descriptor 3 on."""

    def __init__(self, *sockets: socket.socket, pid: str = "$$", fds: str | None = None) -> None:
        fds = str(len(sockets)) if fds is None else fds
        moves = " ".join(f"{3 + i}<&{100 + i}" for i in range(len(sockets)))
        script = f'LISTEN_PID={pid} LISTEN_FDS={fds} exec "$0" "$@" {moves}'
        held = [os.dup2(sock.fileno(), 100 + i) for i, sock in enumerate(sockets)]
        program = programs.WSBROADCASTD
        try:
            programs.Program.__init__(
                self, ["/bin/bash", "-c", script, program, "-w", "2"], pass_fds=held
            )
        finally:
            for fd in held:
                os.close(fd)


def test_sockets_from_systemd_are_served(start, passed):
    with socket.create_server(("127.0.0.1", 0)) as second:
        server = start(Activated, passed, second)
        server.wait_stderr("listening on ", 2)
        assert f"listening on {name_of(passed)}" in server.stderr
        assert f"listening on {name_of(second)}" in server.stderr
        for sock in (passed, second):
            name = sock.getsockname()
            with rawws.Client(name if isinstance(name, str) else name[1]).upgrade() as client:
                client.send_text("x")
                assert client.recv_message() == "Message: x"
        server.stop()


def test_sockets_for_another_process_are_not_ours(start):
    """Then it listens where it always does, or says that it cannot."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        server = start(Activated, other, pid="1")
        said = server.wait_stderr(r"127\.0\.0\.1:(\d+)")
        assert said[0][1] == "8000"
        if server.process.poll() is None and "listening" in server.stderr:
            server.stop()
        else:
            server.wait(1)


@pytest.mark.parametrize("fds", ["many", "-1", "100000"])
def test_a_number_of_sockets_that_cannot_be_is_told(start, fds):
    assert "LISTEN_FDS" in refusal(start(Activated, fds=fds))


def test_a_socket_that_systemd_does_not_pass_on_is_told(start):
    assert "fd:3: no socket was inherited" in refusal(start(Activated, fds="1"))


def test_what_cannot_be_listened_on_is_told(run, tmp_path):
    with socket.socket() as deaf, socket.socket(type=socket.SOCK_DGRAM) as datagrams:
        with open(tmp_path / "file", "w") as file:
            for thing, why in (
                (deaf, "does not listen"),
                (datagrams, "no stream socket"),
                (file, "no socket was inherited"),
            ):
                fd = thing.fileno()
                line = refusal(run("-l", f"fd:{fd}", pass_fds=[fd]))
                assert f"cannot listen on fd:{fd}: " in line and why in line


def test_a_descriptor_that_is_not_open_is_told(run):
    assert "fd:999: no socket was inherited" in refusal(run("-l", "fd:999"))


def test_the_same_descriptor_twice_is_told(run, passed):
    fd = passed.fileno()
    line = refusal(run("-l", f"fd:{fd}", "-l", f"fd:{fd}", pass_fds=[fd]))
    assert f"fd:{fd}: it is given twice" in line


@pytest.mark.parametrize("number", ["", "x", "-1", "2", "99999999999"])
def test_what_is_no_descriptor_is_a_usage_error(run, number):
    assert f"'fd:{number}' is not fd:N" in refusal(run("-l", f"fd:{number}"), 2)
