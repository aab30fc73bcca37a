"""Rows are folded alike, whether those of a cell are beside each other or not."""

import numpy as np
import pytest

from fleetpulse.aggregate.cell_groups import CellGroups


@pytest.mark.parametrize("is_sorted", [False, True])
@pytest.mark.parametrize("dtype", [np.int64, np.float64])
def test_rows_in_any_order_give_the_same(is_sorted: bool, dtype: type) -> None:
    cells = np.repeat(np.array([0, 2, 3]), [20, 30, 10])
    values = np.arange(60).astype(dtype)
    order = np.arange(60) if is_sorted else np.random.default_rng(1).permutation(60)
    groups, values = CellGroups(cells[order], 5), values[order]
    assert groups.counts().tolist() == [20, 0, 30, 10, 0]
    assert groups.sums(values).tolist() == [190, 0, 1_035, 545, 0]
    assert groups.lowest(values, 99).tolist() == [0, 99, 20, 50, 99]
    assert groups.highest(values, -1).tolist() == [19, -1, 49, 59, -1]
    assert groups.sums(values).dtype == groups.lowest(values, 0).dtype == dtype


def test_pieces_are_of_the_same_cells_and_cover_all_rows() -> None:
    groups = CellGroups(np.arange(7) % 3, 4)
    pieces = [(piece.cells.tolist(), piece.count, rows) for piece, rows in groups.pieces(3)]
    assert pieces == [([0, 1, 2], 4, slice(0, 3)), ([0, 1, 2], 4, slice(3, 6)), ([0], 4, slice(6, 9))]
    assert [piece for piece, _ in groups.pieces(7)] == [groups]


def test_no_rows_leave_every_cell_empty() -> None:
    groups = CellGroups(np.zeros(0, np.int64), 2)
    assert groups.counts().tolist() == groups.sums(np.zeros(0)).tolist() == [0, 0]
