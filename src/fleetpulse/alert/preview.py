"""A rule tried on what is true now: which alerts there would be, and which figures are near to its threshold.

The rule is looked at, and its alerts live through one round, by the same code as those of rules that are declared.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import msgspec
import numpy as np
from numpy.typing import NDArray

from fleetpulse.aggregate.spans import spans_of
from fleetpulse.alert.columns import AlertColumns, RoundNames
from fleetpulse.alert.condition import Condition
from fleetpulse.alert.conditions.evaluate import evaluate
from fleetpulse.alert.conditions.facts import Facts
from fleetpulse.alert.conditions.memory import Memory
from fleetpulse.alert.describing import Describer, shown_value
from fleetpulse.alert.lifecycle import Lives, advance
from fleetpulse.alert.rule_rows import Moment
from fleetpulse.alert_settings import AlertSettings
from fleetpulse.model.alert import FIRING
from fleetpulse.model.alert_rule import AlertRule
from fleetpulse.model.message import MessageAlert
from fleetpulse.model.units import NS_PER_S

CLOSEST = 5
"""How many figures are named that are nearest to the threshold, of subjects of which the condition is false."""
WITH_FIGURES = ("metric", "uptime_below", "fleet", "drift", "service")


@dataclass(frozen=True, slots=True, kw_only=True)
class TriedAlert:
    """An alert that there would be. `fires_at_ns`: when it fires if nothing changes; that of the trial: at once."""

    alert: MessageAlert
    fires_at_ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ClosestFigure:
    """A figure of which the condition is false."""

    subject: str
    value: float
    unit: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleTrial:
    """What a rule would do now.

    Attributes:
        devices: how many devices it is about; None where it is about the service.
        firing, pending: of how many subjects its condition is true for long enough, and of how many not yet.
        withheld: of how many nothing can be said.
        alerts: the first of them, those that fire before those that do not yet.
        closest: nearest first.
    """

    at_ns: int
    devices: int | None
    firing: int
    pending: int
    withheld: int
    alerts: Sequence[TriedAlert]
    closest: Sequence[ClosestFigure]


def try_rule(
    rule: AlertRule, facts: Facts, memory: Memory, *, ids: Sequence[str], limits: AlertSettings, listed_max: int
) -> RuleTrial:
    """What the rule would do if it had just been declared.

    Args: memory: of rounds, changed as by one; without alerts. ids: of devices by number.
    """
    rule = msgspec.structs.replace(rule, is_enabled=True)
    condition = evaluate(rule, facts, memory)
    blind = spans_of(facts.view.live.blind_ns)
    every = replace(limits, alerts_open_max=max(len(condition.subjects), 1))
    lives, _ = advance(Lives(), [rule], {rule.name: condition}, now_ns=facts.now_ns, limits=every, blind=blind)
    rows = lives.open
    is_firing = rows.of["state"] == FIRING
    left_ns = rule.for_s * NS_PER_S - Moment(now_ns=facts.now_ns, blind=blind).since(rows.of["pending_since_ns"])
    fires_at_ns = facts.now_ns + np.maximum(left_ns, 0)
    first = np.argsort(fires_at_ns, kind="stable")[:listed_max]
    units = {name: metric.unit for name, (_, metric) in facts.metrics.items()}
    describer = Describer(
        at_ns=facts.now_ns,
        names=RoundNames(rules=[rule.name], groups=[lives.groups[0]]),
        rules=[rule],
        roster=facts.view.roster,
        ids=ids,
        last_received_ns=facts.view.live.last_received_ns,
        units=units,
    )
    return RuleTrial(
        at_ns=facts.now_ns,
        devices=None if rule.kind == "service" else len(facts.members(rule.labels)),
        firing=int(is_firing.sum()),
        pending=int((~is_firing).sum()),
        withheld=len(condition.withheld),
        alerts=_listed(describer, rows.taken(first), fires_at_ns[first]),
        closest=_closest(rule, facts, condition, Memory(totals=memory.totals), ids=ids, units=units),
    )


def _listed(describer: Describer, rows: AlertColumns, fires_at_ns: NDArray[np.int64]) -> list[TriedAlert]:
    described = describer.describe(rows)
    return [
        TriedAlert(alert=alert, fires_at_ns=at_ns) for alert, at_ns in zip(described, fires_at_ns.tolist(), strict=True)
    ]


def _closest(
    rule: AlertRule, facts: Facts, condition: Condition, memory: Memory, *, ids: Sequence[str], units: Mapping[str, str]
) -> list[ClosestFigure]:
    """Found by a rule that is true of every figure."""
    if rule.kind not in WITH_FIGURES:
        return []
    threshold = -np.inf if rule.comparison in (">", ">=") else np.inf
    every = msgspec.structs.replace(rule, threshold=threshold, clear_threshold=None)
    found = evaluate(every, facts, memory)
    others = np.flatnonzero(~np.isin(found.subjects, condition.subjects) & np.isfinite(found.values))
    nearest = others[np.argsort(np.abs(found.values[others] - rule.threshold), kind="stable")[:CLOSEST]]
    figures = []
    for place in nearest.tolist():
        subject = int(found.subjects[place])
        value, unit = shown_value(rule, float(found.values[place]), units)
        name = ids[subject] if found.groups is None else found.groups[subject]
        figures.append(ClosestFigure(subject=name, value=0.0 if value is None else value, unit=unit))
    return figures
