"""Roll-ups: samples folded into cells, and cells folded into coarser ones. Any order and any grouping gives the same.

A cell is whatever the caller numbers: a device's minute, a site's day, the fleet's whole window. Sums are exact, of
doubles too, and rounded only in a figure. Of samples with equal times the largest value counts as the last, so that
the last one does not depend on the order either. A negative zero counts as zero: which of the two were the lowest
would depend on the order.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from fleetpulse.aggregate.cell_groups import CellGroups
from fleetpulse.aggregate.exact_sums import ExactSums, fold_sums, join_sums, no_sums, sum_doubles, sum_integers
from fleetpulse.aggregate.sketch import Sketches, build_sketches, join_sketches, merge_sketches

Values = NDArray[Any]
"""float64 or int64, according to the kind of the metric."""
CellPart = Literal["sums", "lowest", "highest", "last", "sketches"]
"""What a cell holds beyond its count; see `Cells`."""
ALL_PARTS: tuple[CellPart, ...] = get_args(CellPart)
_NO_AT = np.iinfo(np.int64).min


@dataclass(frozen=True, slots=True)
class Cells:
    """Aggregates, one row a cell, all columns of one length n.

    In a cell with count 0 the other columns have no meaning. `last_at_ns` is the sent_at of `last`. Parts that were not
    wanted are zeros, `sketches` None.
    """

    counts: NDArray[np.int64]
    sums: ExactSums
    lowest: Values
    highest: Values
    last: Values
    last_at_ns: NDArray[np.int64]
    sketches: Sketches | None = None

    def __len__(self) -> int:
        return len(self.counts)


def fold_samples(
    cells: NDArray[np.int64],
    values: Values,
    at_ns: NDArray[np.int64],
    *,
    count: int,
    parts: Sequence[CellPart] = ALL_PARTS,
) -> Cells:
    """Fold samples into cells.

    Args:
        cells: int64, shape (samples,), the cell of each sample, 0 <= cell < count, in any order.
        values: shape (samples,); float64 or int64, which says the kind of the metric.
        at_ns: int64, shape (samples,), sent_at.
        count: how many cells there are.
        parts: what is wanted beyond counts; sketches cost a sort.
    """
    groups = CellGroups(cells, count)
    values = _without_negative_zeros(values)
    sums = no_sums(count)
    if "sums" in parts:
        sums = sum_integers(groups, values) if values.dtype == np.int64 else sum_doubles(groups, values)
    sketches = None
    if "sketches" in parts:
        sketches = build_sketches(cells, values.astype(np.float64, copy=False), count=count)
    return Cells(groups.counts(), sums, *_extremes(groups, (values, values, values), at_ns, parts), sketches)


def fold_cells(cells: NDArray[np.int64], finer: Cells, *, count: int, parts: Sequence[CellPart] = ALL_PARTS) -> Cells:
    """Fold cell i of `finer` into cell `cells[i]`, int64, shape (len(finer),), 0 <= cell < count."""
    groups = CellGroups(cells, count)
    lowest, highest, last = map(_without_negative_zeros, (finer.lowest, finer.highest, finer.last))
    sums = fold_sums(groups, finer.sums) if "sums" in parts else no_sums(count)
    sketches = None
    if "sketches" in parts and finer.sketches is not None:
        sketches = merge_sketches(cells, finer.sketches, count=count)
    return Cells(
        groups.sums(finer.counts), sums, *_extremes(groups, (lowest, highest, last), finer.last_at_ns, parts), sketches
    )


def _without_negative_zeros(values: Values) -> Values:
    return values if values.dtype == np.int64 else values + 0.0


def _extremes(
    groups: CellGroups, values: tuple[Values, Values, Values], at_ns: NDArray[np.int64], parts: Sequence[CellPart]
) -> tuple[Values, Values, Values, NDArray[np.int64]]:
    """The lowest, highest and last value of each cell, and when the last one was sent; zeros where not wanted.

    Args: values: the columns from which these three are taken; `at_ns` belongs to the third.
    """
    lowest, highest, last = values
    least, most = (np.iinfo(np.int64).min, np.iinfo(np.int64).max) if last.dtype == np.int64 else (-np.inf, np.inf)
    absent, no_time = np.zeros(groups.count, last.dtype), np.zeros(groups.count, np.int64)
    folded_lowest = groups.lowest(lowest, most) if "lowest" in parts else absent
    folded_highest = groups.highest(highest, least) if "highest" in parts else absent
    if "last" not in parts:
        return folded_lowest, folded_highest, absent, no_time
    last_at_ns = groups.highest(at_ns, _NO_AT)
    is_last = at_ns == last_at_ns[groups.cells]
    folded_last = CellGroups(groups.cells[is_last], groups.count).highest(last[is_last], least)
    return folded_lowest, folded_highest, folded_last, last_at_ns


def join_cells(parts: Sequence[Cells]) -> Cells:
    """The cells of all parts, one after the other; at least one part, all of one kind, all sketched or none."""
    if len(parts) == 1:
        return parts[0]
    columns = {name: np.concatenate([getattr(part, name) for part in parts]) for name in _COLUMNS}
    sketches = [part.sketches for part in parts if part.sketches is not None]
    sums = join_sums([part.sums for part in parts])
    return Cells(sums=sums, **columns, sketches=join_sketches(sketches) if sketches else None)


def cut_cells(cells: Cells, start: int, end: int) -> Cells:
    """Cells [start, end), without a copy."""
    columns = {name: getattr(cells, name)[start:end] for name in _COLUMNS}
    sums = cells.sums.cut(start, end)
    if cells.sketches is None:
        return Cells(sums=sums, **columns)
    offsets = cells.sketches.offsets[start : end + 1]
    first, last = int(offsets[0]), int(offsets[-1])
    return Cells(
        sums=sums,
        **columns,
        sketches=Sketches(offsets - first, cells.sketches.keys[first:last], cells.sketches.counts[first:last]),
    )


def take_cells(cells: Cells, rows: NDArray[np.int64]) -> Cells:
    """Some cells, int64, shape (rows,), without their sketches."""
    columns = {name: getattr(cells, name)[rows] for name in _COLUMNS}
    return Cells(sums=cells.sums.take(rows), **columns)


_COLUMNS = ("counts", "lowest", "highest", "last", "last_at_ns")
