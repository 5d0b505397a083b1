"""A real Prometheus scrapes the operator's address; the dashboard and the alert rules that are installed
as examples ask for metrics that there are."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import urllib.parse
import urllib.request
from pathlib import Path

import programs
import pytest
import rawws

from test_admin import Admin

EXAMPLES = Path(__file__).resolve().parents[2] / "scripts/monitoring"
ALERTS = EXAMPLES / "alerts.yml"
needs_prometheus = pytest.mark.skipif(
    shutil.which("prometheus") is None, reason="prometheus is not installed (scripts/setup test)")
NAME = re.compile(r"\b(?:wsbroadcastd|process)_\w+")


def dashboard_queries() -> list[str]:
    """The expressions of all panels."""
    dashboard = json.loads((EXAMPLES / "grafana-dashboard.json").read_text())
    found = [target["expr"] for panel in dashboard["panels"] for target in panel.get("targets", [])]
    assert len(found) > 20
    return found


def promtool(*words: str) -> str:
    """What it prints; it must find nothing wrong."""
    done = subprocess.run(["promtool", *words], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.mark.parametrize("file", sorted(path.name for path in EXAMPLES.iterdir()))
def test_every_metric_that_an_example_names_is_exported(start, file):
    page = Admin(start).ask("GET", "/metrics")[1]
    names = set(re.findall(r"^([a-z_]+)(?:\{| )", page, re.M))
    for name in NAME.findall((EXAMPLES / file).read_text()):
        assert name in names, name


def test_the_dashboard_shows_every_metric(start):
    page = Admin(start).ask("GET", "/metrics")[1]
    shown = {re.sub("_(bucket|sum|count)$", "", name)
             for query in dashboard_queries() for name in NAME.findall(query)}
    families = set(re.findall("^# TYPE ([a-z_]+) ", page, re.M))
    assert families - shown == {"wsbroadcastd_memory_limit_bytes"}  # it dwarfs what is used


@needs_prometheus
def test_promtool_finds_nothing_in_the_examples():
    promtool("check", "rules", str(ALERTS))
    promtool("check", "config", str(EXAMPLES / "prometheus.yml"))


@needs_prometheus
def test_each_alert_fires_when_it_should_and_only_then(tmp_path):
    source = Path(__file__).with_name("alerts_test.yml").read_text()
    for alert in re.findall(r"- alert: (\w+)", ALERTS.read_text()):
        assert f'alertname="{alert}"' in source, alert
    (tmp_path / "test.yml").write_text(source.replace("@ALERTS@", str(ALERTS)))
    assert "SUCCESS" in promtool("test", "rules", str(tmp_path / "test.yml"))


class Prometheus(programs.Program):
    """A Prometheus of the test's own, with the example configuration, which scrapes a server."""

    def __init__(self, directory: Path, admin_port: int) -> None:
        configuration = (EXAMPLES / "prometheus.yml").read_text()
        assert "127.0.0.1:9000" in configuration and configuration.count("15s") == 2
        configuration = configuration.replace("127.0.0.1:9000", f"127.0.0.1:{admin_port}")
        (directory / "prometheus.yml").write_text(configuration.replace("15s", "100ms"))
        shutil.copy(ALERTS, directory)
        super().__init__(["prometheus", f"--config.file={directory}/prometheus.yml",
                          f"--storage.tsdb.path={directory}/data",
                          "--web.listen-address=127.0.0.1:0"])
        found = self.wait_stderr(r'msg="Listening on" address=127\.0\.0\.1:(\d+)')
        self.port = int(found[0][1])
        self.wait_stderr("Server is ready to receive web requests")

    def ask(self, path: str, **query: str) -> dict:
        url = f"http://127.0.0.1:{self.port}/api/v1/{path}?{urllib.parse.urlencode(query)}"
        with urllib.request.urlopen(url, timeout=rawws.TIMEOUT) as response:
            answer = json.load(response)
        assert answer["status"] == "success"
        return answer["data"]

    def value(self, query: str) -> float | None:
        rows = self.ask("query", query=query)["result"]
        return float(rows[0]["value"][1]) if rows else None


@needs_prometheus
@pytest.mark.parametrize("workers", ["1", "3"])
def test_a_real_prometheus_scrapes_it(start, tmp_path, workers):
    admin = Admin(start, "-w", workers)
    prometheus = start(Prometheus, tmp_path, admin.port)
    with admin.server.client() as client:
        client.send_text("hello")
        assert client.recv_message() == "Message: hello"
        programs.wait_until("the delivery is seen", lambda: prometheus.value(
            'wsbroadcastd_deliveries_total{job="wsbroadcastd"}') == 1)
        assert prometheus.value('wsbroadcastd_connections{transport="websocket"}') == 1
        assert prometheus.value("count(wsbroadcastd_turn_duration_seconds_count)") == int(workers)
    (target,) = prometheus.ask("targets")["activeTargets"]
    assert (target["health"], target["lastError"]) == ("up", "")


@needs_prometheus
def test_every_query_of_the_dashboard_and_every_rule_has_a_result(start, tmp_path):
    admin = Admin(start)
    prometheus = start(Prometheus, tmp_path, admin.port)
    programs.wait_until("two scrapes", lambda: (prometheus.value(
        "count_over_time(up[1m])") or 0) > 1)
    for query in dashboard_queries():
        query = query.replace("$job", "wsbroadcastd").replace("$instance", ".*")
        query = query.replace("$__rate_interval", "1m").removesuffix(" > 0")
        assert prometheus.ask("query", query=query)["result"], query

    def rules() -> list[dict]:
        return [rule for group in prometheus.ask("rules")["groups"] for rule in group["rules"]]

    programs.wait_until("all are evaluated", lambda: all(r["health"] != "unknown" for r in rules()))
    assert {rule["health"] for rule in rules()} == {"ok"}
    assert {rule["state"] for rule in rules()} == {"inactive"}
