"""CPU a heartbeat, durable, against the floor, in turn, in one run.

Paper estimate: the floor's own work, 1.2 µs for head cache, device, columns and limits, and one commit (85 µs of CPU
for write and sync) shared by as many as wait for it: 1.2-1.4 from 128 connections on, 2 at 32.

    python benchmarks/load/bench_heartbeats.py [--rounds 5] [--seconds 4]
"""

import argparse
import tempfile
from pathlib import Path

from harness import fleetpulse, floor, median_of, record, write_devices, wrk

DEVICES = 1_000
CASES = {"128 connections": (128, False, 1.4), "512 connections": (512, False, 1.4), "32 connections": (32, False, 2.1)}
CASES |= {"64, a connection a request": (64, True, 1.35)}


def main() -> None:
    """Measure and record."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=4.0)
    chosen = parser.parse_args()
    figures, goals = {}, {}
    with tempfile.TemporaryDirectory() as name:
        devices = write_devices(Path(name) / "devices.csv", DEVICES)
        with fleetpulse(Path(name), devices=devices) as server, floor() as yardstick:
            for case, (connections, close, goal) in CASES.items():
                rounds = []
                for _ in range(chosen.rounds):
                    ours, least = (
                        wrk(process, count=DEVICES, connections=connections, seconds=chosen.seconds, close=close)
                        for process in (server, yardstick)
                    )
                    rounds.append(
                        {
                            "ratio": ours["cpu_us"] / least["cpu_us"],
                            "server_cpu_us": ours["cpu_us"],
                            "floor_cpu_us": least["cpu_us"],
                            "server_rps": ours["rps"],
                            "server_p99_ms": ours["p99_ms"],
                        }
                    )
                figures[case] = median_of(rounds)
                goals[f"CPU ratio server/floor, {case}"] = (figures[case]["ratio"], goal)
    record("heartbeats", figures, goals)


if __name__ == "__main__":
    main()
