"""Many rows and classes at once say what each of them says."""

from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleetpulse.aggregate.class_spans import ClassClocks, concatenated, join_by_row, search_in_rows
from fleetpulse.aggregate.spans import covered_before, spans_of, union

FOREVER = 2**62
PAIRS = st.lists(st.tuples(st.integers(0, 40), st.integers(0, 40) | st.just(FOREVER)), max_size=6)


@pytest.mark.parametrize("is_right", [False, True])
@given(rows=st.lists(st.lists(st.integers(0, 9), max_size=9), min_size=1, max_size=5))
def test_a_value_stands_among_those_of_its_row(rows: list[list[int]], is_right: bool) -> None:
    rows = [sorted(row) for row in rows]
    edges = np.cumsum([0, *map(len, rows)])
    values = np.array([value for row in rows for value in row], np.int64)
    wanted = np.arange(-1, 11)
    found = search_in_rows(values, edges, np.arange(len(rows))[:, None], wanted, is_right=is_right)
    for number, row in enumerate(rows):
        side = "right" if is_right else "left"
        expected = edges[number] + np.searchsorted(np.array(row, np.int64), wanted, side=side)
        assert np.broadcast_to(found, (len(rows), len(wanted)))[number].tolist() == expected.tolist()


@given(st.lists(PAIRS, min_size=1, max_size=5), st.randoms())
def test_pairs_are_joined_in_each_row(rows: list[list[tuple[int, int]]], random: Random) -> None:
    every = [(number, pair) for number, row in enumerate(rows) for pair in row]
    random.shuffle(every)
    codes = np.array([number for number, _ in every], np.int64)
    found, spans = join_by_row(codes, np.array([pair for _, pair in every], np.int64).reshape(-1, 2))
    expected = [(number, *span) for number, row in enumerate(rows) for span in spans_of(row).tolist()]
    assert list(zip(found.tolist(), *spans.T.tolist(), strict=True)) == expected


@given(PAIRS, st.lists(PAIRS, min_size=1, max_size=5))
def test_a_clock_stands_still_in_the_spans_of_all_and_of_its_class(
    common: list[tuple[int, int]], classes: list[list[tuple[int, int]]]
) -> None:
    of_class = [spans_of(pairs) for pairs in classes]
    edges, spans = concatenated(of_class)
    codes = np.repeat(np.arange(len(classes)), np.diff(edges))
    clocks = ClassClocks.of(spans_of(common), codes, spans, count=len(classes))
    at_ns = np.array([*range(45), FOREVER - 1, FOREVER])
    shown = clocks.at(np.arange(len(classes))[:, None], at_ns)
    for number, own in enumerate(of_class):
        expected = at_ns - covered_before(union(spans_of(common), own), at_ns)
        assert shown[number].tolist() == expected.tolist()
        assert clocks.at(np.full(len(at_ns), number), at_ns).tolist() == expected.tolist()
