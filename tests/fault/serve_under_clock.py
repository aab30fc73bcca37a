"""`serve` with the settings of a TOML file (second argument), by a clock as many seconds off as a file says (first)."""

import os
import sys
import time
from pathlib import Path

import uvloop

from fleetpulse.running import serve
from fleetpulse.settings import load_settings
from fleetpulse.telemetry.logs import configure_logs

LOOK_AGAIN_NS = 20_000_000


class SteppedClock:
    """The machine's clock, and a step that the test writes into a file; the file is read a few times a second."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._read_at_ns = -LOOK_AGAIN_NS
        self._step_ns = 0

    def now_ns(self) -> int:
        if time.monotonic_ns() - self._read_at_ns >= LOOK_AGAIN_NS:
            self._step_ns = int(float(self._file.read_text()) * 1e9)
            self._read_at_ns = time.monotonic_ns()
        return time.time_ns() + self._step_ns

    def monotonic_ns(self) -> int:
        return time.monotonic_ns()


if __name__ == "__main__":
    configure_logs("json")
    settings = load_settings({}, os.environ, Path(sys.argv[2]))
    uvloop.run(serve(settings, clock=SteppedClock(Path(sys.argv[1]))))
