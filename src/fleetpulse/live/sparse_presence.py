"""Presence of days that are not held densely: late data, and the day ahead of a fast clock."""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from fleetpulse.aggregate.presence import WORDS_PER_DAY, Rows, mark_minutes


class SparseDay:
    """Rows of one day, for the devices that were touched and only for those."""

    def __init__(self) -> None:
        self._slots: dict[int, int] = {}
        self._rows: Rows = np.zeros((16, WORDS_PER_DAY), np.uint64)

    def __len__(self) -> int:
        return len(self._slots)

    def _places(self, devices: NDArray[np.uint32]) -> NDArray[np.int64]:
        """Places of the rows of `devices`, new ones made where there is none."""
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
        """Mark minutes; both of one length."""
        unique, inverse = np.unique(devices, return_inverse=True)
        places = self._places(unique)
        mark_minutes(self._rows, places=places[inverse], minutes_of_day=minutes_of_day)

    def put(self, devices: NDArray[np.uint32], rows: Rows) -> None:
        """Add rows of distinct devices (a union with what is there)."""
        places = self._places(devices)
        self._rows[places] |= rows

    def row(self, device: int) -> Rows | None:
        """The row of a device, shape (23,), or None where it was not touched."""
        place = self._slots.get(device)
        return None if place is None else self._rows[place]

    def all_rows(self) -> tuple[NDArray[np.uint32], Rows]:
        """Devices, ascending, and copies of their rows."""
        devices = np.fromiter(self._slots, np.uint32, len(self._slots))
        order = np.argsort(devices)
        return devices[order], self._rows[order]  # a device's place is its turn in the dict


class SparsePresence:
    """Sparse days by day (days since 1970-01-01)."""

    def __init__(self) -> None:
        self._days: dict[int, SparseDay] = {}

    def __len__(self) -> int:
        return sum(map(len, self._days.values()))

    @property
    def days(self) -> list[int]:
        """The days touched, ascending."""
        return sorted(self._days)

    def mark(self, day: int, *, devices: NDArray[np.uint32], minutes_of_day: NDArray[np.int64]) -> None:
        """Mark minutes of one day; `devices` and `minutes_of_day` are of one length."""
        self._days.setdefault(day, SparseDay()).mark(devices, minutes_of_day)

    def put(self, day: int, *, devices: NDArray[np.uint32], rows: Rows) -> None:
        """Add rows of distinct devices (a union with what is there)."""
        self._days.setdefault(day, SparseDay()).put(devices, rows)

    def row(self, day: int, device: int) -> Rows | None:
        """The row of a device-day, shape (23,), or None where it was not touched."""
        found = self._days.get(day)
        return None if found is None else found.row(device)

    def of_day(self, day: int) -> tuple[NDArray[np.uint32], Rows]:
        """Devices of a day, ascending, and copies of their rows."""
        return self._days.get(day, SparseDay()).all_rows()

    def of(self, day: int) -> SparseDay:
        """A day; an empty one where it was not touched."""
        return self._days.get(day, SparseDay())

    def take(self, day: int) -> SparseDay:
        """A day, which is no longer here."""
        return self._days.pop(day, SparseDay())

    def adopt(self, day: int, taken: SparseDay) -> None:
        """A day that was taken elsewhere: at no cost, unless there is one here already."""
        if day in self._days:
            devices, rows = taken.all_rows()
            self.put(day, devices=devices, rows=rows)
        else:
            self._days[day] = taken

    def copy_of(self, days: Iterable[int]) -> "SparsePresence":
        """A copy that holds only `days`."""
        part = SparsePresence()
        for day in days:
            devices, rows = self.of_day(day)
            part.put(day, devices=devices, rows=rows)
        return part
