"""The setting `rates`: roles, labels and devices with rates of their own."""

import re
import tomllib
from pathlib import Path

import pytest

from fleetpulse.access.device_limits import Lanes
from fleetpulse.access.rate import Rate
from fleetpulse.access.rate_rules import UNLIMITED, RateRules
from fleetpulse.errors import SettingsError
from fleetpulse.model.access import Scope

DEFAULT = Lanes(Rate(2, 3_000), Rate(10, 3_000))
LABELS = {1: {"class": "fast"}, 2: {"class": "fast", "site": "gare de l'est"}, 3: {}}


def rules(text: str) -> RateRules:
    def has_labels(device: int, scope: Scope) -> bool:
        return all(LABELS[device].get(name) == value for name, value in scope)

    return RateRules(text, has_labels=has_labels, id_of=lambda device: f"press-{device:02}")


def test_nothing_is_declared_by_default() -> None:
    made = rules("")
    assert (made.roles, made.concern_devices, made.lanes_of(1, DEFAULT)) == ({}, False, DEFAULT)


def test_the_first_rule_that_fits_counts_for_each_lane_and_devices_come_before_labels() -> None:
    made = rules(
        "role ingest 50000/s burst 100; label class:fast 20/s burst 5000; label site:gare de l'est 7/s burst 7; "
        "label class:fast backlog 0.5/s burst 9; device press-02 off; device press-03  4/s  burst 1"
    )
    assert made.roles == {"ingest": Rate(50_000, 100)}
    assert [made.lanes_of(device, DEFAULT) for device in (1, 2, 3)] == [
        Lanes(Rate(20, 5_000), Rate(0.5, 9)),
        Lanes(UNLIMITED, Rate(0.5, 9)),
        Lanes(Rate(4, 1), DEFAULT.backlog),
    ]


@pytest.mark.parametrize(
    "text",
    [
        "ingest 5/s burst 3",
        "role nobody 5/s burst 3",
        "role device 5/s burst 3",
        "role read backlog 5/s burst 3",
        "label class 5/s burst 3",
        "label :fast 5/s burst 3",
        "label class:fast 5/min burst 3",
        "device press-07 5/s",
        "device press-07 0/s burst 5",
        "device press-07 5/s burst 0",
        "device press-07 999999999/s burst 5",
        ";".join(["device a off"] * 201),
    ],
)
def test_what_is_no_rule_ends_the_start_with_what_is_expected(text: str) -> None:
    with pytest.raises(SettingsError, match="rates: "):
        rules(text)


def test_the_rules_of_the_how_to_are_rules() -> None:
    page = (Path(__file__).parents[3] / "docs/howto/rate-limits.md").read_text()
    blocks = [tomllib.loads(block) for block in re.findall(r"```toml\n(.*?)```", page, re.DOTALL)]
    made = rules(next(block["rates"] for block in blocks if "rates" in block))
    assert set(made.roles) == {"ingest", "scrape"}
    assert made.lanes_of(1, DEFAULT) == Lanes(Rate(20, 50_000), Rate(100, 50_000))
