"""Rows of presence: marks in any order and number, and the same bits on disk."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from fleetpulse.aggregate.presence import (
    BYTES_PER_DAY,
    WORDS_PER_DAY,
    count_minutes,
    from_bytes,
    mark_minutes,
    split_days,
    to_bytes,
)

MARKS = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 1439)), max_size=30)


@settings(deadline=None)
@given(MARKS)
def test_marking_gives_the_same_rows_in_any_order_and_however_often(marks: list[tuple[int, int]]) -> None:
    rows = np.zeros((4, WORDS_PER_DAY), np.uint64)
    for order in (marks, marks[::-1] + marks):
        mark_minutes(
            rows,
            places=np.array([place for place, _ in order], np.int64),
            minutes_of_day=np.array([minute for _, minute in order], np.int64),
        )
    assert count_minutes(rows).tolist() == [len({minute for at, minute in marks if at == place}) for place in range(4)]
    packed = to_bytes(rows)
    assert packed.shape == (4, BYTES_PER_DAY)
    assert {
        (place, minute) for place in range(4) for minute in range(1440) if packed[place, minute // 8] >> minute % 8 & 1
    } == set(marks)
    np.testing.assert_array_equal(from_bytes(packed), rows)


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(-3_000, 3_000)), min_size=1), st.booleans())
def test_minutes_are_split_by_day(marks: list[tuple[int, int]], is_wide: bool) -> None:
    if is_wide:
        marks.append((0, 1_440 * 10_000))
    devices, minutes = (np.array(column) for column in zip(*marks, strict=True))
    found = [
        (device, day * 1_440 + minute)
        for day, of_day, of_minutes in split_days(devices.astype(np.uint32), minutes)
        for device, minute in zip(of_day.tolist(), of_minutes.tolist(), strict=True)
    ]
    assert sorted(found) == sorted(marks)
