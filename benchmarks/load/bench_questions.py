"""Questions on two generated histories: their time, their cost in memory and on disk, and whether they stall ingest.

A   1,000 devices × 5 metrics × 30 days, one sample a minute: 216 million samples, with presence
B   100,000 devices × 30 days in 50 sites: presence and reception gaps

Paper estimate: a row group of 65,536 samples is read in 1-2 ms, so an hour of one device takes 3 ms; 30 days by hour
read 30 row groups of roll-ups, 1 ms each; 24 h of all devices read 23 hours of roll-ups and two edges of samples,
150 ms; 30 days of uptime of 100,000 devices sum 28 columns of counts and look at the minutes of two days, 100 ms.

    python benchmarks/load/bench_questions.py [--keep FOLDER]
"""

import argparse
import asyncio
import json
import random
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
from harness import Process, fleetpulse, pace, percentiles, pin_load, record

DAYS = 30
A_DEVICES, B_DEVICES, METRICS = 1_000, 100_000, 5


def generate(folder: Path, *flags: str, days: int = DAYS) -> None:
    """Generate a history, unless it is there."""
    if not (folder / "data" / "catalog.sqlite").exists():
        folder.mkdir(parents=True, exist_ok=True)
        command = [
            sys.executable,
            "-m",
            "fleetpulse",
            "generate",
            "--data",
            str(folder / "data"),
            "--days",
            str(days),
            *flags,
        ]
        subprocess.run(command, check=True)


def ask(server: Process, paths: Iterator[str], rounds: int) -> dict[str, float]:
    """Latencies of questions asked one after the other, and how long the first took."""
    connection = HTTPConnection("127.0.0.1", server.port, timeout=120)
    taken_s: list[float] = []
    for _ in range(rounds + 1):
        started_s = time.perf_counter()
        connection.request("GET", next(paths))
        answer = connection.getresponse()
        body = json.loads(answer.read())
        taken_s.append(time.perf_counter() - started_s)
        assert answer.status == 200 and not body.get("missing"), body
    connection.close()
    return {"first_ms": round(1000 * taken_s[0], 2), **percentiles(taken_s[1:])}


def same(path: str) -> Iterator[str]:
    """The same question again and again."""
    while True:
        yield path


def of_devices(make: Callable[[str], str], count: int, seed: int = 1) -> Iterator[str]:
    """A question about one device after the other."""
    chance = random.Random(seed)
    while True:
        yield make(f"device-{chance.randrange(count):07d}")


def stall(server: Process, path: str, count: int, seconds: float = 10) -> dict[str, float]:
    """Latencies of 2,000 heartbeats a second while a question is asked back to back; and how many were."""
    questions = 0
    is_over = threading.Event()

    def keep_asking() -> None:
        nonlocal questions
        while not is_over.is_set():
            ask(server, same(path), 1)
            questions += 2

    asking = threading.Thread(target=keep_asking)
    asking.start()
    latencies_s = asyncio.run(
        pace(server.port, count=count, rate=2_000, seconds=seconds, connections=128, name="device-{:07d}")
    )
    is_over.set()
    asking.join()
    return {**percentiles(latencies_s), "questions": questions}


def raw_bytes(folder: Path) -> dict[str, float]:
    """Bytes a sample of all files of samples, and bytes a device-day of presence of whole days."""
    blocks = folder / "data" / "blocks"
    raw = list(blocks.glob("*-raw-*"))
    rolled = [file for tier in ("hour", "day", "minute") for file in blocks.glob(f"samples-*-{tier}-*")]
    samples = sum(pq.ParquetFile(file).metadata.num_rows for file in raw)
    presence = list(blocks.glob("presence-*"))
    days = sum(pq.ParquetFile(file).metadata.num_rows for file in presence)
    figures = {"presence_bytes_a_device_day": sum(file.stat().st_size for file in presence) / max(1, days)}
    if samples:
        figures |= {
            "samples": samples,
            "bytes_a_sample": sum(file.stat().st_size for file in raw) / samples,
            "rollup_bytes_a_sample": sum(file.stat().st_size for file in rolled) / samples,
        }
    return {name: round(value, 3) for name, value in figures.items()}


def measure_a(folder: Path) -> dict[str, Any]:
    """Metrics."""
    figures: dict[str, Any] = {"on disk": raw_bytes(folder)}
    hour = of_devices(lambda device: f"/api/v1/devices/{device}/metrics?types=cpu&window=1h", A_DEVICES)
    month = of_devices(lambda device: f"/api/v1/devices/{device}/metrics?types=cpu&window=30d&step=1h", A_DEVICES)
    quantile = of_devices(
        lambda device: f"/api/v1/devices/{device}/metrics?types=cpu&window=30d&aggregation=p95", A_DEVICES
    )
    day_by_site = "/api/v1/fleet/metrics?types=cpu&window=24h&group_by=site"
    with fleetpulse(folder) as server:
        figures["one device, 1 h"] = ask(server, hour, 300)
        figures["one device, 30 d by hour"] = ask(server, month, 60)
        figures["one device, p95 of 30 d, exact"] = ask(server, quantile, 30)
        figures["all devices by site, 24 h"] = ask(server, same(day_by_site), 20)
        figures["all devices by site, 30 d by day"] = ask(
            server, same("/api/v1/fleet/metrics?types=cpu&window=30d&step=1d&group_by=site"), 10
        )
        figures["heartbeats meanwhile"] = stall(server, day_by_site, A_DEVICES)
        figures["memory_mb"] = {"resident": round(server.memory_mb(), 1), "peak": round(server.memory_mb("VmHWM"), 1)}
    return figures


def measure_b(folder: Path) -> dict[str, Any]:
    """Uptime and status."""
    figures: dict[str, Any] = {"on disk": raw_bytes(folder)}
    one = of_devices(lambda device: f"/api/v1/devices/{device}/uptime?window=30d", B_DEVICES)
    by_site = "/api/v1/fleet/uptime?window=30d&group_by=site"
    with fleetpulse(folder) as server:
        figures["uptime of one device, 30 d"] = ask(server, one, 200)
        figures["uptime by site, 30 d"] = ask(server, same(by_site), 15)
        figures["devices?status=down"] = ask(server, same("/api/v1/devices?status=down"), 60)
        figures["heartbeats meanwhile"] = stall(server, by_site, B_DEVICES)
        figures["memory_mb"] = {"resident": round(server.memory_mb(), 1), "peak": round(server.memory_mb("VmHWM"), 1)}
    return figures


def main() -> None:
    """Generate, measure and record."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--keep", type=Path, help="folder to generate the histories in, or to find them in")
    chosen = parser.parse_args()
    pin_load()
    with tempfile.TemporaryDirectory() as name:
        folder = chosen.keep or Path(name)
        generate(folder / "a", "--devices", str(A_DEVICES), "--metrics", str(METRICS))
        a = measure_a(folder / "a")
        generate(folder / "b", "--devices", str(B_DEVICES), "--metrics", "0")
        b = measure_b(folder / "b")
    goals = {
        "A: one device, 1 h, p50 ms": (a["one device, 1 h"]["p50_ms"], 10),
        "A: one device, 1 h, p99 ms": (a["one device, 1 h"]["p99_ms"], 30),
        "A: one device, 30 d by hour, p50 ms": (a["one device, 30 d by hour"]["p50_ms"], 50),
        "A: all devices by site, 24 h, p50 ms": (a["all devices by site, 24 h"]["p50_ms"], 300),
        "A: all devices by site, 30 d by day, p50 ms": (a["all devices by site, 30 d by day"]["p50_ms"], 1_000),
        "A: bytes a sample": (a["on disk"]["bytes_a_sample"], 6),
        "A: resident MB": (a["memory_mb"]["resident"], 700),
        "A: heartbeats while asked, p99 ms": (a["heartbeats meanwhile"]["p99_ms"], 50),
        "B: uptime of one device, 30 d, p50 ms": (b["uptime of one device, 30 d"]["p50_ms"], 10),
        "B: uptime by site, 30 d, p50 ms": (b["uptime by site, 30 d"]["p50_ms"], 500),
        "B: devices?status=down, p50 ms": (b["devices?status=down"]["p50_ms"], 20),
        "B: presence, bytes a device-day": (b["on disk"]["presence_bytes_a_device_day"], 10),
        "B: resident MB": (b["memory_mb"]["resident"], 700),
        "B: heartbeats while asked, p99 ms": (b["heartbeats meanwhile"]["p99_ms"], 50),
    }
    record("questions", {"A": a, "B": b}, goals)


if __name__ == "__main__":
    main()
