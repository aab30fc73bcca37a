"""Exact sums of doubles and of integers, one a cell: any order and any grouping of what is added gives the same sum.

A sum is a whole number in words of 32 bits, of which only the highest has a sign:

    sum = (words[0] + words[1] * 2**32 + words[2] * 2**64 + ...) * 2**(32 * place)

All cells share `place`, and have only as many words as the values that were added need: two or three for most metrics.
A double is a multiple of 2**-1074 and below 2**1024, so 66 words and those for the carry hold any sum of doubles.

Doubles are taken apart from the top, a word at a time, as in Rump, Ogita and Oishi, "Accurate floating-point
summation": adding 1.5 * 2**52 units and subtracting them again rounds a value to whole units, and what is left of the
value is exact. Sums of such words are exact in a double as long as they stay below 2**53 units, so that the sums of
numpy, which are fast, may be used for them.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fleetpulse.aggregate.cell_groups import CellGroups

Words = NDArray[np.int64]
WORD_BITS = 32
_MASK = (1 << WORD_BITS) - 1
_PIECE = 1 << 21
"""So many words of up to 2**32 units are summed in a double at once: less than 2**53 units."""
_LARGE = 2.0**512
"""From here on values are scaled down by 16 words first, since 2**52 units of the highest words are no double."""
_LARGE_PLACES = 16


@dataclass(frozen=True, slots=True)
class ExactSums:
    """Sums of n cells.

    `words`, int64, shape (words, n), the lowest word first. All but the highest are in [0, 2**32). No words: all sums
    are 0.
    """

    words: Words
    place: int

    def __len__(self) -> int:
        return int(self.words.shape[1])

    def cut(self, start: int, end: int) -> "ExactSums":
        """The sums of cells [start, end), without a copy."""
        return ExactSums(self.words[:, start:end], self.place)

    def take(self, cells: NDArray[Any]) -> "ExactSums":
        """The sums of some cells: places, or bool, shape (n,)."""
        return ExactSums(self.words[:, cells], self.place)

    def totals(self) -> list[int]:
        """The sums as whole numbers of units of 2**(32 * place)."""
        totals = [0] * len(self)
        for word in reversed(self.words.tolist()):
            totals = [(total << WORD_BITS) + part for total, part in zip(totals, word, strict=True)]
        return totals


def no_sums(count: int) -> ExactSums:
    """Sums that are all 0."""
    return ExactSums(np.zeros((0, count), np.int64), 0)


def sum_integers(groups: CellGroups, values: NDArray[np.int64]) -> ExactSums:
    """The sums of int64 values, shape (rows,), by the cells of `groups`."""
    return _carried([groups.sums(values & _MASK), groups.sums(values >> WORD_BITS)], 0)


def high_and_low(sums: ExactSums) -> tuple[Words, Words]:
    """Sums of integers as high * 2**32 + low, with low in [0, 2**32); both int64, shape (n,)."""
    low, high = np.zeros((2, len(sums)), np.int64)
    for place, word in enumerate(sums.words):
        if place:
            high += word << (WORD_BITS * (place - 1))
        else:
            low += word
    return high, low


def sum_doubles(groups: CellGroups, values: NDArray[np.float64]) -> ExactSums:
    """The sums of finite doubles, float64, shape (rows,), by the cells of `groups`."""
    words: dict[int, Words] = {}
    for part, rows in groups.pieces(_PIECE):
        for place, sums in _word_sums(part, values[rows]):
            words[place] = words[place] + sums if place in words else sums
    if not words:
        return no_sums(groups.count)
    least, most = min(words), max(words)
    zeros = np.zeros(groups.count, np.int64)
    return _carried([words.get(place, zeros) for place in range(least, most + 1)], least)


def _word_sums(groups: CellGroups, values: NDArray[np.float64]) -> Iterator[tuple[int, Words]]:
    """The words of at most `_PIECE` values, summed by cell, with their places."""
    most = _largest(values)
    if most >= _LARGE:
        large = np.where(np.abs(values) >= _LARGE, values, 0.0)
        values = values - large
        for place, sums in _word_sums(groups, np.ldexp(large, -WORD_BITS * _LARGE_PLACES)):
            yield place + _LARGE_PLACES, sums
        most = _largest(values)
    while most:
        place = (int(np.frexp(most)[1]) - 1) // WORD_BITS
        rounder = np.ldexp(1.5, 52 + WORD_BITS * place)
        words = values + rounder
        words -= rounder
        values = values - words
        yield place, np.ldexp(groups.sums(words), -WORD_BITS * place).astype(np.int64)
        most = _largest(values)


def _largest(values: NDArray[np.float64]) -> float:
    return max(float(values.max(initial=0.0)), -float(values.min(initial=0.0)))


def fold_sums(groups: CellGroups, finer: ExactSums) -> ExactSums:
    """Sum i of `finer` is added to the cell of row i of `groups`."""
    return (
        _carried([groups.sums(word) for word in finer.words], finer.place)
        if len(finer.words)
        else no_sums(groups.count)
    )


def join_sums(parts: Sequence[ExactSums]) -> ExactSums:
    """The sums of all parts, one after the other."""
    filled = [part for part in parts if len(part.words)]
    if not filled:
        return no_sums(sum(map(len, parts)))
    place = min(part.place for part in filled)
    count = max(part.place + len(part.words) for part in filled) - place
    words = np.zeros((count, sum(map(len, parts))), np.int64)
    start = 0
    for part in parts:
        first = part.place - place if len(part.words) else 0
        words[first : first + len(part.words), start : start + len(part)] = part.words
        start += len(part)
    # The highest word of a part may be negative, and not the highest one here.
    return _carried(words, place)


def minus_doubles(sums: ExactSums, values: NDArray[np.float64]) -> ExactSums:
    """The sums less a finite double each, float64, shape (n,)."""
    cells = np.arange(len(sums))
    groups = CellGroups(np.concatenate([cells, cells]), len(sums))
    return fold_sums(groups, join_sums([sums, sum_doubles(CellGroups(cells, len(sums)), -values)]))


def _carried(parts: Sequence[Words] | Words, place: int) -> ExactSums:
    """Sums of one word or more, all but the highest in [0, 2**32), and the highest in [-2**31, 2**31)."""
    words = np.array(parts)
    for position in range(len(words) - 1):
        words[position + 1] += words[position] >> WORD_BITS
        words[position] &= _MASK
    while np.any(words[-1] >> (WORD_BITS - 1) != words[-1] >> WORD_BITS):
        words = np.concatenate([words, words[-1:] >> WORD_BITS])
        words[-2] &= _MASK
    return ExactSums(words, place)


def ratios(sums: ExactSums, divisors: Sequence[int]) -> list[float | None]:
    """Each sum divided by a whole number above 0 and rounded once, to the nearest double; None beyond all doubles."""
    shift = WORD_BITS * sums.place
    up, down = max(0, shift), max(0, -shift)
    return [_ratio(total << up, divisor << down) for total, divisor in zip(sums.totals(), divisors, strict=True)]


def _ratio(total: int, divisor: int) -> float | None:
    try:
        return total / divisor  # of whole numbers, which Python rounds once, however large they are
    except OverflowError:
        return None


def rounded_sums(sums: ExactSums) -> NDArray[np.float64]:
    """Each sum rounded to the nearest double, ties to even: float64, shape (n,); infinite beyond the largest double."""
    if not len(sums.words):
        return np.zeros(len(sums))
    is_negative = sums.words[-1] < 0
    signed = _carried([np.where(is_negative, -word, word) for word in sums.words], sums.place)
    # Two words of zeros below, so that there are always three from the first one on that is not 0.
    words = np.concatenate([np.zeros((2, len(sums)), np.int64), signed.words]).view(np.uint64)
    is_set = words != 0
    first = np.maximum(2, len(words) - 1 - np.argmax(is_set[::-1], axis=0))
    rest_below = np.concatenate([np.zeros((1, len(sums)), bool), np.logical_or.accumulate(is_set)])
    high, middle, low = (np.take_along_axis(words, first[None] - step, axis=0)[0] for step in range(3))
    bits = np.frexp(high.astype(np.float64))[1].astype(np.uint64)
    # 64 bits, the highest one set; of what is below them only whether there is anything counts for rounding.
    top = ((high << 32 | middle) << (32 - bits)) | low >> bits
    is_inexact = (low & ((np.uint64(1) << bits) - 1)).astype(bool) | np.take_along_axis(
        rest_below, first[None] - 2, axis=0
    )[0]
    exponents = WORD_BITS * (first - 3 + sums.place) - 32 + bits.astype(np.int64)
    with np.errstate(over="ignore"):
        values = np.ldexp((top | is_inexact).astype(np.float64), exponents.astype(np.int32))
    rounded: NDArray[np.float64] = np.where(is_negative, -values, values)
    return rounded
