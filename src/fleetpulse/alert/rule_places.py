"""Which place a rule has in the columns of alerts, and which numbers its groups have, when rules change."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from fleetpulse.alert.columns import AlertColumns
from fleetpulse.alert.condition import Condition
from fleetpulse.model.alert_rule import AlertRule

NO_RULE = -1


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Placed:
    """Rules by place: first those that are declared, in their order, then those that only have alerts.

    Attributes:
        rules: a rule that was changed to watch something else is there twice, last as it was before.
        groups: of each the names of its groups; None: its subjects are devices.
        former: the place of each in the round before, or NO_RULE.
        declared: how many of them are declared.
        changed: names of rules whose condition was changed.
    """

    rules: list[AlertRule]
    groups: list[list[str] | None]
    former: list[int]
    declared: int
    changed: frozenset[str]

    def moved(self, rows: AlertColumns, former_count: int) -> AlertColumns:
        """Rows of the round before with the places of this one; those of rules that have none any more are left out."""
        place_of = np.full(former_count, NO_RULE, np.int32)
        for place, former in enumerate(self.former):
            if former != NO_RULE:
                place_of[former] = place
        if np.array_equal(place_of, np.arange(former_count)):
            return rows
        places = place_of[rows.of["rule"]]
        kept = np.flatnonzero(places != NO_RULE)
        moved = rows.taken(kept)
        moved.of["rule"] = places[kept]
        return moved.taken(np.argsort(moved.keys(), kind="stable"))


def place(
    former: Sequence[AlertRule],
    former_groups: Sequence[Sequence[str] | None],
    rules: Sequence[AlertRule],
    *,
    in_use: set[int],
) -> Placed:
    """The places of a round. Args: in_use: places of the round before that have rows."""
    place_of = {rule.name: place for place, rule in reversed(list(enumerate(former)))}
    placed = Placed(rules=[], groups=[], former=[], declared=len(rules), changed=frozenset())
    changed = set()
    for rule in rules:
        found = place_of.get(rule.name, NO_RULE)
        if found != NO_RULE and not watches_the_same(former[found], rule):
            found = NO_RULE
        if found != NO_RULE and without_terms(former[found]) != without_terms(rule):
            changed.add(rule.name)
        groups = former_groups[found] if found != NO_RULE else None
        _append(placed, rule, groups, found)
    for left in sorted(in_use - set(placed.former)):
        _append(placed, former[left], former_groups[left], left)
    return replace(placed, changed=frozenset(changed))


def _append(placed: Placed, rule: AlertRule, groups: Sequence[str] | None, former: int) -> None:
    placed.rules.append(rule)
    placed.groups.append(None if groups is None else list(groups))
    placed.former.append(former)


def watches_the_same(former: AlertRule, rule: AlertRule) -> bool:
    """Whether two rules of one name are about the same figure of the same subjects, so that alerts go on."""

    def figure(one: AlertRule) -> tuple[str, ...]:
        return one.kind, one.metric, one.telemetry, one.by

    return figure(former) == figure(rule)


def without_terms(rule: AlertRule) -> AlertRule:
    """A rule without what can be changed of it while its condition stays the same."""
    plain = AlertRule(name="", kind=rule.kind)
    terms: dict[str, Any] = {
        "severity": plain.severity,
        "for_s": 0,
        "keep_firing_for_s": 0,
        "owner": "",
        "annotations": {},
    }
    return msgspec.structs.replace(rule, is_enabled=True, **terms)


def numbered(condition: Condition, groups: list[str] | None) -> tuple[Condition, list[str] | None]:
    """A condition with the numbers that alerts have for its groups, and the names of these, new ones at their end."""
    if condition.groups is None:
        return condition, None
    groups = groups or []
    if groups[: len(condition.groups)] == list(condition.groups):
        return condition, groups
    known = {name: number for number, name in enumerate(groups)}
    numbers = np.array([known.setdefault(name, len(known)) for name in condition.groups], np.int64)
    subjects = numbers[condition.subjects]
    order = np.argsort(subjects)
    return replace(
        condition,
        groups=list(known),
        subjects=subjects[order],
        since_ns=condition.since_ns[order],
        values=condition.values[order],
        withheld=_sorted_of(numbers, condition.withheld),
        absent=_sorted_of(numbers, condition.absent),
        ran=_sorted_of(numbers, condition.ran),
    ), list(known)


def _sorted_of(numbers: NDArray[np.int64], places: NDArray[np.int64]) -> NDArray[np.int64]:
    return np.sort(numbers[places])
