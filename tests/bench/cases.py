"""What is measured: for each table its cases, the load of each, and which figure counts."""

from __future__ import annotations

from dataclasses import dataclass, field

from servers import COMMANDS, Wish

OURS = ["wsbroadcastd", "floor", "floor-poll"]
EVERYBODY = list(COMMANDS)


@dataclass
class Case:
    """One column of a table: a load on each of some servers."""

    table: str
    title: str
    load: list[str]  # arguments of wsload
    servers: list[str] = field(default_factory=lambda: EVERYBODY)
    wish: Wish = field(default_factory=Wish)
    timed: bool = True  # it lasts for a time, which --quick makes shorter

    @property
    def key(self) -> str:
        """Its name in results.jsonl."""
        return f"{self.table}: {self.title}"


def fan_out(title: str, *load: str) -> Case:
    return Case("table", title, list(load))


def cases(quick: bool) -> list[Case]:
    """All cases, in the order of the report."""
    storm = "2000" if quick else "20000"
    slow = ["--messages", "1000" if quick else "4000", "--size", "16K", "-W", "16"]
    sizes = "200,600,1000" if quick else "1000,10000,1000000"
    lag = Wish(options=["--max-lag", "4M"])
    made = [
        fan_out("W=1", "-W", "1"),
        fan_out("W=16", "-W", "16"),
        fan_out("W=64", "-W", "64"),
        fan_out("W=256", "-W", "256"),
        fan_out("W=64, 64 publishers", "-W", "64", "-P", "64"),
        fan_out("W=256, 256 publishers", "-W", "256", "-P", "256"),
        fan_out("10,000 subs W=1", "-n", "10000", "-W", "1"),
        fan_out("10,000 subs W=16", "-n", "10000", "-W", "16"),
        fan_out("100 subs 16 KiB W=1", "-n", "100", "-s", "16K", "-W", "1"),
        fan_out("100 subs 16 KiB W=16", "-n", "100", "-s", "16K", "-W", "16"),
    ]
    made += [
        Case("deflate", f"1 KiB JSON W={flight}", ["--deflate", "-s", "1K", "-W", flight],
             [name for name in EVERYBODY if not name.startswith("floor-")], Wish(deflate=True))
        for flight in ("1", "16")
    ]
    made += [Case("open-loop", f"{rate}/s", ["--rate", rate], OURS)
             for rate in ("500", "2000", "8000")]
    made += [
        Case("storm", "64 at a time", ["storm", "--connections", storm],
             [name for name in EVERYBODY if not name.startswith("floor-")], timed=False),
        Case("storm", "all at once, 1,000 established",
             ["storm", "--connections", "1000" if quick else "15000", "--concurrency", "15000",
              "--rate", "100"], ["wsbroadcastd", "floor"]),
        Case("idle", "idle", ["idle", "--source-addresses", "50", "--sizes", sizes],
             [name for name in EVERYBODY if not name.startswith("floor-")]),
    ]
    made += [
        Case("slow", "all read", ["-n", "1000", *slow], ["wsbroadcastd", "floor"], lag, False),
        Case("slow", "100 stop reading", ["-n", "900", "--slow", "100", *slow],
             ["wsbroadcastd", "floor"], lag, False),
        Case("tls", "plain", ["-s", "1K", "-W", "16"], ["wsbroadcastd"]),
        Case("tls", "TLS", ["-s", "1K", "-W", "16", "--tls"], ["wsbroadcastd"], Wish(tls=True)),
        Case("workers", "one worker", ["-W", "16"], ["wsbroadcastd"]),
        Case("workers", "two workers", ["-W", "16"], ["wsbroadcastd"], Wish(workers=2)),
    ]
    return made
