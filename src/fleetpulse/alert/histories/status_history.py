"""What rules about devices that are down, and about shares of them, would have found."""

import numpy as np
from numpy.typing import NDArray

from fleetpulse.alert.conditions.fleet_down import WHOLE_FLEET
from fleetpulse.alert.conditions.thresholds import is_beyond
from fleetpulse.alert.histories.condition_history import ConditionHistory, Events, spans_as_events
from fleetpulse.alert.histories.device_statuses import StatusSpans
from fleetpulse.catalog.roster import Roster
from fleetpulse.model.alert_rule import AlertRule
from fleetpulse.model.status import DOWN, LATE, UNKNOWN, UP


def withheld_events(spans: StatusSpans, *, start_ns: int) -> Events:
    """When nothing could be said of a device, from `start_ns` on."""
    silent = spans.withheld
    return spans_as_events(silent.devices, silent.start_ns, silent.end_ns, from_ns=start_ns)


def down_history(spans: StatusSpans, *, start_ns: int, count: int) -> ConditionHistory:
    """Of a rule about devices that are down. Args: count: how many devices there are."""
    down = spans.down
    truth = spans_as_events(down.devices, down.start_ns, down.end_ns, from_ns=start_ns)
    return ConditionHistory(truth=truth, withheld=withheld_events(spans, start_ns=start_ns), count=count)


def fleet_history(rule: AlertRule, spans: StatusSpans, roster: Roster, *, end_ns: int) -> ConditionHistory:
    """Of a rule about shares or numbers of devices, by the labels that devices have today."""
    codes, values = _groups(rule, roster)
    names = [f"{rule.by}={value}" if rule.by else WHOLE_FLEET for value in values]
    group = codes[spans.devices]
    truth, withheld = [], []
    for number in range(len(names)):
        chosen = spans.where(group == number)
        at_ns, is_true, is_open, figures = _of_group(rule, chosen, end_ns=end_ns)
        truth.append((number, at_ns, is_true, figures))
        withheld.append((number, at_ns, is_open, figures))
    return ConditionHistory(truth=_joined(truth), withheld=_joined(withheld), count=len(names), groups=names)


_Changes = tuple[int, NDArray[np.int64], NDArray[np.bool_], NDArray[np.float64]]


def _joined(changes: list[_Changes]) -> Events:
    """Events where a group changes."""
    found = []
    for number, at_ns, is_on, figures in changes:
        before = np.append(False, is_on[:-1])
        rows = np.flatnonzero(is_on != before)
        found.append((np.full(len(rows), number), at_ns[rows], is_on[rows], figures[rows]))
    if not found:
        return Events.of(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0, bool))
    subjects, at_ns, is_on, figures = (np.concatenate(columns) for columns in zip(*found, strict=True))
    return Events.of(at_ns, subjects, is_on, values=figures)


def _groups(rule: AlertRule, roster: Roster) -> tuple[NDArray[np.int64], list[str]]:
    """The group of each device, int64, shape (devices,), -1: none; and the values of the label."""
    chosen = roster.with_labels(rule.labels)
    if not rule.by:
        return np.where(chosen, 0, -1), [""]
    codes, values = roster.groups(rule.by)
    return np.where(chosen & (codes > 0), codes.astype(np.int64) - 1, -1), values[1:]


def _of_group(
    rule: AlertRule, spans: StatusSpans, *, end_ns: int
) -> tuple[NDArray[np.int64], NDArray[np.bool_], NDArray[np.bool_], NDArray[np.float64]]:
    """Of one group: the times at which anything changes; from then on whether it is true, withheld, and its figure."""
    inside = spans.where(spans.start_ns < end_ns)
    at_ns, rows = np.unique(inside.start_ns, return_inverse=True)
    ended_ns = np.searchsorted(at_ns, inside.end_ns)
    counts = {}
    for name, statuses in (("up", (UP, LATE)), ("down", (DOWN,)), ("unknown", (UNKNOWN,))):
        counted = np.isin(inside.codes, statuses)
        changes = np.bincount(rows[counted], minlength=len(at_ns) + 1)
        changes = changes - np.bincount(ended_ns[counted], minlength=len(at_ns) + 1)
        counts[name] = np.cumsum(changes)[: len(at_ns)]
    known, down, unknown = counts["up"] + counts["down"], counts["down"], counts["unknown"]
    figures = _figures(rule, down, known)
    lowest, highest = (_figures(rule, lost, known + unknown) for lost in (down, down + unknown))
    is_true, is_open = np.zeros(len(at_ns), bool), np.zeros(len(at_ns), bool)
    before = np.zeros(1, bool)
    for place in range(len(at_ns)):
        is_true[place] = is_beyond(rule, lowest[place : place + 1], before)[0]
        possible = is_beyond(rule, highest[place : place + 1], before)[0] or known[place] + unknown[place] == 0
        is_open[place] = possible and not is_true[place]
        if not is_open[place]:
            before = is_true[place : place + 1]
    return at_ns, is_true, is_open, figures


def _figures(rule: AlertRule, down: NDArray[np.int64], counted: NDArray[np.int64]) -> NDArray[np.float64]:
    figures: NDArray[np.float64] = down / np.maximum(counted, 1) if rule.is_share else down.astype(np.float64)
    return figures
