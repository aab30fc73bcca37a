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
    changes: list[tuple[int, int]] = [(NEVER_NS - 1, UP)]
    parts = [part for gap in gaps for part in divide_gap(gap, excluded.deleted)]
    for part, late_ns, down_ns in _thresholds(parts, excluded.all):
        changes += _of_part(part, late_ns, down_ns)
        if part.is_last and part.end_ns < end_ns:
            changes.append((part.end_ns, UP))
    observed = _intervals(changes, start_ns=start_ns, end_ns=end_ns)
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


def _thresholds(parts: Sequence[ReceptionGap], spans: Spans) -> Iterable[tuple[ReceptionGap, int, int]]:
    """Each part with the times from which on the device is late and down, found in one pass for all of them."""
    starts = np.array([part.start_ns for part in parts], np.int64)
    late, down = (
        after_uncovered(spans, starts, np.array(after, np.int64)).tolist()
        for after in ([part.late_after_ns for part in parts], [part.down_after_ns for part in parts])
    )
    return zip(parts, late, down, strict=True)


def _of_part(part: ReceptionGap, late_ns: int, down_ns: int) -> Iterable[tuple[int, int]]:
    if part.start_ns == NEVER_NS:
        return [(NEVER_NS, NEW)]
    unknown_ns = part.start_ns if part.is_declared else part.start_ns + part.late_after_ns
    steps = ((unknown_ns, UNKNOWN), (late_ns, LATE), (down_ns, DOWN))
    return [(at_ns, code) for at_ns, code in steps if at_ns < part.end_ns]


def _intervals(changes: Sequence[tuple[int, int]], *, start_ns: int, end_ns: int) -> list[StatusInterval]:
    """The status between changes (at, code); of changes at one time the last one counts."""
    ordered = sorted(changes, key=lambda change: change[0])
    found: list[StatusInterval] = []
    for place, (at_ns, code) in enumerate(ordered):
        until_ns = ordered[place + 1][0] if place + 1 < len(ordered) else end_ns
        _append(found, max(at_ns, start_ns), min(until_ns, end_ns), code)
    return found


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
    for interval in intervals:
        at_ns = interval.start_ns
        if not (interval.status == NEW and code == UNKNOWN):
            for first_ns, last_ns in spans:
                inside_start, inside_end = max(first_ns, at_ns), min(last_ns, interval.end_ns)
                if inside_start < inside_end:
                    _append(found, at_ns, inside_start, interval.status)
                    _append(found, inside_start, inside_end, code)
                    at_ns = inside_end
        _append(found, at_ns, interval.end_ns, interval.status)
    return found
