"""Uptime and availability of one device over a window, each with what it was computed from."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from msgspec import UNSET
from numpy.typing import NDArray

from fleetpulse.aggregate.spans import Spans
from fleetpulse.aggregate.status import NEVER_NS
from fleetpulse.limits import QuestionLimits
from fleetpulse.model.device_spans import join_device_spans
from fleetpulse.model.reception_gaps import ReceptionGapColumns, join_gaps
from fleetpulse.model.uptime import FORMULA, LEFT_OUT, MEASURES, REASONS, Measure
from fleetpulse.notation.exact_seconds import exact_seconds
from fleetpulse.notation.timestamp import format_rfc3339, parse_rfc3339_ns
from fleetpulse.query.answers import Missing
from fleetpulse.query.beat_gaps import corrected_notes, minutes_until_ns
from fleetpulse.query.budget import hold_answer
from fleetpulse.query.declarations_used import declarations_used
from fleetpulse.query.downtime import GAP_BYTES, ended_gaps
from fleetpulse.query.gap_time import GapClocks, GapTally, TimeColumns
from fleetpulse.query.measured_time import received_time, settled_gaps, settled_time
from fleetpulse.query.missing import distinct
from fleetpulse.query.reasons import DeviceGaps, Reasons, down_spans, reasons_of
from fleetpulse.query.uptime_answers import Downtime, DowntimeList, Downtimes, GapFigures, Interval, Uptime, UptimePoint
from fleetpulse.query.uptime_figures import GroupTime, figures
from fleetpulse.query.view import FleetView
from fleetpulse.query.window import Window

POINTS_AT_ONCE = 1_024
"""Points of a series that are made between two looks whether the question is to be stopped."""
FIGURES_A_POINT = 12
"""A point has several figures and takes as much memory as so many single ones."""


def resolution_of(view: FleetView, window: Window) -> dict[str, Any]:
    """The fields of an answer that say which part of the window is known by minutes alone, if any."""
    until_ns = minutes_until_ns(view, start_ns=window.start_ns, end_ns=window.end_ns)
    return {} if until_ns is None else {"resolution": "minute", "exact_from": format_rfc3339(until_ns)}


def device_uptime(
    view: FleetView,
    device_id: str,
    window: Window,
    *,
    is_explained: bool,
    intervals_max: int = QuestionLimits.intervals_listed_max,
) -> Uptime:
    """The uptime of the one device of a view: settled (all beats), and observed (what was received in time).

    Where gaps are missing, it is unknown when it was down, and these figures are null.
    """
    hold_answer(view.budget, window.buckets * FIGURES_A_POINT)
    time = _DeviceTime(view, window)
    intervals: list[Interval] | Any = UNSET
    is_capped: bool | Any = UNSET
    if is_explained:
        intervals, is_capped = _intervals(time.reasons.joined(), intervals_max)
    return Uptime(
        device_id=device_id,
        start=window.start,
        end=window.end,
        step_s=window.step_s,
        timezone=window.timezone,
        formula=FORMULA,
        **resolution_of(view, window),
        **time.figures(slice(None), at_ns=window.start_ns),
        gaps=time.gaps(),
        series=UNSET if window.step_ns is None else _series(view, time, window),
        intervals=intervals,
        capped=is_capped,
        downtimes=time.downtimes(intervals_max) if is_explained else UNSET,
        declarations=declarations_used(view.declared, window, devices=1),
        missing=distinct([span for missing in time.missing.values() for span in missing]),
        notes=[*window.notes, *corrected_notes(view, start_ns=window.start_ns, end_ns=window.end_ns)],
    )


class _DeviceTime:
    """The time of the one device of a view over the steps of a window: by each measure, and by reason."""

    def __init__(self, view: FleetView, window: Window) -> None:
        self.missing: dict[str, list[Missing]] = {"sent": [], "received": []}
        start_ns, budget = window.start_ns, view.budget
        ended = list(ended_gaps(view, start_ns=start_ns, missing=self.missing["received"]))
        gaps = join_device_spans(
            list(settled_gaps(view, start_ns=start_ns, end_ns=window.end_ns, missing=self.missing["sent"]))
        )
        budget.take(GAP_BYTES * (sum(map(len, ended)) + len(gaps)), "the gaps of the device")
        edges_ns = [*(window.bucket_start_ns(bucket) for bucket in range(window.buckets)), window.end_ns]
        clocks = GapClocks(view.excluded, view.live.policy_table, view.live.policy_codes)
        self._tally = GapTally(1)
        time = settled_time(view, clocks, edges_ns, [gaps], tally=self._tally)
        received, heard_ns = received_time(view, clocks, edges_ns, ended, MEASURES[1:])
        self._time: dict[Measure, TimeColumns] = {"settled": time, **received}
        self._starts_ns = edges_ns[:-1]
        self._clocks, self._edges_ns = clocks, edges_ns
        first_ns, known_from_ns = int(view.live.first_sent_ns[0]), self._known_from_ns
        self._sent = DeviceGaps(gaps.start_ns, gaps.end_ns, first_ns, known_from_ns("settled"))
        self._received = _received_gaps(view, ended, int(heard_ns[0]), known_from_ns("observed"))
        self.reasons = reasons_of(clocks, edges_ns, settled=self._sent, observed=self._received)
        # The stretches are cut at each edge.
        self._by_reason_ns = self.reasons.seconds_ns(
            window.buckets_of(self.reasons.edges_ns[:-1]), count=window.buckets
        )

    def _known_from_ns(self, measure: Measure) -> int:
        """From when on nothing is missing: a gap that ended on a day that is may have begun at any time before."""
        missing = self.missing["sent" if measure == "settled" else "received"]
        return max((parse_rfc3339_ns(span.end) for span in missing), default=0)

    def _is_known(self, measure: Measure, start_ns: int) -> bool:
        """Whether nothing is missing of the step that begins then, and of those after it."""
        return start_ns >= self._known_from_ns(measure)

    def figures(self, steps: slice | int, *, at_ns: int) -> dict[str, Any]:
        """The figures of some steps, the first of which begins at a time, and the seconds that do not count."""
        time = {
            measure: GroupTime(int(columns.down_ns[0, steps].sum()), int(columns.accountable_ns[0, steps].sum()))
            for measure, columns in self._time.items()
            if self._is_known(measure, at_ns)
        }
        by_reason_ns: NDArray[np.int64] = self._by_reason_ns[:, steps].reshape(len(REASONS), -1).sum(axis=1)
        left_out = zip(REASONS, by_reason_ns.tolist(), strict=True)
        return {
            **figures(time),
            "left_out_s": {reason: exact_seconds(ns) for reason, ns in left_out if ns and reason in LEFT_OUT},
        }

    def gaps(self) -> GapFigures | None:
        """The gaps of the window that cost time; None where beats are missing."""
        if not self._is_known("settled", self._starts_ns[0]):
            return None
        tally = self._tally
        return GapFigures(
            count=int(tally.count[0]),
            longest_s=exact_seconds(int(tally.longest_ns[0])),
            seconds=exact_seconds(int(tally.total_ns[0])),
        )

    def downtimes(self, stretches_max: int) -> Downtimes:
        """When the device was down, at most so many stretches by each measure."""
        gaps = {"settled": self._sent, "observed": self._received, "availability": self._received}
        found = {
            measure: _downtime_list(down_spans(self._clocks, self._edges_ns, gaps[measure], measure), stretches_max)
            for measure in MEASURES
            if self._is_known(measure, self._edges_ns[0])
        }
        return Downtimes(**{measure: found.get(measure) for measure in MEASURES})


def _downtime_list(down: Spans, stretches_max: int) -> DowntimeList:
    """At most so many stretches, and from when on there are more."""
    pairs = down[: stretches_max + 1].tolist()
    stretches = [
        Downtime(format_rfc3339(start_ns), format_rfc3339(end_ns), seconds=exact_seconds(end_ns - start_ns))
        for start_ns, end_ns in pairs[:stretches_max]
    ]
    next_from = format_rfc3339(pairs[stretches_max][0]) if len(pairs) > stretches_max else None
    return DowntimeList(stretches=stretches, next_from=next_from)


def _received_gaps(
    view: FleetView, ended: Sequence[ReceptionGapColumns], heard_ns: int, known_from_ns: int
) -> DeviceGaps:
    """The gaps between receptions, and the time since the last one."""
    gaps, last_ns = join_gaps(list(ended)), int(view.live.last_received_ns[0])
    is_gap = gaps.start_ns != NEVER_NS
    starts, ends = gaps.start_ns[is_gap], gaps.end_ns[is_gap]
    if last_ns != NEVER_NS:
        starts, ends = np.append(starts, last_ns), np.append(ends, max(view.now_ns, last_ns))
    return DeviceGaps(starts, ends, heard_ns, known_from_ns)


def _series(view: FleetView, time: _DeviceTime, window: Window) -> list[UptimePoint]:
    """A point for each step."""
    points: list[UptimePoint] = []
    for step in range(window.buckets):
        if step % POINTS_AT_ONCE == 0:
            view.budget.check()
        at_ns = window.bucket_start_ns(step)
        points.append(UptimePoint(at=format_rfc3339(at_ns), **time.figures(step, at_ns=at_ns)))
    return points


def _intervals(reasons: Reasons, intervals_max: int) -> tuple[list[Interval], bool]:
    """The stretches as intervals, at most `intervals_max`; and whether there are more."""
    edges = reasons.edges_ns[: intervals_max + 1].tolist()
    intervals = [
        Interval(
            start=format_rfc3339(start_ns),
            end=format_rfc3339(end_ns),
            reason=REASONS[code],
            seconds=exact_seconds(end_ns - start_ns),
        )
        for (start_ns, end_ns), code in zip(pairwise(edges), reasons.codes.tolist(), strict=False)
    ]
    return intervals, len(reasons.codes) > intervals_max
