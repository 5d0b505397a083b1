"""--help, the man pages and the shells' completions: they say the same, and are well-formed."""

from __future__ import annotations

import os
import pty
import re
import select
import shutil
import subprocess
import time
from pathlib import Path
from typing import NamedTuple

import programs
import pytest
import rawws

BUILD = Path(programs.WSRECV).resolve().parents[1]
PAGES = {
    "wsrecv": Path(programs.WSRECV).with_suffix(".1"),
    "wsbroadcastd": Path(programs.WSBROADCASTD).with_suffix(".8"),
}
each_program = pytest.mark.parametrize("name", PAGES)
needs_fish = pytest.mark.skipif(
    shutil.which("fish") is None, reason="fish is not installed (its packages are large)"
)


class Option(NamedTuple):
    letter: str
    name: str
    argument: str
    text: str


def run(*argv: str | Path, **how) -> str:
    """What a command prints on stdout; it must succeed, and say nothing on stderr."""
    done = subprocess.run(
        [str(word) for word in argv],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=rawws.TIMEOUT * 4,
        **how,
    )
    assert (done.returncode, done.stderr.decode()) == (0, "")
    return done.stdout.decode()


def help_of(name: str) -> str:
    return run({"wsrecv": programs.WSRECV, "wsbroadcastd": programs.WSBROADCASTD}[name], "--help")


def words(text: str) -> str:
    """The text without its layout: how lines are broken is all that may differ."""
    return " ".join(text.split())


def options_in(text: str, margin: str) -> list[Option]:
    """The options of --help or of a rendered page, in order; they stand behind the margin."""
    start = re.compile(
        rf"^{margin}(?:-(?P<letter>\w), )?(?:    )?--(?P<name>[\w-]+)(?P<argument>(?: |\[=)\S+)?"
        r"(?:  +(?P<text>\S.*))?$"
    )
    found: list[Option] = []
    for line in text.splitlines():
        match = start.match(line)
        if match:
            found.append(Option(*(match[key] or "" for key in Option._fields)))
        elif found and re.match(rf"{margin}   +\S", line):
            found[-1] = found[-1]._replace(text=words(f"{found[-1].text} {line}"))
        elif found and line and not line.startswith(margin):
            found.append(Option("", "", "", ""))  # a heading: what follows it is no explanation
    return [option for option in found if option.name]


def names(options: list[Option]) -> set[str]:
    """All ways to write them."""
    return {f"--{o.name}" for o in options} | {f"-{o.letter}" for o in options if o.letter}


def section(text: str, title: str, end: str) -> str:
    match = re.search(rf"^{title}\n(.*?)(?=^{end}|\Z)", text, re.M | re.S)
    assert match, f"there is no section {title}"
    return match[1]


def page(name: str) -> str:
    """The man page as plain text, in lines as long as need be."""
    rendered = run("mandoc", "-Tascii", "-Owidth=500", PAGES[name])
    return re.sub(r".\x08", "", rendered)  # it overstrikes what is bold


def statuses_in(text: str) -> dict[str, str]:
    """By number, or by a name such as N."""
    found = re.findall(r"^ +(\d+|[A-Z]+) +(\S.*(?:\n {7,}\S.*)*)", text, re.M)
    return {number: words(meaning) for number, meaning in found}


@pytest.fixture(scope="module")
def prefix(tmp_path_factory) -> Path:
    """Where cmake --install has put everything."""
    directory = tmp_path_factory.mktemp("installed")
    run("cmake", "--install", BUILD, "--prefix", directory)
    return directory


# --help


@each_program
def test_help_has_80_columns_groups_and_three_examples(name):
    text = help_of(name)
    assert max(len(line) for line in text.splitlines()) <= 80
    options = options_in(text, "  ")
    assert len(options) == len(re.findall(r"^ {2,6}(?:-\w, )?--\w", text, re.M)), "not all are parsed"
    assert len(re.findall(r"^[A-Z].*:\n  ", text, re.M)) > 3
    assert len(re.findall(rf"^  {name}\b", section(text, "Examples:", r"\S"), re.M)) >= 3
    assert all(option.text for option in options)


# The man pages


@each_program
def test_the_man_page_has_the_options_of_help_and_no_others(name):
    in_help = options_in(help_of(name), "  ")
    in_page = options_in(section(page(name), "OPTIONS", r"[A-Z]"), "     ")
    assert in_page == in_help
    assert len(in_help) > 10


@each_program
def test_the_man_page_has_the_exit_statuses_of_help(name):
    in_help = statuses_in(section(help_of(name), "Exit status:", r"\S"))
    assert len(in_help) >= 3
    assert statuses_in(section(page(name), "EXIT STATUS", r"[A-Z]")) == in_help


@each_program
def test_the_man_page_is_clean(name):
    done = subprocess.run(
        ["mandoc", "-Tlint", "-Wstyle", str(PAGES[name])], capture_output=True, text=True
    )
    # -Wstyle leaves out the conventions of base systems, whose pages name no version. Whether
    # the pages that it refers to are installed here is no fault of the page.
    elsewhere = re.compile(r"referenced manual not found|outdated mandoc\.db")
    said = (done.stdout + done.stderr).splitlines()
    assert [line for line in said if not elsewhere.search(line)] == []
    assert not re.search(r"@[A-Z_]+@", PAGES[name].read_text())


def test_the_unit_of_the_man_page_allows_every_kind_of_address():
    """A service that may not have AF_UNIX cannot serve --listen unix:PATH; and its directory is one
    that the unit makes."""
    unit = re.search(r"\[Unit\].*?\n\.Ed", PAGES["wsbroadcastd"].read_text(), re.S)[0]
    families = re.search(r"^RestrictAddressFamilies=(.*)$", unit, re.M)[1]
    assert set(families.split()) == {"AF_INET", "AF_INET6", "AF_UNIX"}
    assert "RuntimeDirectory=wsbroadcastd\n" in unit


def test_the_man_page_has_the_signals_and_variables_of_help():
    text = help_of("wsrecv")
    named = set(re.findall(r"\b(?:SIG[A-Z0-9]+|[A-Z]+_[A-Z]+|[a-z]+_proxy)\b", text))
    assert {"SIGUSR1", "WSRECV_TOKEN", "no_proxy"} <= named
    ours = section(page("wsrecv"), "SIGNALS", "FILES")
    assert {name for name in named if name not in ours} == set()


@each_program
def test_every_option_that_the_man_page_mentions_is_one(name):
    ours = section(page(name), "DESCRIPTION", r"EXAMPLES")
    mentioned = set(re.findall(r"(?<![\w-])--[a-z][\w-]*", ours))
    assert mentioned - names(options_in(help_of(name), "  ")) == set()


@each_program
def test_a_page_that_cannot_be_made_is_not_left_half_made(name, tmp_path):
    maker = PAGES[name].with_name(f"{name}_docs")
    template = tmp_path / "template"
    for text, said in (("@OPTIONS@\n", "@EXIT_STATUS@"), (None, "No such file")):
        template.unlink(missing_ok=True)
        if text:
            template.write_text(text)
        done = subprocess.run(
            [maker, "man", tmp_path / "page", template], capture_output=True, text=True
        )
        assert done.returncode == 1
        assert re.fullmatch(rf".*{said}.*\n", done.stderr)
        assert not (tmp_path / "page").exists()


@each_program
def test_what_cannot_be_written_is_an_error_and_goes(name, tmp_path):
    maker = PAGES[name].with_name(f"{name}_docs")
    output = tmp_path / "completion"
    script = "trap '' XFSZ; ulimit -f 0; exec \"$@\""  # no file may have a single byte
    done = subprocess.run(
        ["bash", "-c", script, "bash", maker, "bash", output], capture_output=True, text=True
    )
    assert done.returncode == 1
    assert re.fullmatch(rf".*cannot write '{output}'\n", done.stderr)
    assert not output.exists()


# The completions


def in_bash(file: Path, *line: str) -> list[str]:
    """What bash offers for the last word of the line."""
    script = (
        'source "$1"; shift; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); '
        '"_$1"; printf "%s\\n" "${COMPREPLY[@]}"'
    )
    return run("bash", "-c", script, "bash", file, *line).split("\n")[:-1]


@each_program
def test_bash_offers_the_options_of_help_and_no_others(name, prefix):
    file = prefix / "share/bash-completion/completions" / name
    run("bash", "-n", file)
    options = options_in(help_of(name), "  ")
    assert set(in_bash(file, name, "-")) == names(options)
    assert in_bash(file, name, "--vers") == ["--version"]
    assert in_bash(file, name, "--", "--vers") == [""]
    assert in_bash(file, name, "") == [""]
    for option in options:
        if option.argument.strip() not in ("", "FILE") and not option.argument.startswith("["):
            assert not any(word.startswith("-") for word in in_bash(file, name, f"--{option.name}", "-"))


def test_bash_offers_files_and_words_as_arguments(prefix, tmp_path):
    files = prefix / "share/bash-completion/completions"
    (tmp_path / "a key.pem").touch()
    for words_before in (["--cert"], ["--cert", "="]):
        offered = in_bash(files / "wsrecv", "wsrecv", *words_before, f"{tmp_path}/a")
        assert offered == [f"{tmp_path}/a key.pem"]
    for words_before in (["--log-level"], ["--log-level", "="]):
        assert in_bash(files / "wsbroadcastd", "wsbroadcastd", *words_before, "de") == ["debug"]
    levels = ["error", "warn", "info", "debug"]
    assert in_bash(files / "wsbroadcastd", "wsbroadcastd", "--log-level", "=") == levels


class Zsh:
    """A zsh at a terminal, whose line editor completes."""

    def __init__(self, functions: Path) -> None:
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.environ["TERM"] = "dumb"
            os.execvp("zsh", ["zsh", "-f", "-i"])
        # A screen on which every list has room: else zsh would ask whether to show it.
        self.type(f"stty cols 250 rows 900; LISTMAX=800 PS1=''; fpath=({functions} $fpath)\n")
        self.type("autoload -U compinit; compinit -u -D; print rea''dy\n")
        self.wait("ready")

    def type(self, text: str) -> None:
        os.write(self.fd, text.encode())

    def wait(self, pattern: str) -> str:
        """What comes on the screen, until it matches the pattern."""
        seen = ""
        deadline = time.monotonic() + rawws.TIMEOUT
        while not re.search(pattern, seen):
            left = max(0, deadline - time.monotonic())
            assert select.select([self.fd], [], [], left)[0], f"no {pattern!r} in {seen!r}"
            seen += os.read(self.fd, 65536).decode(errors="replace").replace("\r", "")
        return seen

    def complete(self, line: str, pattern: str) -> str:
        """What comes on the screen after a Tab, instead of the line before."""
        self.type(f"\x15{line}\t")
        return self.wait(pattern)

    def close(self) -> None:
        os.close(self.fd)
        os.waitpid(self.pid, 0)


@pytest.fixture
def zsh(prefix):
    shell = Zsh(prefix / "share/zsh/site-functions")
    yield shell
    shell.close()


@each_program
def test_zsh_offers_the_options_of_help_and_no_others(name, prefix, zsh):
    run("zsh", "-n", prefix / "share/zsh/site-functions" / f"_{name}")
    # The list, and behind it the line again.
    listed = zsh.complete(f"{name} -", rf"(?s)\n-.*\n[^\n]*{name} -")
    offered = set()
    for line in listed.splitlines():
        before, found, _ = line.partition(" -- ")
        if found and before.startswith("-"):
            offered.update(before.split())
    assert offered == names(options_in(help_of(name), "  "))


def test_zsh_offers_files_and_words_as_arguments(zsh, tmp_path):
    (tmp_path / "some.pem").touch()
    zsh.complete(f"wsrecv --cert {tmp_path}/so", re.escape(f"{tmp_path}/some.pem"))
    zsh.complete("wsbroadcastd --log-level=de", "--log-level=debug")


@needs_fish
@each_program
def test_fish_offers_the_options_of_help_and_no_others(name, prefix, tmp_path):
    file = prefix / "share/fish/vendor_completions.d" / f"{name}.fish"
    home = {**os.environ, "HOME": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path)}
    run("fish", "--no-execute", file)

    def offered(line: str) -> list[str]:
        script = "source $argv[1]; complete -C $argv[2]"
        said = run("fish", "--no-config", "-c", script, file, line, env=home)
        return [one.split("\t")[0] for one in said.splitlines()]

    # Behind the '=' there may be an argument.
    assert {word.rstrip("=") for word in offered(f"{name} -")} == names(options_in(help_of(name), "  "))
    assert offered(f"{name} --vers") == ["--version"]
    if name == "wsbroadcastd":
        assert offered(f"{name} --log-level de") == ["debug"]
    else:
        (tmp_path / "some.pem").touch()
        assert offered(f"{name} --cert {tmp_path}/so") == [f"{tmp_path}/some.pem"]


# Where they go


@each_program
def test_cmake_installs_the_documents_where_they_are_looked_for(name, prefix):
    installed = {
        f"share/man/man{PAGES[name].suffix[1:]}/{PAGES[name].name}": PAGES[name],
        f"share/bash-completion/completions/{name}": PAGES[name].with_suffix(".bash"),
        f"share/zsh/site-functions/_{name}": PAGES[name].with_suffix(".zsh"),
        f"share/fish/vendor_completions.d/{name}.fish": PAGES[name].with_suffix(".fish"),
    }
    for path, built in installed.items():
        assert (prefix / path).read_bytes() == built.read_bytes()
    assert not list(prefix.glob("**/*_docs"))


def test_cmake_installs_the_examples(prefix):
    assert {path.name for path in (prefix / "share/doc/wsbroadcast/examples").iterdir()} == {
        "alerts.yml", "grafana-dashboard.json", "prometheus.yml", "wsbroadcastd.conf"}
