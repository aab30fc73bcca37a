"""Uptime by time: the figures of fleets that slots punished or excused, and what questions about uptime cost.

Each fleet of the first part is one that `generate` makes and the real command serves. The second part asks about 30
days of 100,000 devices, and about a day of a million.

Paper estimate: 30 days of one device open 60 small files that are cached, 2 ms; 30 days of 100,000 devices read some
100,000 gaps on each clock and sum three columns by site, 60 ms; a day of a million sums one column, 100 ms, of which
the share of each device is a division.

    python benchmarks/load/bench_uptime.py [--keep FOLDER]
"""

import argparse
import json
import tempfile
from collections.abc import Iterator, Sequence
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

from bench_questions import ask, generate, of_devices, same
from harness import Process, fleetpulse, pin_load, record

FEW = 20
"""Devices of each fleet whose figures are looked at."""
SILENT = ("--outage-share", "0", "--link-outage-share", "0", "--missed-share", "0")
NIGHTLY = {
    "all": True,
    "start": "2020-01-01T00:00:00Z",
    "recurrence": {"at": "02:00", "duration": "1m", "timezone": "UTC"},
}
DAY_S = 86_400
FLEETS: dict[str, tuple[Sequence[str], int, str, bool]] = {
    "60 s ± 0.5 s around the full minute, 24 h": (("--phase", "edge", "--jitter-s", "0.5"), 3, "24h", False),
    "every 60.2 s, 24 h": (("--period-s", "60.2"), 3, "24h", False),
    "every 61 s, 24 h": (("--period-s", "61"), 3, "24h", False),
    "5 m ± 2 s at the slot's edge, 24 h": (
        ("--interval-s", "300", "--phase", "edge", "--jitter-s", "2"), 3, "24h", False,
    ),
    "1 d, last beat 29 d ago, a minute of maintenance a night, 28 d": (
        ("--interval-s", str(DAY_S), "--silent-s", str(29 * DAY_S)), 40, "28d", True,
    ),
    "1 h, last beat 5 h ago, blind a second each hour, 4 h 50 m": (
        ("--interval-s", "3600", "--silent-s", "18000", "--restart-every-s", "3600"), 3, "4h50m", False,
    ),
}  # fmt: skip
"""By name: how the fleet behaves, days of history, the window, and whether there is maintenance every night."""


def send(server: Process, method: str, path: str, body: object = None) -> dict[str, Any]:
    """One request, whose answer must be good."""
    connection = HTTPConnection("127.0.0.1", server.port, timeout=120)
    headers = {"Content-Type": "application/json"}
    connection.request(method, path, None if body is None else json.dumps(body), headers)
    answer = connection.getresponse()
    found: dict[str, Any] = json.loads(answer.read())
    assert answer.status < 300, found
    return found


def measure_figures(folder: Path, name: str) -> dict[str, float]:
    """The figures of one fleet, by time and by slots."""
    behaviour, days, window, is_maintained = FLEETS[name]
    generate(folder, "--devices", str(FEW), "--metrics", "0", *SILENT, *behaviour, days=days)
    with fleetpulse(folder) as server:
        if is_maintained:
            send(server, "POST", "/api/v1/maintenance", NIGHTLY)
        # Serving begins some seconds after the history ends, in which the service was blind and nobody beat.
        span = f"window={window}"
        by_time = send(server, "GET", f"/api/v1/fleet/uptime?{span}")["fleet"]
        by_slots = send(server, "GET", f"/api/v1/fleet/uptime?{span}&formula=uptime/1")["fleet"]
    return {
        "uptime": by_time["uptime"],
        "availability": by_time["availability"],
        "by slots": by_slots["uptime"],
        "accountable_s": by_time["accountable_s"],
    }


def below() -> Iterator[str]:
    """Which devices miss a promise."""
    return same("/api/v1/devices?uptime_below=99.9&uptime_window=24h&limit=100")


def measure_month(folder: Path) -> dict[str, Any]:
    """30 days of 100,000 devices."""
    with fleetpulse(folder) as server:
        one = of_devices(lambda device: f"/api/v1/devices/{device}/uptime?window=30d", 100_000)
        slots = of_devices(lambda device: f"/api/v1/devices/{device}/uptime?window=30d&formula=uptime/1", 100_000)
        fleet = "/api/v1/fleet/uptime?group_by=site&window=30d"
        return {
            "one device, 30 d": ask(server, one, 200),
            "one device, 30 d, by slots": ask(server, slots, 50),
            "by site, 30 d": ask(server, same(fleet), 20),
            "by site, 30 d, by slots": ask(server, same(f"{fleet}&formula=uptime/1"), 10),
        }


def measure_million(folder: Path) -> dict[str, Any]:
    """A day of a million devices."""
    with fleetpulse(folder, "--devices-max", "1100000") as server:
        return {
            "worst 20, 24 h": ask(server, same("/api/v1/fleet/worst?limit=20&window=24h"), 20),
            "worst 20 below 99.9 %, 24 h": ask(server, same("/api/v1/fleet/worst?limit=20&below=99.9&window=24h"), 20),
            "uptime_below, 24 h": ask(server, below(), 20),
            "resident MB": round(server.memory_mb(), 1),
        }


def main() -> None:
    """Generate, measure and record."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--keep", type=Path, help="folder to generate the histories in, or to find them in")
    chosen = parser.parse_args()
    pin_load()
    with tempfile.TemporaryDirectory() as name:
        folder = chosen.keep or Path(name)
        # These are asked at once, since a history that is found again ends at the time at which it was made.
        figures = {name: measure_figures(Path(folder) / f"few-{place}", name) for place, name in enumerate(FLEETS)}
        generate(folder / "b", "--devices", "100000", "--metrics", "0")
        month = measure_month(folder / "b")
        generate(folder / "million", "--devices", "1000000", "--metrics", "0", days=2)
        million = measure_million(folder / "million")
    edge, slow, slower, five, dead, blind = (figures[name]["uptime"] for name in FLEETS)
    goals = {
        "60 s at the minute's edge, % missing": (100 - edge, 0.001),
        "every 60.2 s, % missing": (100 - slow, 0.01),
        "every 61 s, % missing": (100 - slower, 0.01),
        "5 m at the slot's edge, % missing": (100 - five, 0.01),
        "dead for a month, %": (dead, 0.1),
        "dead for 5 h, %": (blind, 20),
        "one device, 30 d, p50 ms": (month["one device, 30 d"]["p50_ms"], 3),
        "by site, 30 d, p50 ms": (month["by site, 30 d"]["p50_ms"], 80),
        "worst 20 of a million, p50 ms": (million["worst 20, 24 h"]["p50_ms"], 300),
        "uptime_below of a million, p50 ms": (million["uptime_below, 24 h"]["p50_ms"], 300),
    }
    record("uptime", {"figures": figures, "month": month, "million": million}, goals)


if __name__ == "__main__":
    main()
