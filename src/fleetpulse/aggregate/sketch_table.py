"""Sketches while they grow: how many samples each cell has of each key, as a table that is added to in place.

Merging sorted sketches costs a sort of both each time. A table costs one addition for each sample, and its size depends
on the cells and on the different keys that occur in them, not on how many samples there are.
"""

import numpy as np
from numpy.typing import NDArray

from fleetpulse.aggregate.sketch import KEY_BITS, Sketches

_KEY_ZERO = 1 << (KEY_BITS - 1)
_CELL_ROWS = 4_096
"""Rows of the table that are made into sketches at a time."""


class SketchTable:
    """The sketches of `count` cells."""

    def __init__(self, count: int) -> None:
        self._keys = np.zeros(0, np.int32)
        """The key of each column in use, in the order in which they came."""
        self._columns = np.full(1 << KEY_BITS, -1, np.int32)
        """The column of each key, -1 for those without one."""
        self._counts = np.zeros((count, 0), np.int64)

    def new_keys(self, keys: NDArray[np.int32]) -> NDArray[np.int32]:
        """Those of the keys, int32, shape (n,), that have no column yet, each once."""
        is_new = np.zeros(len(self._columns), bool)
        is_new[keys[self._columns[keys + _KEY_ZERO] < 0] + _KEY_ZERO] = True
        return (np.flatnonzero(is_new) - _KEY_ZERO).astype(np.int32)

    def size_with(self, new: int) -> int:
        """The bytes of the table after so many columns more."""
        return int(self._counts.shape[0] * self._width_with(new) * self._counts.itemsize)

    def _width_with(self, new: int) -> int:
        width, needed = self._counts.shape[1], len(self._keys) + new
        return width if needed <= width else max(needed, width + width // 2)

    def add_columns(self, keys: NDArray[np.int32]) -> None:
        """Make columns for keys, int32, shape (n,), that have none."""
        used, width = len(self._keys), self._width_with(len(keys))
        if width > self._counts.shape[1]:
            counts = np.zeros((len(self._counts), width), np.int64)
            counts[:, :used] = self._counts[:, :used]
            self._counts = counts
        self._columns[keys + _KEY_ZERO] = np.arange(used, used + len(keys))
        self._keys = np.concatenate([self._keys, keys])

    def add(self, cells: NDArray[np.int64], keys: NDArray[np.int32], counts: NDArray[np.int64] | int = 1) -> None:
        """Add samples: `counts[i]` of key `keys[i]` to cell `cells[i]`. The keys have columns already.

        Args: cells: int64, keys: int32, counts: int64; all of shape (n,).
        """
        places = cells * self._counts.shape[1] + self._columns[keys + _KEY_ZERO]
        np.add.at(self._counts.reshape(-1), places, counts)

    def sketches(self) -> Sketches:
        """The sketches of all cells: the same as building them of all samples at once."""
        order = np.argsort(self._keys)
        keys, counts = [np.zeros(0, np.int32)], [np.zeros(0, np.int64)]
        sizes = [np.zeros(1, np.int64)]
        for first in range(0, len(self._counts), _CELL_ROWS):
            rows = self._counts[first : first + _CELL_ROWS][:, order]
            cells, columns = np.nonzero(rows)
            keys.append(self._keys[order[columns]])
            counts.append(rows[cells, columns])
            sizes.append(np.bincount(cells, minlength=len(rows)))
        return Sketches(np.cumsum(np.concatenate(sizes)), np.concatenate(keys), np.concatenate(counts))
