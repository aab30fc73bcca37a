"""Uptime, availability and status of one device over a window, each with what it was computed from."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from fleetpulse.aggregate.presence import Rows
from fleetpulse.aggregate.spans import Spans, minutes_inside, minutes_touched
from fleetpulse.aggregate.status import Exclusions, ReceptionGap, StatusInterval, status_codes
from fleetpulse.aggregate.uptime import percent, slot_minutes, slot_reasons, unpack_minutes
from fleetpulse.blocks.history import History, OnDamage, closed_presence
from fleetpulse.errors import DamagedData
from fleetpulse.model import uptime as slots
from fleetpulse.model.heartbeat_policy import HeartbeatPolicy, late_after_s
from fleetpulse.model.manifest import Manifest
from fleetpulse.model.reception_gaps import ReceptionGapColumns
from fleetpulse.model.status import DOWN, MAINTENANCE, NEW, PAUSED, STATUSES
from fleetpulse.model.units import MINUTES_PER_DAY, NS_PER_DAY, NS_PER_MINUTE, NS_PER_S
from fleetpulse.model.uptime import REASONS
from fleetpulse.notation.timestamp import format_rfc3339
from fleetpulse.query.missing import note_missing_day
from fleetpulse.query.window import Window


@dataclass(frozen=True, slots=True)
class DeviceView:
    """All that is known of one device, at one moment."""

    number: int
    now_ns: int
    first_minute: int
    """Of the first beat ever, by the device's clock; beyond all windows where there is none."""
    last_received_ns: int
    up_since_ns: int
    policy: HeartbeatPolicy
    excluded: Exclusions
    rows: Mapping[int, Rows]
    """Presence by day that the closed blocks do not hold, or not all of."""
    gaps: Sequence[ReceptionGapColumns]
    """Of all devices, and held by no block yet."""
    manifest: Manifest
    history: History


@dataclass(slots=True)
class Slots:
    """Slots of a window by reason, shape (buckets, reasons); and, where it was asked for, the code of every slot."""

    counts: NDArray[np.int64]
    start_ns: int
    slot_ns: int
    codes: NDArray[np.int8] | None
    missing: list[dict[str, str]] = field(default_factory=list)


def device_status(view: DeviceView) -> tuple[str, int, int]:
    """Status now, since when it holds, and when the device was last heard (0: never), in ns. Reads nothing but the view."""

    def column(value: int) -> NDArray[np.int64]:
        return np.array([value], np.int64)

    codes, since_ns = status_codes(
        column(view.last_received_ns),
        column(view.up_since_ns),
        column(view.policy.late_after_ns),
        column(view.policy.down_after_ns),
        excluded=view.excluded,
        now_ns=view.now_ns,
    )
    return STATUSES[int(codes[0])], int(since_ns[0]), view.last_received_ns


def read_gaps(view: DeviceView, *, start_ns: int, on_damage: OnDamage | None = None) -> list[ReceptionGap]:
    """The silences of a device that ended after `start_ns`, and the one that goes on, ascending.

    Raises: DamagedData: a block cannot be read, and there is no `on_damage` to be told.
    """
    closed = view.history.gaps(view.manifest, start_day=start_ns // NS_PER_DAY, end_day=2**31, on_damage=on_damage)
    found: list[ReceptionGap] = []
    for gaps in closed:
        # Of the column's own type, or all of it would be converted to search it.
        first, last = np.searchsorted(gaps.devices, np.array([view.number, view.number + 1], np.uint32))
        found += _gaps(gaps.where(slice(int(first), int(last))))
    for gaps in view.gaps:
        places = np.flatnonzero(gaps.devices == view.number)
        if len(places):  # there may be many pieces, few of them with any of this device
            found += _gaps(gaps.where(places))
    after = view.policy.late_after_ns, view.policy.down_after_ns
    found.append(ReceptionGap(view.last_received_ns, max(view.now_ns, view.last_received_ns) + 1, *after))
    return sorted((gap for gap in found if gap.end_ns > start_ns), key=lambda gap: gap.end_ns)


def _gaps(columns: ReceptionGapColumns) -> list[ReceptionGap]:
    return [
        ReceptionGap(start_ns, end_ns, late_after_s(interval_s, grace_s) * NS_PER_S, (interval_s + grace_s) * NS_PER_S)
        for start_ns, end_ns, interval_s, grace_s in zip(
            columns.start_ns.tolist(),
            columns.end_ns.tolist(),
            columns.interval_s.tolist(),
            columns.grace_s.tolist(),
            strict=True,
        )
    ]


def transitions(stretches: Sequence[StatusInterval], *, limit: int, after_ns: int) -> tuple[list[dict[str, str]], bool]:
    """The changes of status between stretches, later than `after_ns` and at most `limit`; and whether there are more."""
    found: list[dict[str, str]] = []
    for before, after in pairwise(stretches):
        if after.start_ns > after_ns:
            if len(found) == limit:
                return found, True
            found.append(
                {"at": format_rfc3339(after.start_ns), "from": STATUSES[before.status], "to": STATUSES[after.status]}
            )
    return found, False


def device_slots(view: DeviceView, window: Window, gaps: Sequence[ReceptionGap], *, is_explained: bool) -> Slots:
    """Why every slot of the window counts as it does. Only slots that lie wholly in the window, and are past, are in it."""
    slot = slot_minutes(view.policy.interval_s)
    slot_ns = slot * NS_PER_MINUTE
    start, end = -(-window.start_ns // slot_ns) * slot, window.end_ns // slot_ns * slot
    # What is not longer than a missed beat is no silence once it ends, so it is none while it goes on. Where two of them touch,
    # something was received between: they stay two.
    unheard = np.array([(gap.start_ns, gap.end_ns) for gap in gaps if gap.is_long], np.int64).reshape(-1, 2)
    found = Slots(np.zeros((window.buckets, len(REASONS)), np.int64), start * NS_PER_MINUTE, slot_ns, None)
    codes: list[NDArray[np.int8]] = []
    is_bucketed_by_day = window.step_ns is None or window.step_ns % NS_PER_DAY == 0
    for day in range(start // MINUTES_PER_DAY, -(-end // MINUTES_PER_DAY)):
        first, last = max(start, day * MINUTES_PER_DAY), min(end, (day + 1) * MINUTES_PER_DAY)
        is_whole = last - first == MINUTES_PER_DAY and slot == 1 and first > view.first_minute
        if is_whole and is_bucketed_by_day and not is_explained and not _is_touched(view, unheard, day):
            bucket = (first * NS_PER_MINUTE - window.origin_ns) // window.step_ns if window.step_ns else 0
            _count_day(found, view, day, bucket)
            continue
        reasons = _reasons(view, unheard, day, found, slot)[
            (first - day * MINUTES_PER_DAY) // slot : (last - day * MINUTES_PER_DAY) // slot
        ]
        at_ns = (first + np.arange(len(reasons)) * slot) * NS_PER_MINUTE
        buckets = (at_ns - window.origin_ns) // window.step_ns if window.step_ns else np.zeros(len(reasons), np.int64)
        np.add.at(found.counts, (buckets, reasons), 1)
        codes.append(reasons)
    if is_explained:
        found.codes = np.concatenate([np.zeros(0, np.int8), *codes])
    return found


def _is_touched(view: DeviceView, unheard: Spans, day: int) -> bool:
    """Whether anything but the number of minutes present matters for a day."""
    start_ns, end_ns = day * NS_PER_DAY, (day + 1) * NS_PER_DAY
    spans = (unheard, view.excluded.blind, view.excluded.maintenance, view.excluded.paused)
    return day in view.rows or any(bool(((some[:, 0] < end_ns) & (some[:, 1] > start_ns)).any()) for some in spans)


def _count_day(found: Slots, view: DeviceView, day: int, bucket: int) -> None:
    try:
        devices, minutes = view.history.minutes(day, manifest=view.manifest)
    except DamagedData as error:
        _miss(found, day, error)
        found.counts[bucket, slots.MISSING] += MINUTES_PER_DAY
        return
    place = int(devices.searchsorted(np.uint32(view.number)))
    present = int(minutes[place]) if place < len(devices) and devices[place] == view.number else 0
    found.counts[bucket, slots.UP] += present
    found.counts[bucket, slots.DOWN] += MINUTES_PER_DAY - present


def _reasons(view: DeviceView, unheard: Spans, day: int, found: Slots, slot: int) -> NDArray[np.int8]:
    """Reasons of all slots of a day."""
    if (day + 1) * MINUTES_PER_DAY <= view.first_minute:
        return np.full(MINUTES_PER_DAY // slot, slots.BEFORE, np.int8)
    row = view.rows.get(day)
    is_missing = False
    if closed_presence(view.manifest, day) is not None:
        try:
            closed = view.history.row(day, view.number, manifest=view.manifest)
        except DamagedData as error:
            _miss(found, day, error)
            closed, is_missing = None, True
        if closed is not None:
            row = closed if row is None else row | closed
    minute = day * MINUTES_PER_DAY
    present = np.zeros(MINUTES_PER_DAY, bool) if row is None else unpack_minutes(row)
    reasons = slot_reasons(
        present=present,
        unheard=minutes_inside(unheard, first_minute=minute, count=MINUTES_PER_DAY),
        blind=minutes_touched(view.excluded.blind, first_minute=minute, count=MINUTES_PER_DAY),
        maintenance=minutes_touched(view.excluded.maintenance, first_minute=minute, count=MINUTES_PER_DAY),
        paused=minutes_touched(view.excluded.paused, first_minute=minute, count=MINUTES_PER_DAY),
        slot=slot,
    )
    if is_missing:
        reasons[reasons == slots.DOWN] = slots.MISSING
    seen = (view.first_minute - minute) // slot
    reasons[: max(0, min(seen, len(reasons)))] = slots.BEFORE
    return reasons


def _miss(found: Slots, day: int, error: Exception) -> None:
    note_missing_day(found.missing, day, error)


def uptime_figures(counts: NDArray[np.int64]) -> dict[str, object]:
    """Uptime out of slots by reason: settled (all beats), observed (those that came in time), and what was left out."""
    by_reason = dict(zip(REASONS, counts.tolist(), strict=True))
    present, expected = (
        by_reason["up"] + by_reason["backfilled"],
        by_reason["up"] + by_reason["backfilled"] + by_reason["down"],
    )
    return {
        "uptime": percent(present, expected),
        "present": present,
        "expected": expected,
        "observed": {"uptime": percent(by_reason["up"], expected), "present": by_reason["up"]},
        "left_out": {reason: by_reason[reason] for reason in slots.LEFT_OUT if by_reason[reason]},
    }


UNKNOWN_AVAILABILITY: dict[str, object] = {"availability": None, "down_s": None, "accountable_s": None}
"""Where silences are missing: whether the device was down then, nobody knows."""
UNKNOWN_OBSERVED: dict[str, object] = {"observed": {"uptime": None, "present": None}}
"""Where silences are missing: what came in time, nobody knows."""


def availability_figures(stretches: Sequence[StatusInterval], excluded: Exclusions) -> dict[str, object]:
    """1 − time down / accountable time, as it was observed; both in seconds."""
    accountable_ns = down_ns = 0
    blind = excluded.blind
    for stretch in stretches:
        if stretch.status in (NEW, MAINTENANCE, PAUSED):
            continue
        inside = np.clip(blind, stretch.start_ns, stretch.end_ns)
        length_ns = stretch.end_ns - stretch.start_ns - int((inside[:, 1] - inside[:, 0]).sum())
        accountable_ns += length_ns
        down_ns += length_ns if stretch.status == DOWN else 0
    ratio = None if not accountable_ns else 100.0 * (accountable_ns - down_ns) / accountable_ns
    return {"availability": ratio, "down_s": down_ns / NS_PER_S, "accountable_s": accountable_ns / NS_PER_S}


def explained(found: Slots, *, limit: int) -> tuple[list[dict[str, object]], bool]:
    """The slots as intervals of one reason, at most `limit`; and whether there are more."""
    assert found.codes is not None
    codes = found.codes
    cuts = [0, *(np.flatnonzero(np.diff(codes)) + 1).tolist(), len(codes)] if len(codes) else [0]
    intervals: list[dict[str, object]] = []
    for first, last in pairwise(cuts):
        if len(intervals) == limit:
            return intervals, True
        start_ns, end_ns = found.start_ns + first * found.slot_ns, found.start_ns + last * found.slot_ns
        span = {"from": format_rfc3339(start_ns), "to": format_rfc3339(end_ns)}
        intervals.append({**span, "reason": REASONS[codes[first]], "slots": last - first})
    return intervals, False
