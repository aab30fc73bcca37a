"""Days are counted in one pass: those of which nothing is stored are not looked at, and each row is read once."""

from collections.abc import Iterator
from typing import Any

import pytest

from fleetpulse.errors import QuestionStopped
from fleetpulse.model.heartbeat_policy import HeartbeatPolicy
from fleetpulse.model.policy_history import always
from fleetpulse.query.budget import Budget
from fleetpulse.query.slot_counting import SlotCounts
from fleetpulse.query.slots import count_slots, count_slots_by_step
from fleetpulse.query.view import FleetView
from fleetpulse.query.window import Window
from one_fleet import SECOND, OneFleet

MINUTE, HOUR, DAY = 60 * SECOND, 3_600 * SECOND, 86_400 * SECOND


def fleet() -> OneFleet:
    """Devices with three lengths of slots, heard on two days a month apart; the first day is in a block."""
    one = OneFleet(devices=3)
    one.fleet.set_policy(1, always(HeartbeatPolicy(300, 240)))
    one.fleet.set_policy(2, always(HeartbeatPolicy(3_600, 240)))
    for device in range(3):
        one.hear("2026-05-11T10:00:00", "2026-05-11T10:20:00", device=device)
    one.hear("2026-06-11T10:00:00")
    one.checkpoint()
    one.move("2026-06-12T00:00:00")
    return one


def counted(one: OneFleet, window: Window, monkeypatch: pytest.MonkeyPatch) -> tuple[SlotCounts, list[int]]:
    """The slots of all devices, and which days were read."""
    days: list[int] = []
    read = FleetView.presence

    def presence(view: FleetView, day: int, **more: Any) -> Iterator[Any]:
        days.append(day)
        yield from read(view, day, **more)

    monkeypatch.setattr(FleetView, "presence", presence)
    return count_slots(one.fleet_view(window.start_ns), window), days


def test_of_days_without_presence_nothing_is_read_and_of_others_each_row_once(monkeypatch: pytest.MonkeyPatch) -> None:
    one = fleet()
    window = Window(one.at("2026-01-01T00:00:00"), one.now)
    slots, days = counted(one, window, monkeypatch)
    read = {day * DAY for day in days}
    assert {one.at("2026-05-11T00:00:00"), one.at("2026-06-11T00:00:00")} <= read
    # Days that are open have a place in memory, whether anything is in it or not.
    assert len(days) == len(read) <= 6
    assert slots.present[:, 0].tolist() == [3, 2, 1]
    days_expected = 31 + 14 / 24
    assert slots.expected[:, 0].tolist() == [days_expected * 1_440, days_expected * 288, days_expected * 24]


def test_a_slot_in_two_steps_is_in_the_one_where_it_begins_or_in_none_where_each_step_is_a_window_of_its_own() -> None:
    one = fleet()
    window = Window(one.at("2026-05-11T10:00:00"), one.at("2026-05-11T11:00:00"), 12 * MINUTE)
    view = one.fleet_view(window.start_ns)
    assert count_slots(view, window).expected.tolist() == [[12] * 5, [3, 2, 3, 2, 2], [1, 0, 0, 0, 0]]
    apart = count_slots_by_step(view, window)
    assert apart.expected.tolist() == [[12] * 5, [2, 1, 2, 1, 2], [0] * 5]
    assert apart.present.tolist() == [[1, 1, 0, 0, 0], [1, 0, 0, 0, 0], [0] * 5]


def test_counting_stops_between_days_when_the_question_is_stopped() -> None:
    one = fleet()
    view = one.views.fleet_from(one.at("2026-05-01T00:00:00"), budget=Budget(is_gone=lambda: True))()
    with pytest.raises(QuestionStopped):
        count_slots(view, Window(one.at("2026-05-01T00:00:00"), one.now))
