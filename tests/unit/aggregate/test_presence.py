"""Rows of presence, and the same bits on disk."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fleetpulse.aggregate.presence import (
    BYTES_PER_DAY,
    WORDS_PER_DAY,
    count_before,
    count_minutes,
    from_bytes,
    to_bytes,
)
from fleetpulse.aggregate.uptime import pack_minutes, unpack_minutes

MARKS = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 1439)), max_size=30)


@settings(deadline=None)
@given(MARKS)
def test_a_row_on_disk_has_a_bit_for_each_minute(marks: list[tuple[int, int]]) -> None:
    truths = np.zeros((4, 1440), bool)
    for place, minute in marks:
        truths[place, minute] = True
    rows = pack_minutes(truths)
    assert count_minutes(rows).tolist() == [len({minute for at, minute in marks if at == place}) for place in range(4)]
    packed = to_bytes(rows)
    assert packed.shape == (4, BYTES_PER_DAY)
    assert {
        (place, minute) for place in range(4) for minute in range(1440) if packed[place, minute // 8] >> minute % 8 & 1
    } == set(marks)
    np.testing.assert_array_equal(from_bytes(packed), rows)


@pytest.mark.parametrize("words", [1, 5, WORDS_PER_DAY])
def test_bits_before_places_are_counted_as_if_they_were_laid_out(words: int) -> None:
    random = np.random.default_rng(words)
    rows = random.integers(0, 2**64, (7, words), np.uint64)
    places = np.sort(random.integers(0, 64 * words + 1, 50)).astype(np.int64)
    for chosen in (places, np.array([0, 64, 64 * words], np.int64), places[:0]):
        laid_out = unpack_minutes(rows, count=64 * words).astype(np.int64)
        expected = np.stack([laid_out[:, :place].sum(axis=1) for place in chosen], axis=1) if len(chosen) else None
        counted = count_before(rows, chosen)
        assert counted.shape == (7, len(chosen))
        assert counted.dtype == np.int64
        assert expected is None or counted.tolist() == expected.tolist()
    assert count_before(rows[:0], places).shape == (0, 50)
