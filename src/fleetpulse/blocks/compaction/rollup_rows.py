"""Roll-up rows in the order of a file: sorted by device and time, each cell once, in whole row groups."""

from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from fleetpulse.aggregate.rollup import fold_cells, join_cells
from fleetpulse.aggregate.runs import first_of_runs, run_numbers
from fleetpulse.blocks.samples import ROW_GROUP_CELLS, RollupRows


def distinct_cells(pieces: Iterable[RollupRows]) -> Iterator[RollupRows]:
    """Pieces, sorted by metric, device and time, as pieces of whole row groups in which each cell occurs once.

    Two neighbouring pieces may share a cell: the last of the one and the first of the other.
    """
    pending: list[RollupRows] = []
    for piece in pieces:
        if pending and pending[0].metric != piece.metric:
            yield fold_rows(pending)
            pending = []
        pending.append(piece)
        if sum(map(len, pending)) > ROW_GROUP_CELLS:
            rows = fold_rows(pending)
            # The last cell may go on in the next piece.
            end = (len(rows) - 1) // ROW_GROUP_CELLS * ROW_GROUP_CELLS
            if end:
                yield rows.cut(0, end)
            pending = [rows.cut(end, len(rows))]
    if pending:
        yield fold_rows(pending)


def fold_rows(pieces: Sequence[RollupRows]) -> RollupRows:
    """Cells of one metric, in any order and perhaps several of one device and bucket, as one each, sorted."""
    devices = np.concatenate([piece.devices for piece in pieces])
    at_ns = np.concatenate([piece.at_ns for piece in pieces])
    order = np.lexsort((at_ns, devices))
    devices, at_ns = devices[order], at_ns[order]
    is_first = first_of_runs(devices, at_ns)
    cells = np.empty(len(order), np.int64)
    cells[order] = run_numbers(is_first)
    folded = fold_cells(cells, join_cells([piece.cells for piece in pieces]), count=int(is_first.sum()))
    return RollupRows(pieces[0].metric, devices[is_first], at_ns[is_first], folded)
