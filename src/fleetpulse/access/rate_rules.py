"""Rates that roles, labels and devices have of their own, as the setting `rates` declares them.

    role ingest 50000/s burst 1000000; label class:fast 20/s burst 5000; label class:fast backlog 100/s burst 9000;
    device press-07 off

Each is `role NAME`, `label NAME:VALUE` or `device ID`, for devices perhaps `backlog` for that lane, and the rate, or
`off` for any number. Of several that fit a device, the first counts for each lane; those by device come before those
by label. People put a device into a class with a label, wherever labels are declared: API, commands, devices.csv.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass

from fleetpulse.access.device_limits import Lanes
from fleetpulse.access.rate import Rate
from fleetpulse.access.roles import ROLES
from fleetpulse.errors import SettingsError
from fleetpulse.model.access import Role, Scope

RULES_MAX = 200
_RULE = re.compile(r"(role|label|device) +(\S.*?)( +backlog)? +(?:(\d+(?:\.\d+)?)/s +burst +(\d+)|(off))")
_EXPECTED = (
    "expected `role NAME RATE`, `label NAME:VALUE RATE`, `label NAME:VALUE backlog RATE` or `device ID RATE`, where a "
    "rate is `20/s burst 5000` or `off`"
)
UNLIMITED = Rate(0.0, 1)


@dataclass(frozen=True, slots=True)
class _DeviceRule:
    fits: Callable[[int], bool]
    is_backlog: bool
    rate: Rate


class RateRules:
    """What the setting declares. `roles`: the rates of single keys of a role."""

    def __init__(self, text: str, *, has_labels: Callable[[int, Scope], bool], id_of: Callable[[int], str]) -> None:
        """`has_labels`, `id_of`: as `Gate` has them. Raises: SettingsError: says which rule is wrong."""
        self.roles: dict[Role, Rate] = {}
        by_device: list[_DeviceRule] = []
        by_label: list[_DeviceRule] = []
        rules = [rule.strip() for rule in text.split(";") if rule.strip()]
        if len(rules) > RULES_MAX:
            raise SettingsError(f"rates: {len(rules)} rules are more than {RULES_MAX}: give devices a label together")
        for rule in rules:
            match = _RULE.fullmatch(rule)
            if match is None:
                raise SettingsError(f"rates: `{rule[:200]}`: {_EXPECTED}")
            kind, name, is_backlog = match[1], match[2], bool(match[3])
            rate = UNLIMITED if match[6] else _rate(match[4], match[5], rule)
            if kind == "role":
                if name not in ROLES or name == "device" or is_backlog:
                    raise SettingsError(
                        f"rates: `{rule[:200]}`: a role is one of {', '.join(ROLES[1:])}; for devices use "
                        "device_per_s, backlog_per_s, a label or an id"
                    )
                self.roles[name] = rate
            elif kind == "label":
                scope = (_label(name, rule),)
                by_label.append(_DeviceRule(lambda device, scope=scope: has_labels(device, scope), is_backlog, rate))  # type: ignore[misc]  # the default binds the scope of this turn
            else:
                by_device.append(_DeviceRule(lambda device, name=name: id_of(device) == name, is_backlog, rate))  # type: ignore[misc]  # as above
        self._rules = by_device + by_label

    @property
    def concern_devices(self) -> bool:
        """Whether devices may have other rates than the service's."""
        return bool(self._rules)

    def lanes_of(self, device: int, default: Lanes) -> Lanes:
        """The rates of a device, by number; those of `default` where it has none of its own."""
        return Lanes(
            *(
                next((rule.rate for rule in self._rules if rule.is_backlog is lane and rule.fits(device)), rate)
                for lane, rate in ((False, default.beats), (True, default.backlog))
            )
        )


def _rate(per_s: str, burst: str, rule: str) -> Rate:
    rate = Rate(float(per_s), int(burst))
    if not 0 < rate.per_s <= 100_000 or not 1 <= rate.burst <= 10_000_000:
        raise SettingsError(f"rates: `{rule[:200]}`: at most 100000/s and burst 10000000, and more than nothing")
    return rate


def _label(text: str, rule: str) -> tuple[str, str]:
    name, colon, value = text.partition(":")
    if not name or not colon or not value:
        raise SettingsError(f"rates: `{rule[:200]}`: a label is NAME:VALUE")
    return name, value
