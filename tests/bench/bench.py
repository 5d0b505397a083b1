"""Runs the benchmark: scripts/bench calls it. See tests/README.md.

Rounds are interleaved (each round measures every server once in each case), so that what the
machine does meanwhile meets all servers alike. Every run is a line in results.jsonl, from which
the report is written.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import report
from cases import Case, cases
from servers import COMMANDS, HERE, Server, Unavailable, prepare

TABLES = ["table", "deflate", "open-loop", "storm", "idle", "slow", "tls", "workers"]


def say(text: str) -> None:
    print(f"bench: {text}", file=sys.stderr, flush=True)


def die(text: str, status: int = 1) -> None:
    say(text)
    sys.exit(status)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="scripts/bench", description=(
        "Measures wsbroadcastd beside the floor and other servers, and writes "
        "tests/bench/RESULTS.md and results.svg. The machine should have nothing else to do."))
    parser.add_argument("what", nargs="*", metavar="TABLE",
                        help=f"{', '.join(TABLES)}, all (default: table); render writes the report "
                             "again from what was measured before")
    parser.add_argument("--quick", action="store_true",
                        help="one short round, which only shows that everything works")
    parser.add_argument("--servers", metavar="NAME,…", help=f"only these: {', '.join(COMMANDS)}")
    parser.add_argument("--cases", metavar="TEXT", help="only cases with this in their title")
    parser.add_argument("--rounds", type=int, help="how often (default: 3)")
    parser.add_argument("--seconds", type=float, help="of a run (default: 2)")
    parser.add_argument("--fresh", action="store_true", help="forget what was measured before")
    parser.add_argument("--build", required=True, type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--output", type=Path, help="where the report goes (default: tests/bench; "
                                                    "with --quick, the build directory)")
    args = parser.parse_args()
    args.what = args.what or ["table"]
    for word in args.what:
        if word not in [*TABLES, "all", "render"]:
            die(f"'{word}' is none of {', '.join(TABLES)}, all, render", 2)
    for name in (args.servers or "").split(",") if args.servers else []:
        if name not in COMMANDS:
            die(f"there is no server '{name}'; there are {', '.join(COMMANDS)}", 2)
    return args


class Bench:
    """One call of the script."""

    def __init__(self, args: argparse.Namespace):
        self.args = args
        self.quick = args.quick
        self.seconds = args.seconds or (0.4 if self.quick else 2)
        self.build = args.build.resolve()
        self.raw = self.build / ("quick.jsonl" if self.quick else "results.jsonl")
        cpus = sorted(os.sched_getaffinity(0))
        if len(cpus) < 2:
            die("the server and the generator need a core each, and there is one; run it on a "
                "machine with two or more")
        self.server_cpus, self.load_cpus = {cpus[0]}, {cpus[1]}
        self.all_cpus = set(cpus)
        self.unavailable: set[str] = set()

    def chosen(self) -> list[Case]:
        only = self.args.servers.split(",") if self.args.servers else list(COMMANDS)
        found = []
        for case in cases(self.quick):
            case.servers = [name for name in case.servers if name in only]
            if ("all" in self.args.what or case.table in self.args.what) and case.servers and (
                    self.args.cases is None or self.args.cases in case.title):
                found.append(case)
        return found

    def load(self, case: Case, server: Server, cpus: set[int]) -> dict:
        """One run of wsload; what it printed, and why it failed, if it did."""
        command = [str(self.build / "tests/bench/wsload"), "--port", str(server.port)]
        for pid in server.pids():
            command += ["--server-pid", str(pid)]
        if case.timed:
            command += ["--seconds", str(self.seconds)]
        if self.quick:
            command += ["--warmup", "0.2"]
        process = subprocess.Popen([*command, *case.load], stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE, text=True, start_new_session=True,
                                   preexec_fn=prepare(cpus))
        try:
            out, why = process.communicate(timeout=300)
        except BaseException:
            process.kill()
            process.wait()
            raise
        result = json.loads(out) if out.strip() else {"ok": False}
        if why.strip():
            result["why" if process.returncode else "note"] = why.strip().splitlines()[-1]
        return result

    def measure(self, case: Case, name: str, round_number: int) -> None:
        spread = case.wish.workers > 1 or case.table == "workers"
        line = {"case": case.key, "server": name, "round": round_number}
        try:
            with Server(name, self.build, self.all_cpus if spread else self.server_cpus,
                        case.wish) as server:
                line["result"] = self.load(case, server,
                                           self.all_cpus if spread else self.load_cpus)
        except Unavailable as why:
            if (text := f"{case.key}, {name}: {why}") not in self.unavailable:
                self.unavailable.add(text)
                say(text)
            return
        except subprocess.TimeoutExpired:
            line["result"] = {"ok": False, "why": "it took more than five minutes"}
        if not line["result"]["ok"]:
            say(f"{case.key}, {name}: failed: {line['result'].get('why', 'wsload said nothing')}")
        with self.raw.open("a") as raw:
            raw.write(json.dumps(line) + "\n")

    def run(self) -> None:
        chosen = self.chosen()
        keys = {case.key for case in chosen}
        old = [] if self.args.fresh or not self.raw.exists() else [
            text for text in self.raw.read_text().splitlines()
            if (line := json.loads(text))["case"] not in keys
            or (self.args.servers and line["server"] not in self.args.servers.split(","))]
        self.raw.write_text("".join(text + "\n" for text in old))
        rounds = self.args.rounds or (1 if self.quick else 3)
        if rounds < 3:
            say("fewer than three rounds: these figures prove nothing")
        for number in range(1, rounds + 1):
            for case in chosen:
                say(f"round {number} of {rounds}: {case.key}")
                for name in case.servers:
                    self.measure(case, name, number)

    def render(self) -> None:
        output = self.args.output or (self.build if self.quick else HERE)
        if not self.raw.exists() or not self.raw.read_text().strip():
            die("nothing was measured yet")
        lines = [json.loads(text) for text in self.raw.read_text().splitlines()]
        report.write(lines, cases(self.quick), output, self.quick)
        say(f"wrote {output / 'RESULTS.md'}")


def main() -> None:
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: sys.exit(1))  # the servers are ended on the way out
    args = parse()
    bench = Bench(args)
    try:
        if args.what != ["render"]:
            bench.run()
        bench.render()
    except KeyboardInterrupt:
        die("interrupted; what was measured is kept", 130)


if __name__ == "__main__":
    main()
