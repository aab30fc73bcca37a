"""The minutes that compaction has added since the snapshot, by device."""

import numpy as np
import pytest

from fleetpulse.blocks.counted import add_minutes, no_minutes, read_counted, recount, write_counted
from fleetpulse.blocks.history import History
from fleetpulse.blocks.presence import write_presence
from fleetpulse.blocks.store import MemoryBlockStore, put_block
from fleetpulse.errors import DamagedData
from fleetpulse.model.manifest import Manifest

MINUTES = np.array([1, 4], np.uint32), np.array([7, 2], np.int32)


def test_minutes_are_written_and_read() -> None:
    store = MemoryBlockStore()
    file = put_block(store, "counted-1", lambda out: write_counted(out, MINUTES))
    history = History(store, Manifest(counted=file))
    devices, minutes = read_counted(history, history.manifest)
    assert (devices.tolist(), minutes.tolist()) == ([1, 4], [7, 2])
    assert len(read_counted(history, Manifest())[0]) == 0


def test_minutes_of_both_are_added_by_device() -> None:
    devices, minutes = add_minutes(MINUTES, (np.array([0, 4], np.uint32), np.array([1, 3], np.int32)))
    assert (devices.tolist(), minutes.tolist()) == ([0, 1, 4], [1, 7, 5])
    assert add_minutes(MINUTES, no_minutes())[1].tolist() == [7, 2]


def test_a_damaged_file_is_reported() -> None:
    store = MemoryBlockStore()
    file = put_block(store, "counted-1", lambda out: out.write(b"no Parquet"))
    history = History(store, Manifest(counted=file))
    with pytest.raises(DamagedData, match="counted-1"):
        read_counted(history, history.manifest)


def test_a_lost_file_is_counted_anew_from_the_blocks_of_closed_days() -> None:
    store = MemoryBlockStore()
    rows = np.zeros((2, 23), np.uint64)
    rows[:, 0] = [0b111, 0b1]
    chunk = np.array([1, 4], np.uint32), rows
    files = {day: put_block(store, f"presence-{day}", lambda out: write_presence(out, [chunk])) for day in (7, 8, 9)}
    manifest = Manifest(open_from_day=9, presence=files)  # the last of them is open
    devices, minutes = recount(History(store, manifest), manifest, np.array([0, 2, 0], np.int32))
    assert (devices.tolist(), minutes.tolist()) == ([1, 4], [4, 2])
