"""What is installed beside the programs: the units, by systemd's own judgement; the rule for logrotate,
with a real one."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import programs
import pytest

ROOT = Path(__file__).resolve().parents[2]
RULE = ROOT / "scripts/debian/wsbroadcast.wsbroadcastd.logrotate"
BUILD = Path(programs.WSBROADCASTD).resolve().parents[1]
LOGROTATE = shutil.which("logrotate", path=f"{os.environ.get('PATH', '')}:/usr/sbin")

needs_systemd = pytest.mark.skipif(shutil.which("systemd-analyze") is None,
                                   reason="systemd is not installed")


@pytest.fixture
def units(tmp_path) -> list[Path]:
    """Both units as they are installed, with the program of the build."""
    service = (BUILD / "server/wsbroadcastd.service").read_text()
    service, count = re.subn(r"^ExecStart=\S+", f"ExecStart={programs.WSBROADCASTD}", service,
                             flags=re.M)
    assert count == 1
    (tmp_path / "wsbroadcastd.service").write_text(service)
    shutil.copy(ROOT / "scripts/systemd/wsbroadcastd.socket", tmp_path)
    return [tmp_path / "wsbroadcastd.service", tmp_path / "wsbroadcastd.socket"]


def systemd_analyze(*argv: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["systemd-analyze", *argv], capture_output=True, text=True)


@needs_systemd
def test_systemd_finds_nothing_wrong_with_the_units(units):
    said = systemd_analyze("verify", "--man=no", *units)
    assert (said.returncode, [line for line in said.stderr.splitlines() if "wsbroadcastd" in line]) == (0, [])


@needs_systemd
def test_systemd_rates_the_exposure_of_the_service_1_5_or_better(units):
    said = systemd_analyze("security", "--offline=true", "--threshold=15", units[0])
    assert said.returncode == 0, said.stdout[-300:]


@pytest.mark.skipif(LOGROTATE is None, reason="logrotate is not installed (scripts/setup test)")
@pytest.mark.skipif(os.geteuid() != 0, reason="logrotate's \"su\" needs root")
def test_logrotate_moves_the_log_and_the_server_goes_on_in_a_new_one(start, tmp_path):
    """The rule as it is but for the directory, its owner, and how the service's process is found."""
    logs = tmp_path / "logs"
    logs.mkdir()
    log = logs / "server.log"
    server = start(programs.Program, [programs.WSBROADCASTD, "-l", f"unix:{tmp_path}/socket",
                                      "--log-file", str(log)])
    programs.wait_until("it listens", lambda: log.exists() and "listening on" in log.read_text())
    systemctl = tmp_path / "systemctl"
    systemctl.write_text(
        '#!/bin/sh\ncase "$*" in\n*is-active*) exit 0 ;;\n'
        f'"kill --kill-whom=main --signal=USR1 wsbroadcastd.service") kill -USR1 {server.pid} ;;\n'
        "*) exit 1 ;;\nesac\n"
    )
    systemctl.chmod(0o755)
    rule = tmp_path / "rule"
    rule.write_text(RULE.read_text().replace("/var/log/wsbroadcastd", str(logs))
                    .replace("su wsbroadcastd wsbroadcastd", "su root root"))  # fmt: skip
    rule.chmod(0o644)
    done = subprocess.run(
        [LOGROTATE, "--force", "--state", tmp_path / "state", rule], capture_output=True, text=True,
        env=os.environ | {"PATH": f"{tmp_path}:{os.environ['PATH']}"},
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    programs.wait_until("it is reopened", lambda: log.exists() and "reopened" in log.read_text())
    assert "listening on" in (logs / "server.log.1").read_text()
    server.stop()
    assert "stopping on SIGTERM" in log.read_text()
    assert "stopping" not in (logs / "server.log.1").read_text()
