"""Slots of one device and of the whole fleet are the same, whatever is in blocks, in memory, excluded or lost."""

import random

import numpy as np
import pytest

from fleetpulse.aggregate.spans import spans_of
from fleetpulse.model.uptime import MISSING, REASONS, UP
from fleetpulse.query.slots import count_slots, explain_slots
from fleetpulse.query.window import Window
from one_fleet import SECOND, OneFleet

MINUTE, HOUR, DAY = 60 * SECOND, 3_600 * SECOND, 86_400 * SECOND
NO_GAPS = spans_of([])


def reasons_of(one: OneFleet, window: Window, device: int = 0) -> dict[str, int]:
    """Slots of a fleet of one by reason, counted and explained alike; the whole fleet counts the same."""
    view = one.view(window.start_ns, device)
    counted = explain_slots(view, window, unheard=NO_GAPS, is_explained=False)
    explained = explain_slots(view, window, unheard=NO_GAPS, is_explained=True)
    assert explained.codes is not None
    codes = np.bincount(explained.codes, minlength=len(REASONS)).tolist()
    assert codes == counted.counts.sum(axis=(1, 2)).tolist() == explained.counts.sum(axis=(1, 2)).tolist()
    whole = count_slots(one.fleet_view(window.start_ns), window)
    assert whole.present[device].tolist() == counted.present[0].tolist()
    assert whole.expected[device].tolist() == counted.expected[0].tolist()
    assert whole.missing == counted.missing == explained.missing
    return {REASONS[code]: count for code, count in enumerate(codes) if count}


def beats(one: OneFleet, day: int, *minutes: int, device: int = 0) -> None:
    for minute in minutes:
        one.hear(f"2026-05-{day:02}T{minute // 60:02}:{minute % 60:02}:10", device=device)


def test_a_day_counts_the_same_in_memory_in_a_block_and_with_late_data_on_top() -> None:
    one = OneFleet(devices=3)
    beats(one, 11, 0, 1, 2, 700)
    beats(one, 11, 5, device=2)
    one.move("2026-05-14T00:00:00")
    window = Window(one.at("2026-05-11T00:00:00"), one.at("2026-05-12T00:00:00"))
    expected = {"up": 4, "down": 1_436}
    assert reasons_of(one, window) == expected
    one.hear("2026-05-14T00:00:05", device=1)  # so that the day of device 0 is closed
    one.checkpoint()
    assert reasons_of(one, window) == expected
    assert reasons_of(one, window, device=1) == {"before_first_seen": 1_440}
    one.hear("2026-05-14T00:00:10", sent_at="2026-05-11T23:59:00")
    assert reasons_of(one, window) == {"up": 5, "down": 1_435}


def test_a_lost_day_is_missing_but_for_the_beats_that_memory_still_holds() -> None:
    one = OneFleet()
    beats(one, 11, 0, 1, 2)
    beats(one, 12, 3)
    one.hear("2026-05-14T00:00:05")
    one.checkpoint()
    window = Window(one.at("2026-05-11T00:00:00"), one.at("2026-05-13T00:00:00"))
    assert reasons_of(one, window) == {"up": 4, "down": 2 * 1_440 - 4}
    one.lose(one.history.manifest.presence[window.start_ns // DAY])
    assert reasons_of(one, window) == {"up": 1, "down": 1_439, "missing": 1_440}
    one.hear("2026-05-14T00:00:10", sent_at="2026-05-11T23:59:00")
    assert reasons_of(one, window) == {"up": 2, "down": 1_439, "missing": 1_439}
    (missing,) = count_slots(one.fleet_view(window.start_ns), window).missing
    assert (missing.start, missing.end) == ("2026-05-11T00:00:00Z", "2026-05-12T00:00:00Z")


def test_steps_hold_the_slots_that_begin_in_them_and_those_shorter_than_a_slot_may_hold_none() -> None:
    one = OneFleet(interval_s=300)
    beats(one, 11, 0, 7, 11, 14)
    one.move("12:00:00")
    window = Window(one.at("00:00:00"), one.at("00:20:00"), 2 * MINUTE)
    slots = explain_slots(one.view(window.start_ns), window, unheard=NO_GAPS, is_explained=False)
    assert slots.expected[0].tolist() == [1, 0, 1, 0, 0, 1, 0, 1, 0, 0]
    assert slots.present[0].tolist() == [1, 0, 1, 0, 0, 1, 0, 0, 0, 0]


def test_a_slot_all_of_whose_beats_came_while_nothing_was_received_is_backfilled() -> None:
    one = OneFleet(interval_s=120, grace_s=0)
    beats(one, 11, 0, 1, 2, 5)
    one.move("12:00:00")
    window = Window(one.at("00:00:00"), one.at("00:08:00"))
    unheard = spans_of([(one.at("00:01:00"), one.at("00:04:30"))])
    slots = explain_slots(one.view(window.start_ns), window, unheard=unheard, is_explained=True)
    assert slots.codes is not None
    assert [REASONS[code] for code in slots.codes] == ["up", "backfilled", "up", "down"]
    assert slots.slot_ns == 2 * MINUTE


@pytest.mark.parametrize("seed", range(25))
def test_the_whole_fleet_counts_each_device_as_a_fleet_of_one_does(seed: int) -> None:
    chance = random.Random(seed)
    one = OneFleet(devices=5, interval_s=chance.choice([60, 300]))
    day = one.at("00:00:00")
    moments = sorted(chance.sample(range(3 * 24 * 60), 60))
    for place, minute in enumerate(moments):
        one.now = day + minute * MINUTE + chance.randrange(MINUTE)
        if place in (20, 40) and chance.random() < 0.7:
            one.fleet.advance(one.now)
            one.checkpoint()
        late = one.now - chance.choice([0, 0, 0, 2 * HOUR, 30 * HOUR])
        one.beat_at(late, device=chance.randrange(4))
    for device in chance.sample(range(5), 2):
        one.pause_at(chance.choice(moments) * MINUTE + day, chance.choice(moments) * MINUTE + day + DAY, device=device)
    if chance.random() < 0.5:
        one.maintain("2026-05-12T03:00:00", "2026-05-12T04:30:30")
    start_ns = day + chance.choice([0, 0, 1, 17 * MINUTE, DAY])
    window = Window(start_ns, one.now, chance.choice([None, DAY, HOUR, 7 * MINUTE]))
    for device in range(5):
        reasons = reasons_of(one, window, device)
        assert reasons.get(REASONS[MISSING]) is None
        assert device < 4 or REASONS[UP] not in reasons
