"""A million devices shortly before midnight, after it, and when yesterday is closed: memory, and delays of the loop.

Paper estimate: presence 24 columns of 8.4 MB before midnight, one more until 01:00, two afterwards; 330 MB of all else.

    python benchmarks/load/bench_midnight.py [--devices 1000000]
"""

import argparse
import http.client
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

from bench_million import BULK, checkpoints
from harness import Process, fleetpulse, pin_load, record

GOAL_MB = 600


def report_all(server: Process, count: int, *, at: datetime) -> None:
    """Every device sends a heartbeat at this time, in bulk."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port)
    tail = f'","sent_at":"{at:%Y-%m-%dT%H:%M:%S.%fZ}"}}'
    for start in range(0, count, BULK):
        devices = range(start, min(start + BULK, count))
        body = "\n".join(f'{{"device_id":"device-{device:07}{tail}' for device in devices).encode()
        connection.request("POST", "/api/v1/events", body, {"Content-Type": "application/x-ndjson"})
        answer = connection.getresponse()
        text = answer.read().decode()
        assert answer.status == 200 and f'"accepted":{len(devices)}' in text, text
    connection.close()


def loop_lag_ms(server: Process) -> float:
    """The longest delay of the event loop since the start of the server."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port)
    connection.request("GET", "/metrics")
    lines = connection.getresponse().read().decode().splitlines()
    return 1000 * next(float(line.split()[1]) for line in lines if line.startswith("fleetpulse_loop_lag_longest"))


def main() -> None:
    """Measure and record."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--devices", type=int, default=1_000_000)
    parser.add_argument("--name", default="midnight", help="of the file of results")
    chosen = parser.parse_args()
    pin_load()
    count = chosen.devices
    midnight = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    figures: dict[str, object] = {}
    goals: dict[str, tuple[float, float]] = {}
    rarely = ["--checkpoint-s", "1000000", "--checkpoint-journal-entries", "1000000000"]

    def ahead_s(at: datetime) -> int:
        return round((at - datetime.now(UTC)).total_seconds())

    def wait_until(at: datetime) -> None:
        time.sleep(max(0.0, (at - datetime.now(UTC)).total_seconds() - shift_s))

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        before = midnight - timedelta(minutes=2)
        command = [sys.executable, "-m", "fleetpulse", "generate", "--data", str(folder / "data"), "--devices"]
        command += [str(count), "--days", "1", "--metrics", "0", "--end", f"{before:%Y-%m-%dT%H:%M:%SZ}"]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        shift_s = ahead_s(before + timedelta(seconds=10))
        with fleetpulse(folder, *rarely, ahead_s=shift_s) as server:
            figures["memory of a start at 23:58, MB"] = round(server.memory_mb(), 1)
            report_all(server, count, at=before + timedelta(seconds=20))
            wait_until(before + timedelta(seconds=70))
            report_all(server, count, at=before + timedelta(seconds=70))
            goals["resident memory MB at 23:59, all reporting"] = (server.memory_mb(), GOAL_MB)
            figures["longest delay of the loop before midnight, ms"] = round(loop_lag_ms(server), 1)
            wait_until(midnight + timedelta(seconds=5))
            report_all(server, count, at=midnight + timedelta(seconds=5))
            goals["resident memory MB at 00:01, all reporting"] = (server.memory_mb(), GOAL_MB)
            figures["longest delay of the loop until 00:01, ms"] = round(loop_lag_ms(server), 1)
            figures["peak at 00:01, MB"] = round(server.memory_mb("VmHWM"), 1)
            server.stop()
        shift_s = ahead_s(midnight + timedelta(minutes=59))
        with fleetpulse(folder, *rarely, ahead_s=shift_s) as server:
            report_all(server, count, at=midnight + timedelta(minutes=59))  # ends a gap of each device
            wait_until(midnight + timedelta(hours=1, seconds=5))
            report_all(server, count, at=midnight + timedelta(hours=1, seconds=5))
            wait_until(midnight + timedelta(hours=1, seconds=40))
            report_all(server, count, at=midnight + timedelta(hours=1, seconds=40))
            figures["checkpoints from 00:59 to 01:01"] = checkpoints(server)
            goals["resident memory MB at 01:01, all reporting"] = (server.memory_mb(), GOAL_MB)
            figures["peak from 00:59 to 01:01, MB"] = round(server.memory_mb("VmHWM"), 1)
            figures["longest delay of the loop from 00:59 to 01:01, ms"] = round(loop_lag_ms(server), 1)
    record(chosen.name, figures, goals)


if __name__ == "__main__":
    main()
