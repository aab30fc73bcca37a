"""Bytes that a fuzzer makes up, for all that reads bytes of strangers; `make fuzz` goes on for an hour."""

import subprocess
import sys
from pathlib import Path

import pytest

from conftest import ROOT

NAMES = ["front_door", "decoder", "bulk", "keys", "proxies", "devices"]


def test_no_bytes_do_what_no_bytes_may_do(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    seconds = int(request.config.getoption("--fuzz-s"))
    started = {}
    # A short run is the same each time, so that it tells what a change has broken; the hour looks for what is new.
    fixed = ["-seed=1"] if seconds < 600 else []
    for name in NAMES:  # at once: the longest part of a short run is their start
        command = [sys.executable, str(ROOT / "tests/fuzz/run.py"), name, f"-max_total_time={seconds}", *fixed]
        with (tmp_path / f"{name}.log").open("wb") as log:
            started[name] = subprocess.Popen(command, stdout=log, stderr=log, cwd=tmp_path)
    ends = {name: process.wait(seconds + 120) for name, process in started.items()}
    for name, status in ends.items():
        text = (tmp_path / f"{name}.log").read_text(errors="replace")
        assert (status, "Done " in text) == (0, True), text[-4_000:]
        print(name, text.strip().splitlines()[-1])
