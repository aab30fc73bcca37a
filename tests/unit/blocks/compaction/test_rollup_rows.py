"""Roll-up rows in pieces become rows of which each cell occurs once, however they were cut."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from fleetpulse.aggregate.rollup import fold_samples
from fleetpulse.blocks.compaction.rollup_rows import distinct_cells, fold_rows
from fleetpulse.blocks.samples import ROW_GROUP_CELLS, RollupRows

KEYS = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=12)


def rows_of(keys: list[tuple[int, int]], metric: int = 1) -> RollupRows:
    """A cell of one sample for each (device, start of the bucket)."""
    places = np.arange(len(keys))
    values, at_ns = np.ones(len(keys)), np.array([at for _, at in keys], np.int64)
    cells = fold_samples(places, values, at_ns, count=len(keys))
    return RollupRows(metric, np.array([device for device, _ in keys], np.uint32), at_ns, cells)


def counts_of(rows: RollupRows) -> dict[tuple[int, int], int]:
    keys = list(zip(rows.devices.tolist(), rows.at_ns.tolist(), strict=True))
    assert keys == sorted(set(keys))
    return dict(zip(keys, rows.cells.counts.tolist(), strict=True))


@settings(deadline=None)
@given(KEYS, st.integers(0, 12))
def test_cells_of_one_device_and_bucket_are_folded_into_one(keys: list[tuple[int, int]], cut: int) -> None:
    pieces = [rows_of(part) for part in (keys[:cut], keys[cut:]) if part]
    assert counts_of(fold_rows(pieces)) == {key: keys.count(key) for key in keys}


def test_a_cell_that_goes_on_in_the_next_piece_occurs_once_and_metrics_stay_apart() -> None:
    pieces = [rows_of([(0, 1), (0, 2)]), rows_of([(0, 2), (1, 0)]), rows_of([(0, 1)], metric=2)]
    found = list(distinct_cells(pieces))
    assert [(rows.metric, counts_of(rows)) for rows in found] == [
        (1, {(0, 1): 1, (0, 2): 2, (1, 0): 1}), (2, {(0, 1): 1})
    ]  # fmt: skip


def test_long_runs_of_pieces_come_out_in_whole_row_groups() -> None:
    keys = [(0, at) for at in range(2 * ROW_GROUP_CELLS + 5)]
    pieces = [rows_of(keys[start : start + 3000]) for start in range(0, len(keys), 3000)]
    assert [len(rows) for rows in distinct_cells(pieces)] == [ROW_GROUP_CELLS, ROW_GROUP_CELLS, 5]
