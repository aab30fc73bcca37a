"""When which rule is looked at: windows of metrics and uptime only when they end, all others in each round."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from fleetpulse.alert.conditions.facts import LONG_WINDOW_S
from fleetpulse.alert_settings import ConditionSettings
from fleetpulse.model.alert_rule import AlertRule
from fleetpulse.model.units import NS_PER_S

LONG_WINDOW_PARTS = 60
"""A long window is looked at so many times in its length."""


def step_s(rule: AlertRule, settings: ConditionSettings) -> int:
    """The time between two looks at a rule; 0: it is looked at in each round."""
    if rule.kind == "uptime_below":
        return settings.alert_uptime_interval_s
    if rule.kind not in ("metric", "absent"):
        return 0
    if rule.window_s <= LONG_WINDOW_S:
        return settings.alert_metric_interval_s
    return max(settings.alert_metric_interval_s, rule.window_s // LONG_WINDOW_PARTS)


@dataclass(frozen=True, slots=True, eq=False)
class Cadence:
    """Which rules were looked at last: by name, the rule as it was then, and in which of its steps that was."""

    seen: Mapping[str, tuple[AlertRule, int]] = field(default_factory=dict)

    def due(
        self, rules: Sequence[AlertRule], settings: ConditionSettings, *, now_ns: int
    ) -> tuple[list[AlertRule], "Cadence"]:
        """The rules that are looked at now, and what is known after that: new and changed ones are at once."""
        due, seen = [], dict(self.seen)
        for rule in rules:
            length_s = step_s(rule, settings)
            step = now_ns // (length_s * NS_PER_S) if length_s else 0
            if not length_s or self.seen.get(rule.name) != (rule, step):
                due.append(rule)
                seen[rule.name] = rule, step
        return due, Cadence({rule.name: seen[rule.name] for rule in rules})

    def without(self, names: Collection[str]) -> "Cadence":
        """The same, as if the rules with these names had not been looked at."""
        return Cadence({name: last for name, last in self.seen.items() if name not in names})
