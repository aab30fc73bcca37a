"""`serve`, with SQLite's synchronous mode of the first argument: NORMAL is the control of the power-cut test."""

import os
import sys
from typing import Literal, cast

import uvloop

from fleetpulse.running import serve
from fleetpulse.settings import load_settings
from fleetpulse.telemetry.logs import configure_logs

if __name__ == "__main__":
    mode, data, devices = sys.argv[1:]
    configure_logs("json")
    settings = load_settings({"data": data, "devices": devices, "port": 0, "checkpoint_s": 0.5}, os.environ, None)
    uvloop.run(serve(settings, synchronous=cast(Literal["FULL", "NORMAL"], mode)))
