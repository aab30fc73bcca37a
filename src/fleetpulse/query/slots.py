"""Windowed uptime: the slots of a window by what they count as, for one device and for a million by the same steps.

All slots are first counted as if no heartbeat had been sent, from what is excluded alone; devices that share their
exclusions and the length of their slots share this work. Then the presence of each day moves slots to their reasons.
Source: docs/explanation/uptime.md, "Windowed uptime".
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from fleetpulse.aggregate.presence import count_minutes
from fleetpulse.aggregate.spans import Spans, minutes_inside, minutes_touched
from fleetpulse.aggregate.status import Exclusions
from fleetpulse.aggregate.uptime import absent_reasons, fold_slots, pack_minutes, slot_minutes, unpack_minutes
from fleetpulse.errors import DamagedData
from fleetpulse.model.units import MINUTES_PER_DAY, NS_PER_DAY, NS_PER_MINUTE
from fleetpulse.model.uptime import BACKFILLED, BEFORE, BLIND, DELETED, DOWN, MAINTENANCE, MISSING, PAUSED, REASONS, UP
from fleetpulse.query.answers import Missing
from fleetpulse.query.missing import note_missing_day
from fleetpulse.query.view import FleetView
from fleetpulse.query.window import Window

Places = NDArray[np.int64]
"""Places of devices in a view, shape (n,)."""
Bits = NDArray[np.uint64]
"""Slots of a day, shape (devices, words): a bit a slot, low bits first."""


@dataclass(slots=True)
class SlotCounts:
    """Slots by reason, device and step of the window: `counts` is int32, shape (reasons, n, steps)."""

    counts: NDArray[np.int32]
    missing: list[Missing] = field(default_factory=list)

    @property
    def present(self) -> NDArray[np.int32]:
        """Slots in which each device was there: int32, shape (n, steps)."""
        return np.asarray(self.counts[UP] + self.counts[BACKFILLED])

    @property
    def expected(self) -> NDArray[np.int32]:
        """Slots that count for each device: int32, shape (n, steps)."""
        return np.asarray(self.present + self.counts[DOWN])


@dataclass(slots=True)
class DeviceSlots(SlotCounts):
    """Slots of one device, by all reasons; and, where they are explained, the reason of each of them."""

    start_ns: int = 0
    slot_ns: int = NS_PER_MINUTE
    codes: NDArray[np.int8] | None = None
    """Codes of REASONS, shape (slots,), from `start_ns` on."""


def count_slots(view: FleetView, window: Window) -> SlotCounts:
    """The slots in which each device was there, all as UP, and those in which it was not, as DOWN; others are left out.

    Cost: of closed days in which nothing is excluded only counts of minutes are read; of other days all rows.
    """
    slots = view.of_policies(lambda policy: slot_minutes(policy.interval_s))
    result = SlotCounts(np.zeros((len(REASONS), view.count, window.buckets), np.int32))
    for slot in np.unique(slots).tolist():
        _Counting(view, window, slot, slots == slot, result).run()
    # Presence may hold heartbeats that came in after the view was made: they must not count beyond what is expected.
    too_many = np.minimum(result.counts[DOWN], 0)
    result.counts[UP] += too_many
    result.counts[DOWN] -= too_many
    return result


def explain_slots(view: FleetView, window: Window, *, unheard: Spans, is_explained: bool) -> DeviceSlots:
    """The slots of the one device of a view by all reasons.

    Args:
        unheard: spans in which nothing was received from the device; a slot is BACKFILLED if all of its heartbeats are
            in one of them. Spans that touch must not be joined, since something was received between them.
        is_explained: whether `codes` are wanted, for which the rows of all days are read.
    """
    slot = slot_minutes(view.live.policies[int(view.live.policy_codes[0])].interval_s)
    result = DeviceSlots(np.zeros((len(REASONS), 1, window.buckets), np.int32), slot_ns=slot * NS_PER_MINUTE)
    counting = _Counting(view, window, slot, np.ones(1, bool), result, unheard=unheard, is_explained=is_explained)
    counting.run()
    result.start_ns = counting.start * NS_PER_MINUTE
    if is_explained:
        result.codes = np.concatenate([np.zeros(0, np.int8), *counting.codes])
    return result


class _Class:
    """Devices that share their exclusions, and what each slot counts as for them where nothing was sent in it."""

    def __init__(self, exclusions: Exclusions, members: Places, *, start: int, count: int, slot: int) -> None:
        blind, maintenance, paused, deleted = (
            minutes_touched(spans, first_minute=start, count=count)
            for spans in (exclusions.blind, exclusions.maintenance, exclusions.paused, exclusions.deleted)
        )
        self.members = members
        self.absent = absent_reasons(blind=blind, maintenance=maintenance, paused=paused, deleted=deleted, slot=slot)

    def before(self, reason: int) -> NDArray[np.int32]:
        """How many slots of a reason lie before each slot, and at the end how many there are, shape (slots + 1,)."""
        before = np.zeros(len(self.absent) + 1, np.int32)
        np.cumsum(self.absent == reason, out=before[1:])
        return before


@dataclass(frozen=True, slots=True)
class _Day:
    """One UTC day of the window: slots `first` .. `last` - 1 of the window, from slot `offset` of the day on."""

    day: int
    first: int
    last: int
    offset: int
    steps: slice


@dataclass(frozen=True, slots=True)
class _Presence:
    """Slots of devices in a day, shape (places, steps): all present, those in time, and those in blind time."""

    places: Places
    present: NDArray[np.int64]
    in_time: NDArray[np.int64]
    blind: NDArray[np.int64] | int


class _Counting:
    """Counts the slots of devices whose slots are equally long; `is_chosen`, shape (n,), tells which."""

    def __init__(
        self,
        view: FleetView,
        window: Window,
        slot: int,
        is_chosen: NDArray[np.bool_],
        result: SlotCounts,
        *,
        unheard: Spans | None = None,
        is_explained: bool = False,
    ) -> None:
        slot_ns = slot * NS_PER_MINUTE
        self.start = -(-window.start_ns // slot_ns) * slot
        count = max(0, window.end_ns // slot_ns * slot - self.start)
        self.codes: list[NDArray[np.int8]] = []
        self._view, self._slot, self._is_chosen, self._result = view, slot, is_chosen, result
        self._is_all = bool(is_chosen.all())
        self._unheard, self._is_explained = unheard, is_explained
        self._slots = count // slot
        starts_ns = [window.bucket_start_ns(step) for step in range(window.buckets)]
        edges = -(-np.array([*starts_ns, window.end_ns], np.int64) // slot_ns) - self.start // slot
        self._edges = np.clip(edges, 0, self._slots)
        """Where each step begins, and where the last one ends, in slots of the window."""
        self._edges[-1] = self._slots
        codes = view.excluded.classes
        many = len(view.excluded.of_class) > 1
        self._classes = [
            _Class(
                exclusions,
                np.flatnonzero(is_chosen & (codes == code)) if many else np.flatnonzero(is_chosen),
                start=self.start,
                count=count,
                slot=slot,
            )
            for code, exclusions in enumerate(view.excluded.of_class)
        ]

    def run(self) -> None:
        """Count everything into the result."""
        if not self._slots:
            return
        counts = self._result.counts
        reasons = (DOWN,) if self._unheard is None else (DOWN, BLIND, MAINTENANCE, PAUSED, DELETED)
        for devices in self._classes:
            for reason in (reason for reason in reasons if (devices.absent == reason).any()):
                counts[reason, devices.members] += self._absent(devices, reason, 0, self._slots)
            if self._unheard is not None:
                counts[BEFORE, devices.members] += np.diff(np.minimum(self._seen(devices), self._edges))
        for day in self._days():
            self._add_day(day)

    def _seen(self, devices: _Class) -> NDArray[np.int64]:
        """The slot of each device's first heartbeat, shape (members, 1), in slots of the window."""
        first_minute = self._view.live.first_minute[devices.members].astype(np.int64)
        return np.clip(first_minute // self._slot - self.start // self._slot, 0, self._slots)[:, None]

    def _absent(self, devices: _Class, reason: int, first: int, last: int) -> NDArray[np.int32]:
        """Slots in [first, last), since the first heartbeat, that count as `reason` when absent: (members, steps)."""
        places = np.clip(np.maximum(self._seen(devices), self._edges), first, last)
        return np.asarray(np.diff(devices.before(reason)[places]))

    def _days(self) -> Iterator[_Day]:
        day_slots = MINUTES_PER_DAY // self._slot
        start = self.start // self._slot
        for day in range(start // day_slots, -(-(start + self._slots) // day_slots)):
            first, last = max(0, day * day_slots - start), min(self._slots, (day + 1) * day_slots - start)
            steps = slice(
                int(np.searchsorted(self._edges, first, side="right")) - 1, int(np.searchsorted(self._edges, last))
            )
            yield _Day(day, first, last, start + first - day * day_slots, steps)

    def _add_day(self, day: _Day) -> None:
        """Move the slots in which heartbeats were sent from where they count as absent."""
        down = DOWN
        try:
            # Only when all of a block is read: one that turns out to be damaged half way counts not at all.
            present = [self._minutes_present(day)] if self._is_plain(day) else list(self._slots_present(day, down))
        except DamagedData as error:
            note_missing_day(self._result.missing, day.day, error)
            down = MISSING
            for devices in self._classes:
                count = self._absent(devices, DOWN, day.first, day.last)
                self._result.counts[DOWN, devices.members] -= count
                self._result.counts[MISSING, devices.members] += count
            present = list(self._slots_present(day, down))
        for part in present:
            counts = self._result.counts[:, :, day.steps]
            counts[UP, part.places] += part.in_time
            counts[down, part.places] -= part.present - part.blind
            if self._unheard is not None:
                counts[BACKFILLED, part.places] += part.present - part.in_time
                counts[BLIND, part.places] -= part.blind

    def _is_plain(self, day: _Day) -> bool:
        """Whether nothing but the number of minutes present in its block matters of a day."""
        return (
            self._slot == 1
            and day.last - day.first == MINUTES_PER_DAY
            and day.steps.stop - day.steps.start == 1
            and not self._is_explained
            and not self._view.live.has_presence(day.day)
            and self._unheard_in(day) is None
            and all(bool((devices.absent[day.first : day.last] == DOWN).all()) for devices in self._classes)
        )

    def _unheard_in(self, day: _Day) -> Spans | None:
        """The spans without reception, where any of it is in a day."""
        if self._unheard is None or not len(self._unheard):
            return None
        is_inside = (self._unheard[:, 0] < (day.day + 1) * NS_PER_DAY) & (self._unheard[:, 1] > day.day * NS_PER_DAY)
        return self._unheard[is_inside] if is_inside.any() else None

    def _minutes_present(self, day: _Day) -> _Presence:
        """Minutes of a plain day, by its block."""
        numbers = self._view.live.devices
        devices, minutes = self._view.history.minutes(day.day, manifest=self._view.manifest)
        # Of the column's own type, or all of it would be converted to search it.
        part = slice(*np.searchsorted(devices, np.array([numbers.start, numbers.stop], np.uint32)).tolist())
        places, counts = devices[part].astype(np.int64) - numbers.start, minutes[part].astype(np.int64)[:, None]
        chosen = slice(None) if self._is_all else np.flatnonzero(self._is_chosen[places])
        return _Presence(places[chosen], counts[chosen], counts[chosen], 0)

    def _slots_present(self, day: _Day, down: int) -> Iterator[_Presence]:
        """The slots of a day that are present, by its rows. Args: down: MISSING where its block is lost, else DOWN."""
        day_slots = MINUTES_PER_DAY // self._slot
        absent = np.full((len(self._classes), day_slots), PAUSED, np.int8)
        absent[:, day.offset : day.offset + day.last - day.first] = [
            devices.absent[day.first : day.last] for devices in self._classes
        ]
        may_count, blind = pack_minutes((absent == DOWN) | (absent == BLIND)), pack_minutes(absent == BLIND)
        is_blind = bool(blind.any())
        unheard = self._unheard_in(day)
        if unheard is not None:
            minutes = minutes_inside(unheard, first_minute=day.day * MINUTES_PER_DAY, count=MINUTES_PER_DAY)
            heard = ~pack_minutes(minutes)
        for all_places, all_rows in self._view.presence(day.day, is_closed_read=down == DOWN):
            chosen = slice(None) if self._is_all else np.flatnonzero(self._is_chosen[all_places])
            places, rows = all_places[chosen], all_rows[chosen]
            codes = self._view.excluded.classes[places] if len(self._classes) > 1 else slice(None)
            there = fold_slots(rows, self._slot) & may_count[codes]
            in_time = there if unheard is None else fold_slots(rows & heard, self._slot) & may_count[codes]
            if self._is_explained:
                self._explain(day, absent[0], there, in_time, down)
            present = self._by_step(there, day)
            yield _Presence(
                places,
                present,
                present if unheard is None else self._by_step(in_time, day),
                self._by_step(there & blind[codes], day) if is_blind else 0,
            )

    def _explain(self, day: _Day, absent: NDArray[np.int8], there: Bits, in_time: Bits, down: int) -> None:
        """Note the reason of every slot of a day of the one device."""
        is_there, is_in_time = (unpack_minutes(bits[0], count=len(absent)) for bits in (there, in_time))
        reasons = np.select([is_in_time, is_there, absent == DOWN], [UP, BACKFILLED, down], absent).astype(np.int8)
        seen = int(self._seen(self._classes[0])[0, 0]) - day.first + day.offset
        reasons[: max(0, seen)] = BEFORE
        self.codes.append(reasons[day.offset : day.offset + day.last - day.first])

    def _by_step(self, bits: Bits, day: _Day) -> NDArray[np.int64]:
        """How many slots are set in each step of a day, shape (devices, steps)."""
        if day.steps.stop - day.steps.start == 1:
            return count_minutes(bits)[:, None]
        edges = np.clip(self._edges[day.steps.start : day.steps.stop + 1], day.first, day.last) - day.first + day.offset
        before = np.zeros((len(bits), MINUTES_PER_DAY // self._slot + 1), np.int64)
        np.cumsum(unpack_minutes(bits, count=before.shape[1] - 1), axis=1, out=before[:, 1:])
        return np.diff(before[:, edges])
