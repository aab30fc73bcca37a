"""The planner: which incidents there are, and who is told what now.

It compares what is true with what each receiver was told, so it can start anew from its stored state at any moment.
A round costs time for the alerts that are open, not for the devices there are.
"""

import hashlib
from collections.abc import Mapping

import msgspec
import numpy as np
from numpy.typing import NDArray

from fleetpulse.alert.columns import Changes
from fleetpulse.alert.describing import Describer
from fleetpulse.alert.incidents import IncidentRound, advance_incidents, open_incidents
from fleetpulse.alert.labelled import DEVICE, LabelledAlerts
from fleetpulse.alert.muting import muted, next_change_ns
from fleetpulse.alert.numbers import NO_NUMBERS, Numbers, common, united, without
from fleetpulse.alert.plan import Plan, RoundFacts
from fleetpulse.alert.planner_state import PlannerState, state_bytes, state_of
from fleetpulse.alert.round_rows import RoundRows
from fleetpulse.alert.routing import assigned, next_on_call_ns, put_in_groups, route_alerts
from fleetpulse.alert.telling import Telling, next_due_ns
from fleetpulse.alert_settings import AlertSettings
from fleetpulse.model.alert import AlertNote, Incident
from fleetpulse.model.alert_rule import Severity
from fleetpulse.model.message import Message
from fleetpulse.model.receiver import Routing


def plan(
    before: PlannerState | bytes | None, facts: RoundFacts, settings: AlertSettings, *, alerts_max: int
) -> tuple[PlannerState, bytes | None, Plan]:
    """Decide what is told at the time of a round.

    Args:
        before: what the round before gave, or its stored form; empty or None: there was none. It stays as it is.
        alerts_max: how many alerts a message lists.
    Returns: the state for the next round, its stored form where it has changed, and what is decided: all of it must be
        stored, in the transaction that stores the alerts, before it is in effect.
    """
    if not isinstance(before, PlannerState):
        before = state_of(before) if before else PlannerState()
    now_ns, state = facts.changes.at_ns, before.copy()
    state.heed_clock(now_ns)
    labelled = LabelledAlerts(alerts=facts.changes.alerts, names=facts.names, roster=facts.roster)
    rows = RoundRows.of(labelled)
    former = {one.number: one.members for one in open_incidents(state)}
    incidents = advance_incidents(state, rows, facts.rules, settings, now_ns=now_ns)
    _prune(state, rows, facts.routing)
    _note_flapping(state, facts.changes)
    telling = _telling(state, rows, facts, alerts_max)
    are_unrouted = _assign(telling, incidents)
    for key in list(state.groups):
        group = state.groups[key]
        telling.tell(group)
        if not len(group.waiting) and not group.known:
            del state.groups[key]
    state.next_due_ns = _next_due_ns(telling, facts, incidents, are_unrouted=are_unrouted)
    changed = tuple(_incident(state, number, facts) for number in sorted(incidents.changed))
    _forget_incidents(state)
    members, incident_of = _moved(state, rows, former)
    decided = Plan(
        messages=(*_blind_messages(facts), *telling.messages),
        incidents=changed,
        members=members,
        incident_of=incident_of,
        notes=[
            AlertNote(alert.number, now_ns, "told", "", f"{message.receiver}: {message.kind}")
            for message in telling.messages
            for alert in message.alerts
        ],
    )
    stored = state_bytes(state)
    return state, stored if stored != state_bytes(before) else None, decided


def _telling(state: PlannerState, rows: RoundRows, facts: RoundFacts, alerts_max: int) -> Telling:
    now_ns = facts.changes.at_ns
    named = _named_devices(rows.labelled, facts)
    describer = Describer(
        at_ns=now_ns,
        names=facts.names,
        rules=facts.rules,
        roster=facts.roster,
        ids=facts.ids,
        last_received_ns=facts.last_received_ns,
        units=facts.units,
        decisions=facts.decisions,
    )
    return Telling(
        state=state,
        rows=rows,
        routing=facts.routing,
        muted=muted(rows.labelled, facts.silences, named, now_ns=now_ns),
        describe=describer.describe,
        alerts_max=alerts_max,
        beyond=facts.changes.beyond,
        now_ns=now_ns,
    )


def _named_devices(labelled: LabelledAlerts, facts: RoundFacts) -> dict[str, int]:
    """The numbers of devices that have alerts and are named by silences, by id."""
    ids = {value for silence in facts.silences for name, value in silence.labels if name == DEVICE}
    devices = np.unique(labelled.devices()).tolist() if ids else ()
    return {facts.ids[device]: device for device in devices if device >= 0 and facts.ids[device] in ids}


def _prune(state: PlannerState, rows: RoundRows, routing: Routing) -> None:
    """Take out of groups what does not wait any more: what has ended, has left its incident, or lost its route."""
    names = {route.name for route in routing.routes}
    members = {one.number: one.members for one in open_incidents(state)}
    for group in state.groups.values():
        group.waiting = common(group.waiting, rows.firing) if group.route in names else NO_NUMBERS
        if group.incident:
            group.waiting = common(group.waiting, members.get(group.incident, NO_NUMBERS))


def _note_flapping(state: PlannerState, changes: Changes) -> None:
    """Let groups say that alerts of which they have told already turned out to be flapping."""
    numbers = np.sort(changes.alerts.of["number"][changes.flapping])
    for group in state.groups.values() if len(numbers) else ():
        noted = common(numbers, united(group.known.values()))
        group.flapping = united([group.flapping, noted])


def _assign(telling: Telling, incidents: IncidentRound) -> bool:
    """Give alerts that nobody tells of yet to their routes. Returns: whether any took none."""
    state, rows = telling.state, telling.rows
    numbers = without(without(rows.firing, incidents.undecided), assigned(state))
    numbers = rows.chosen(numbers, ~telling.muted)
    routed = route_alerts(rows, numbers, telling.routing, now_ns=telling.now_ns)
    put_in_groups(state, rows, routed, silent=incidents.silent, now_ns=telling.now_ns)
    return len(united(one.numbers for one in routed)) < len(numbers)


def _next_due_ns(telling: Telling, facts: RoundFacts, incidents: IncidentRound, *, are_unrouted: bool) -> int:
    times = [incidents.next_due_ns, *(next_due_ns(telling, group) for group in telling.state.groups.values())]
    if telling.muted.any():
        times.append(next_change_ns(telling.rows.labelled, facts.silences, now_ns=telling.now_ns))
    if are_unrouted:
        times.append(next_on_call_ns(facts.routing, now_ns=telling.now_ns))
    return min((at_ns for at_ns in times if at_ns), default=0)


def _moved(state: PlannerState, rows: RoundRows, former: Mapping[int, Numbers]) -> tuple[Numbers, NDArray[np.int64]]:
    """Alerts that belong to another incident than before, and to which, 0: to none; both int64, shape (n,)."""
    members = {one.number: one.members for one in open_incidents(state)}
    joined = [(number, without(now, former.get(number, NO_NUMBERS))) for number, now in members.items()]
    # Those that ended as members stay what they were.
    left = common(united(former.values()), rows.firing)
    left = without(left, united(members.values()))
    incident_of = [np.full(len(numbers), number) for number, numbers in joined]
    return (
        np.concatenate([left, *(numbers for _, numbers in joined)]),
        np.concatenate([np.zeros(len(left), np.int64), *incident_of]),
    )


def _incident(state: PlannerState, number: int, facts: RoundFacts) -> Incident:
    one = state.incidents[number]
    severities: list[Severity] = [rule.severity for rule in facts.rules if rule.name == one.rule]
    return Incident(
        number=number,
        rule=one.rule,
        severity=severities[0] if severities else "warning",
        label=one.label,
        value=one.value,
        started_at_ns=one.started_at_ns,
        ended_at_ns=one.ended_at_ns,
        devices=one.devices,
        members=one.members_all,
        explanation=one.explanation,
    )


def _forget_incidents(state: PlannerState) -> None:
    """Those that have ended, and of whose end nobody has to be told any more."""
    named = {group.incident for group in state.groups.values()}
    state.incidents = {number: one for number, one in state.incidents.items() if not one.ended_at_ns or number in named}


def _blind_messages(facts: RoundFacts) -> list[Message]:
    """One notice for each receiver of a route, whatever else is told."""
    if facts.blind_ns is None:
        return []
    receivers = dict.fromkeys(name for route in facts.routing.routes for name in route.receivers)
    return [
        Message(
            key=hashlib.sha256(msgspec.json.encode([name, "blind", *facts.blind_ns])).hexdigest()[:32],
            receiver=name,
            kind="blind",
            at_ns=facts.changes.at_ns,
            blind_ns=facts.blind_ns,
        )
        for name in receivers
        if name in facts.routing.receivers
    ]
