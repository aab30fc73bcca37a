"""How often each distance between two beats occurs: exact ones, and those between minutes with a beat."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fleetpulse.aggregate.presence import Rows, count_minutes
from fleetpulse.aggregate.runs import first_of_runs
from fleetpulse.model.units import NS_PER_MS

NEVER = -1
"""Stands for the minute of the last presence where there was none."""
MS_PER_MINUTE = 60_000
_DISTANCE_BITS = 34
"""Of a key: a distance of up to 99 days in ms, and whether it is exact."""
DISTANCE_HIGHEST_MS = (1 << (_DISTANCE_BITS - 1)) - 1
_UNITS = 10 ** np.arange(11)
_THOUSANDS = 1_000 * _UNITS[:-1]
"""Lengths from each of these on are rounded to ten times as much as those before."""
_ONE, _TOP_BIT = np.uint64(1), np.uint64(63)


@dataclass(frozen=True, slots=True)
class Distances:
    """Distances by a code, such as that of a device, ascending by code, then by length.

    `codes` and `ms`: int64, shape (n,). `counts`: how often each occurs, int64. `is_exact`: bool; the others are whole
    minutes, and the beats were less than a minute closer together, or farther apart.
    """

    codes: NDArray[np.int64]
    ms: NDArray[np.int64]
    counts: NDArray[np.int64]
    is_exact: NDArray[np.bool_]

    @classmethod
    def of(
        cls,
        codes: NDArray[np.int64],
        ms: NDArray[np.int64],
        counts: NDArray[np.int64],
        *,
        is_exact: NDArray[np.bool_] | bool = False,
    ) -> "Distances":
        """Distances in any order, with repetitions; counts may be negative, which takes some away.

        Args: all int64, shape (n,), but `is_exact`: bool, shape (n,).
        """
        keys = _keys(codes, ms, is_exact)
        order = np.argsort(keys, kind="stable")
        keys = keys[order]
        firsts = np.flatnonzero(first_of_runs(keys))
        sums = np.add.reduceat(counts[order], firsts) if len(firsts) else np.zeros(0, np.int64)
        kept = np.flatnonzero(sums > 0)
        return cls._of_keys(keys[firsts[kept]], sums[kept])

    @classmethod
    def each_once(
        cls, codes: NDArray[np.int64], ms: NDArray[np.int64], *, is_exact: NDArray[np.bool_] | bool = False
    ) -> "Distances":
        """The same where each row counts once, which costs a quarter. Args: as for `of`, int64, shape (n,)."""
        keys = np.sort(_keys(codes, ms, is_exact))
        firsts = np.flatnonzero(first_of_runs(keys))
        return cls._of_keys(keys[firsts], np.diff(np.append(firsts, len(keys))))

    @classmethod
    def _of_keys(cls, keys: NDArray[np.int64], counts: NDArray[np.int64]) -> "Distances":
        lengths = (keys & ((1 << _DISTANCE_BITS) - 1)) >> 1
        return cls(keys >> _DISTANCE_BITS, lengths, counts, (keys & 1).astype(bool))

    def __len__(self) -> int:
        return len(self.codes)

    def totals(self, count: int) -> NDArray[np.int64]:
        """How many distances each of `count` codes has: int64, shape (count,)."""
        totals = np.zeros(count, np.int64)
        np.add.at(totals, self.codes, self.counts)
        return totals

    def quantile(self, share: float, count: int) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        """The shortest distance that at least `share` of the distances of a code do not exceed, by code.

        Returns: ms, int64, shape (count,), -1 where there is none; and whether it is exact, bool.
        """
        totals = self.totals(count)
        before = np.cumsum(totals) - totals
        wanted = np.flatnonzero(totals)
        ranks = before[wanted] + np.maximum(1, np.ceil(share * totals[wanted]).astype(np.int64))
        places = np.searchsorted(np.cumsum(self.counts), ranks)
        found, is_exact = np.full(count, -1, np.int64), np.zeros(count, bool)
        found[wanted], is_exact[wanted] = self.ms[places], self.is_exact[places]
        return found, is_exact

    def mean_up_to(self, highest_ms: NDArray[np.int64]) -> NDArray[np.float64]:
        """The mean of those distances of each code that are not longer than its `highest_ms`; NaN where none is.

        Args: highest_ms: int64, shape (count,). Returns: ms, float64, the same shape.
        """
        counts = np.where(self.ms <= highest_ms[self.codes], self.counts, 0)
        sizes = np.bincount(self.codes, weights=counts, minlength=len(highest_ms))
        sums = np.bincount(self.codes, weights=counts * self.ms, minlength=len(highest_ms))
        with np.errstate(invalid="ignore"):
            return np.asarray(sums / np.where(sizes, sizes, np.nan))

    def without(self, taken: "Distances") -> "Distances":
        """The same, less as many of each as are taken away."""
        return Distances.of(
            np.concatenate([self.codes, taken.codes]),
            np.concatenate([self.ms, taken.ms]),
            np.concatenate([self.counts, -taken.counts]),
            is_exact=np.concatenate([self.is_exact, taken.is_exact]),
        )

    def capped(self, highest_ms: NDArray[np.int64]) -> "Distances":
        """The same, but of those that are not exact none longer than `highest_ms`: int64, shape (codes,)."""
        ms = np.where(self.is_exact, self.ms, np.minimum(self.ms, highest_ms[self.codes]))
        return Distances.of(self.codes, ms, self.counts, is_exact=self.is_exact)

    def of_groups(self, groups: NDArray[np.int64]) -> "Distances":
        """The same by other codes.

        Args: groups: int64, shape (codes,): the new code of each code; negative ones are left out.
        """
        codes = groups[self.codes]
        kept = np.flatnonzero(codes >= 0)
        return Distances.of(codes[kept], self.ms[kept], self.counts[kept], is_exact=self.is_exact[kept])


def _keys(
    codes: NDArray[np.int64],
    ms: NDArray[np.int64],
    is_exact: NDArray[np.bool_] | bool,  # noqa: FBT001 - a column, or its value in all rows
) -> NDArray[np.int64]:
    keys: NDArray[np.int64] = (codes << _DISTANCE_BITS) | (np.clip(ms, 0, DISTANCE_HIGHEST_MS) << 1) | is_exact
    return keys


def exact_distances(codes: NDArray[np.int64], lengths_ns: NDArray[np.int64]) -> Distances:
    """Distances of known length, to three digits, so that a device of a certain interval has few different ones.

    Args: both int64, shape (n,).
    """
    ms = np.maximum(1, lengths_ns // NS_PER_MS)
    unit = _UNITS[np.searchsorted(_THOUSANDS, ms, side="right")]
    rounded: NDArray[np.int64] = (ms + unit // 2) // unit * unit
    return Distances.each_once(codes, rounded, is_exact=True)


def join_distances(pieces: Sequence[Distances]) -> Distances:
    """All pieces as one."""
    empty = np.zeros(0, np.int64)
    return Distances.of(
        np.concatenate([empty, *(piece.codes for piece in pieces)]),
        np.concatenate([empty, *(piece.ms for piece in pieces)]),
        np.concatenate([empty, *(piece.counts for piece in pieces)]),
        is_exact=np.concatenate([np.zeros(0, bool), *(piece.is_exact for piece in pieces)]),
    )


def day_distances(
    rows: Rows, codes: NDArray[np.int64], *, day_minute: int, last_minutes: NDArray[np.int64]
) -> Distances:
    """The distances between neighbouring minutes with a beat, of which the second is in a day.

    Whole words are looked at, and only those in which a run begins or ends are laid out minute by minute.

    Args:
        rows: presence of the day, shape (n, 23).
        codes: of each row, int64, ascending.
        day_minute: the first minute of the day, since 1970.
        last_minutes: int64, shape (codes,): the last minute with a beat before the day, by code, or NEVER; changed in
            place.
    """
    present = np.flatnonzero(rows.any(axis=1))
    rows, codes = rows[present], codes[present]
    begins, ends = _run_edges(rows)
    runs = count_minutes(begins)
    firsts, lasts = day_minute + _lowest(rows), day_minute + _highest(rows)
    before = last_minutes[codes]
    last_minutes[codes] = lasts
    seen = np.flatnonzero(before != NEVER)
    divided = np.flatnonzero(runs > 1)
    inner_rows, inner = _between_runs(begins[divided], ends[divided])
    between = Distances.each_once(
        np.concatenate([codes[seen], codes[divided][inner_rows]]),
        np.concatenate([firsts[seen] - before[seen], inner]) * MS_PER_MINUTE,
    )
    return Distances.of(
        np.concatenate([codes, between.codes]),
        np.concatenate([np.full(len(codes), MS_PER_MINUTE), between.ms]),
        np.concatenate([count_minutes(rows) - runs, between.counts]),
    )


def _run_edges(rows: Rows) -> tuple[Rows, Rows]:
    """The first and the last minute of each run of minutes in rows, as bits; both shape (n, 23)."""
    before, after = rows << _ONE, rows >> _ONE
    before[:, 1:] |= rows[:, :-1] >> _TOP_BIT
    after[:, :-1] |= rows[:, 1:] << _TOP_BIT
    return rows & ~before, rows & ~after


def _between_runs(begins: Rows, ends: Rows) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Minutes from the end of each run to the beginning of the next one in its row: numbers of rows, and minutes."""
    rows, begin = _minutes_of(begins)
    _, end = _minutes_of(ends)
    is_next = rows[1:] == rows[:-1]
    return rows[1:][is_next], (begin[1:] - end[:-1])[is_next]


def _minutes_of(rows: Rows) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The row and the minute of each bit, by row and minute; only words that have any are laid out."""
    words = np.flatnonzero(rows)
    packed = rows.reshape(-1)[words].astype("<u8").view(np.uint8).reshape(-1, 8)
    bits = np.flatnonzero(np.unpackbits(packed, axis=1, bitorder="little"))
    numbers, columns = np.divmod(words[bits >> 6], rows.shape[1])
    return numbers, columns * 64 + (bits & 63)


def _lowest(rows: Rows) -> NDArray[np.int64]:
    """The first minute that is set in each row, of which none is empty: int64, shape (n,)."""
    words = (rows != 0).argmax(axis=1)
    found = rows[np.arange(len(rows)), words]
    minutes: NDArray[np.int64] = words * 64 + np.bitwise_count((found & (~found + _ONE)) - _ONE)
    return minutes


def _highest(rows: Rows) -> NDArray[np.int64]:
    """The last minute that is set in each row, of which none is empty: int64, shape (n,)."""
    words = rows.shape[1] - 1 - (rows[:, ::-1] != 0).argmax(axis=1)
    found = rows[np.arange(len(rows)), words]
    for shift in (1, 2, 4, 8, 16, 32):
        found |= found >> np.uint64(shift)
    minutes: NDArray[np.int64] = words * 64 + np.bitwise_count(found) - 1
    return minutes
