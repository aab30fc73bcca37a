"""What a question sees of presence: blocks and memory together."""

import numpy as np

from fleetpulse.aggregate.presence import count_minutes
from one_fleet import OneFleet


def fleet() -> OneFleet:
    """Two devices; the first day is in a block, one of its minutes came late, and the day after is open."""
    one = OneFleet(devices=2)
    one.hear("10:00:00", device=0)
    one.hear("2026-05-13T09:00:00", device=1)
    one.checkpoint()
    one.hear("2026-05-13T09:01:00", sent_at="2026-05-11T23:00:00", device=0)
    return one


def minutes(one: OneFleet, *, is_closed_read: bool = True) -> dict[int, int]:
    view = one.fleet_view(one.at("00:00:00"))
    day = one.at("00:00:00") // (86_400 * 10**9)
    chunks = view.presence(day, is_closed_read=is_closed_read)
    return {
        int(place): int(count)
        for places, rows in chunks
        for place, count in zip(places, count_minutes(rows), strict=True)
    }


def test_the_presence_of_a_day_is_that_of_its_block_and_of_what_came_late() -> None:
    assert minutes(fleet()) == {0: 2}


def test_without_the_block_only_what_came_late_is_there() -> None:
    assert minutes(fleet(), is_closed_read=False) == {0: 1}


def test_a_fleet_of_one_sees_its_device_at_place_0_also_where_it_has_nothing() -> None:
    one = fleet()
    view = one.view(one.at("00:00:00"), device=1)
    ((places, rows),) = view.presence(one.at("00:00:00") // (86_400 * 10**9))
    assert (view.count, view.is_of_one, places.tolist(), count_minutes(rows).tolist()) == (1, True, [0], [0])


def test_a_figure_of_the_policies_stands_at_each_device() -> None:
    view = fleet().fleet_view(0)
    assert np.array_equal(view.of_policies(lambda policy: policy.interval_s), [60, 60])
