"""Devices as targets of Prometheus."""

import pytest

from fleetpulse.errors import OutOfRange
from fleetpulse.query.scrape_targets import ScrapeTarget, scrape_targets
from one_fleet import OneFleet


def fleet() -> OneFleet:
    one = OneFleet(devices=0)
    one.add("b", site="paris", address="10.0.0.2:9100")
    one.add("a", **{"site": "paris", "hall-2 (old)": "x"})
    one.add("gone", site="paris")
    one.add("c", site="rome", address="10.0.0.3")
    one.delete("gone")
    return one


def found(one: OneFleet, *labels: tuple[str, str], address: str = "", targets_max: int = 9) -> list[ScrapeTarget]:
    seen = one.fleet_view(one.now), one.listing()
    return scrape_targets(seen, labels=labels, address_label=address, targets_max=targets_max)


def test_every_device_is_a_target_by_id_with_its_labels() -> None:
    a, b, c = found(fleet())
    assert [one.targets for one in (a, b, c)] == [["a"], ["b"], ["c"]]
    assert a.labels == {
        "__meta_fleetpulse_device_id": "a",
        "__meta_fleetpulse_label_hall_2__old_": "x",
        "__meta_fleetpulse_label_site": "paris",
    }


def test_a_label_may_hold_the_address_and_devices_without_it_are_left_out() -> None:
    assert [one.targets for one in found(fleet(), address="address")] == [["10.0.0.2:9100"], ["10.0.0.3"]]
    assert [one.targets for one in found(fleet(), ("site", "rome"), address="address")] == [["10.0.0.3"]]
    assert found(fleet(), address="unknown") == []


def test_more_targets_than_the_limit_are_refused() -> None:
    with pytest.raises(OutOfRange, match="3 devices match, more than 2 targets"):
        found(fleet(), targets_max=2)
