"""Incidents: which alerts belong to one, who joins and leaves, and when it ends.

Alerts of devices that are down wait a while for others, so that a site that goes dark is told of once. When a common
cause is found they are an incident; others that go down later with the same label value join it. It ends when all of
them have ended, or when the others have returned and no further one has for a while: then those that stay down leave it
and are told of on their own.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fleetpulse.alert.common_cause import CauseLimits, LabelOf, find_causes
from fleetpulse.alert.numbers import NO_NUMBERS, Numbers, common, united, without
from fleetpulse.alert.planner_state import OpenIncident, PlannerState
from fleetpulse.alert.round_rows import RoundRows
from fleetpulse.alert_settings import AlertSettings
from fleetpulse.catalog.roster import Roster
from fleetpulse.model.alert_rule import AlertRule
from fleetpulse.model.units import NS_PER_S


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class IncidentRound:
    """What a round has done to incidents.

    Attributes:
        undecided: alerts that wait for a common cause, so that nobody is told of them yet.
        silent: alerts that joined so soon that the first message of their incident covers them.
        changed: numbers of incidents.
        next_due_ns: when the wait of the first alert, or the time of the first incident, is over; 0: never.
    """

    undecided: Numbers
    silent: Numbers
    changed: set[int]
    next_due_ns: int


def advance_incidents(
    state: PlannerState, rows: RoundRows, rules: Sequence[AlertRule], settings: AlertSettings, *, now_ns: int
) -> IncidentRound:
    """One round of all incidents; changes `state`."""
    wait_ns = int(settings.common_cause_wait_s * NS_PER_S)
    changed: set[int] = set()
    state.released = common(state.released, rows.firing)
    for one in open_incidents(state):
        _follow(one, state, rows, settings, now_ns=now_ns, changed=changed)
    candidates = _candidates(state, rows, rules)
    if wait_ns == 0:
        state.released = united([state.released, candidates])
        due_ns = min(_returns_ns(state, settings), default=0)
        return IncidentRound(undecided=NO_NUMBERS, silent=NO_NUMBERS, changed=changed, next_due_ns=due_ns)
    silent: list[Numbers] = []
    for one in open_incidents(state):
        joined = _join(one, candidates, rows, settings, changed)
        candidates = without(candidates, joined)
        if now_ns < one.silent_until_ns:
            silent.append(joined)
    fired_at_ns = rows.labelled.alerts.of["fired_at_ns"]
    undecided: list[Numbers] = []
    for place in np.unique(rows.labelled.alerts.of["rule"][rows.rows(candidates)]).tolist():
        of_rule = rows.chosen(candidates, rows.labelled.alerts.of["rule"] == place)
        left_over, may_wait = _find(state, of_rule, rows, rules[place], settings, now_ns=now_ns, changed=changed)
        is_over = fired_at_ns[rows.rows(left_over)] + wait_ns <= now_ns
        undecided.append(left_over[~is_over & may_wait])
        state.released = united([state.released, left_over[is_over | ~may_wait]])
    waits = [int(fired_at_ns[rows.rows(one)].min()) + wait_ns for one in undecided if len(one)]
    due_ns = min([*waits, *_returns_ns(state, settings)], default=0)
    return IncidentRound(undecided=united(undecided), silent=united(silent), changed=changed, next_due_ns=due_ns)


def open_incidents(state: PlannerState) -> list[OpenIncident]:
    """Those that have not ended, the oldest first."""
    return [one for _, one in sorted(state.incidents.items()) if not one.ended_at_ns]


def _returns_ns(state: PlannerState, settings: AlertSettings) -> list[int]:
    """When incidents end from which no further device has returned by then."""
    within_ns = int(settings.common_cause_within_s * NS_PER_S)
    return [
        one.returned_at_ns + within_ns
        for one in open_incidents(state)
        if one.returned_at_ns and _is_small(one, settings)
    ]


def _is_small(one: OpenIncident, settings: AlertSettings) -> bool:
    """Whether so few of the devices are down that they would not be an incident by themselves."""
    down = len(one.members)
    return down < settings.common_cause_count or down < settings.common_cause_share * one.devices


def _follow(
    one: OpenIncident, state: PlannerState, rows: RoundRows, settings: AlertSettings, *, now_ns: int, changed: set[int]
) -> None:
    """Let members end, and the incident, when the time for it has come: those that still fire leave it then."""
    codes, values = rows.labelled.label(one.label)
    has_value = codes == (values.index(one.value) if one.value in values else -1)
    firing = rows.chosen(common(one.members, rows.firing), has_value)  # one that was given other labels leaves
    if len(firing) < len(one.members):
        one.members, one.returned_at_ns = firing, now_ns
        changed.add(one.number)
    within_ns = int(settings.common_cause_within_s * NS_PER_S)
    is_quiet = bool(one.returned_at_ns) and now_ns >= one.returned_at_ns + within_ns
    if len(firing) and not (is_quiet and _is_small(one, settings)):
        return
    one.ended_at_ns, one.left, one.members = now_ns, firing, NO_NUMBERS
    state.released = united([state.released, firing])
    changed.add(one.number)


def _candidates(state: PlannerState, rows: RoundRows, rules: Sequence[AlertRule]) -> Numbers:
    """Alerts about devices that are down, of which it is not decided yet whether they have a common cause."""
    columns = rows.labelled.alerts.of
    is_down = np.array([rule.kind == "device_down" for rule in rules], bool)
    if not is_down.any() or not len(rows.firing):
        return NO_NUMBERS
    chosen = rows.chosen(rows.firing, is_down[columns["rule"]] & (rows.labelled.devices() >= 0))
    members = united(one.members for one in open_incidents(state))
    return without(without(chosen, state.released), members)


def _join(
    one: OpenIncident, candidates: Numbers, rows: RoundRows, settings: AlertSettings, changed: set[int]
) -> Numbers:
    """Those of the candidates that have the label value of the incident, and the rule: they are its members now.

    A device that was down long before is not one of them, such as where its rule is new.
    """
    codes, values = rows.labelled.label(one.label)
    names = rows.labelled.names.rules
    if one.value not in values or one.rule not in names or not len(candidates):
        return NO_NUMBERS
    matches = (codes == values.index(one.value)) & (rows.labelled.alerts.of["rule"] == names.index(one.rule))
    earliest_ns = one.since_ns - int(settings.common_cause_within_s * NS_PER_S)
    matches &= rows.labelled.alerts.of["since_ns"] >= earliest_ns
    joined = rows.chosen(candidates, matches)
    if len(joined):
        one.members, one.members_all = united([one.members, joined]), one.members_all + len(joined)
        changed.add(one.number)
    return joined


def _find(
    state: PlannerState,
    candidates: Numbers,
    rows: RoundRows,
    rule: AlertRule,
    settings: AlertSettings,
    *,
    now_ns: int,
    changed: set[int],
) -> tuple[Numbers, NDArray[np.bool_]]:
    """New incidents among alerts of one rule.

    Returns: the alerts that are in none, int64, shape (n,), and whether a label makes it possible that they will be,
        bool, shape (n,).
    """
    columns, places = rows.labelled.alerts.of, rows.rows(candidates)
    labels = _labels(rows.labelled.roster, rule, columns["subject"][places], settings.common_cause_count)
    wait_ns = int(settings.common_cause_wait_s * NS_PER_S)
    limits = CauseLimits(
        within_ns=int(settings.common_cause_within_s * NS_PER_S),
        share=settings.common_cause_share,
        count=settings.common_cause_count,
    )
    since_ns = columns["since_ns"][places]
    is_left = np.ones(len(candidates), bool)
    for cause in find_causes(since_ns, columns["fired_at_ns"][places] + wait_ns <= now_ns, labels, limits):
        is_left[cause.members] = False
        state.last_incident += 1
        state.incidents[state.last_incident] = OpenIncident(
            number=state.last_incident,
            rule=rule.name,
            label=cause.label,
            value=cause.value,
            started_at_ns=now_ns,
            since_ns=int(since_ns[cause.members].min()),
            explanation=cause.explanation,
            devices=cause.devices,
            silent_until_ns=now_ns + limits.within_ns,
            members=candidates[cause.members],
            members_all=len(cause.members),
        )
        changed.add(state.last_incident)
    may_wait = np.zeros(len(candidates), bool)
    for label in labels:
        may_wait |= label.codes > 0
    return candidates[is_left], may_wait[is_left]


def _labels(roster: Roster, rule: AlertRule, devices: NDArray[np.int64], count: int) -> list[LabelOf]:
    """The labels of the devices; a value that fewer than `count` devices have is none, for it can be no cause."""
    labels = []
    in_scope = roster.with_labels(rule.labels)
    for name in sorted(roster.labels):
        codes = roster.labels[name].codes[: roster.count].copy()  # cells may change meanwhile, and values be added
        values = list(roster.labels[name].values)
        sizes = np.bincount(codes[in_scope], minlength=len(values)).astype(np.int64)
        sizes[0] = 0
        of_devices = codes[devices].astype(np.int64)
        of_devices[sizes[of_devices] < count] = 0
        if of_devices.any():
            labels.append(LabelOf(name, of_devices, values, sizes))
    return labels
