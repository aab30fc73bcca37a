"""Whether declared intervals fit: of one device by day, and of the fleet in pages and groups."""

import msgspec
import pytest

from fleetpulse.errors import OutOfRange
from fleetpulse.limits import QuestionLimits
from fleetpulse.query.fit import FitQuestion, device_fit, fleet_fit
from fleetpulse.query.fit_answers import FleetFit
from fleetpulse.query.window import Window
from one_fleet import OneFleet

EVERY_MINUTE, EVERY_TEN = range(60), range(0, 60, 10)


def fleet() -> OneFleet:
    """An interval of a minute: a and b beat as often, in Paris, c every ten minutes, in Lyon, d never; it is 11:00."""
    one = OneFleet(devices=0)
    for device_id, site in (("a", "paris"), ("b", "paris"), ("c", "lyon"), ("d", "")):
        one.add(device_id, **({"site": site} if site else {}))
    for minute in EVERY_MINUTE:
        for device in (0, 1, 2) if minute in EVERY_TEN else (0, 1):
            one.hear(f"10:{minute:02}:00", device=device)
    one.move("11:00:00")
    return one


def window_of(one: OneFleet) -> Window:
    return Window(one.at("10:00:00"), one.now)


def answer_of(one: OneFleet, question: FitQuestion) -> FleetFit:
    window = window_of(one)
    return fleet_fit(one.fleet_view(window.start_ns), one.listing(), window=window, question=question)


def test_each_device_has_the_distances_of_its_beats_and_a_verdict_on_its_interval() -> None:
    answer = answer_of(fleet(), FitQuestion())
    lines = [(one.device_id, one.distances, one.median_s, one.verdict, one.suggested) for one in answer.devices]
    assert lines == [
        ("a", 59, 60.0, "fits", "1m"),
        ("b", 59, 60.0, "fits", "1m"),
        ("c", 5, 600.0, "too_short", "10m"),
        ("d", 0, None, "too_few", None),
    ]
    assert [one.resolution for one in answer.devices] == ["minute", "minute", "exact", None]
    # The ten minutes after the last beat of `c` are as long as its interval would be, and so is the time since 10:50.
    assert [one.uptime for one in answer.devices] == [100.0, 100.0, 10.0, None]
    assert [one.uptime_suggested for one in answer.devices] == [100.0, 100.0, 100.0, None]
    assert answer.verdicts == {"fits": 2, "too_short": 1, "too_long": 0, "too_few": 1}
    assert (answer.total, answer.next_cursor, answer.missing) == (4, None, [])


def test_pages_follow_one_another_by_id_and_labels_and_misfits_select() -> None:
    one = fleet()
    first = answer_of(one, FitQuestion(limit=3))
    assert ([line.device_id for line in first.devices], first.total, first.next_cursor) == (["a", "b", "c"], 4, "c")
    assert [line.device_id for line in answer_of(one, FitQuestion(limit=3, cursor=first.next_cursor)).devices] == ["d"]
    assert [line.device_id for line in answer_of(one, FitQuestion(is_unfit_only=True)).devices] == ["c"]
    paris = answer_of(one, FitQuestion(labels=(("site", "paris"),)))
    assert ([line.device_id for line in paris.devices], sum(paris.verdicts.values())) == (["a", "b"], 2)
    assert answer_of(one, FitQuestion(labels=(("site", "rome"),))).notes


def test_a_group_takes_the_beats_of_its_devices_together() -> None:
    one = fleet()
    groups = msgspec.to_builtins(answer_of(one, FitQuestion(by="site")).groups)
    figures = [
        (line["group"], line["devices"], line["distances"], line["median_s"], line["suggested"]) for line in groups
    ]
    assert figures == [("", 1, 0, None, None), ("lyon", 1, 5, 600.0, "10m"), ("paris", 2, 118, 60.0, "1m")]
    assert [line["verdicts"]["too_short"] for line in groups] == [0, 1, 0]
    # c is up for a minute in ten; with its interval of ten minutes all of the time, from its first beat on.
    uptimes = [(line["uptime"], line["uptime_suggested"]) for line in groups]
    assert uptimes == [(None, None), (pytest.approx(10), 100.0), (100.0, 100.0)]
    window = window_of(one)
    with pytest.raises(OutOfRange, match="groups_max"):
        fleet_fit(
            one.fleet_view(window.start_ns),
            one.listing(),
            window=window,
            question=FitQuestion(by="site"),
            limits=QuestionLimits(groups_max=2),
        )


def test_a_fleet_of_one_has_the_line_of_its_device_and_its_days() -> None:
    one = OneFleet(day="2026-05-11")
    for day in ("2026-05-11", "2026-05-12"):
        for hour in range(24):
            one.hear(f"{day}T{hour:02}:00:00")
    one.move("2026-05-13T00:00:00")
    window = Window(one.at("2026-05-11T00:00:00"), one.now)
    answer = device_fit(one.view(window.start_ns), "d0", window)
    assert [(day.day, day.distances, day.median_s) for day in answer.days] == [
        ("2026-05-11", 23, 3600.0),
        ("2026-05-12", 24, 3600.0),
    ]
    (line,) = fleet_fit(one.fleet_view(window.start_ns), one.listing(), window=window, question=FitQuestion()).devices
    for name in line.__struct_fields__:
        assert getattr(answer, name) == getattr(line, name)
    assert (answer.interval, answer.verdict, answer.suggested) == ("1m", "too_short", "1h")


def test_the_uptime_with_a_shorter_interval_comes_from_minutes() -> None:
    """A device that beats every minute, but for half an hour, has an interval of an hour, which hides the outage."""
    one = OneFleet(interval_s=3_600)
    for minute in (*range(20), *range(50, 120)):
        one.hear(f"{10 + minute // 60}:{minute % 60:02}:00")
    window = Window(one.at("10:00:00"), one.now)
    answer = device_fit(one.view(window.start_ns), "d0", window)
    assert (answer.verdict, answer.suggested, answer.uptime) == ("too_long", "1m", 100.0)
    # From the end of 10:19 to 10:50 are 30 minutes, of which the first one is up.
    assert answer.uptime_suggested == pytest.approx(100 * (119 - 29) / 119)
