"""The slots of the devices whose slots are equally long, counted day by day; see `slots`."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from fleetpulse.aggregate.presence import Rows, count_before, count_minutes
from fleetpulse.aggregate.slot_runs import ClassSweep, class_runs
from fleetpulse.aggregate.spans import Spans, minutes_inside
from fleetpulse.aggregate.uptime import fold_slots, pack_minutes, unpack_minutes
from fleetpulse.blocks.stored_late import has_late
from fleetpulse.model.units import MINUTES_PER_DAY, NS_PER_DAY, NS_PER_MINUTE
from fleetpulse.model.uptime import BACKFILLED, BEFORE, BLIND, DELETED, DOWN, MAINTENANCE, MISSING, PAUSED, UP
from fleetpulse.query.answers import Missing
from fleetpulse.query.view import FleetView
from fleetpulse.query.window import Window

FIGURES_AT_ONCE = 1_000_000
"""Devices times edges of steps that are counted at once: some 8 MB for each of a few arrays."""
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


@dataclass(frozen=True, slots=True)
class DaySlots:
    """One UTC day of the window: slots `first` .. `last` - 1 of the window, from slot `offset` of the day on."""

    day: int
    first: int
    last: int
    offset: int
    steps: slice


@dataclass(frozen=True, slots=True)
class DayPresence:
    """Slots of devices in a day, shape (places, steps): all present, those in time, and those in blind time."""

    places: Places
    present: NDArray[np.int64]
    in_time: NDArray[np.int64]
    blind: NDArray[np.int64] | int


class SlotCounting:
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
        are_steps_apart: bool = False,
    ) -> None:
        slot_ns = slot * NS_PER_MINUTE
        self.start = -(-window.start_ns // slot_ns) * slot
        count = max(0, window.end_ns // slot_ns * slot - self.start)
        self.codes: list[NDArray[np.int8]] = []
        self.missing = result.missing
        self._view, self._slot, self._is_chosen, self._result = view, slot, is_chosen, result
        self._is_all = bool(is_chosen.all())
        self._unheard, self.is_explained = unheard, is_explained
        self._slots = count // slot
        starts_ns = np.array([window.bucket_start_ns(step) for step in range(window.buckets)], np.int64)
        edges = -(-starts_ns // slot_ns)
        if are_steps_apart:
            edges = np.concatenate([edges[:1], np.stack([starts_ns // slot_ns, edges], axis=1)[1:].reshape(-1)])
            edges = np.maximum.accumulate(edges)  # a step that is shorter than a slot may have none
        self._edges = np.clip(np.append(edges - self.start // slot, self._slots), 0, self._slots)
        """Where each step begins, and where the last one ends, in slots of the window; with `are_steps_apart` the slots
        that are in two steps are a step of their own between these."""
        start_ns = self.start * NS_PER_MINUTE
        kinds = view.excluded.kinds(start_ns=start_ns, end_ns=start_ns + self._slots * slot_ns)
        self._runs = class_runs(
            kinds, classes=len(view.excluded.of_class), start_ns=start_ns, slot_ns=slot_ns, count=self._slots
        )
        self._sweep = ClassSweep(self._runs)
        self._members = np.flatnonzero(is_chosen)

    def count_absent(self) -> None:
        """Count all slots as if no heartbeat had been sent."""
        if not self._slots:
            return
        counts = self._result.counts
        reasons = (DOWN,) if self._unheard is None else (DOWN, BLIND, MAINTENANCE, PAUSED, DELETED)
        for members in self._parts():
            for reason in (reason for reason in reasons if (self._runs.reasons == reason).any()):
                counts[reason, members] += self._absent(members, reason, 0, self._slots)
            if self._unheard is not None:
                counts[BEFORE, members] += np.diff(np.minimum(self._seen(members), self._edges))

    def _parts(self) -> Iterator[Places]:
        """The places of the devices, as many at a time as are counted at once."""
        rows = max(1, FIGURES_AT_ONCE // len(self._edges))
        for start in range(0, len(self._members), rows):
            self._view.budget.check()
            yield self._members[start : start + rows]

    def _seen(self, members: Places) -> NDArray[np.int64]:
        """The slot of each device's first heartbeat, shape (members, 1), in slots of the window."""
        first_minute = self._view.live.first_sent_ns[members] // NS_PER_MINUTE
        return np.clip(first_minute // self._slot - self.start // self._slot, 0, self._slots)[:, None]

    def _absent(self, members: Places, reason: int, first: int, last: int) -> NDArray[np.int64]:
        """Slots in [first, last), since the first heartbeat, that count as `reason` when absent: (members, steps)."""
        places = np.clip(np.maximum(self._seen(members), self._edges), first, last)
        codes = self._view.excluded.classes[members].astype(np.int64)[:, None]
        return np.diff(self._runs.before(reason, codes, places))

    def day(self, day: int) -> DaySlots | None:
        """A day of the window; None where no slot of the window is in it."""
        day_slots = MINUTES_PER_DAY // self._slot
        start = self.start // self._slot
        first, last = max(0, day * day_slots - start), min(self._slots, (day + 1) * day_slots - start)
        if first >= last:
            return None
        steps = slice(
            int(np.searchsorted(self._edges, first, side="right")) - 1, int(np.searchsorted(self._edges, last))
        )
        return DaySlots(day, first, last, start + first - day * day_slots, steps)

    def lose(self, day: DaySlots) -> None:
        """Count the slots of a day whose block is lost as MISSING where no heartbeat is known of."""
        for members in self._parts():
            count = self._absent(members, DOWN, day.first, day.last)
            self._result.counts[DOWN, members] -= count
            self._result.counts[MISSING, members] += count

    def add(self, day: DaySlots, present: Sequence[DayPresence], down: int) -> None:
        """Move the slots in which heartbeats were sent from where they count as absent, `down` or BLIND."""
        for part in present:
            counts = self._result.counts[:, :, day.steps]
            counts[UP, part.places] += part.in_time
            counts[down, part.places] -= part.present - part.blind
            if self._unheard is not None:
                counts[BACKFILLED, part.places] += part.present - part.in_time
                counts[BLIND, part.places] -= part.blind

    def is_plain(self, day: DaySlots) -> bool:
        """Whether nothing but the number of minutes present in its block matters of a day."""
        return (
            self._slot == 1
            and day.last - day.first == MINUTES_PER_DAY
            and day.steps.stop - day.steps.start == 1
            and not self.is_explained
            and not self._view.live.has_presence(day.day)
            and not has_late(self._view.manifest, day.day)
            and self._unheard_in(day) is None
            and self._sweep.is_all(DOWN, day.first, day.last)
        )

    def _unheard_in(self, day: DaySlots) -> Spans | None:
        """The spans without reception, where any of it is in a day."""
        if self._unheard is None or not len(self._unheard):
            return None
        is_inside = (self._unheard[:, 0] < (day.day + 1) * NS_PER_DAY) & (self._unheard[:, 1] > day.day * NS_PER_DAY)
        return self._unheard[is_inside] if is_inside.any() else None

    def minutes_present(self, day: DaySlots) -> DayPresence:
        """Minutes of a plain day, by its block."""
        numbers = self._view.live.devices
        devices, minutes = self._view.history.minutes(day.day, manifest=self._view.manifest)
        # Of the column's own type, or all of it would be converted to search it.
        part = slice(*np.searchsorted(devices, np.array([numbers.start, numbers.stop], np.uint32)).tolist())
        places, counts = devices[part].astype(np.int64) - numbers.start, minutes[part].astype(np.int64)[:, None]
        chosen = slice(None) if self._is_all else np.flatnonzero(self._is_chosen[places])
        return DayPresence(places[chosen], counts[chosen], counts[chosen], 0)

    def slots_present(self, day: DaySlots, down: int) -> Callable[[Places, Rows], DayPresence]:
        """What gives the slots of a day that are present, by rows of it; `down` is MISSING where its block is lost."""
        rows, of_class = self._sweep.between(day.first, day.last)
        absent = np.full((len(rows), MINUTES_PER_DAY // self._slot), PAUSED, np.int8)
        absent[:, day.offset : day.offset + day.last - day.first] = rows
        may_count, blind = pack_minutes((absent == DOWN) | (absent == BLIND)), pack_minutes(absent == BLIND)
        is_blind = bool(blind.any())
        unheard = self._unheard_in(day)
        heard: Bits | None = None
        if unheard is not None:
            minutes = minutes_inside(unheard, first_minute=day.day * MINUTES_PER_DAY, count=MINUTES_PER_DAY)
            heard = ~pack_minutes(minutes)

        def count(all_places: Places, all_presence: Rows) -> DayPresence:
            chosen = slice(None) if self._is_all else np.flatnonzero(self._is_chosen[all_places])
            places, presence = all_places[chosen], all_presence[chosen]
            codes = of_class[self._view.excluded.classes[places]] if len(rows) > 1 else slice(None)
            there = fold_slots(presence, self._slot) & may_count[codes]
            in_time = there if heard is None else fold_slots(presence & heard, self._slot) & may_count[codes]
            if self.is_explained:
                self._explain(day, absent[of_class[0]], there, in_time, down)
            present = self._by_step(there, day)
            return DayPresence(
                places,
                present,
                present if heard is None else self._by_step(in_time, day),
                self._by_step(there & blind[codes], day) if is_blind else 0,
            )

        return count

    def _explain(self, day: DaySlots, absent: NDArray[np.int8], there: Bits, in_time: Bits, down: int) -> None:
        """Note the reason of every slot of a day of the one device."""
        is_there, is_in_time = (unpack_minutes(bits[0], count=len(absent)) for bits in (there, in_time))
        reasons = np.select([is_in_time, is_there, absent == DOWN], [UP, BACKFILLED, down], absent).astype(np.int8)
        seen = int(self._seen(self._members)[0, 0]) - day.first + day.offset
        reasons[: max(0, seen)] = BEFORE
        self.codes.append(reasons[day.offset : day.offset + day.last - day.first])

    def _by_step(self, bits: Bits, day: DaySlots) -> NDArray[np.int64]:
        """How many slots are set in each step of a day, shape (devices, steps)."""
        if day.steps.stop - day.steps.start == 1:
            return count_minutes(bits)[:, None]
        edges = np.clip(self._edges[day.steps.start : day.steps.stop + 1], day.first, day.last) - day.first + day.offset
        return np.diff(count_before(bits, edges))
