"""Presence of days that are not open: late data, and events that a device with a fast clock sends for the future.

Only the devices that were heard on such a day are here, each with a whole number whose bit m is minute m of the day.
Such numbers cost little where late data touches thousands of days, since each needs no arrays of its own. They never
change, so copying a day for a question or a checkpoint copies references: milliseconds for a million devices.
"""

from collections.abc import Iterable, Iterator, Mapping
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from fleetpulse.aggregate.presence import WORDS_PER_DAY, Rows
from fleetpulse.model.units import MINUTES_PER_DAY

_ROW_BYTES = WORDS_PER_DAY * 8
_BIT = [1 << minute for minute in range(MINUTES_PER_DAY)]
"""The numbers of a single minute: all rows of one minute share them, which saves some 130 bytes each."""
PIECE_ROWS = 2_048
"""Rows that are made of numbers in one go: so long a thread holds the interpreter, about a millisecond."""


class SparseDay:
    """The presence of one day, for the devices that have any."""

    __slots__ = ("bits",)

    def __init__(self, bits: dict[int, int] | None = None) -> None:
        self.bits = {} if bits is None else bits

    def __len__(self) -> int:
        return len(self.bits)

    def mark(self, devices: NDArray[np.uint32], minutes_of_day: NDArray[np.int64]) -> None:
        """Mark minute `minutes_of_day[i]` (0..1439) of device `devices[i]`, for all i; int64 and uint32, shape (n,)."""
        bits = self.bits
        for device, minute in zip(devices.tolist(), minutes_of_day.tolist(), strict=True):
            known = bits.get(device)
            bits[device] = _BIT[minute] if known is None else known | _BIT[minute]

    def put(self, devices: NDArray[np.uint32], rows: Rows) -> None:
        """Mark all minutes of `rows`, uint64, shape (n, 23), of `devices`, uint32, shape (n,), distinct."""
        bits = self.bits
        for place, device in enumerate(devices.tolist()):
            bits[device] = bits.get(device, 0) | _number_of(rows[place])

    def row(self, device: int) -> Rows | None:
        """The presence of a device, shape (23,), or None where it has none."""
        number = self.bits.get(device)
        return None if number is None else _rows_of([number])[0]

    def keep(self, device: int, minutes: Rows) -> None:
        """Clear the minutes of a device that are not in `minutes`, shape (23,)."""
        if device in self.bits:
            self.bits[device] &= _number_of(minutes)

    def copy(self) -> "SparseDay":
        """What it holds now."""
        return SparseDay(self.bits.copy())

    def take(self, count: int) -> tuple[NDArray[np.uint32], Rows]:
        """Remove some devices, at most `count`: (devices, rows), uint32, shape (n,), and uint64, shape (n, 23)."""
        chosen = [self.bits.popitem() for _ in range(min(count, len(self.bits)))]
        devices = np.array([device for device, _ in chosen], np.uint32)
        return devices, _rows_of([number for _, number in chosen])

    def all_rows(self) -> tuple[NDArray[np.uint32], Rows]:
        """(devices, rows): uint32, shape (n,), ascending, and their presence, uint64, shape (n, 23).

        Not to be called on the event loop: it takes a third of a second for a million devices.
        """
        pieces = list(self._pieces())
        if not pieces:
            return np.zeros(0, np.uint32), np.zeros((0, WORDS_PER_DAY), np.uint64)
        devices = np.concatenate([numbers for numbers, _ in pieces])
        rows = np.concatenate([rows for _, rows in pieces])
        order = np.argsort(devices)
        return devices[order], rows[order]

    def _pieces(self) -> Iterator[tuple[NDArray[np.uint32], Rows]]:
        entries = iter(self.bits.items())
        while piece := list(islice(entries, PIECE_ROWS)):
            devices = np.array([device for device, _ in piece], np.uint32)
            yield devices, _rows_of([number for _, number in piece])


def _number_of(row: Rows) -> int:
    return int.from_bytes(row.astype("<u8", copy=False).tobytes(), "little")


def _rows_of(numbers: list[int]) -> Rows:
    whole = bytearray().join([number.to_bytes(_ROW_BYTES, "little") for number in numbers])
    rows: Rows = np.frombuffer(whole, "<u8").astype(np.uint64, copy=False).reshape(-1, WORDS_PER_DAY)
    return rows


class SparsePresence:
    """Sparse days, by day (days since 1970-01-01)."""

    def __init__(self) -> None:
        self._days: dict[int, SparseDay] = {}
        self._count = 0

    def __len__(self) -> int:
        """How many rows there are, one for each device and day."""
        return self._count

    def rows_from(self, first_day: int) -> int:
        """How many of the rows are of the day `first_day` or later."""
        return sum(len(self._days[day]) for day in self._days if day >= first_day)

    @property
    def days(self) -> list[int]:
        """The days with presence, ascending."""
        return sorted(self._days)

    def mark(self, day: int, *, devices: NDArray[np.uint32], minutes_of_day: NDArray[np.int64]) -> None:
        """Mark minutes (int64) of devices (uint32) on one day, both shape (n,); see SparseDay."""
        sparse_day = self._day(day)
        before = len(sparse_day)
        sparse_day.mark(devices, minutes_of_day)
        self._count += len(sparse_day) - before

    def mark_all(
        self, days: NDArray[np.int64], *, devices: NDArray[np.uint32], minutes_of_day: NDArray[np.int64]
    ) -> None:
        """Mark minute `minutes_of_day[i]` (int64) of device `devices[i]` (uint32) on `days[i]` (int64), all shape (n,).

        One pass, since late data may be about thousands of days, with an event or two of each.
        """
        bits_of = {day: self._day(day).bits for day in set(days.tolist())}
        self._count -= sum(map(len, bits_of.values()))
        for day, device, minute in zip(days.tolist(), devices.tolist(), minutes_of_day.tolist(), strict=True):
            bits = bits_of[day]
            known = bits.get(device)
            bits[device] = _BIT[minute] if known is None else known | _BIT[minute]
        self._count += sum(map(len, bits_of.values()))

    def put(self, day: int, *, devices: NDArray[np.uint32], rows: Rows) -> None:
        """Mark all minutes of `rows`, uint64, shape (n, 23), on one day; see SparseDay."""
        sparse_day = self._day(day)
        before = len(sparse_day)
        sparse_day.put(devices, rows)
        self._count += len(sparse_day) - before

    def _day(self, day: int) -> SparseDay:
        sparse_day = self._days.get(day)
        if sparse_day is None:
            sparse_day = self._days[day] = SparseDay()
        return sparse_day

    def has(self, day: int) -> bool:
        """Whether a day has any presence."""
        return day in self._days

    def touches(self, days: Iterable[int]) -> bool:
        """Whether one of these days has any presence."""
        return any(day in self._days for day in days)

    def row(self, day: int, device: int) -> Rows | None:
        """The presence of a device on a day, shape (23,), or None where it has none."""
        sparse_day = self._days.get(day)
        return None if sparse_day is None else sparse_day.row(device)

    def rows_of(self, device: int) -> dict[int, Rows]:
        """The presence of a device by day, each shape (23,), in one pass: there may be thousands of days."""
        numbers = {day: rows.bits[device] for day, rows in self._days.items() if device in rows.bits}
        return dict(zip(numbers, _rows_of(list(numbers.values())), strict=True))

    def of_day(self, day: int) -> tuple[NDArray[np.uint32], Rows]:
        """(devices, rows) of a day: uint32, shape (n,), ascending, and a copy of their rows, uint64, shape (n, 23)."""
        return self.of(day).all_rows()

    def of(self, day: int) -> SparseDay:
        """A day; an empty one where it has no presence."""
        return self._days.get(day) or SparseDay()

    def take(self, day: int) -> SparseDay:
        """Remove a day, and return it."""
        sparse_day = self._days.pop(day, None) or SparseDay()
        self._count -= len(sparse_day)
        return sparse_day

    def settle_into(self, dense: Mapping[int, Rows]) -> bool:
        """Move some rows of days that are in `dense` there: days that were ahead when they came, and are open now.

        At midnight there may be a million, of devices whose clocks are ahead. Returns whether there are more; until
        they are moved, they are read here.
        """
        for day in [day for day in dense if day in self._days]:
            sparse_day = self._days[day]
            devices, rows = sparse_day.take(PIECE_ROWS)
            dense[day][devices] |= rows
            self._count -= len(devices)
            if not len(sparse_day):
                del self._days[day]
            return True
        return False

    def adopt(self, day: int, taken: SparseDay) -> None:
        """Add a day taken from another SparsePresence. Its rows are copied only where the day is here already."""
        if day in self._days:
            devices, rows = taken.all_rows()
            self.put(day, devices=devices, rows=rows)
        else:
            self._days[day] = taken
            self._count += len(taken)

    def copy_of(self, days: Iterable[int]) -> "SparsePresence":
        """A copy of `days`, and only of them."""
        part = SparsePresence()
        for day in days:
            part.adopt(day, self.of(day).copy())
        return part
