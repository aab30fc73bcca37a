"""A whole site goes dark at once: how soon its alerts are stored and told, and what heartbeats of others notice.

    python benchmarks/load/bench_alerting.py [--devices 100000] [--rate 2000]

The server runs on core 0. All devices of one site send a heartbeat in bulk, and then no more; others, without a label,
go on with --rate heartbeats a second. Measured are the time from the last deadline until all alerts are stored, from
the first alert until the webhook is received, how many messages there are for the site (the goal: one), the longest
round, and the latencies of the heartbeats around that moment.

An estimate on paper: a view of 100,000 devices is 3 MB of copies on the loop, their status 10 ms, the alerts 20 ms, and
a hundred blobs of 1,000 rows each 0.3 s in the catalog's thread, nearly all of it without the interpreter's lock. A
round begins each second, so a deadline waits half a second for the next one.
"""

import argparse
import http.client
import json
import re
import sys
import tempfile
import threading
import time
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import uvloop
from harness import Process, fleetpulse, pace, percentiles, pin_load, record

BULK = 10_000
BESIDE = 1_000
INTERVAL_S, GRACE_S = 10, 10
BEFORE_S, AFTER_S = 5.0, 10.0


class Hook:
    """A webhook that keeps when it was called, and with what."""

    def __init__(self) -> None:
        self.received: list[tuple[float, dict[str, Any]]] = []
        hook = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                hook.received.append((time.time(), json.loads(body)))
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Print nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()


def ask(server: Process, method: str, path: str, body: Any = None) -> Any:
    """The answer as JSON."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port)
    text = body if isinstance(body, bytes) or body is None else json.dumps(body)
    kind = "application/x-ndjson" if isinstance(body, bytes) else "application/json"
    connection.request(method, f"/api/v1{path}", text, {"Content-Type": kind} if text is not None else {})
    answer = connection.getresponse()
    found = answer.read()
    connection.close()
    assert answer.status < 300, found
    return json.loads(found)


def write_site(path: Path, count: int) -> Path:
    """A devices.csv of a site, and of some devices without a label."""
    lines = [f"site-{number},paris" for number in range(count)]
    path.write_text("\n".join(["device_id,site", *lines, *(f"dev-{number}," for number in range(BESIDE))]) + "\n")
    return path


def say_all(server: Process, count: int) -> float:
    """Every device of the site sends a heartbeat in bulk. Returns: when the last one was received, Unix time."""
    tail = f'","sent_at":"{datetime.now(UTC):%Y-%m-%dT%H:%M:%S.%fZ}"}}'
    for start in range(0, count, BULK):
        lines = [f'{{"device_id":"site-{number}{tail}' for number in range(start, min(start + BULK, count))]
        ask(server, "POST", "/events", "\n".join(lines).encode())
    return time.time()


class Watcher(threading.Thread):
    """Looks, four times a second, how many alerts fire."""

    def __init__(self, server: Process, count: int) -> None:
        super().__init__()
        self._server, self._count = server, count
        self.first_s = self.all_s = self.longest_round_s = 0.0
        self.ends_s = time.time() + 120

    def run(self) -> None:
        """Until all fire."""
        while time.time() < self.ends_s and not self.all_s:
            firing = ask(self._server, "GET", "/alerts?limit=1&rule=device-offline")["firing"]
            now_s = time.time()
            self.first_s = self.first_s or (now_s if firing else 0.0)
            self.all_s = now_s if firing >= self._count else 0.0
            self.longest_round_s = max(self.longest_round_s, gauge(self._server, "alert_round_last_duration_seconds"))
            time.sleep(0.25)


def gauge(server: Process, name: str) -> float:
    """A figure of /metrics."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port)
    connection.request("GET", "/metrics")
    text = connection.getresponse().read().decode()
    connection.close()
    found = re.search(rf"^fleetpulse_{name} (\S+)$", text, re.MULTILINE)
    return float(found[1]) if found else float("nan")


def go_dark(server: Process, hook: Hook, count: int, rate: int) -> dict[str, Any]:
    """Let the site go dark, and measure what follows."""
    ask(server, "PUT", "/alerts/rules/device-offline", {"kind": "device_down", "severity": "critical"})
    ask(server, "PUT", "/alerts/receivers/hook", {"kind": "webhook", "url": hook.url, "private": True})
    last_s = say_all(server, count)
    deadline_s = last_s + INTERVAL_S + GRACE_S
    watcher = Watcher(server, count)
    watcher.start()
    quiet = uvloop.run(pace(server.port, count=BESIDE, rate=rate, seconds=deadline_s - BEFORE_S - time.time()))
    beats = uvloop.run(pace(server.port, count=BESIDE, rate=rate, seconds=BEFORE_S + AFTER_S))
    watcher.join()
    messages = [(at_s, body) for at_s, body in hook.received if body.get("kind") == "firing"]
    if not watcher.all_s or not messages:
        sys.exit(f"not all alerts fired, or nobody was told: {watcher.first_s}, {watcher.all_s}, {len(hook.received)}")
    return {
        "from the last deadline until all are stored, s": round(watcher.all_s - deadline_s, 2),
        "from the first alert stored until the webhook, s": round(messages[0][0] - watcher.first_s, 2),
        "messages about the site": len(messages),
        "first message": {name: messages[0][1].get(name) for name in ("kind", "firing", "cause")},
        "longest round, s of a core": watcher.longest_round_s,
        "heartbeats before": percentiles(quiet),
        "heartbeats meanwhile": percentiles(beats),
        "memory, MB": round(server.memory_mb("VmHWM"), 1),
    }


def main() -> None:
    """Measure and record."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--devices", type=int, default=100_000)
    parser.add_argument("--rate", type=int, default=2_000)
    chosen = parser.parse_args()
    pin_load()
    hook = Hook()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        devices = write_site(folder / "devices.csv", chosen.devices)
        flags = ["--interval-s", str(INTERVAL_S), "--grace-s", str(GRACE_S), "--checkpoint-s", "1000000"]
        flags += ["--alerts-open-max", str(2 * chosen.devices)]
        with fleetpulse(folder, *flags, devices=devices) as server:
            found = go_dark(server, hook, chosen.devices, chosen.rate)
    goal_s = 2.0 if chosen.devices <= 100_000 else 5.0
    record(
        "alerting" if chosen.devices == 100_000 else f"alerting-{chosen.devices}",
        found,
        {
            "from the last deadline until all are stored, s": (
                found["from the last deadline until all are stored, s"],
                goal_s,
            ),
            "from the first alert stored until the webhook, s": (
                found["from the first alert stored until the webhook, s"],
                1.0,
            ),
            "messages about the site": (found["messages about the site"], 1),
            "longest round, s of a core": (found["longest round, s of a core"], 1.0),
            "heartbeat p99 meanwhile, ms": (found["heartbeats meanwhile"]["p99_ms"], 50),
        },
    )


if __name__ == "__main__":
    main()
