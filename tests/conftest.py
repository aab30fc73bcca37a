"""Fixtures shared by all: a real server on a free port."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import structlog
from hypothesis import settings

import open_clients
from command import COMMAND
from prepared_process import PreparedProcess, can_be_prepared, start_prepared

# How long an example takes says nothing on a machine that others use, too. `make test-thorough` takes the second one.
settings.register_profile("fleetpulse", deadline=None)
settings.register_profile("thorough", deadline=None)
settings.load_profile("fleetpulse")

ROOT = Path(__file__).parent.parent
FOLDERS = ["containers", "cluster", "fault", "e2e", "property", "contract", "unit", "tidy"]
"""The order of the tests: those that take long begin first, so that no worker is left alone with one in the end."""

# A trace with the values of all variables takes seconds to print.
_CONSOLE = structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)
structlog.configure(processors=[*structlog.get_config()["processors"][:-1], _CONSOLE])

# Containers often forbid to write bytecode. Each of hundreds of servers would then compile all of its modules anew.
if os.environ.pop("PYTHONDONTWRITEBYTECODE", ""):
    sys.dont_write_bytecode = False
    sys.pycache_prefix = os.environ["PYTHONPYCACHEPREFIX"] = str(ROOT / ".pytest_cache" / "bytecode")
PUBLISHED = ["60-6b-44-84-dc-64", "b4-45-52-a2-f1-3c", "26-9a-66-01-33-83", "18-b8-87-e7-1f-06", "38-4e-73-e0-33-59"]


def pytest_addoption(parser: pytest.Parser) -> None:
    """How long the fault tests go on: short in `make test`, long in targets of their own."""
    parser.addoption("--crash-rounds", type=int, default=4, help="kills of tests/fault/test_crash.py")
    parser.addoption("--crash-seed", type=int, default=1, help="seed of its moments and its load")
    parser.addoption("--fault-rounds", type=int, default=3, help="lives of tests/fault/test_faults.py")
    parser.addoption("--fault-seed", type=int, default=1, help="seed of the first of them")
    parser.addoption(
        "--power-cuts", type=int, default=2, help="cuts of tests/fault/test_power.py and test_nats_power.py"
    )
    parser.addoption("--fuzz-s", type=float, default=1.0, help="seconds of tests/fault/test_fuzz.py")
    parser.addoption("--soak-s", type=float, default=15.0, help="seconds of tests/fault/test_soak.py")
    parser.addoption("--soak-seed", type=int, default=1, help="seed of what happens in it")
    parser.addoption("--pressure-s", type=float, default=20.0, help="seconds of tests/fault/test_pressure.py")
    parser.addoption(
        "--cluster-pairs", type=int, default=-1, help="pairs of faults in tests/cluster, -1: a short round"
    )
    parser.addoption("--cluster-s", type=float, default=1e9, help="no fault begins after so many seconds of its round")
    parser.addoption("--cluster-events", type=int, default=1_000_000, help="acknowledged events of a round with pairs")
    parser.addoption("--cluster-record", default="", help="file for the figures of its round")
    parser.addoption("--cluster-seed", type=int, default=1, help="seed of its faults and its load")
    parser.addoption("--life-rounds", type=int, default=4, help="lives of tests/property/test_status.py")
    parser.addoption("--life-seed", type=int, default=1, help="seed of the first of them")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Sort the tests by FOLDERS; within a folder they stay as they are."""
    items.sort(key=lambda item: FOLDERS.index(item.path.relative_to(ROOT / "tests").parts[0]))


class Server:
    """A `fleetpulse serve` of our own, stopped by its own process id."""

    def __init__(
        self, folder: Path, *flags: str, devices: Path | None = ROOT / "devices.csv", is_prepared: bool = True
    ) -> None:
        """`is_prepared`: by `prepared_process.py`, which says what differs."""
        command = [*COMMAND, "serve", "--port", "0", "--data", str(folder), "--log-format", "json", *flags]
        command += ["--devices", str(devices)] if devices else []
        log = folder.parent / f"{folder.name}-{time.monotonic_ns()}.log"
        self._start(command, log=log, folder=folder, is_prepared=is_prepared)

    @classmethod
    def run(
        cls, command: list[str], *, log: Path, folder: Path, await_ready: bool = True, pass_fds: Sequence[int] = ()
    ) -> "Server":
        """A server by another command, prepared where it can be."""
        server = cls.__new__(cls)
        server._start(command, log=log, folder=folder, await_ready=await_ready, pass_fds=pass_fds)
        return server

    def _start(
        self,
        command: list[str],
        *,
        log: Path,
        folder: Path,
        await_ready: bool = True,
        pass_fds: Sequence[int] = (),
        is_prepared: bool = True,
    ) -> None:
        self.folder, self.log = folder, log
        environment = {name: value for name, value in os.environ.items() if not name.startswith("FLEETPULSE_")}
        environment["FLEETPULSE_DISK_RESERVE_BYTES"] = "0"  # pytest keeps the folders of hundreds of servers
        self.process: subprocess.Popen[bytes] | PreparedProcess
        with self.log.open("wb") as file:
            if is_prepared and can_be_prepared(command) and not pass_fds:
                self.process = start_prepared(command, stdout=file, stderr=file, environment=environment)
            else:
                self.process = subprocess.Popen(command, stderr=file, stdout=file, env=environment, pass_fds=pass_fds)
        try:
            url = self.wait_for_log(r'"url": "https?://127\.0\.0\.1:(\d+)"')
            self.port = int(url[1])
            if await_ready:
                self.wait_for_log('"event": "ready"')
        except BaseException:
            self.stop(signal.SIGKILL)  # nobody has it yet who could
            raise

    def wait_for_log(self, pattern: str) -> "re.Match[str]":
        """Wait until the log says so; fails with the log where the process ends before."""
        end = time.monotonic() + 60
        while time.monotonic() < end:
            found = re.search(pattern, self.log.read_text())
            if found:
                return found
            if self.process.poll() is not None:
                break
            time.sleep(0.01)
        raise AssertionError(f"no {pattern!r} in the log:\n{self.log.read_text()}")

    def stop(self, number: int = signal.SIGTERM) -> int:
        """End the process; its exit status."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        return self.process.wait(60)


@pytest.fixture(autouse=True)
def _clients_closed() -> Iterator[None]:
    """No test leaves a client open: the warning that it was never closed would fail another test, after it."""
    yield
    open_clients.close_all()


@pytest.fixture
def without_pydantic(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a process of the command: where pydantic is loaded, as by other tests, cyclopts checks values by it."""
    monkeypatch.delitem(sys.modules, "pydantic", raising=False)


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[..., Server]]:
    """Starts servers on `tmp_path / "data"` and stops what is left of them."""
    servers: list[Server] = []

    def start(*flags: str, **options: Any) -> Server:
        servers.append(Server(tmp_path / "data", *flags, **options))
        return servers[-1]

    yield start
    for server in servers:
        server.stop(signal.SIGKILL)
