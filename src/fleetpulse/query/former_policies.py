"""Heartbeat policies of the time before the catalog recorded when they change.

A device that changed its policy then has the last one since ever, as far as the catalog knows. Each reception gap of
that time was stored with the policy in force when it ended, though, and is judged by it:

    gaps stored    ──[60 s]────[60 s]──────────[5 m]───────        catalog: 5 m since ever
    in force       5 m │ 60 s         │ 5 m
"""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from fleetpulse.aggregate.policy_table import END_OF_TIME_NS, PolicyTable
from fleetpulse.errors import DamagedData
from fleetpulse.model.policy_history import SINCE_EVER_NS
from fleetpulse.model.reception_gaps import ReceptionGapColumns
from fleetpulse.model.units import NS_PER_DAY, NS_PER_S
from fleetpulse.query.view import FleetView

CHANGE_BYTES = 256
"""About what a change takes in memory."""
_GRACE_BITS = 32


def with_former_policies(view: FleetView, *, start_ns: int) -> FleetView:
    """The view, with what stored gaps tell of the policies of before they were recorded, for questions from `start_ns`.

    Where nothing was stored by such a version, or everything was stored by it under the present policies, it is the
    same. Days that cannot be read tell nothing; questions that need them find and report them themselves.
    """
    recorded_ns = view.manifest.beats_exact_from_ns
    if start_ns >= recorded_ns:
        return view
    former = _Former(view, recorded_ns)
    days = start_ns // NS_PER_DAY, recorded_ns // NS_PER_DAY + 1
    for gaps in view.closed_gaps(start_day=days[0], end_day=days[1], is_ordered=True, on_damage=_tells_nothing):
        former.add(gaps)
    return former.view()


def _tells_nothing(_day: int, _error: DamagedData) -> None:
    pass


class _Former:
    """The policies in force of the devices of a view, changed by the gaps that are added."""

    def __init__(self, view: FleetView, recorded_ns: int) -> None:
        self._view = view
        self._table, self._codes = view.live.policy_table, view.live.policy_codes.astype(np.int64)
        self._first = self._table.edges[self._codes]
        # What somebody has declared for the past since then, goes before what was stored.
        self._known_ns = np.minimum(self._table.until_ns[self._first], recorded_ns)
        interval_ns, down_ns = self._table.interval_ns[self._first], self._table.down_ns[self._first]
        self._own_keys = _keys(interval_ns // NS_PER_S, (down_ns - interval_ns) // NS_PER_S)
        self._keys, self._until_ns = self._own_keys.copy(), np.zeros(view.count, np.int64)
        self._changes: list[tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]] = []

    def add(self, gaps: ReceptionGapColumns) -> None:
        """Note from when on which policy was in force. Args: gaps: by device and start, and after those before."""
        devices = self._view.live.devices
        gaps = gaps.where(np.flatnonzero((gaps.devices >= devices.start) & (gaps.devices < devices.stop)))
        places = gaps.devices.astype(np.int64) - devices.start
        gaps = gaps.where(known := np.flatnonzero(gaps.end_ns <= self._known_ns[places]))
        places = places[known]
        if not len(places):
            return
        keys = _keys(gaps.interval_s, gaps.grace_s)
        before = np.append(0, keys[:-1])
        is_first = np.append(True, places[1:] != places[:-1])
        before[is_first] = self._keys[places[is_first]]
        rows = np.flatnonzero(keys != before)
        if len(rows):
            self._view.budget.take(CHANGE_BYTES * len(rows), "the policies that gaps were stored with")
            self._changes.append((places[rows], gaps.start_ns[rows], keys[rows]))
        last = np.flatnonzero(np.append(is_first[1:], True))
        self._keys[places[last]], self._until_ns[places[last]] = keys[last], gaps.end_ns[last]

    def view(self) -> FleetView:
        """The view, with histories of their own for devices that had other policies."""
        if not self._changes:
            return self._view
        live = self._view.live
        places, from_ns, keys = (np.concatenate(columns) for columns in zip(*self._changes, strict=True))
        chosen = np.unique(places)
        goes_on = self._until_ns[chosen] < self._table.until_ns[self._first[chosen]]
        ended = chosen[goes_on & (self._keys[chosen] != self._own_keys[chosen])]
        places = np.concatenate([places, ended])
        table = self._changed(
            chosen,
            np.searchsorted(chosen, places),
            np.concatenate([from_ns, self._until_ns[ended]]),
            np.concatenate([keys, self._own_keys[ended]]),
        )
        codes = live.policy_codes.copy()
        codes[chosen] = np.arange(len(chosen), dtype=np.uint32) + np.uint32(len(live.policies))
        policies = [*live.policies, *(live.policies[code] for code in self._codes[chosen].tolist())]
        table = live.policy_table.followed_by(table)
        return replace(self._view, live=replace(live, policy_codes=codes, policies=policies, policy_table=table))

    def _changed(
        self, chosen: NDArray[np.int64], numbers: NDArray[np.int64], from_ns: NDArray[np.int64], keys: NDArray[np.int64]
    ) -> PolicyTable:
        """The histories of chosen places, with changes. Args: numbers: which of them each change is of."""
        own = self._table.of_histories(self._codes[chosen])
        interval_ns = (keys >> _GRACE_BITS) * NS_PER_S
        down_ns = interval_ns + (keys & (2**_GRACE_BITS - 1)) * NS_PER_S
        first = self._first[chosen][numbers]
        factor = self._table.late_ns[first] * 1_000 // self._table.interval_ns[first]
        columns = {
            "from_ns": from_ns,
            "exact_from_ns": np.full(len(keys), SINCE_EVER_NS),
            "interval_ns": interval_ns,
            "late_ns": interval_ns // 1_000 * factor,
            "down_ns": down_ns,
        }
        histories = np.concatenate([np.repeat(np.arange(len(chosen)), np.diff(own.edges)), numbers])
        order = np.lexsort([np.concatenate([own.from_ns, from_ns]), histories])
        edges = np.searchsorted(histories[order], np.arange(len(chosen) + 1))
        sorted_columns = {name: np.concatenate([getattr(own, name), added])[order] for name, added in columns.items()}
        until_ns = np.append(sorted_columns["from_ns"][1:], END_OF_TIME_NS)
        until_ns[edges[1:] - 1] = END_OF_TIME_NS
        return PolicyTable(edges, until_ns=until_ns, **sorted_columns)


def _keys(interval_s: NDArray[np.integer], grace_s: NDArray[np.integer]) -> NDArray[np.int64]:
    """Interval and grace as one number: int64, the shape of both."""
    return interval_s.astype(np.int64) << _GRACE_BITS | grace_s.astype(np.int64)
