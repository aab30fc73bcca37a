"""Uptime as declared, and with the suggested interval: the mathematics of every other answer about uptime."""

import numpy as np
import pytest
from msgspec import UNSET

from fleetpulse.query.fit import FitQuestion, fleet_fit
from fleetpulse.query.uptime import device_uptime
from fleetpulse.query.window import Window
from one_fleet import OneFleet


def fleet() -> OneFleet:
    """Every five minutes, with an interval of a minute, and an outage from 11:00 to 11:20; it is 12:00."""
    one = OneFleet(devices=2)
    for minute in (*range(0, 65, 5), *range(80, 120, 5)):
        one.hear(f"{10 + minute // 60}:{minute % 60:02}:00")
    one.move("12:00:00")
    return one


def test_what_would_be_is_what_is_answered_once_it_is_declared() -> None:
    one = fleet()
    one.maintain("10:20:00", "10:30:00")
    window = Window(one.at("10:00:00"), one.now)
    first, never = fleet_fit(
        one.fleet_view(window.start_ns), one.listing(), window=window, question=FitQuestion()
    ).devices
    answer = device_uptime(one.view(window.start_ns), "d0", window, is_explained=False)
    assert (first.verdict, first.suggested, first.uptime) == ("too_short", "5m", answer.uptime)
    # Of 110 minutes that count, 15 are down: those from 11:05 to 11:20.
    assert first.uptime_suggested == pytest.approx(100 * 95 / 110)
    assert (never.uptime, never.uptime_suggested) == (None, None)
    declared = OneFleet(devices=2, interval_s=300)
    declared.windows.update(one.windows)
    for minute in (*range(0, 65, 5), *range(80, 120, 5)):
        declared.hear(f"{10 + minute // 60}:{minute % 60:02}:00")
    declared.move("12:00:00")
    then = device_uptime(declared.view(window.start_ns), "d0", window, is_explained=False)
    assert then.uptime == first.uptime_suggested
    assert np.isfinite(then.uptime or np.nan)


def test_a_group_adds_up_the_time_of_its_devices_with_the_interval_suggested_for_each() -> None:
    one = fleet()
    for number, site in enumerate(("paris", "paris", "lyon")):
        one.roster.put(number, {"site": site}) if number < 2 else one.add("d2", site=site)
    for minute in range(60):
        one.hear(f"12:{minute:02}:00", device=2)
    one.move("13:00:00")
    window = Window(one.at("10:00:00"), one.now)
    answer = fleet_fit(one.fleet_view(window.start_ns), one.listing(), window=window, question=FitQuestion(by="site"))
    assert answer.groups is not UNSET
    paris = next(group for group in answer.groups if group.group == "paris")
    first = answer.devices[0]
    # The other device of Paris was never seen.
    assert (paris.uptime, paris.uptime_suggested) == (first.uptime, first.uptime_suggested)
    everything = fleet_fit(one.fleet_view(window.start_ns), one.listing(), window=window, question=FitQuestion(by="no"))
    assert everything.groups is not UNSET
    # Of 180 and 60 minutes, d0 is up for a minute after each of its 21 beats, d2 all the time.
    assert everything.groups[0].uptime == pytest.approx(100 * (21 + 60) / 240)


def test_uptime_is_unknown_where_gaps_are_missing() -> None:
    one = fleet()
    one.checkpoint()
    ((file,),) = one.history.manifest.beat_gaps.values()
    one.lose(file)
    window = Window(one.at("10:00:00"), one.now)
    answer = fleet_fit(one.fleet_view(window.start_ns), one.listing(), window=window, question=FitQuestion(by="no"))
    assert answer.missing
    assert answer.groups is not UNSET
    for line in (answer.devices[0], answer.groups[0]):
        assert (line.uptime, line.uptime_suggested) == (None, None)
