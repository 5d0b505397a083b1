"""The scripts, on a machine on which every package is missing: only scripts/demo and scripts/test
install packages, and not with --no-install; the others name what is missing and end."""

import os
import pathlib
import subprocess

import pytest

SCRIPTS = pathlib.Path(__file__).resolve().parents[2] / "scripts"


@pytest.fixture
def run(tmp_path):
    """Runs a script with a dpkg-query that knows no package, and an apt-get and a sudo that write down
    their arguments and fail. Returns status, stderr, and what was written down."""
    written = tmp_path / "written"
    commands = {"dpkg-query": "exit 1", "apt-get": f'echo "$@" >>{written}; exit 1',
                "sudo": 'exec "$@"'}
    for name, text in commands.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{text}\n")
        (tmp_path / name).chmod(0o755)

    def run(*words):
        done = subprocess.run([SCRIPTS / words[0], *words[1:]], stdin=subprocess.DEVNULL,
                              env={**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"},
                              capture_output=True, text=True, timeout=60)
        return done.returncode, done.stderr, written.read_text() if written.exists() else ""

    return run


@pytest.mark.parametrize("command", [
    ["bench"], ["build"], ["coverage"], ["fuzz"], ["lint"], ["soak"], ["setup", "--check"],
    ["demo", "--no-install"], ["test", "--no-install"]], ids=" ".join)
def test_a_missing_package_is_named_and_nothing_is_installed(run, command):
    status, stderr, installed = run(*command)
    assert (status, installed) == (1, "")
    assert "missing: build-essential cmake" in stderr
    assert "to install them: sudo scripts/setup build" in stderr


@pytest.mark.parametrize("command", [["demo"], ["test"], ["setup"]], ids=" ".join)
def test_the_commands_of_the_readme_install_what_is_missing(run, command):
    status, stderr, installed = run(*command)
    assert status == 1 and "apt-get could not install them" in stderr
    assert "install --no-install-recommends build-essential cmake" in installed


@pytest.mark.parametrize("name", sorted(
    path.name for path in SCRIPTS.iterdir() if path.is_file() and os.access(path, os.X_OK)))
def test_every_script_has_help(run, name):
    assert run(name, "--help")[0] == 0


# The others hand on what they do not know, to CTest or to bench.py.
@pytest.mark.parametrize("name", ["build", "demo", "fresh", "fuzz", "layers", "lint", "setup", "soak"])
def test_an_option_that_there_is_not_is_named_and_is_wrong_usage(run, name):
    status, stderr, _ = run(name, "--no-such-option")
    assert status == 2 and "--no-such-option" in stderr
