"""The alerts of one rule in one round: what is true, false, withheld or gone, and which timers run."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fleetpulse.aggregate.spans import Spans, covered_before
from fleetpulse.alert.columns import AlertColumns
from fleetpulse.alert.condition import Condition
from fleetpulse.model.alert import FIRING, PENDING, RESOLUTIONS, RESOLVED
from fleetpulse.model.alert_rule import SEVERITIES, AlertRule
from fleetpulse.model.units import NS_PER_S

RECOVERED, RAN, REMOVED, RULE_CHANGED = map(RESOLUTIONS.index, ("recovered", "ran", "removed", "rule_changed"))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Moment:
    """When a round is, and which time its timers do not count: spans in which the service did not run."""

    now_ns: int
    blind: Spans

    def since(self, start_ns: NDArray[np.int64]) -> NDArray[np.int64]:
        """How long the service was running from each time until now: int64 ns, shape (n,)."""
        blind_ns = covered_before(self.blind, np.array([self.now_ns])) - covered_before(self.blind, start_ns)
        return np.maximum(self.now_ns - start_ns - blind_ns, 0)


def find(values: NDArray[np.int64], among: NDArray[np.int64]) -> tuple[NDArray[np.bool_], NDArray[np.int64]]:
    """Which values are in `among`, and at which place: bool and int64, shape (n,); where it is not, the place is any.

    Args: values: int64, shape (n,). among: int64, ascending, shape (m,).
    """
    if not len(among):
        return np.zeros(len(values), bool), np.zeros(len(values), np.int64)
    places = np.minimum(np.searchsorted(among, values), len(among) - 1)
    return among[places] == values, places


def close_rows(rows: AlertColumns, is_ended: NDArray[np.bool_], *, resolution: int, now_ns: int) -> None:
    """End those that are firing, in place; pending ones stay. Args: is_ended: bool, shape (n,)."""
    ended = is_ended & (rows.of["state"] == FIRING)
    rows.of["state"][ended] = RESOLVED
    rows.of["resolved_at_ns"][ended] = now_ns
    rows.of["resolution"][ended] = resolution
    _stand_still(rows, ended, is_held=np.zeros(len(rows), bool), moment=None)


def closed(rows: AlertColumns, *, now_ns: int) -> AlertColumns:
    """The alerts of a rule that is not there any more: all have ended, and pending ones are gone."""
    close_rows(rows, np.ones(len(rows), bool), resolution=RULE_CHANGED, now_ns=now_ns)
    return rows.taken(rows.of["state"] != PENDING)


def advance_rows(
    rows: AlertColumns, condition: Condition, rule: AlertRule, *, moment: Moment, quiet_ns: int, is_changed: bool
) -> AlertColumns:
    """The alerts of before. Changes `rows`; returns them without pending ones whose condition is false.

    Args:
        quiet_ns: how long the condition of one that is flapping must be false.
        is_changed: the rule says something else than in the round before: what is false now has not recovered.
    """
    of, subjects = rows.of, rows.of["subject"]
    is_true, places = find(subjects, condition.subjects)
    is_held = find(subjects, condition.withheld)[0] & ~is_true
    is_gone = find(subjects, condition.absent)[0] & ~is_true
    is_false = ~(is_true | is_held | is_gone)
    of["severity"][:] = SEVERITIES.index(rule.severity)
    if len(condition.values):
        of["value"][is_true] = condition.values[places[is_true]]
    _stand_still(rows, np.ones(len(rows), bool), is_held=is_held, moment=moment)
    _turn_true(rows, is_true, now_ns=moment.now_ns)
    close_rows(rows, is_gone, resolution=REMOVED, now_ns=moment.now_ns)
    keep_ns = np.where(of["is_flapping"], max(quiet_ns, rule.keep_firing_for_s * NS_PER_S), _ns(rule.keep_firing_for_s))
    begins = is_false & (of["state"] == FIRING) & (of["false_since_ns"] == 0)
    of["false_since_ns"][begins], of["withheld_ns"][begins] = moment.now_ns, 0
    if is_changed:
        close_rows(rows, is_false, resolution=RULE_CHANGED, now_ns=moment.now_ns)
    is_over = is_false & (moment.since(of["false_since_ns"]) - of["withheld_ns"] >= keep_ns)
    has_run = find(subjects, condition.ran)[0] & is_one_silence(rows, rule)
    close_rows(rows, is_over & has_run, resolution=RAN, now_ns=moment.now_ns)
    close_rows(rows, is_over, resolution=RECOVERED, now_ns=moment.now_ns)
    return rows.taken(~((of["state"] == PENDING) & (is_false | is_gone)))


def is_one_silence(rows: AlertColumns, rule: AlertRule) -> NDArray[np.bool_]:
    """Of which alerts it is certain that the device was not heard until their end: bool, shape (n,).

    Alerts that flap, or that `keep_firing_for` keeps open, last from one silence to the next. Beats of the time between
    them look like a backlog, though they were received when they were sent.
    """
    return ~rows.of["is_flapping"] & (rule.keep_firing_for_s == 0)


def _ns(seconds: int) -> int:
    return seconds * NS_PER_S


def _turn_true(rows: AlertColumns, is_true: NDArray[np.bool_], *, now_ns: int) -> None:
    """Stop the timers of the end where the condition is true; of flapping alerts count that it is true again."""
    of = rows.of
    again = is_true & (of["state"] == FIRING) & (of["false_since_ns"] != 0)
    count_firing(rows, again & of["is_flapping"], now_ns=now_ns)
    of["false_since_ns"][again], of["withheld_ns"][again] = 0, 0


def count_firing(rows: AlertColumns, which: NDArray[np.bool_], *, now_ns: int) -> None:
    """Count one firing more of these rows, in place. Args: which: bool, shape (n,)."""
    recent = rows.of["recent_ns"]
    recent[which, 1:] = recent[which, :-1]
    recent[which, 0] = now_ns
    rows.of["times"][which] += 1


def _stand_still(
    rows: AlertColumns, which: NDArray[np.bool_], *, is_held: NDArray[np.bool_], moment: Moment | None
) -> None:
    """Begin and end, in place, the time that is withheld from timers. Without a moment, timers do not matter."""
    of = rows.of
    begins, ends = which & is_held & ~of["is_withheld"], which & ~is_held & of["is_withheld"]
    if moment is not None:
        of["withheld_ns"][ends] += moment.since(of["withheld_since_ns"][ends])
        of["withheld_since_ns"][begins] = moment.now_ns
    of["withheld_since_ns"][ends] = 0
    of["is_withheld"] = np.where(which, is_held, of["is_withheld"])


def new_rows(
    condition: Condition,
    rule: AlertRule,
    place: int,
    *,
    known: NDArray[np.int64],
    former_withheld: NDArray[np.int64],
    now_ns: int,
    room: int,
) -> tuple[AlertColumns, int]:
    """Pending alerts of subjects that had none, at most `room`, and how many are left out.

    Args:
        known: subjects that have one, int64, ascending, shape (n,).
        former_withheld: what was withheld in the round before, int64, ascending, shape (m,). There `for` is counted
            from now on, since the time in which nothing was expected must not count.
    """
    places = np.flatnonzero(~find(condition.subjects, known)[0])
    beyond = max(0, len(places) - room)
    places = places[:room]
    rows = AlertColumns.zeros(len(places))
    of = rows.of
    since_ns = condition.since_ns[places]
    of["rule"][:], of["subject"] = place, condition.subjects[places]
    of["severity"][:], of["state"][:] = SEVERITIES.index(rule.severity), PENDING
    of["since_ns"] = np.where((since_ns <= 0) | (since_ns > now_ns), now_ns, since_ns)
    was_held = find(of["subject"], former_withheld)[0]
    of["pending_since_ns"] = np.where(was_held, now_ns, of["since_ns"])
    if len(condition.values):
        of["value"] = condition.values[places].astype(np.float64)
    return rows, beyond
