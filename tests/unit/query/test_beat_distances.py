"""Distances between beats out of what is stored of them: live, closed, in a window, and of a day that is lost."""

import numpy as np
import pytest

from fleetpulse.query.answers import Missing
from fleetpulse.query.beat_distances import gap_distances, longest_ungapped_ms, minute_distances
from fleetpulse.query.view import FleetView
from fleetpulse.query.window import Window
from one_fleet import OneFleet

DAYS = ("2026-05-11", "2026-05-12", "2026-05-13")


def fleet(*, is_closed: bool) -> OneFleet:
    """Two devices over three days, one every six hours, the other twice a day."""
    one = OneFleet(devices=2)
    for day in DAYS:
        for hour in range(0, 24, 6):
            for device in (0, 1) if hour % 12 == 0 else (0,):
                one.hear(f"{day}T{hour:02}:30:00", device=device)
        if is_closed:
            one.move(f"{day}T23:59:59")
            one.checkpoint()
    one.mark("2026-05-15T02:00:00")
    if is_closed:
        one.checkpoint()
    return one


def minutes(view: FleetView, window: Window, missing: list[Missing] | None = None) -> list[tuple[int, int, int, int]]:
    """(day of the window, device, minutes apart, how often)."""
    selection = np.ones(view.count, bool)
    first = window.start_ns // (86_400 * 10**9)
    return [
        (day - first, *row)
        for day, found in minute_distances(view, window, selection, [] if missing is None else missing)
        for row in zip(found.codes.tolist(), (found.ms // 60_000).tolist(), found.counts.tolist(), strict=True)
    ]


EXPECTED = [(0, 0, 360, 3), (0, 1, 720, 1), (1, 0, 360, 4), (1, 1, 720, 2), (2, 0, 360, 4), (2, 1, 720, 2)]


@pytest.mark.parametrize("is_closed", [False, True])
def test_a_distance_belongs_to_the_day_of_its_second_beat_wherever_the_beats_are(is_closed: bool) -> None:
    one = fleet(is_closed=is_closed)
    window = Window(one.at("2026-05-11T00:00:00"), one.now)
    assert minutes(one.fleet_view(window.start_ns), window) == EXPECTED
    alone = minutes(one.view(window.start_ns, 1), window)
    assert alone == [(day, 0, apart, count) for day, device, apart, count in EXPECTED if device == 1]


def test_both_beats_of_a_distance_are_in_the_window_and_only_selected_devices_have_any() -> None:
    one = fleet(is_closed=True)
    window = Window(one.at("2026-05-12T00:31:00"), one.at("2026-05-13T00:30:00"))
    assert minutes(one.fleet_view(window.start_ns), window) == [(0, 0, 360, 2)]
    view = one.fleet_view(window.start_ns)
    assert [len(found) for _, found in minute_distances(view, window, np.array([False, True]), [])] == [0, 0]


def test_a_day_that_is_lost_is_noted_and_the_distance_over_it_remains() -> None:
    one = fleet(is_closed=True)
    day = one.at("2026-05-12T00:00:00") // (86_400 * 10**9)
    one.lose(one.history.manifest.presence[day])
    window, missing = Window(one.at("2026-05-11T00:00:00"), one.now), list[Missing]()
    found = minutes(one.fleet_view(window.start_ns), window, missing)
    assert [row for row in found if row[0] == 2] == [(2, 0, 360, 3), (2, 0, 1_800, 1), (2, 1, 720, 1), (2, 1, 2_160, 1)]
    assert [span.start for span in missing] == ["2026-05-12T00:00:00Z"]


def test_gaps_have_their_lengths_and_the_minutes_that_these_take_the_place_of() -> None:
    one = OneFleet(devices=2)
    one.hear("10:00:10", "10:01:30", "10:04:05.5", "10:04:40", "10:20:00")
    window = Window(one.at("10:01:00"), one.at("10:30:00"))
    one.move("10:30:00")
    (gaps,) = [
        piece
        for piece in gap_distances(one.fleet_view(window.start_ns), window, np.ones(2, bool), [])
        if len(piece.days)
    ]
    assert (gaps.lengths_ns // 10**6).tolist() == [155_500, 920_000]
    assert (gaps.exact.ms.tolist(), gaps.known_by_minutes.ms.tolist()) == ([156_000, 920_000], [180_000, 960_000])
    assert len(gaps.of_day(0).days) == 0
    view = one.fleet_view(window.start_ns)
    assert list(gap_distances(view, window, np.array([False, True]), []))[-1].places.tolist() == []
    assert longest_ungapped_ms(view, window).tolist() == [90_000, 90_000]
