"""System calls of the other commands fail one by one, as strace makes them: each ends with a sentence, not a trace.

Those that work on a data folder are verify, adopt and generate; those that ask a running service write files. A few
rounds in `make test`; `make test-faults` takes many, and the seed of a round is in the message where it fails.
"""

import os
import random
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from command import run_command
from conftest import Server

pytestmark = pytest.mark.skipif(shutil.which("strace") is None, reason="needs strace (Debian package strace)")
RESTORE = "Restore the data folder from a copy"
CALLS = (
    *("openat", "read,pread64", "write,pwrite64", "fsync,fdatasync", "newfstatat,fstat,stat", "getdents64"),
    *("rename,renameat,renameat2", "unlink,unlinkat", "ftruncate,fallocate", "mkdir"),
)
ERRORS = {
    "ENOSPC": ("disk is full", "No space left"),
    "EIO": ("disk failed", "Input/output error"),
    "EACCES": ("may not read or write", "Permission denied"),
    "EMFILE": ("no file descriptors", "Too many open files", "may not read or write"),
}
"""What each error is called: by us, or by the system, where a command names a file that it was to write."""
SERVICE = "http://127.0.0.1:"


@dataclass(frozen=True)
class Work:
    """A command, and the folders and files that it works on; `{data}` and `{out}` stand for folders."""

    words: str
    on: Sequence[str]
    is_client: bool = False


DATA = (
    "{data}",
    "{data}/blocks",
    "{data}/journal.sqlite",
    "{data}/journal.sqlite-wal",
    "{data}/journal.sqlite-shm",
    "{data}/catalog.sqlite",
    "{data}/catalog.sqlite-wal",
    "{data}/catalog.sqlite-shm",
    "{data}/reached",
    "{data}/lock",
    "{data}/owner",
)
OUT = ("{out}", "{out}/file", "{out}/file.part")
COMMANDS = [
    Work("verify --data {data}", DATA),
    Work("adopt --data {data} --dry-run", DATA),
    Work("adopt --data {data}", DATA),
    Work(
        "generate --data {out}/new --devices 2 --days 2 --metrics 1 --end 2026-01-03T00:00:00Z",
        ("{out}", "{out}/new", *(path.replace("{data}", "{out}/new") for path in DATA)),
    ),
    Work("export presence --from 2026-01-01T00:00:00Z --to 2026-01-03T00:00:00Z -o {out}/file", OUT, is_client=True),
    Work("report uptime --from 2026-01-01T00:00:00Z --to 2026-01-03T00:00:00Z -o {out}/file", OUT, is_client=True),
    Work("devices export -o {out}/file", OUT, is_client=True),
    Work("devices import {out}/devices.csv", ("{out}/devices.csv",), is_client=True),
    Work("blocks check", ("{out}",), is_client=True),
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder with two days of history."""
    data = tmp_path_factory.mktemp("history") / "data"
    end = "2026-01-03T00:00:00Z"
    words = ["generate", "--data", str(data), "--devices", "3", "--days", "2", "--metrics", "1", "--end", end]
    run_command(*words).check_returncode()
    return data


@pytest.fixture(scope="module")
def service(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a service over a copy of it."""
    data = tmp_path_factory.mktemp("service") / "data"
    shutil.copytree(folder, data)
    server = Server(data, devices=None)
    yield f"{SERVICE}{server.port}"
    server.stop()


@dataclass(frozen=True)
class Fault:
    """The `count`th of some calls, on the files that a command works on, fails with an error."""

    work: Work
    calls: str
    error: str
    count: int

    @classmethod
    def of(cls, seed: int) -> "Fault":
        """The fault of a round."""
        chance = random.Random(seed)  # a seed makes a round repeatable
        work = COMMANDS[seed % len(COMMANDS)]
        return cls(work, chance.choice(CALLS), chance.choice(list(ERRORS)), int(2 ** chance.uniform(0, 5)))


def round_of(
    fault: Fault, folder: Path, service: str, place: Path, *, program: Sequence[str] = ("-m", "fleetpulse")
) -> None:
    """Run a command under a fault, and look at what it says and leaves."""
    work, data, out = fault.work, place / "data", place / "out"
    out.mkdir()
    (out / "devices.csv").write_text("device_id,site\nd-new,paris\n")
    if not work.is_client:
        shutil.copytree(folder, data)
    if work.words.startswith("adopt"):
        (data / "catalog.sqlite").unlink()
    names = {"data": str(data), "out": str(out)}
    blocks = [str(path) for path in (data / "blocks").glob("*")]
    paths = [*(path.format(**names) for path in work.on), *blocks]
    inject = f"inject={fault.calls}:error={fault.error}:when={fault.count}"
    command = [
        *("strace", "-f", "-qq", "-o", str(place / "calls.txt"), *(word for path in paths for word in ("-P", path))),
        *("-e", f"trace={fault.calls}", "-e", inject, sys.executable, *program),
        *work.words.format(**names).split(),
    ]
    environment = {**os.environ, "FLEETPULSE_URL": service}
    ended = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=120, check=False)
    text = f"{ended.stdout}\n{ended.stderr}"
    assert "Traceback" not in text, text
    assert RESTORE not in text, text
    assert ended.returncode in (0, 1), text
    if ended.returncode == 1:
        assert "(INJECTED)" in (place / "calls.txt").read_text(), text
        # SQLite keeps the system's reason of a failed read, write or sync to itself.
        assert any(cause in text for cause in (*ERRORS[fault.error], "disk failed")), text
    if not work.is_client:
        check_nothing_is_lost(folder, data)


def check_nothing_is_lost(folder: Path, data: Path) -> None:
    """The blocks are as they were, whatever failed."""
    for block in (folder / "blocks").glob("*.parquet"):
        assert (data / "blocks" / block.name).read_bytes() == block.read_bytes()


def test_whatever_call_of_a_command_fails_it_says_what_happened(
    pytestconfig: pytest.Config, folder: Path, service: str, tmp_path: Path
) -> None:
    seed = pytestconfig.getoption("--fault-seed")
    for number in range(2 * pytestconfig.getoption("--fault-rounds")):
        fault, place = Fault.of(seed + number), tmp_path / f"{number}"
        place.mkdir()
        try:
            round_of(fault, folder, service, place)
        except Exception as error:
            error.add_note(f"in the round of --fault-seed {seed + number}: {fault}")
            raise
        shutil.rmtree(place)


def test_control_a_command_that_ends_with_a_trace_fails_the_test(folder: Path, service: str, tmp_path: Path) -> None:
    fault = Fault(COMMANDS[0], "openat", "EIO", 1)
    careless = "import sys; open(sys.argv[-1] + '/reached', 'rb')"
    with pytest.raises(AssertionError, match="Traceback"):
        round_of(fault, folder, service, tmp_path, program=("-c", careless))
