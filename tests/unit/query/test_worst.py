"""The devices that were up least."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from msgspec import UNSET

from fleetpulse.model.uptime import Measure
from fleetpulse.query.fleet import fleet_glance
from fleetpulse.query.fleet_columns import DeviceTime
from fleetpulse.query.window import Window
from fleetpulse.query.worst import WorstQuestion, find_worst, worst_devices, worst_of
from one_fleet import SECOND, OneFleet


def random_time(count: int) -> DeviceTime:
    chance = np.random.default_rng(count)
    accountable = chance.integers(0, 5, count) * SECOND
    return DeviceTime((accountable * chance.integers(0, 4, count)) // 4, accountable)


@pytest.mark.parametrize("limit", [0, 1, 20, 500])
@pytest.mark.parametrize("below", [None, 100.0, 60.0])
def test_it_finds_what_sorting_all_of_them_finds(limit: int, below: float | None) -> None:
    time = random_time(400)
    selection = np.arange(400) % 3 > 0
    shares = {
        number: (time.accountable_ns[number] - time.down_ns[number]) / time.accountable_ns[number]
        for number in np.flatnonzero(selection & (time.accountable_ns > 0)).tolist()
    }
    plain = sorted(shares, key=lambda number: (shares[number], number))
    plain = [number for number in plain if below is None or 100 * shares[number] < below]
    assert [one.number for one in worst_of(time, selection, limit=limit, below=below)] == plain[:limit]


def test_nobody_is_worst_where_nothing_is_known() -> None:
    assert worst_of(None, np.ones(3, bool), limit=5) == []


def test_an_answer_names_the_devices_and_counts_all_that_match() -> None:
    one = OneFleet(devices=4)
    for device in range(4):
        one.roster.put(device, {"site": "paris" if device < 3 else "lyon"})
        one.now = one.at("10:00:00")
        one.beat_at(one.now, device)
    one.move("10:30:00")
    one.beat_at(one.at("10:30:00"), 1)
    window = Window(one.at("10:00:00"), one.at("11:00:00"))
    one.move("11:00:00")
    view = one.fleet_view(window.start_ns)
    found = find_worst(view, window, WorstQuestion((("site", "paris"),), "settled", limit=2, below=99.0))
    answer = worst_devices(window, found, measure="settled", ids={number: f"d{number}" for number in range(4)})
    assert [(device.device_id, device.up_s, device.accountable_s) for device in answer.devices] == [
        ("d0", 60, 3_600),
        ("d2", 60, 3_600),
    ]
    assert (answer.total, answer.on, answer.missing) == (3, "settled", [])


def test_a_deleted_device_is_among_the_worst_only_where_it_is_asked_for_and_was_there_in_the_window() -> None:
    one = OneFleet(devices=3)
    for device in range(2):
        one.now = one.at("10:00:00")
        one.beat_at(one.now, device)
    one.move("11:00:00")
    window = Window(one.at("10:00:00"), one.at("11:00:00"))
    one.roster.put(0, {}, is_deleted=True)
    one.roster.put(2, {}, is_deleted=True)
    view = one.fleet_view(window.start_ns)
    for is_included, numbers in ((False, [1]), (True, [0, 1])):
        found = find_worst(view, window, WorstQuestion((), "settled", limit=9, is_deleted_included=is_included))
        assert sorted(device.number for device in found.devices) == numbers
        assert found.declarations.devices == len(numbers)


@pytest.mark.parametrize(
    ("measure", "resolution"), [("settled", "minute"), ("observed", UNSET), ("availability", UNSET)]
)
def test_an_answer_says_where_gaps_between_beats_are_known_by_minutes_alone(measure: Measure, resolution: Any) -> None:
    one = OneFleet()
    one.hear("10:00:00", "10:30:00")
    one.move("11:00:00")
    window = Window(one.at("10:00:00"), one.now)
    one.history.manifest = replace(one.history.manifest, beats_exact_from_ns=one.at("10:40:00"))
    found = find_worst(one.fleet_view(window.start_ns), window, WorstQuestion((), measure, limit=1))
    answer = worst_devices(window, found, measure=measure, ids={0: "d0"})
    assert answer.resolution == resolution
    glance = fleet_glance(one.fleet_view(window.start_ns), window, labels=())
    assert glance.resolution == {"resolution": "minute", "exact_from": "2026-05-11T10:40:00Z"}
