"""From lines of results to RESULTS.md and results.svg."""

from __future__ import annotations

import os
import platform
import re
from collections import Counter
from pathlib import Path
from statistics import median

import plot
from cases import Case
from servers import TITLES

HOW_TO_READ = """\
**How to read it.** Every figure is the median of {rounds} interleaved rounds, with the least and
the greatest in parentheses. Server and generator have a core each, and talk over the loopback.
A *delivery* is one message received whole by one subscriber; figures are thousands of deliveries a
second of the server's CPU time (user and kernel), so that a server is not blamed for time it did
not use. `W` is how many messages are under way (closed loop: a message is done when every
subscriber has it, and then its publisher sends the next). 64 bytes, 1,000 subscribers and one
publisher unless said. Only ratios mean something on another machine.

`generator-bound`: the generator had no time left and the server had, so there is nothing to
compare. `~`: neither was busy all the time. `failed`: a delivery was lost, doubled or wrong, or a
connection was; stderr of the run said which. `–`: not measured.
"""


class Results:
    """The runs of each case and server."""

    def __init__(self, lines: list[dict]):
        self.runs: dict[tuple[str, str], list[dict]] = {}
        for line in lines:
            run = {**line["result"], "round": line["round"]}
            self.runs.setdefault((line["case"], line["server"]), []).append(run)

    def of(self, case: Case, server: str) -> list[dict]:
        return self.runs.get((case.key, server), [])

    def servers(self, cases: list[Case]) -> list[str]:
        return [name for name in TITLES if any(self.of(case, name) for case in cases)]

    def rounds(self) -> int:
        return max((len(runs) for runs in self.runs.values()), default=0)


def verdict(runs: list[dict], table: str) -> str | None:
    """Why there is no figure; None when there is one."""
    if not runs:
        return "–"
    if not all(run["ok"] for run in runs):
        return "failed"
    if table == "deflate" and not any(run["inflated"] for run in runs):
        return "does not compress"
    if table == "open-loop" and any(run["overload"] for run in runs):
        return "cannot"
    # What a connection costs is no rate: that the generator sets the pace does not spoil it.
    if table != "storm" and \
            Counter(run.get("bound_by") for run in runs)["generator"] * 2 > len(runs):
        return "generator-bound"
    return None


def number(value: float) -> str:
    """Three significant digits, with commas."""
    if value >= 100:
        return f"{float(f'{value:.3g}'):,.0f}"
    return f"{value:.3g}"


def spread(values: list[float]) -> str:
    """Median (least–greatest)."""
    if len(values) == 1:
        return number(values[0])
    return f"{number(median(values))} ({number(min(values))}–{number(max(values))})"


def throughput(run: dict) -> float:
    return run["deliveries_per_cpu_second"] / 1000


def cell(results: Results, case: Case, server: str, figure=throughput) -> str:
    runs = results.of(case, server)
    if why := verdict(runs, case.table):
        return why
    busy = Counter(run.get("bound_by") for run in runs)["server"] * 2 > len(runs)
    return ("" if busy or case.table in ("open-loop", "idle") else "~") + \
        spread([figure(run) for run in runs])


def ratio(results: Results, one: tuple[Case, str], other: tuple[Case, str],
          figure=throughput) -> str:
    """Of the two in each round, then the median of that."""
    for case, server in (one, other):
        if why := verdict(results.of(case, server), case.table):
            return why
    below = {run["round"]: figure(run) for run in results.of(*other)}
    ratios = [figure(run) / below[run["round"]] for run in results.of(*one)
              if below.get(run["round"])]
    return spread(ratios) if ratios else "–"


def table(heads: list[str], rows: list[list[str]]) -> str:
    return "\n".join(["| " + " | ".join(heads) + " |", "|" + "---|" * len(heads),
                      *("| " + " | ".join(row) + " |" for row in rows)]) + "\n"


# ---- the sections ----


def throughput_section(results: Results, cases: list[Case]) -> str:
    servers = results.servers(cases)
    rows = [[TITLES[name], *(cell(results, case, name) for case in cases)] for name in servers]
    if {"wsbroadcastd", "floor"} <= set(servers):
        rows.append(["wsbroadcastd : floor", *(
            ratio(results, (case, "wsbroadcastd"), (case, "floor")) for case in cases)])
    return "Thousands of deliveries a second of server CPU.\n\n" + table(
        ["server", *(case.title for case in cases)], rows)


def open_loop_section(results: Results, cases: list[Case]) -> str:
    rows = [[TITLES[name], *(
        f"{cell(results, case, name, lambda run: run['each_ms']['p50'])}; "
        f"{cell(results, case, name, lambda run: run['each_ms']['p99'])}; "
        f"{cell(results, case, name, lambda run: run['final_ms']['p50'])}" for case in cases)]
        for name in results.servers(cases)]
    return ("Messages a second at a fixed rate, one publisher, 1,000 subscribers: ms of all "
            "deliveries, p50; p99; and p50 of each message's last delivery. Time counts from when "
            "a message was due.\n\n") + table(["server", *(case.title for case in cases)], rows)


def storm_section(results: Results, cases: list[Case]) -> str:
    calm, rage = cases
    rows = [[TITLES[name],
             cell(results, calm, name, lambda run: run["server_us_per_connection"]),
             cell(results, rage, name, lambda run: run["handshake_ms"]["max"]),
             cell(results, rage, name, lambda run: run["quiet_p99_ms"]),
             cell(results, rage, name, lambda run: run["storm_p99_ms"])]
            for name in results.servers(cases)]
    if all(results.of(calm, name) for name in ("wsbroadcastd", "floor")):
        rows.append(["wsbroadcastd : floor", ratio(
            results, (calm, "wsbroadcastd"), (calm, "floor"),
            lambda run: run["server_us_per_connection"]), "", "", ""])
    return ("Connect, opening handshake, closing handshake. Over the loopback the generator pays for "
            "connecting, so it sets the pace; what counts is CPU time a connection. At once: all reconnect together while "
            "1,000 others get 100 messages a second.\n\n") + table(
        ["server", "µs of server CPU a connection", "at once: slowest handshake, ms",
         "p99 of the others before, ms", "p99 of the others meanwhile, ms"], rows)


def idle_section(results: Results, cases: list[Case]) -> str:
    case = cases[0]
    rows = []
    for name in results.servers(cases):
        last = [run["sizes"][-1] for run in results.of(case, name) if run.get("sizes")]
        if not last or verdict(results.of(case, name), "idle"):
            rows.append([TITLES[name], "failed", "", "", "", "", ""])
            continue
        rows.append([TITLES[name], f"{min(size['connections'] for size in last):,}",
                     cell(results, case, name, lambda run: run.get("anon_per_connection", 0)),
                     cell(results, case, name,
                          lambda run: run.get("kernel_per_connection_both_ends", 0)),
                     spread([100 * size["idle_share"] for size in last]),
                     spread([size["delivery_ms"] for size in last]),
                     spread([size["delivery_cpu_ms"] for size in last])])
    notes = {run["note"].removeprefix("wsload: ") for runs in results.runs.values() for run in runs
             if run.get("mode") == "idle" and "note" in run}
    return ("Connections that wait: slopes from the smallest to the largest number of them that "
            "this machine's limits allow. The kernel's bytes are slab and socket buffers, of both "
            "ends.\n\n") + table(
        ["server", "connections", "B a connection, user (RssAnon)", "B, kernel, both ends",
         "% of a core while idle", "one message to all, ms", "its server CPU, ms"], rows) + "".join(
        f"\n{note[0].upper()}{note[1:]}.\n" for note in sorted(notes))


def slow_section(results: Results, cases: list[Case]) -> str:
    rows = []
    for name in results.servers(cases):
        for case in cases:
            runs = results.of(case, name)
            closed = "" if not runs or "slow" not in runs[0] else \
                f"{runs[-1]['slow_closed']} ({runs[-1]['slow_closed_1008']})"
            rows.append([f"{TITLES[name]}, {case.title}", cell(results, case, name),
                         cell(results, case, name, lambda run: run["each_ms"]["p99"]),
                         cell(results, case, name, lambda run: (
                             run["server_peak"] - run["server_anon_before"]) / 2**20), closed])
    return ("16 KiB, W=16, 1,000 subscribers, of whom in every second row 100 never read; "
            "wsbroadcastd with `--max-lag 4M`. The floor lets a reader be 64 MiB behind. Who wakes only "
            "after the server has given up on the closing handshake sees no code.\n\n"
            ) + table(
        ["server", "thousands of deliveries a CPU second", "p99, ms",
         "memory: peak RSS over RssAnon at the beginning, MiB", "slow that were closed (and saw 1008)"], rows)


def pair_section(results: Results, cases: list[Case]) -> str:
    first, second = cases
    rows = [[f"{TITLES['wsbroadcastd']}, {case.title}", cell(results, case, "wsbroadcastd")]
            for case in cases]
    rows.append([f"{second.title} : {first.title}",
                 ratio(results, (second, "wsbroadcastd"), (first, "wsbroadcastd"))])
    return table(["", "thousands of deliveries a CPU second"], rows)


SECTIONS = {
    "table": ("Fan-out", throughput_section),
    "deflate": ("Compression (permessage-deflate)", throughput_section),
    "open-loop": ("Latency at a fixed rate", open_loop_section),
    "storm": ("Connect storms", storm_section),
    "idle": ("Idle connections", idle_section),
    "slow": ("Slow readers", slow_section),
    "tls": ("TLS (1 KiB, W=16)", pair_section),
    "workers": ("Workers (W=16; server and generator on all cores)", pair_section),
}


def machine() -> str:
    """What it is, without its name."""
    info = Path("/proc/cpuinfo").read_text()
    model = re.search(r"^model name\s*: (.*)$", info, re.MULTILINE)
    memory = int(re.search(r"MemTotal:\s+(\d+)", Path("/proc/meminfo").read_text())[1])
    virtual = ", a virtual machine" if " hypervisor" in info else ""
    return (f"{model[1] if model else platform.machine()}{virtual}; {os.cpu_count()} CPUs; "
            f"{memory / 2**20:.0f} GiB; Linux {platform.release().split('-')[0]}")


COST = "## What a request costs"  # the section that cost.py writes


def take_cost(text: str) -> tuple[str, str]:
    """A report without that section, and the section, or "" if there is none."""
    found = re.search(rf"^{COST}$.*?(?=^## |\Z)", text, re.MULTILINE | re.DOTALL)
    return (text[: found.start()] + text[found.end() :], found[0]) if found else (text, "")


def put_cost(output: Path, section: str) -> None:
    """Puts the section at the end of the report, in place of the one from before."""
    path = output / "RESULTS.md"
    rest, _ = take_cost(path.read_text() if path.exists() else "")
    path.write_text(rest.rstrip("\n") + "\n\n" + section.rstrip("\n") + "\n")


def write(lines: list[dict], cases: list[Case], output: Path, quick: bool) -> None:
    """Writes both files into the directory."""
    results = Results(lines)
    parts = ["# Results of the benchmark\n",
             "Written by `scripts/bench`; do not edit. What was tried and did not win stands in "
             "`TRIED.md` beside this file, if anything was.\n", f"Machine: {machine()}.\n",
             HOW_TO_READ.format(rounds=results.rounds())]
    if quick or results.rounds() < 3:
        parts.append("**These are too few rounds to prove anything.**\n")
    for name, (title, section) in SECTIONS.items():
        measured = [case for case in cases if case.table == name]
        if any(results.of(case, server) for case in measured for server in TITLES):
            parts.append(f"## {title}\n\n{section(results, measured)}")
            if name == "table":
                parts.append("![deliveries a second of server CPU, by server and load]"
                             "(results.svg)\n")
    output.mkdir(parents=True, exist_ok=True)
    path = output / "RESULTS.md"
    _, cost = take_cost(path.read_text() if path.exists() else "")
    path.write_text("\n".join(parts))
    if cost:
        put_cost(output, cost)
    columns = [case for case in cases if case.table == "table"]
    bars = {TITLES[name].strip("*"): [
        None if verdict(runs := results.of(case, name), "table")
        else median(throughput(run) for run in runs) for case in columns]
        for name in results.servers(columns)}
    if bars:
        (output / "results.svg").write_text(plot.bars([case.title for case in columns], bars))
