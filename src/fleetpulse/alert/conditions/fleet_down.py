"""Rules about how many devices are down, of those with the same value of a label or of all."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from fleetpulse.alert.condition import Condition
from fleetpulse.alert.conditions.facts import IS_DOWN, NOT_DOWN, NOT_KNOWN, Facts
from fleetpulse.alert.conditions.memory import Memory
from fleetpulse.alert.conditions.thresholds import is_beyond, since, was_true
from fleetpulse.catalog.roster import ABSENT
from fleetpulse.model.alert_rule import AlertRule

WHOLE_FLEET = "fleet"
_CLASSES = 4


def fleet_down(rule: AlertRule, facts: Facts, memory: Memory) -> Condition:
    """True of groups in which more devices are down than the rule allows; their share, or their number, is the figure.

    Devices that are new, in maintenance or paused count neither way. Where it depends on devices of which nothing is
    known, since the service was blind, a group is withheld. Devices without the label are in no group.
    """
    counts, names = _counts(rule, facts)
    known = memory.of(rule.name)
    gone = sorted({(known.groups or ())[subject] for subject in known.subjects.tolist()} - set(names))
    groups = [*names, *gone]
    counts = np.concatenate([counts, np.zeros((len(gone), _CLASSES), np.int64)])
    known = known.in_groups(groups)
    up, down, unknown = (counts[:, one] for one in (NOT_DOWN, IS_DOWN, NOT_KNOWN))
    everybody = np.arange(len(groups))
    before = was_true(known, everybody)
    figures = _figures(rule, down, up + down)
    lowest, highest = (_figures(rule, lost, up + down + unknown) for lost in (down, down + unknown))
    is_true = is_beyond(rule, lowest, before)
    is_open = ~is_true & is_beyond(rule, highest, before)
    # Where nobody counts, since all are in maintenance or paused, nothing can be said either.
    is_open |= ~is_true & (counts[:, NOT_DOWN:].sum(axis=1) == 0) & (counts.sum(axis=1) > 0)
    subjects = np.flatnonzero(is_true)
    return Condition(
        rule=rule.name,
        at_ns=facts.now_ns,
        subjects=subjects,
        since_ns=since(known, subjects, facts.now_ns),
        values=figures[subjects],
        withheld=np.flatnonzero(is_open),
        absent=np.flatnonzero(counts.sum(axis=1) == 0),
        groups=groups,
    )


def _figures(rule: AlertRule, down: NDArray[np.int64], counted: NDArray[np.int64]) -> NDArray[np.float64]:
    """The share of devices that are down, or their number; a group of none is at 0."""
    figures: NDArray[np.float64] = down / np.maximum(counted, 1) if rule.is_share else down.astype(np.float64)
    return figures


def _counts(rule: AlertRule, facts: Facts) -> tuple[NDArray[np.int64], Sequence[str]]:
    """How many devices of each class there are, int64, shape (groups, 4), and the names of the groups."""
    devices = facts.members(rule.labels)
    watched = facts.watched[devices]
    if not rule.by:
        return np.bincount(watched, minlength=_CLASSES)[None], [WHOLE_FLEET]
    column = facts.view.roster.labels.get(rule.by)
    if column is None:
        return np.zeros((0, _CLASSES), np.int64), []
    values = list(column.values)
    keys = column.codes[devices].astype(np.int64) * _CLASSES + watched
    counts = np.bincount(keys, minlength=len(values) * _CLASSES)[: len(values) * _CLASSES].reshape(-1, _CLASSES)
    used = np.flatnonzero(counts.sum(axis=1))
    used = used[used != ABSENT]
    return counts[used], [f"{rule.by}={values[code]}" for code in used.tolist()]
