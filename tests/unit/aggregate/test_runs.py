"""Runs of equal rows: firsts, lasts, numbers and bounds are those that a plain loop finds."""

from itertools import groupby

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from fleetpulse.aggregate.runs import first_of_runs, last_of_runs, run_bounds, run_numbers

ROWS = st.lists(st.tuples(st.integers(0, 2), st.integers(0, 1)), max_size=12)


@settings(deadline=None)
@given(ROWS)
def test_runs_of_two_columns_are_those_of_groupby(rows: list[tuple[int, int]]) -> None:
    one = np.array([row[0] for row in rows], np.uint32)
    two = np.array([row[1] for row in rows], np.int64)
    runs = [len(list(run)) for _, run in groupby(rows)]
    firsts = np.flatnonzero(first_of_runs(one, two)).tolist()
    assert firsts == [sum(runs[:place]) for place in range(len(runs))]
    assert np.flatnonzero(last_of_runs(one, two)).tolist() == [
        first + length - 1 for first, length in zip(firsts, runs, strict=True)
    ]
    assert np.bincount(run_numbers(first_of_runs(one, two)), minlength=0).tolist() == runs
    assert list(run_bounds(one, two)) == [(first, first + length) for first, length in zip(firsts, runs, strict=True)]


def test_long_runs_are_cut_and_the_cuts_stay_within_a_run() -> None:
    keys = np.array([7, 7, 7, 7, 7, 8, 8], np.uint16)
    assert list(run_bounds(keys, rows_max=2)) == [(0, 2), (2, 4), (4, 5), (5, 7)]


def test_no_rows_have_no_runs() -> None:
    assert list(run_bounds(np.zeros(0, np.int64), rows_max=5)) == []
    assert len(first_of_runs(np.zeros(0, np.int64))) == 0
