"""A day of presence comes back as it was written, device by device and chunk by chunk."""

import io

import numpy as np
import pytest

from fleetpulse.aggregate.presence import WORDS_PER_DAY, Rows, count_minutes
from fleetpulse.blocks.columns import read_footer
from fleetpulse.blocks.presence import (
    CHUNK,
    PRESENCE_INDEXED,
    ROW_GROUP_DEVICES,
    Chunk,
    read_minutes,
    read_presence,
    read_row,
    write_presence,
)
from fleetpulse.blocks.store import MemoryBlockStore
from fleetpulse.errors import DamagedData


def chunk_of(devices: range) -> Chunk:
    chance = np.random.default_rng(1)
    rows: Rows = np.zeros((len(devices), WORDS_PER_DAY), np.uint64)
    rows[:, :22] = chance.integers(1, 2**63, (len(devices), 22), np.uint64)
    return np.array(devices, np.uint32), rows


def test_chunks_rows_and_minutes_come_back() -> None:
    chunks = [chunk_of(range(3, 3 + 2 * ROW_GROUP_DEVICES, 2)), chunk_of(range(0)), chunk_of(range(CHUNK, CHUNK + 2))]
    store = MemoryBlockStore()
    store.put("day", lambda file: write_presence(file, chunks))
    with store.open("day") as reader:
        found = list(read_presence(reader))
        devices, minutes = read_minutes(reader)
        footer = read_footer(reader, "day", indexed=PRESENCE_INDEXED)
        for device, expected in ((3, chunks[0][1][0]), (CHUNK + 1, chunks[2][1][1])):
            np.testing.assert_array_equal(read_row(reader, "day", footer, device), expected)
        assert read_row(reader, "day", footer, 4) is None
        assert read_row(reader, "day", footer, 10**6) is None
    for (numbers, rows), written in zip(found, (chunks[0], chunks[2]), strict=True):
        np.testing.assert_array_equal(numbers, written[0])
        np.testing.assert_array_equal(rows, written[1])
    np.testing.assert_array_equal(devices, np.concatenate([numbers for numbers, _ in chunks]))
    np.testing.assert_array_equal(minutes, np.concatenate([count_minutes(rows) for _, rows in chunks]))


def test_what_is_no_presence_block_is_damage() -> None:
    with pytest.raises(DamagedData, match="verify"):
        list(read_presence(io.BytesIO(b"no parquet")))
    with pytest.raises(DamagedData, match="verify"):
        read_minutes(io.BytesIO(b"no parquet"))
