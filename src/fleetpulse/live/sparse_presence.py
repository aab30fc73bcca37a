"""Presence of days that are not open: late data, and events that a device with a fast clock sends for the future.

Only the devices that were heard on such a day are here, each with a whole number whose bit m is minute m of the day.
Such numbers cost little where late data touches thousands of days, since each needs no arrays of its own.

One thread marks. Others may read a day at the same time, part by part: copying a part is one step for the interpreter,
and a number never changes. They may find minutes that were marked meanwhile, as in the columns of open days.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from fleetpulse.aggregate.presence import WORDS_PER_DAY, Chunk, Rows
from fleetpulse.live.hour_columns import HourColumns
from fleetpulse.model.units import MINUTES_PER_DAY

_ROW_BYTES = WORDS_PER_DAY * 8
_BIT = [1 << minute for minute in range(MINUTES_PER_DAY)]
"""The numbers of a single minute: all rows of one minute share them, which saves some 130 bytes each."""
PIECE_ROWS = 2_048
"""Rows that are made of numbers in one go: so long a thread holds the interpreter, about a millisecond."""
PART_SHIFT = 13
"""A part of a large day holds 8,192 devices, those whose numbers agree but for this many bits."""
_WHOLE_SHIFT = 32
"""A small day is one part: there may be thousands, and each part costs memory of its own."""
SPLIT_ROWS = 16_384
"""A day with more rows is large; splitting it takes a few milliseconds, once."""


class SparseDay:
    """The presence of one day, for the devices that have any."""

    __slots__ = ("_parts", "_shift")

    def __init__(self) -> None:
        self._shift = _WHOLE_SHIFT
        self._parts: defaultdict[int, dict[int, int]] = defaultdict(dict)
        """By the number of a part, the minutes of its devices."""

    def __len__(self) -> int:
        return sum(map(len, self._parts.values()))

    def mark(self, device: int, minutes: int) -> None:
        """Mark minutes of a device, given as a number; `split_if_large` is to follow many marks."""
        part = self._parts[device >> self._shift]
        known = part.get(device)
        part[device] = minutes if known is None else known | minutes

    def split_if_large(self) -> None:
        """Divide a day that has become large into parts that are read and copied one by one."""
        if self._shift == _WHOLE_SHIFT and len(self) > SPLIT_ROWS:
            parts: defaultdict[int, dict[int, int]] = defaultdict(dict)
            for device, minutes in self.items():
                parts[device >> PART_SHIFT][device] = minutes
            self._shift, self._parts = PART_SHIFT, parts

    def put(self, devices: NDArray[np.uint32], rows: Rows) -> None:
        """Mark all minutes of `rows`, uint64, shape (n, 23), of `devices`, uint32, shape (n,), distinct."""
        for place, device in enumerate(devices.tolist()):
            self.mark(device, _number_of(rows[place]))
        self.split_if_large()

    def join(self, other: "SparseDay") -> None:
        """Mark all that another day has marked."""
        for device, minutes in other.items():
            self.mark(device, minutes)
        self.split_if_large()

    def items(self) -> Iterator[tuple[int, int]]:
        """Each device, in no order, and its minutes as a number. Nothing may be marked meanwhile."""
        return chain.from_iterable(part.items() for part in self._parts.values())

    def minutes_of(self, device: int) -> int | None:
        """The presence of a device as a number, or None where it has none."""
        part = self._parts.get(device >> self._shift)
        return None if part is None else part.get(device)

    def keep(self, device: int, minutes: Rows) -> None:
        """Clear the minutes of a device that are not in `minutes`, shape (23,)."""
        known = self.minutes_of(device)
        if known is not None:
            self._parts[device >> self._shift][device] = known & _number_of(minutes)

    def chunks(self) -> Iterator[Chunk]:
        """All devices and their rows, ascending, at most PIECE_ROWS at a time. Any thread may read them."""
        parts = dict(self._parts)
        for number in sorted(parts):
            part = parts[number].copy()
            devices = np.fromiter(part, np.uint32, len(part))
            order, minutes = np.argsort(devices), list(part.values())
            for start in range(0, len(order), PIECE_ROWS):
                places = order[start : start + PIECE_ROWS]
                yield devices[places], _rows_of([minutes[place] for place in places.tolist()])

    def all_rows(self) -> Chunk:
        """All devices and their rows at once. A million devices take 184 MB, so rather use `chunks` for many."""
        pieces = list(self.chunks())
        if not pieces:
            return np.zeros(0, np.uint32), np.zeros((0, WORDS_PER_DAY), np.uint64)
        return np.concatenate([devices for devices, _ in pieces]), np.concatenate([rows for _, rows in pieces])


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
        self._settling: dict[int, Iterator[Chunk]] = {}
        """What is left to settle of a day; see `settle_into`."""

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

    def mark(self, days: NDArray[np.int64], *, devices: NDArray[np.uint32], minutes_of_day: NDArray[np.int64]) -> None:
        """Mark minute `minutes_of_day[i]` (int64) of device `devices[i]` (uint32) on `days[i]` (int64), all shape (n,).

        One pass, since late data may be about thousands of days, with an event or two of each.
        """
        marked = {day: self._day(day) for day in set(days.tolist())}
        self._count -= sum(map(len, marked.values()))
        for day, device, minute in zip(days.tolist(), devices.tolist(), minutes_of_day.tolist(), strict=True):
            marked[day].mark(device, _BIT[minute])
        for sparse_day in marked.values():
            sparse_day.split_if_large()
        self._count += sum(map(len, marked.values()))

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

    def rows_of(self, device: int) -> dict[int, Rows]:
        """The presence of a device by day, each shape (23,), in one pass: there may be thousands of days."""
        numbers = {day: minutes for day, rows in self._days.items() if (minutes := rows.minutes_of(device)) is not None}
        return dict(zip(numbers, _rows_of(list(numbers.values())), strict=True))

    def of(self, day: int) -> SparseDay:
        """A day; an empty one where it has no presence."""
        return self._days.get(day) or SparseDay()

    def take(self, day: int) -> SparseDay:
        """Remove a day, and return it."""
        sparse_day = self._days.pop(day, None) or SparseDay()
        self._count -= len(sparse_day)
        return sparse_day

    def settle_into(self, dense: Mapping[int, HourColumns]) -> bool:
        """Mark some rows of days that are in `dense` there: days that were ahead when they came, and are open now.

        At midnight there may be a million, of devices whose clocks are ahead. Returns whether there are more. A day
        leaves when all of it is in `dense`, and stays whole, since somebody may be reading it.
        """
        for day in [day for day in dense if day in self._days]:
            left = self._settling.setdefault(day, self._days[day].chunks())
            chunk = next(left, None)
            if chunk is None:
                del self._settling[day]
                self.take(day)
            else:
                dense[day].mark_rows(*chunk)
            return True
        return False

    def adopt(self, day: int, taken: SparseDay) -> None:
        """Add a day taken from another SparsePresence; it is copied only where the day is here already."""
        if day in self._days:
            known = self._days[day]
            self._count -= len(known)
            known.join(taken)
            self._count += len(known)
        else:
            self._days[day] = taken
            self._count += len(taken)

    def shared(self) -> "SparsePresence":
        """The same days: what is marked in one of them from now on is in both, but not a new day."""
        same = SparsePresence()
        for day, sparse_day in self._days.items():
            same.adopt(day, sparse_day)
        return same
