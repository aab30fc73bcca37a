"""Presence: the minutes of a day in which a device was heard, one bit each.

A row is 23 words of 64 bits; minute m of the UTC day is bit m % 64 of word m // 64, and the 32 bits past minute 1439
stay clear. Marking is idempotent and commutative: retries, duplicates and any order give the same rows.
"""

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from fleetpulse.model.units import MINUTES_PER_DAY

WORDS_PER_DAY = 23
BYTES_PER_DAY = 180
"""Bytes of a row on disk: 1440 bits; the row in memory is padded to whole words."""

Rows = NDArray[np.uint64]
"""uint64, shape (devices, 23), or (23,) for one device."""
Chunk = tuple[NDArray[np.uint32], Rows]
"""Device numbers, ascending, shape (devices,), and their rows of presence, shape (devices, 23)."""


class RowsOfDay(Protocol):
    """A row for each device, in the order of their numbers: an array of rows, or what makes rows when they are read."""

    def __len__(self) -> int:
        """How many devices have a row."""
        ...

    def __getitem__(self, part: slice, /) -> Rows:
        """The rows of some devices, uint64, shape (n, 23)."""
        ...


def minutes_from(minute: int) -> Rows:
    """A row, shape (23,), in which the minutes of the day from `minute` (at most 1440) on are set; others are clear."""
    bits = np.zeros(WORDS_PER_DAY * 64, np.uint8)
    bits[max(0, minute) : MINUTES_PER_DAY] = 1
    row: Rows = np.packbits(bits, bitorder="little").view("<u8").astype(np.uint64, copy=False)
    return row


def first_minute_of(row: Rows) -> int | None:
    """The first minute of the day that is set in a row, shape (23,); None where none is."""
    words = np.flatnonzero(row)
    if not len(words):
        return None
    word = int(row[words[0]])
    return int(words[0]) * 64 + (word & -word).bit_length() - 1


def count_minutes(rows: Rows) -> NDArray[np.int64]:
    """Minutes present in each row: int64, shape (devices,) of rows of shape (devices, 23)."""
    counts: NDArray[np.int64] = np.bitwise_count(rows).sum(axis=-1, dtype=np.int64)
    return counts


def to_bytes(rows: Rows) -> NDArray[np.uint8]:
    """Rows as they are stored: uint8, shape (devices, 180), minute m being bit m % 8 of byte m // 8."""
    return np.ascontiguousarray(rows.astype("<u8", copy=False).view(np.uint8).reshape(len(rows), -1)[:, :BYTES_PER_DAY])


def from_bytes(packed: NDArray[np.uint8]) -> Rows:
    """The inverse of `to_bytes`: uint64 rows, shape (devices, 23), from uint8 bytes, shape (devices, 180)."""
    padded = np.zeros((len(packed), WORDS_PER_DAY * 8), np.uint8)
    padded[:, :BYTES_PER_DAY] = packed
    return padded.view("<u8").astype(np.uint64, copy=False)


def count_before(rows: Rows, places: NDArray[np.int64]) -> NDArray[np.int64]:
    """How many bits are set in each row before each of some places.

    Whole words are counted at once, since to lay out every bit would take sixty times as long.

    Args:
        rows: uint64, shape (n, words), low bits first.
        places: int64, shape (m,), each from 0 to 64 * words.
    Returns: int64, shape (n, m).
    """
    words = np.minimum(places // 64, rows.shape[1] - 1)
    before_words = np.zeros((len(rows), rows.shape[1] + 1), np.int64)
    np.cumsum(np.bitwise_count(rows), axis=1, dtype=np.int64, out=before_words[:, 1:])
    is_end = places // 64 > words
    masks = (np.uint64(1) << (places % 64).astype(np.uint64)) - np.uint64(1)
    inside = np.bitwise_count(rows[:, words] & masks)
    return before_words[:, words + is_end] + inside
