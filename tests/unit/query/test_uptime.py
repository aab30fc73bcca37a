"""Uptime by time, with the seconds written out; `OneFleet.uptime` compares the whole fleet's figures of the device."""

from dataclasses import replace
from typing import Any

import pytest
from msgspec import UNSET

from fleetpulse.model.heartbeat_policy import HeartbeatPolicy
from fleetpulse.model.maintenance import Recurrence
from fleetpulse.model.policy_history import SINCE_EVER_NS, PolicyChange
from fleetpulse.query.status import device_transitions
from fleetpulse.query.uptime import device_uptime
from fleetpulse.query.window import Window
from one_fleet import SECOND, OneFleet


def short(answer: dict[str, Any]) -> tuple[float, float, dict[str, float]]:
    return answer["accountable_s"] - answer["up_s"], answer["accountable_s"], answer["left_out_s"]


def every(seconds: float, start_ns: int, end_ns: int) -> range:
    return range(start_ns, end_ns, round(seconds * SECOND))


def beat(one: OneFleet, *sent_at_ns: int) -> None:
    for at_ns in sent_at_ns:
        one.now = max(one.now, at_ns)
        one.beat_at(at_ns)


@pytest.mark.parametrize("period", [59.5, 60.2, 61, 89.9])
def test_a_healthy_device_has_all_of_it_whatever_its_phase(period: float) -> None:
    one = OneFleet()
    start_ns, end_ns = one.at("10:00:00"), one.at("11:00:00")
    beat(one, *every(period, start_ns, end_ns + 90 * SECOND))
    assert one.uptime("10:00:00", "11:00:00")["uptime"] == 100.0


def test_a_beat_around_the_full_minute_costs_nothing() -> None:
    one = OneFleet()
    for minute in range(60):
        beat(one, one.at(f"10:{minute:02}:00") + (500_000_000 if minute % 2 else -500_000_000))
    one.move("11:00:00")
    answer = one.uptime("10:00:00", "11:00:00")
    assert short(answer) == (0, 3_600, {})
    assert one.slot_uptime("10:00:00", "11:00:00")["uptime"] < 60


def test_a_dead_device_is_down_whatever_the_maintenance() -> None:
    one = OneFleet(interval_s=86_400, grace_s=0)
    one.hear("12:00:00")
    one.maintain("00:00:00", "2027-05-11T00:00:00", recurrence=Recurrence((), 2 * 60, 60, "UTC"))
    one.move("2026-06-09T12:00:00")
    answer = one.uptime("2026-05-12T12:00:00", "2026-06-09T12:00:00")
    assert answer["uptime"] < 0.1
    assert answer["left_out_s"] == {"maintenance": 28 * 60.0}


def test_blind_seconds_excuse_no_more_than_themselves() -> None:
    one = OneFleet(interval_s=3_600, grace_s=600)
    one.hear("07:00:00")
    for hour in range(8, 12):
        one.mark(f"{hour:02}:00:01", blind_since=f"{hour:02}:00:00")
    one.move("12:00:00")
    answer = one.uptime("07:10:00", "12:00:00")
    assert answer["uptime"] < 20
    assert short(answer) == (4 * 3_600 - 4, 17_400 - 4, {"blind": 4})
    # Availability forgives the grace once.
    assert answer["down_s"] == 4 * 3_600 - 4 - 600


def test_blind_time_that_beats_cover_counts_as_up() -> None:
    one = OneFleet()
    beat(one, *every(60, one.at("09:50:00"), one.at("10:00:00")))
    one.mark("10:10:00", blind_since="10:00:00")
    one.hear("10:10:05")
    assert short(one.uptime("09:50:00", "10:10:00")) == (0, 600, {"blind": 600})
    for minute in range(10):
        one.hear("10:10:30", sent_at=f"10:0{minute}:05")
    answer = one.uptime("09:50:00", "10:10:00")
    assert short(answer) == (0, 1_200, {})
    assert answer["observed"] == {"uptime": 100.0, "up_s": 600.0, "accountable_s": 600.0}


def test_a_backlog_turns_down_into_backfilled() -> None:
    one = OneFleet()
    one.hear("10:00:05", "10:20:05")
    assert short(one.uptime("10:00:00", "10:20:00")) == (19 * 60 - 5, 20 * 60 - 5, {"before_first_seen": 5})
    for minute in range(1, 20):
        one.hear("10:20:30", sent_at=f"10:{minute:02}:05")
    answer = one.uptime("10:00:00", "10:20:00")
    assert short(answer) == (0, 20 * 60 - 5, {"before_first_seen": 5})
    assert answer["observed"] == {"uptime": 100 * 60 / 1_195, "up_s": 60.0, "accountable_s": 1_195.0}
    assert [(one["reason"], one["seconds"]) for one in answer["intervals"]] == [
        ("before_first_seen", 5.0),
        ("up", 60.0),
        ("backfilled", 1_135.0),
    ]
    # Availability is of what was received: late by the grace, then down until 10:20:05.
    assert (answer["down_s"], answer["availability_accountable_s"]) == (20 * 60 - 305, 20 * 60 - 5)


def test_late_beats_in_any_order_leave_the_same_gaps() -> None:
    sent = ["10:05:00", "10:25:00", "10:06:00", "10:40:00", "10:07:00", "10:05:00"]
    found = []
    for order in (sent, sent[::-1], sorted(sent)):
        one = OneFleet()
        one.hear("10:00:00", "11:00:00")
        for place, at in enumerate(order):
            one.hear("11:00:30", sent_at=at)
            if place == 2:
                one.checkpoint()
        found.append(one.uptime("10:00:00", "11:00:00"))
    assert found[0] == found[1] == found[2]
    # 10:01-10:05, 10:08-10:25, 10:26-10:40, 10:41-11:00
    assert short(found[0]) == ((4 + 17 + 14 + 19) * 60, 3_600, {})
    assert found[0]["gaps"] == {"count": 4, "longest_s": 20 * 60.0, "seconds": (5 + 18 + 15 + 20) * 60.0}


def test_nothing_counts_of_a_device_that_sent_upload_times_alone() -> None:
    one = OneFleet()
    one.hear_sample("12:00:30")
    answer = one.uptime("12:00:00", "12:10:00")
    assert (answer["uptime"], *short(answer)) == (None, 0, 0, {"before_first_seen": 600})
    assert (answer["observed"]["accountable_s"], answer["down_s"]) == (570, 270)


def test_downtimes_of_each_measure_are_told_apart() -> None:
    """`OneFleet.uptime` holds that they add up, here with upload times, a pause, blind time and late beats."""
    one = OneFleet()
    one.hear_sample("09:50:30")
    one.hear("10:00:00")
    one.pause("10:10:00", "10:20:00")
    one.mark("10:40:00", blind_since="10:30:00")
    one.hear("11:00:00")
    for minute in range(1, 35):
        one.hear("11:00:30", sent_at=f"10:{minute:02}:00")
    found = one.uptime("09:50:00", "11:00:00")["downtimes"]
    listed = {
        measure: [(one["from"][11:16], one["to"][11:16]) for one in answer["stretches"]]
        for measure, answer in found.items()
    }
    assert listed == {
        "settled": [("10:41", "11:00")],
        "observed": [("09:51", "10:00"), ("10:01", "10:10"), ("10:20", "10:30"), ("10:40", "11:00")],
        "availability": [("09:55", "10:00"), ("10:05", "10:10"), ("10:20", "10:30"), ("10:40", "11:00")],
    }
    window = Window(one.at("09:50:00"), one.at("11:00:00"))
    part = device_uptime(one.view(window.start_ns), "d0", window, is_explained=True, intervals_max=2).downtimes
    assert part is not UNSET
    assert part.settled is not None
    assert part.observed is not None
    assert part.settled.next_from is None
    assert (len(part.observed.stretches), part.observed.next_from) == (2, "2026-05-11T10:20:00Z")


def test_a_window_of_any_length_and_edge_has_an_uptime() -> None:
    one = OneFleet(interval_s=300)
    one.hear("10:00:00", "10:05:00", "10:15:00")
    one.move("11:00:00")
    assert one.uptime("10:01:00", "10:04:00")["uptime"] == 100.0
    assert short(one.uptime("10:09:59", "10:10:01")) == (1, 2, {})


def test_a_pause_goes_before_maintenance_and_may_have_no_end() -> None:
    one = OneFleet()
    beat(one, *every(60, one.at("10:00:00"), one.at("10:05:00")))
    one.maintain("10:03:00", "10:08:00")
    one.pause("10:05:00")
    one.move("23:00:00")
    assert short(one.uptime("10:00:00", "23:00:00")) == (
        0, 180, {"maintenance": 120, "paused": 13 * 3_600 - 300},
    )  # fmt: skip
    answer = one.uptime("11:00:00", "23:00:00")
    assert (answer["uptime"], answer["availability"], answer["accountable_s"]) == (None, None, 0)


def test_a_device_whose_only_beat_is_in_the_future_has_no_uptime_yet() -> None:
    one = OneFleet()
    one.hear("10:00:00", sent_at="11:00:00")
    answer = one.uptime("00:00:00", "10:01:00")
    assert (answer["uptime"], answer["left_out_s"]) == (None, {"before_first_seen": 10 * 3_600 + 60})
    assert (answer["down_s"], answer["availability_accountable_s"]) == (0, 60)
    one.move("11:02:00")
    assert short(one.uptime("11:00:00", "11:02:00")) == (60, 120, {})


def test_a_beat_of_the_future_does_not_lower_uptime() -> None:
    one = OneFleet()
    one.hear("10:00:00")
    one.move("10:01:20")
    before = one.uptime("10:00:00", "10:01:20")
    one.beat_at(one.at("12:00:00"))
    assert one.uptime("10:00:00", "10:01:20")["up_s"] == before["up_s"] == 80


def test_availability_forgives_a_beat_and_uptime_does_not() -> None:
    one = OneFleet()
    one.hear("10:00:05", "10:01:05", "10:03:00", "10:04:00", "10:10:00")
    one.move("10:11:00")
    answer = one.uptime("10:00:00", "10:10:00")
    # From 10:02:05 to 10:03 and from 10:05 to 10:10; down from 10:09 on.
    assert short(answer) == (55 + 300, 595, {"before_first_seen": 5})
    assert (answer["down_s"], answer["availability_accountable_s"]) == (60, 595)
    assert answer["availability"] == 100.0 * (595 - 60) / 595


def test_a_gap_that_began_before_the_window_is_measured_with_the_maintenance_of_then() -> None:
    one = OneFleet()
    one.hear("09:59:00")
    one.maintain("10:00:00", "12:00:00")
    one.hear("12:30:00")
    one.move("14:00:00")
    # 60 s without a beat before maintenance, so down at once after it; available for 240 s more.
    assert short(one.uptime("12:00:00", "12:30:00")) == (30 * 60, 30 * 60, {})
    assert one.uptime("12:01:00", "12:31:00")["down_s"] == 26 * 60
    assert one.changes("12:00:01", "12:31:00") == [("12:00:30", "late"), ("12:04:00", "down"), ("12:30:00", "up")]


def test_intervals_follow_each_other_and_a_series_adds_up() -> None:
    one = OneFleet()
    beat(one, *every(60, one.at("10:02:00"), one.at("10:05:00")))
    one.maintain("10:06:00", "10:08:00")
    one.move("10:10:00")
    window = Window(one.at("10:00:00"), one.now, 4 * 60 * SECOND)
    answer = device_uptime(one.view(window.start_ns), "d0", window, is_explained=True)
    assert answer.intervals is not UNSET
    assert [(interval.start[14:16], interval.reason, int(interval.seconds)) for interval in answer.intervals] == [
        ("00", "before_first_seen", 120), ("02", "up", 180), ("05", "down", 60), ("06", "maintenance", 120),
        ("08", "down", 120),
    ]  # fmt: skip
    assert answer.series is not UNSET
    assert [(point.at[14:16], point.up_s, point.accountable_s, point.left_out_s) for point in answer.series] == [
        ("00", 120, 120, {"before_first_seen": 120}), ("04", 60, 120, {"maintenance": 120}), ("08", 0, 120, {}),
    ]  # fmt: skip
    assert (answer.step_s, answer.capped, answer.missing) == (240, False, [])
    few = device_uptime(one.view(window.start_ns), "d0", window, is_explained=True, intervals_max=2)
    assert (few.intervals, few.capped) == (answer.intervals[:2], True)


@pytest.mark.parametrize("clock", ["sent", "received"])
def test_without_the_blocks_of_gaps_it_is_unknown_when_the_device_was_down(clock: str) -> None:
    one = OneFleet()
    one.hear("10:00:05", "10:20:05")
    one.checkpoint()
    manifest = one.history.manifest
    ((file,),) = (manifest.beat_gaps if clock == "sent" else manifest.gaps).values()
    one.lose(file)
    window = Window(one.at("10:00:00"), one.at("10:20:00"))
    answer = device_uptime(one.view(window.start_ns), "d0", window, is_explained=True)
    lost, kept = (answer.up_s, answer.down_s) if clock == "sent" else (answer.down_s, answer.up_s)
    assert lost is None
    assert kept is not None
    assert [span.end for span in answer.missing] == ["2026-05-12T00:00:00Z"]
    assert answer.downtimes is not UNSET
    downtimes = answer.downtimes
    unknown = [one is None for one in (downtimes.settled, downtimes.observed, downtimes.availability)]
    assert unknown == ([True, False, False] if clock == "sent" else [False, True, True])
    assert answer.intervals is not UNSET
    assert [one.reason for one in answer.intervals] == (
        ["before_first_seen", "missing"] if clock == "sent" else ["before_first_seen", "up", "down"]
    )


def test_too_many_transitions_say_where_to_go_on() -> None:
    one = OneFleet()
    one.hear("10:00:00", "10:10:00", "10:20:00")
    window = Window(one.at("09:00:00"), one.now)
    whole = device_transitions(one.view(window.start_ns), "d0", window, limit=10_000)
    assert (whole.status_before, len(whole.transitions), whole.more_from) == ("new", 6, None)
    part = device_transitions(one.view(window.start_ns), "d0", window, limit=4)
    assert (part.transitions, part.more_from) == (whole.transitions[:4], whole.transitions[3].at)


def test_days_of_before_gaps_were_stored_are_told_by_minutes_and_the_answer_says_so() -> None:
    one = OneFleet()
    beat(one, *every(60, one.at("10:00:30"), one.at("10:20:00")))
    beat(one, *every(60, one.at("10:40:30"), one.at("11:00:00")))
    one.move("2026-05-13T00:00:00")
    one.checkpoint()
    one.hear("2026-05-13T00:00:30")
    exact = one.uptime("10:00:30", "11:00:00")
    assert short(exact) == (20 * 60, 3_570, {})
    known = one.history.manifest
    one.history.manifest = replace(known, beat_gaps={}, beats_exact_from_ns=one.at("2026-05-13T00:00:00"))
    answer = one.uptime("10:00:30", "11:00:00")
    # From the end of the minute 10:19 to the start of 10:40, less an interval.
    assert short(answer) == (19 * 60, 3_570, {})
    assert (answer["resolution"], answer["exact_from"]) == ("minute", "2026-05-13T00:00:00Z")
    assert "resolution" not in exact
    assert "resolution" not in one.uptime("2026-05-13T00:00:00", "2026-05-13T00:01:00")


def test_a_shorter_interval_declared_for_the_past_is_judged_by_minutes() -> None:
    one = OneFleet(interval_s=3_600, grace_s=0)
    beat(one, one.at("10:00:30"), one.at("10:10:30"), one.at("10:20:30"))
    one.move("10:30:00")
    change = PolicyChange(one.at("10:00:00"), HeartbeatPolicy(60, 0), one.now)
    one.fleet.set_policy(0, (PolicyChange(SINCE_EVER_NS, HeartbeatPolicy(3_600, 0)), change))
    answer = one.uptime("10:01:00", "10:20:00")
    assert (answer["resolution"], answer["exact_from"]) == ("minute", "2026-05-11T10:30:00Z")
    assert "may be too high" in answer["notes"][0]
    # Each of the two gaps is 9 minutes long at least, an interval of which is up.
    assert short(answer) == (8 * 60 + 8 * 60, 19 * 60, {})


def test_only_the_steps_up_to_a_lost_day_are_missing() -> None:
    one = OneFleet()
    for day in (11, 12, 13):
        one.hear(f"2026-05-{day}T10:00:00", f"2026-05-{day}T10:10:00")
    one.checkpoint()
    (file,) = one.history.manifest.beat_gaps[one.at("2026-05-12T00:00:00") // (86_400 * SECOND)]
    one.lose(file)
    one.move("2026-05-14T00:00:00")
    window = Window(one.at("00:00:00"), one.now, 86_400 * SECOND)
    answer = device_uptime(one.view(window.start_ns), "d0", window, is_explained=True)
    assert answer.series is not UNSET
    lost = [{"before_first_seen": 36_000, "missing": 50_400}, {"missing": 86_400}, {}]
    assert [point.left_out_s for point in answer.series] == lost
    assert [point.up_s for point in answer.series] == [None, None, 120]
    assert answer.intervals is not UNSET
    assert sum(interval.seconds for interval in answer.intervals) == 3 * 86_400
