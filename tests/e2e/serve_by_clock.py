"""`serve` with a clock that is wrong by as many seconds as a file says, at every reading.

Arguments: the file, then the data folder, then settings as name=value.
"""

import os
import sys
import time
from pathlib import Path

import uvloop

from fleetpulse.clock import SystemClock
from fleetpulse.running import serve
from fleetpulse.settings import load_settings
from fleetpulse.telemetry.logs import configure_logs


class WrongClock(SystemClock):
    """The machine's clock, wrong by what the file says."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def now_ns(self) -> int:
        return time.time_ns() + int(float(self._file.read_text()) * 1e9)


if __name__ == "__main__":
    clock, data, *given = sys.argv[1:]
    configure_logs("json")
    flags = {"data": data, "port": 0} | dict(setting.split("=", 1) for setting in given)
    uvloop.run(serve(load_settings(flags, os.environ, None), clock=WrongClock(Path(clock))))
