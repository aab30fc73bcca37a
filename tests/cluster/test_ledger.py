"""The load and its ledger against one node, before a cluster is judged by them."""

import signal
import time
from pathlib import Path

from checker import judge

from command import COMMAND
from conftest import Server
from load import Load
from quiet_ports import quiet_port


def start(folder: Path, port: int, devices: Path) -> Server:
    words = [*COMMAND, "serve", "--port", str(port), "--data", str(folder / "data"), "--devices", str(devices)]
    words += ["--auth", "off", "--device-per-s", "0", "--checkpoint-s", "0.3", "--log-format", "json"]
    return Server.run(words, log=folder / f"node-{time.monotonic_ns()}.log", folder=folder / "data")


def test_the_ledger_agrees_with_a_node_that_is_killed_and_with_no_other_figures(tmp_path: Path) -> None:
    load, port = Load(lanes=4, devices_a_lane=2, seed=1), quiet_port()
    (tmp_path / "devices.csv").write_text(load.devices_csv)
    server = start(tmp_path, port, tmp_path / "devices.csv")
    try:
        load.start(port)
        for _ in range(3):
            time.sleep(0.7)
            server.stop(signal.SIGKILL)
            server = start(tmp_path, port, tmp_path / "devices.csv")
        time.sleep(0.5)
        load.stop()
        verdict = judge(load, port)
        assert verdict.faults == []
        assert load.events > 100
        assert verdict.stored - load.events == verdict.doubled >= 0
        # The controls: one event more, one sample less, and one that was stored twice.
        accounts = list(load.accounts.values())
        accounts[0].acknowledged += accounts[0].unsure + 1 + verdict.doubled
        accounts[1].samples.pop()
        assert len(judge(load, port).faults) == 2
        accounts[2].acknowledged -= 10_000
        assert "stored twice" in judge(load, port).faults[-1]
    finally:
        server.stop(signal.SIGKILL)
