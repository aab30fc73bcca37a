"""Samples and roll-ups come back as they were written, in row groups of one metric that their footer lets be found."""

import numpy as np
import pytest

from fleetpulse.aggregate.aggregations import RULES, figures
from fleetpulse.blocks.columns import Footer
from fleetpulse.blocks.samples import ROW_GROUP_SAMPLES, RowRange, rollup_columns, sort_samples
from fleetpulse.model.manifest import HOUR, RAW
from fleetpulse.model.units import NS_PER_DAY
from sample_blocks import CPU, DAY, LOAD, UPLOAD, SampleBlocks, columns_of


def test_samples_are_sorted_by_metric_device_and_time() -> None:
    samples = sort_samples(columns_of([(LOAD, 0, 1, 1.0), (CPU, 2, 0, 2.0), (CPU, 1, 9, 3.0), (CPU, 1, 8, 4.0)]))
    assert samples.values.view(np.float64).tolist() == [4.0, 3.0, 2.0, 1.0]


@pytest.mark.parametrize("value", [2**63 - 1, -(2**63), 0])
def test_integers_come_back_whole(value: int) -> None:
    blocks = SampleBlocks()
    assert blocks.samples(blocks.fresh((UPLOAD, 1, 2.0, value))) == [(UPLOAD, 1, 2, value)]


def test_a_row_group_holds_one_metric_and_a_bounded_number_of_samples() -> None:
    blocks = SampleBlocks()
    many = [(CPU, 0, minute / 100, 1.0) for minute in range(ROW_GROUP_SAMPLES + 1)]
    footer = blocks.history.footer(blocks.fresh(*many, (LOAD, 0, 0.0, 1.0)).files[RAW])
    assert footer.rows.tolist() == [ROW_GROUP_SAMPLES, 1, 1]
    assert footer.least["metric"].tolist() == footer.greatest["metric"].tolist() == [CPU, CPU, LOAD]
    assert footer.least["at"][0] == DAY * NS_PER_DAY


def test_row_groups_are_found_by_metric_devices_and_times_half_open() -> None:
    footer = Footer(
        metadata=None,
        columns=frozenset(),
        rows=np.array([9, 9, 9]),
        least={"metric": np.array([1, 1, 2]), "device": np.array([0, 5, 0]), "at": np.array([10, 10, 10])},
        greatest={"metric": np.array([1, 1, 2]), "device": np.array([5, 9, 9]), "at": np.array([20, 30, 30])},
        empty_lists={},
    )
    assert RowRange(0, 100).groups(footer, 1) == [0, 1]
    assert RowRange(21, 100).groups(footer, 1) == [1]
    assert RowRange(0, 10).groups(footer, 1) == []
    assert RowRange(0, 100, 5, 6).groups(footer, 1) == [0, 1]
    assert RowRange(0, 100, 0, 5).groups(footer, 1) == [0]


def test_only_the_columns_that_an_aggregation_needs_are_read() -> None:
    assert rollup_columns("float", ("sums",)) == ("device", "at", "count", "sum", "sum_low", "sum_rest")
    assert "sketch_keys" in rollup_columns("integer", RULES["p95"].parts)
    blocks = SampleBlocks()
    part = blocks.part((CPU, 1, 0.0, 5.0), (CPU, 1, 1.0, 7.0))
    (rows,) = blocks.history.rollup_groups(part.files[HOUR], [0], "float", ("highest",))
    assert (rows.cells.highest.tolist(), figures(rows.cells, "sum"), rows.cells.sketches) == ([7.0], [0], None)
