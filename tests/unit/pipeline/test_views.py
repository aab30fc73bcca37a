"""Views join the parts of a service as they are at one moment."""

import numpy as np

from fleetpulse.query.status import device_status, fleet_status
from fleetpulse.query.window import Window
from one_fleet import OneFleet


def test_a_view_does_not_see_what_happens_after_it_was_taken() -> None:
    one = OneFleet()
    one.hear("10:00:00")
    one.move("10:10:00")
    later, whole_later = one.views.device("d0", 0, start_ns=one.now), one.views.fleet_from(one.now)
    one.pause("10:05:00")
    one.maintain("10:00:00", "11:00:00")
    one.hear("10:10:01")
    assert device_status(later())[:2] == ("down", one.at("10:05:00"))
    assert fleet_status(whole_later())[1].tolist() == [one.at("10:05:00")]
    assert device_status(one.view(one.now))[0] == "paused"


def test_a_device_is_a_fleet_of_one_with_its_own_exclusions() -> None:
    one = OneFleet(devices=3)
    one.pause("00:00:00", device=1)
    one.move("12:00:00")
    whole = one.fleet_view(one.now)
    for device in range(3):
        alone = one.view(one.now, device)
        assert (alone.count, alone.live.devices.start) == (1, device)
        assert alone.excluded.of(0).paused.tolist() == whole.excluded.of(device).paused.tolist()


def test_exclusions_of_the_fleet_are_shared_until_something_is_declared() -> None:
    one = OneFleet(devices=2)
    one.maintain("10:00:00", "11:00:00")
    one.move("12:00:00")
    first, second = one.fleet_view(one.now), one.fleet_view(one.now)
    assert first.excluded is second.excluded
    one.add("d2")
    assert one.fleet_view(one.now).excluded is not first.excluded


def test_a_view_of_samples_has_no_columns_of_devices() -> None:
    one = OneFleet(devices=2)
    one.hear_sample("10:00:00", device=1)
    samples = one.views.samples()()
    assert [piece.devices.tolist() for piece in samples.live] == [[1]]


def test_closed_and_open_days_are_one_presence() -> None:
    one = OneFleet(devices=2)
    one.hear("10:00:00", device=0)
    one.hear("2026-05-13T10:00:00", device=1)
    one.checkpoint()
    one.hear("2026-05-13T10:00:05", sent_at="2026-05-11T11:00:00", device=1)
    start_ns = one.at("00:00:00")
    window = Window(start_ns, one.now)
    day = window.start_ns // 86_400_000_000_000
    for view, expected in ((one.fleet_view(start_ns), [1, 1]), (one.view(start_ns), [1]), (one.view(start_ns, 1), [1])):
        counts = np.concatenate([np.bitwise_count(rows).sum(axis=1) for _, rows in view.presence(day)])
        assert counts.tolist() == expected
    in_memory = [places.tolist() for places, _ in one.fleet_view(start_ns).presence(day, is_closed_read=False)]
    assert in_memory == [[1]]
