"""A sketch keeps its promise for every finite double, and does not know how its samples came together."""

import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from fleetpulse.aggregate.sketch import (
    RELATIVE_ERROR,
    Sketches,
    build_sketches,
    exact_quantiles,
    join_sketches,
    key_values,
    merge_sketches,
    sketch_keys,
    sketch_quantiles,
)

CELLS = 4
PERCENTS = [0, 1, 50, 90, 95, 99, 100]
HIGHEST = sys.float_info.max
SMALLEST_NORMAL = sys.float_info.min
FINITE = st.floats(allow_nan=False, allow_infinity=False)
VALUES = (
    FINITE
    | st.floats(-1000, 1000)
    | st.sampled_from([0.0, -0.0, 1.0, 5e-324, SMALLEST_NORMAL, -SMALLEST_NORMAL, HIGHEST, -HIGHEST])
)
SAMPLES = st.lists(st.tuples(st.integers(0, CELLS - 1), VALUES), max_size=60)


def arrays(samples: list[tuple[int, float]]) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    return np.array([cell for cell, _ in samples], np.int64), np.array([value for _, value in samples], np.float64)


def built(samples: list[tuple[int, float]]) -> Sketches:
    cells, values = arrays(samples)
    return build_sketches(cells, values, count=CELLS)


def merged(parts: list[Sketches]) -> Sketches:
    return merge_sketches(np.tile(np.arange(CELLS), len(parts)), join_sketches(parts), count=CELLS)


def assert_same(one: Sketches, two: Sketches) -> None:
    for name, dtype in (("offsets", np.int64), ("keys", np.int32), ("counts", np.int64)):
        left, right = getattr(one, name), getattr(two, name)
        assert left.dtype == right.dtype == dtype
        np.testing.assert_array_equal(left, right)


def assert_close(answers: NDArray[np.float64], exact: NDArray[np.float64]) -> None:
    np.testing.assert_array_equal(np.isnan(answers), np.isnan(exact))
    answers, exact = answers[~np.isnan(exact)], exact[~np.isnan(exact)]
    is_normal = np.abs(exact) >= SMALLEST_NORMAL
    assert np.all(answers[~is_normal] == 0)
    assert np.all(np.abs(answers - exact)[is_normal] <= RELATIVE_ERROR * np.abs(exact[is_normal]))


@given(SAMPLES)
def test_every_quantile_is_within_one_per_cent_of_the_exact_one(samples: list[tuple[int, float]]) -> None:
    cells, values = arrays(samples)
    for percent in PERCENTS:
        assert_close(sketch_quantiles(built(samples), percent), exact_quantiles(cells, values, percent, count=CELLS))


@given(SAMPLES, st.sampled_from(PERCENTS))
def test_the_exact_quantile_is_the_value_of_nearest_rank(samples: list[tuple[int, float]], percent: int) -> None:
    cells, values = arrays(samples)
    answers = exact_quantiles(cells, values, percent, count=CELLS)
    for cell in range(CELLS):
        ordered = sorted(value for at, value in samples if at == cell)
        if ordered:
            assert answers[cell] == ordered[max(1, (percent * len(ordered) + 99) // 100) - 1]
        else:
            assert np.isnan(answers[cell])


@given(SAMPLES)
def test_a_sketch_holds_each_key_once_in_order_with_all_its_samples(samples: list[tuple[int, float]]) -> None:
    sketches = built(samples)
    assert len(sketches) == CELLS
    for cell in range(CELLS):
        rows = slice(sketches.offsets[cell], sketches.offsets[cell + 1])
        keys = sketch_keys(np.array([value for at, value in samples if at == cell], np.float64)).tolist()
        assert sketches.keys[rows].tolist() == sorted(set(keys))
        assert sketches.counts[rows].tolist() == [keys.count(key) for key in sorted(set(keys))]


@given(st.lists(SAMPLES, max_size=5), st.randoms())
def test_any_split_merged_in_any_order_is_the_sketch_built_at_once(
    parts: list[list[tuple[int, float]]], random: object
) -> None:
    whole = built([sample for part in parts for sample in part])
    shuffled = [built(part) for part in parts]
    random.shuffle(shuffled)
    assert_same(merged(shuffled), whole)
    one_by_one = built([])
    for part in shuffled:
        one_by_one = merged([one_by_one, part])
    assert_same(one_by_one, whole)


@given(SAMPLES)
def test_cells_may_be_merged_into_one(samples: list[tuple[int, float]]) -> None:
    all_in_one = merge_sketches(np.zeros(CELLS, np.int64), built(samples), count=1)
    _, values = arrays(samples)
    assert_same(all_in_one, build_sketches(np.zeros(len(values), np.int64), values, count=1))


@given(st.lists(VALUES, min_size=1, max_size=60))
def test_keys_rise_with_values_and_mirror_at_zero(values: list[float]) -> None:
    ordered = np.sort(np.array(values))
    keys = sketch_keys(ordered)
    assert np.all(np.diff(keys) >= 0)
    np.testing.assert_array_equal(sketch_keys(-ordered), -keys)
    np.testing.assert_array_equal(np.sign(keys), np.where(np.abs(ordered) < SMALLEST_NORMAL, 0, np.sign(ordered)))


@given(FINITE.filter(lambda value: abs(value) >= SMALLEST_NORMAL))
def test_neighbouring_doubles_have_the_same_key_or_the_next(value: float) -> None:
    keys = sketch_keys(np.array([np.nextafter(value, 0), value]))
    assert abs(keys[1] - keys[0]) in (0, 1)


def test_every_key_has_a_finite_value_of_that_key_that_is_close_to_both_of_its_bounds() -> None:
    first, last = sketch_keys(np.array([SMALLEST_NORMAL, HIGHEST])).tolist()
    assert first == 1
    keys = np.arange(first, last + 1, dtype=np.int32)
    values = key_values(keys)
    assert np.all(np.isfinite(values))
    np.testing.assert_array_equal(sketch_keys(values), keys)
    np.testing.assert_array_equal(key_values(-keys), -values)
    # The bounds, by bisection on the bits between neighbouring keys' values: positive doubles order as their bits do.
    low, high = values[:-1].view(np.int64).copy(), values[1:].view(np.int64).copy()
    while np.any(high - low > 1):
        middle = low + (high - low) // 2
        is_low = sketch_keys(middle.view(np.float64)) == keys[:-1]
        low, high = np.where(is_low, middle, low), np.where(is_low, high, middle)
    lowest, highest = np.append(SMALLEST_NORMAL, high.view(np.float64)), np.append(low.view(np.float64), HIGHEST)
    assert_close(values, lowest)
    assert_close(values, highest)


def test_what_is_no_normal_double_counts_as_zero() -> None:
    values = np.array([0.0, -0.0, 5e-324, -5e-324, np.nextafter(SMALLEST_NORMAL, 0), -np.nextafter(SMALLEST_NORMAL, 0)])
    assert sketch_keys(values).tolist() == [0] * len(values)
    assert key_values(np.zeros(1, np.int32)).tolist() == [0.0]


@pytest.mark.parametrize(
    ("percent", "size", "rank"), [(95, 20, 19), (7, 100, 7), (50, 1, 1), (99, 100, 99), (99, 101, 100)]
)
def test_ranks_are_reckoned_in_whole_numbers(percent: int, size: int, rank: int) -> None:
    cells, values = np.zeros(size, np.int64), np.arange(1.0, size + 1)
    assert exact_quantiles(cells, values, percent, count=1).tolist() == [rank]
    assert sketch_quantiles(build_sketches(cells, values, count=1), percent) == key_values(
        sketch_keys(np.array([rank], np.float64))
    )


def test_a_percentage_beyond_100_is_refused_and_not_read_from_the_next_sketch() -> None:
    for percent in (-1, 101):
        with pytest.raises(ValueError, match=r"0\.\.100"):
            sketch_quantiles(built([(0, 1.0), (1, 2.0)]), percent)


def test_nothing_at_all_is_no_sketches() -> None:
    nothing = join_sketches([])
    assert len(nothing) == 0
    assert sketch_quantiles(nothing, 50).shape == (0,)
    assert_same(merge_sketches(np.empty(0, np.int64), nothing, count=CELLS), built([]))


@pytest.mark.parametrize("name", ["normal", "lognormal", "pareto", "uniform", "whole", "any_bits"])
def test_a_large_sample_keeps_the_promise(name: str) -> None:
    random = np.random.default_rng(7)
    size, count = 400_000, 300
    bits = random.integers(-(2**63), 2**63 - 1, size, dtype=np.int64).view(np.float64)
    values = {
        "normal": lambda: random.normal(20, 15, size),
        "lognormal": lambda: random.lognormal(3, 4, size),
        "pareto": lambda: random.pareto(0.5, size),
        "uniform": lambda: random.uniform(-1, 1, size),
        "whole": lambda: random.integers(-100, 100, size).astype(np.float64),
        "any_bits": lambda: np.where(np.isfinite(bits), bits, 0.0),
    }[name]()
    cells = random.integers(0, count - 1, size)
    sketches = build_sketches(cells, values, count=count)
    for percent in PERCENTS:
        assert_close(sketch_quantiles(sketches, percent), exact_quantiles(cells, values, percent, count=count))
