"""Keys of wsrecv's own certificate: encrypted, in PKCS#12, with a passphrase from a file or the
terminal; and authorities in a directory."""

from __future__ import annotations

import fcntl
import os
import pty
import shutil
import signal
import subprocess
import termios
from collections.abc import Callable
from pathlib import Path

import programs
import pytest
from test_tls import Authority, TlsServer

OK, USAGE, TLS = 0, 2, 4
PASSPHRASE = "c0rrect h0rse"


@pytest.fixture(scope="module")
def authority(tmp_path_factory) -> Authority:
    """Its client has: client.key, encrypted.key, client.p12, bare.p12, hashed/."""
    authority = Authority(tmp_path_factory.mktemp("keys"), "ours")
    authority.sign("client", "DNS:client.example")
    there = authority.directory
    (there / "pass").write_text(f"{PASSPHRASE}\n")
    (there / "wrong").write_text("wr0ng\n")

    def openssl(*args: str) -> None:
        subprocess.run(["openssl", *args], cwd=there, check=True, capture_output=True)

    openssl("pkey", "-in", "client.key", "-aes256", "-passout", "file:pass", "-out", "encrypted.key")
    for name, passphrase in (("client", "file:pass"), ("bare", "pass:")):
        openssl("pkcs12", "-export", "-in", "client.pem", "-inkey", "client.key", "-certfile",
                "ca.pem", "-out", f"{name}.p12", "-passout", passphrase)  # fmt: skip
    (there / "hashed").mkdir()
    shutil.copy(authority.ca, there / "hashed" / "ca.pem")
    openssl("rehash", "hashed")
    return authority


@pytest.fixture
def server(start, authority) -> TlsServer:
    """One that wants to know its clients."""
    return start(TlsServer, authority, "--tls-client-ca", authority.ca)


@pytest.fixture
def shows(wsrecv, server, authority) -> Callable[..., programs.Program]:
    """shows(status, option, ...) runs wsrecv in the directory, without a terminal."""

    def run(status: int, *options: str, **how: object) -> programs.Program:
        base = ["-q", "-n", "1", "-m", "hi", "--cacert", authority.ca]
        listener = wsrecv(*base, *options, server.url, cwd=authority.directory,
                          start_new_session=True, **how)  # fmt: skip
        return listener.wait(status)

    return run


@pytest.mark.parametrize(
    "options",
    [["--cert", "client.pem", "--key", "encrypted.key", "--key-pass-file", "pass"],
     ["--cert", "client.p12", "--key-pass-file", "pass"], ["--cert", "bare.p12"],
     ["--cert", "client.p12", "--cert-type", "p12", "--key-pass-file", "pass"],
     ["--cert", "client.pem", "--cert-type", "pem", "--key", "client.key"]],
    ids=" ".join,
)  # fmt: skip
def test_the_server_lets_it_in(shows, options):
    assert shows(OK, *options).read_rest() == "Received: Message: hi\n"


@pytest.mark.parametrize(
    "options, said",
    [(["--cert", "client.pem", "--key", "encrypted.key"], "--key-pass-file"),
     (["--cert", "client.p12"], "--key-pass-file"),
     (["--cert", "client.pem", "--key", "encrypted.key", "--key-pass-file", "wrong"], "not the right"),
     (["--cert", "client.p12", "--key-pass-file", "wrong"], "not the right"),
     (["--cert", "client.pem", "--cert-type", "p12"], "client.pem"),
     (["--cert", "client.p12", "--cert-type", "pem"], "client.p12")],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)  # fmt: skip
def test_a_key_that_cannot_be_read_is_4_and_a_line(shows, options, said):
    """And where there is no terminal nothing hangs."""
    refused = shows(TLS, *options)
    assert said in refused.stderr and refused.stderr.count("\n") == 1
    assert "wr0ng" not in refused.stderr and PASSPHRASE not in refused.stderr


def test_options_for_a_certificate_need_one(wsrecv):
    for options in (["--key-pass-file", "x"], ["--cert-type", "pem"]):
        assert "--cert FILE" in wsrecv(*options).wait(USAGE).stderr


def test_authorities_in_a_directory(wsrecv, server, authority):
    pair = ["--cert", authority.cert("client"), "--key", authority.key("client")]
    base = ["-q", "-n", "1", "-m", "hi", *pair, server.url]
    wsrecv("--capath", f"{authority.directory}/hashed", *base).wait(OK)
    (authority.directory / "empty").mkdir(exist_ok=True)
    wsrecv("--capath", f"{authority.directory}/empty", *base).wait(TLS)
    refused = wsrecv("--capath", "/nowhere", *base).wait(TLS)
    assert "'/nowhere'" in refused.stderr


class Terminal:
    """A process whose controlling terminal is a pty, of which the test holds the other end."""

    def __init__(self, argv: list[str], directory: Path) -> None:
        self.master, slave = pty.openpty()

        def take() -> None:
            os.setsid()
            fcntl.ioctl(slave, termios.TIOCSCTTY, 0)

        self.process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                        stderr=subprocess.PIPE, preexec_fn=take, cwd=directory,
                                        pass_fds=[slave])  # fmt: skip
        self.slave = slave
        self.shown = b""

    def wait_for(self, text: bytes) -> None:
        while text not in self.shown:
            self.shown += os.read(self.master, 4096)

    def end(self) -> tuple[int, bytes]:
        out, _ = self.process.communicate(timeout=20)
        os.close(self.slave)
        os.close(self.master)
        return self.process.returncode, out


@pytest.fixture
def asked(server, authority) -> Callable[[], Terminal]:
    """asked() runs wsrecv on a terminal, up to its question."""

    def run() -> Terminal:
        argv = [programs.WSRECV, "-q", "-n", "1", "-m", "hi", "--cacert", authority.ca, "--cert",
                "client.p12", server.url]  # fmt: skip
        there = Terminal(argv, authority.directory)
        there.wait_for(b"Passphrase of client.p12: ")
        return there

    return run


def test_the_passphrase_is_asked_for_without_echo(asked):
    terminal = asked()
    assert not termios.tcgetattr(terminal.slave)[3] & termios.ECHO
    os.write(terminal.master, PASSPHRASE.encode() + b"\n")
    assert terminal.end() == (OK, b"Received: Message: hi\n")
    assert PASSPHRASE.encode() not in terminal.shown


def test_what_is_no_passphrase_ends_it(asked):
    for typed in (b"wr0ng\n", b"\x04", b"x" * 2000 + b"\n"):
        terminal = asked()
        os.write(terminal.master, typed)
        terminal.process.wait(20)
        assert termios.tcgetattr(terminal.slave)[3] & termios.ECHO
        assert terminal.end() == (TLS, b"")


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_at_the_question_ends_it_and_leaves_the_terminal_as_it_was(asked, signum):
    terminal = asked()
    terminal.process.send_signal(signum)
    terminal.process.wait(20)
    assert termios.tcgetattr(terminal.slave)[3] & termios.ECHO
    assert terminal.end()[0] == -signum


def test_ctrl_c_is_heard_however_soon_it_follows_the_question(asked):
    for _ in range(40):
        terminal = asked()
        os.write(terminal.master, b"\x03")
        terminal.process.wait(20)
        assert termios.tcgetattr(terminal.slave)[3] & termios.ECHO
        assert terminal.end()[0] == -signal.SIGINT
