"""Power cuts under load, of a file system that loses unsynced writes. FULL must keep all; NORMAL, the control, not.

ext4 in a loop file; the server is stopped, ext4 is told to shut down without flushing its log, the server is killed,
and the file system mounted again: what was not synced is gone, as after a power cut.
"""

import fcntl
import os
import random
import shutil
import signal
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from conftest import Server
from ledger import Ledger

EXT4_IOC_SHUTDOWN = 0x8004587D
NO_LOG_FLUSH = 2
SCRIPT = Path(__file__).parent / "serve_with.py"


class LoopDisk:
    """An ext4 file system in a file, that can lose its power."""

    def __init__(self, folder: Path) -> None:
        self.image, self.mount_point = folder / "disk.img", folder / "disk"
        self.mount_point.mkdir()
        with self.image.open("wb") as file:
            file.truncate(256 << 20)
        subprocess.run(["mkfs.ext4", "-q", str(self.image)], check=True)
        self.mount()

    def mount(self) -> None:
        subprocess.run(["mount", "-o", "loop", str(self.image), str(self.mount_point)], check=True, capture_output=True)

    def unmount(self) -> None:
        for _ in range(50):  # the kernel lets go of a killed process's files a moment later
            if subprocess.run(["umount", str(self.mount_point)], check=False, capture_output=True).returncode == 0:
                return
            time.sleep(0.1)
        raise AssertionError("the disk is still in use")

    def cut(self) -> None:
        descriptor = os.open(self.mount_point, os.O_RDONLY)
        try:
            fcntl.ioctl(descriptor, EXT4_IOC_SHUTDOWN, struct.pack("I", NO_LOG_FLUSH))
        finally:
            os.close(descriptor)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[LoopDisk]:
    if os.geteuid() != 0:
        pytest.skip("needs root, to mount a disk that can be cut off")
    if shutil.which("mkfs.ext4") is None:
        pytest.skip("needs mkfs.ext4 (Debian package e2fsprogs)")
    try:
        disk = LoopDisk(tmp_path)
    except subprocess.CalledProcessError as error:
        pytest.skip(f"no loop device can be mounted here: {error.stderr}")
    yield disk
    disk.unmount()


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
