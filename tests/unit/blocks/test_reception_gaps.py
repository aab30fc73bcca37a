"""Reception gaps come back from a block as they were written."""

import numpy as np

from fleetpulse.blocks.history import History
from fleetpulse.blocks.reception_gaps import sort_gaps, write_gaps
from fleetpulse.blocks.store import MemoryBlockStore
from fleetpulse.model.manifest import Manifest
from fleetpulse.model.reception_gaps import ReceptionGapColumns


def test_gaps_come_back_sorted_by_device_and_start() -> None:
    gaps = ReceptionGapColumns(
        devices=np.array([7, 2, 7], np.uint32),
        start_ns=np.array([50, 0, 10], np.int64),
        end_ns=np.array([60, 2**62, 40], np.int64),
        interval_s=np.array([1, 2, 3], np.uint32),
        grace_s=np.array([4, 5, 2**32 - 1], np.uint32),
    )
    store = MemoryBlockStore()
    file = store.put("gaps", lambda to: write_gaps(to, [sort_gaps(gaps)]))
    found = History(store, Manifest()).read_gaps(file)
    expected = gaps.where(np.array([1, 2, 0]))
    for name in ("devices", "start_ns", "end_ns", "interval_s", "grace_s"):
        np.testing.assert_array_equal(getattr(found, name), getattr(expected, name))
