"""The figures of the fleet for /metrics."""

import pytest

from fleetpulse.query.fleet_gauges import FleetGauges, fleet_gauges
from one_fleet import SECOND, OneFleet

HOUR = 3_600 * SECOND


def fleet() -> OneFleet:
    """At 12:00 two devices of paris are up and one is down since 11:35; one of rome is new, one device is gone."""
    one = OneFleet(devices=0)
    for device_id, site in (("a", "paris"), ("b", "paris"), ("c", "paris"), ("d", "rome"), ("gone", "oslo")):
        one.add(device_id, site=site)
    one.add("bare")
    for minute in range(60):
        for device_id in ("a", "b", *(["c"] if minute < 30 else [])):
            one.hear(f"11:{minute:02}:00", device=one.numbers[device_id])
    one.delete("gone")
    one.move("12:00:00")
    return one


def found(one: OneFleet, *labels: str, values_max: int = 10) -> FleetGauges:
    return fleet_gauges(
        one.fleet_view(one.now - HOUR), windows_ns={"1h": HOUR, "10m": HOUR // 6}, labels=labels, values_max=values_max
    )


def test_devices_are_counted_by_status_and_uptime_is_a_ratio() -> None:
    figures = found(fleet())
    counted = {status: count for (status,), count in figures.devices.items() if count}
    assert counted == {"up": 2, "down": 1, "new": 2}
    assert figures.availability["1h",] == pytest.approx(1 - 25 / 180, abs=0.01)
    assert 0 < figures.availability["10m",] < figures.availability["1h",] < 1
    assert (figures.label_devices, figures.left_out) == ({}, {})


def test_values_of_a_label_are_shown_up_to_the_limit_and_the_others_counted() -> None:
    both = found(fleet(), "site")
    assert both.label_devices["site", "paris", "up"] == 2
    assert both.label_devices["site", "rome", "new"] == 1
    assert ("site", "oslo", "up") not in both.label_devices
    assert both.left_out == {("site",): 0}
    first = found(fleet(), "site", "unknown", values_max=1)
    assert {value for _, value, _ in first.label_devices} == {"paris"}
    assert first.left_out == {("site",): 1, ("unknown",): 0}


def test_an_empty_fleet_has_no_uptime() -> None:
    figures = found(OneFleet(devices=0), "site")
    assert (sum(figures.devices.values()), figures.uptime, figures.availability) == (0, {}, {})
