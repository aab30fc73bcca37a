"""What the settled uptime of devices is, and what it would be with the intervals that their beats suggest."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from fleetpulse.aggregate.distances import MS_PER_MINUTE, Distances
from fleetpulse.aggregate.interval_fit import IntervalFit
from fleetpulse.aggregate.policy_table import PolicyTable
from fleetpulse.model.device_spans import DeviceSpans
from fleetpulse.model.heartbeat_policy import HeartbeatPolicy
from fleetpulse.model.interval_fit import TOO_LONG, TOO_SHORT
from fleetpulse.model.policy_history import always
from fleetpulse.model.units import NS_PER_MS, NS_PER_S
from fleetpulse.query.answers import Missing
from fleetpulse.query.gap_time import GapClocks, TimeColumns
from fleetpulse.query.measured_time import settled_gaps, settled_time
from fleetpulse.query.view import FleetView
from fleetpulse.query.window import Window


@dataclass(frozen=True, slots=True)
class Uptimes:
    """Time of devices by place, or of groups by code: as declared, and with what is suggested.

    int64 ns, shape (n,); bool, shape (n,). `is_known` is False where gaps are missing.
    """

    declared: TimeColumns
    suggested: TimeColumns
    has_suggestion: NDArray[np.bool_]
    is_known: bool

    def declared_of(self, place: int) -> float | None:
        """The uptime in per cent; None where nothing counts, or it is not known."""
        return self._percent(self.declared, place)

    def suggested_of(self, place: int) -> float | None:
        """What it would have been; None also where nothing is suggested."""
        return self._percent(self.suggested, place) if self.has_suggestion[place] else None

    def _percent(self, time: TimeColumns, place: int) -> float | None:
        accountable_ns, down_ns = int(time.accountable_ns[place, 0]), int(time.down_ns[place, 0])
        if not self.is_known or not accountable_ns:
            return None
        return min(100.0, max(0.0, 100.0 * (accountable_ns - down_ns) / accountable_ns))

    def of_groups(self, codes: NDArray[np.int64], *, count: int) -> "Uptimes":
        """The time of the devices of each group together; one without a suggestion stays as it is declared.

        Args: codes: the group of each place, int64, shape (n,); below 0: none.
        """
        members = np.flatnonzero(codes >= 0)

        def sums(column: NDArray[np.int64]) -> NDArray[np.int64]:
            found = np.zeros((count, 1), np.int64)
            np.add.at(found, codes[members], column[members])
            return found

        declared, suggested = (
            TimeColumns(sums(time.down_ns), sums(time.accountable_ns)) for time in (self.declared, self.suggested)
        )
        has_suggestion = np.zeros(count, bool)
        has_suggestion[codes[members][self.has_suggestion[members]]] = True
        return Uptimes(declared, suggested, has_suggestion, self.is_known)


def uptimes_of(
    view: FleetView, window: Window, fit: IntervalFit, distances: Distances, missing: list[Missing]
) -> Uptimes:
    """The uptimes of all devices of a view over a window. Args: distances: by place; fit: what follows from them."""
    edges_ns = [window.start_ns, window.end_ns]
    clocks = GapClocks(view.excluded, view.live.policy_table, view.live.policy_codes)
    lost: list[Missing] = []
    ask = partial(settled_gaps, view, start_ns=window.start_ns, end_ns=window.end_ns, missing=lost)
    declared = settled_time(view, clocks, edges_ns, ask())
    suggested = TimeColumns(declared.down_ns.copy(), declared.accountable_ns.copy())
    unfit = np.flatnonzero(np.isin(fit.verdicts, (TOO_SHORT, TOO_LONG)))
    if len(unfit):
        table, codes = _suggested_policies(view, fit, unfit)
        gaps = _of_places(view, ask(), unfit)
        time = settled_time(view, GapClocks(view.excluded, table, codes), edges_ns, gaps)
        by_minutes_ns = _down_by_minutes_ns(distances, fit.suggested_s, table.late_ns[codes])[:, None]
        suggested.down_ns[unfit] = np.minimum(time.down_ns + by_minutes_ns, time.accountable_ns)[unfit]
        suggested.accountable_ns[unfit] = time.accountable_ns[unfit]
    missing += lost
    return Uptimes(declared, suggested, fit.suggested_s > 0, not lost)


def _suggested_policies(
    view: FleetView, fit: IntervalFit, unfit: NDArray[np.int64]
) -> tuple[PolicyTable, NDArray[np.int64]]:
    """The policies of devices, had they always had the suggested interval; and the code of each place."""
    grace_s, factors = (
        view.of_policies(lambda policy: policy.grace_s),
        view.of_policies(lambda policy: policy.factor_thousandths),
    )
    rows = np.stack([fit.suggested_s[unfit], grace_s[unfit], factors[unfit]], axis=1)
    different, places = np.unique(rows, axis=0, return_inverse=True)
    table = PolicyTable.of([always(HeartbeatPolicy(*row)) for row in different.tolist()])
    codes = np.zeros(view.count, np.int64)
    codes[unfit] = places.reshape(-1)
    return table, codes


def _of_places(view: FleetView, pieces: Iterator[DeviceSpans], wanted: NDArray[np.int64]) -> Iterator[DeviceSpans]:
    is_wanted = np.zeros(view.count, bool)
    is_wanted[wanted] = True
    for piece in pieces:
        yield piece.where(np.flatnonzero(is_wanted[piece.devices.astype(np.int64) - view.live.devices.start]))


def _down_by_minutes_ns(
    distances: Distances, interval_s: NDArray[np.int64], late_ns: NDArray[np.int64]
) -> NDArray[np.int64]:
    """The time down in stretches that are no gaps as declared, and would be: int64, by place.

    They are known by minutes only, and last at least from the end of one minute to the beginning of the other.
    """
    lengths_ns = (distances.ms - MS_PER_MINUTE) * NS_PER_MS
    codes = distances.codes
    is_gap = ~distances.is_exact & (lengths_ns > late_ns[codes])
    down_ns = np.where(is_gap, distances.counts * (lengths_ns - interval_s[codes] * NS_PER_S), 0)
    sums = np.zeros(len(interval_s), np.int64)
    np.add.at(sums, codes, down_ns)
    return sums
