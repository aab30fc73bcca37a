"""Presence of days that are not held densely: late data, and the day ahead of a fast clock."""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from fleetpulse.aggregate.presence import WORDS_PER_DAY, Rows, mark_minutes


class SparsePresence:
    """Rows for the device-days that were touched, and only for those."""

    def __init__(self) -> None:
        self._slots: dict[int, dict[int, int]] = {}
        self._rows: Rows = np.zeros((64, WORDS_PER_DAY), np.uint64)
        self._count = 0

    def __len__(self) -> int:
        return self._count

    @property
    def days(self) -> list[int]:
        """The days touched, ascending."""
        return sorted(self._slots)

    def mark(self, day: int, *, devices: NDArray[np.uint32], minutes_of_day: NDArray[np.int64]) -> None:
        """Mark minutes of one day; `devices` and `minutes_of_day` are of one length."""
        slots = self._slots.setdefault(day, {})
        unique, inverse = np.unique(devices, return_inverse=True)
        places = np.empty(len(unique), np.int64)
        for index, device in enumerate(unique.tolist()):
            place = slots.get(device)
            if place is None:
                place = slots[device] = self._new_row()
            places[index] = place
        mark_minutes(self._rows, places=places[inverse], minutes_of_day=minutes_of_day)

    def _new_row(self) -> int:
        if self._count == len(self._rows):
            grown = np.zeros((2 * self._count, WORDS_PER_DAY), np.uint64)
            grown[: self._count] = self._rows
            self._rows = grown
        self._count += 1
        return self._count - 1

    def row(self, day: int, device: int) -> Rows | None:
        """The row of a device-day, shape (23,), or None where it was not touched."""
        place = self._slots.get(day, {}).get(device)
        return None if place is None else self._rows[place]

    def of_day(self, day: int) -> tuple[NDArray[np.uint32], Rows]:
        """Devices of a day, ascending, and copies of their rows."""
        slots = self._slots.get(day, {})
        devices = np.fromiter(slots, np.uint32, len(slots))
        places = np.fromiter(slots.values(), np.int64, len(slots))
        order = np.argsort(devices)
        return devices[order], self._rows[places[order]]

    def put(self, day: int, *, devices: NDArray[np.uint32], rows: Rows) -> None:
        """Add rows of a day (a union with what is there)."""
        slots = self._slots.setdefault(day, {})
        for device, row in zip(devices.tolist(), rows, strict=True):
            place = slots.get(device)
            if place is None:
                place = slots[device] = self._new_row()
            self._rows[place] |= row

    def split(self, days: Iterable[int]) -> "SparsePresence":
        """A new one that holds only `days`; this one keeps all."""
        part = SparsePresence()
        for day in days:
            devices, rows = self.of_day(day)
            part.put(day, devices=devices, rows=rows)
        return part
