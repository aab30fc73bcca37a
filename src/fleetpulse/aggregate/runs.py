"""Runs: stretches of neighbouring rows that agree in their key columns.

Columns are usually sorted by their keys, so that a run is all rows of one key; nothing here depends on it.
"""

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

Column = NDArray[Any]
"""Values of any dtype, shape (rows,)."""


def first_of_runs(*keys: Column) -> NDArray[np.bool_]:
    """Which rows are the first of their run: bool, shape (rows,).

    Args:
        keys: one column or more, all of shape (rows,). A run ends where any of them changes.
    """
    is_first = np.ones(len(keys[0]), np.bool_)
    np.not_equal(keys[0][1:], keys[0][:-1], out=is_first[1:])
    for key in keys[1:]:
        is_first[1:] |= key[1:] != key[:-1]
    return is_first


def last_of_runs(*keys: Column) -> NDArray[np.bool_]:
    """Which rows are the last of their run: bool, shape (rows,). Args: as for `first_of_runs`."""
    is_last = np.ones(len(keys[0]), np.bool_)
    is_last[:-1] = first_of_runs(*keys)[1:]
    return is_last


def run_numbers(is_first: NDArray[np.bool_]) -> NDArray[np.int64]:
    """The run of each row, counted from 0: int64, shape (rows,). Args: is_first: bool, as `first_of_runs` gives it."""
    numbers: NDArray[np.int64] = np.cumsum(is_first, dtype=np.int64) - 1
    return numbers


def run_bounds(*keys: Column, rows_max: int | None = None) -> Iterator[tuple[int, int]]:
    """The runs as half-open ranges of rows [start, end), in order.

    Args:
        keys: as for `first_of_runs`, shape (rows,).
        rows_max: cut longer runs into ranges of at most so many rows; None leaves runs whole.
    """
    starts = np.flatnonzero(first_of_runs(*keys)).tolist()
    for first, last in pairwise([*starts, len(keys[0])]):
        step = rows_max or last - first
        for start in range(first, last, step):
            yield start, min(last, start + step)
