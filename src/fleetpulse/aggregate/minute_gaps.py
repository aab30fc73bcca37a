"""Gaps between beats, as far as presence tells them: from the end of a minute present to the start of the next one.

A beat may have come at any moment of its minute, so these gaps are at most as long as the true ones, and a stretch
shorter than a minute is none. They stand for gaps of days of which nothing better is stored.
"""

import numpy as np
from numpy.typing import NDArray

from fleetpulse.aggregate.presence import Rows
from fleetpulse.model.device_spans import DeviceSpans
from fleetpulse.model.units import MINUTES_PER_DAY, NS_PER_MINUTE

NEVER_MINUTE = -1
"""Stands for the last minute of a device of which none is known; minutes count from 1970, so no other is negative."""


def minute_gaps(
    rows: Rows, devices: NDArray[np.uint32], day: int, last_minute: NDArray[np.int64], limit_ns: NDArray[np.int64]
) -> tuple[DeviceSpans, NDArray[np.int64]]:
    """The gaps of a day that a minute present has ended, and the last minutes present with those of this day.

    Nothing is laid out minute by minute but the words in which a gap ends, so a day without gaps costs little, however
    rarely devices beat.

    Args:
        rows: uint64, shape (n, 23), the presence of the devices, uint32, shape (n,), on the day (since 1970-01-01).
        last_minute: int64, shape (n,), since 1970: the last minute present before the day, or NEVER_MINUTE, and then
            there is no gap before the first one.
        limit_ns: int64, shape (n,): only longer gaps are found.
    Returns: the gaps by device, in the order of `devices`, and by time; int64, shape (n,).
    """
    first = day * MINUTES_PER_DAY
    absent = limit_ns // NS_PER_MINUTE + 1  # minutes that a gap has at least
    places, minutes, before = _within(rows, absent)
    leading = _first_minutes(rows)
    is_gap = (last_minute != NEVER_MINUTE) & (leading < MINUTES_PER_DAY) & (first + leading - last_minute > absent)
    begun = np.flatnonzero(is_gap)
    places = np.concatenate([begun, places])
    start = np.concatenate([last_minute[begun], first + before]) + 1
    end = first + np.concatenate([leading[begun], minutes])
    order = np.lexsort((end, places))
    gaps = DeviceSpans(devices[places[order]], start[order] * NS_PER_MINUTE, end[order] * NS_PER_MINUTE)
    last = _present_before(rows, np.arange(len(rows)), np.full(len(rows), MINUTES_PER_DAY))
    return gaps, np.where(last >= 0, first + last, last_minute)


def _within(rows: Rows, absent: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """The gaps that begin and end in the day: the row of each, the minute present after it, and that before it.

    Args: absent: int64, shape (n,): how many minutes a gap of each row has at least.
    """
    found = [(np.zeros(0, np.int64), np.zeros(0, np.int64))]
    for length in np.unique(absent[absent < MINUTES_PER_DAY]).tolist():
        chosen = np.flatnonzero(absent == length)
        words = np.ascontiguousarray(rows.T if len(chosen) == len(rows) else rows[chosen].T)
        columns, numbers, bits = _bits(words & _shifted(_absent_for(~words, length), 1))
        found.append((chosen[numbers], columns * 64 + bits))
    places, minutes = (np.concatenate(column) for column in zip(*found, strict=True))
    before = _present_before(rows, places, minutes)
    inside = np.flatnonzero(before >= 0)  # the others began before the day
    return places[inside], minutes[inside], before[inside]


def _absent_for(absent: Rows, length: int) -> Rows:
    """The minutes of which they and those before them, `length` in all, are set. Args: absent: shape (23, n)."""
    known = 1
    while known < length:
        step = min(known, length - known)
        absent = absent & _shifted(absent, step)
        known += step
    return absent


def _shifted(words: Rows, minutes: int) -> Rows:
    """The same minutes, so much later; those after the last word fall away. Shape (23, n), as `words`."""
    skipped, bit = divmod(minutes, 64)
    shifted = np.zeros_like(words)
    shifted[skipped:] = words[: len(words) - skipped] << np.uint64(bit)
    if bit:
        shifted[skipped + 1 :] |= words[: len(words) - skipped - 1] >> np.uint64(64 - bit)
    return shifted


def _bits(words: Rows) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """(first index, second index, number) of each bit that is set; words, shape (23, n), few of which have any."""
    places = np.flatnonzero(words)
    packed = words.reshape(-1)[places].astype("<u8").view(np.uint8).reshape(-1, 8)
    numbers, bits = np.nonzero(np.unpackbits(packed, axis=1, bitorder="little"))
    first, second = np.divmod(places[numbers], words.shape[1])
    return first, second, bits


def _present_before(rows: Rows, places: NDArray[np.int64], minutes: NDArray[np.int64]) -> NDArray[np.int64]:
    """The last minute present in rows `places` before `minutes` (at most 1440), or NEVER_MINUTE."""
    word = np.minimum(minutes >> 6, rows.shape[1] - 1)
    bits = rows[places, word] & ((np.uint64(1) << (minutes - word * 64).astype(np.uint64)) - np.uint64(1))
    left = np.flatnonzero((bits == 0) & (word > 0))
    while len(left):
        word[left] -= 1
        bits[left] = rows[places[left], word[left]]
        left = left[(bits[left] == 0) & (word[left] > 0)]
    return np.where(bits > 0, word * 64 + _highest(bits), NEVER_MINUTE)


def _first_minutes(rows: Rows) -> NDArray[np.int64]:
    """The first minute present of each row; MINUTES_PER_DAY or more where there is none."""
    bits, word = rows[:, 0].copy(), np.zeros(len(rows), np.int64)
    left = np.flatnonzero(bits == 0)
    while len(left):
        word[left] += 1
        left = left[word[left] < rows.shape[1]]
        bits[left] = rows[left, word[left]]
        left = left[bits[left] == 0]
    return np.where(bits > 0, word * 64 + _highest(bits & -bits), MINUTES_PER_DAY)


def _highest(bits: NDArray[np.uint64]) -> NDArray[np.int64]:
    """The number of the highest bit that is set, int64, shape (n,); something negative where none is."""
    high = bits >> np.uint64(32)
    # A float holds 32 bits exactly, and not 64.
    _, places = np.frexp(np.where(high, high, bits).astype(np.float64))
    return places.astype(np.int64) + 32 * (high > 0) - 1
