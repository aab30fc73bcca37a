"""A snapshot comes back as it was written, also one from before there were metrics."""

import io

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from fleetpulse.blocks.snapshot import SNAPSHOT_COLUMNS, read_snapshot, write_snapshot
from fleetpulse.blocks.store import MemoryBlockStore
from fleetpulse.errors import DamagedData
from fleetpulse.model.device_spans import NO_FIRST_NS, NO_LAST_NS


def test_columns_come_back_with_their_types() -> None:
    store = MemoryBlockStore()
    columns = {name: np.array([0, 1, np.iinfo(dtype).max], dtype) for name, dtype in SNAPSHOT_COLUMNS.items()}
    store.put("snapshot", lambda file: write_snapshot(file, columns))
    with store.open("snapshot") as reader:
        found = read_snapshot(reader)
    for name, column in columns.items():
        assert found[name].dtype == column.dtype
        np.testing.assert_array_equal(found[name], column)


def test_samples_of_an_old_snapshot_are_uploads_and_columns_it_lacks_are_zero() -> None:
    file = io.BytesIO()
    pq.write_table(pa.table({"samples": pa.array([3, 4]), "heartbeats": pa.array([1, 2], pa.uint32())}), file)
    found = read_snapshot(file)
    assert found["uploads"].tolist() == [3, 4]
    assert found["heartbeats"].tolist() == [1, 2]
    assert found["other_samples"].tolist() == [0, 0]


def test_the_beats_of_an_old_snapshot_are_as_early_and_as_late_as_their_minutes_allow() -> None:
    file = io.BytesIO()
    none = np.iinfo(np.int32)
    minutes = {"first_minute": pa.array([3, none.max], pa.int32()), "last_minute": pa.array([5, none.min], pa.int32())}
    pq.write_table(pa.table(minutes), file)
    found = read_snapshot(file)
    minute_ns = 60_000_000_000
    assert found["first_sent_ns"].tolist() == [3 * minute_ns, NO_FIRST_NS]
    assert found["last_sent_ns"].tolist() == [6 * minute_ns - 1, NO_LAST_NS]
    assert found["gap_until_ns"].tolist() == [0, 0]


def test_what_is_no_snapshot_is_damage() -> None:
    with pytest.raises(DamagedData, match="verify"):
        read_snapshot(io.BytesIO(b"no parquet"))
