"""Names of time zones."""

import pytest

from fleetpulse.model.time_zone import is_timezone


@pytest.mark.parametrize("name", ["UTC", "Europe/Paris", "America/Argentina/Buenos_Aires"])
def test_a_zone_is_known_by_its_name(name: str) -> None:
    assert is_timezone(name)


@pytest.mark.parametrize("name", ["", "Europe", "Mars/Olympus", "localtime", "right/UTC", "../etc/passwd", "a\0b"])
def test_what_is_no_zone_or_differs_between_machines_is_not(name: str) -> None:
    assert not is_timezone(name)
