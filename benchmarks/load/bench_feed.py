"""What the live feed costs: 1,000 clients at one change a second, heartbeats beside them, and a fleet that goes down.

Paper estimate: a client's write is a chunk of 400 bytes: 8 µs for the system call, 10 µs for its task and the layers of
HTTP; the comparison of 100,000 devices takes 3 ms a second. So 1,000 clients take 2 % of a core, and the comparison
0.3 %.

    python benchmarks/load/bench_feed.py [--clients 1000] [--seconds 20]
"""

import argparse
import asyncio
import http.client
import tempfile
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

from harness import Process, fleetpulse, pace, percentiles, pin_load, record, write_devices

DEVICES = 100_000
FLAGS = ("--streams-max", "20000", "--streams-per-address-max", "20000", "--no-request-telemetry")
RATE = 500


class Watcher(asyncio.Protocol):
    """One client: it counts what it is given, and decodes nothing."""

    def __init__(self, port: int) -> None:
        self._port = port
        self.received_bytes = self.events = self.missed = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask."""
        head = f"GET /api/v1/stream HTTP/1.1\r\nHost: 127.0.0.1:{self._port}\r\nAccept: text/event-stream\r\n\r\n"
        cast("asyncio.Transport", transport).write(head.encode())

    def data_received(self, data: bytes) -> None:
        """Count."""
        self.received_bytes += len(data)
        self.events += data.count(b"\nevent: ")
        self.missed += data.count(b"\nevent: missed")


@contextmanager
def watching(port: int, clients: int) -> Generator[list[Watcher]]:
    """So many clients, on a loop of their own."""
    loop, watchers = asyncio.new_event_loop(), [Watcher(port) for _ in range(clients)]
    thread = threading.Thread(target=loop.run_forever)
    thread.start()

    async def connect() -> list[asyncio.Transport]:
        made = []
        for watcher in watchers:
            transport, _ = await loop.create_connection(lambda watcher=watcher: watcher, "127.0.0.1", port)  # type: ignore[misc]  # mypy loses the type
            made.append(transport)
        return made

    transports = asyncio.run_coroutine_threadsafe(connect(), loop).result()
    while not all(watcher.events for watcher in watchers):
        time.sleep(0.05)
    try:
        yield watchers
    finally:
        for transport in transports:
            loop.call_soon_threadsafe(transport.abort)
        time.sleep(0.2)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()


def send(port: int, path: str, body: bytes, kind: str = "application/json") -> None:
    """One request."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    connection.request("POST", path, body, {"Content-Type": kind})
    if connection.getresponse().status >= 300:
        raise SystemExit(f"{path} was refused")


def sent_at() -> str:
    """Now."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


def cpu_share(server: Process, seconds: int, first: int) -> float:
    """Per cent of a core that the server takes while one device comes up each second. `first`: the number of one."""
    before_us, began_s = server.cpu_us(), time.perf_counter()
    for number in range(seconds):
        send(server.port, f"/api/v1/devices/dev-{first + number}/heartbeat", b'{"sent_at":"%s"}' % sent_at().encode())
        time.sleep(max(0.0, began_s + number + 1 - time.perf_counter()))
    return (server.cpu_us() - before_us) / (time.perf_counter() - began_s) / 1e4


def latencies(server: Process, seconds: float) -> dict[str, float]:
    """Of heartbeats at RATE a second, of devices that are up already after the first of them."""
    return percentiles(asyncio.run(pace(server.port, count=RATE, rate=RATE, seconds=seconds, connections=50)))


def flood(folder: Path, clients: int) -> dict[str, Any]:
    """All devices go down at the same moment, while clients watch: what these are given, and heartbeats meanwhile."""
    devices = folder / "flood.csv"
    devices.write_text("device_id,site\n" + "".join(f"dev-{number},paris\n" for number in range(DEVICES)))
    flags = (*FLAGS, "--interval-s", "4", "--grace-s", "2")
    with fleetpulse(folder, *flags, devices=devices) as server, watching(server.port, clients) as watchers:
        lines = "".join(f'{{"device_id":"dev-{number}","sent_at":"{sent_at()}"}}\n' for number in range(DEVICES))
        send(server.port, "/api/v1/events", lines.encode(), "application/x-ndjson")
        time.sleep(1.5)
        before = [(watcher.events, watcher.received_bytes) for watcher in watchers]
        found = latencies(server, 9.0)
        events = [watcher.events - one[0] for watcher, one in zip(watchers, before, strict=True)]
        sizes = [watcher.received_bytes - one[1] for watcher, one in zip(watchers, before, strict=True)]
        return {
            "changes": DEVICES,
            "events_a_client": max(events),
            "kilobytes_a_client": round(max(sizes) / 1_000, 1),
            "clients_that_missed_events": sum(watcher.missed > 0 for watcher in watchers),
            "heartbeats meanwhile": found,
        }


def main() -> None:
    """Measure and record."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--clients", type=int, default=1_000)
    parser.add_argument("--seconds", type=int, default=20)
    chosen = parser.parse_args()
    pin_load()
    figures: dict[str, Any] = {"devices": DEVICES, "clients": chosen.clients}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        devices = write_devices(folder / "devices.csv", DEVICES)
        with fleetpulse(folder, *FLAGS, "--interval-s", "3600", devices=devices) as server:
            send(server.port, "/api/v1/devices/dev-0/heartbeat", b'{"sent_at":"%s"}' % sent_at().encode())
            figures["heartbeats alone"] = latencies(server, chosen.seconds / 2)
            figures["cpu_percent without clients"] = cpu_share(server, chosen.seconds, 1_000)
            with watching(server.port, 1):
                figures["cpu_percent with one client"] = cpu_share(server, chosen.seconds, 2_000)
            with watching(server.port, chosen.clients) as watchers:
                figures["cpu_percent with all clients"] = cpu_share(server, chosen.seconds, 3_000)
                figures["events_a_client_and_second"] = round(watchers[-1].events / chosen.seconds, 2)
                figures["heartbeats beside all clients"] = latencies(server, chosen.seconds / 2)
                figures["memory_mb"] = server.memory_mb()
    with tempfile.TemporaryDirectory() as name:
        figures["flood"] = flood(Path(name), chosen.clients)
    used = figures["cpu_percent with all clients"] - figures["cpu_percent without clients"]
    figures = {name: round(value, 3) if isinstance(value, float) else value for name, value in figures.items()}
    print(figures)
    record(
        "feed",
        figures,
        {
            "% of a core for all clients at one change a second": (used, 5.0),
            "p99 ms of heartbeats beside all clients": (figures["heartbeats beside all clients"]["p99_ms"], 50),
            "p99 ms of heartbeats while all devices go down": (figures["flood"]["heartbeats meanwhile"]["p99_ms"], 50),
            "events a client gets of 100,000 changes": (figures["flood"]["events_a_client"], 1_000),
        },
    )


if __name__ == "__main__":
    main()
