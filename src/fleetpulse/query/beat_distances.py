"""The distances between neighbouring beats of devices, in a window, from what is stored of beats.

Single beats are not stored. What is known are the minutes with a beat, so distances of whole minutes, and of every
stretch that may be a gap by the declared interval its exact length, which takes the place of its whole minutes.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from fleetpulse.aggregate.distances import (
    DISTANCE_HIGHEST_MS,
    MS_PER_MINUTE,
    NEVER,
    Distances,
    day_distances,
    exact_distances,
    join_distances,
)
from fleetpulse.aggregate.presence import Rows, minutes_from
from fleetpulse.errors import DamagedData
from fleetpulse.model.units import MINUTES_PER_DAY, NS_PER_DAY, NS_PER_MINUTE, NS_PER_MS
from fleetpulse.query.answers import Missing
from fleetpulse.query.beat_gaps import exact_beat_gaps, minutes_until_ns
from fleetpulse.query.minute_gaps import exact_from_ns
from fleetpulse.query.missing import note_missing_day
from fleetpulse.query.view import FleetView
from fleetpulse.query.window import Window

ROWS_AT_ONCE = 2_048
"""Rows of presence that are looked at between two looks whether the question is to be stopped."""
DEVICE_BYTES = 128
"""About what a device takes in memory: as a rule two distances, twice while they are joined."""


@dataclass(frozen=True, slots=True)
class GapDistances:
    """The lengths of gaps between beats: int64, shape (gaps,), as all of it.

    `days`: of their ends, since 1970-01-01. `places`: of their devices. `minutes`: how far the minutes are apart in
    which they begin and end.
    """

    days: NDArray[np.int64]
    places: NDArray[np.int64]
    lengths_ns: NDArray[np.int64]
    minutes: NDArray[np.int64]

    @property
    def exact(self) -> Distances:
        """The lengths, by place."""
        return exact_distances(self.places, self.lengths_ns)

    @property
    def known_by_minutes(self) -> Distances:
        """The distances between minutes with a beat that the lengths take the place of, by place."""
        apart = np.flatnonzero(self.minutes)
        return Distances.each_once(self.places[apart], self.minutes[apart] * MS_PER_MINUTE)

    def of_day(self, day: int) -> "GapDistances":
        """Those of one day."""
        chosen = np.flatnonzero(self.days == day)
        return GapDistances(self.days[chosen], self.places[chosen], self.lengths_ns[chosen], self.minutes[chosen])


def gap_distances(
    view: FleetView, window: Window, selection: NDArray[np.bool_], missing: list[Missing]
) -> Iterator[GapDistances]:
    """The gaps between beats of which both are in the minutes of a window that `minute_distances` looks at.

    Args: selection: of which devices, bool, shape (n,). missing: gets the days that cannot be read.
    """
    first, end = (-(-at_ns // NS_PER_MINUTE) for at_ns in (window.start_ns, window.end_ns))
    exact_ns = exact_from_ns(view.manifest)
    for gaps in exact_beat_gaps(view, window.start_ns, partial(note_missing_day, missing)):
        places = gaps.devices.astype(np.int64) - view.live.devices.start
        begins, ends = gaps.start_ns // NS_PER_MINUTE, gaps.end_ns // NS_PER_MINUTE
        chosen = np.flatnonzero((begins >= first) & (ends < end) & (gaps.end_ns >= exact_ns) & selection[places])
        lengths_ns = (gaps.end_ns - gaps.start_ns)[chosen]
        yield GapDistances(ends[chosen] // MINUTES_PER_DAY, places[chosen], lengths_ns, ends[chosen] - begins[chosen])


def longest_ungapped_ms(view: FleetView, window: Window) -> NDArray[np.int64]:
    """How far beats of a window may be apart without a gap, by place: int64, shape (n,).

    DISTANCE_HIGHEST_MS where that is not known, since another policy was in force, or gaps were not stored yet.
    """
    table, codes = view.live.policy_table, view.live.policy_codes.astype(np.int64)
    if minutes_until_ns(view, start_ns=window.start_ns, end_ns=window.end_ns) is not None:
        return np.full(view.count, DISTANCE_HIGHEST_MS, np.int64)
    latest = table.edges[codes + 1] - 1
    is_unchanged = table.from_ns[latest] <= window.start_ns
    return np.where(is_unchanged, table.kept_ns[latest] // NS_PER_MS, DISTANCE_HIGHEST_MS)


def minute_distances(
    view: FleetView, window: Window, selection: NDArray[np.bool_], missing: list[Missing]
) -> Iterator[tuple[int, Distances]]:
    """Distances by place of the device, for each UTC day in which the second of two beats was, and both in the window.

    Args: selection: of which devices, bool, shape (n,). missing: gets the days that cannot be read.
    Raises: QuestionStopped; TooDear; Busy: see `Budget`.
    """
    last_minutes = np.full(view.count, NEVER, np.int64)
    days = range(window.start_ns // NS_PER_DAY, -(-window.end_ns // NS_PER_DAY))
    for day in view.days_with_presence(days):
        inside = _minutes_inside(window, day)
        look = partial(_of_day, view, day, inside, selection, last_minutes)
        before = last_minutes.copy()
        try:
            yield day, look(is_closed_read=True)
        except DamagedData as error:
            note_missing_day(missing, day, error)
            last_minutes[:] = before
            yield day, look(is_closed_read=False)


def _of_day(
    view: FleetView,
    day: int,
    inside: Rows | None,
    selection: NDArray[np.bool_],
    last_minutes: NDArray[np.int64],
    *,
    is_closed_read: bool,
) -> Distances:
    pieces: list[Distances] = []
    for all_places, all_rows in view.presence(day, is_closed_read=is_closed_read):
        for start in range(0, len(all_places), ROWS_AT_ONCE):
            view.budget.check()
            places, rows = all_places[start : start + ROWS_AT_ONCE], all_rows[start : start + ROWS_AT_ONCE]
            chosen = np.flatnonzero(selection[places])
            if len(chosen):
                rows = rows[chosen] if inside is None else rows[chosen] & inside
                pieces.append(
                    day_distances(rows, places[chosen], day_minute=day * MINUTES_PER_DAY, last_minutes=last_minutes)
                )
    return join_distances(pieces)


def _minutes_inside(window: Window, day: int) -> Rows | None:
    """The minutes of a day that lie in a window, shape (23,); None: all of them."""
    first, end = (
        -(-window.start_ns // NS_PER_MINUTE) - day * MINUTES_PER_DAY,
        -(-window.end_ns // NS_PER_MINUTE) - day * MINUTES_PER_DAY,
    )
    if first <= 0 and end >= MINUTES_PER_DAY:
        return None
    return minutes_from(max(0, first)) & ~minutes_from(min(MINUTES_PER_DAY, end))
