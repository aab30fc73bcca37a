"""Which route tells of which alert, and in which group.

An alert is given to its routes when people may first be told of it, and stays with them until it has ended: so those
who were told that it fires are told of its end, whoever is on call by then.
"""

from collections.abc import Sequence
from typing import NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from fleetpulse.alert.incidents import open_incidents
from fleetpulse.alert.local_times import is_within, next_start_ns
from fleetpulse.alert.numbers import Numbers, common, united, without
from fleetpulse.alert.planner_state import Group, PlannerState
from fleetpulse.alert.round_rows import RoundRows
from fleetpulse.model.receiver import Route, Routing
from fleetpulse.model.units import NS_PER_S

GROUPS_MAX = 1_000
"""Groups of a route; beyond it, alerts are told in one group without names, so that they are not as many messages."""


class Routed(NamedTuple):
    """Alerts that take a route: int64 numbers, ascending, shape (n,)."""

    route: Route
    numbers: Numbers


def assigned(state: PlannerState) -> Numbers:
    """The alerts that are in a group, those aside that have left its incident: int64, shape (n,)."""
    return united(
        numbers
        for group in state.groups.values()
        for numbers in (group.waiting, *(state.known_by(group, name) for name in group.known))
    )


def route_alerts(rows: RoundRows, numbers: Numbers, routing: Routing, *, now_ns: int) -> list[Routed]:
    """Which routes these alerts take now. Args: numbers: int64, shape (n,), all of them fire."""
    routed = []
    left = numbers
    for route in routing.routes:
        if not len(left):
            break
        if not any(receiver in routing.receivers for receiver in route.receivers):
            continue
        if route.on_call and not is_within(route.on_call, now_ns):
            continue
        taken = rows.chosen(left, _matching(rows, route))
        if len(taken):
            routed.append(Routed(route, taken))
        left = left if route.continues else without(left, taken)
    return routed


def next_on_call_ns(routing: Routing, *, now_ns: int) -> int:
    """When the on-call times of any route begin next; 0: never."""
    starts = [next_start_ns(route.on_call, now_ns) for route in routing.routes if route.on_call]
    return min((at_ns for at_ns in starts if at_ns), default=0)


def _matching(rows: RoundRows, route: Route) -> NDArray[np.bool_]:
    labelled = rows.labelled
    matches = np.ones(len(labelled), bool)
    for matcher in route.matchers:
        matches &= labelled.matching(matcher)
    if route.severities:
        matches &= labelled.of_severities(route.severities)
    if route.rules:
        of_rules = np.array([name in route.rules for name in labelled.names.rules], bool)
        matches &= of_rules[labelled.alerts.of["rule"]]
    return matches


def put_in_groups(
    state: PlannerState, rows: RoundRows, routed: Sequence[Routed], *, silent: Numbers, now_ns: int
) -> None:
    """Let the groups of routes wait to tell of these alerts; changes `state`.

    Args: silent: int64, shape (n,): those of whose incident everybody was told, which covers them.
    """
    fired_at_ns = rows.labelled.alerts.of["fired_at_ns"]
    for route, numbers in routed:
        left = numbers
        for one in open_incidents(state):
            members = common(left, one.members)
            if not len(members):
                continue
            left = without(left, members)
            group = _group(state, Group(route=route.name, incident=one.number, due_ns=now_ns))
            covered = common(members, silent) if group.last_ns else members[:0]
            for receiver in group.known if len(covered) else ():
                group.known[receiver] = united([group.known[receiver], covered])
            group.waiting = united([group.waiting, without(members, covered)])
        for by, of_group in _by_values(state, rows, route, left):
            due_ns = int(fired_at_ns[rows.rows(of_group)].min()) + route.group_wait_s * NS_PER_S
            group = _group(state, Group(route=route.name, by=by, due_ns=due_ns))
            if not len(group.waiting):
                group.due_ns = due_ns
            group.due_ns = min(group.due_ns, due_ns)
            group.waiting = united([group.waiting, of_group])


def _group(state: PlannerState, group: Group) -> Group:
    """The group of that route that is like this one, or this one, which is new then."""
    return state.groups.setdefault(key_of(group), group)


def key_of(group: Group) -> str:
    """By what a group is known."""
    return msgspec.json.encode([group.route, group.incident, group.by]).decode()


def _by_values(
    state: PlannerState, rows: RoundRows, route: Route, numbers: Numbers
) -> list[tuple[tuple[tuple[str, str], ...], Numbers]]:
    """The alerts by the values of what the route groups by: (names and values, numbers)."""
    if not len(numbers):
        return []
    places = rows.rows(numbers)
    keys = np.zeros(len(numbers), np.int64)
    columns = [(name, *rows.labelled.label(name)) for name in route.group_by]
    for _, codes, _values in columns:
        # Numbered anew for each label, so that many labels with many values do not overflow.
        keys = np.unique(keys * (int(codes.max(initial=0)) + 1) + codes[places], return_inverse=True)[1]
    order = np.argsort(keys, kind="stable")
    parts = np.split(order, np.flatnonzero(np.diff(keys[order])) + 1)
    if len(parts) > 1 and len(parts) + _groups_of(state, route) > GROUPS_MAX:
        return [((), numbers)]
    return [
        (tuple((name, values[int(codes[places[part[0]]])]) for name, codes, values in columns), np.sort(numbers[part]))
        for part in parts
    ]


def _groups_of(state: PlannerState, route: Route) -> int:
    return sum(group.route == route.name for group in state.groups.values())
