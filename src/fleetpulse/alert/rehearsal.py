"""A rehearsal: stored history is played against a rule, through the lifecycle and the planner of live rounds.

A round is where anything may change: where the condition of a subject does, where a timer of an alert or the planner
ends. All others would decide nothing, so they are left out; that is the only difference to the rounds of the service.
Times are those of rounds: whole multiples of the interval between two.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import msgspec
import numpy as np
from numpy.typing import NDArray

from fleetpulse.aggregate.spans import NO_SPANS, Spans, after_uncovered
from fleetpulse.alert.histories.condition_history import ConditionHistory, Player
from fleetpulse.alert.lifecycle import Lives
from fleetpulse.alert.round import Decided, Planner, RoundInput, RoundState, decide
from fleetpulse.alert_settings import AlertSettings
from fleetpulse.catalog.roster import Roster
from fleetpulse.model.alert import FIRING, PENDING, RESOLUTIONS, Silence
from fleetpulse.model.alert_rule import AlertRule
from fleetpulse.model.receiver import NO_ROUTING, Routing
from fleetpulse.model.units import NS_PER_DAY, NS_PER_S

ROUNDS_MAX = 20_000
"""Rounds of a rehearsal; where history would need more, the interval between two is longer."""
INTERVALS_S = (1, 5, 15, 30, 60, 300, 900, 3_600)
LISTED_MAX = 20
_NEVER_NS = 2**62


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Circumstances:
    """What is declared today, and holds for all of the time that is rehearsed.

    Attributes:
        silences: those in effect now.
        blind: when the service did not run.
        check: called between rounds; may stop the rehearsal.
    """

    settings: AlertSettings
    plan: Planner
    roster: Roster
    ids: Sequence[str]
    last_received_ns: NDArray[np.int64]
    silences: Sequence[Silence] = ()
    routing: Routing = NO_ROUTING
    units: Mapping[str, str] = field(default_factory=dict)
    blind: Spans = field(default_factory=lambda: NO_SPANS)
    check: Callable[[], object] = bool


@dataclass(slots=True, kw_only=True)
class RehearsedAlert:
    """One alert, each time that it fires. `resolved_at_ns`: 0: it had not ended."""

    number: int
    subject: int
    since_ns: int
    fired_at_ns: int
    value: float
    resolved_at_ns: int = 0
    resolution: str = ""


@dataclass(slots=True, kw_only=True)
class Rehearsed:
    """What would have happened in the window.

    Attributes:
        alerts: how many fired.
        again: how often one of them fired again shortly after its end, and was the same alert.
        open_at_start: alerts that had fired before, and count as none.
        subjects: how many devices or groups these were of.
        listed: the first of them.
        days: by day since 1970, how many alerts fired and how many messages were sent.
        messages: by receiver; kinds: by kind.
        incidents: how many there were.
        interval_s: the time between two rounds.
    """

    interval_s: float
    alerts: int = 0
    again: int = 0
    open_at_start: int = 0
    subjects: set[int] = field(default_factory=set)
    listed: list[RehearsedAlert] = field(default_factory=list)
    days: dict[int, tuple[int, int]] = field(default_factory=dict)
    messages: Counter[str] = field(default_factory=Counter)
    kinds: Counter[str] = field(default_factory=Counter)
    incidents: set[int] = field(default_factory=set)
    rounds: int = 0


def lead_ns(rule: AlertRule) -> int:
    """How long before the window a rehearsal begins, so that timers have run and old alerts have fired already."""
    return (rule.for_s + rule.keep_firing_for_s) * NS_PER_S + NS_PER_DAY // 4


def rehearse(
    rule: AlertRule, history: ConditionHistory, given: Circumstances, *, from_ns: int, start_ns: int, end_ns: int
) -> Rehearsed:
    """Play a history. What happens in [from_ns, start_ns) only leads up to the window [start_ns, end_ns)."""
    rule = msgspec.structs.replace(rule, is_enabled=True)  # who rehearses it wants to know what it would do
    player, state = Player(rule, history), RoundState()
    dues_ns = history.truth.dues_ns(
        rule.for_s * NS_PER_S, spans=given.blind, also_at_once=np.unique(history.withheld.subjects)
    )
    found = Rehearsed(interval_s=_interval_s(history, dues_ns, given.settings, from_ns=from_ns, end_ns=end_ns))
    interval_ns = int(found.interval_s * NS_PER_S)
    silences = [one._replace(start_ns=0, end_ns=_NEVER_NS) for one in given.silences]
    at_ns: int | None = -(-from_ns // interval_ns) * interval_ns
    while at_ns is not None and at_ns < end_ns:
        given.check()
        round_input = RoundInput(
            now_ns=at_ns,
            rules=[rule],
            roster=given.roster,
            ids=given.ids,
            last_received_ns=given.last_received_ns,
            blind=given.blind,
            blind_notice_ns=_NEVER_NS,  # that the service was blind is not news of this rule
            silences=silences,
            routing=given.routing,
            units=given.units,
        )
        decided = decide(state, round_input, {rule.name: player.at(at_ns)}, given.settings, given.plan)
        state = decided.state
        _note(found, decided, start_ns=start_ns)
        found.rounds += 1
        next_ns = player.next_ns(at_ns, _with_alerts(state.lives, history.count), dues_ns=dues_ns)
        at_ns = _round_ns([next_ns, *_due_ns(state, rule, given)], at_ns=at_ns, interval_ns=interval_ns)
    return found


def _interval_s(
    history: ConditionHistory, dues_ns: NDArray[np.int64], settings: AlertSettings, *, from_ns: int, end_ns: int
) -> float:
    """The shortest interval with which history needs no more than ROUNDS_MAX rounds, or the longest there is."""
    # An alert takes three: it fires, somebody is told of it a while later, and it ends.
    times = np.concatenate([dues_ns, history.withheld.at_ns])
    times = times[(times >= from_ns) & (times < end_ns)]
    intervals = [one for one in (settings.alert_interval_s, *INTERVALS_S) if one >= settings.alert_interval_s]
    for interval_s in sorted(set(intervals)):
        if 3 * len(np.unique(times // int(interval_s * NS_PER_S))) <= ROUNDS_MAX:
            return interval_s
    return INTERVALS_S[-1]


def _with_alerts(lives: Lives, count: int) -> NDArray[np.bool_]:
    """Which subjects have an alert: bool, shape (count,)."""
    found = np.zeros(count, bool)
    found[lives.open.of["subject"]] = True
    return found


def _due_ns(state: RoundState, rule: AlertRule, given: Circumstances) -> list[int | None]:
    """When timers of alerts end, and when the planner has something to do next."""
    return [_timers_end_ns(state.lives, rule, given), getattr(state.planner, "next_due_ns", 0) or None]


def _round_ns(due_ns: Sequence[int | None], *, at_ns: int, interval_ns: int) -> int | None:
    """When the next round is that may change anything; None: there is none."""
    times = [max(one, at_ns + 1) for one in due_ns if one is not None]
    return -(-min(times) // interval_ns) * interval_ns if times else None


def _timers_end_ns(lives: Lives, rule: AlertRule, given: Circumstances) -> int | None:
    """When the first alert has been true, or false, for long enough; None: no timer runs."""
    of = lives.open.of
    runs = ~of["is_withheld"]
    pending = np.flatnonzero(runs & (of["state"] == PENDING))
    ending = np.flatnonzero(runs & (of["state"] == FIRING) & (of["false_since_ns"] > 0))
    for_ns = np.full(len(pending), rule.for_s * NS_PER_S) + of["withheld_ns"][pending]
    keep_ns = np.full(len(ending), rule.keep_firing_for_s * NS_PER_S)
    quiet_ns = int(given.settings.flap_quiet_s * NS_PER_S)
    keep_ns = np.where(of["is_flapping"][ending], np.maximum(keep_ns, quiet_ns), keep_ns) + of["withheld_ns"][ending]
    ends_ns = np.concatenate(
        [
            after_uncovered(given.blind, of["pending_since_ns"][pending], for_ns),
            after_uncovered(given.blind, of["false_since_ns"][ending], keep_ns),
        ]
    )
    return int(ends_ns.min()) if len(ends_ns) else None


def _note(found: Rehearsed, decided: Decided, *, start_ns: int) -> None:
    """Count what a round has decided."""
    changes = decided.changes
    of, at_ns = changes.alerts.of, changes.at_ns
    if at_ns < start_ns:
        found.open_at_start = int(np.count_nonzero(decided.state.lives.open.of["state"] == FIRING))
        return
    new = changes.fired[of["times"][changes.fired] == 1]
    if len(new) or decided.messages:
        day = at_ns // NS_PER_DAY
        known = found.days.get(day, (0, 0))
        found.days[day] = known[0] + len(new), known[1] + len(decided.messages)
    found.alerts += len(new)
    found.again += len(changes.fired) - len(new)
    found.subjects.update(of["subject"][changes.fired].tolist())
    for row in new[: LISTED_MAX - len(found.listed)].tolist():
        found.listed.append(
            RehearsedAlert(
                number=int(of["number"][row]),
                subject=int(of["subject"][row]),
                since_ns=int(of["since_ns"][row]),
                fired_at_ns=at_ns,
                value=float(of["value"][row]),
            )
        )
    _note_ends(found, decided)
    found.messages.update(message.receiver for message in decided.messages)
    found.kinds.update(message.kind for message in decided.messages)
    if decided.record is not None:
        found.incidents.update(one.number for one in decided.record.incidents)


def _note_ends(found: Rehearsed, decided: Decided) -> None:
    of = decided.changes.alerts.of
    resolved = decided.changes.resolved
    listed = {one.number: one for one in found.listed}
    for row in resolved[np.isin(of["number"][resolved], list(listed))].tolist() if listed else ():
        one = listed[int(of["number"][row])]
        one.resolved_at_ns, one.resolution = decided.changes.at_ns, RESOLUTIONS[int(of["resolution"][row])]
