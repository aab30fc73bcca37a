"""The status of devices at any moment, computed from when something was received from them.

Nothing is stored, so no status can stay on by mistake. The time since the last reception is measured by a clock that
stands still in blind time, in maintenance and while paused:

    nothing was ever received                        new
    below late_after                                 up
    past late_after by a plain clock, but not yet    unknown    the service was blind, or maintenance has just ended,
      by the one that stands still                              and nothing was received since
    from late_after on                               late
    from down_after on                               down

Each moment is judged by the policy in force then, so a change of policy may end a status, or begin one.

What people declared overrides this: a pause first, then maintenance. While the service itself was blind it is unknown,
and so it is while the device was deleted; when it is declared again, time is measured from then on.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from fleetpulse.aggregate.policy_table import PolicyTable
from fleetpulse.aggregate.runs import first_of_runs
from fleetpulse.aggregate.spans import NO_SPANS, Spans, after_uncovered, clip, union
from fleetpulse.model.status import DOWN, LATE, MAINTENANCE, NEW, PAUSED, UNKNOWN, UP

NEVER_NS = 0


@dataclass(frozen=True, slots=True)
class Exclusions:
    """Time that does not count as downtime."""

    blind: Spans = field(default_factory=lambda: NO_SPANS)
    maintenance: Spans = field(default_factory=lambda: NO_SPANS)
    paused: Spans = field(default_factory=lambda: NO_SPANS)
    deleted: Spans = field(default_factory=lambda: NO_SPANS)
    """Each ends when the device was declared again; from then on it has until its first heartbeat is due."""

    @property
    def all(self) -> Spans:
        """The time that any of them covers."""
        return union(self.blind, self.maintenance, self.paused, self.deleted)


@dataclass(frozen=True, slots=True)
class StatusInterval:
    """A status that was in force for all of [start_ns, end_ns); `status` is a code of STATUSES."""

    start_ns: int
    end_ns: int
    status: int


@dataclass(frozen=True, slots=True)
class ReceptionGap:
    """Nothing was received in (start_ns, end_ns); a start of NEVER_NS: nor ever before."""

    start_ns: int
    end_ns: int
    policies: PolicyTable = field(compare=False, repr=False)
    """Of the one history of the device: the same for all of its gaps."""
    is_long: bool = True
    """Whether it is longer than a missed heartbeat, as every gap is that is stored."""
    is_declared: bool = False
    """Whether it begins when the device was declared again, and not when something was received."""
    is_last: bool = True
    """Whether something was received at its end; of a gap that was divided, this holds for the last part."""


def reception_gaps(start_ns: NDArray[np.int64], end_ns: NDArray[np.int64], policies: PolicyTable) -> list[ReceptionGap]:
    """Gaps of a device, in the order of their columns: int64 ns, shape (gaps,). `policies`: of its one history."""
    is_long = policies.is_kept(np.zeros(len(start_ns), np.int64), start_ns, end_ns)
    columns = start_ns.tolist(), end_ns.tolist(), is_long.tolist()
    return [ReceptionGap(start, end, policies, kept) for start, end, kept in zip(*columns, strict=True)]


def status_codes(
    last_ns: NDArray[np.int64],
    up_since_ns: NDArray[np.int64],
    codes: NDArray[np.int64],
    *,
    policies: PolicyTable,
    excluded: Exclusions,
    now_ns: int,
) -> tuple[NDArray[np.int8], NDArray[np.int64]]:
    """The status now of devices that share their exclusions.

    Args:
        last_ns: when anything was last received from each device, or NEVER_NS; shape (devices,), as of the others.
        up_since_ns: when its last reception gap ended.
        codes: its history in `policies`.
        excluded: what is excluded for all of them.
    Returns: codes of STATUSES, int8, and since when each is in force in ns (0: since ever), int64; shape (devices,).
    """
    unheard = _Unheard(last_ns, up_since_ns, policies, excluded, now_ns)
    pieces = policies.in_force(codes, np.full(len(codes), now_ns))
    found, since_ns = unheard.at(slice(None), np.full(len(codes), now_ns), pieces)
    # Where it has been so since the policy came into force, it was perhaps so by the former one, too.
    open_places = np.flatnonzero((since_ns <= policies.from_ns[pieces]) & (unheard.base_ns < policies.from_ns[pieces]))
    pieces = pieces[open_places]
    while len(open_places):
        edge_ns = policies.from_ns[pieces]
        before, before_ns = unheard.at(open_places, edge_ns - 1, pieces - 1)
        is_same = before == found[open_places]
        since_ns[open_places] = np.where(is_same, before_ns, edge_ns)
        edge_ns = policies.from_ns[pieces - 1]
        goes_on = is_same & (before_ns <= edge_ns) & (unheard.base_ns[open_places] < edge_ns)
        open_places, pieces = open_places[goes_on], pieces[goes_on] - 1
    found[last_ns == NEVER_NS] = NEW
    since_ns[last_ns == NEVER_NS] = 0
    for deleted_ns, declared_again_ns in excluded.deleted.tolist():
        if deleted_ns <= now_ns < declared_again_ns:
            found[last_ns != NEVER_NS] = UNKNOWN
            since_ns[last_ns != NEVER_NS] = deleted_ns
    for code, declared in ((MAINTENANCE, excluded.maintenance), (PAUSED, excluded.paused)):
        in_force = declared[(declared[:, 0] <= now_ns) & (now_ns < declared[:, 1])]
        if len(in_force):
            found[:] = code
            since_ns[:] = in_force[0, 0]
    return found, since_ns


class _Unheard:
    """What devices are by the time since their last reception, at any moment after it, by a policy."""

    def __init__(
        self,
        last_ns: NDArray[np.int64],
        up_since_ns: NDArray[np.int64],
        policies: PolicyTable,
        excluded: Exclusions,
        now_ns: int,
    ) -> None:
        self._last_ns, self._up_since_ns, self._policies, self._spans = last_ns, up_since_ns, policies, excluded.all
        self._declared_ns = max(
            [end_ns for end_ns in excluded.deleted[:, 1].tolist() if end_ns <= now_ns], default=NEVER_NS
        )
        self.base_ns = np.maximum(last_ns, self._declared_ns)
        """From when on the time is measured."""

    def at(
        self, places: NDArray[np.int64] | slice, at_ns: NDArray[np.int64], pieces: NDArray[np.int64]
    ) -> tuple[NDArray[np.int8], NDArray[np.int64]]:
        """Status and since when, at times, by policies: int8 and int64, shape (places,)."""
        last_ns, base_ns, up_since_ns = self._last_ns[places], self.base_ns[places], self._up_since_ns[places]
        down_after_ns = self._policies.down_ns[pieces]
        late_after_ns = np.minimum(self._policies.late_ns[pieces], down_after_ns)
        late_ns = after_uncovered(self._spans, base_ns, late_after_ns)
        down_ns = after_uncovered(self._spans, base_ns, down_after_ns)
        # Of a device that was declared again nothing is known until it is heard, or is late.
        unknown_ns = np.where(last_ns < self._declared_ns, self._declared_ns, last_ns + late_after_ns)
        conditions = [at_ns >= down_ns, at_ns >= late_ns, at_ns >= unknown_ns]
        codes = np.select(conditions, [DOWN, LATE, UNKNOWN], UP).astype(np.int8)
        return codes, np.choose(codes, [last_ns, up_since_ns, late_ns, down_ns, last_ns, last_ns, unknown_ns])


def timeline(gaps: Sequence[ReceptionGap], excluded: Exclusions, *, start_ns: int, end_ns: int) -> list[StatusInterval]:
    """The status of one device over all of [start_ns, end_ns), as intervals in order; neighbours differ.

    Args: gaps: ascending, without overlaps; between two of them the device was up. A gap that still goes on is among
    them, with an end at `end_ns` or later.
    """
    parts = [part for gap in gaps for part in divide_gap(gap, excluded.deleted)]
    observed = _intervals(*_changes(parts, excluded.all), start_ns=start_ns, end_ns=end_ns)
    unwatched = union(excluded.blind, excluded.deleted)
    for code, declared in ((UNKNOWN, unwatched), (MAINTENANCE, excluded.maintenance), (PAUSED, excluded.paused)):
        observed = _overlay(observed, clip(declared, start_ns=start_ns, end_ns=end_ns), code)
    return observed


def divide_gap(gap: ReceptionGap, deleted: Spans) -> Iterable[ReceptionGap]:
    """The parts of a gap: a device that is declared again has as much time as one that was just heard."""
    if not len(deleted) or gap.start_ns == NEVER_NS:
        return [gap]
    declared = [end_ns for end_ns in deleted[:, 1].tolist() if gap.start_ns < end_ns < gap.end_ns]
    edges = [gap.start_ns, *declared, gap.end_ns]
    return [
        replace(gap, start_ns=start_ns, end_ns=end_ns, is_declared=place > 0, is_last=end_ns == gap.end_ns)
        for place, (start_ns, end_ns) in enumerate(pairwise(edges))
    ]


_AFTER = np.array([UP, UNKNOWN, LATE, DOWN, UP], np.int8)
"""What a device becomes where a policy comes into force in a gap, then one after another, and at the end of the gap."""


def _changes(parts: Sequence[ReceptionGap], spans: Spans) -> tuple[NDArray[np.int64], NDArray[np.int8]]:
    """When the status changes by what was received, and to which: ascending, the first long before any gap."""
    if not parts:
        return np.array([NEVER_NS - 1]), np.array([UP], np.int8)
    policies = parts[0].policies
    starts_ns, ends_ns = np.array([(part.start_ns, part.end_ns) for part in parts], np.int64).T
    is_declared, is_last = np.array([(part.is_declared, part.is_last) for part in parts], bool).T
    # A row for each gap and each policy that is in force in some part of it.
    rows, pieces = policies.touching(np.zeros(len(parts), np.int64), starts_ns, ends_ns)
    base_ns, down_after_ns = starts_ns[rows], policies.down_ns[pieces]
    late_after_ns = np.minimum(policies.late_ns[pieces], down_after_ns)
    from_ns = np.maximum(policies.from_ns[pieces], base_ns)
    until_ns = np.minimum(policies.until_ns[pieces], ends_ns[rows])
    late_ns, down_ns = (after_uncovered(spans, base_ns, after_ns) for after_ns in (late_after_ns, down_after_ns))
    unknown_ns = base_ns + np.where(is_declared[rows], 0, late_after_ns)
    at_ns = np.maximum(np.stack([from_ns, unknown_ns, late_ns, down_ns, ends_ns[rows]], axis=1), from_ns[:, None])
    codes = np.broadcast_to(_AFTER, at_ns.shape).copy()
    is_change = at_ns < until_ns[:, None]
    is_change[:, 0] &= from_ns > base_ns
    is_change[:, 4] = is_last[rows] & np.append(rows[1:] != rows[:-1], True)
    is_new = base_ns == NEVER_NS
    is_first = np.append(True, rows[1:] != rows[:-1])
    at_ns[is_new, 0], codes[is_new, 0] = NEVER_NS, NEW
    is_change[is_new, :4] = False
    is_change[is_new & is_first, 0] = True
    at_ns, codes = np.append(NEVER_NS - 1, at_ns[is_change]), np.append(np.int8(UP), codes[is_change])
    order = np.argsort(at_ns, kind="stable")
    return at_ns[order], codes[order]


def _intervals(
    at_ns: NDArray[np.int64], codes: NDArray[np.int8], *, start_ns: int, end_ns: int
) -> list[StatusInterval]:
    """The status between changes; of changes at one time the last one counts."""
    starts_ns = np.clip(at_ns, start_ns, end_ns)
    is_kept = starts_ns < np.append(starts_ns[1:], end_ns)
    starts_ns, codes = starts_ns[is_kept], codes[is_kept]
    is_first = first_of_runs(codes)
    starts = starts_ns[is_first].tolist()
    return [
        StatusInterval(first_ns, last_ns, code)
        for first_ns, last_ns, code in zip(starts, [*starts[1:], end_ns], codes[is_first].tolist(), strict=True)
    ]


def _append(found: list[StatusInterval], start_ns: int, end_ns: int, code: int) -> None:
    if start_ns < end_ns:
        if found and found[-1].status == code and found[-1].end_ns == start_ns:
            start_ns = found.pop().start_ns
        found.append(StatusInterval(start_ns, end_ns, code))


def _overlay(intervals: Sequence[StatusInterval], over: Spans, code: int) -> list[StatusInterval]:
    """The intervals with `code` inside the spans. A device that is new stays new in blind time."""
    spans = over.tolist()
    if not spans:
        return list(intervals)
    found: list[StatusInterval] = []
    place = 0
    for interval in intervals:
        while place < len(spans) and spans[place][1] <= interval.start_ns:
            place += 1  # so that thousands of gaps and thousands of spans cost their sum, and not their product
        at_ns, inside = interval.start_ns, place
        is_covered = not (interval.status == NEW and code == UNKNOWN)
        while is_covered and inside < len(spans) and spans[inside][0] < interval.end_ns:
            inside_start, inside_end = max(spans[inside][0], at_ns), min(spans[inside][1], interval.end_ns)
            _append(found, at_ns, inside_start, interval.status)
            _append(found, inside_start, inside_end, code)
            at_ns = inside_end
            inside += 1
        if at_ns == interval.start_ns and found and found[-1].status != interval.status:
            found.append(interval)  # as nearly all of them
        else:
            _append(found, at_ns, interval.end_ns, interval.status)
    return found
