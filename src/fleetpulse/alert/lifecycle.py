"""The lives of alerts: inactive, pending, firing, resolved. One round advances all of them by what conditions say.

A pending alert fires when its condition has been true for `for`; it is dropped when it turns false. A firing one ends
when its condition has been false for `keep_firing_for`. While a condition is withheld, and while the service does not
run, these timers stand still. An alert that fires again shortly after its end is the same alert, and one that does so
again and again is flapping: it stays firing until its condition was false for `flap_quiet_s`.

A row is looked at only in rounds in which its rule has a condition. Of rules that were removed, disabled, or changed to
watch something else, all alerts end.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from fleetpulse.aggregate.spans import NO_SPANS, Spans
from fleetpulse.alert.columns import ALERT_COLUMNS, AlertColumns, Changes
from fleetpulse.alert.condition import NO_SUBJECTS, Condition
from fleetpulse.alert.firing import begin_flapping, fire
from fleetpulse.alert.rule_places import numbered, place
from fleetpulse.alert.rule_rows import RAN, RECOVERED, Moment, advance_rows, closed, find, is_one_silence, new_rows
from fleetpulse.alert_settings import AlertSettings
from fleetpulse.model.alert import PENDING, RESOLVED
from fleetpulse.model.alert_rule import SEVERITIES, AlertRule
from fleetpulse.model.units import NS_PER_S

NEVER_NS = 2**62
_NOT_STORED = {"value", "is_acknowledged", "snoozed_until_ns"}
"""Columns that do not make it necessary to store a row anew: the figure of each moment, and what people decide."""
_TIMERS = (
    "since_ns", "pending_since_ns", "first_fired_at_ns", "fired_at_ns", "false_since_ns", "withheld_since_ns",
    "resolved_at_ns", "recent_ns",
)  # fmt: skip
_STORED = [name for name in ALERT_COLUMNS if name not in _NOT_STORED]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Lives:
    """The state of all alerts between two rounds.

    Attributes:
        rules: by place, as `AlertColumns` name them; those that are not declared stay as long as they have rows.
        groups: of each rule the names of its groups; None: its subjects are devices.
        declared: how many of the rules, from the first one on, are declared.
        open: alerts that are pending or firing.
        ended: alerts that ended a short while ago, which fire again as the same alerts.
        next_number: of the next alert that fires.
        withheld: by the name of a rule, what was withheld in the last round.
        changed: names of rules that were changed since their condition was last looked at.
    """

    rules: Sequence[AlertRule] = ()
    groups: Sequence[list[str] | None] = ()
    declared: int = 0
    open: AlertColumns = field(default_factory=AlertColumns)
    ended: AlertColumns = field(default_factory=AlertColumns)
    next_number: int = 1
    withheld: Mapping[str, NDArray[np.int64]] = field(default_factory=dict)
    changed: frozenset[str] = frozenset()


def advance(
    lives: Lives,
    rules: Sequence[AlertRule],
    conditions: Mapping[str, Condition],
    *,
    now_ns: int,
    limits: AlertSettings,
    blind: Spans = NO_SPANS,
) -> tuple[Lives, Changes]:
    """One round. Changes nothing that it is given.

    Args: rules: all that are declared. conditions: by the names of rules. blind: when the service did not run.
    Returns: the state after the round, and what has changed in it.
    """
    moment = Moment(now_ns=now_ns, blind=blind)
    placed = _placed(lives, rules)
    before = _in_time(placed, now_ns=now_ns, limits=limits)
    after, beyond = _each_rule(before, conditions, moment=moment, limits=limits)
    rows = after.open
    waits_ns = [rule.for_s * NS_PER_S if rule.name in conditions else NEVER_NS for rule in after.rules]
    for_ns = np.array(waits_ns, np.int64)[rows.of["rule"]]
    fired, revived = fire(rows, after.ended, for_ns=for_ns, moment=moment, next_number=after.next_number)
    begin_flapping(rows, fired, now_ns=now_ns, limits=limits)
    still_ended = np.ones(len(after.ended), bool)
    still_ended[revived] = False
    ended, ran = _late_runs(after.ended.taken(still_ended), before, conditions)
    is_over = rows.of["state"] == RESOLVED
    changes = _changes(placed.open, rows, fired, now_ns=now_ns, ran=ran, beyond=beyond)
    after = replace(
        after,
        open=rows.taken(~is_over),
        ended=_remembered(ended, rows.taken(is_over), most=limits.alerts_open_max),
        next_number=after.next_number + len(fired) - len(revived),
        changed=before.changed - conditions.keys(),
    )
    return after, changes


def _placed(lives: Lives, rules: Sequence[AlertRule]) -> Lives:
    """The state with the rules that are declared now."""
    if len(lives.rules) == len(rules) == lives.declared and all(map(_is_same, lives.rules, rules)):
        return lives
    in_use = {int(number) for rows in (lives.open, lives.ended) for number in np.unique(rows.of["rule"])}
    found = place(lives.rules, lives.groups, rules, in_use=in_use)
    count = len(lives.rules)
    return replace(
        lives,
        rules=found.rules,
        groups=found.groups,
        declared=found.declared,
        open=found.moved(lives.open, count),
        ended=found.moved(lives.ended, count),
        changed=(lives.changed | found.changed) & {rule.name for rule in rules},
    )


def _in_time(lives: Lives, *, now_ns: int, limits: AlertSettings) -> Lives:
    """The state without ended alerts that are too old to return, and without times that have not come yet.

    There are such times where people accepted a clock that was set back: without this, timers would wait for it.
    """
    within_ns = int(limits.flap_within_s * NS_PER_S)
    open_rows, ended = (_not_after(rows, now_ns) for rows in (lives.open, lives.ended))
    is_recent = now_ns - ended.of["resolved_at_ns"] <= within_ns
    return replace(lives, open=open_rows, ended=ended if is_recent.all() else ended.taken(is_recent))


def _not_after(rows: AlertColumns, now_ns: int) -> AlertColumns:
    wrong = [name for name in _TIMERS if len(rows) and rows.of[name].max() > now_ns]
    return AlertColumns({**rows.of, **{name: np.minimum(rows.of[name], now_ns) for name in wrong}})


def _is_same(one: AlertRule, other: AlertRule) -> bool:
    return one is other or one == other


def _each_rule(
    lives: Lives, conditions: Mapping[str, Condition], *, moment: Moment, limits: AlertSettings
) -> tuple[Lives, int]:
    """What each rule's condition makes of its alerts, before any fires, and how many alerts there is no room for."""
    room, beyond = max(0, limits.alerts_open_max - len(lives.open)), 0
    groups, withheld = list(lives.groups), dict(lives.withheld)
    parts: dict[int, list[AlertColumns]] = {}
    # Severe ones first: these get the room that is left.
    for number in sorted(range(len(lives.rules)), key=lambda one: -SEVERITIES.index(lives.rules[one].severity)):
        rule = lives.rules[number]
        start, end = np.searchsorted(lives.open.of["rule"], [number, number + 1])
        rows = lives.open.taken(slice(int(start), int(end)))
        condition = conditions.get(rule.name)
        if number >= lives.declared or not rule.is_enabled:
            parts[number] = [closed(rows, now_ns=moment.now_ns)]
        elif condition is None:
            parts[number] = [rows]
        else:
            condition, groups[number] = numbered(condition, groups[number])
            former = withheld.get(rule.name, NO_SUBJECTS)
            withheld[rule.name] = condition.withheld
            known = rows.of["subject"]
            rows = advance_rows(
                rows,
                condition,
                rule,
                moment=moment,
                quiet_ns=int(limits.flap_quiet_s * NS_PER_S),
                is_changed=rule.name in lives.changed,
            )
            added, left_out = new_rows(
                condition, rule, number, known=known, former_withheld=former, now_ns=moment.now_ns, room=room
            )
            room, beyond = room - len(added), beyond + left_out
            parts[number] = [rows, added]
    rows = AlertColumns.joined([part for number in sorted(parts) for part in parts[number]])
    rows = rows.taken(np.argsort(rows.keys(), kind="stable"))
    return replace(lives, groups=groups, open=rows, withheld=withheld), beyond


def _late_runs(
    ended: AlertColumns, lives: Lives, conditions: Mapping[str, Condition]
) -> tuple[AlertColumns, AlertColumns]:
    """Ended alerts, with what is known now of whether their devices were running; and those of which it is new."""
    is_new = np.zeros(len(ended), bool)
    for number in np.unique(ended.of["rule"]).tolist():
        condition = conditions.get(lives.rules[number].name) if number < lives.declared else None
        if condition is not None and condition.groups is None and len(condition.ran):
            of_rule = (ended.of["rule"] == number) & is_one_silence(ended, lives.rules[number])
            is_new |= of_rule & find(ended.of["subject"], condition.ran)[0] & (ended.of["resolution"] == RECOVERED)
    # `_remembered` has taken the mark of those that were flapping, and their firings.
    is_new &= ended.of["recent_ns"].any(axis=1)
    ended.of["resolution"][is_new] = RAN
    return ended, ended.taken(is_new)


def _remembered(ended: AlertColumns, now_ended: AlertColumns, *, most: int) -> AlertColumns:
    """The alerts that may fire again as the same ones: at most as many as may be open, the last that ended."""
    rows = AlertColumns.joined([ended, now_ended])
    resolved_at_ns = rows.of["resolved_at_ns"]
    places = np.flatnonzero(np.isin(rows.of["resolution"], (RECOVERED, RAN)))
    if len(places) > most:
        latest = np.argsort(resolved_at_ns[places], kind="stable")[-most:]
        places = places[latest]
    rows = rows.taken(places)
    was_flapping = rows.of["is_flapping"]
    rows.of["recent_ns"][was_flapping], rows.of["is_flapping"][was_flapping] = 0, False
    return rows.taken(np.argsort(rows.keys(), kind="stable"))


def _changes(
    before: AlertColumns, after: AlertColumns, fired: NDArray[np.int64], *, now_ns: int, ran: AlertColumns, beyond: int
) -> Changes:
    was_there, places = find(after.keys(), before.keys())
    differs, differs_held = ~was_there, np.zeros(len(after), bool)
    common = np.flatnonzero(was_there)
    for name in _STORED:
        is_other = after.of[name][common] != before.of[name][places[common]]
        differs[common] |= is_other if is_other.ndim == 1 else is_other.any(axis=1)
    differs_held[common] = after.of["is_withheld"][common] != before.of["is_withheld"][places[common]]
    has_number = after.of["number"] > 0
    is_left = ~find(before.keys(), after.keys())[0]
    pending_of = {
        *after.of["rule"][differs & (after.of["state"] == PENDING)].tolist(),
        *after.of["rule"][fired].tolist(),
        *before.of["rule"][is_left & (before.of["state"] == PENDING)].tolist(),
    }
    return Changes(
        at_ns=now_ns,
        alerts=after,
        fired=fired,
        resolved=np.flatnonzero(after.of["state"] == RESOLVED),
        flapping=fired[after.of["is_flapping"][fired]],
        withheld=np.flatnonzero(differs_held & has_number),
        altered=np.flatnonzero(differs & has_number),
        ran=ran,
        pending_of=frozenset(pending_of),
        beyond=beyond,
    )
