"""CPU a sample: single reports of 5 metrics at 2,500 samples/s, sustained over checkpoints; and in bulk. Durable.

Paper estimate: a report costs as much as a heartbeat, 18 µs, for 5 samples: 500 reports a second are 1 % of a core; a
checkpoint sorts and writes 0.3 µs a sample; bulk reads a line in 2 µs and packs 5 samples in 1 µs.

    python benchmarks/load/bench_metrics.py [--seconds 60] [--batches 40]
"""

import argparse
import asyncio
import http.client
import json
import random
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

from harness import Process, fleetpulse, floor, pace, percentiles, pin_load, record, request, write_devices

DEVICES = 30_000
METRICS = ("cpu", "memory", "temperature", "disk", "signal")
SAMPLES_A_SECOND = DEVICES * len(METRICS) // 60
LINES = 2_000


def report(chance: random.Random) -> dict[str, float]:
    """Values of all metrics."""
    return {name: round(chance.uniform(0, 100), 1) for name in METRICS}


def sustained(server: Process, seconds: float) -> dict[str, float]:
    """CPU share of one core under single reports, as many a second as the fleet sends, on 1,024 connections."""
    chance = random.Random(1)

    def make(port: int, device: str, sent_at: str) -> bytes:
        return request(port, f"{device}/metrics", json.dumps({"sent_at": sent_at, "metrics": report(chance)}))

    before_us, started_s = server.cpu_us(), time.perf_counter()
    rate = SAMPLES_A_SECOND // len(METRICS)
    latencies_s = asyncio.run(pace(server.port, count=DEVICES, rate=rate, seconds=seconds, make=make))
    elapsed_s = time.perf_counter() - started_s
    used_us = server.cpu_us() - before_us
    return {
        "samples_a_second": round(len(latencies_s) * len(METRICS) / elapsed_s, 1),
        "core_share": round(used_us / 1e6 / elapsed_s, 4),
        "cpu_us_a_sample": round(used_us / len(latencies_s) / len(METRICS), 3),
        **percentiles(latencies_s),
    }


def yardstick(seconds: float) -> dict[str, float]:
    """The floor under as many requests a second: what waking up for each costs here, with nothing kept."""
    with floor() as server:
        before_us, started_s = server.cpu_us(), time.perf_counter()
        asyncio.run(pace(server.port, count=DEVICES, rate=SAMPLES_A_SECOND // len(METRICS), seconds=seconds))
        return {"core_share": round((server.cpu_us() - before_us) / 1e6 / (time.perf_counter() - started_s), 4)}


def bulk(server: Process, batches: int) -> dict[str, float]:
    """CPU µs a sample in bodies of lines with five metrics each, checkpoints of them included."""
    chance = random.Random(2)
    minute = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M")
    bodies = [
        "\n".join(
            json.dumps(
                {
                    "device_id": f"dev-{chance.randrange(DEVICES)}",
                    "sent_at": f"{minute}:{chance.randrange(60):02d}.{chance.randrange(1000):03d}Z",
                    "metrics": report(chance),
                }
            )
            for _ in range(LINES)
        )
        for _ in range(batches)
    ]
    connection = http.client.HTTPConnection("127.0.0.1", server.port)
    before_us = server.cpu_us()
    for body in bodies:
        connection.request("POST", "/api/v1/events", body, {"Content-Type": "application/x-ndjson"})
        answer = connection.getresponse()
        assert answer.status == 200 and f'"accepted":{LINES * len(METRICS)}' in answer.read().decode()
    connection.close()
    return {"cpu_us_a_sample": round((server.cpu_us() - before_us) / (LINES * len(METRICS) * batches), 3)}


def main() -> None:
    """Measure and record."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--batches", type=int, default=40)
    chosen = parser.parse_args()
    pin_load()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        devices = write_devices(folder / "devices.csv", DEVICES)
        metrics = folder / "metrics.json"
        metrics.write_text(json.dumps([{"name": metric} for metric in METRICS]))
        # Checkpoints more often than by default, so that their share is in the figure.
        with fleetpulse(folder, "--metrics", str(metrics), "--checkpoint-s", "60", devices=devices) as server:
            figures = {"single reports": sustained(server, chosen.seconds), "bulk": bulk(server, chosen.batches)}
    figures["yardstick: the floor at as many requests a second"] = yardstick(chosen.seconds / 3)
    goals = {
        "cores at 2,500 samples/s": (figures["single reports"]["core_share"], 0.10),
        "CPU µs a sample in bulk": (figures["bulk"]["cpu_us_a_sample"], 3.0),
    }
    record("metrics", figures, goals)


if __name__ == "__main__":
    main()
