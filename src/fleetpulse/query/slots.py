"""Uptime by the formula before: the slots of a window, for one device and for a million by the same steps.

All slots are first counted as if no heartbeat had been sent, from what is excluded alone; devices that share their
exclusions and the length of their slots share this work. Then the presence of each day moves slots to their reasons.
Source: docs/explanation/uptime.md, "Why time and not slots".
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from fleetpulse.aggregate.spans import Spans
from fleetpulse.aggregate.uptime import slot_minutes
from fleetpulse.errors import DamagedData
from fleetpulse.model.units import NS_PER_DAY, NS_PER_MINUTE
from fleetpulse.model.uptime import DOWN, MISSING, REASONS, UP
from fleetpulse.query.missing import note_missing_day
from fleetpulse.query.slot_counting import DayPresence, DaySlots, SlotCounting, SlotCounts
from fleetpulse.query.view import FleetView
from fleetpulse.query.window import Window


@dataclass(slots=True)
class DeviceSlots(SlotCounts):
    """Slots of one device, by all reasons; and, where they are explained, the reason of each of them."""

    start_ns: int = 0
    slot_ns: int = NS_PER_MINUTE
    codes: NDArray[np.int8] | None = None
    """Codes of REASONS, shape (slots,), from `start_ns` on."""


def count_slots(view: FleetView, window: Window) -> SlotCounts:
    """The slots in which each device was there, all as UP, and those in which it was not, as DOWN; others are left out.

    A slot is in the step in which it begins.
    Cost: days of which nothing is stored cost nothing; of closed days in which nothing is excluded only counts of
    minutes are read, of other days all rows, each day once. Raises: QuestionStopped.
    """
    return _counted(view, window, are_steps_apart=False)


def count_slots_by_step(view: FleetView, window: Window) -> SlotCounts:
    """The same, but each step is a window of its own: a slot that does not lie wholly in one step is in none."""
    starts_ns = [window.bucket_start_ns(bucket) for bucket in range(window.buckets)]
    lengths_ns = {slot_minutes(policy.interval_s) * NS_PER_MINUTE for policy in view.live.policies}
    if all(start_ns % length_ns == 0 for start_ns in starts_ns[1:] for length_ns in lengths_ns):
        return count_slots(view, window)
    counted = _counted(view, window, are_steps_apart=True)
    return SlotCounts(counted.counts[:, :, ::2], counted.missing)


def _counted(view: FleetView, window: Window, *, are_steps_apart: bool) -> SlotCounts:
    """See SlotCounting. Args: are_steps_apart: whether there are columns for the slots between two steps."""
    excluded = view.excluded.within(window.start_ns - NS_PER_DAY, window.end_ns + NS_PER_DAY)
    view = replace(view, excluded=excluded)
    slots = view.of_policies(lambda policy: slot_minutes(policy.interval_s))
    columns = 2 * window.buckets - 1 if are_steps_apart else window.buckets
    result = SlotCounts(np.zeros((len(REASONS), view.count, columns), np.int32))
    countings = [
        SlotCounting(view, window, slot, slots == slot, result, are_steps_apart=are_steps_apart)
        for slot in np.unique(slots).tolist()
    ]
    _count(view, window, countings)
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
    counting = SlotCounting(view, window, slot, np.ones(1, bool), result, unheard=unheard, is_explained=is_explained)
    _count(view, window, [counting])
    result.start_ns = counting.start * NS_PER_MINUTE
    if is_explained:
        result.codes = np.concatenate([np.zeros(0, np.int8), *counting.codes])
    return result


def _count(view: FleetView, window: Window, countings: Sequence[SlotCounting]) -> None:
    """Count everything in one pass over the days of which anything is stored."""
    for counting in countings:
        counting.count_absent()
    days = range(window.start_ns // NS_PER_DAY, -(-window.end_ns // NS_PER_DAY))
    # The reason of every slot is wanted also of days without any presence.
    is_explained = any(counting.is_explained for counting in countings)
    for day in days if is_explained else view.days_with_presence(days):
        view.budget.check()
        of_day = [(counting, found) for counting in countings if (found := counting.day(day)) is not None]
        if of_day:
            _add_day(view, of_day)


def _add_day(view: FleetView, of_day: Sequence[tuple[SlotCounting, DaySlots]]) -> None:
    """Count the presence of a day, of which each row is read once."""
    (first, day), *_ = of_day
    down = DOWN
    try:
        # Only when all of a block is read: one that turns out to be damaged half way counts not at all.
        present = _present(view, of_day, down)
    except DamagedData as error:
        note_missing_day(first.missing, day.day, error)
        down = MISSING
        for counting, of_counting in of_day:
            counting.lose(of_counting)
        present = _present(view, of_day, down)
    for (counting, of_counting), found in zip(of_day, present, strict=True):
        counting.add(of_counting, found, down)


def _present(view: FleetView, of_day: Sequence[tuple[SlotCounting, DaySlots]], down: int) -> list[list[DayPresence]]:
    """The presence of a day, by counting. Args: down: MISSING where its block is lost. Raises: DamagedData."""
    is_plain = [down == DOWN and counting.is_plain(day) for counting, day in of_day]
    found = [
        [counting.minutes_present(day)] if plain else []
        for (counting, day), plain in zip(of_day, is_plain, strict=True)
    ]
    counts = [
        (into, counting.slots_present(day, down))
        for (counting, day), into, plain in zip(of_day, found, is_plain, strict=True)
        if not plain
    ]
    if counts:
        for places, rows in view.presence(of_day[0][1].day, is_closed_read=down == DOWN):
            view.budget.check()
            for into, count in counts:
                into.append(count(places, rows))
    return found
