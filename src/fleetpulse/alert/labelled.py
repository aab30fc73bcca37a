"""The labels of alerts, as columns: those of its device, or of the group that it is about."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from fleetpulse.alert.columns import AlertColumns, RoundNames
from fleetpulse.catalog.roster import Roster
from fleetpulse.model.access import Scope
from fleetpulse.model.alert import labels_of_group
from fleetpulse.model.alert_rule import SEVERITIES
from fleetpulse.model.receiver import Matcher

RULE, SEVERITY, DEVICE = "rule", "severity", "device"
"""What stands in place of labels in silences, and the first two also in `group_by`."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LabelledAlerts:
    """Alerts and the labels that they have; all columns here are of shape (n,), by the rows of `alerts`."""

    alerts: AlertColumns
    names: RoundNames
    roster: Roster
    _columns: dict[str, tuple[NDArray[np.int64], list[str]]] = field(default_factory=dict, init=False)

    def __len__(self) -> int:
        return len(self.alerts)

    def devices(self) -> NDArray[np.int64]:
        """The numbers of the devices, -1 for alerts about groups: int64, shape (n,)."""
        is_of_device = np.array([groups is None for groups in self.names.groups], bool)
        if not len(is_of_device):
            return np.full(len(self), -1, np.int64)
        subjects = self.alerts.of["subject"]
        return np.where(is_of_device[self.alerts.of["rule"]] & (subjects < self.roster.count), subjects, -1)

    def label(self, name: str) -> tuple[NDArray[np.int64], list[str]]:
        """(codes, values) of a label: int64, shape (n,), 0 where an alert has no such label; `values[0]` is ""."""
        if name not in self._columns:
            self._columns[name] = self._label(name)
        return self._columns[name]

    def _label(self, name: str) -> tuple[NDArray[np.int64], list[str]]:
        rules = self.alerts.of["rule"]
        if name == RULE:
            return rules.astype(np.int64) + 1, ["", *self.names.rules]
        if name == SEVERITY:
            return self.alerts.of["severity"].astype(np.int64) + 1, ["", *SEVERITIES]
        column, devices = self.roster.labels.get(name), self.devices()
        codes = np.zeros(len(self), np.int64)
        if column is not None and self.roster.count:
            codes = np.where(devices >= 0, column.codes[np.maximum(devices, 0)], 0).astype(np.int64)
        values = [""] if column is None else list(column.values)  # after the codes: values are added meanwhile
        code_of = {value: code for code, value in enumerate(values)}
        for row in np.flatnonzero(devices < 0).tolist():
            groups = self.names.groups[rules[row]]
            place = int(self.alerts.of["subject"][row])
            labels = labels_of_group(groups[place]) if groups is not None and place < len(groups) else {}
            if name in labels:
                code = code_of.setdefault(labels[name], len(values))
                values += [labels[name]] if code == len(values) else []
                codes[row] = code
        return codes, values

    def matching(self, matcher: Matcher) -> NDArray[np.bool_]:
        """Which alerts a matcher of a route holds of: bool, shape (n,)."""
        codes, values = self.label(matcher.label)
        return np.array([matcher.holds(value) for value in values], bool)[codes]

    def having(self, labels: Scope, device_numbers: dict[str, int]) -> NDArray[np.bool_]:
        """Which alerts have all of these labels, as silences name them: bool, shape (n,); all, where none are named.

        Args: device_numbers: of the ids of devices that silences name; others have no alerts.
        """
        chosen = np.ones(len(self), bool)
        for name, value in labels:
            if name == DEVICE:
                number = device_numbers.get(value)
                chosen &= (self.devices() == number) & (number is not None)
            else:
                codes, values = self.label(name)
                chosen &= np.array([one == value for one in values], bool)[codes]
        return chosen

    def of_severities(self, severities: Sequence[str]) -> NDArray[np.bool_]:
        """Which alerts have one of these severities: bool, shape (n,)."""
        codes, values = self.label(SEVERITY)
        return np.array([value in severities for value in values], bool)[codes]
