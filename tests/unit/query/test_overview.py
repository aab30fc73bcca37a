"""The fleet in a few words."""

from fleetpulse.query.overview import Overview, overview
from one_fleet import OneFleet


def seen(one: OneFleet, *, limit: int = 10) -> Overview:
    return overview(one.fleet_view(one.now), one.listing(), limit=limit)


def test_devices_are_counted_by_status_and_those_that_are_down_come_latest_first() -> None:
    one = OneFleet(devices=0)
    for device_id in ("b", "a", "early", "up", "never", "gone"):
        one.add(device_id)
    one.hear("10:00:00", device=one.numbers["early"])
    one.hear("11:00:00", device=one.numbers["b"])
    one.hear("11:00:00", device=one.numbers["a"])
    one.hear("11:00:00", device=one.numbers["gone"])
    one.hear("11:59:50", device=one.numbers["up"])
    one.delete("gone")
    one.move("12:00:00")
    found = seen(one)
    assert {status: count for status, count in found.by_status.items() if count} == {"new": 1, "up": 1, "down": 3}
    assert found.down == [("a", one.at("11:05:00")), ("b", one.at("11:05:00")), ("early", one.at("10:05:00"))]
    assert (found.now_ns, seen(one, limit=1).down) == (one.now, found.down[:1])


def test_an_empty_fleet_has_nobody_down() -> None:
    found = seen(OneFleet(devices=0))
    assert (sum(found.by_status.values()), found.down) == (0, [])
