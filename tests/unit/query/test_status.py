"""Status with the times written out; that a device, the list and the time line agree is held by `OneFleet.status`."""

from array import array

import pytest

from fleetpulse.model.events import EventBatch, EventColumns
from one_fleet import OneFleet


def test_the_mission_has_a_device_down_five_minutes_after_its_last_beat() -> None:
    one = OneFleet()
    assert one.status("09:59:59") == ("new", "")
    one.hear("10:00:00")
    assert one.status("10:01:29") == ("up", "10:00:00")
    assert one.status("10:01:30") == ("late", "10:01:30")
    assert one.status("10:04:59") == ("late", "10:01:30")
    assert one.status("10:05:00") == ("down", "10:05:00")
    assert one.status("2026-06-11T10:05:00") == ("down", "10:05:00")
    one.hear("2026-06-11T10:06:00")
    assert one.status("2026-06-11T10:06:00") == ("up", "10:06:00")
    assert one.changes("09:00:00", "2026-06-11T10:06:01") == [
        ("10:00:00", "up"),
        ("10:01:30", "late"),
        ("10:05:00", "down"),
        ("10:06:00", "up"),
    ]


@pytest.mark.parametrize(
    ("interval_s", "grace_s", "late", "down"),
    [
        pytest.param(60, 0, None, "10:01:00", id="without grace it is down at once"),
        pytest.param(60, 10, None, "10:01:10", id="a grace below half an interval leaves no time to be late"),
        pytest.param(7, 100, "10:00:10.500", "10:01:47", id="half of an odd interval is exact"),
        pytest.param(1, 1, "10:00:01.500", "10:00:02", id="the shortest"),
        pytest.param(86_400, 604_800, "2026-05-12T22:00:00", "2026-05-19T10:00:00", id="the longest"),
    ],
)
def test_late_and_down_by_the_terms_of_a_device(interval_s: int, grace_s: int, late: str | None, down: str) -> None:
    one = OneFleet(interval_s=interval_s, grace_s=grace_s)
    one.hear("10:00:00")
    one.move("2026-06-01T00:00:00")
    expected = [(late.rpartition("T")[2][:8], "late")] if late else []
    assert one.changes("10:00:00", "2026-06-01T00:00:00") == [*expected, (down[-8:], "down")]
    if late:
        assert one.status(late)[0] == "late"
    assert one.status(down) == ("down", down[-8:])


def test_a_sample_is_a_sign_of_life_and_so_is_a_beat_of_long_ago() -> None:
    one = OneFleet()
    one.hear("10:00:00")
    one.hear_sample("10:04:00")
    assert one.status("10:04:30") == ("up", "10:04:00")
    one.hear("10:08:00", sent_at="2026-05-01T00:00:00")
    assert one.status("10:09:00") == ("up", "10:08:00")


def test_a_sample_between_two_beats_is_one_however_many_batches_are_applied_at_once() -> None:
    one = OneFleet()
    one.hear("10:00:00")
    batches = []
    for text in ("10:01:00", "10:02:00", "10:03:00", "10:04:00", "10:05:00", "10:06:00"):
        one.move(text)
        batches.append(one.sample_batch(0))
        batches[-1].received_at_ns = one.now
    one.move("10:07:00")
    batches.append(EventBatch(array("I", [0]), array("q", [one.now]), received_at_ns=one.now))
    one.fleet.apply([EventColumns.of(batch) for batch in batches])
    assert one.status("10:07:00") == ("up", "10:00:00")
    assert one.changes("10:00:00", "10:07:00") == []


def test_maintenance_stops_the_clock_and_afterwards_nothing_is_known_for_a_while() -> None:
    one = OneFleet()
    one.hear("10:00:00")
    one.maintain("10:01:00", "11:00:00")
    assert one.status("10:30:00") == ("maintenance", "10:01:00")
    assert one.status("11:00:29") == ("unknown", "10:01:30")
    assert one.status("11:00:30") == ("late", "11:00:30")
    assert one.status("11:04:00") == ("down", "11:04:00")
    one.hear("11:05:00")
    assert one.changes("10:00:00", "11:06:00") == [
        ("10:01:00", "maintenance"),
        ("11:00:00", "unknown"),
        ("11:00:30", "late"),
        ("11:04:00", "down"),
        ("11:05:00", "up"),
    ]


def test_who_was_down_before_maintenance_is_down_after_it() -> None:
    one = OneFleet()
    one.hear("10:00:00")
    one.maintain("10:10:00", "11:00:00")
    assert one.status("11:00:00") == ("down", "10:05:00")
    assert one.changes("10:00:00", "11:00:01") == [
        ("10:01:30", "late"),
        ("10:05:00", "down"),
        ("10:10:00", "maintenance"),
        ("11:00:00", "down"),
    ]


def test_maintenance_that_is_declared_afterwards_changes_what_was() -> None:
    one = OneFleet()
    one.hear("10:00:00", "10:10:00")
    assert ("10:05:00", "down") in one.changes("10:00:00", "10:10:01")
    one.maintain("10:00:30", "10:09:30")
    assert one.changes("10:00:00", "10:10:01") == [
        ("10:00:30", "maintenance"),
        ("10:09:30", "unknown"),
        ("10:10:00", "up"),
    ]


def test_paused_goes_before_maintenance_and_both_before_new() -> None:
    one = OneFleet()
    one.maintain("10:00:00", "12:00:00")
    one.pause("11:00:00", "11:30:00")
    assert one.status("10:59:59") == ("maintenance", "10:00:00")
    assert one.status("11:00:00") == ("paused", "11:00:00")
    assert one.status("11:30:00")[0] == "maintenance"
    assert one.status("12:00:00") == ("new", "")


def test_blind_time_stops_the_clock_too_but_who_is_new_stays_new() -> None:
    one = OneFleet(devices=2)
    one.hear("10:00:00")
    one.mark("10:30:00", blind_since="10:01:00")
    assert one.status("10:30:00") == ("unknown", "10:01:30")
    assert one.status("10:30:00", device=1) == ("new", "")
    assert one.status("10:30:30") == ("late", "10:30:30")
    assert one.status("10:34:00") == ("down", "10:34:00")
    assert one.changes("10:00:00", "10:35:00") == [("10:01:00", "unknown"), ("10:30:30", "late"), ("10:34:00", "down")]
    assert one.changes("10:00:00", "10:35:00", device=1) == []


def test_short_blind_time_after_which_the_device_is_still_heard_lately() -> None:
    one = OneFleet()
    one.hear("10:00:00")
    one.mark("10:00:40", blind_since="10:00:10")
    assert one.status("10:00:40") == ("up", "10:00:00")
    one.hear("10:01:00")
    assert one.changes("10:00:00", "10:01:01") == [("10:00:10", "unknown"), ("10:00:40", "up")]


def leapt() -> OneFleet:
    """The server's clock leaps an hour ahead at 10:00:01, and is set right at 10:01:00; d0 is heard meanwhile."""
    one = OneFleet(devices=4)
    one.hear("10:00:00", device=0)
    one.hear("10:00:00", device=1)
    one.mark("11:00:01", blind_since="10:00:01")
    one.hear("11:00:30", device=0)
    one.hear("11:00:40", device=2)
    one.mark("10:01:00", correct_since="10:00:01")
    return one


def test_a_device_that_dies_while_the_clock_is_an_hour_ahead_is_down_five_minutes_later_by_the_right_one() -> None:
    one = leapt()
    for device in (0, 2):
        assert one.status("10:02:29", device)[0] == "up"
        assert one.status("10:02:30", device) == ("late", "10:02:30")
        assert one.status("10:05:59", device)[0] == "late"
        assert one.status("10:06:00", device) == ("down", "10:06:00")
    # Not heard since 10:00:00, of which 59 s were blind.
    assert one.status("10:05:58", device=1)[0] == "late"
    assert one.status("10:05:59", device=1) == ("down", "10:05:59")
    assert one.status("10:05:59", device=3) == ("new", "")


def test_a_device_that_lives_on_is_not_said_to_have_been_silent_in_the_hour_that_never_was() -> None:
    one = leapt()
    for minute in range(1, 59):
        one.hear(f"10:{minute:02}:10", device=0)
        one.hear(f"10:{minute:02}:10", device=2)
    assert one.status("10:58:20", device=0)[0] == "up"
    assert one.changes("10:01:00", "10:58:20", device=0) == []
    assert one.changes("10:01:00", "10:58:20", device=2) == []
    assert one.uptime("10:02:00", "10:58:00", device=0)["down_s"] == 0
    assert one.uptime("10:02:00", "10:58:00", device=2)["accountable_s"] == 56 * 60
    for minute in range(30):
        one.hear(f"11:{minute:02}:10", device=0)
    # Nor once the right clock shows what it showed when it was wrong: only the beat of 10:59 was missed.
    assert one.changes("10:01:00", "11:29:20", device=0) == [("10:59:40", "late"), ("11:00:10", "up")]


def test_a_device_that_is_declared_again_is_not_down_before_its_first_heartbeat_is_due() -> None:
    one = OneFleet()
    one.hear("10:00:00")
    one.delete_between("10:04:00", "12:00:00")
    assert one.status("11:00:00") == ("unknown", "10:04:00")
    assert one.status("12:00:00") == ("unknown", "12:00:00")
    assert one.status("12:01:29") == ("unknown", "12:00:00")
    assert one.status("12:01:30") == ("late", "12:01:30")
    assert one.status("12:05:00") == ("down", "12:05:00")
    one.hear("12:06:00")
    assert one.status("12:06:30") == ("up", "12:06:00")
    changes = [("10:01:30", "late"), ("10:04:00", "unknown"), ("12:01:30", "late"), ("12:05:00", "down")]
    assert one.changes("10:00:30", "12:07:00") == [*changes, ("12:06:00", "up")]
    assert one.uptime("10:00:00", "12:07:00")["down_s"] == 60


def test_a_device_that_was_never_heard_stays_new_when_it_is_declared_again() -> None:
    one = OneFleet()
    one.delete_between("10:04:00", "12:00:00")
    assert one.status("11:00:00") == ("new", "")
    assert one.status("13:00:00") == ("new", "")


def test_time_in_which_a_device_was_deleted_counts_neither_way() -> None:
    one = OneFleet()
    one.hear("10:00:00", "10:01:00")
    one.delete_between("10:02:30", "12:00:00")
    one.hear("12:01:00", "12:02:00")
    figures = one.uptime("10:00:00", "12:03:00")
    # Up for an interval after 10:01, down until it was deleted; then it has an interval from 12:00 on.
    assert (figures["up_s"], figures["accountable_s"]) == (150 + 180, 150 + 180)
    assert figures["left_out_s"] == {"deleted": 117 * 60 + 30}
    assert (figures["down_s"], figures["availability_accountable_s"]) == (0, 150 + 180)
