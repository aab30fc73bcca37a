"""A round of alerts over a fleet in memory: what a rule finds at a time."""

import numpy as np

from fleetpulse.alert.condition import Condition
from fleetpulse.alert.conditions.evaluate import evaluate
from fleetpulse.alert.conditions.facts import Facts
from fleetpulse.alert.conditions.memory import Memory, OpenAlerts
from fleetpulse.model.alert_rule import AlertRule
from fleetpulse.model.units import NS_PER_DAY, NS_PER_S
from one_fleet import OneFleet

OFFLINE = AlertRule(name="offline", kind="device_down")


def alerts_of(one: OneFleet, **alerts: str) -> OpenAlerts:
    """Open alerts by device, and since when each is true."""
    numbers = sorted((one.numbers.get(device, int(device[1:])), since) for device, since in alerts.items())
    return OpenAlerts(
        subjects=np.array([number for number, _ in numbers], np.int64),
        since_ns=np.array([one.at(since) for _, since in numbers], np.int64),
        is_true=np.ones(len(numbers), bool),
    )


def group_alerts(*groups: str, is_true: bool = True) -> OpenAlerts:
    """Open alerts of groups, in another order than a round finds them."""
    count = len(groups)
    return OpenAlerts(
        subjects=np.arange(count), since_ns=np.arange(count), is_true=np.full(count, is_true), groups=groups
    )


def look(one: OneFleet, text: str, rule: AlertRule = OFFLINE, **alerts: str) -> Condition:
    """What a round finds at a time. Args: alerts: see `alerts_of`."""
    one.move(text)
    return look_now(one, rule, alerts_of(one, **alerts))


def look_now(
    one: OneFleet, rule: AlertRule, known: OpenAlerts, *, memory: Memory | None = None, **telemetry: float
) -> Condition:
    """What a round finds now, with the open alerts of the rule."""
    memory = memory or Memory()
    memory.open = {rule.name: known}
    start_ns = one.now - max(8 * NS_PER_DAY, rule.window_s * NS_PER_S)
    return evaluate(rule, Facts(view=one.fleet_view(start_ns), telemetry=telemetry), memory)


def three_devices() -> OneFleet:
    """Two devices in Paris and one in Lyon."""
    one = OneFleet(devices=0)
    for number, site in enumerate(("paris", "paris", "lyon")):
        one.add(f"d{number}", site=site)
    return one
