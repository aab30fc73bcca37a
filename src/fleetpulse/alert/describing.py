"""What messages and answers say of single alerts, in words: made of few, since each is a Python object."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import msgspec
import numpy as np
from numpy.typing import NDArray

from fleetpulse.alert.annotations import render
from fleetpulse.alert.columns import AlertColumns, RoundNames
from fleetpulse.catalog.roster import Roster
from fleetpulse.model.alert import ALERT_STATES, RESOLUTIONS, AlertDecision, labels_of_group
from fleetpulse.model.alert_rule import TELEMETRY, AlertRule
from fleetpulse.model.message import MessageAlert


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Describer:
    """Describes alerts of a round. `ids` are those of devices by number, `units` those of metrics by name."""

    at_ns: int
    names: RoundNames
    rules: Sequence[AlertRule]
    roster: Roster
    ids: Sequence[str]
    last_received_ns: NDArray[np.int64]
    units: Mapping[str, str] = field(default_factory=dict)
    decisions: Mapping[int, AlertDecision] = field(default_factory=dict)

    def describe(self, alerts: AlertColumns) -> list[MessageAlert]:
        """What is said of each of the alerts, in their order."""
        return [self._one(alerts, row) for row in range(len(alerts))]

    def _one(self, alerts: AlertColumns, row: int) -> MessageAlert:
        of = {name: column[row].item() for name, column in alerts.of.items() if column.ndim == 1}
        rule, subject = self.rules[of["rule"]], of["subject"]
        groups = self.names.groups[of["rule"]]
        value, unit = shown_value(rule, of["value"], self.units)
        decision = self.decisions.get(of["number"])
        if groups is None:
            name = self.ids[subject] if subject < len(self.ids) else f"device {subject}"
            labels = self.roster.labels_of(subject) if subject < self.roster.count else {}
            heard_ns = int(self.last_received_ns[subject]) if subject < len(self.last_received_ns) else 0
        else:
            name, heard_ns = groups[subject], 0
            labels = labels_of_group(name)
        alert = MessageAlert(
            number=of["number"],
            rule=rule.name,
            severity=rule.severity,
            subject=name,
            state=ALERT_STATES[of["state"]],
            since_ns=of["since_ns"],
            fired_at_ns=of["fired_at_ns"],
            last_received_ns=heard_ns,
            resolved_at_ns=of["resolved_at_ns"],
            resolution=RESOLUTIONS[of["resolution"]],
            value=value,
            unit=unit,
            times=of["times"],
            labels=labels,
            owner=rule.owner,
            acknowledged_by=decision.acknowledged_by if decision else "",
        )
        return with_annotations(alert, rule, at_ns=self.at_ns)


def with_annotations(alert: MessageAlert, rule: AlertRule, *, at_ns: int) -> MessageAlert:
    """The alert with the texts that its rule has templates of; they say what fires, so one that has ended has none."""
    if alert.state == "resolved":
        return alert
    texts = {name: render(template, alert, at_ns=at_ns) for name, template in rule.annotations.items()}
    return msgspec.structs.replace(alert, annotations=texts)


def shown_value(rule: AlertRule, value: float, units: Mapping[str, str]) -> tuple[float | None, str]:
    """The figure of an alert as people read it, with its unit; None where there is none."""
    if np.isnan(value):
        return None, ""
    if rule.is_share or rule.kind == "uptime_below" or TELEMETRY.get(rule.telemetry) == "share":
        return 100 * value, "%"
    if rule.kind in ("drift", "absent") or TELEMETRY.get(rule.telemetry) == "seconds":
        return value, "s"
    return value, units.get(rule.metric, "") if rule.kind == "metric" and rule.aggregation != "count" else ""
