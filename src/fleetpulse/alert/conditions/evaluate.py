"""What a rule finds in facts: one function, whatever kind of rule it is."""

from collections.abc import Callable, Mapping

from fleetpulse.alert.condition import Condition
from fleetpulse.alert.conditions.absent import absent
from fleetpulse.alert.conditions.clock_drift import clock_drift
from fleetpulse.alert.conditions.device_down import device_down
from fleetpulse.alert.conditions.facts import Facts
from fleetpulse.alert.conditions.fleet_down import fleet_down
from fleetpulse.alert.conditions.memory import Memory
from fleetpulse.alert.conditions.metric_window import metric_window
from fleetpulse.alert.conditions.own_telemetry import own_telemetry
from fleetpulse.alert.conditions.uptime_below import uptime_below
from fleetpulse.model.alert_rule import AlertRule, RuleKind

_KINDS: Mapping[RuleKind, Callable[[AlertRule, Facts, Memory], Condition]] = {
    "device_down": device_down,
    "metric": metric_window,
    "uptime_below": uptime_below,
    "absent": absent,
    "fleet": fleet_down,
    "drift": clock_drift,
    "service": own_telemetry,
}


def evaluate(rule: AlertRule, facts: Facts, memory: Memory) -> Condition:
    """Of which subjects the condition of a rule is true, and of which nothing can be said. Pure but for `memory`."""
    return _KINDS[rule.kind](rule, facts, memory)
