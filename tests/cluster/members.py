"""The processes of a cluster that a test kills and pauses: nodes and the S3 API; NATS and PostgreSQL have their own."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any, Protocol

from command import COMMAND
from quiet_ports import quiet_port
from s3_server import CREDENTIALS

S3_SCRIPT = Path(__file__).parent / "stored_s3.py"


class Member(Protocol):
    """A process that can be ended and paused. `has_ended`: it was started, and runs no more."""

    @property
    def has_ended(self) -> bool: ...

    def start(self) -> None: ...

    def kill(self) -> None: ...

    def pause(self) -> None: ...

    def resume(self) -> None: ...


class Node:
    """One `fleetpulse serve`, on a port that it keeps."""

    def __init__(self, folder: Path, name: str, flags: list[str], *, script: Path | None = None) -> None:
        """`script` is run in the place of the command, with the same words."""
        self.folder, self.name, self.flags = folder, name, flags
        self.port = quiet_port()
        self.script = script
        self.process: subprocess.Popen[bytes] | None = None
        self.logs: list[Path] = []

    def start(self) -> None:
        """Start it; `is_ready` says when it serves."""
        begin = [sys.executable, str(self.script)] if self.script else list(COMMAND)
        words = [*begin, "serve", "--port", str(self.port), "--data", str(self.folder / self.name), *self.flags]
        self.logs.append(self.folder / f"{self.name}-{len(self.logs)}.log")
        with self.logs[-1].open("wb") as log:
            self.process = subprocess.Popen(words, stdout=log, stderr=log, env=environment())

    def get(self, path: str, timeout_s: float = 5.0) -> tuple[int, Any]:
        """Status and answer; status 0 where there is none."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=timeout_s) as answer:
                return answer.status, json.loads(answer.read())
        except urllib.error.HTTPError as error:
            with error:
                return error.code, json.loads(error.read() or b"null")
        except (OSError, ValueError):
            return 0, None

    @property
    def has_ended(self) -> bool:
        return self.process is not None and self.process.poll() is not None

    @property
    def is_ready(self) -> bool:
        return self.get("/readyz")[0] == 200

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()

    def stop(self) -> int:
        """End it in order; its exit status."""
        assert self.process is not None
        self.process.terminate()
        return self.process.wait(60)

    def pause(self) -> None:
        self._send(signal.SIGSTOP)

    def resume(self) -> None:
        self._send(signal.SIGCONT)

    def _send(self, number: int) -> None:
        assert self.process is not None
        self.process.send_signal(number)

    @property
    def log_text(self) -> str:
        """All of its logs."""
        return "".join(path.read_text() for path in self.logs)


class S3Process:
    """moto's S3 API. What it stores is in `folder`, also when it is killed, but then it takes no uploads in parts."""

    def __init__(self, folder: Path, *, outlives_kills: bool = True) -> None:
        self.port = quiet_port()
        self.folder = folder
        self._outlives_kills = outlives_kills
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it; `wait_ready` waits until it serves, and makes the bucket."""
        self.folder.mkdir(exist_ok=True)
        with (self.folder / "log").open("ab") as log:
            stored = [str(S3_SCRIPT), str(self.port), str(self.folder)]
            words = stored if self._outlives_kills else ["-m", "moto.server", "-p", str(self.port)]
            self._process = subprocess.Popen([sys.executable, "-W", "ignore", *words], stdout=log, stderr=log)

    def wait_ready(self) -> None:
        end_s = time.monotonic() + 60
        while True:
            with contextlib.suppress(OSError):
                bucket = urllib.request.Request(f"http://127.0.0.1:{self.port}/cluster", method="PUT")
                urllib.request.urlopen(bucket, timeout=10).close()
                return
            assert time.monotonic() < end_s, (self.folder / "log").read_text()
            time.sleep(0.1)

    @property
    def overwritten(self) -> list[str]:
        """Objects that were written again with other content, notes aside."""
        path = self.folder / "overwritten"
        return path.read_text().splitlines() if path.exists() else []

    @property
    def has_ended(self) -> bool:
        return self._process is not None and self._process.poll() is not None

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def pause(self) -> None:
        assert self._process is not None
        os.kill(self._process.pid, signal.SIGSTOP)

    def resume(self) -> None:
        assert self._process is not None
        os.kill(self._process.pid, signal.SIGCONT)


def environment() -> dict[str, str]:
    """The environment of a node: no settings of whoever runs the tests, and what the S3 API asks for."""
    names = [name for name in os.environ if not name.startswith(("FLEETPULSE_", "AWS_"))]
    return {name: os.environ[name] for name in names} | CREDENTIALS | {"FLEETPULSE_DISK_RESERVE_BYTES": "0"}
