"""CPU a heartbeat of a node whose journal is a stream of NATS (one server), against one with SQLite, in one run.

The node on NATS has its catalog on PostgreSQL and its blocks on S3, as nodes that share what they store must.

Paper estimate: an append costs 0.2 ms of CPU more than SQLite's, for the message and the event loop of its connection,
and each entry comes back to be followed, 0.05 ms; of the 128 heartbeats in an entry each has 2 µs of that, of 17.

    python benchmarks/load/bench_shared_heartbeats.py [--rounds 5] [--seconds 4]
"""

import argparse
import sys
import tempfile
from pathlib import Path

from harness import fleetpulse, median_of, record, write_devices, wrk

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tests"))
from nats_server import NatsCluster
from postgres_server import PostgresServer
from s3_server import running_s3

DEVICES, CONNECTIONS, GOAL = 1_000, 128, 1.25


def main() -> None:
    """Measure and record."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=4.0)
    chosen = parser.parse_args()
    with (
        tempfile.TemporaryDirectory() as name,
        NatsCluster(Path(name) / "nats", count=1) as cluster,
        PostgresServer(Path(name) / "postgres") as postgres,
        running_s3() as s3,
    ):
        devices = write_devices(Path(name) / "devices.csv", DEVICES)
        folders = Path(name) / "one", Path(name) / "shared"
        for folder in folders:
            folder.mkdir()
        flags = (
            *("--journal", cluster.url(), "--nats-monitors", cluster.monitors, "--journal-replicas", "1"),
            *("--catalog", postgres.database()),
            *("--blocks", f"s3://{s3.bucket()}/fleet", "--s3-endpoint", s3.endpoint),
        )
        with fleetpulse(folders[0], devices=devices) as one, fleetpulse(folders[1], *flags, devices=devices) as shared:
            rounds = []
            for _ in range(chosen.rounds):
                alone, together = (
                    wrk(process, count=DEVICES, connections=CONNECTIONS, seconds=chosen.seconds)
                    for process in (one, shared)
                )
                rounds.append(
                    {
                        "ratio": together["cpu_us"] / alone["cpu_us"],
                        "sqlite_cpu_us": alone["cpu_us"],
                        "nats_cpu_us": together["cpu_us"],
                        "sqlite_rps": alone["rps"],
                        "nats_rps": together["rps"],
                        "nats_p99_ms": together["p99_ms"],
                    }
                )
    figures = {f"{CONNECTIONS} connections": median_of(rounds)}
    ratio = figures[f"{CONNECTIONS} connections"]["ratio"]
    record("shared_heartbeats", figures, {f"CPU ratio NATS/SQLite, {CONNECTIONS} connections": (ratio, GOAL)})


if __name__ == "__main__":
    main()
