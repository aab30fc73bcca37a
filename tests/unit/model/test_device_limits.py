"""How many label names and heartbeat policies a fleet may have."""

from collections.abc import Iterable

import pytest

from fleetpulse.errors import OutOfRange
from fleetpulse.model.device import Device
from fleetpulse.model.device_limits import within_limits
from fleetpulse.model.heartbeat_policy import HeartbeatPolicy

DEFAULT = HeartbeatPolicy(60, 240)
POLICIES_MAX = 20


def checked(devices: Iterable[Device], *, names: Iterable[str] = (), names_max: int = 2) -> list[Device]:
    limited = within_limits(
        devices,
        label_names=names,
        label_names_max=names_max,
        policies=[DEFAULT],
        policies_max=POLICIES_MAX,
        default_policy=DEFAULT,
    )
    return list(limited)


def test_devices_within_the_limits_pass_as_they_are() -> None:
    devices = [Device("a", {"x": "1"}), Device("b", {"x": "2", "y": "1"}, 30, 60)]
    assert checked(devices) == devices


def test_label_names_count_together_with_those_of_the_fleet() -> None:
    assert checked([Device("a", {"x": "1"})], names=["x", "y"])
    with pytest.raises(OutOfRange) as caught:
        checked([Device("a", {"z": "1"})], names=["x", "y"])
    assert caught.value.reason == "label_names_max"


def test_policies_count_by_what_they_come_to() -> None:
    different = [Device(f"d{number}", interval_s=1 + number) for number in range(POLICIES_MAX)]
    assert checked(different[: POLICIES_MAX - 1])
    assert checked([*different[: POLICIES_MAX - 1], Device("as by default", interval_s=60, grace_s=240)])
    with pytest.raises(OutOfRange) as caught:
        checked([*different, Device("one more", interval_s=POLICIES_MAX + 1)])
    assert caught.value.reason == "terms"
