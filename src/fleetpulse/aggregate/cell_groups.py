"""Rows by the cell that each is in, and the sum, least and greatest of a column in every cell.

Rows in the order of their cells, as blocks hold them, are folded several times faster than rows in any order, unless
there are only a few for each cell.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fleetpulse.aggregate.runs import first_of_runs

Column = NDArray[Any]
"""Values of any dtype, shape (rows,)."""


_ROWS_A_RUN = 8
"""Rows of a cell, on average, from which on it pays that they are beside each other."""


class CellGroups:
    """Rows in cells: `cells`, int64, shape (rows,), 0 <= cell < count, in any order."""

    def __init__(self, cells: NDArray[np.int64], count: int) -> None:
        self.cells = cells
        self.count = count
        is_sorted = bool((cells[1:] >= cells[:-1]).all())
        self._starts = np.flatnonzero(first_of_runs(cells)) if is_sorted else np.zeros(0, np.int64)
        self._are_runs = is_sorted and len(self._starts) * _ROWS_A_RUN <= len(cells)
        self._targets = cells[self._starts]

    def counts(self) -> NDArray[np.int64]:
        """How many rows each cell has: int64, shape (count,)."""
        if not self._are_runs:
            return np.bincount(self.cells, minlength=self.count).astype(np.int64, copy=False)
        counts = np.zeros(self.count, np.int64)
        counts[self._targets] = np.diff(self._starts, append=len(self.cells))
        return counts

    def sums(self, values: Column) -> Column:
        """The sum of each cell, shape (count,), with the dtype of `values`, int64 or float64; 0 in an empty cell."""
        if not self._are_runs and values.dtype == np.float64:
            return np.bincount(self.cells, weights=values, minlength=self.count)
        return self._fold(np.add, values, np.zeros(self.count, values.dtype))

    def lowest(self, values: Column, empty: Any) -> Column:
        """The least value of each cell, shape (count,), with the dtype of `values`; `empty` in an empty cell."""
        return self._fold(np.minimum, values, np.full(self.count, empty, values.dtype))

    def highest(self, values: Column, empty: Any) -> Column:
        """The greatest value of each cell, shape (count,), with the dtype of `values`; `empty` in an empty cell."""
        return self._fold(np.maximum, values, np.full(self.count, empty, values.dtype))

    def pieces(self, rows_max: int) -> Iterator[tuple["CellGroups", slice]]:
        """The rows in order, as groups of at most `rows_max` rows of the same cells; each with its slice of rows."""
        if len(self.cells) <= rows_max:
            yield self, slice(None)
            return
        for start in range(0, len(self.cells), rows_max):
            rows = slice(start, start + rows_max)
            yield CellGroups(self.cells[rows], self.count), rows

    def _fold(self, function: np.ufunc, values: Column, into: Column) -> Column:
        """`into` with the values of each cell folded into its place; `into` has what leaves a value as it is."""
        if not self._are_runs:
            function.at(into, self.cells, values)
        elif len(self._starts):
            into[self._targets] = function.reduceat(values, self._starts)
        return into
