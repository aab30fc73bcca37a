"""The status of devices at any moment, computed from when something was received from them.

Nothing is stored, so no status can stay on by mistake. The time since the last reception is measured by a clock that
stands still in blind time, in maintenance and while paused:

    nothing was ever received                        new
    below late_after                                 up
    past late_after by a plain clock, but not yet    unknown    the service was blind, or maintenance has just ended,
      by the one that stands still                              and nothing was received since
    from late_after on                               late
    from down_after on                               down

What people declared overrides this: a pause first, then maintenance. While the service itself was blind it is unknown,
and so it is while the device was deleted; when it is declared again, time is measured from then on.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

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
    """Nothing was received in (start_ns, end_ns); a start of NEVER_NS: nor ever before. Thresholds in ns."""

    start_ns: int
    end_ns: int
    late_after_ns: int
    down_after_ns: int
    is_declared: bool = False
    """Whether it begins when the device was declared again, and not when something was received."""
    is_last: bool = True
    """Whether something was received at its end; of a gap that was divided, this holds for the last part."""

    @property
    def is_long(self) -> bool:
        """Whether it is longer than a missed heartbeat, as every gap is that is stored."""
        return self.end_ns - self.start_ns > self.late_after_ns


def status_codes(
    last_ns: NDArray[np.int64],
    up_since_ns: NDArray[np.int64],
    late_after_ns: NDArray[np.int64],
    down_after_ns: NDArray[np.int64],
    *,
    excluded: Exclusions,
    now_ns: int,
) -> tuple[NDArray[np.int8], NDArray[np.int64]]:
    """The status now of devices that share their exclusions.

    Args:
        last_ns: when anything was last received from each device, or NEVER_NS; shape (devices,), as of the others.
        up_since_ns: when its last reception gap ended.
        late_after_ns, down_after_ns: its thresholds.
        excluded: what is excluded for all of them.
    Returns: codes of STATUSES, int8, and since when each is in force in ns (0: since ever), int64; shape (devices,).
    """
    spans = excluded.all
    declared_ns = max([end_ns for end_ns in excluded.deleted[:, 1].tolist() if end_ns <= now_ns], default=NEVER_NS)
    base_ns = np.maximum(last_ns, declared_ns)
    late_ns = after_uncovered(spans, base_ns, late_after_ns)
    down_ns = after_uncovered(spans, base_ns, down_after_ns)
    # Of a device that was declared again nothing is known until it is heard, or is late.
    unknown_ns = np.where(last_ns < declared_ns, declared_ns, last_ns + late_after_ns)
    conditions = [now_ns >= down_ns, now_ns >= late_ns, now_ns >= unknown_ns]
    codes = np.select(conditions, [DOWN, LATE, UNKNOWN], UP).astype(np.int8)
    since_ns = np.choose(codes, [last_ns, up_since_ns, late_ns, down_ns, last_ns, last_ns, unknown_ns])
    codes[last_ns == NEVER_NS] = NEW
    since_ns[last_ns == NEVER_NS] = 0
    for deleted_ns, declared_again_ns in excluded.deleted.tolist():
        if deleted_ns <= now_ns < declared_again_ns:
            codes[last_ns != NEVER_NS] = UNKNOWN
            since_ns[last_ns != NEVER_NS] = deleted_ns
    for code, declared in ((MAINTENANCE, excluded.maintenance), (PAUSED, excluded.paused)):
        in_force = declared[(declared[:, 0] <= now_ns) & (now_ns < declared[:, 1])]
        if len(in_force):
            codes[:] = code
            since_ns[:] = in_force[0, 0]
    return codes, since_ns


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


_AFTER = np.array([UNKNOWN, LATE, DOWN, UP], np.int8)
"""What a device becomes in a gap, one after another, and at its end."""


def _changes(parts: Sequence[ReceptionGap], spans: Spans) -> tuple[NDArray[np.int64], NDArray[np.int8]]:
    """When the status changes by what was received, and to which: ascending, the first long before any gap."""
    starts_ns, ends_ns, late_after_ns, down_after_ns = (
        np.array([(part.start_ns, part.end_ns, part.late_after_ns, part.down_after_ns) for part in parts], np.int64)
        .reshape(-1, 4)
        .T
    )
    flags = np.array([(part.is_declared, part.is_last) for part in parts], bool).reshape(-1, 2)
    late_ns, down_ns = (after_uncovered(spans, starts_ns, after_ns) for after_ns in (late_after_ns, down_after_ns))
    unknown_ns = starts_ns + np.where(flags[:, 0], 0, late_after_ns)
    at_ns = np.stack([unknown_ns, late_ns, down_ns, ends_ns], axis=1)
    codes = np.broadcast_to(_AFTER, at_ns.shape).copy()
    is_change = at_ns < ends_ns[:, None]
    is_change[:, 3] = flags[:, 1]
    is_new = starts_ns == NEVER_NS
    at_ns[is_new, 0], codes[is_new, 0] = NEVER_NS, NEW
    is_change[is_new, :3] = True, False, False
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
