"""Heartbeats beside everything that the routes allow at once (`pressure.py`), paired with the same in quiet.

500 heartbeats a second, first alone, then under pressure, then alone again. The server has core 0, the load core 1; the
clients that press are a process of their own, of lower priority than the one that measures.

Paper estimate: the loop's own work at 500 heartbeats a second is a hundredth of a core; a thread that computes holds
the interpreter for at most 5 ms at a time, so one of them and a slice of the loop of 10 ms make 15 ms, beside the
syncs of the disk. With --keep in /dev/shm these are left out.

    python benchmarks/load/bench_pressure.py [--keep FOLDER] [--seconds 60] [--other ../before]
"""

import argparse
import asyncio
import json
import subprocess
import sys
import tempfile
import time
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from bench_pairs import of_checkout
from bench_questions import generate
from harness import HERE, LOAD_CORE, Process, fleetpulse, pace, percentiles, pin_load, record

DEVICES, METRICS, RATE = 1_000, 2, 500
REST_S = 60.0
"""After the pressure, before memory is measured again."""


def heartbeats(server: Process, seconds: float) -> dict[str, float]:
    """Latencies of 500 heartbeats a second, none of them refused."""
    load = pace(
        server.port, count=DEVICES, rate=RATE, seconds=seconds, connections=50, name="device-{:07d}", patience_s=60
    )
    latencies_s = asyncio.run(load)
    return {**percentiles(latencies_s), "heartbeats": len(latencies_s)}


def measure(folder: Path, seconds: float) -> dict[str, Any]:
    """Quiet, pressure, and rest, of one server."""
    figures: dict[str, Any] = {}
    with fleetpulse(folder, "--earliest", "2000-01-01T00:00:00Z") as server:
        figures["quiet"] = heartbeats(server, seconds / 3)
        figures["memory_mb"] = {"started": round(server.memory_mb(), 1)}
        command = ["taskset", "-c", str(LOAD_CORE), "nice", sys.executable, str(HERE / "pressure.py")]
        flags = ["--port", str(server.port), "--devices", str(DEVICES), "--seconds", str(seconds)]
        with subprocess.Popen([*command, *flags], stdout=subprocess.PIPE, text=True) as pressing:
            assert pressing.stdout
            pressing.stdout.readline()  # "learned": each question was answered once, and the pressure begins
            figures["memory_mb"]["before"] = round(server.memory_mb(), 1)
            figures["under pressure"] = heartbeats(server, seconds)
            tally = json.loads(pressing.stdout.read() or '{"faults": ["no tally"]}')
        figures["clients"] = tally
        time.sleep(REST_S)
        figures["memory_mb"] |= {"after": round(server.memory_mb(), 1), "peak": round(server.memory_mb("VmHWM"), 1)}
        figures["afterwards"] = heartbeats(server, seconds / 3)
    return figures


def main() -> None:
    """Generate, press and record."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--keep", type=Path, help="folder to generate the history in, or to find it in")
    parser.add_argument("--seconds", type=float, default=60, help="how long the pressure lasts")
    parser.add_argument("--other", type=Path, help="another checkout, whose server is measured instead")
    chosen = parser.parse_args()
    pin_load()
    with tempfile.TemporaryDirectory() as name, of_checkout(chosen.other) if chosen.other else nullcontext():
        folder = chosen.keep or Path(name)
        generate(folder, "--devices", str(DEVICES), "--metrics", str(METRICS))
        figures = measure(folder, chosen.seconds)
    memory, pressed = figures["memory_mb"], figures["under pressure"]
    goals = {
        "heartbeats under pressure, p99 ms": (pressed["p99_ms"], 40),
        "heartbeats under pressure, worst ms": (pressed["worst_ms"], 150),
        "resident memory after a minute, ratio to before": (memory["after"] / memory["before"], 1.25),
        "clients' faults": (len(figures["clients"]["faults"]), 0),
    }
    record("pressure-other" if chosen.other else "pressure", figures, goals)


if __name__ == "__main__":
    main()
