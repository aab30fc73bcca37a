"""Columns of the live fleet with room for more devices.

A column is reserved for as many devices as there may ever be: what no device needs yet costs no memory, and a fleet
that grows is never copied. Copying a million devices would hold the event loop for most of a second.
"""

import contextlib
from collections.abc import Iterable
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from fleetpulse.aggregate.hour_words import HOURS_PER_DAY
from fleetpulse.heap import lazy_zeros, use_huge_pages

OPEN_DAYS_MOST = 4
"""Days that have dense presence at the same time at most: open ones, and those that a checkpoint is still to write."""
HUGE_PAGES_AT = 100_000
"""Devices from which on large pages pay: with few they would take more memory than all else."""
_Number = TypeVar("_Number", bound=np.generic)


def capacity_for(count: int, *, reserve: int) -> int:
    """For how many devices to make room: `reserve`, or a quarter more than `count` where that does not suffice.

    The system may map too little for the reserve, by a limit on the process or on the whole machine.
    """
    if count <= reserve:
        with contextlib.suppress(OSError):
            lazy_zeros((OPEN_DAYS_MOST * HOURS_PER_DAY, reserve), np.uint64)
            return reserve
    return max(1024, count + count // 4)


def grown(column: NDArray[_Number], capacity: int, fill: int = 0) -> NDArray[_Number]:
    """A copy of a column, shape (n,) and of its dtype, with room for `capacity` devices.

    Args: fill: of the new devices. It is written, so leave it out where the room is to cost nothing.
    """
    longer = zeros((capacity,), column.dtype.type)
    if column.any():  # copying zeros would write to every page, and so use memory
        longer[: len(column)] = column
    if fill:
        longer[len(column) :] = fill
    return longer


def zeros(shape: tuple[int, ...], dtype: type[_Number]) -> NDArray[_Number]:
    """Zeros of `shape` and `dtype` (int64, say) that cost no memory until they are written to, where the system can."""
    try:
        return lazy_zeros(shape, dtype)
    except OSError:
        return np.zeros(shape, dtype)


def prepare(count: int, arrays: Iterable[NDArray[Any]]) -> None:
    """Make access to arrays (any shape and dtype) of many devices fast."""
    if count >= HUGE_PAGES_AT:
        for array in arrays:
            use_huge_pages(array)
