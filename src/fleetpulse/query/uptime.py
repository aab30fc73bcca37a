"""Uptime and availability of one device over a window, each with what it was computed from."""

from itertools import pairwise
from typing import TypedDict

import numpy as np
from msgspec import UNSET
from numpy.typing import NDArray

from fleetpulse.aggregate.runs import first_of_runs
from fleetpulse.aggregate.uptime import percent
from fleetpulse.limits import QuestionLimits
from fleetpulse.model.units import NS_PER_S
from fleetpulse.model.uptime import BACKFILLED, DOWN, FORMULA, LEFT_OUT, REASONS, UP, Reason
from fleetpulse.notation.timestamp import format_rfc3339
from fleetpulse.query.answer_fields import DeclarationsUsed
from fleetpulse.query.answers import Interval, Missing, Observed, Uptime, UptimePoint
from fleetpulse.query.budget import hold_answer
from fleetpulse.query.downtime import downtime, ended_gaps, gaps_of_one
from fleetpulse.query.missing import distinct
from fleetpulse.query.slots import DeviceSlots, explain_slots
from fleetpulse.query.view import FleetView
from fleetpulse.query.window import Window

POINTS_AT_ONCE = 1_024
"""Points of a series that are made between two looks whether the question is to be stopped."""
FIGURES_A_POINT = 3
"""A point has several figures and takes as much memory as so many single ones."""


class Figures(TypedDict):
    """The fields of `AvailableFigures`."""

    uptime: float | None
    present: int
    expected: int
    availability: float | None
    down_s: float | None
    accountable_s: float | None


def figures(*, present: int, expected: int, down_ns: int, accountable_ns: int, is_time_known: bool) -> Figures:
    """Uptime and availability out of the slots and the time of one device, or of their sums over several devices."""
    return {
        "uptime": percent(present, expected),
        "present": present,
        "expected": expected,
        "availability": percent(accountable_ns - down_ns, accountable_ns) if is_time_known else None,
        "down_s": down_ns / NS_PER_S if is_time_known else None,
        "accountable_s": accountable_ns / NS_PER_S if is_time_known else None,
    }


def declarations_used(view: FleetView, window: Window, *, devices: int) -> DeclarationsUsed:
    """Which declarations an answer about a window was computed from. Args: devices: how many it counts."""
    version, changed_at_ns = view.declared
    return DeclarationsUsed(
        version=version,
        changed_at=format_rfc3339(changed_at_ns) if version else None,
        devices=devices,
        changed_after_window=changed_at_ns >= window.end_ns if version else None,
    )


def device_uptime(
    view: FleetView,
    device_id: str,
    window: Window,
    *,
    is_explained: bool,
    intervals_max: int = QuestionLimits.intervals_listed_max,
) -> Uptime:
    """The uptime of the one device of a view: settled (all heartbeats), and observed (those that came in time).

    Where reception gaps are missing, it is unknown when it was down and what came in time: these figures are null.
    """
    hold_answer(view.budget, window.buckets * FIGURES_A_POINT)
    missing: list[Missing] = []
    ended = list(ended_gaps(view, start_ns=window.start_ns, missing=missing))
    is_known = not missing
    # A time without reception that is not longer than a missed heartbeat is never stored as a gap, so a current one of
    # that length does not count either.
    unheard = np.array([(gap.start_ns, gap.end_ns) for gap in gaps_of_one(view, ended) if gap.is_long], np.int64)
    slots = explain_slots(view, window, unheard=unheard.reshape(-1, 2), is_explained=is_explained)
    time = downtime(view, ended, start_ns=window.start_ns, end_ns=window.end_ns)
    counts = slots.counts[:, 0]
    intervals, is_capped = _intervals(slots, intervals_max) if is_explained else (UNSET, UNSET)
    whole = _point(counts.sum(axis=1), at_ns=window.start_ns)
    return Uptime(
        device_id=device_id,
        start=window.start,
        end=window.end,
        step_s=window.step_s,
        timezone=window.timezone,
        formula=FORMULA,
        slot_s=slots.slot_ns // NS_PER_S,
        **figures(
            present=whole.present,
            expected=whole.expected,
            down_ns=int(time.down_ns[0]),
            accountable_ns=int(time.accountable_ns[0]),
            is_time_known=is_known,
        ),
        observed=whole.observed if is_known else Observed(None, None),
        left_out=whole.left_out,
        series=UNSET if window.step_ns is None else _series(view, counts, window),
        intervals=intervals,
        capped=is_capped,
        declarations=declarations_used(view, window, devices=1),
        missing=distinct([*missing, *slots.missing]),
        notes=[*window.notes],
    )


def _series(view: FleetView, counts: NDArray[np.int32], window: Window) -> list[UptimePoint]:
    """A point for each step. Args: counts: slots by reason and step, shape (reasons, steps)."""
    points: list[UptimePoint] = []
    for step in range(window.buckets):
        if step % POINTS_AT_ONCE == 0:
            view.budget.check()
        points.append(_point(counts[:, step], at_ns=window.bucket_start_ns(step)))
    return points


def _point(counts: NDArray[np.int64] | NDArray[np.int32], *, at_ns: int) -> UptimePoint:
    """The figures out of slots by reason, shape (reasons,)."""
    by_reason = counts.tolist()
    present = by_reason[UP] + by_reason[BACKFILLED]
    expected = present + by_reason[DOWN]
    left_out: dict[Reason, int] = {
        reason: count for reason, count in zip(REASONS, by_reason, strict=True) if reason in LEFT_OUT and count
    }
    return UptimePoint(
        at=format_rfc3339(at_ns),
        uptime=percent(present, expected),
        present=present,
        expected=expected,
        observed=Observed(percent(by_reason[UP], expected), by_reason[UP]),
        left_out=left_out,
    )


def _intervals(slots: DeviceSlots, intervals_max: int) -> tuple[list[Interval], bool]:
    """Neighbouring slots of one reason as intervals, at most `intervals_max`; and whether there are more."""
    assert slots.codes is not None
    # A device that comes and goes by the minute has millions of them.
    starts = np.flatnonzero(first_of_runs(slots.codes))
    edges = np.append(starts, len(slots.codes))[: intervals_max + 1].tolist()
    intervals = [
        Interval(
            format_rfc3339(slots.start_ns + first * slots.slot_ns),
            format_rfc3339(slots.start_ns + last * slots.slot_ns),
            REASONS[slots.codes[first]],
            last - first,
        )
        for first, last in pairwise(edges)
    ]
    return intervals, len(starts) > intervals_max
