"""One round of alerts: what the facts of a moment change, who is told of it, and what is to be stored. Pure."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fleetpulse.aggregate.spans import NO_SPANS, Spans
from fleetpulse.alert.columns import AlertColumns, Changes, RoundNames
from fleetpulse.alert.condition import Condition
from fleetpulse.alert.lifecycle import Lives, advance
from fleetpulse.alert.plan import Plan, RoundFacts
from fleetpulse.alert.rule_rows import find
from fleetpulse.alert.stored_rows import pending_of, rows_of
from fleetpulse.alert_settings import AlertSettings
from fleetpulse.catalog.alert_records import AlertRound
from fleetpulse.catalog.roster import Roster
from fleetpulse.model.alert import AlertDecision, AlertNote, Silence
from fleetpulse.model.alert_rule import AlertRule
from fleetpulse.model.message import Message
from fleetpulse.model.receiver import NO_ROUTING, Routing

NOTED_MAX = 200
"""Alerts of a round whose firing again, flapping and late news are written to their logs; beyond it, no log says so."""
Planner = Callable[[Any, RoundFacts, AlertSettings], tuple[Any, bytes | None, Plan]]
"""(state, facts, settings) -> (state after it, the same as bytes where it has changed, what is decided)."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RoundState:
    """What a round goes on from: the catalog has all of it. `planner` is what the planner remembers."""

    lives: Lives = field(default_factory=Lives)
    planner: Any = None
    told_blind_ns: int = 0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RoundInput:
    """What a round sees beside its conditions.

    Attributes:
        blind: when the service did not run.
        blind_notice_ns: a span without service that is at least so long is told of.
    """

    now_ns: int
    rules: Sequence[AlertRule]
    roster: Roster
    ids: Sequence[str]
    last_received_ns: NDArray[np.int64]
    blind: Spans = field(default_factory=lambda: NO_SPANS)
    blind_notice_ns: int = 0
    silences: Sequence[Silence] = ()
    decisions: Mapping[int, AlertDecision] = field(default_factory=dict)
    routing: Routing = NO_ROUTING
    units: Mapping[str, str] = field(default_factory=dict)
    """Of metrics, by name."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Decided:
    """What a round has decided. `record` is None where nothing needs to be stored."""

    state: RoundState
    changes: Changes
    names: RoundNames
    record: AlertRound | None
    messages: Sequence[Message] = ()


def decide(
    state: RoundState, given: RoundInput, conditions: Mapping[str, Condition], settings: AlertSettings, plan: Planner
) -> Decided:
    """One round. Args: conditions: by the names of rules. Changes nothing that it is given."""
    before = state.lives
    lives, changes = advance(before, given.rules, conditions, now_ns=given.now_ns, limits=settings, blind=given.blind)
    show_decisions(changes.alerts, given.decisions)
    names = RoundNames(rules=[rule.name for rule in lives.rules], groups=lives.groups)
    blind_ns = untold_blind(given, told_ns=state.told_blind_ns)
    facts = RoundFacts(
        changes=changes,
        names=names,
        rules=lives.rules,
        roster=given.roster,
        ids=given.ids,
        last_received_ns=given.last_received_ns,
        silences=given.silences,
        decisions=given.decisions,
        routing=given.routing,
        units=given.units,
        blind_ns=blind_ns,
    )
    planner, planner_bytes, planned = plan(state.planner, facts, settings)
    altered = _with_incidents(changes, planned)
    lives = replace(lives, open=_moved_to(lives.open, planned), ended=_moved_to(lives.ended, planned))
    told_blind_ns = blind_ns[1] if blind_ns else 0
    stored = AlertColumns.joined([changes.alerts.taken(altered), changes.ran])
    record = AlertRound(
        alerts=rows_of(stored, lives.rules, lives.groups),
        pending=_pending(lives, changes),
        planner=planner_bytes,
        rules=lives.rules[: lives.declared] if _are_other(before, lives) else None,
        told_blind_ns=told_blind_ns,
        unacknowledged=_unacknowledged(changes, given.decisions),
        incidents=planned.incidents,
        notes=[*_notes(changes), *planned.notes],
    )
    news = (len(stored), record.pending, told_blind_ns, planned.messages, planned.incidents, record.notes)
    is_news = any(map(bool, news)) or record.rules is not None or planner_bytes is not None
    after = RoundState(lives=lives, planner=planner, told_blind_ns=max(state.told_blind_ns, told_blind_ns))
    return Decided(
        state=after, changes=changes, names=names, record=record if is_news else None, messages=planned.messages
    )


def show_decisions(alerts: AlertColumns, decisions: Mapping[int, AlertDecision]) -> None:
    """Enter into the columns, in place, what people have decided."""
    alerts.of["is_acknowledged"][:], alerts.of["snoozed_until_ns"][:] = False, 0
    if not decisions:
        return
    numbers = np.array(sorted(decisions), np.int64)
    found, places = find(alerts.of["number"], numbers)
    for row in np.flatnonzero(found).tolist():
        decision = decisions[int(numbers[places[row]])]
        alerts.of["is_acknowledged"][row] = bool(decision.acknowledged_by)
        alerts.of["snoozed_until_ns"][row] = decision.snoozed_until_ns


def untold_blind(given: RoundInput, *, told_ns: int) -> tuple[int, int] | None:
    """The span from the first to the last blind time of which nobody was told yet; None: all were, or are short."""
    long = given.blind[:, 1] - given.blind[:, 0] >= given.blind_notice_ns
    untold = given.blind[long & (given.blind[:, 1] > told_ns)]
    return (int(untold[-1, 0]), int(untold[-1, 1])) if len(untold) else None


def _with_incidents(changes: Changes, planned: Plan) -> NDArray[np.int64]:
    """Enter incidents into the alerts of the round, in place. Returns: places of all that must be stored, int64."""
    if not len(planned.members):
        return changes.altered
    before = changes.alerts.of["incident"].copy()
    changes.alerts.of["incident"] = _moved_to(changes.alerts, planned).of["incident"]
    moved = np.flatnonzero(changes.alerts.of["incident"] != before)
    return np.union1d(changes.altered, moved)


def _moved_to(alerts: AlertColumns, planned: Plan) -> AlertColumns:
    """The alerts with the incidents that they belong to now."""
    if not len(planned.members) or not len(alerts):
        return alerts
    order = np.argsort(planned.members)
    found, places = find(alerts.of["number"], planned.members[order])
    incidents = np.where(found, planned.incident_of[order][places], alerts.of["incident"])
    return AlertColumns({**alerts.of, "incident": incidents})


def _pending(lives: Lives, changes: Changes) -> dict[str, Any]:
    """What is pending now of the rules where that has changed; None: nothing is."""
    found: dict[str, Any] = {}
    for place in sorted(changes.pending_of, reverse=True):  # declared ones last: they win over former ones of the name
        rows = pending_of(lives, place)
        found[lives.rules[place].name] = rows if len(rows.rows) else None
    return found


def _are_other(before: Lives, after: Lives) -> bool:
    return list(before.rules[: before.declared]) != list(after.rules[: after.declared])


def _unacknowledged(changes: Changes, decisions: Mapping[int, AlertDecision]) -> list[int]:
    if not decisions:
        return []
    again = changes.fired[changes.alerts.of["times"][changes.fired] > 1]
    numbers = changes.alerts.of["number"][again].tolist()
    return [number for number in numbers if number in decisions and decisions[number].acknowledged_by]


def _notes(changes: Changes) -> list[AlertNote]:
    """What the rows of alerts do not tell, for their logs."""
    of = changes.alerts.of
    again = changes.fired[of["times"][changes.fired] > 1]
    noted = [
        *((number, "reopened", "") for number in of["number"][again[:NOTED_MAX]].tolist()),
        *((number, "flapping", "") for number in of["number"][changes.flapping[:NOTED_MAX]].tolist()),
        *((number, "ran", "") for number in changes.ran.of["number"][:NOTED_MAX].tolist()),
    ]
    return [AlertNote(number, changes.at_ns, action, "", text) for number, action, text in noted]
