"""Uptime by slots of minutes, as the formula `uptime/1` counts it: askable for one more release.

Only what that formula counts otherwise is put in the place of the figures of the present one.
"""

from itertools import pairwise

import numpy as np
from msgspec import UNSET
from msgspec.structs import replace
from numpy.typing import NDArray

from fleetpulse.aggregate.runs import first_of_runs
from fleetpulse.aggregate.uptime import percent
from fleetpulse.limits import QuestionLimits
from fleetpulse.model.units import NS_PER_S
from fleetpulse.model.uptime import BACKFILLED, DOWN, LEFT_OUT, REASONS, SLOT_FORMULA, UP
from fleetpulse.notation.exact_seconds import exact_seconds
from fleetpulse.notation.timestamp import format_rfc3339
from fleetpulse.query.answers import Missing
from fleetpulse.query.downtime import ended_gaps, gaps_of_one
from fleetpulse.query.groups import Groups
from fleetpulse.query.missing import distinct
from fleetpulse.query.slot_counting import SlotCounts
from fleetpulse.query.slots import DeviceSlots, explain_slots
from fleetpulse.query.uptime import device_uptime
from fleetpulse.query.uptime_answers import Interval, ObservedTime, Uptime
from fleetpulse.query.uptime_figures import Figures
from fleetpulse.query.view import FleetView
from fleetpulse.query.window import Window

NOTE = f"the formula {SLOT_FORMULA} counts slots of minutes; the next release will answer {SLOT_FORMULA[:-2]} no more"


def device_slot_uptime(
    view: FleetView,
    device_id: str,
    window: Window,
    *,
    is_explained: bool,
    intervals_max: int = QuestionLimits.intervals_listed_max,
) -> Uptime:
    """The uptime of the one device of a view by slots; availability is that of the present formula."""
    answer = device_uptime(view, device_id, window, is_explained=False)
    missing: list[Missing] = []
    ended = ended_gaps(view, start_ns=window.start_ns, missing=missing)
    # A time without reception that is not longer than a missed heartbeat is never stored as a gap, so a current one of
    # that length does not count either.
    unheard = np.array([(gap.start_ns, gap.end_ns) for gap in gaps_of_one(view, ended) if gap.is_long], np.int64)
    slots = explain_slots(view, window, unheard=unheard.reshape(-1, 2), is_explained=is_explained)
    counts = slots.counts[:, 0]
    intervals, is_capped = _intervals(slots, intervals_max) if is_explained else (UNSET, UNSET)
    is_known = not missing
    return replace(
        answer,
        formula=SLOT_FORMULA,
        slot_s=slots.slot_ns // NS_PER_S,
        **_figures(counts.sum(axis=1), is_known=is_known),
        gaps=UNSET,
        resolution=UNSET,
        exact_from=UNSET,
        series=UNSET
        if answer.series is UNSET
        else [
            replace(point, **_figures(counts[:, step], is_known=is_known)) for step, point in enumerate(answer.series)
        ],
        intervals=intervals,
        capped=is_capped,
        missing=distinct([*answer.missing, *slots.missing]),
        notes=[*answer.notes, NOTE],
    )


def _figures(counts: NDArray[np.int64] | NDArray[np.int32], *, is_known: bool) -> Figures:
    """The fields that this formula has, out of slots by reason, shape (reasons,)."""
    by_reason = counts.tolist()
    present = by_reason[UP] + by_reason[BACKFILLED]
    expected = present + by_reason[DOWN]
    in_time = by_reason[UP]
    return {
        "uptime": percent(present, expected),
        "up_s": UNSET,
        "accountable_s": UNSET,
        "observed": ObservedTime(uptime=percent(in_time, expected), present=in_time)
        if is_known
        else ObservedTime(uptime=None, present=None),
        "present": present,
        "expected": expected,
        "left_out_s": UNSET,
        "left_out_slots": {
            reason: count for reason, count in zip(REASONS, by_reason, strict=True) if reason in LEFT_OUT and count
        },
    }


def group_slot_figures(slots: SlotCounts, step: int, groups: Groups) -> list[Figures]:
    """The fields that this formula has, of each group in a step, and at the end of all of them together."""
    present, expected = groups.sums(slots.present[:, step]), groups.sums(slots.expected[:, step])
    return [
        {
            "uptime": percent(*pair),
            "up_s": UNSET,
            "accountable_s": UNSET,
            "observed": ObservedTime(uptime=None),
            "present": pair[0],
            "expected": pair[1],
        }
        for pair in zip([*present, sum(present)], [*expected, sum(expected)], strict=True)
    ]


def _intervals(slots: DeviceSlots, intervals_max: int) -> tuple[list[Interval], bool]:
    """Neighbouring slots of one reason as intervals, at most `intervals_max`; and whether there are more."""
    assert slots.codes is not None
    # A device that comes and goes by the minute has millions of them.
    starts = np.flatnonzero(first_of_runs(slots.codes))
    edges = np.append(starts, len(slots.codes))[: intervals_max + 1].tolist()
    intervals = [
        Interval(
            start=format_rfc3339(slots.start_ns + first * slots.slot_ns),
            end=format_rfc3339(slots.start_ns + last * slots.slot_ns),
            reason=REASONS[slots.codes[first]],
            seconds=exact_seconds((last - first) * slots.slot_ns),
            slots=last - first,
        )
        for first, last in pairwise(edges)
    ]
    return intervals, len(starts) > intervals_max
