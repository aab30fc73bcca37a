"""System calls of a whole life (start, commits, checkpoints, compaction, stop) fail one by one, as strace makes them.

Whatever fails, and however: what was acknowledged is stored, nothing that others wrote is removed, there is no trace,
and what an operator reads names the cause and never advises to restore a copy. `make test-faults` takes many rounds;
the seed of a round is in the message where it fails.
"""

import contextlib
import http.client
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from command import COMMAND
from conftest import PUBLISHED, ROOT, Server
from http_client import Client

pytestmark = pytest.mark.skipif(shutil.which("strace") is None, reason="needs strace (Debian package strace)")
RESTORE = "Restore the data folder from a copy"
ON_FILES = "openat,read,pread64,write,newfstatat,stat"
"""Calls that a process makes for much else, too: only those on the files of the data folder count."""
ANYWHERE = (
    *("fsync,fdatasync", "pwrite64", "rename,renameat,renameat2", "unlink,unlinkat", "ftruncate,fallocate"),
    "mkdir",
)
ERRORS = ("ENOSPC", "EIO", "EACCES", "EMFILE")
CAUSES = {
    "ENOSPC": ("disk is full",),
    "EIO": ("disk failed",),
    "EACCES": ("may not read or write",),
    # SQLite does not tell why it could not open a file.
    "EMFILE": ("no file descriptors", "may not read or write"),
}
FILES = ("", "journal.sqlite", "journal.sqlite-wal", "journal.sqlite-shm", "catalog.sqlite", "catalog.sqlite-wal",
         "catalog.sqlite-shm", "reached", "lock", "blocks")  # fmt: skip
HOUR = "from=2026-01-01T00:00:00Z&to=2026-01-01T01:00:00Z"


@dataclass(frozen=True)
class Fault:
    """The `count`th of some calls fails with `effect`, as strace writes it; with `file`, only of calls on that file."""

    calls: str
    effect: str
    count: int
    is_on_files: bool
    file: str = ""

    @classmethod
    def of(cls, seed: int) -> "Fault":
        """The fault of a round."""
        chance = random.Random(seed)  # a seed makes a round repeatable
        calls = chance.choice((ON_FILES, *ANYWHERE))
        effect = chance.choice((*(f"error={error}" for error in ERRORS), "signal=SIGKILL", "delay_enter=3s"))
        return cls(calls, effect, int(2 ** chance.uniform(0, 6.5)), calls == ON_FILES)

    def command(self, data: Path, words: list[str]) -> list[str]:
        """The command under this fault."""
        files = (self.file,) if self.file else FILES
        paths = [word for name in files for word in ("-P", str(data / name) if name else str(data))]
        return [
            *("strace", "-f", "-qq", "-o", str(data.parent / "calls.txt")),
            *(paths if self.is_on_files else ()),
            *("-e", f"trace={self.calls}", "-e", f"inject={self.calls}:{self.effect}:when={self.count}"),
            *words,
        ]


@dataclass
class Life:
    """What was sent and acknowledged in a life under a fault."""

    sent: dict[str, set[int]] = field(default_factory=dict)
    acknowledged: dict[str, set[int]] = field(default_factory=dict)
    paused: set[str] = field(default_factory=set)

    def beat(self, client: Client, device: str, minute: int) -> None:
        """Send a heartbeat of a minute of its own."""
        self.sent.setdefault(device, set()).add(minute)
        body = {"sent_at": f"2026-01-01T00:{minute:02}:00Z"}
        status, problem = client.ask("POST", f"/api/v1/devices/{device}/heartbeat", body)
        assert status in (204, 503), problem
        if status == 204:
            self.acknowledged.setdefault(device, set()).add(minute)

    def pause(self, client: Client, device: str) -> None:
        """Pause a device."""
        status, problem = client.ask("POST", f"/api/v1/devices/{device}/pause", {})
        assert status in (200, 503), problem
        if status == 200:
            self.paused.add(device)

    def live(self, port: int) -> None:
        """Send until the process has gone, or all is sent."""
        client = Client(port)
        try:
            for minute in range(24):
                self.beat(client, PUBLISHED[minute % 3], minute)
                if minute == 8:
                    self.pause(client, PUBLISHED[4])
                if minute == 12:
                    time.sleep(0.7)  # a checkpoint
        except (OSError, http.client.HTTPException, ValueError):
            return  # the process has gone in the midst of an answer
        finally:
            client.close()


def life_under(fault: Fault, data: Path, program: list[str]) -> Life:
    """Start under a fault, send, stop; checks what the process wrote, and whether it ended as it should."""
    words = [
        *(*program, "serve", "--port", "0", "--data", str(data), "--log-format", "json"),
        *("--devices", str(ROOT / "devices.csv"), "--checkpoint-s", "0.3", "--commit-timeout-s", "1"),
    ]
    life, log = Life(), data.parent / "life.log"
    with log.open("wb") as file:
        tracer = subprocess.Popen(fault.command(data, words), stdout=file, stderr=file)
    try:
        port = _port(tracer, log)
        if port:
            life.live(port)
        _signal(tracer, signal.SIGTERM)
        tracer.wait(40)
    finally:
        if tracer.poll() is None:
            _signal(tracer, signal.SIGKILL)
            tracer.wait(10)
    text = log.read_text()
    assert "Traceback" not in text, text
    assert RESTORE not in text, text
    refusals = [line for line in text.splitlines() if line.startswith("fleetpulse: ")]
    error = fault.effect.partition("error=")[2]
    if refusals and error:
        # SQLite keeps the system's reason of a failed read, write or sync to itself.
        assert any(cause in refusals[-1] for cause in (*CAUSES[error], "the disk failed")), text
    return life


def _signal(tracer: "subprocess.Popen[bytes]", number: int) -> None:
    """Send a signal to the process under strace, if it is still there."""
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        for child in Path(f"/proc/{tracer.pid}/task/{tracer.pid}/children").read_text().split():
            os.kill(int(child), number)


def _port(tracer: "subprocess.Popen[bytes]", log: Path) -> int:
    """The port of a server that accepts events; 0 where it ended before."""
    end_s = time.monotonic() + 40
    while time.monotonic() < end_s and tracer.poll() is None:
        text = log.read_text()
        if '"event": "ready"' in text:
            return int(text.partition("http://127.0.0.1:")[2].partition('"')[0])
        time.sleep(0.05)
    return 0


def check_what_is_stored(data: Path, life: Life, foreign: Path) -> None:
    """Start without a fault: all that was acknowledged is there, and what others wrote, too."""
    assert foreign.read_bytes() == b"not ours"
    server = Server(data)
    try:
        with contextlib.closing(Client(server.port)) as client:
            for device, sent in life.sent.items():
                answer = client.ask("GET", f"/api/v1/devices/{device}/uptime?{HOUR}&formula=uptime/1")[1]
                assert len(life.acknowledged.get(device, ())) <= answer["present"] <= len(sent), (device, answer)
            for device in life.paused:
                assert client.ask("GET", f"/api/v1/devices/{device}")[1]["status"] == "paused"
        assert server.stop(signal.SIGTERM) == 0
        assert "Traceback" not in server.log.read_text()
    finally:
        server.stop(signal.SIGKILL)
    assert foreign.read_bytes() == b"not ours"


def round_of(fault: Fault, folder: Path, program: list[str]) -> None:
    """One life under a fault, after a short one without, and what is left of both."""
    data = folder / "data"
    server = Server(data)
    client = Client(server.port)
    before = Life()
    before.beat(client, PUBLISHED[3], 30)
    client.close()
    server.stop(signal.SIGTERM)
    foreign = data / "blocks" / "foreign.parquet"
    foreign.write_bytes(b"not ours")
    life = life_under(fault, data, program)
    life.sent |= before.sent
    life.acknowledged |= before.acknowledged
    check_what_is_stored(data, life, foreign)


def test_whatever_call_fails_nothing_acknowledged_is_lost(pytestconfig: pytest.Config, tmp_path: Path) -> None:
    seed = pytestconfig.getoption("--fault-seed")
    for number in range(pytestconfig.getoption("--fault-rounds")):
        fault = Fault.of(seed + number)
        folder = tmp_path / f"{number}"
        folder.mkdir()
        try:
            round_of(fault, folder, [*COMMAND])
        except Exception as error:
            error.add_note(f"in the round of --fault-seed {seed + number}: {fault}")
            raise
        shutil.rmtree(folder)


def wrong(defect: str) -> list[str]:
    return [sys.executable, str(Path(__file__).with_name("serve_wrong.py")), defect]


def test_control_a_build_that_answers_before_the_sync_fails_the_test(tmp_path: Path) -> None:
    def lives() -> None:
        for number in range(60, 65):  # in a life whose last answers were on their way anyway, nothing is missing
            fault = Fault("pwrite64", "signal=SIGKILL", number, is_on_files=True, file="journal.sqlite-wal")
            (folder := tmp_path / f"{number}").mkdir()
            round_of(fault, folder, wrong("early"))

    with pytest.raises(AssertionError):
        lives()


def test_control_a_build_that_removes_unknown_files_fails_the_test(tmp_path: Path) -> None:
    fault = Fault("fsync,fdatasync", "error=EIO", 10_000, is_on_files=False)
    with pytest.raises(FileNotFoundError):
        round_of(fault, tmp_path, wrong("remover"))
