#!/usr/bin/python3
"""How fast wsrecv receives: messages for a second of its CPU time, from a server that sends as fast
as it can, beside a floor (floor.c), Node's ws and Python's websockets, all printing the same
lines. The programs take turns; a figure is the median of the rounds. Prints a line of JSON a case.

recv.py --bin DIRECTORY [--wsrecv PROGRAM] [--rounds N] [--scale F] [--only PROGRAMS]
"""

from __future__ import annotations

import argparse
import json
import os
import re
import statistics
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
COUNTS = {  # messages in a run: enough for the start of the program not to matter
    64: {"wsrecv": 12_000_000, "floor": 30_000_000, "node": 600_000, "websockets": 100_000},
    16384: {"wsrecv": 200_000, "floor": 200_000, "node": 40_000, "websockets": 20_000},
}


def run(argv: list[str], sink: str) -> tuple[float, int]:
    """Seconds of CPU and the most resident kilobytes of the program; stdout goes to the sink."""
    wc = None
    if sink == "wc":
        wc = subprocess.Popen(["wc", "-l"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        out = wc.stdin
    else:
        out = open(os.devnull, "wb")  # noqa: SIM115 (closed below)
    environment = {**os.environ, "NODE_PATH": "/usr/share/nodejs"}
    process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=out, env=environment)
    out.close()
    peak = 0
    while True:  # ru_maxrss would count what this Python had when it forked
        pid, status, usage = os.wait4(process.pid, os.WNOHANG)
        if pid:
            break
        found = re.search(r"^VmHWM:\s+(\d+)", Path(f"/proc/{process.pid}/status").read_text(), re.M)
        peak = max(peak, int(found[1])) if found else peak
        time.sleep(0.01)
    process.returncode = os.waitstatus_to_exitcode(status)
    lines = int(wc.stdout.read()) if wc else None
    if wc:
        wc.stdout.close()
        wc.wait()
    assert process.returncode == 0, f"{argv}: status {process.returncode}"
    if lines is not None:
        assert lines == int(argv[-1].rsplit("/", 1)[1]), f"{argv}: {lines} lines"
    return usage.ru_utime + usage.ru_stime, peak


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--bin", required=True, help="where firehose and recv_floor are")
    parser.add_argument("--wsrecv", help="the program (default: in the build of --bin)")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--scale", type=float, default=1.0, help="of the number of messages")
    parser.add_argument("--only", default="", help="programs, separated by commas")
    options = parser.parse_args()
    wsrecv = options.wsrecv or str(Path(options.bin).parents[2] / "client" / "wsrecv")
    with subprocess.Popen([f"{options.bin}/firehose"], stdout=subprocess.PIPE) as server:
        try:
            port = int(server.stdout.readline())
            for size, counts in COUNTS.items():
                for sink in ("null", "wc"):
                    measure(options, wsrecv, port, size, counts, sink)
        finally:
            server.kill()


def measure(options, wsrecv: str, port: int, size: int, counts: dict[str, int], sink: str) -> None:
    """One case: all programs, in turns."""
    base = f"ws://127.0.0.1:{port}"
    argvs = {
        "wsrecv": [wsrecv, "-q", "--no-compression", f"{base}/TARGET"],
        "floor": [f"{options.bin}/recv_floor", str(port), "/TARGET"],
        "node": ["/usr/bin/node", str(HERE / "node.js"), f"{base}/TARGET"],
        "websockets": ["/usr/bin/python3", str(HERE / "pywebsockets.py"), f"{base}/TARGET"],
    }
    if options.only:
        argvs = {name: argvs[name] for name in options.only.split(",")}
    rates: dict[str, list[float]] = {name: [] for name in argvs}
    peaks: dict[str, int] = dict.fromkeys(argvs, 0)
    for _ in range(options.rounds):
        for name, argv in argvs.items():
            count = max(1, int(counts[name] * options.scale))
            full = [*argv[:-1], argv[-1].replace("TARGET", f"{size}/{count}")]
            cpu, rss = run(full, sink)
            rates[name].append(count / cpu)
            peaks[name] = max(peaks[name], rss)
    result = {"case": "recv", "size": size, "sink": sink}
    for name in argvs:
        result[f"{name}_per_cpu_second"] = round(statistics.median(rates[name]))
        result[f"{name}_rss_kib"] = peaks[name]
    mine = result["wsrecv_per_cpu_second"]
    result["mb_per_cpu_second"] = round(mine * size / 1e6)
    for name in argvs:
        if name != "wsrecv":
            result[f"of_{name}"] = round(mine / result[f"{name}_per_cpu_second"], 2)
    print(json.dumps(result))
    sys.stdout.flush()


if __name__ == "__main__":
    main()
