"""Rounds of alerts of one rule over devices in memory, for tests: what is true is said, and time is moved by hand."""

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
import numpy as np

from fleetpulse.aggregate.spans import spans_of
from fleetpulse.alert.columns import AlertColumns, Changes
from fleetpulse.alert.condition import Condition
from fleetpulse.alert.lifecycle import Lives, advance
from fleetpulse.alert_settings import AlertSettings
from fleetpulse.model.alert import ALERT_STATES, RESOLUTIONS
from fleetpulse.model.alert_rule import AlertRule
from fleetpulse.model.units import NS_PER_S
from memory_service import NOON

OFFLINE = AlertRule(name="offline", kind="device_down")


def subjects(numbers: Iterable[int]) -> Any:
    """Subjects as conditions have them."""
    return np.array(sorted(numbers), np.int64)


class AlertLives:
    """The state of alerts, and what the last round changed."""

    def __init__(self, *rules: AlertRule, **settings: Any) -> None:
        self.rules: Sequence[AlertRule] = rules or (OFFLINE,)
        self.settings = AlertSettings(**settings)
        self.lives = Lives()
        self.at_s = 0
        self.blind: list[tuple[int, int]] = []
        self.changes: Changes | None = None

    @property
    def now_ns(self) -> int:
        return NOON + self.at_s * NS_PER_S

    def condition(self, rule: str, true: Iterable[int] = (), **parts: Any) -> Condition:
        """What a rule finds now. Args: parts: `withheld`, `absent`, `ran`, `since_s`, `value`, `groups`."""
        found = subjects(true)
        return Condition(
            rule=rule,
            at_ns=self.now_ns,
            subjects=found,
            since_ns=np.full(len(found), NOON + parts.get("since_s", self.at_s) * NS_PER_S),
            values=np.full(len(found), parts.get("value", np.nan)),
            withheld=subjects(parts.get("withheld", ())),
            absent=subjects(parts.get("absent", ())),
            ran=subjects(parts.get("ran", ())),
            groups=parts.get("groups"),
        )

    def round(self, at_s: int, true: Iterable[int] = (), **parts: Any) -> Changes:
        """A round at a time, in which the first rule is true of these subjects."""
        self.at_s = at_s
        return self.look(self.condition(self.rules[0].name, true, **parts))

    def look(self, *conditions: Condition) -> Changes:
        """A round with these conditions."""
        self.lives, self.changes = advance(
            self.lives,
            self.rules,
            {condition.rule: condition for condition in conditions},
            now_ns=self.now_ns,
            limits=self.settings,
            blind=spans_of((NOON + start * NS_PER_S, NOON + end * NS_PER_S) for start, end in self.blind),
        )
        return self.changes

    def change(self, **fields: Any) -> None:
        """Change the first rule."""
        self.rules = (msgspec.structs.replace(self.rules[0], **fields), *self.rules[1:])

    @property
    def open(self) -> dict[int, str]:
        """State by subject."""
        of = self.lives.open.of
        return {int(one): ALERT_STATES[state] for one, state in zip(of["subject"], of["state"], strict=True)}


def numbers(alerts: AlertColumns, places: Any) -> list[int]:
    """The numbers of those alerts."""
    return [int(number) for number in alerts.of["number"][places]]


def resolved(changes: Changes) -> dict[int, str]:
    """By number, why the alerts ended that did in a round."""
    of = changes.alerts.of
    return {int(of["number"][place]): RESOLUTIONS[of["resolution"][place]] for place in changes.resolved}


def fired(changes: Changes) -> list[int]:
    """The subjects of the alerts that fired."""
    return [int(subject) for subject in changes.alerts.of["subject"][changes.fired]]
