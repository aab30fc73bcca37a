import pytest

from fleetpulse.model.device import Device
from fleetpulse.model.device_fields import device_fields, device_with

DEVICE = Device("a", {"site": "x", "hall": "2"}, 300, None, "by the door")


def test_the_fields_of_a_device_make_the_same_device() -> None:
    assert device_fields(DEVICE) == {"interval": 300, "grace": None, "note": "by the door", "site": "x", "hall": "2"}
    assert device_with(Device("a"), device_fields(DEVICE)) == DEVICE


def test_fields_that_are_not_named_stay_and_none_takes_one_away() -> None:
    changed = device_with(DEVICE, {"interval": None, "hall": None, "line": "7", "note": None, "unknown": None})
    assert changed == Device("a", {"site": "x", "line": "7"})


def test_the_result_is_checked() -> None:
    with pytest.raises(ValueError, match="interval must be"):
        device_with(DEVICE, {"interval": 0})
