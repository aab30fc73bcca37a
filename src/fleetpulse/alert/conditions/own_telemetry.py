"""Rules about this service itself: its figures are in memory only, so those over a window are of the rounds seen."""

import numpy as np

from fleetpulse.alert.condition import Condition
from fleetpulse.alert.conditions.facts import Facts
from fleetpulse.alert.conditions.memory import Memory
from fleetpulse.alert.conditions.seen_totals import SeenTotals
from fleetpulse.alert.conditions.thresholds import is_beyond, since
from fleetpulse.model.alert_rule import AlertRule
from fleetpulse.model.units import NS_PER_S

SERVICE = "service"
RATIOS = {"error_ratio": ("answers_failed", "answers")}
"""Figures over a window, of two totals in the telemetry of facts: how much the first one grew, by the second one."""


def own_telemetry(rule: AlertRule, facts: Facts, memory: Memory) -> Condition:
    """True of the service while a figure of it is beyond the threshold. A figure that is not known is not."""
    figure = _ratio(rule, facts, memory) if rule.telemetry in RATIOS else facts.telemetry.get(rule.telemetry)
    known = memory.of(rule.name)
    before = np.array([bool(known.is_true.any())])
    values = np.array([np.nan if figure is None else figure], np.float64)
    subjects = np.flatnonzero(is_beyond(rule, values, before))
    return Condition(
        rule=rule.name,
        at_ns=facts.now_ns,
        subjects=subjects,
        since_ns=since(known.in_groups([SERVICE]), subjects, facts.now_ns),
        values=values[subjects],
        groups=[SERVICE],
    )


def _ratio(rule: AlertRule, facts: Facts, memory: Memory) -> float | None:
    """How much of what has been counted in the window is of the first kind; None where nothing was."""
    names = RATIOS[rule.telemetry]
    if any(name not in facts.telemetry for name in names):
        return None
    totals = {name: facts.telemetry[name] for name in names}
    seen = memory.totals.setdefault(rule.telemetry, SeenTotals())
    seen.add(facts.now_ns, totals, window_s=rule.window_s)
    start = seen.before(facts.now_ns - rule.window_s * NS_PER_S) or totals
    part, whole = (totals[name] - start[name] for name in names)
    return part / whole if whole else None
