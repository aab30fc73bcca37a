"""Samples folded at once, or folded in parts that are folded again, give the same cells."""

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fleetpulse.aggregate.aggregations import figures
from fleetpulse.aggregate.rollup import ALL_PARTS, CellPart, Cells, cut_cells, fold_cells, fold_samples, join_cells

SAMPLES = st.lists(
    st.tuples(st.integers(0, 2), st.integers(-(2**63), 2**63 - 1), st.integers(0, 3)), min_size=1, max_size=20
)
CELLS = 3


def folded(samples: list[tuple[int, int, int]], *, parts: Sequence[CellPart] = ALL_PARTS) -> Cells:
    cells, values, at_ns = (np.array(column, np.int64) for column in zip(*samples, strict=True))
    return fold_samples(cells, values, at_ns, count=CELLS, parts=parts)


@settings(max_examples=50, deadline=None)
@given(SAMPLES, st.data())
def test_any_grouping_gives_the_same_cells(samples: list[tuple[int, int, int]], data: st.DataObject) -> None:
    whole = folded(samples)
    cut = data.draw(st.integers(0, len(samples)))
    parts = [folded(part) for part in (samples[:cut], samples[cut:]) if part]
    again = fold_cells(np.tile(np.arange(CELLS), len(parts)), join_cells(parts), count=CELLS)
    for aggregation in ("count", "sum", "avg", "min", "max", "latest", "p50", "p95"):
        assert figures(again, aggregation) == figures(whole, aggregation), aggregation


@settings(deadline=None)
@given(SAMPLES)
def test_integer_figures_are_those_of_exact_arithmetic(samples: list[tuple[int, int, int]]) -> None:
    cells = folded(samples, parts=ALL_PARTS[:-1])
    for place in range(CELLS):
        values = [value for cell, value, _ in samples if cell == place]
        assert figures(cells, "sum")[place] == (sum(values) if values else None)
        assert figures(cells, "min")[place] == min(values, default=None)
        latest = max(((at, value) for cell, value, at in samples if cell == place), default=(0, None))
        assert figures(cells, "latest")[place] == latest[1]


def test_an_average_is_whole_where_it_is_one_and_empty_cells_have_none() -> None:
    cells = folded([(0, 2**62, 0), (0, 2**62 + 2, 0), (1, 1, 0), (1, 2, 0)])
    assert figures(cells, "avg") == [2**62 + 1, 1.5, None]
    assert figures(cells, "count") == [2, 2, 0]


def test_a_quantile_stays_within_the_extremes_and_needs_sketches() -> None:
    samples = [(0, 1_000, 0)]
    assert figures(folded(samples), "p99")[0] == 1_000
    with pytest.raises(ValueError, match="sketches"):
        figures(folded(samples, parts=ALL_PARTS[:-1]), "p99")


def test_cut_cells_keep_their_sketches() -> None:
    cells = folded([(0, 10, 0), (2, 30, 0), (2, 50, 0)])
    part = cut_cells(cells, 2, 3)
    assert figures(part, "count") == [2]
    assert figures(part, "p99") == [pytest.approx(50, rel=0.01)]
