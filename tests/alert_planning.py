"""A fleet whose alerts a test sets by hand, and what the planner decides about them, second by second."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from fleetpulse.alert.columns import ALERT_COLUMNS, AlertColumns, Changes, RoundNames
from fleetpulse.alert.plan import Plan, RoundFacts
from fleetpulse.alert.planner import plan
from fleetpulse.alert.planner_state import PlannerState
from fleetpulse.alert_settings import AlertSettings
from fleetpulse.catalog.roster import Roster
from fleetpulse.model.alert import FIRING, RESOLVED, Silence
from fleetpulse.model.alert_rule import SEVERITIES, AlertRule
from fleetpulse.model.message import Message
from fleetpulse.model.receiver import Receiver, Route, routing_of
from fleetpulse.model.units import NS_PER_S

OFFLINE = AlertRule(name="offline", kind="device_down", severity="critical")
HOT = AlertRule(name="hot", kind="metric", severity="warning")
GROUPS = AlertRule(name="site", kind="fleet", severity="critical", by="site")
START_S = 1_764_288_000
"""2025-11-28, a Friday, 00:00 UTC."""


@dataclass
class Planned:
    """Devices by their labels, alerts by their numbers, and receivers with routes."""

    devices: Sequence[dict[str, str]]
    routes: Sequence[Route] = ()
    receivers: Sequence[str] = ("ops",)
    rules: Sequence[AlertRule] = (OFFLINE, HOT, GROUPS)
    groups: list[str] = field(default_factory=list)
    silences: list[Silence] = field(default_factory=list)
    settings: AlertSettings = field(default_factory=AlertSettings)
    alerts_max: int = 20
    alerts: dict[int, dict[str, Any]] = field(default_factory=dict)
    numbers: dict[tuple[int, int], int] = field(default_factory=dict)
    state: PlannerState = field(default_factory=PlannerState)
    stored: bytes = b""
    beyond: int = 0
    now_s: float = START_S
    messages: list[Message] = field(default_factory=list)
    flapping: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Declare all devices."""
        self.roster = Roster()
        self.roster.resize(len(self.devices))
        for number, labels in enumerate(self.devices):
            self.roster.put(number, labels)

    def fire(self, *subjects: int, rule: int = 0, since_s: float | None = None, **more: Any) -> list[int]:
        """Alerts begin to fire now, one for each subject; an alert of this subject fires again. Returns: numbers."""
        numbers = []
        for subject in subjects:
            number = self.numbers.setdefault((rule, subject), len(self.numbers) + 1)
            times = self.alerts[number]["times"] + 1 if number in self.alerts else 1
            now_ns = round(self.now_s * NS_PER_S)
            since_ns = now_ns if since_s is None else round(since_s * NS_PER_S)
            self.alerts[number] = {
                "rule": rule, "subject": subject, "severity": SEVERITIES.index(self.rules[rule].severity),
                "state": FIRING, "since_ns": since_ns, "fired_at_ns": now_ns, "times": times, **more,
            }  # fmt: skip
            numbers.append(number)
        return numbers

    def end(self, *numbers: int) -> None:
        """These alerts end now."""
        for number in numbers:
            self.alerts[number] |= {"state": RESOLVED, "resolved_at_ns": round(self.now_s * NS_PER_S)}

    def set(self, *numbers: int, **columns: Any) -> None:
        """Change columns of alerts."""
        for number in numbers:
            self.alerts[number] |= columns

    def wait(self, seconds: float = 0, *, step_s: float = 1) -> list[Message]:
        """Plan now, and on until this time has passed. Returns: what was decided to be told."""
        messages: list[Message] = []
        end_s = self.now_s + seconds
        while True:
            messages += self.round().messages
            if self.now_s >= end_s:
                return messages
            self.now_s = min(end_s, self.now_s + step_s)

    def round(self) -> Plan:
        """One round; the state passes through its stored form, as after a crash."""
        open_ = [number for number, row in self.alerts.items() if not row.get("is_gone")]
        columns = {
            name: np.array([self._value(name, number) for number in open_], dtype)
            for name, dtype in ALERT_COLUMNS.items()
            if name != "recent_ns"
        }
        alerts = AlertColumns(columns)
        places = np.flatnonzero(np.isin(columns["number"], self.flapping))
        none = np.zeros(0, np.int64)
        changes = Changes(
            at_ns=round(self.now_s * NS_PER_S),
            alerts=alerts,
            fired=none,
            resolved=none,
            flapping=places,
            withheld=none,
            altered=none,
            beyond=self.beyond,
        )
        state, stored, decided = plan(self.stored, self.facts(changes), self.settings, alerts_max=self.alerts_max)
        self.stored, self.flapping, self.state = self.stored if stored is None else stored, [], state
        for number in open_:
            self.alerts[number]["is_gone"] = self.alerts[number]["state"] == RESOLVED
        self.messages += decided.messages
        return decided

    def facts(self, changes: Changes) -> RoundFacts:
        """What the planner sees in a round."""
        receivers = [Receiver(name=name, kind="webhook", url="https://example.com") for name in self.receivers]
        return RoundFacts(
            changes=changes,
            names=RoundNames(
                rules=[rule.name for rule in self.rules],
                groups=[self.groups if rule.kind == "fleet" else None for rule in self.rules],
            ),
            rules=self.rules,
            roster=self.roster,
            ids=[f"d{number}" for number in range(len(self.devices))],
            last_received_ns=np.zeros(len(self.devices), np.int64),
            routing=routing_of(receivers, list(self.routes)),
            silences=self.silences,
        )

    def _value(self, name: str, number: int) -> Any:
        return number if name == "number" else self.alerts[number].get(name, 0)


def brief(messages: Sequence[Message]) -> list[tuple[str, str, tuple[str, ...]]]:
    """Receiver, kind, and the subjects of each message."""
    return [(one.receiver, one.kind, tuple(alert.subject for alert in one.alerts)) for one in messages]
