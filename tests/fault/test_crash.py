"""kill -9 at random moments under load, also in the middle of checkpoints: nothing lost, nothing twice."""

import random
import signal
import time
from pathlib import Path

import pytest

from command import run_command
from conftest import Server
from ledger import Ledger

LANES, DEVICES_A_LANE = 8, 3


def unnamed_files(folder: Path) -> int:
    """Files of a checkpoint that a crash cut short."""
    done = run_command("verify", "--data", str(folder))
    assert done.returncode == 0, done.stdout + done.stderr
    line = next(line for line in done.stdout.splitlines() if "files outside the manifest" in line)
    return int(line.strip().removeprefix("files outside the manifest").split()[0])


def test_no_acknowledged_event_is_lost_or_counted_twice_when_the_process_is_killed(
    tmp_path: Path, pytestconfig: pytest.Config
) -> None:
    rounds, seed = pytestconfig.getoption("crash_rounds"), pytestconfig.getoption("crash_seed")
    chance = random.Random(seed)
    ledger = Ledger(lanes=LANES, devices_a_lane=DEVICES_A_LANE, seed=seed)
    devices = tmp_path / "devices.csv"
    devices.write_text(ledger.devices_csv())
    cut_checkpoints = undecided = compactions = 0
    for number in range(rounds):
        before = ledger.acknowledged
        server = Server(tmp_path / "data", "--checkpoint-s", "0.1", devices=devices)
        try:
            assert ledger.settle(server.port) == [], f"round {number} of seed {seed}"
            load = ledger.load(server.port)
            # Some rounds are long enough for compaction, which comes behind a checkpoint.
            time.sleep(chance.uniform(0.05, 0.6) if number % 3 else chance.uniform(1.0, 3.0))
        finally:
            server.stop(signal.SIGKILL)
        load.join()
        undecided += sum(map(len, ledger.undecided))
        assert ledger.acknowledged > before
        cut_checkpoints += unnamed_files(server.folder) > 0
        compactions += server.log.read_text().count('"event": "compaction"')
    server = Server(tmp_path / "data", devices=devices)
    try:
        assert ledger.settle(server.port) == []
        # The control: a ledger that claims one event more, or a minute less, must not match.
        ledger.accounts["lane0-0"].add(0, None)
        ledger.accounts["lane1-0"].mistake = 2**40
        assert ledger.settle(server.port) == ["lane0-0", "lane1-0"]
    finally:
        server.stop(signal.SIGKILL)
    print(
        f"\n{rounds} kills, {ledger.acknowledged} events acknowledged, {undecided} undecided, "
        f"{cut_checkpoints} checkpoints or compactions cut short, {compactions} compactions done"
    )
    assert rounds < 50 or cut_checkpoints > 0, "no kill met a checkpoint: the test did not try what it promises"
