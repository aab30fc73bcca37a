"""What each aggregation does: one table, which blocks, questions and answers read.

To add an aggregation, name it in `model/metric.py` and say here how it is computed; see
docs/contributing/add-an-aggregation.md.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fleetpulse.aggregate.cell_groups import CellGroups
from fleetpulse.aggregate.exact_sums import ExactSums, fold_sums, join_sums, no_sums, ratios, sum_doubles
from fleetpulse.aggregate.rollup import CellPart, Cells
from fleetpulse.aggregate.sketch import exact_quantiles, sketch_quantiles
from fleetpulse.model.metric import Aggregation

Figure = int | float
_SLICE_ROWS = 262_144
"""Samples of which a standard deviation is worked out at a time."""
OfSamples = Callable[[NDArray[np.int64], NDArray[Any], int], Sequence[Figure]]


@dataclass(frozen=True, slots=True)
class AggregationRule:
    """How many samples become one figure. What the functions give for a cell without samples is ignored."""

    parts: tuple[CellPart, ...]
    """What `of_cells` looks at; only that is read of roll-ups."""
    of_cells: Callable[[Cells], Sequence[Figure | None]] | None
    """The figure of each cell, shape (n,). None if cells do not tell it: it is null then, unless all samples are there.
    """
    of_samples: OfSamples | None = None
    """In its place, where all samples are at hand: of samples i in cell cells[i] with values[i], shape (count,)."""
    empty: Figure | None = None
    """The figure of a cell without samples."""
    has_unit: bool = True
    """Whether a figure is in the unit of the metric."""
    method: tuple[str, ...] = ()
    """How figures are made, for the answer: by `of_samples`, and by `of_cells` if there is one."""


def figures(cells: Cells, aggregation: Aggregation) -> list[Figure | None]:
    """The figure of an aggregation for every cell, shape (len(cells),).

    Raises: ValueError: a quantile of cells without sketches.
    """
    rule = RULES[aggregation]
    if rule.of_cells is None:
        return [None] * len(cells)
    return or_none(rule.of_cells(cells), cells.counts, empty=rule.empty)


def or_none(
    values: Sequence[Figure | None], counts: NDArray[np.int64], *, empty: Figure | None = None
) -> list[Figure | None]:
    """The values, with `empty` where the count (int64) is 0; all of shape (n,)."""
    return [value if count else empty for value, count in zip(values, counts.tolist(), strict=True)]


def _sums(cells: Cells) -> Sequence[Figure | None]:
    """Sums: of integers whole numbers of any size, of doubles rounded once."""
    return cells.sums.totals() if _is_integer(cells) else ratios(cells.sums, [1] * len(cells))


def _averages(cells: Cells) -> Sequence[Figure | None]:
    """Averages, rounded once; of integers a whole number where the average is one."""
    counts = np.maximum(1, cells.counts).tolist()
    averages = ratios(cells.sums, counts)
    if not _is_integer(cells):
        return averages
    # A double holds no more than 53 bits of a whole number, and there are larger ones.
    return [
        average if total % count else total // count
        for total, count, average in zip(cells.sums.totals(), counts, averages, strict=True)
    ]


def _is_integer(cells: Cells) -> bool:
    return cells.lowest.dtype == np.int64


def _quantile(percent: int) -> AggregationRule:
    def of_cells(cells: Cells) -> list[Figure]:
        if cells.sketches is None:
            raise ValueError(f"p{percent} needs sketches")
        estimates = sketch_quantiles(cells.sketches, percent)
        # An estimate may lie a little beyond all samples; their extremes are known exactly.
        highest = np.maximum(cells.lowest, cells.highest)
        bounded: list[Figure] = np.clip(estimates, cells.lowest.astype(np.float64), highest.astype(np.float64)).tolist()
        return bounded

    def of_samples(cells: NDArray[np.int64], values: NDArray[Any], count: int) -> list[Figure]:
        quantiles: list[Figure] = exact_quantiles(cells, values, percent, count=count).tolist()
        return quantiles

    method = "nearest rank, exact", "nearest rank, from sketches: relative error at most 1 %"
    return AggregationRule(("lowest", "highest", "sketches"), of_cells, of_samples, method=method)


def _standard_deviations(cells: NDArray[np.int64], values: NDArray[Any], count: int) -> list[Figure]:
    """Of the population of each cell, in two passes: one for the mean, one for the squares of what differs from it.

    Both sums are exact, so that the order of the samples does not matter, and they may be added some at a time.
    """
    above = _AboveLowest(cells, values, count)
    counts = np.maximum(1, np.bincount(cells, minlength=count)).tolist()
    means = np.array(ratios(_sum_slices(cells, above.of, count), counts), np.float64)
    squares = _sum_slices(cells, lambda rows: np.square(above.of(rows) - means[cells[rows]]), count)
    variances = np.array(ratios(squares, counts), np.float64)
    deviations: list[Figure] = np.ldexp(np.sqrt(variances), above.exponents).tolist()
    return deviations


def _slices(rows: int) -> Iterator[slice]:
    for start in range(0, rows, _SLICE_ROWS):
        yield slice(start, start + _SLICE_ROWS)


def _sum_slices(cells: NDArray[np.int64], values_of: Callable[[slice], NDArray[np.float64]], count: int) -> ExactSums:
    """The sums by cell of what `values_of` gives for a slice of rows, so that it need not be there for all at once."""
    total = no_sums(count)
    twice = CellGroups(np.tile(np.arange(count), 2), count)
    for rows in _slices(len(cells)):
        sums = sum_doubles(CellGroups(cells[rows], count), values_of(rows))
        total = fold_sums(twice, join_sums([total, sums])) if len(total.words) else sums
    return total


class _AboveLowest:
    """How far each sample is above the lowest one of its cell, in units of 2**exponent of the cell.

    Counted from there, equal values are all 0, and so are their mean and deviation. Small differences of large values
    are not lost in the mean either.
    """

    def __init__(self, cells: NDArray[np.int64], values: NDArray[Any], count: int) -> None:
        self._cells, self._values = cells, values
        self.exponents = np.zeros(count, np.int32)
        if values.dtype == np.float64:
            # Else squares of large values would be infinite, and those of tiny ones 0. A power of two rounds nothing.
            sizes = np.zeros(count)
            for rows in _slices(len(cells)):
                np.maximum.at(sizes, cells[rows], np.abs(values[rows]))
            self.exponents = np.frexp(sizes)[1]
        self._lowest = np.zeros(count, values.dtype)
        for rows in _slices(len(cells)):
            self._lowest[cells[rows]] = self._scaled(rows)  # any sample of the cell, to begin with
        for rows in _slices(len(cells)):
            np.minimum.at(self._lowest, cells[rows], self._scaled(rows))

    def _scaled(self, rows: slice) -> NDArray[Any]:
        values = self._values[rows]
        return np.ldexp(values, -self.exponents[self._cells[rows]]) if values.dtype == np.float64 else values

    def of(self, rows: slice) -> NDArray[np.float64]:
        """Of a slice of samples, float64, shape (rows,)."""
        above = self._scaled(rows) - self._lowest[self._cells[rows]]
        # A difference of two int64 that does not fit into one has wrapped around, and is right again as uint64.
        return (above.view(np.uint64) if above.dtype == np.int64 else above).astype(np.float64)


RULES: dict[Aggregation, AggregationRule] = {
    "avg": AggregationRule(("sums",), _averages),
    "sum": AggregationRule(("sums",), _sums),
    "min": AggregationRule(("lowest",), lambda cells: cells.lowest.tolist()),
    "max": AggregationRule(("highest",), lambda cells: cells.highest.tolist()),
    "latest": AggregationRule(("last",), lambda cells: cells.last.tolist()),
    "count": AggregationRule((), lambda cells: cells.counts.tolist(), empty=0, has_unit=False),
    "p50": _quantile(50),
    "p90": _quantile(90),
    "p95": _quantile(95),
    "p99": _quantile(99),
    "stddev": AggregationRule((), None, _standard_deviations, method=("of the population, from every sample",)),
}
