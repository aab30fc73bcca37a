"""CPU an event through POST /api/v1/events, durable, in batches of 10,000 random devices.

Paper estimate at a million devices: decode 0.25, look-up 0.8, time 0.1, apply 0.3, journal 0.1 µs: 1.6 with the rest;
at 5,000 devices the look-up and the apply stay in the cache: 0.9.

    python benchmarks/load/bench_bulk.py [--rounds 5] [--batches 60]
"""

import argparse
import http.client
import random
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

from harness import Process, fleetpulse, median_of, pin_load, record, write_devices

LINES = 10_000


def bodies(count: int, number: int, seed: int) -> list[bytes]:
    """Bulk bodies of heartbeats of this hour."""
    chance = random.Random(seed)
    hour = datetime.now(UTC).strftime("%Y-%m-%dT%H")

    def line() -> str:
        at = f"{hour}:{chance.randrange(60):02d}:{chance.randrange(60):02d}.{chance.randrange(10**6):06d}Z"
        return f'{{"device_id":"dev-{chance.randrange(count)}","sent_at":"{at}"}}'

    return ["\n".join(line() for _ in range(LINES)).encode() for _ in range(number)]


def measure(server: Process, batches: list[bytes]) -> dict[str, float]:
    """CPU µs and wall µs an event."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port)
    before_us, before_s = server.cpu_us(), time.perf_counter()
    for body in batches:
        connection.request("POST", "/api/v1/events", body, {"Content-Type": "application/x-ndjson"})
        answer = connection.getresponse()
        assert answer.status == 200 and f'"accepted":{LINES}' in answer.read().decode()
    events = LINES * len(batches)
    figures = {
        "cpu_us": (server.cpu_us() - before_us) / events,
        "wall_us": (time.perf_counter() - before_s) * 1e6 / events,
    }
    connection.close()
    return figures


def main() -> None:
    """Measure and record."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--batches", type=int, default=60)
    chosen = parser.parse_args()
    pin_load()
    figures, goals = {}, {}
    for count, goal in ((1_000_000, 2.5), (5_000, 1.2)):
        with tempfile.TemporaryDirectory() as name:
            devices = write_devices(Path(name) / "devices.csv", count)
            batches = bodies(count, chosen.batches, 1)
            with fleetpulse(Path(name), devices=devices) as server:
                measure(server, batches[: max(1, len(batches) // 4)])
                figures[f"{count} devices"] = median_of([measure(server, batches) for _ in range(chosen.rounds)])
        goals[f"CPU µs an event, {count} devices"] = (figures[f"{count} devices"]["cpu_us"], goal)
    record("bulk", figures, goals)


if __name__ == "__main__":
    main()
