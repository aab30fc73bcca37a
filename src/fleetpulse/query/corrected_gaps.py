"""Gaps of a time for which somebody declared a shorter policy afterwards: they were not kept, so minutes tell them.

Of such a time the gaps are stored that the policy of then made gaps, and all others are derived from the minutes in
which a device was there. A gap of minutes lies inside the true one, so where it overlaps a stored gap, it is that one.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from fleetpulse.blocks.history import OnDamage
from fleetpulse.model.device_spans import DeviceSpans, join_device_spans, sort_device_spans
from fleetpulse.model.units import NS_PER_MINUTE
from fleetpulse.query.minute_gaps import NO_GAPS_NS, exact_from_ns, minute_gaps_of
from fleetpulse.query.view import FleetView


@dataclass(frozen=True, slots=True)
class Corrected:
    """The time in which gaps of devices are known by minutes alone: all shape (n,).

    `places`: those of the devices, ascending; a device may be there several times. `limit_ns`: longer ones are gaps.
    """

    places: NDArray[np.int64]
    start_ns: NDArray[np.int64]
    end_ns: NDArray[np.int64]
    limit_ns: NDArray[np.int64]


NOTHING_CORRECTED = Corrected(*(np.zeros(0, np.int64) for _ in range(4)))


def corrected_time(view: FleetView, *, start_ns: int, end_ns: int) -> Corrected:
    """The corrected time of the devices of a view, where any of it is in [start_ns, end_ns)."""
    table = view.live.policy_table
    pieces = table.corrected
    if not len(pieces):
        return NOTHING_CORRECTED
    histories = np.searchsorted(table.edges, pieces, side="right") - 1
    codes = view.live.policy_codes
    devices = np.flatnonzero(np.isin(codes, histories))
    first, last = (np.searchsorted(histories, codes[devices], side=side) for side in ("left", "right"))
    counts = last - first
    rows = np.repeat(np.arange(len(devices)), counts)
    numbers = np.arange(len(rows)) - np.repeat(np.cumsum(counts) - counts, counts)
    of_rows = pieces[first[rows] + numbers]
    # Before gaps between beats were stored, all gaps are known by minutes, whatever was declared.
    start = np.maximum(table.from_ns[of_rows], exact_from_ns(view.manifest))
    end = np.minimum(table.exact_from_ns[of_rows], table.until_ns[of_rows])
    inside = np.flatnonzero((start < end) & (start < end_ns) & (start_ns < end))
    return Corrected(devices[rows[inside]], start[inside], end[inside], table.kept_ns[of_rows[inside]])


@dataclass(slots=True)
class CorrectedGaps:
    """Adds to the stored gaps of a question, which it sees one after the other, those that minutes tell."""

    view: FleetView
    start_ns: int
    end_ns: int
    on_damage: OnDamage | None = None
    _time: Corrected = field(init=False)
    _seen: list[DeviceSpans] = field(default_factory=list, init=False)

    def __post_init__(self) -> None:
        self._time = corrected_time(self.view, start_ns=self.start_ns, end_ns=self.end_ns)

    @property
    def exact_from_ns(self) -> int:
        """From when on all gaps are stored ones; 0: all of the window are."""
        return int(self._time.end_ns.max(initial=0))

    def see(self, stored: DeviceSpans) -> None:
        """Take note of stored gaps."""
        if len(self._time.places):
            numbers = np.unique(self._time.places + self.view.live.devices.start)
            self._seen.append(stored.where(np.flatnonzero(np.isin(stored.devices, numbers))))

    def found(self) -> Iterator[DeviceSpans]:
        """The gaps that minutes tell, in pieces. Raises: DamagedData: a day cannot be read, without `on_damage`."""
        time, view = self._time, self.view
        if not len(time.places):
            return
        limit_ns = np.full(view.count, NO_GAPS_NS)
        np.minimum.at(limit_ns, time.places, time.limit_ns)
        exact_ns = -(-int(time.end_ns.max()) // NS_PER_MINUTE) * NS_PER_MINUTE
        seen = sort_device_spans(join_device_spans(self._seen))
        window_ns = max(self.start_ns, int(time.start_ns.min())), self.end_ns
        for gaps in minute_gaps_of(view, *window_ns, limit_ns, exact_ns=exact_ns, on_damage=self.on_damage):
            unknown = gaps.where(np.flatnonzero(~_is_in_any(gaps, seen)))
            yield unknown.where(np.flatnonzero(self._is_gap(unknown)))

    def _is_gap(self, gaps: DeviceSpans) -> NDArray[np.bool_]:
        """Which are longer than the limit of corrected time that they touch."""
        time, places = self._time, gaps.devices.astype(np.int64) - self.view.live.devices.start
        first, last = (np.searchsorted(time.places, places, side=side) for side in ("left", "right"))
        is_gap = np.zeros(len(gaps), bool)
        for number in range(int((last - first).max(initial=0))):
            row = np.minimum(first + number, len(time.places) - 1)
            is_touched = (gaps.start_ns < time.end_ns[row]) & (time.start_ns[row] < gaps.end_ns)
            until_ns = np.minimum(gaps.end_ns, time.end_ns[row])
            is_long = until_ns - gaps.start_ns > time.limit_ns[row]
            is_gap |= (first + number < last) & is_touched & is_long
        return is_gap


def _is_in_any(gaps: DeviceSpans, stored: DeviceSpans) -> NDArray[np.bool_]:
    """Which gaps overlap a stored one of their device. Args: stored: by device and start, without overlaps."""
    if not len(stored):
        return np.zeros(len(gaps), bool)
    # The last stored gap that begins before the end of each: the only one that it can overlap.
    order = np.lexsort(
        (
            np.concatenate([np.ones(len(stored), np.int8), np.zeros(len(gaps), np.int8)]),
            np.concatenate([stored.start_ns, gaps.end_ns]),
            np.concatenate([stored.devices, gaps.devices]),
        )
    )
    is_stored = order < len(stored)
    last = np.empty(len(gaps), np.int64)
    last[order[~is_stored] - len(stored)] = (np.cumsum(is_stored) - 1)[~is_stored]
    place = np.maximum(last, 0)
    is_inside: NDArray[np.bool_] = (last >= 0) & (stored.devices[place] == gaps.devices)
    is_inside &= stored.end_ns[place] > gaps.start_ns
    return is_inside
