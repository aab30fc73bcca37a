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
}  # fmt: skip


def test_every_aggregation_that_can_be_named_has_a_rule_and_is_expected_here() -> None:
    assert set(RULES) == set(AGGREGATIONS) == set(EXPECTED)


@pytest.mark.parametrize("aggregation", AGGREGATIONS)
@pytest.mark.parametrize("dtype", [np.int64, np.float64])
def test_a_rule_gives_what_a_plain_calculation_gives(aggregation: Aggregation, dtype: Any) -> None:
    rule, cells, values = RULES[aggregation], np.zeros(4, np.int64), np.array(VALUES, dtype)
    folded = fold_samples(cells, values, np.arange(4), count=2, sketched="sketches" in rule.parts)
    of_cells = figures(folded, aggregation)
    assert of_cells[0] == pytest.approx(EXPECTED[aggregation], rel=0.01)
    assert of_cells[1] == (0 if aggregation == "count" else None)
    if rule.of_samples is not None:
        assert or_none(rule.of_samples(cells, values, 2), folded.counts) == [EXPECTED[aggregation], None]


def test_only_the_figure_of_a_count_is_without_the_unit_of_the_metric() -> None:
    assert [aggregation for aggregation in AGGREGATIONS if not RULES[aggregation].has_unit] == ["count"]
