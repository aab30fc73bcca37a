"""Presence of an open day in memory: a column for each hour, of one word a device.

The columns lie in one array of zeros that cost no memory until they are written to. So a column takes memory when its
hour begins, a day that has just begun takes next to nothing, and nothing has to be done when either begins.
The current hour of a million devices is 8 MB, which is why marking in columns is faster than in rows of whole days.

One thread marks. Others may read at the same time: what they read may gain minutes, and loses none.
"""

import numpy as np
from numpy.typing import NDArray

from fleetpulse.aggregate.hour_words import HOURS_PER_DAY, MINUTES_PER_HOUR, HourWords, hours_of_rows, rows_of_hours
from fleetpulse.aggregate.presence import WORDS_PER_DAY, Rows
from fleetpulse.live.growth import HUGE_PAGES_AT, zeros

_HUGE_PAGE_WORDS = (2 << 20) // 8
"""Each column of many devices begins with a large page, so that none takes memory before its hour."""


class HourColumns:
    """The presence of one day, of the devices 0 .. len - 1."""

    __slots__ = ("words",)

    def __init__(self, words: HourWords) -> None:
        """`words`: shape (24, devices), which are marked in place; `empty` makes them."""
        self.words = words

    @classmethod
    def empty(cls, capacity: int) -> "HourColumns":
        """No presence of any of `capacity` devices or more."""
        if capacity >= HUGE_PAGES_AT:
            capacity = -(-capacity // _HUGE_PAGE_WORDS) * _HUGE_PAGE_WORDS
        return cls(zeros((HOURS_PER_DAY, capacity), np.uint64))

    def __len__(self) -> int:
        """For how many devices there is room."""
        return int(self.words.shape[1])

    def __getitem__(self, part: slice) -> Rows:
        """The rows of some devices, uint64, shape (n, 23), made now; those of all would be 184 MB a million."""
        return rows_of_hours(self.words[:, part])

    def part(self, devices: range) -> "HourColumns":
        """The same of neighbouring devices: what is marked here is seen there."""
        return HourColumns(self.words[:, devices.start : devices.stop])

    def grown(self, capacity: int) -> "HourColumns":
        """A copy with room for `capacity` devices."""
        longer = HourColumns.empty(capacity)
        for column, known in zip(longer.words, self.words, strict=True):
            if known.any():  # copying zeros would write to every page, and so use memory
                column[: len(known)] = known
        return longer

    def mark(self, devices: NDArray[np.uint32], minutes_of_day: NDArray[np.int64]) -> None:
        """Mark minute `minutes_of_day[i]` (int64, 0..1439) of device `devices[i]` (uint32, below len), shape (n,)."""
        hours = minutes_of_day // MINUTES_PER_HOUR
        bits = np.left_shift(np.uint64(1), (minutes_of_day - hours * MINUTES_PER_HOUR).astype(np.uint64))
        np.bitwise_or.at(self.words.reshape(-1), hours * self.words.shape[1] + devices, bits)

    def mark_rows(self, devices: NDArray[np.uint32], rows: Rows) -> None:
        """Mark all minutes of `rows`, uint64, shape (n, 23), of `devices`, uint32, shape (n,), distinct."""
        for column, minutes in zip(self.words, hours_of_rows(rows), strict=True):
            places = np.flatnonzero(minutes)  # others would be written to for nothing, and so use memory
            column[devices[places]] |= minutes[places]

    def row(self, device: int) -> Rows:
        """The row of one device, shape (23,), a copy."""
        day = 0  # one number is quicker than arrays of one word
        for hour, minutes in enumerate(self.words[:, device].tolist()):
            day |= minutes << hour * MINUTES_PER_HOUR
        row: Rows = np.frombuffer(day.to_bytes(WORDS_PER_DAY * 8, "little"), "<u8").astype(np.uint64)
        return row

    def keep(self, device: int, row: Rows) -> None:
        """Clear the minutes of a device that are not in `row`, shape (23,)."""
        self.words[:, device] &= hours_of_rows(row[None])[:, 0]
