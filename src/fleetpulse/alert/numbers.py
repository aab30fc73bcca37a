"""Sets of numbers of alerts: ascending int64 columns without repeats, which are never changed in place.

Alerts that fire together have neighbouring numbers, so that a set is stored as runs: [first, length, first, length, …].
"""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.int64]
"""Shape (n,), ascending, without repeats."""
NO_NUMBERS: Numbers = np.zeros(0, np.int64)


def united(sets: Iterable[Numbers]) -> Numbers:
    """All numbers that are in any of the sets: int64, shape (n,)."""
    parts = [one for one in sets if len(one)]
    if len(parts) <= 1:
        return parts[0] if parts else NO_NUMBERS
    return np.unique(np.concatenate(parts))


def without(numbers: Numbers, others: Numbers) -> Numbers:
    """Those numbers that are not among the others: int64, shape (n,)."""
    return numbers[~is_in(numbers, others)] if len(numbers) and len(others) else numbers


def common(numbers: Numbers, others: Numbers) -> Numbers:
    """Those numbers that are among the others: int64, shape (n,)."""
    return numbers[is_in(numbers, others)]


def is_in(numbers: Numbers, others: Numbers) -> NDArray[np.bool_]:
    """Which of the numbers, int64, shape (n,), in any order, are among the others: bool, shape (n,)."""
    if not len(others) or not len(numbers):
        return np.zeros(len(numbers), bool)
    places = np.minimum(np.searchsorted(others, numbers), len(others) - 1)
    return np.asarray(others[places] == numbers)


def to_runs(numbers: Numbers) -> list[int]:
    """The set as [first, length, …]. Args: int64, shape (n,), ascending."""
    if not len(numbers):
        return []
    starts = np.concatenate(([0], np.flatnonzero(np.diff(numbers) != 1) + 1))
    lengths = np.diff(np.concatenate((starts, [len(numbers)])))
    return np.stack((numbers[starts], lengths), axis=1).ravel().tolist()


def from_runs(runs: list[int]) -> Numbers:
    """The set of which `to_runs` made this: int64, shape (n,)."""
    firsts, lengths = np.array(runs[::2], np.int64), np.array(runs[1::2], np.int64)
    if not len(firsts):
        return NO_NUMBERS
    before = np.cumsum(lengths) - lengths
    return np.repeat(firsts - before, lengths) + np.arange(lengths.sum(), dtype=np.int64)
