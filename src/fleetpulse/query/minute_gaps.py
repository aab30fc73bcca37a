"""Gaps between beats of the time before the service stored them, derived from minutes of presence.

Stored gaps are exact, and are known of all that was sent since some moment. Before it a gap lasts from the end of a
minute present to the start of the next one. The two meet at a full minute, `exact_from_ns`: a gap that ends before it
is one of these, and one that ends at it or later is a stored one.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from fleetpulse.aggregate.minute_gaps import NEVER_MINUTE, minute_gaps
from fleetpulse.aggregate.policy_table import PolicyTable
from fleetpulse.aggregate.presence import Rows, minutes_from
from fleetpulse.blocks.history import OnDamage
from fleetpulse.errors import DamagedData
from fleetpulse.model.device_spans import DeviceSpans
from fleetpulse.model.manifest import Manifest
from fleetpulse.model.units import MINUTES_PER_DAY, NS_PER_DAY, NS_PER_MINUTE
from fleetpulse.query.view import FleetView

DAYS_OF_ONE = 40
"""So many days before and after a window are looked through for a minute present of a single device, at least."""
DAYS_OF_MANY, INTERVALS_OF_MANY, DAYS_OF_MANY_MOST = 2, 3, 100
"""The same of many devices: two days and three times the longest limit; and at most so many."""
NO_GAPS_NS = 2**62
"""The limit of a device of which no gaps are wanted."""


def exact_from_ns(manifest: Manifest) -> int:
    """The full minute from which on stored gaps between beats count, by their ends; 0: all do."""
    return -(-manifest.beats_exact_from_ns // NS_PER_MINUTE) * NS_PER_MINUTE


def first_day_of(manifest: Manifest, policies: PolicyTable, start_ns: int) -> int:
    """The day from which on a view needs presence, for questions from `start_ns` on."""
    exact_ns = max([exact_from_ns(manifest), *policies.exact_from_ns[policies.corrected].tolist()])
    return start_ns // NS_PER_DAY - (DAYS_OF_MANY_MOST if start_ns < exact_ns else 0)


def days_around(view: FleetView, limit_ns: NDArray[np.int64]) -> int:
    """How many days before and after a window are looked through. Args: limit_ns: int64, shape (n,)."""
    longest_ns = INTERVALS_OF_MANY * int(limit_ns[limit_ns < NO_GAPS_NS].max(initial=0))
    days = DAYS_OF_MANY + -(-longest_ns // NS_PER_DAY)
    return min(max(days, DAYS_OF_ONE if view.is_of_one else 0), DAYS_OF_MANY_MOST)


def minute_gaps_of(
    view: FleetView,
    start_ns: int,
    until_ns: int,
    limit_ns: NDArray[np.int64],
    *,
    exact_ns: int | None = None,
    on_damage: OnDamage | None = None,
) -> Iterator[DeviceSpans]:
    """The gaps of the devices of a view that touch (start_ns, until_ns), and end before `exact_ns`.

    A gap of which no beat is found that it begins or ends with, although some days before and after the window were
    looked through, begins or ends where the search ended. So does one at a day that cannot be read.
    The view must be one of `start_ns` or earlier.

    Args:
        limit_ns: int64, shape (n,), by place: only longer gaps are found; NO_GAPS_NS: none are wanted.
        exact_ns: a full minute; None: `exact_from_ns` of the manifest.
    Yields: gaps with the numbers of devices, by device and start, day by day of their ends; pieces may be empty.
    Raises: DamagedData: a day cannot be read, and there is no `on_damage`.
    """
    exact_ns = exact_from_ns(view.manifest) if exact_ns is None else exact_ns
    until_ns = min(until_ns, exact_ns)
    if start_ns < until_ns:
        walk = _Walk(view, start_ns, until_ns, exact_ns, limit_ns, on_damage)
        for gaps in walk.gaps():
            yield gaps.where(np.flatnonzero((gaps.end_ns > start_ns) & (gaps.start_ns < until_ns)))


@dataclass(slots=True)
class _Walk:
    """The days of presence that tell the gaps of a window, in order."""

    view: FleetView
    start_ns: int
    until_ns: int
    exact_ns: int
    limit_ns: NDArray[np.int64]
    on_damage: OnDamage | None
    last_minute: NDArray[np.int64] = field(init=False)
    """By place: the last minute present so far."""
    _around: int = field(init=False)
    _numbers: NDArray[np.uint32] = field(init=False)

    def __post_init__(self) -> None:
        devices = self.view.live.devices
        self._around = days_around(self.view, self.limit_ns)
        self._numbers = np.arange(devices.start, devices.stop, dtype=np.uint32)

    def gaps(self) -> Iterator[DeviceSpans]:
        """The gaps of these days."""
        first_day = self._begin()
        last_day = (self.until_ns - 1) // NS_PER_DAY
        exact_ns = self.exact_ns
        end_ns = min((last_day + self._around + 1) * NS_PER_DAY, exact_ns)
        for day in self.view.days_with_presence(range(first_day, -(-end_ns // NS_PER_DAY))):
            if day > last_day and not len(self._open()):
                return
            try:
                for places, rows in self.view.presence(day):
                    self.view.budget.check()
                    yield self._of_rows(
                        day, places, rows if (day + 1) * NS_PER_DAY <= exact_ns else _before(rows, exact_ns)
                    )
            except DamagedData as error:
                self._note(day, error)
                yield self._until(day * NS_PER_DAY, np.flatnonzero(self.last_minute != NEVER_MINUTE))
                # Nobody knows what the day held. No gap may be made of that, so it is as if all were present.
                self._be_present_until((day + 1) * MINUTES_PER_DAY)
        if end_ns < exact_ns:  # else the stored gaps have what goes on
            yield self._until(end_ns, self._open())

    def _begin(self) -> int:
        """Set the last minutes before the window; the day with which to begin."""
        view, start_day = self.view, self.start_ns // NS_PER_DAY
        first_day = start_day - self._around
        self.last_minute = np.full(view.count, NEVER_MINUTE, np.int64)
        self._be_present_until(first_day * MINUTES_PER_DAY)
        if not view.is_of_one:
            return first_day
        for day in reversed(view.days_with_presence(range(first_day, start_day))):
            view.budget.check()
            try:
                ((_, rows),) = view.presence(day)
            except DamagedData as error:
                self._note(day, error)
                self._be_present_until((day + 1) * MINUTES_PER_DAY)
                return start_day
            if rows.any():
                return day
        return start_day

    def _of_rows(self, day: int, places: NDArray[np.int64], rows: Rows) -> DeviceSpans:
        gaps, self.last_minute[places] = minute_gaps(
            rows, self._numbers[places], day, self.last_minute[places], self.limit_ns[places]
        )
        return gaps

    def _open(self) -> NDArray[np.int64]:
        """The places of devices that were there before the end of the window, and not since."""
        last = self.last_minute
        is_open = (last != NEVER_MINUTE) & ((last + 1) * NS_PER_MINUTE <= self.until_ns)
        return np.flatnonzero(is_open & (self.limit_ns < NO_GAPS_NS))

    def _until(self, end_ns: int, places: NDArray[np.int64]) -> DeviceSpans:
        """The gaps of devices that are not known to have ended before a time."""
        start_ns = (self.last_minute[places] + 1) * NS_PER_MINUTE
        is_long = end_ns - start_ns > self.limit_ns[places]
        return DeviceSpans(self._numbers[places[is_long]], start_ns[is_long], np.full(is_long.sum(), end_ns, np.int64))

    def _be_present_until(self, minute: int) -> None:
        """Let all devices that have been seen by then be there in the minute before this one, since 1970."""
        self.last_minute[self.view.live.first_sent_ns // NS_PER_MINUTE < minute] = minute - 1

    def _note(self, day: int, error: DamagedData) -> None:
        if self.on_damage is None:
            raise error
        self.on_damage(day, error)


def _before(rows: Rows, at_ns: int) -> Rows:
    """The rows of the day of a time without the minutes from it on."""
    return rows & ~minutes_from(at_ns // NS_PER_MINUTE % MINUTES_PER_DAY)
