"""Roll-ups: samples folded into cells, and cells folded into coarser ones. Any order and any grouping gives the same.

A cell is whatever the caller numbers: a device's minute, a site's day, the fleet's whole window. Integer sums are exact
however large: high and low halves of the values are summed apart. Of samples with equal times the largest value counts
as the last, so that the last one does not depend on the order either.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fleetpulse.aggregate.sketch import Sketches, build_sketches, join_sketches, merge_sketches

Values = NDArray[Any]
"""float64 or int64, according to the kind of the metric."""
_LOW_BITS = 32
_LOW_MASK = (1 << _LOW_BITS) - 1
_NO_AT = np.iinfo(np.int64).min


@dataclass(frozen=True, slots=True)
class Cells:
    """Aggregates, one row a cell, all columns of one length n.

    `sums` has shape (n,) for floats; for integers shape (n, 2), high and low: sum = high · 2³² + low. In a cell with
    count 0 the other columns have no meaning. `last_at_ns` is the sent_at of `last`. `sketches` is None where no
    quantiles are needed.
    """

    counts: NDArray[np.int64]
    sums: Values
    lowest: Values
    highest: Values
    last: Values
    last_at_ns: NDArray[np.int64]
    sketches: Sketches | None = None

    def __len__(self) -> int:
        return len(self.counts)


def _empty_cells(count: int, *, is_integer: bool) -> Cells:
    dtype = np.int64 if is_integer else np.float64
    least, most = (np.iinfo(np.int64).min, np.iinfo(np.int64).max) if is_integer else (-np.inf, np.inf)
    return Cells(
        counts=np.zeros(count, np.int64),
        sums=np.zeros((count, 2), np.int64) if is_integer else np.zeros(count),
        lowest=np.full(count, most, dtype),
        highest=np.full(count, least, dtype),
        last=np.full(count, least, dtype),
        last_at_ns=np.full(count, _NO_AT, np.int64),
    )


def fold_samples(
    cells: NDArray[np.int64], values: Values, at_ns: NDArray[np.int64], *, count: int, sketched: bool
) -> Cells:
    """Fold samples into cells.

    Args:
        cells: int64, shape (samples,), the cell of each sample, 0 <= cell < count, in any order.
        values: shape (samples,); float64 or int64, which says the kind of the metric.
        at_ns: int64, shape (samples,), sent_at.
        count: how many cells there are.
        sketched: make sketches, which quantiles need and which cost a sort.
    """
    is_integer = values.dtype == np.int64
    folded = _empty_cells(count, is_integer=is_integer)
    folded.counts[:] = np.bincount(cells, minlength=count)
    if is_integer:
        np.add.at(folded.sums[:, 0], cells, values >> _LOW_BITS)
        np.add.at(folded.sums[:, 1], cells, values & _LOW_MASK)
    else:
        folded.sums[:] = np.bincount(cells, weights=values, minlength=count)
    np.minimum.at(folded.lowest, cells, values)
    np.maximum.at(folded.highest, cells, values)
    _keep_last(folded, cells, values, at_ns)
    sketches = build_sketches(cells, values.astype(np.float64, copy=False), count=count) if sketched else None
    return replace(folded, sketches=sketches)


def fold_cells(cells: NDArray[np.int64], finer: Cells, *, count: int) -> Cells:
    """Fold cell i of `finer` into cell `cells[i]`, int64, shape (len(finer),), 0 <= cell < count."""
    is_integer = finer.sums.ndim == 2
    folded = _empty_cells(count, is_integer=is_integer)
    np.add.at(folded.counts, cells, finer.counts)
    np.add.at(folded.sums, cells, finer.sums)
    if is_integer:
        # Carry, so that the low halves never overflow however often cells are folded.
        folded.sums[:, 0] += folded.sums[:, 1] >> _LOW_BITS
        folded.sums[:, 1] &= _LOW_MASK
    np.minimum.at(folded.lowest, cells, finer.lowest)
    np.maximum.at(folded.highest, cells, finer.highest)
    _keep_last(folded, cells, finer.last, finer.last_at_ns)
    sketches = None if finer.sketches is None else merge_sketches(cells, finer.sketches, count=count)
    return replace(folded, sketches=sketches)


def _keep_last(folded: Cells, cells: NDArray[np.int64], values: Values, at_ns: NDArray[np.int64]) -> None:
    np.maximum.at(folded.last_at_ns, cells, at_ns)
    is_last = at_ns == folded.last_at_ns[cells]
    np.maximum.at(folded.last, cells[is_last], values[is_last])


def join_cells(parts: Sequence[Cells]) -> Cells:
    """The cells of all parts, one after the other; at least one part, all of one kind, all sketched or none."""
    if len(parts) == 1:
        return parts[0]
    columns = {name: np.concatenate([getattr(part, name) for part in parts]) for name in _COLUMNS}
    sketches = [part.sketches for part in parts if part.sketches is not None]
    return Cells(**columns, sketches=join_sketches(sketches) if sketches else None)


def cut_cells(cells: Cells, start: int, end: int) -> Cells:
    """Cells [start, end), without a copy."""
    columns = {name: getattr(cells, name)[start:end] for name in _COLUMNS}
    if cells.sketches is None:
        return Cells(**columns)
    offsets = cells.sketches.offsets[start : end + 1]
    first, last = int(offsets[0]), int(offsets[-1])
    return Cells(
        **columns,
        sketches=Sketches(offsets - first, cells.sketches.keys[first:last], cells.sketches.counts[first:last]),
    )


_COLUMNS = ("counts", "sums", "lowest", "highest", "last", "last_at_ns")


def exact_sum(cells: Cells, place: int) -> int | float:
    """The sum of one cell: an int of any size for integers."""
    if cells.sums.ndim == 2:
        return (int(cells.sums[place, 0]) << _LOW_BITS) + int(cells.sums[place, 1])
    return float(cells.sums[place])
