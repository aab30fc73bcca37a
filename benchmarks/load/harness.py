"""What the load benchmarks share: a server on a core of its own, its CPU and memory, wrk, a paced load, and results.

The server runs on core 0, the load on core 1. CPU is that of all threads and children, from /proc.
"""

import asyncio
import json
import os
import platform
import re
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
RESULTS = ROOT / "benchmarks" / "results"
TICK_US = 1_000_000 / os.sysconf("SC_CLK_TCK")
SERVER_CORE, LOAD_CORE = 0, os.cpu_count() and min(1, (os.cpu_count() or 1) - 1)


@dataclass
class Process:
    """A server under test."""

    port: int
    popen: "subprocess.Popen[bytes]"
    log: Path | None = None

    def cpu_us(self) -> float:
        """CPU time used so far, µs."""
        fields = Path(f"/proc/{self.popen.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) * TICK_US

    def memory_mb(self, what: str = "VmRSS") -> float:
        """Resident memory (VmRSS) or its peak (VmHWM), MB of 10⁶ bytes."""
        found = re.search(rf"{what}:\s+(\d+) kB", Path(f"/proc/{self.popen.pid}/status").read_text())
        assert found
        return int(found[1]) * 1024 / 1e6

    def stop(self, number: int = signal.SIGTERM) -> None:
        """End it."""
        self.popen.send_signal(number)
        self.popen.wait(120)


@contextmanager
def fleetpulse(folder: Path, *flags: str, devices: Path | None = None, ahead_s: int | None = None) -> Iterator[Process]:
    """`fleetpulse serve` on core 0, ready. `ahead_s`: how far its clock is ahead of that of the machine."""
    port = free_port()
    command = [
        sys.executable,
        *(["-m", "fleetpulse"] if ahead_s is None else [str(HERE / "shifted_clock.py"), str(ahead_s)]),
        "serve",
        "--port",
        str(port),
        "--data",
        str(folder / "data"),
        "--log-format",
        "json",
    ]
    command += ["--connections-per-address-max", "16384", *flags] + (["--devices", str(devices)] if devices else [])
    log = folder / f"serve-{time.monotonic_ns()}.log"
    with log.open("wb") as file:
        popen = subprocess.Popen(_pinned(command, SERVER_CORE), stdout=file, stderr=file)
    process = Process(port, popen, log)
    try:
        while '"event": "ready"' not in log.read_text():
            if popen.poll() is not None:
                sys.exit(f"the server did not start:\n{log.read_text()}")
            time.sleep(0.02)
        yield process
    finally:
        if popen.poll() is None:
            process.stop(signal.SIGKILL)


@contextmanager
def floor() -> Iterator[Process]:
    """The yardstick on core 0."""
    port = free_port()
    popen = subprocess.Popen(_pinned([sys.executable, str(HERE / "floor.py"), str(port)], SERVER_CORE))
    try:
        while True:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.05)
        yield Process(port, popen)
    finally:
        popen.kill()
        popen.wait()


def _pinned(command: Sequence[str], core: int) -> list[str]:
    return ["taskset", "-c", str(core), *command]


def free_port() -> int:
    """A port nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def write_devices(path: Path, count: int, prefix: str = "dev-") -> Path:
    """A devices.csv of PREFIX0 … PREFIX(count-1)."""
    path.write_text("device_id\n" + "\n".join(f"{prefix}{number}" for number in range(count)) + "\n")
    return path


def wrk(
    server: Process,
    *,
    count: int,
    connections: int,
    seconds: float,
    close: bool = False,
    keys: Path | None = None,
    may_fail: bool = False,
) -> dict[str, float]:
    """CPU µs a request, requests a second and p99 ms under closed-loop heartbeats.

    `keys` has a line `id,key` for each device, instead of `count` devices without keys; `may_fail`: answers need not be
    204.
    """
    if shutil.which("wrk") is None:
        sys.exit("this benchmark needs wrk (Debian package wrk)")
    script = HERE / ("heartbeats.lua" if keys is None else "keyed.lua")
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds:g}s", "--latency", "-s", str(script)]
    command += [
        f"http://127.0.0.1:{server.port}",
        "--",
        *(["dev-", str(count)] if keys is None else [str(keys)]),
        str(int(time.time())),
        *(["close"] if close else []),
    ]
    before = server.cpu_us()
    text = subprocess.run(_pinned(command, LOAD_CORE), capture_output=True, text=True, check=True).stdout
    used = server.cpu_us() - before
    if "Non-2xx" in text and not may_fail:
        sys.exit(f"not every answer was 204:\n{text}")
    requests, p99 = re.search(r"(\d+) requests in", text), re.search(r"99%\s+([\d.]+)(us|ms|s)", text)
    assert requests and p99, text
    p99_ms = float(p99[1]) * {"us": 0.001, "ms": 1.0, "s": 1000.0}[p99[2]]
    return {"cpu_us": used / int(requests[1]), "rps": int(requests[1]) / seconds, "p99_ms": p99_ms}


def percentiles(latencies_s: Sequence[float]) -> dict[str, float]:
    """p50, p99 and the worst, ms."""
    ordered = sorted(latencies_s)
    return {
        "p50_ms": round(1000 * ordered[len(ordered) // 2], 2),
        "p99_ms": round(1000 * ordered[int(len(ordered) * 0.99)], 2),
        "worst_ms": round(1000 * ordered[-1], 2),
    }


class Paced(asyncio.Protocol):
    """One connection of an open-loop load; a request that has to wait for the one before it counts its waiting."""

    def __init__(self, latencies_s: list[float]) -> None:
        self._latencies_s = latencies_s
        self._due: list[tuple[float, bytes]] = []
        self._started_s = 0.0
        self.refused = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ready to send."""
        self._transport = cast(asyncio.Transport, transport)

    def send(self, request: bytes, now_s: float) -> None:
        """Send now, or as soon as the answer before it is there."""
        if self._started_s:
            self._due.append((now_s, request))
        else:
            self._started_s = now_s
            self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        """The answer: in one piece, since it is small."""
        self.refused += not data.startswith(b"HTTP/1.1 20")
        now_s = time.perf_counter()
        self._latencies_s.append(now_s - self._started_s)
        self._started_s = 0.0
        if self._due:
            started_s, request = self._due.pop(0)
            self._started_s = started_s
            self._transport.write(request)


def request(port: int, path: str, body: str) -> bytes:
    """The bytes of a request of a device."""
    head = f"POST /api/v1/devices/{path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Type: application/json\r\n"
    return f"{head}Content-Length: {len(body)}\r\n\r\n{body}".encode()


def heartbeat(port: int, device: str, sent_at: str) -> bytes:
    """The bytes of a heartbeat."""
    return request(port, f"{device}/heartbeat", f'{{"sent_at":"{sent_at}"}}')


async def pace(
    port: int,
    *,
    count: int,
    rate: int,
    seconds: float,
    connections: int = 1_024,
    name: str = "dev-{}",
    make: Callable[[int, str, str], bytes] = heartbeat,
    patience_s: float = 0.5,
) -> list[float]:
    """What `count` devices say at `rate` a second, whatever the answers; latencies in seconds.

    `name` makes an id of a number, `make` a request of port, id and time; `patience_s` is how long to wait for the last
    answers.
    """
    loop = asyncio.get_running_loop()
    latencies_s: list[float] = []
    lanes = [
        (await loop.create_connection(lambda: Paced(latencies_s), "127.0.0.1", port))[1] for _ in range(connections)
    ]
    started_s, sent = time.perf_counter(), 0
    while (elapsed_s := time.perf_counter() - started_s) < seconds:
        sent_at = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        while sent < elapsed_s * rate:
            lanes[sent % connections].send(make(port, name.format(sent * 7919 % count), sent_at), time.perf_counter())
            sent += 1
        await asyncio.sleep(0.001)
    while len(latencies_s) < sent and time.perf_counter() - started_s < seconds + patience_s:
        await asyncio.sleep(0.01)
    refused = sum(lane.refused for lane in lanes)
    if refused or len(latencies_s) < sent * 0.99:
        sys.exit(f"of {sent} heartbeats {refused} were refused and {len(latencies_s)} answered")
    return latencies_s


def pin_load() -> None:
    """Keep this process off the server's core."""
    os.sched_setaffinity(0, {int(LOAD_CORE)})


def median_of(rounds: Sequence[dict[str, float]]) -> dict[str, float]:
    """The median of each figure."""
    return {name: round(statistics.median(one[name] for one in rounds), 3) for name in rounds[0]}


def record(name: str, figures: dict[str, Any], goals: dict[str, tuple[float, float]]) -> None:
    """Print the figures, and keep them with commit and machine. `goals` is name -> (measured, at most)."""
    commit = _git("rev-parse", "--short=10", "HEAD") + ("-dirty" if _git("status", "--porcelain", "--", "src") else "")
    met = {
        what: {"measured": round(value, 3), "goal": goal, "met": value <= goal} for what, (value, goal) in goals.items()
    }
    result = {
        "benchmark": name,
        "commit": commit,
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": {
            "cores": os.cpu_count(),
            "system": platform.platform(),
            "python": platform.python_version(),
            "cpu": _cpu_name(),
        },
        "goals": met,
        "figures": figures,
    }
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{name}.json").write_text(json.dumps(result, indent=1) + "\n")
    for what, entry in met.items():
        print(
            f"{'met   ' if entry['met'] else 'MISSED'} {what}: {entry['measured']:g} (goal: at most {entry['goal']:g})",
            flush=True,
        )


def _git(*arguments: str) -> str:
    return subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=False).stdout.strip()


def _cpu_name() -> str:
    found = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    return found[1] if found else "unknown"
