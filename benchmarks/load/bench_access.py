"""What keys cost: CPU a heartbeat with a key of each device against the floor, floods of wrong keys, a million keys.

Paper estimate: 0.45 µs for the hash of a key, 0.2 µs for its row and the comparison, 0.2 µs to cut it out of the
header, 0.2 µs for the rate limit: 1.1 µs beside the floor's 11, so 0.1 more than without keys.

    python benchmarks/load/bench_access.py [--rounds 5] [--seconds 4] [--million]
"""

import argparse
import asyncio
import csv
import http.client
import json
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

from harness import (
    Process,
    fleetpulse,
    floor,
    median_of,
    pace,
    percentiles,
    pin_load,
    record,
    request,
    write_devices,
    wrk,
)

DEVICES = 100_000
CASES = {128: 1.65, 512: 1.35, 32: 2.4}
"""Connections, and the highest ratio to the floor."""
RATE = 500


def call(server: Process, folder: Path, target: str, body: bytes = b"", kind: str = "application/json") -> bytes:
    """The answer to a request of the administrator."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=600)
    key = (folder / "data" / "admin.key").read_text().strip()
    method, path = target.split(" ")
    connection.request(method, path, body, {"Authorization": f"Bearer {key}", "Content-Type": kind})
    answer = connection.getresponse()
    text = answer.read()
    if answer.status >= 300:
        raise SystemExit(f"{method} {path}: {answer.status} {text[:300]!r}")
    return text


def make_keys(server: Process, folder: Path, count: int) -> tuple[Path, float]:
    """A file with a key of each device, and how long it took to make them, in seconds."""
    ids = "device_id\n" + "\n".join(f"dev-{number}" for number in range(count)) + "\n"
    began_s = time.perf_counter()
    table = call(server, folder, "POST /api/v1/keys.csv", ids.encode(), "text/csv")
    took_s = time.perf_counter() - began_s
    rows = list(csv.DictReader(table.decode().splitlines()))
    path = folder / "keys.csv"
    path.write_text("".join(f"{row['device_id']},{row['key']}\n" for row in rows))
    return path, took_s


def wrong_keys(path: Path) -> Path:
    """The keys with another last letter."""
    wrong = path.with_name("wrong.csv")
    lines = path.read_text().splitlines()
    wrong.write_text("".join(f"{line[:-1]}{'x' if line[-1] != 'x' else 'y'}\n" for line in lines))
    return wrong


def flood(
    server: Process, keys: Path, *, seconds: float, may_fail: bool = False, close: bool = False
) -> dict[str, float]:
    """CPU µs a request of heartbeats with these keys."""
    return wrk(server, count=0, connections=128, seconds=seconds, close=close, keys=keys, may_fail=may_fail)


def beside_flood(server: Process, keys: Path, wrong: Path, seconds: float) -> dict[str, Any]:
    """Latencies of 500 right heartbeats a second beside a flood with wrong keys, and alone."""
    own_keys = dict(line.split(",") for line in keys.read_text().splitlines()[:1_000])

    def make(port: int, device: str, sent_at: str) -> bytes:
        plain = request(port, f"{device}/heartbeat", f'{{"sent_at":"{sent_at}"}}')
        return plain.replace(b"\r\n\r\n", b"\r\nAuthorization: Bearer " + own_keys[device].encode() + b"\r\n\r\n", 1)

    def paced() -> dict[str, float]:
        load = pace(server.port, count=1_000, rate=RATE, seconds=seconds, connections=50, make=make, patience_s=30)
        return percentiles(asyncio.run(load))

    alone = paced()
    thread = threading.Thread(target=flood, args=(server, wrong), kwargs={"seconds": seconds + 1, "may_fail": True})
    thread.start()
    beside = paced()
    thread.join()
    return {"alone": alone, "beside a flood of wrong keys": beside}


def compare(server: Process, yardstick: Process, keys: Path | None, connections: int, chosen: Any) -> dict[str, float]:
    """Medians of the server and the floor in turn."""
    rounds = []
    for _ in range(chosen.rounds):
        ours = wrk(server, count=DEVICES, connections=connections, seconds=chosen.seconds, keys=keys)
        least = wrk(yardstick, count=DEVICES, connections=connections, seconds=chosen.seconds)
        rounds.append(
            {
                "ratio": ours["cpu_us"] / least["cpu_us"],
                "server_cpu_us": ours["cpu_us"],
                "floor_cpu_us": least["cpu_us"],
                "server_rps": ours["rps"],
                "server_p99_ms": ours["p99_ms"],
            }
        )
    return median_of(rounds)


def many_keys(folder: Path, count: int) -> dict[str, float]:
    """Memory, start and revocation with a key of each of `count` devices."""
    devices = write_devices(folder / "many.csv", count)
    with fleetpulse(folder, "--auth", "required", devices=devices) as server:
        server.stop()
    began_s = time.perf_counter()
    with fleetpulse(folder, "--auth", "required") as server:
        bare_s, bare_mb = time.perf_counter() - began_s, server.memory_mb()
        make_keys(server, folder, count)
        server.stop()
    began_s = time.perf_counter()
    with fleetpulse(folder, "--auth", "required") as server:
        keyed_s, keyed_mb = time.perf_counter() - began_s, server.memory_mb()
        numbers = [row["number"] for row in json.loads(call(server, folder, "GET /api/v1/keys?limit=50"))["keys"]]
        took_ms = []
        for number in numbers[1:]:
            began_s = time.perf_counter()
            call(server, folder, f"DELETE /api/v1/keys/{number}")
            took_ms.append(1_000 * (time.perf_counter() - began_s))
    return {
        "bytes_a_key": round((keyed_mb - bare_mb) * 1e6 / count, 1),
        "start_s_more": round(keyed_s - bare_s, 2),
        "revoke_ms": round(sorted(took_ms)[len(took_ms) // 2], 2),
    }


def main() -> None:
    """Measure and record."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--keys", type=int, default=1_000_000, help="how many keys the service holds in the last part")
    chosen = parser.parse_args()
    pin_load()
    figures: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        devices = write_devices(folder / "devices.csv", DEVICES)
        with fleetpulse(folder, "--auth", "required", devices=devices) as server, floor() as yardstick:
            keys, figures["keys_made_s"] = make_keys(server, folder, DEVICES)
            for connections in CASES:
                figures[f"{connections} connections"] = compare(server, yardstick, keys, connections, chosen)
            wrong = wrong_keys(keys)
            pairs = [
                (
                    flood(server, wrong, seconds=chosen.seconds, may_fail=True)["cpu_us"],
                    flood(server, keys, seconds=chosen.seconds)["cpu_us"],
                )
                for _ in range(chosen.rounds)
            ]
            figures["wrong key"] = median_of(
                [{"cpu_us": bad, "right_cpu_us": good, "ratio": bad / good} for bad, good in pairs]
            )
            figures["latencies"] = beside_flood(server, keys, wrong, 10)
        with tempfile.TemporaryDirectory() as other:
            figures["many"] = many_keys(Path(other), chosen.keys)
    goals = {
        f"CPU ratio server/floor, a key each, {count}": (figures[f"{count} connections"]["ratio"], goal)
        for count, goal in CASES.items()
    }
    goals |= {
        "CPU ratio of a wrong key to a right heartbeat": (figures["wrong key"]["ratio"], 1.0),
        "p99 ms beside a flood of wrong keys": (figures["latencies"]["beside a flood of wrong keys"]["p99_ms"], 50),
        "seconds to make 100,000 keys": (figures["keys_made_s"], 10),
        "bytes a key": (figures["many"]["bytes_a_key"], 120),
        "seconds more at the start": (figures["many"]["start_s_more"], 5),
        "ms to revoke": (figures["many"]["revoke_ms"], 10),
    }
    record("access", figures, goals)


if __name__ == "__main__":
    main()
