"""What badges show."""

import pytest

from fleetpulse.model.status import STATUSES, Status
from fleetpulse.query.badges import Badge, badge_of_counts, device_badge, fleet_badge
from one_fleet import OneFleet


@pytest.mark.parametrize("status", STATUSES)
def test_every_status_has_a_colour(status: Status) -> None:
    badge = device_badge("press-07", status)
    assert (badge.label, badge.message) == ("press-07", status)
    assert badge.colour


@pytest.mark.parametrize(
    ("counts", "message", "colour"),
    [
        ({}, "no devices", "lightgrey"),
        ({"new": 2, "paused": 1}, "none of 3 heard", "lightgrey"),
        ({"up": 2, "late": 1, "maintenance": 1}, "3 of 4 up", "brightgreen"),
        ({"up": 11, "down": 1}, "1 of 12 down", "yellow"),
        ({"up": 9, "down": 1}, "1 of 10 down", "orange"),
        ({"up": 1, "down": 1}, "1 of 2 down", "red"),
    ],
)
def test_devices_that_are_down_are_counted(counts: dict[Status, int], message: str, colour: str) -> None:
    zeros: dict[Status, int] = dict.fromkeys(STATUSES, 0)
    assert badge_of_counts("fleet", zeros | counts) == Badge("fleet", message, colour)  # type: ignore[arg-type]  # a text


def test_the_badge_of_a_label_is_about_its_devices() -> None:
    one = OneFleet(devices=0)
    one.add("a", site="paris")
    one.add("b", site="rome")
    one.add("gone", site="paris")
    one.hear("10:00:00", device=0)
    one.delete("gone")
    seen = one.fleet_view(one.now), one.listing()
    assert fleet_badge(seen, labels=(("site", "paris"),)) == Badge("site:paris", "1 of 1 up", "brightgreen")
    assert fleet_badge(seen, labels=()) == Badge("fleet", "1 of 2 up", "brightgreen")
    assert fleet_badge(seen, labels=(("site", "oslo"),)).message == "no devices"
