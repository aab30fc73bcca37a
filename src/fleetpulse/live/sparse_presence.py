"""Presence of days that are not open: late data, and events that a device with a fast clock sends for the future.

Only the devices that were heard on such a day have a row: 23 words of 64 bits, as in `aggregate/presence.py`.
"""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from fleetpulse.aggregate.presence import WORDS_PER_DAY, Rows, mark_minutes


class SparseDay:
    """The presence of one day, for the devices that have any."""

    def __init__(self) -> None:
        self._slots: dict[int, int] = {}
        self._rows: Rows = np.zeros((16, WORDS_PER_DAY), np.uint64)

    def __len__(self) -> int:
        return len(self._slots)

    def _places(self, devices: NDArray[np.uint32]) -> NDArray[np.int64]:
        """The row number of each of `devices`, shape (n,); devices without a row get one."""
        slots = self._slots
        places = np.fromiter(
            (slots.setdefault(device, len(slots)) for device in devices.tolist()), np.int64, len(devices)
        )
        if len(slots) > len(self._rows):
            grown = np.zeros((max(len(slots), 2 * len(self._rows)), WORDS_PER_DAY), np.uint64)
            grown[: len(self._rows)] = self._rows
            self._rows = grown
        return places

    def mark(self, devices: NDArray[np.uint32], minutes_of_day: NDArray[np.int64]) -> None:
        """Mark minute `minutes_of_day[i]` (0..1439) of device `devices[i]`, for all i; int64 and uint32, shape (n,)."""
        unique, inverse = np.unique(devices, return_inverse=True)
        places = self._places(unique)
        mark_minutes(self._rows, places=places[inverse], minutes_of_day=minutes_of_day)

    def put(self, devices: NDArray[np.uint32], rows: Rows) -> None:
        """Mark all minutes of `rows`, uint64, shape (n, 23), of `devices`, uint32, shape (n,), distinct."""
        places = self._places(devices)
        self._rows[places] |= rows

    def row(self, device: int) -> Rows | None:
        """The presence of a device, shape (23,), or None where it has none."""
        place = self._slots.get(device)
        return None if place is None else self._rows[place]

    def keep(self, device: int, minutes: Rows) -> None:
        """Clear the minutes of a device that are not in `minutes`, shape (23,)."""
        place = self._slots.get(device)
        if place is not None:
            self._rows[place] &= minutes

    def all_rows(self) -> tuple[NDArray[np.uint32], Rows]:
        """(devices, rows): uint32, shape (n,), ascending, and a copy of their presence, uint64, shape (n, 23)."""
        devices = np.fromiter(self._slots, np.uint32, len(self._slots))
        order = np.argsort(devices)
        return devices[order], self._rows[order]  # the dict holds the devices in the order of their rows


class SparsePresence:
    """Sparse days, by day (days since 1970-01-01)."""

    def __init__(self) -> None:
        self._days: dict[int, SparseDay] = {}

    def __len__(self) -> int:
        return sum(map(len, self._days.values()))

    @property
    def days(self) -> list[int]:
        """The days with presence, ascending."""
        return sorted(self._days)

    def mark(self, day: int, *, devices: NDArray[np.uint32], minutes_of_day: NDArray[np.int64]) -> None:
        """Mark minutes (int64) of devices (uint32) on one day, both shape (n,); see SparseDay."""
        self._days.setdefault(day, SparseDay()).mark(devices, minutes_of_day)

    def put(self, day: int, *, devices: NDArray[np.uint32], rows: Rows) -> None:
        """Mark all minutes of `rows`, uint64, shape (n, 23), on one day; see SparseDay."""
        self._days.setdefault(day, SparseDay()).put(devices, rows)

    def row(self, day: int, device: int) -> Rows | None:
        """The presence of a device on a day, shape (23,), or None where it has none."""
        sparse_day = self._days.get(day)
        return None if sparse_day is None else sparse_day.row(device)

    def of_day(self, day: int) -> tuple[NDArray[np.uint32], Rows]:
        """(devices, rows) of a day: uint32, shape (n,), ascending, and a copy of their rows, uint64, shape (n, 23)."""
        return self._days.get(day, SparseDay()).all_rows()

    def of(self, day: int) -> SparseDay:
        """A day; an empty one where it has no presence."""
        return self._days.get(day, SparseDay())

    def take(self, day: int) -> SparseDay:
        """Remove a day, and return it."""
        return self._days.pop(day, SparseDay())

    def adopt(self, day: int, taken: SparseDay) -> None:
        """Add a day taken from another SparsePresence. Its rows are copied only where the day is here already."""
        if day in self._days:
            devices, rows = taken.all_rows()
            self.put(day, devices=devices, rows=rows)
        else:
            self._days[day] = taken

    def copy_of(self, days: Iterable[int]) -> "SparsePresence":
        """A copy of `days`, and only of them."""
        part = SparsePresence()
        for day in days:
            devices, rows = self.of_day(day)
            part.put(day, devices=devices, rows=rows)
        return part
