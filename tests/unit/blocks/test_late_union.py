"""The union of late blocks is that of plain sets of minutes, whatever pieces they come in."""

from itertools import pairwise

import numpy as np
import pytest

from fleetpulse.aggregate.presence import WORDS_PER_DAY
from fleetpulse.blocks.late import WRITTEN_AT_ONCE, LateRows, distinct_late, join_late
from fleetpulse.blocks.late_union import late_union


def rows_of(chance: np.random.Generator, count: int, *, is_by_day: bool) -> LateRows:
    """Random rows in the order of a file, each (day, device) once, with the greatest numbers that there are."""
    days = chance.integers(0, 50, count).astype(np.int32)
    devices = chance.integers(2**32 - 1 - 60, 2**32 - 1, count).astype(np.uint32)
    rows = np.zeros((count, WORDS_PER_DAY), np.uint64)
    rows[np.arange(count), chance.integers(0, WORDS_PER_DAY, count)] = chance.integers(1, 2**63, count, np.uint64)
    late = distinct_late(LateRows(days, devices, rows))
    return late.where(np.lexsort((late.devices, late.days) if is_by_day else (late.days, late.devices)))


def cut(late: LateRows, places: list[int]) -> list[LateRows]:
    """The rows in pieces, some of which are empty."""
    return [late.where(slice(*bounds)) for bounds in pairwise([0, *places, len(late.days)])]


@pytest.mark.parametrize("is_by_day", [True, False])
@pytest.mark.parametrize("count", [0, 1, 700, WRITTEN_AT_ONCE])
def test_each_day_of_a_device_comes_once_with_the_minutes_of_all_files(is_by_day: bool, count: int) -> None:
    chance = np.random.default_rng(count)
    files = [rows_of(chance, count // part, is_by_day=is_by_day) for part in (1, 2, 7)]
    pieces = [cut(late, sorted(chance.integers(0, len(late.days) + 1, 9).tolist())) for late in files]
    found = list(late_union(pieces, is_by_day=is_by_day))
    assert [len(piece.days) for piece in found[:-1]] == [WRITTEN_AT_ONCE] * (len(found) - 1)
    union, expected = join_late(found), distinct_late(join_late(files))
    expected = expected.where(
        np.lexsort((expected.devices, expected.days) if is_by_day else (expected.days, expected.devices))
    )
    for one, other in zip(union, expected, strict=True):
        np.testing.assert_array_equal(one, other)


def test_many_rows_come_in_pieces_that_are_worth_writing() -> None:
    count = 2 * WRITTEN_AT_ONCE + 5
    rows = np.ones((count, WORDS_PER_DAY), np.uint64)
    late = LateRows(np.arange(count, dtype=np.int32), np.zeros(count, np.uint32), rows)
    found = list(late_union([cut(late, list(range(0, count, 1_000)))], is_by_day=True))
    assert [len(piece.days) for piece in found] == [WRITTEN_AT_ONCE, WRITTEN_AT_ONCE, 5]
