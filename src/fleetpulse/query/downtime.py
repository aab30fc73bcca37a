"""Reception gaps of devices, and how long the devices were down; for one device and for a million by the same steps.

Time is measured by the clock of status, which stands still in blind time, in maintenance and while paused. Devices that
share their exclusions share their clock. Source: docs/explanation/uptime.md, "Availability".
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from fleetpulse.aggregate.class_spans import search_in_rows
from fleetpulse.aggregate.status import NEVER_NS, ReceptionGap
from fleetpulse.model.heartbeat_policy import late_after_ns
from fleetpulse.model.reception_gaps import ReceptionGapColumns, join_gaps
from fleetpulse.model.units import NS_PER_DAY, NS_PER_S
from fleetpulse.query.answers import Missing
from fleetpulse.query.exclusions import LOOK_BACK_NS
from fleetpulse.query.missing import note_expired_gaps, note_missing_day
from fleetpulse.query.view import FleetView

GAP_BYTES = 224
"""About what a gap of one device takes in memory while its status is followed."""
ROWS_JOINED = 65_536
"""Gaps that are joined into one piece, about, since each piece costs a pass."""


@dataclass(frozen=True, slots=True)
class Downtime:
    """Time of devices in a window, int64, shape (n,): with status down, and time that counts; or by its steps."""

    down_ns: NDArray[np.int64]
    accountable_ns: NDArray[np.int64]


def ended_gaps(
    view: FleetView, *, start_ns: int, missing: list[Missing] | None = None
) -> Iterator[ReceptionGapColumns]:
    """The reception gaps of the devices of a view that ended after `start_ns`, in pieces that are read one at a time.

    Args: missing: gets the days that cannot be read, and those that retention has deleted.
    Raises: DamagedData: a block cannot be read, and there is no `missing`.
    """
    on_damage = None if missing is None else partial(note_missing_day, missing)
    if missing is not None:
        note_expired_gaps(missing, view.manifest.expired, start_ns=start_ns)
    waiting: list[ReceptionGapColumns] = []
    for gaps in chain(
        view.closed_gaps(start_day=start_ns // NS_PER_DAY, end_day=2**31, on_damage=on_damage), _live_gaps(view)
    ):
        waiting.append(gaps.where(gaps.end_ns > start_ns))
        if sum(map(len, waiting)) >= ROWS_JOINED:
            yield join_gaps(waiting)
            waiting = []
    yield join_gaps(waiting)


def _live_gaps(view: FleetView) -> Iterator[ReceptionGapColumns]:
    devices = view.live.devices
    for gaps in view.live.gaps:
        view.budget.check()
        places = np.flatnonzero((gaps.devices >= devices.start) & (gaps.devices < devices.stop))
        if len(places):
            yield gaps.where(places)


def gaps_of_one(view: FleetView, ended: Iterable[ReceptionGapColumns]) -> list[ReceptionGap]:
    """The ended gaps of the one device of a view, ascending; then the time since its last reception, long or not."""
    gaps: list[ReceptionGap] = []
    for piece in ended:
        view.budget.check()
        view.budget.take(GAP_BYTES * len(piece), "the reception gaps of the device")
        gaps += [
            ReceptionGap(start_ns, end_ns, late_after_ns(interval_s, grace_s), (interval_s + grace_s) * NS_PER_S)
            for start_ns, end_ns, interval_s, grace_s in zip(
                piece.start_ns.tolist(),
                piece.end_ns.tolist(),
                piece.interval_s.tolist(),
                piece.grace_s.tolist(),
                strict=True,
            )
        ]
    last_ns, policy = int(view.live.last_received_ns[0]), view.live.policies[int(view.live.policy_codes[0])]
    going_on = ReceptionGap(last_ns, max(view.now_ns, last_ns) + 1, policy.late_after_ns, policy.down_after_ns)
    return [*sorted(gaps, key=lambda gap: gap.end_ns), going_on]


def look_back_ns(view: FleetView, *, start_ns: int) -> int:
    """From when on exclusions matter to the one device of a view.

    That is `start_ns`, or the start of a gap that began before it; but no more than LOOK_BACK_NS earlier.
    """
    since_ns = [int(view.live.last_received_ns[0])]
    if since_ns[0] > start_ns:  # so gaps may have ended since
        # Blocks that cannot be read are no matter here: questions that need them find and report them themselves.
        for gaps in ended_gaps(view, start_ns=start_ns, missing=[]):
            since_ns += gaps.start_ns[gaps.start_ns < start_ns].tolist()
    return min([start_ns, *(max(at_ns, start_ns - LOOK_BACK_NS) for at_ns in since_ns if at_ns != NEVER_NS)])


def downtime(view: FleetView, ended: Iterable[ReceptionGapColumns], *, start_ns: int, end_ns: int) -> Downtime:
    """Time down and accountable time of the devices of a view in [start_ns, end_ns).

    Args: ended: all their gaps that ended after `start_ns`, as `ended_gaps` gives them.
    """
    time = downtime_by_step(view, ended, edges_ns=[start_ns, end_ns])
    return Downtime(time.down_ns[:, 0], time.accountable_ns[:, 0])


def downtime_by_step(view: FleetView, ended: Iterable[ReceptionGapColumns], *, edges_ns: Sequence[int]) -> Downtime:
    """The same for several steps in one pass over the gaps: int64, shape (n, steps).

    Args:
        ended: all gaps that ended after the first edge.
        edges_ns: where each step begins, and where the last one ends.
    """
    clocks = _Clocks(view, edges_ns)
    last_received_ns, end_ns = view.live.last_received_ns, edges_ns[-1]
    first_received_ns = np.where(last_received_ns == NEVER_NS, np.iinfo(np.int64).max, 0)
    for gaps in ended:
        places = gaps.devices.astype(np.int64) - view.live.devices.start
        is_first = gaps.start_ns == NEVER_NS
        first_received_ns[places[is_first]] = gaps.end_ns[is_first]
        inside = np.flatnonzero(~is_first & (gaps.start_ns < end_ns))
        down_after_ns = (gaps.interval_s[inside].astype(np.int64) + gaps.grace_s[inside]) * NS_PER_S
        clocks.add_gaps(places[inside], gaps.start_ns[inside], gaps.end_ns[inside], down_after_ns)
    silent = np.flatnonzero((last_received_ns != NEVER_NS) & (last_received_ns < end_ns))
    down_after_ns = view.of_policies(lambda policy: policy.down_after_ns)[silent]
    clocks.add_gaps(silent, last_received_ns[silent], np.full(len(silent), view.now_ns), down_after_ns)
    return Downtime(clocks.down_ns(), clocks.since(first_received_ns))


class _Clocks:
    """The clocks of the devices of a view, by their exclusions, and the time down that was added so far."""

    def __init__(self, view: FleetView, edges_ns: Sequence[int]) -> None:
        steps = len(edges_ns) - 1
        self._view = view
        self._codes = view.excluded.classes.astype(np.int64)
        """The class of each device."""
        self._clocks = view.excluded.clocks()
        self._declared = view.excluded.declared_again_ns()
        self._edges_ns = np.array(edges_ns, np.int64)
        self._edges = self._clocks.at(np.arange(len(view.excluded.of_class))[:, None], self._edges_ns)
        """What the clock of each class shows at the edges of the steps, shape (classes, steps + 1)."""
        self._down_ns = np.zeros((view.count, steps), np.int64)
        self._whole = np.zeros((view.count, steps), np.int32)
        """How many steps begin less how many end here, of those that a gap covers whole: their sum up to a step is 1
        where the step is covered, since the gaps of a device do not overlap. A long gap costs no more than a short one.
        """

    def add_gaps(
        self,
        places: NDArray[np.int64],
        start_ns: NDArray[np.int64],
        end_ns: NDArray[np.int64],
        down_after_ns: NDArray[np.int64],
    ) -> None:
        """Add the time down inside the window of gaps; all of one shape (gaps,)."""
        self._view.budget.check()
        places, start_ns, end_ns, down_after_ns = self._divided(places, start_ns, end_ns, down_after_ns)
        codes = self._codes[places]
        begins = np.maximum(self._clocks.at(codes, start_ns) + down_after_ns, self._edges[codes, 0])
        ends = np.minimum(self._clocks.at(codes, end_ns), self._edges[codes, -1])
        if self._edges.shape[1] == 2:
            np.add.at(self._down_ns[:, 0], places, np.maximum(0, ends - begins))
        else:
            down = np.flatnonzero(ends > begins)
            self._add_by_step(places[down], codes[down], begins[down], ends[down])

    def _divided(self, *gaps: NDArray[np.int64]) -> Sequence[NDArray[np.int64]]:
        """The gaps, divided where the device was declared again: from then on it has its time anew."""
        edges, declared_ns = self._declared
        for number in range(int(np.diff(edges).max(initial=0))):
            places, start_ns, end_ns, down_after_ns = gaps
            codes = self._codes[places]
            has_more = edges[codes] + number < edges[codes + 1]
            at_ns = declared_ns[np.where(has_more, edges[codes] + number, 0)]
            later = np.flatnonzero(has_more & (start_ns != NEVER_NS) & (start_ns < at_ns) & (at_ns < end_ns))
            if len(later):
                first_ends_ns = end_ns.copy()
                first_ends_ns[later] = at_ns[later]
                gaps = (
                    np.concatenate([places, places[later]]),
                    np.concatenate([start_ns, at_ns[later]]),
                    np.concatenate([first_ends_ns, end_ns[later]]),
                    np.concatenate([down_after_ns, down_after_ns[later]]),
                )
        return gaps

    def _add_by_step(
        self, places: NDArray[np.int64], codes: NDArray[np.int64], begins: NDArray[np.int64], ends: NDArray[np.int64]
    ) -> None:
        """Add spans of time down inside the window, as the clocks of their classes show them."""
        first = self._step_of(codes, begins, is_right=True)
        last = self._step_of(codes, ends, is_right=False)
        np.add.at(self._down_ns, (places, first), np.minimum(ends, self._edges[codes, first + 1]) - begins)
        more = np.flatnonzero(last > first)
        places, codes, ends, first, last = places[more], codes[more], ends[more], first[more], last[more]
        np.add.at(self._down_ns, (places, last), ends - self._edges[codes, last])
        np.add.at(self._whole, (places, first + 1), 1)
        np.add.at(self._whole, (places, last), -1)

    def _step_of(self, codes: NDArray[np.int64], shown: NDArray[np.int64], *, is_right: bool) -> NDArray[np.int64]:
        """The step in which a clock shows a time."""
        classes, width = self._edges.shape
        rows = np.arange(classes + 1) * width
        places = search_in_rows(self._edges.reshape(-1), rows, codes, shown, is_right=is_right)
        steps: NDArray[np.int64] = places - rows[codes] - 1
        return steps

    def _lengths_ns(self) -> NDArray[np.int64]:
        """How long each step is by the clock of each device: shape (n, steps), or (1, steps) where all are alike."""
        lengths_ns: NDArray[np.int64] = np.diff(self._edges)
        if len(lengths_ns) > 1:
            lengths_ns = lengths_ns[self._codes]
        return lengths_ns

    def down_ns(self) -> NDArray[np.int64]:
        """The time down of each device in each step, shape (n, steps)."""
        self._down_ns += np.cumsum(self._whole, axis=1) * self._lengths_ns()
        return self._down_ns

    def since(self, first_ns: NDArray[np.int64]) -> NDArray[np.int64]:
        """The time that counts of each device in each step from `first_ns` on; shape (n, steps)."""
        counted_ns = np.zeros(self._down_ns.shape, np.int64)
        counted_ns += self._lengths_ns()
        counted_ns[first_ns >= self._edges_ns[-1]] = 0
        begun = np.flatnonzero((first_ns > self._edges_ns[0]) & (first_ns < self._edges_ns[-1]))
        codes = self._codes[begun]
        since_ns = np.clip(first_ns[begun, None], self._edges_ns[:-1], self._edges_ns[1:])
        counted_ns[begun] = self._edges[codes, 1:] - self._clocks.at(codes[:, None], since_ns)
        return counted_ns
