"""Which of many alerts somebody sees and wants, vectorised over their rows."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fleetpulse.catalog.roster import Roster
from fleetpulse.model.access import Scope
from fleetpulse.model.alert import ALERT_STATES, FIRING, PENDING, RESOLVED, labels_of_group
from fleetpulse.model.alert_filter import AlertFilter
from fleetpulse.model.alert_rows import AlertRows
from fleetpulse.model.alert_rule import SEVERITIES

_STATES = {"open": (PENDING, FIRING), "all": (FIRING, RESOLVED)}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class AlertSelection:
    """Selects rows. `roster` is narrowed to the scope of whoever asks; `rule_labels` are those of rules by name."""

    chosen: AlertFilter
    roster: Roster
    rule_labels: Mapping[str, Scope]
    acknowledged: frozenset[int] = frozenset()
    """The numbers of alerts that somebody has acknowledged."""

    def matches(self, alerts: AlertRows) -> NDArray[np.bool_]:
        """Which of the alerts are seen and wanted: bool, shape (n,)."""
        rows, chosen = alerts.rows, self.chosen
        states = _STATES.get(chosen.state) or (ALERT_STATES.index(chosen.state),)
        wanted = np.isin(rows["state"], states)
        wanted &= (rows["fired_at_ns"] >= chosen.since_ns) & (rows["fired_at_ns"] < chosen.until_ns)
        if chosen.severity is not None:
            wanted &= rows["severity"] == SEVERITIES.index(chosen.severity)
        if chosen.rule:
            wanted &= np.array([name == chosen.rule for name in alerts.names], bool)[rows["rule"]]
        if chosen.devices is not None:
            wanted &= np.isin(rows["device"], chosen.devices)
        if chosen.incident:
            wanted &= rows["incident"] == chosen.incident
        if chosen.is_acknowledged is not None:
            wanted &= np.isin(rows["number"], list(self.acknowledged)) == chosen.is_acknowledged
        if chosen.labels or self.roster.scope:
            wanted &= self._is_inside(alerts, chosen.labels)
        return wanted

    def _is_inside(self, alerts: AlertRows, labels: Scope) -> NDArray[np.bool_]:
        """Whether alerts are about devices of the scope with these labels alone."""
        rows = alerts.rows
        devices = self.roster.with_labels(labels, is_deleted_included=True)
        of_device = np.flatnonzero(rows["device"] >= 0)
        of_device = of_device[rows["device"][of_device] < len(devices)]
        inside = np.zeros(len(rows), bool)
        inside[of_device] = devices[rows["device"][of_device]]
        about_groups = np.flatnonzero(rows["device"] < 0)
        pairs = np.unique(rows[["rule", "group"]][about_groups])
        for rule, group in pairs.tolist():
            labels_of_rule = self.rule_labels.get(alerts.names[rule], ())
            if group_is_inside(alerts.names[group], labels_of_rule, self.roster, labels):
                inside[about_groups] |= (rows["rule"][about_groups] == rule) & (rows["group"][about_groups] == group)
        return inside


def group_is_inside(group: str, rule_labels: Scope, roster: Roster, labels: Scope = ()) -> bool:
    """Whether all devices of a group are in the scope of the roster, and have these labels.

    A group without devices is only where its own label, or one of its rule, is the whole scope.
    """
    scope = (*roster.scope, *labels)
    if group == "service":
        return not scope
    own = (*rule_labels, *labels_of_group(group).items())
    if set(scope) <= set(own):
        return True
    everyone = Roster.frozen(roster)
    everyone.scope = ()
    members = everyone.with_labels(own)
    return bool(members.any()) and bool(roster.with_labels(labels)[members].all())
