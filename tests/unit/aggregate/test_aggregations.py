"""Every aggregation has a rule, and a rule gives what a plain calculation gives."""

from typing import Any

import numpy as np
import pytest

from fleetpulse.aggregate.aggregations import RULES, figures, or_none
from fleetpulse.aggregate.rollup import fold_samples
from fleetpulse.model.metric import AGGREGATIONS, Aggregation

VALUES = [4, 1, 3, 1]
EXPECTED: dict[Aggregation, int | float] = {
    "avg": 2.25, "sum": 9, "min": 1, "max": 4, "latest": 1, "count": 4, "p50": 1, "p90": 4, "p95": 4, "p99": 4,
    "stddev": 1.6875**0.5,
}  # fmt: skip
ONLY_OF_SAMPLES: list[Aggregation] = ["stddev"]
"""Those of which roll-ups tell nothing."""


def test_every_aggregation_that_can_be_named_has_a_rule_and_is_expected_here() -> None:
    assert set(RULES) == set(AGGREGATIONS) == set(EXPECTED)


@pytest.mark.parametrize("aggregation", AGGREGATIONS)
@pytest.mark.parametrize("dtype", [np.int64, np.float64])
def test_a_rule_gives_what_a_plain_calculation_gives(aggregation: Aggregation, dtype: Any) -> None:
    rule, cells, values = RULES[aggregation], np.zeros(4, np.int64), np.array(VALUES, dtype)
    folded = fold_samples(cells, values, np.arange(4), count=2, parts=rule.parts)
    of_cells = figures(folded, aggregation)
    if aggregation in ONLY_OF_SAMPLES:
        assert of_cells[0] is None
    else:
        assert of_cells[0] == pytest.approx(EXPECTED[aggregation], rel=0.01)
    assert of_cells[1] == (0 if aggregation == "count" else None)
    if rule.of_samples is not None:
        assert or_none(rule.of_samples(cells, values, 2), folded.counts) == [EXPECTED[aggregation], None]


def test_only_the_figure_of_a_count_is_without_the_unit_of_the_metric() -> None:
    assert [aggregation for aggregation in AGGREGATIONS if not RULES[aggregation].has_unit] == ["count"]


def deviations(cells: list[int], values: list[Any], dtype: Any, *, count: int) -> list[Any]:
    of_samples = RULES["stddev"].of_samples
    assert of_samples is not None
    return list(of_samples(np.array(cells, np.int64), np.array(values, dtype), count))


@pytest.mark.parametrize(
    ("dtype", "value"),
    [(np.int64, 2**62 + 1), (np.int64, -(2**63)), (np.float64, 0.1), (np.float64, -1e300), (np.float64, 5e-324)],
)
def test_the_standard_deviation_of_equal_values_is_0(dtype: Any, value: float) -> None:
    assert deviations([0] * 1001 + [2], [value] * 1002, dtype, count=3) == [0, 0, 0]


@pytest.mark.parametrize(
    ("dtype", "values", "expected"),
    [
        (np.int64, [2**62, 2**62 + 2], 1),  # as doubles both are the same
        (np.int64, [-(2**62), 2**62], 2**62),
        (np.int64, [-(2**63), 2**63 - 1], 2**63),
        (np.float64, [1e9, 1e9 + 2], 1),
        (np.float64, [-1.5e308, 1.5e308], 1.5e308),
        (np.float64, [1e-200, 3e-200], 1e-200),
    ],
)
def test_a_standard_deviation_is_right_however_large_or_small_the_values_are(
    dtype: Any, values: list[float], expected: float
) -> None:
    assert deviations([0, 0], values, dtype, count=1) == [pytest.approx(expected, rel=1e-15, abs=0)]


@pytest.mark.parametrize("dtype", [np.int64, np.float64])
def test_each_cell_has_a_standard_deviation_of_its_own(dtype: Any) -> None:
    assert deviations([2, 0, 2, 0, 0], [-5, 100, 5, 103, 106], dtype, count=3) == [pytest.approx(6**0.5), 0, 5]
    assert deviations([], [], dtype, count=2) == [0, 0]


def test_a_deviation_of_more_samples_than_are_worked_out_at_a_time_does_not_depend_on_their_order() -> None:
    chance = np.random.default_rng(5)
    values = chance.normal(1e6, 3.0, 600_000)
    of_samples = RULES["stddev"].of_samples
    assert of_samples is not None
    one, other = (of_samples(np.zeros(len(values), np.int64), order, 1)[0] for order in (values, np.sort(values)))
    assert one == other == pytest.approx(float(np.std(values)), rel=1e-9)
