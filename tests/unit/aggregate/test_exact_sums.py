"""Sums are those of fractions, in any order and any grouping, and are rounded once."""

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fleetpulse.aggregate.cell_groups import CellGroups
from fleetpulse.aggregate.exact_sums import (
    ExactSums,
    fold_sums,
    high_and_low,
    join_sums,
    minus_doubles,
    no_sums,
    ratios,
    rounded_sums,
    sum_doubles,
    sum_integers,
)

CELLS = 3
DOUBLES = (
    st.floats(allow_nan=False, allow_infinity=False)
    | st.sampled_from([1e16, 1.0, -1e16, 1.7e308, -1.7e308, 5e-324, -5e-324, 2.0**992, 2.0**512, 21.7, 0.1])
    | st.integers(0, 1_000).map(lambda tenths: tenths / 10)
)
Sample = tuple[int, float]
SAMPLES = st.lists(st.tuples(st.integers(0, CELLS - 1), DOUBLES), max_size=30)


def summed(samples: list[Sample]) -> ExactSums:
    cells = np.array([cell for cell, _ in samples], np.int64)
    return sum_doubles(CellGroups(cells, CELLS), np.array([value for _, value in samples], np.float64))


def fractions_of(sums: ExactSums) -> list[Fraction]:
    return [total * Fraction(2) ** (32 * sums.place) for total in sums.totals()]


def exactly(samples: list[Sample]) -> list[Fraction]:
    return [sum((Fraction(value) for place, value in samples if place == cell), Fraction(0)) for cell in range(CELLS)]


def rounded(exact: Fraction) -> float:
    try:
        return float(exact)
    except OverflowError:
        return math.inf if exact > 0 else -math.inf


@settings(deadline=None)
@given(SAMPLES, st.data())
def test_any_order_and_any_grouping_give_the_sum_of_fractions(samples: list[Sample], data: st.DataObject) -> None:
    exact = exactly(samples)
    assert fractions_of(summed(samples)) == exact
    shuffled = data.draw(st.permutations(samples))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(samples)), max_size=3)))
    parts = [summed(shuffled[start:end]) for start, end in zip([0, *cuts], [*cuts, len(samples)], strict=True)]
    groups = CellGroups(np.tile(np.arange(CELLS), len(parts)), CELLS)
    again = fold_sums(groups, join_sums(parts))
    assert fractions_of(again) == exact
    assert rounded_sums(again).tolist() == [rounded(total) for total in exact]


@settings(deadline=None)
@given(SAMPLES, st.integers(1, 2**40))
def test_a_ratio_is_rounded_once(samples: list[Sample], divisor: int) -> None:
    expected = [rounded(total / divisor) for total in exactly(samples)]
    found = ratios(summed(samples), [divisor] * CELLS)
    assert found == [None if math.isinf(value) else value for value in expected]


def test_more_rows_than_a_double_can_sum_at_once_are_summed_exactly() -> None:
    values = np.full((1 << 21) + 3, -1e-3)
    sums = sum_doubles(CellGroups(np.zeros(len(values), np.int64), 1), values)
    assert fractions_of(sums) == [len(values) * Fraction(-1e-3)]


def test_sums_of_integers_are_exact_however_large() -> None:
    groups = CellGroups(np.zeros(5, np.int64), 1)
    sums = sum_integers(groups, np.array([2**63 - 1] * 4 + [-(2**63)]))
    assert sums.totals() == [4 * (2**63 - 1) - 2**63]
    high, low = high_and_low(sums)
    assert (int(high[0]) << 32) + int(low[0]) == sums.totals()[0]


def test_no_words_are_sums_of_0() -> None:
    sums = join_sums([no_sums(1), summed([(1, 0.0)])])
    assert (len(sums), sums.totals(), rounded_sums(sums).tolist()) == (1 + CELLS, [0] * 4, [0.0] * 4)
    assert fold_sums(CellGroups(np.zeros(4, np.int64), 1), sums).totals() == [0]


def test_sums_are_cut_chosen_and_reduced_by_doubles() -> None:
    sums = summed([(0, 1.5), (1, 2.5), (2, 1e300)])
    assert rounded_sums(sums.cut(1, 3)).tolist() == [2.5, 1e300]
    assert rounded_sums(sums.take(np.array([True, False, True]))).tolist() == [1.5, 1e300]
    assert rounded_sums(minus_doubles(sums, np.array([0.5, 2.5, -1e300]))).tolist() == [1.0, 0.0, 2e300]


@pytest.mark.parametrize("tail", [0.0, 2.0**-200, -(2.0**-200)])
def test_what_is_far_below_decides_a_tie(tail: float) -> None:
    sums = summed([(0, 1.0), (0, 2.0**-53), (0, tail)])
    assert rounded_sums(sums)[0] == (1.0 + 2.0**-52 if tail > 0 else 1.0)
