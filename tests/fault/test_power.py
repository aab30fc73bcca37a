"""Power cuts under load, of a file system that loses unsynced writes. FULL must keep all; NORMAL, the control, not.

ext4 in a loop file; the server is stopped, ext4 is told to shut down without flushing its log, the server is killed,
and the file system mounted again: what was not synced is gone, as after a power cut.
"""

import random
import signal
import sys
import time
from pathlib import Path

import pytest

from conftest import Server
from ledger import Ledger
from loop_disk import LoopDisk, disk

__all__ = ["disk"]

SCRIPT = Path(__file__).parent / "serve_with.py"


def wrong_after_cuts(disk: LoopDisk, mode: str, cuts: int, *, seed: int) -> tuple[int, int]:
    """(events acknowledged, devices whose figures are wrong after any of the cuts)."""
    chance = random.Random(seed)
    ledger = Ledger(lanes=8, devices_a_lane=3, seed=seed)
    devices = disk.mount_point.parent / "devices.csv"
    devices.write_text(ledger.devices_csv())
    folder = disk.mount_point / mode
    command = [sys.executable, str(SCRIPT), mode, str(folder), str(devices)]
    wrong = 0
    for cut in range(cuts + 1):
        try:
            server = Server.run(command, log=disk.mount_point.parent / f"{mode}-{cut}.log", folder=folder)
        except AssertionError as refused:
            # The service itself noticed that the journal ends before its snapshot, and refused to start.
            assert "the journal ends at entry" in str(refused), refused  # noqa: PT017  # it need not be refused
            return ledger.acknowledged, len(ledger.accounts)
        try:
            wrong += len(ledger.settle(server.port))
            if cut == cuts or wrong:
                break
            load = ledger.load(server.port)
            time.sleep(chance.uniform(0.2, 1.0))
            server.process.send_signal(signal.SIGSTOP)
            disk.cut()
        finally:
            server.stop(signal.SIGKILL)
        load.join()
        disk.unmount()
        disk.mount()
    return ledger.acknowledged, wrong


def test_a_power_cut_loses_nothing_that_was_acknowledged(disk: LoopDisk, pytestconfig: pytest.Config) -> None:
    cuts = pytestconfig.getoption("power_cuts")
    acknowledged, wrong = wrong_after_cuts(disk, "FULL", cuts, seed=1)
    print(f"\nFULL: {cuts} cuts, {acknowledged} events acknowledged, {wrong} devices wrong")
    assert wrong == 0
    acknowledged, wrong = wrong_after_cuts(disk, "NORMAL", cuts, seed=2)
    print(f"NORMAL, the control: {acknowledged} events acknowledged, {wrong} devices wrong")
    assert wrong > 0, "the control lost nothing: the cut does not cut, and the test above proves nothing"
