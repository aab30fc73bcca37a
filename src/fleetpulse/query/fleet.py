"""Status and uptime of all devices at once: one pass over columns, a day at a time."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from fleetpulse.aggregate.presence import Rows, count_minutes
from fleetpulse.aggregate.spans import covered_before, minutes_touched, union
from fleetpulse.aggregate.status import NEVER_NS, Exclusions, status_codes
from fleetpulse.aggregate.uptime import pack_minutes, slot_minutes, unpack_minutes
from fleetpulse.blocks.history import History, closed_presence
from fleetpulse.blocks.presence import CHUNK
from fleetpulse.errors import DamagedData
from fleetpulse.live.sparse_presence import SparsePresence
from fleetpulse.model.heartbeat_policy import HeartbeatPolicy
from fleetpulse.model.manifest import Manifest
from fleetpulse.model.reception_gaps import ReceptionGapColumns
from fleetpulse.model.units import MINUTES_PER_DAY, NS_PER_DAY, NS_PER_MINUTE, NS_PER_S
from fleetpulse.query.exclusions import Excluded
from fleetpulse.query.missing import note_missing_day

UNPACKED_ROWS = 2_048
"""Devices whose minutes are laid out one by one at a time: 3 MB."""


@dataclass(frozen=True, slots=True)
class FleetView:
    """The columns of all devices, shape (count,), at one moment; and where their past is."""

    count: int
    now_ns: int
    first_minute: NDArray[np.int32]
    last_received_ns: NDArray[np.int64]
    up_since_ns: NDArray[np.int64]
    policy_codes: NDArray[np.uint16]
    policies: Sequence[HeartbeatPolicy]
    excluded: Excluded
    dense: Sequence[Mapping[int, Rows]]
    """Presence by day, rows by device number: what is open, and what is being closed."""
    sparse: Sequence[SparsePresence]
    """Late presence that no block holds yet; copies."""
    gaps: Sequence[ReceptionGapColumns]
    manifest: Manifest
    history: History


@dataclass(slots=True)
class FleetUptime:
    """Slots and time of every device over a window, shape (count,)."""

    present: NDArray[np.int64]
    expected: NDArray[np.int64]
    down_ns: NDArray[np.int64]
    accountable_ns: NDArray[np.int64]
    missing: list[dict[str, str]] = field(default_factory=list)
    is_available: bool = True
    """Whether time down and time that counts are known: they are not where silences are missing."""


def fleet_status(view: FleetView) -> tuple[NDArray[np.int8], NDArray[np.int64]]:
    """Status codes of all devices now, and since when each holds."""
    codes = np.zeros(view.count, np.int8)
    since_ns = np.zeros(view.count, np.int64)
    late_after_ns = np.array([policy.late_after_ns for policy in view.policies], np.int64)[view.policy_codes]
    down_after_ns = np.array([policy.down_after_ns for policy in view.policies], np.int64)[view.policy_codes]
    for devices, exclusions in view.excluded.by_class():
        codes[devices], since_ns[devices] = status_codes(
            view.last_received_ns[devices],
            view.up_since_ns[devices],
            late_after_ns[devices],
            down_after_ns[devices],
            excluded=exclusions,
            now_ns=view.now_ns,
        )
    return codes, since_ns


def fleet_uptime(view: FleetView, *, start_ns: int, end_ns: int, is_available: bool = True) -> FleetUptime:
    """Uptime (settled: on all beats) and availability of every device over [start_ns, end_ns)."""
    present, expected, down_ns, accountable_ns = (np.zeros(view.count, np.int64) for _ in range(4))
    found = FleetUptime(present, expected, down_ns, accountable_ns)
    slots = np.array([slot_minutes(policy.interval_s) for policy in view.policies], np.int64)[view.policy_codes]
    for slot in np.unique(slots).tolist():
        chosen = slots == slot
        _add_presence(view, found, chosen, slot, start_ns=start_ns, end_ns=end_ns)
    # Beats that came in since the look are marked already: none may count for which nothing was expected.
    np.minimum(found.present, found.expected, out=found.present)
    if is_available:
        _add_availability(view, found, start_ns=start_ns, end_ns=end_ns)
    return found


def _add_presence(
    view: FleetView, found: FleetUptime, chosen: NDArray[np.bool_], slot: int, *, start_ns: int, end_ns: int
) -> None:
    """The slots of the devices that share their length."""
    slot_ns = slot * NS_PER_MINUTE
    start, end = -(-start_ns // slot_ns) * slot, end_ns // slot_ns * slot
    if start >= end:
        return
    classes = [_Minutes(exclusions, start, end, slot) for _, exclusions in view.excluded.by_class()]
    for code, minutes in enumerate(classes):
        members = (
            np.flatnonzero(chosen & (view.excluded.classes == code)) if len(classes) > 1 else np.flatnonzero(chosen)
        )
        # Slots that count whether somebody was there or not: from the first one seen on.
        seen = np.clip(
            (view.first_minute[members].astype(np.int64) // slot * slot - start) // slot,
            0,
            len(minutes.counted_before) - 1,
        )
        found.expected[members] += minutes.counted_before[-1] - minutes.counted_before[seen]
    for day in range(start // MINUTES_PER_DAY, -(-end // MINUTES_PER_DAY)):
        first, last = max(start, day * MINUTES_PER_DAY), min(end, (day + 1) * MINUTES_PER_DAY)
        is_plain = last - first == MINUTES_PER_DAY and slot == 1 and all(minutes.is_plain(day) for minutes in classes)
        try:
            if is_plain and not _is_live(view, day):
                devices, counts = view.history.minutes(day, manifest=view.manifest)
                known = devices < view.count
                found.present[devices[known]] += np.where(chosen[devices[known]], counts[known], 0)
            else:
                _add_day(view, found, chosen, classes, day)
        except DamagedData as error:
            note_missing_day(found.missing, day, error)
            for code, minutes in enumerate(classes):
                members = (
                    np.flatnonzero(chosen & (view.excluded.classes == code))
                    if len(classes) > 1
                    else np.flatnonzero(chosen)
                )
                seen = np.maximum(view.first_minute[members].astype(np.int64) // slot * slot, first)
                places = np.clip(np.array([seen, np.full(len(seen), last)]), first, last) - start
                lost = minutes.counted_before[places[1] // slot] - minutes.counted_before[places[0] // slot]
                found.expected[members] -= lost


class _Minutes:
    """What is excluded for one class of devices, minute by minute of a window that is whole slots."""

    def __init__(self, exclusions: Exclusions, start: int, end: int, slot: int) -> None:
        count = end - start
        declared = minutes_touched(union(exclusions.maintenance, exclusions.paused), first_minute=start, count=count)
        blind = minutes_touched(exclusions.blind, first_minute=start, count=count)
        self.start, self.end, self.slot = start, end, slot
        # A slot that anything declared touches is out; one that blind time touches is in where somebody was there.
        self.is_out = np.repeat(declared.reshape(-1, slot).any(axis=1), slot)
        self.is_blind = np.repeat(blind.reshape(-1, slot).any(axis=1), slot) & ~self.is_out
        counted = ~(self.is_out | self.is_blind).reshape(-1, slot)[:, 0]
        self.counted_before = np.concatenate([np.zeros(1, np.int64), np.cumsum(counted)])

    def of_day(self, day: int) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """The minutes of a day that may be present and count; and those of them that count only where present."""
        inside, blind = np.zeros(MINUTES_PER_DAY, bool), np.zeros(MINUTES_PER_DAY, bool)
        first, last = max(self.start, day * MINUTES_PER_DAY), min(self.end, (day + 1) * MINUTES_PER_DAY)
        place, part = (
            slice(first - day * MINUTES_PER_DAY, last - day * MINUTES_PER_DAY),
            slice(first - self.start, last - self.start),
        )
        inside[place] = ~self.is_out[part]
        blind[place] = self.is_blind[part]
        return inside, blind

    def is_plain(self, day: int) -> bool:
        """Whether nothing is excluded in a day."""
        part = slice(max(0, day * MINUTES_PER_DAY - self.start), max(0, (day + 1) * MINUTES_PER_DAY - self.start))
        return not (self.is_out[part].any() or self.is_blind[part].any())


def _is_live(view: FleetView, day: int) -> bool:
    return any(day in days for days in view.dense) or any(day in sparse.days for sparse in view.sparse)


def _add_day(
    view: FleetView, found: FleetUptime, chosen: NDArray[np.bool_], classes: Sequence[_Minutes], day: int
) -> None:
    """The present slots of a day, by looking at its minutes."""
    slot = classes[0].slot
    masks = [minutes.of_day(day) for minutes in classes]
    inside = np.array([pack_minutes(mask) for mask, _ in masks])
    blind = np.array([pack_minutes(mask) for _, mask in masks])
    is_blind = [bool(mask.any()) for _, mask in masks]
    present, expected = np.zeros(view.count, np.int64), np.zeros(view.count, np.int64)
    for devices, rows in presence_rows(view, day):
        asked = np.flatnonzero(chosen[devices])
        some, there = devices[asked], rows[asked]
        codes = view.excluded.classes[some]
        present[some] = _count(there & inside[codes], slot)
        if any(is_blind):
            expected[some] = _count(there & blind[codes], slot)
    # Only now: a block that turns out to be damaged half way counts not at all.
    found.present += present
    found.expected += expected


def _count(rows: Rows, slot: int) -> NDArray[np.int64]:
    """In how many slots of the day each device was present."""
    if slot == 1:
        return count_minutes(rows)
    counts = [
        unpack_minutes(rows[first : first + UNPACKED_ROWS])
        .reshape(-1, MINUTES_PER_DAY // slot, slot)
        .any(axis=2)
        .sum(axis=1)
        for first in range(0, len(rows), UNPACKED_ROWS)
    ]
    return np.concatenate([np.zeros(0, np.int64), *counts])


def presence_rows(view: FleetView, day: int) -> Iterator[tuple[NDArray[np.int64], Rows]]:
    """All that is known of a day's presence: device numbers, and their rows; a chunk of devices at a time."""
    closed = (
        view.history.chunks(day, manifest=view.manifest)
        if closed_presence(view.manifest, day) is not None
        else iter(())
    )
    held = next(closed, None)
    sparse = [late.of_day(day) for late in view.sparse]
    for start in range(0, view.count, CHUNK):
        end = min(view.count, start + CHUNK)
        rows: Rows = np.zeros((end - start, (MINUTES_PER_DAY + 63) // 64), np.uint64)
        if held is not None and held[0][0] < end:
            known = held[0] < view.count
            rows[held[0][known] - start] = held[1][known]
            held = next(closed, None)
        for days in view.dense:
            if day in days:
                part = days[day][start:end]
                rows[: len(part)] |= part
        for devices, late in sparse:
            first, last = np.searchsorted(devices, [start, end])
            rows[devices[first:last] - start] |= late[first:last]
        present = np.flatnonzero(rows.any(axis=1))
        yield present + start, rows[present]


def _add_availability(view: FleetView, found: FleetUptime, *, start_ns: int, end_ns: int) -> None:
    """Time down, and time that counts, by the clock of each class that stands still in what is excluded."""

    def note(day: int, error: DamagedData) -> None:
        found.is_available = False
        note_missing_day(found.missing, day, error)

    closed = view.history.gaps(view.manifest, start_day=start_ns // NS_PER_DAY, end_day=2**31, on_damage=note)
    if not found.is_available:
        return
    clocks = [_Clock(exclusions) for _, exclusions in view.excluded.by_class()]
    heard_ns = np.where(view.last_received_ns == NEVER_NS, np.iinfo(np.int64).max, 0)
    for piece in (*closed, *view.gaps):
        gaps = piece.where((piece.end_ns > start_ns) & (piece.devices < view.count))
        is_first = gaps.start_ns == NEVER_NS
        heard_ns[gaps.devices[is_first]] = gaps.end_ns[is_first]
        gaps = gaps.where(~is_first & (gaps.start_ns < end_ns))
        after_ns = (gaps.interval_s.astype(np.int64) + gaps.grace_s) * NS_PER_S
        ended = _Silent(gaps.devices.astype(np.int64), gaps.start_ns, gaps.end_ns, after_ns)
        _add_down(view, found, clocks, ended, start_ns=start_ns, end_ns=end_ns)
    down_after_ns = np.array([policy.down_after_ns for policy in view.policies], np.int64)[view.policy_codes]
    silent = np.flatnonzero((view.last_received_ns != NEVER_NS) & (view.last_received_ns < end_ns))
    going_on = _Silent(silent, view.last_received_ns[silent], np.full(len(silent), view.now_ns), down_after_ns[silent])
    _add_down(view, found, clocks, going_on, start_ns=start_ns, end_ns=end_ns)
    for (devices, _), clock in zip(view.excluded.by_class(), clocks, strict=True):
        since_ns = np.maximum(heard_ns[devices], start_ns)
        accountable_ns = clock.at(np.full(len(since_ns), end_ns)) - clock.at(since_ns)
        found.accountable_ns[devices] = np.where(since_ns < end_ns, accountable_ns, 0)


@dataclass(frozen=True, slots=True)
class _Silent:
    """Silences as columns, with how long each may last until the device is down."""

    devices: NDArray[np.int64]
    start_ns: NDArray[np.int64]
    end_ns: NDArray[np.int64]
    after_ns: NDArray[np.int64]


class _Clock:
    """A clock that stands still in excluded time."""

    def __init__(self, exclusions: Exclusions) -> None:
        self._spans = exclusions.all

    def at(self, at_ns: NDArray[np.int64]) -> NDArray[np.int64]:
        """What it shows."""
        return at_ns - covered_before(self._spans, at_ns) if len(self._spans) else at_ns


def _add_down(
    view: FleetView, found: FleetUptime, clocks: Sequence[_Clock], silent: _Silent, *, start_ns: int, end_ns: int
) -> None:
    codes = view.excluded.classes[silent.devices]
    for code, clock in enumerate(clocks):
        some = np.flatnonzero(codes == code) if len(clocks) > 1 else np.arange(len(codes))
        if len(some):
            bounds = clock.at(np.array([start_ns, end_ns], np.int64))
            begins = np.maximum(clock.at(silent.start_ns[some]) + silent.after_ns[some], bounds[0])
            ends = np.minimum(clock.at(silent.end_ns[some]), bounds[1])
            np.add.at(found.down_ns, silent.devices[some], np.maximum(0, ends - begins))
