"""Presence by hours: a word for each device and hour of a day, where `presence` has 23 words for each device.

Bit m of word h is minute m of hour h; the four bits past minute 59 stay clear. So a new hour needs new words, and what
is written during an hour lies close together.
"""

from functools import reduce

import numpy as np
from numpy.typing import NDArray

from fleetpulse.aggregate.presence import WORDS_PER_DAY, Rows

HOURS_PER_DAY = 24
MINUTES_PER_HOUR = 60
_ALL_MINUTES = np.uint64((1 << MINUTES_PER_HOUR) - 1)
HourWords = NDArray[np.uint64]
"""uint64, shape (24, devices)."""


def _hours_of(word: int) -> list[tuple[int, int]]:
    """The hours of which a word of a row has minutes, and its bit where each begins; negative: in the word before."""
    bits = [hour * MINUTES_PER_HOUR - word * 64 for hour in range(HOURS_PER_DAY)]
    return [(hour, bit) for hour, bit in enumerate(bits) if -MINUTES_PER_HOUR < bit < 64]


_HOURS_OF = [_hours_of(word) for word in range(WORDS_PER_DAY)]


def rows_of_hours(words: HourWords) -> Rows:
    """The rows, uint64, shape (devices, 23), of words, shape (24, devices)."""
    rows: Rows = np.zeros((words.shape[1], WORDS_PER_DAY), np.uint64)
    marked = set(np.flatnonzero(words.any(axis=1)).tolist())  # most hours of a day that has begun are empty
    for word, hours in enumerate(_HOURS_OF):
        moved = [_moved(words[hour], bit) for hour, bit in hours if hour in marked]
        if moved:  # each word is written once, since going through rows of 184 bytes is what takes time
            rows[:, word] = reduce(np.bitwise_or, moved)
    return rows


def hours_of_rows(rows: Rows) -> HourWords:
    """The inverse of `rows_of_hours`."""
    words: HourWords = np.zeros((HOURS_PER_DAY, len(rows)), np.uint64)
    for word, hours in enumerate(_HOURS_OF):
        minutes = rows[:, word].copy()
        for hour, bit in hours:
            words[hour] |= _moved(minutes, -bit)
    words &= _ALL_MINUTES
    return words


def _moved(minutes: NDArray[np.uint64], bits: int) -> NDArray[np.uint64]:
    """Words, shape (n,), whose minutes are so many bits later, or earlier where negative; what leaves them is lost."""
    return minutes << np.uint64(bits) if bits >= 0 else minutes >> np.uint64(-bits)
