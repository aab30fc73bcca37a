"""Dear questions, slow readers and hostile input, all at once and for long, harm neither heartbeats nor answers.

No heartbeat is refused, no answer differs from that of a quiet server, every refusal is documented, and memory does
not grow.
"""

import json
import re
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest

from command import COMMAND
from conftest import ROOT, Server
from http_client import Client

DEVICES, METRICS, DAYS = 200, 2, 30
GROWTH_MAX, GROWTH_MB_MAX = 1.25, 40.0
"""How much more memory the last third may take than the middle one: allocators and late data settle meanwhile."""


class Heartbeats(threading.Thread):
    """Twenty heartbeats a second, of which none may be refused, and the server's memory each second."""

    def __init__(self, server: Server) -> None:
        super().__init__(name="heartbeats")
        self.ending = threading.Event()
        self.refused: list[tuple[int, object]] = []
        self.sent = 0
        self.memory_mb: list[float] = []
        self._server = server

    def run(self) -> None:
        """Send until the end."""
        client = Client(self._server.port)
        while not self.ending.wait(0.05):
            sent_at = datetime.now(UTC).isoformat()
            path = f"/api/v1/devices/device-{self.sent % DEVICES:07d}/heartbeat"
            status, body = client.ask("POST", path, {"sent_at": sent_at})
            self.sent += 1
            if status != 204:
                self.refused.append((status, body))
            if self.sent % 20 == 0:
                self.memory_mb.append(resident_mb(self._server))
        client.close()


def resident_mb(server: Server) -> float:
    found = re.search(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{server.process.pid}/status").read_text())
    assert found
    return int(found[1]) / 1000


@contextmanager
def heartbeats(server: Server) -> Iterator[Heartbeats]:
    sending = Heartbeats(server)
    sending.start()
    try:
        yield sending
    finally:
        sending.ending.set()
        sending.join()


def grows(memory_mb: list[float]) -> bool:
    """Whether the last third of a series lies clearly above its middle third."""
    assert len(memory_mb) >= 9, "memory is looked at with every twentieth heartbeat"
    third = len(memory_mb) // 3
    middle, last = statistics.median(memory_mb[third : 2 * third]), statistics.median(memory_mb[-third:])
    return last > max(middle * GROWTH_MAX, middle + GROWTH_MB_MAX)


def documented_reasons() -> set[str]:
    return set(re.findall(r"`([a-z_]+)`", (ROOT / "docs" / "reference" / "errors.md").read_text()))


def test_growth_is_noticed() -> None:
    assert grows([100.0 + 2 * second for second in range(120)])
    assert not grows([100.0 + second % 7 for second in range(120)])


def test_pressure_harms_no_heartbeat_no_answer_and_no_memory(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    seconds = request.config.getoption("--pressure-s")
    data = tmp_path / "data"
    flags = ["--devices", str(DEVICES), "--metrics", str(METRICS), "--days", str(DAYS)]
    subprocess.run([*COMMAND, "generate", "--data", str(data), *flags], check=True)
    server = Server(data, "--earliest", "2000-01-01T00:00:00Z", "--checkpoint-s", "10", devices=None)
    try:
        with heartbeats(server) as sending:
            command = [sys.executable, str(ROOT / "benchmarks" / "load" / "pressure.py"), "--port", str(server.port)]
            pressed = subprocess.run(
                [*command, "--devices", str(DEVICES), "--seconds", str(seconds)],
                stdout=subprocess.PIPE, text=True, check=True, timeout=seconds + 120,
            )  # fmt: skip
        tally = json.loads(pressed.stdout.splitlines()[-1])
        print(json.dumps(tally, indent=1))
        assert not tally["faults"]
        assert not sending.refused
        reasons = {words[-1] for words in map(str.split, tally["outcomes"]) if words[-2:-1] and words[-2] == "503"}
        assert reasons <= documented_reasons()
        assert not grows(sending.memory_mb), sending.memory_mb
        assert "Traceback" not in server.log.read_text()
        started_s = time.monotonic()
        assert server.stop() == 0
        assert time.monotonic() - started_s < 30
    finally:
        server.stop(9)
