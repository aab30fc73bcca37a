"""An exact sum as a few doubles: the rounded sum, then how much it is off, how much that is off, until nothing is.

So a file can hold exact sums, and whoever needs no more than a double reads the first one alone. The others are few,
mostly one, and have few bits, so that they take little space.

A sum beyond the largest double has the first double infinite, and then the next one counts 2**64 times. An infinite
double or NaN alone, as earlier versions wrote where their sums overflowed, tells nothing of the sum: it is read as one
so large that neither it nor an average of it is a double.
"""

import numpy as np
from numpy.typing import NDArray

from fleetpulse.aggregate.cell_groups import CellGroups
from fleetpulse.aggregate.exact_sums import ExactSums, fold_sums, join_sums, minus_doubles, rounded_sums, sum_doubles

_SCALED_PLACES = 2
"""2**64 is two words."""
_UNKNOWN_PLACES = 37, 39
"""The words of what infinities and others stand for: above all sums, and apart, so that they never cancel out."""


def sum_parts(sums: ExactSums) -> tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.float64]]:
    """Sums as doubles.

    Returns: the first double of each sum, float64, shape (n,); and the others, float64, those of sum i at
        [offsets[i], offsets[i + 1]); `offsets` int64, shape (n + 1,).
    """
    first = rounded_sums(sums)
    is_large = np.isinf(first)
    left = minus_doubles(sums, np.where(is_large, 0.0, first))
    cells = np.flatnonzero(left.words.any(axis=0))
    left = left.take(cells)
    others: list[tuple[NDArray[np.int64], NDArray[np.float64]]] = []
    while len(cells):
        part = rounded_sums(left)
        is_scaled = is_large[cells] & (not others)
        if is_scaled.any():
            part[is_scaled] = rounded_sums(ExactSums(left.words, left.place - _SCALED_PLACES))[is_scaled]
        is_known = np.isfinite(part)
        left, part, cells, is_scaled = left.take(is_known), part[is_known], cells[is_known], is_scaled[is_known]
        others.append((cells, part))
        left = _minus_scaled(left, part, is_scaled)
        is_left = np.asarray(left.words.any(axis=0))
        left, cells = left.take(is_left), cells[is_left]
    return first, *_listed(others, len(first))


def _minus_scaled(sums: ExactSums, values: NDArray[np.float64], is_scaled: NDArray[np.bool_]) -> ExactSums:
    left = minus_doubles(sums, np.where(is_scaled, 0.0, values))
    if not is_scaled.any():
        return left
    scaled = minus_doubles(ExactSums(np.zeros((0, len(values)), np.int64), 0), np.where(is_scaled, values, 0.0))
    return _plus(left, ExactSums(scaled.words, scaled.place + _SCALED_PLACES))


def _plus(sums: ExactSums, others: ExactSums) -> ExactSums:
    cells = np.arange(len(sums))
    return fold_sums(CellGroups(np.concatenate([cells, cells]), len(sums)), join_sums([sums, others]))


def _listed(
    others: list[tuple[NDArray[np.int64], NDArray[np.float64]]], count: int
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    cells = np.concatenate([np.zeros(0, np.int64), *(cells for cells, _ in others)])
    values = np.concatenate([np.zeros(0), *(values for _, values in others)])
    offsets = np.zeros(count + 1, np.int64)
    np.cumsum(np.bincount(cells, minlength=count), out=offsets[1:])
    return offsets, values if len(others) == 1 else values[np.argsort(cells, kind="stable")]


def split_others(
    offsets: NDArray[np.int64], others: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.float64]]:
    """The first of the other doubles of each sum, and the rest of them.

    Args: as `sum_parts` returns them.
    Returns: float64, shape (n,), 0 where there is none; and the rest, as `sum_parts` returns the others: int64, shape
        (n + 1,), and float64.
    """
    counts = np.diff(offsets)
    has_low = counts > 0
    low = np.zeros(len(counts))
    low[has_low] = others[offsets[:-1][has_low]]
    rest = np.delete(others, offsets[:-1][has_low])
    rest_offsets = np.zeros(len(offsets), np.int64)
    np.cumsum(counts - has_low, out=rest_offsets[1:])
    return low, rest_offsets, rest


def join_others(
    low: NDArray[np.float64], offsets: NDArray[np.int64], rest: NDArray[np.float64]
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """The offsets and other doubles of `sum_parts`, from what `split_others` returned.

    Args: low: float64, shape (n,). offsets: int64, shape (n + 1,). rest: float64.
    Returns: int64, shape (n + 1,), and float64.
    """
    with_low = np.flatnonzero(low)
    pairs = [(with_low, low[with_low])]
    if len(rest):
        pairs.append((np.repeat(np.arange(len(low)), np.diff(offsets)), rest))
    return _listed(pairs, len(low))


def sums_of_parts(first: NDArray[np.float64], offsets: NDArray[np.int64], others: NDArray[np.float64]) -> ExactSums:
    """The sums that `sum_parts` has given as doubles; shapes and dtypes as there."""
    count = len(first)
    cells = np.arange(count)
    owners = np.repeat(cells, np.diff(offsets))
    sums = sum_doubles(
        CellGroups(np.concatenate([cells, owners]), count),
        np.concatenate([np.where(np.isfinite(first), first, 0.0), others]),
    )
    is_large = ~np.isfinite(first)
    if not is_large.any():
        return sums
    has_others = np.diff(offsets) > 0
    scaled = np.zeros(count)
    scaled[is_large & has_others] = others[offsets[:-1][is_large & has_others]]
    sums = minus_doubles(sums, scaled)
    parts = sum_doubles(CellGroups(cells, count), scaled)
    sums = _plus(sums, ExactSums(parts.words, parts.place + _SCALED_PLACES))
    for place, is_unknown in zip(_UNKNOWN_PLACES, (np.isinf(first), np.isnan(first)), strict=True):
        signs = np.where(is_unknown & ~has_others, np.where(first < 0, -1, 1), 0)
        sums = _plus(sums, ExactSums(signs[None], place))
    return sums
