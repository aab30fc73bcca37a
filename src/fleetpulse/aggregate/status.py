"""The status of a device at any moment, computed from when it was heard; nothing is latched, so nothing can stick.

A silence is measured by a clock that stands still in blind time, in maintenance and while paused:

    never heard                                     new
    silence below late_after                        up
    … by the plain clock past late_after,
      by the one that stands still not              unknown    not heard since the service was blind, or since maintenance ended
    from late_after                                 late
    from down_after                                 down

Over this lies what was declared: paused, then maintenance; and unknown while the service itself was blind.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from fleetpulse.aggregate.spans import NO_SPANS, Spans, after_uncovered, clip, union
from fleetpulse.model.status import DOWN, LATE, MAINTENANCE, NEW, PAUSED, UNKNOWN, UP

NEVER_NS = 0


@dataclass(frozen=True, slots=True)
class Exclusions:
    """Time that is nobody's downtime."""

    blind: Spans = field(default_factory=lambda: NO_SPANS)
    maintenance: Spans = field(default_factory=lambda: NO_SPANS)
    paused: Spans = field(default_factory=lambda: NO_SPANS)

    @property
    def all(self) -> Spans:
        """Any of it."""
        return union(self.blind, self.maintenance, self.paused)


@dataclass(frozen=True, slots=True)
class StatusInterval:
    """A status that held for all of [start_ns, end_ns)."""

    start_ns: int
    end_ns: int
    status: int


@dataclass(frozen=True, slots=True)
class ReceptionGap:
    """Nothing was received in (start_ns, end_ns); start NEVER_NS: nothing ever before. Thresholds in ns."""

    start_ns: int
    end_ns: int
    late_after_ns: int
    down_after_ns: int

    @property
    def is_long(self) -> bool:
        """Whether it is longer than a missed beat, as every silence that is stored is."""
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
    """Status codes of devices that share their exclusions, and since when each holds (0: since ever), shape (devices,)."""
    spans = excluded.all
    late_ns = after_uncovered(spans, last_ns, late_after_ns)
    down_ns = after_uncovered(spans, last_ns, down_after_ns)
    silent_ns = last_ns + late_after_ns
    codes = np.select([now_ns >= down_ns, now_ns >= late_ns, now_ns >= silent_ns], [DOWN, LATE, UNKNOWN], UP).astype(
        np.int8
    )
    since_ns = np.choose(codes, [last_ns, up_since_ns, late_ns, down_ns, last_ns, last_ns, silent_ns])
    codes[last_ns == NEVER_NS] = NEW
    since_ns[last_ns == NEVER_NS] = 0
    for code, declared in ((MAINTENANCE, excluded.maintenance), (PAUSED, excluded.paused)):
        holding = declared[(declared[:, 0] <= now_ns) & (now_ns < declared[:, 1])]
        if len(holding):
            codes[:] = code
            since_ns[:] = holding[0, 0]
    return codes, since_ns


def timeline(gaps: Sequence[ReceptionGap], excluded: Exclusions, *, start_ns: int, end_ns: int) -> list[StatusInterval]:
    """The status over all of [start_ns, end_ns), stretch after stretch, neighbours differing.

    `silences` ascend and do not overlap; between two of them the device was up. Whoever is silent until now says so by one that
    ends at `end_ns` or later.
    """
    spans = excluded.all
    changes: list[tuple[int, int]] = [(NEVER_NS - 1, UP)]
    for gap in gaps:
        changes += _of_gap(gap, spans)
        if gap.end_ns < end_ns:
            changes.append((gap.end_ns, UP))
    observed = _stretches(changes, start_ns=start_ns, end_ns=end_ns)
    for code, declared in ((UNKNOWN, excluded.blind), (MAINTENANCE, excluded.maintenance), (PAUSED, excluded.paused)):
        observed = _overlay(observed, clip(declared, start_ns=start_ns, end_ns=end_ns), code)
    return observed


def _of_gap(gap: ReceptionGap, spans: Spans) -> Iterable[tuple[int, int]]:
    if gap.start_ns == NEVER_NS:
        return [(NEVER_NS, NEW)]
    start = np.array([gap.start_ns], np.int64)
    late_ns, down_ns = (
        int(after_uncovered(spans, start, np.array([after], np.int64))[0])
        for after in (gap.late_after_ns, gap.down_after_ns)
    )
    silent_ns = gap.start_ns + gap.late_after_ns
    steps = [(silent_ns, UNKNOWN), (late_ns, LATE), (down_ns, DOWN)]
    return [(at_ns, code) for at_ns, code in steps if at_ns < gap.end_ns]


def _stretches(changes: Sequence[tuple[int, int]], *, start_ns: int, end_ns: int) -> list[StatusInterval]:
    """What holds between changes, in their order; of changes at one time the last counts."""
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


def _overlay(stretches: Sequence[StatusInterval], over: Spans, code: int) -> list[StatusInterval]:
    """The stretches, with `code` inside the spans; a device that is new is not made unknown by our blindness."""
    found: list[StatusInterval] = []
    spans = over.tolist()
    for stretch in stretches:
        at_ns = stretch.start_ns
        if not (stretch.status == NEW and code == UNKNOWN):
            for first_ns, last_ns in spans:
                inside_start, inside_end = max(first_ns, at_ns), min(last_ns, stretch.end_ns)
                if inside_start < inside_end:
                    _append(found, at_ns, inside_start, stretch.status)
                    _append(found, inside_start, inside_end, code)
                    at_ns = inside_end
        _append(found, at_ns, stretch.end_ns, stretch.status)
    return found
