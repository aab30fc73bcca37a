"""Uptime by slots with the numbers written out; `OneFleet.slot_uptime` compares the figures of the whole fleet."""

from dataclasses import replace
from typing import Any

import pytest
from msgspec import UNSET

from fleetpulse.aggregate.uptime import lifetime_uptime_percent, slot_minutes
from fleetpulse.model.maintenance import Recurrence
from fleetpulse.model.uptime import SLOT_FORMULA
from fleetpulse.query.fleet import fleet_uptime
from fleetpulse.query.slot_uptime import device_slot_uptime
from fleetpulse.query.window import Window
from one_fleet import SECOND, OneFleet


def short(answer: dict[str, Any]) -> tuple[Any, ...]:
    return answer["uptime"], answer["present"], answer["expected"], answer["left_out_slots"]


def every(minutes: int, start: str, count: int) -> list[str]:
    hour, minute = (int(part) for part in start.split(":"))
    return [
        f"{at // 60:02}:{at % 60:02}:05"
        for at in range(hour * 60 + minute, hour * 60 + minute + count * minutes, minutes)
    ]


def test_one_heartbeat_is_all_there_is_and_then_ever_less() -> None:
    one = OneFleet()
    one.hear("12:00:30")
    one.move("12:00:59")
    assert short(one.slot_uptime("00:00:00", "12:00:59")) == (None, 0, 0, {"before_first_seen": 720})
    one.move("12:01:00")
    assert short(one.slot_uptime("00:00:00", "12:01:00")) == (100.0, 1, 1, {"before_first_seen": 720})
    one.move("12:05:00")
    assert short(one.slot_uptime("00:00:00", "12:05:00")) == (20.0, 1, 5, {"before_first_seen": 720})


def test_slots_are_of_minutes_anyway_so_no_answer_says_from_when_on_gaps_are_exact() -> None:
    one = OneFleet()
    one.hear("10:00:30", "10:30:30")
    one.history.manifest = replace(one.history.manifest, beats_exact_from_ns=one.at("10:40:00"))
    window = Window(one.at("10:00:00"), one.at("11:00:00"))
    one.move("11:00:00")
    assert "exact_from" in one.uptime("10:00:00", "11:00:00")
    assert "exact_from" not in one.slot_uptime("10:00:00", "11:00:00")
    whole = fleet_uptime(one.fleet_view(window.start_ns), window, by="", labels=(), formula=SLOT_FORMULA)
    assert whole.resolution is UNSET


def test_nothing_was_expected_of_a_device_that_sent_samples_alone() -> None:
    one = OneFleet()
    one.hear_sample("12:00:30")
    assert short(one.slot_uptime("12:00:00", "12:10:00")) == (None, 0, 0, {"before_first_seen": 10})
    assert one.status("12:00:31") == ("up", "12:00:30")


def test_a_window_shorter_than_a_slot_expects_nothing() -> None:
    one = OneFleet(interval_s=300)
    one.hear(*every(5, "10:00", 3))
    one.move("11:00:00")
    assert short(one.slot_uptime("10:01:00", "10:04:00")) == (None, 0, 0, {})
    assert short(one.slot_uptime("10:01:00", "10:09:59")) == (None, 0, 0, {})
    assert short(one.slot_uptime("10:00:00", "10:05:00")) == (100.0, 1, 1, {})


def test_slots_of_five_minutes() -> None:
    one = OneFleet(interval_s=300)
    one.hear("10:00:05", "10:04:59", "10:07:00", "10:16:00")
    one.move("10:22:00")
    # 10:00 and 10:05 and 10:15 present, 10:10 not; 10:20 is not past.
    assert short(one.slot_uptime("09:50:00", "10:22:00")) == (75.0, 3, 4, {"before_first_seen": 2})


def test_slots_of_an_interval_of_seven_minutes_are_eight_long() -> None:
    one = OneFleet(interval_s=420)
    one.hear(*every(7, "10:00", 8))  # 10:00 to 10:49
    one.move("11:04:00")
    # Slots begin at 09:52, 10:00, 10:08, …, 10:56: 10:48 is the last that is present.
    assert short(one.slot_uptime("09:50:00", "11:04:00")) == (87.5, 7, 8, {"before_first_seen": 1})


def test_slots_of_a_day() -> None:
    one = OneFleet(interval_s=86_400, grace_s=0)
    for day in (11, 12, 14):
        one.hear(f"2026-05-{day}T23:59:00")
    one.move("2026-05-15T12:00:00")
    assert short(one.slot_uptime("2026-05-09T00:00:00", "2026-05-15T12:00:00")) == (
        75.0,
        3,
        4,
        {"before_first_seen": 2},
    )
    assert short(one.slot_uptime("2026-05-12T00:00:01", "2026-05-13T23:59:59")) == (None, 0, 0, {})


def test_blind_time_counts_where_a_beat_comes_later_and_not_where_none_does() -> None:
    one = OneFleet()
    one.hear(*every(1, "09:50", 10))  # 09:50 to 09:59
    one.mark("10:10:00", blind_since="10:00:00")
    one.hear("10:10:05")
    assert short(one.slot_uptime("09:50:00", "10:10:00")) == (100.0, 10, 10, {"blind": 10})
    for minute in (3, 4):
        one.hear("10:10:30", sent_at=f"10:0{minute}:05")
    answer = one.slot_uptime("09:50:00", "10:10:00")
    assert short(answer) == (100.0, 12, 12, {"blind": 8})
    assert answer["observed"] == {"uptime": 100.0 * 10 / 12, "present": 10}


def test_a_backlog_turns_down_into_backfilled() -> None:
    one = OneFleet()
    one.hear("10:00:05", "10:20:05")
    assert short(one.slot_uptime("10:00:00", "10:20:00")) == (5.0, 1, 20, {})
    for minute in range(1, 20):
        one.hear("10:20:30", sent_at=f"10:{minute:02}:05")
    answer = one.slot_uptime("10:00:00", "10:20:00")
    assert short(answer) == (100.0, 20, 20, {})
    assert answer["observed"] == {"uptime": 5.0, "present": 1}
    # Availability is of what was received: late by the grace, then down until 10:20:05.
    assert (answer["down_s"], answer["availability_accountable_s"]) == (20 * 60 - 305, 20 * 60 - 5)


def test_a_clock_that_is_ahead_backfills_nothing() -> None:
    one = OneFleet(interval_s=300)
    one.hear("10:00:05", sent_at="10:03:05")
    one.hear("10:04:55", sent_at="10:07:55")
    one.move("10:10:40")  # the next one is late by some seconds, and not missed
    answer = one.slot_uptime("10:00:00", "10:10:00")
    assert answer["observed"] == {"uptime": 100.0, "present": 2}


def test_maintenance_counts_neither_way_even_where_the_device_did_beat() -> None:
    one = OneFleet()
    one.hear(*every(1, "10:00", 20))
    one.maintain("10:05:30", "10:10:30")  # touches 10:05 to 10:10
    one.move("10:30:00")
    assert short(one.slot_uptime("10:00:00", "10:20:00")) == (100.0, 14, 14, {"maintenance": 6})
    # And where nobody was there: 20 were, less 6; 10 were not.
    assert short(one.slot_uptime("10:00:00", "10:30:00")) == (100.0 * 14 / 24, 14, 24, {"maintenance": 6})


def test_a_pause_goes_before_maintenance_and_may_have_no_end() -> None:
    one = OneFleet()
    one.hear(*every(1, "10:00", 5))
    one.maintain("10:03:00", "10:08:00")
    one.pause("10:05:00")
    one.move("23:00:00")
    assert short(one.slot_uptime("10:00:00", "23:00:00")) == (100.0, 3, 3, {"maintenance": 2, "paused": 13 * 60 - 5})
    assert one.slot_uptime("10:00:00", "23:00:00")["availability_accountable_s"] == 3 * 60 - 5
    assert one.status("23:00:00") == ("paused", "10:05:00")
    assert short(one.slot_uptime("11:00:00", "23:00:00")) == (None, 0, 0, {"paused": 720})
    assert one.slot_uptime("11:00:00", "23:00:00")["availability"] is None


@pytest.mark.parametrize("interval_s", [1, 60, 300, 420, 86_400])
def test_it_is_never_above_a_hundred(interval_s: int) -> None:
    one = OneFleet(interval_s=interval_s)
    for _ in range(2):
        for text in every(1, "00:00", 1_440):
            one.hear("2026-05-12T00:00:00", sent_at=f"2026-05-11T{text}")
    slots = 1_440 // slot_minutes(interval_s)
    assert short(one.slot_uptime("00:00:00", "2026-05-12T00:00:00")) == (100.0, slots, slots, {})


def test_a_leap_day_has_a_day() -> None:
    one = OneFleet(day="2024-02-28")
    one.hear("2024-02-28T00:00:30")
    for text in every(2, "00:00", 720):
        one.hear("2024-03-01T00:00:00", sent_at=f"2024-02-29T{text}")
    assert short(one.slot_uptime("2024-02-29T00:00:00", "2024-03-01T00:00:00")) == (50.0, 720, 1_440, {})
    assert short(one.slot_uptime("2024-02-28T00:00:00", "2024-03-01T00:00:00")) == (100.0 * 721 / 2_880, 721, 2_880, {})


@pytest.mark.parametrize(
    ("day", "start", "first", "last"),
    [
        pytest.param("2026-03-29", "02:30", "01:00", "03:00", id="spring: 02:30 is skipped"),
        pytest.param("2026-10-25", "02:30", "00:30", "02:30", id="autumn: 02:30 comes twice"),
    ],
)
def test_maintenance_in_the_night_in_which_the_clocks_change_is_as_long_as_ever(
    day: str, start: str, first: str, last: str
) -> None:
    one = OneFleet(day=day)
    one.hear("00:00:05")
    hour, minute = start.split(":")
    one.maintain("00:00:00", "23:00:00", recurrence=Recurrence((), int(hour) * 60 + int(minute), 7_200, "Europe/Paris"))
    one.move("06:00:00")
    assert short(one.slot_uptime("00:00:00", "06:00:00")) == (100.0 / 240, 1, 240, {"maintenance": 120})
    assert short(one.slot_uptime(f"{first}:00", f"{last}:00")) == (None, 0, 0, {"maintenance": 120})
    # Down five minutes after midnight, and not in maintenance.
    assert one.changes("00:00:00", "06:00:00")[-2:] == [(f"{first}:00", "maintenance"), (f"{last}:00", "down")]


def test_a_device_whose_only_beat_is_in_the_future_is_up_and_nothing_is_expected_of_it_yet() -> None:
    one = OneFleet()
    one.hear("10:00:00", sent_at="11:00:00")
    assert one.status("10:01:00") == ("up", "10:00:00")
    answer = one.slot_uptime("00:00:00", "10:01:00")
    assert short(answer) == (None, 0, 0, {"before_first_seen": 601})
    assert (answer["down_s"], answer["availability_accountable_s"]) == (0, 60)
    one.move("11:02:00")
    assert short(one.slot_uptime("00:00:00", "11:02:00")) == (50.0, 1, 2, {"before_first_seen": 660})
    assert one.status("11:02:00") == ("down", "10:05:00")
    figures = one.fleet.figures(0, known={})
    ends = {"first_minute": figures.first_minute, "last_minute": figures.last_minute}
    assert lifetime_uptime_percent(minutes_present=figures.minutes_present, **ends) == 100.0


def test_availability_forgives_a_beat_and_uptime_does_not() -> None:
    one = OneFleet()
    one.hear("10:00:05", "10:01:05", "10:03:00", "10:04:00", "10:10:00")
    one.move("10:11:00")
    answer = one.slot_uptime("10:00:00", "10:10:00")
    # 10:02 has none, nor have 10:05 to 10:09; down from 10:09:00 on.
    assert short(answer) == (40.0, 4, 10, {})
    assert (answer["down_s"], answer["availability_accountable_s"]) == (60, 595)
    assert answer["availability"] == 100.0 * (595 - 60) / 595


def test_a_silence_that_began_before_the_window_is_measured_with_the_maintenance_of_then() -> None:
    one = OneFleet()
    one.hear("09:59:00")
    one.maintain("10:00:00", "12:00:00")
    one.hear("12:30:00")
    one.move("14:00:00")
    # 60 s of silence before maintenance, so down 240 s after it; whichever window asks.
    assert one.changes("09:00:00", "12:31:00")[-3:] == [("12:00:30", "late"), ("12:04:00", "down"), ("12:30:00", "up")]
    assert one.changes("12:00:01", "12:31:00") == [("12:00:30", "late"), ("12:04:00", "down"), ("12:30:00", "up")]
    assert one.slot_uptime("12:01:00", "12:31:00")["down_s"] == 26 * 60


def test_explained_intervals_follow_each_other_and_a_series_adds_up() -> None:
    one = OneFleet()
    one.hear(*every(1, "10:02", 3))
    one.maintain("10:06:00", "10:08:00")
    one.move("10:10:00")
    window = Window(one.at("10:00:00"), one.now, 4 * 60 * SECOND)
    answer = device_slot_uptime(one.view(window.start_ns), "d0", window, is_explained=True)
    assert answer.intervals is not UNSET
    assert [(interval.start[14:16], interval.reason, interval.slots) for interval in answer.intervals] == [
        ("00", "before_first_seen", 2), ("02", "up", 3), ("05", "down", 1), ("06", "maintenance", 2), ("08", "down", 2),
    ]  # fmt: skip
    assert answer.series is not UNSET
    assert [(point.at[14:16], point.present, point.expected) for point in answer.series] == [
        ("00", 2, 2), ("04", 1, 2), ("08", 0, 2),
    ]  # fmt: skip
    assert (answer.step_s, answer.slot_s, answer.capped, answer.missing) == (240, 60, False, [])


def test_without_the_blocks_of_gaps_it_is_unknown_when_the_device_was_down_and_what_came_in_time() -> None:
    one = OneFleet()
    one.hear("10:00:05", "10:20:05")
    one.checkpoint()
    ((file,),) = one.history.manifest.gaps.values()
    one.lose(file)
    window = Window(one.at("10:00:00"), one.at("10:20:00"))
    answer = device_slot_uptime(one.view(window.start_ns), "d0", window, is_explained=False)
    assert (answer.present, answer.expected, answer.observed.present) == (1, 20, None)
    assert (answer.availability, answer.down_s, answer.availability_accountable_s) == (None, None, None)
    assert [span.end for span in answer.missing] == ["2026-05-12T00:00:00Z"]
