"""Sums as doubles are the same sums again."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fleetpulse.aggregate.cell_groups import CellGroups
from fleetpulse.aggregate.exact_sums import ExactSums, fold_sums, join_sums, ratios, rounded_sums, sum_doubles
from fleetpulse.aggregate.sum_parts import join_others, split_others, sum_parts, sums_of_parts

DOUBLES = st.floats(allow_nan=False, allow_infinity=False) | st.sampled_from([1.7e308, -1.7e308, 5e-324, 0.1, 21.7])


def summed(values: list[float], cells: list[int] | None = None) -> ExactSums:
    return sum_doubles(CellGroups(np.array(cells or [0] * len(values), np.int64), 2), np.array(values, np.float64))


def difference(sums: ExactSums, others: ExactSums) -> list[int]:
    cells = np.arange(len(sums))
    return fold_sums(
        CellGroups(np.tile(cells, 2), len(sums)), join_sums([sums, ExactSums(-others.words, others.place)])
    ).totals()


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 1), DOUBLES), min_size=1, max_size=20))
def test_a_sum_comes_back_exactly(samples: list[tuple[int, float]]) -> None:
    sums = summed([value for _, value in samples], [cell for cell, _ in samples])
    first, offsets, others = sum_parts(sums)
    np.testing.assert_array_equal(first, rounded_sums(sums))
    assert difference(sums_of_parts(first, offsets, others), sums) == [0, 0]


def test_a_sum_that_is_a_double_has_no_other_parts() -> None:
    first, offsets, others = sum_parts(summed([1.5, 2.25]))
    assert (first.tolist(), offsets.tolist(), others.tolist()) == ([3.75, 0.0], [0, 0, 0], [])


def test_an_average_beyond_whose_sum_no_double_goes_is_kept_with_its_last_bit() -> None:
    parts = sum_parts(summed([1.7e308, 1.7e308, 1.7e308, 5e-324]))
    assert parts[0].tolist() == [math.inf, 0.0]
    assert ratios(sums_of_parts(*parts), [3, 1]) == [1.7e308, 0.0]
    again = sums_of_parts(*sum_parts(sums_of_parts(*parts)))
    assert difference(again, summed([1.7e308, 1.7e308, 1.7e308, 5e-324])) == [0, 0]


@pytest.mark.parametrize("overflowed", [math.inf, -math.inf, math.nan])
def test_what_overflowed_in_an_earlier_version_stays_unknown(overflowed: float) -> None:
    sums = sums_of_parts(np.array([overflowed, 2.0]), np.zeros(3, np.int64), np.zeros(0))
    assert ratios(sums, [1_000, 1]) == [None, 2.0]
    first, _, others = sum_parts(sums)
    assert (bool(np.isfinite(first[0])), others.tolist()) == (False, [])


def test_the_first_of_the_others_is_split_off_and_joined_again() -> None:
    offsets, others = np.array([0, 0, 1, 4, 4]), np.array([0.5, 1e-3, 2e-20, 3e-40])
    low, rest_offsets, rest = split_others(offsets, others)
    assert (low.tolist(), rest_offsets.tolist(), rest.tolist()) == (
        [0.0, 0.5, 1e-3, 0.0],
        [0, 0, 0, 2, 2],
        [2e-20, 3e-40],
    )
    again, values = join_others(low, rest_offsets, rest)
    assert (again.tolist(), values.tolist()) == (offsets.tolist(), others.tolist())
    assert [part.tolist() for part in join_others(low[:2], rest_offsets[:3], rest[:0])] == [[0, 0, 1], [0.5]]
