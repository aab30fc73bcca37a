"""A merged day of presence holds every minute of every source once, whatever source it came from."""

import numpy as np
import pytest

from fleetpulse.aggregate.presence import WORDS_PER_DAY, Chunk, Rows, count_minutes
from fleetpulse.blocks.presence import CHUNK
from fleetpulse.blocks.presence_merge import counted, merge_presence


def chunk_of(minutes: dict[int, set[int]]) -> Chunk:
    """Devices, ascending, with the minutes (below 64) in which they were present."""
    devices = np.array(sorted(minutes), np.uint32)
    rows: Rows = np.zeros((len(devices), WORDS_PER_DAY), np.uint64)
    for place, device in enumerate(devices.tolist()):
        rows[place, 0] = sum(1 << minute for minute in minutes[device])
    return devices, rows


def dense_of(minutes: dict[int, set[int]], count: int) -> Rows:
    devices, rows = chunk_of(minutes)
    dense: Rows = np.zeros((count, WORDS_PER_DAY), np.uint64)
    dense[devices] = rows
    return dense


def minutes_of(chunks: list[Chunk]) -> dict[int, int]:
    """The first word of each device that was yielded, each device once."""
    found = [(device, row) for devices, rows in chunks for device, row in zip(devices.tolist(), rows, strict=True)]
    assert [device for device, _ in found] == sorted({device for device, _ in found})
    return {device: int(row[0]) for device, row in found}


def test_a_minute_that_block_memory_and_late_data_hold_counts_once() -> None:
    merged = merge_presence(
        6,
        stored=[chunk_of({1: {0, 1}, 2: {5}})],
        dense=[dense_of({1: {1, 2}, 4: {3}}, 6)],
        sparse=[[chunk_of({1: {2, 3}})], [chunk_of({5: {0}})]],
    )
    assert minutes_of(list(merged)) == {1: 0b1111, 2: 1 << 5, 4: 1 << 3, 5: 1}


def test_chunks_come_by_ranges_of_device_numbers_and_devices_without_a_minute_are_left_out() -> None:
    stored = [chunk_of({CHUNK + 3: {1}})]
    chunks = list(merge_presence(2 * CHUNK + 1, stored=stored, sparse=[[chunk_of({0: {1}, 2 * CHUNK: {2}, 7: set()})]]))
    assert [devices.tolist() for devices, _ in chunks] == [[0], [CHUNK + 3], [2 * CHUNK]]
    assert all(devices.dtype == np.uint32 for devices, _ in chunks)


def test_rows_of_devices_beyond_the_count_are_ignored_and_short_arrays_are_taken() -> None:
    merged = merge_presence(
        3, stored=[chunk_of({2: {0}, 9: {0}})], dense=[dense_of({0: {1}}, 1)], sparse=[[chunk_of({1: {2}, 8: {2}})]]
    )
    assert minutes_of(list(merged)) == {0: 1 << 1, 1: 1 << 2, 2: 1}


def test_a_day_without_any_source_is_empty_chunks() -> None:
    assert [len(devices) for devices, _ in merge_presence(CHUNK + 1)] == [0, 0]


@pytest.mark.parametrize("late", [{1: {0, 9}}, {1: {0}}, {3: {4, 5}}])
def test_counting_before_and_after_a_merge_gives_the_minutes_that_it_brought(late: dict[int, set[int]]) -> None:
    minutes = np.array([10, 10, 10, 10], np.int32)
    stored = counted([chunk_of({1: {0, 1}, 2: {5}})], minutes, sign=-1)
    merged = list(counted(merge_presence(4, stored=stored, sparse=[[chunk_of(late)]]), minutes, sign=1))
    brought = sum(int(count_minutes(rows).sum()) for _, rows in merged) - 3
    assert int(minutes.sum()) == 40 + brought
    assert minutes[2] == 10
