"""What is gathered of a span is the same in pieces as at once, is counted in the budget, and has a limit."""

import numpy as np
import pytest

from fleetpulse.aggregate.aggregations import RULES, figures
from fleetpulse.aggregate.rollup import ALL_PARTS, fold_samples
from fleetpulse.errors import TooDear
from fleetpulse.query.budget import Budget
from fleetpulse.query.gathered import SAMPLES_AT_ONCE, GatheredCells, GatheredSamples, Ledger, SpanTooLarge

COUNT = 50
CHANCE = np.random.default_rng(3)
PLACES = CHANCE.integers(0, COUNT, 30_000)
VALUES = CHANCE.normal(20, 5, len(PLACES)).round(1)
AT_NS = CHANCE.integers(0, 10**15, len(PLACES))


def test_cells_that_are_gathered_in_pieces_have_the_figures_of_all_samples() -> None:
    budget = Budget()
    with Ledger(budget, None) as ledger:
        gathered = GatheredCells("float", COUNT, ALL_PARTS, ledger)
        for start in range(0, len(PLACES), 7):
            rows = slice(start, start + 7)
            if start % 2:
                gathered.add_samples(PLACES[rows], VALUES[rows], AT_NS[rows])
            else:
                finer = fold_samples(np.arange(len(PLACES[rows])), VALUES[rows], AT_NS[rows], count=len(PLACES[rows]))
                gathered.add_cells(PLACES[rows], finer)
                assert finer.sketches is not None
                gathered.add_sketches(PLACES[rows], finer.sketches)
        found = gathered.cells()
        assert budget.taken_bytes > 0
    assert budget.taken_bytes == 0
    expected = fold_samples(PLACES, VALUES, AT_NS, count=COUNT)
    for aggregation in ("avg", "sum", "min", "max", "latest", "count", "p50", "p99"):
        assert figures(found, aggregation) == figures(expected, aggregation)


def test_sketches_of_no_cell_are_left_out() -> None:
    with Ledger(Budget(), None) as ledger:
        gathered = GatheredCells("float", 1, ("sketches",), ledger)
        finer = fold_samples(np.array([0, 1]), np.array([1.0, 2.0]), np.array([1, 2]), count=2)
        assert finer.sketches is not None
        gathered.add_sketches(np.array([-1, 0]), finer.sketches)
        sketches = gathered.cells().sketches
    assert sketches is not None
    assert sketches.counts.tolist() == [1]


@pytest.mark.parametrize("aggregation", ["p50", "p99", "stddev"])
def test_figures_of_single_samples_are_the_same_for_some_cells_at_a_time(aggregation: str) -> None:
    places = np.sort(CHANCE.integers(0, 9, 3 * SAMPLES_AT_ONCE))[CHANCE.permutation(3 * SAMPLES_AT_ONCE)]
    values = CHANCE.normal(size=len(places))
    of_samples = RULES[aggregation].of_samples  # type: ignore[index]  # a name out of the list above
    assert of_samples is not None
    checks: list[None] = []
    with Ledger(Budget(), None) as ledger:
        gathered = GatheredSamples(9, ledger)
        for start in range(0, len(places), 100_000):
            gathered.add(places[start : start + 100_000], values[start : start + 100_000])
        counts = np.bincount(places, minlength=9)
        parts = list(gathered.figures(of_samples, counts, lambda: checks.append(None)))
    assert len(parts) > 3
    assert len(checks) == len(parts)
    assert [value for part in parts for value in part] == list(of_samples(places, values, 9))


def test_a_span_that_holds_too_much_is_to_be_cut_and_gives_back_what_it_held() -> None:
    budget = Budget()
    with pytest.raises(SpanTooLarge), Ledger(budget, 1_000) as ledger:
        GatheredSamples(1, ledger).add(np.zeros(100, np.int64), np.zeros(100))
    assert budget.taken_bytes == 0


def test_a_span_that_cannot_be_cut_is_refused_where_the_question_may_not_hold_it() -> None:
    budget = Budget(question_memory_max=1_000)
    with pytest.raises(TooDear, match="question_memory_max"), Ledger(budget, None) as ledger:
        GatheredSamples(1, ledger).add(np.zeros(100, np.int64), np.zeros(100))
    assert budget.taken_bytes == 0
