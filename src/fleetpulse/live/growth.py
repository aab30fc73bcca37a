"""Columns of the live fleet with room for more devices."""

from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from fleetpulse.aggregate.presence import WORDS_PER_DAY, Rows

_Number = TypeVar("_Number", bound=np.generic)


def grown(column: NDArray[_Number], capacity: int, fill: int = 0) -> NDArray[_Number]:
    """A copy of a column, shape (n,) and of its dtype, with room for `capacity` devices; the new ones have `fill`."""
    longer = np.full(capacity, fill, column.dtype) if fill else np.zeros(capacity, column.dtype)
    if column.any():  # copying zeros would write to every page, and so use memory
        longer[: len(column)] = column
    return longer


def grown_rows(rows: Rows, capacity: int) -> Rows:
    """A copy of presence, shape (n, 23), with room for `capacity` devices."""
    longer: Rows = np.zeros((capacity, WORDS_PER_DAY), np.uint64)
    longer[: len(rows)] = rows
    return longer
