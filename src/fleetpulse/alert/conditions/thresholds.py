"""Figures against the thresholds of a rule: true beyond the first, and once true until past the second."""

import operator
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fleetpulse.alert.conditions.memory import OpenAlerts
from fleetpulse.model.alert_rule import AlertRule, Comparison

_COMPARE: Mapping[Comparison, Callable[[Any, Any], Any]] = {
    ">": operator.gt,
    ">=": operator.ge,
    "<": operator.lt,
    "<=": operator.le,
}


def is_beyond(rule: AlertRule, values: NDArray[Any], was_true: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Of which figures a rule's condition is true: bool, shape (n,).

    Args: values: nan where there is no figure, which is never true; was_true: bool, of the round before; shape (n,).
    """
    found: NDArray[np.bool_] = _COMPARE[rule.comparison](values, rule.threshold)
    if rule.clear_threshold is None or not was_true.any():
        return found
    # `> 90 until < 85` ends below 85: at 85 it still goes on.
    stays = operator.ge if rule.comparison in (">", ">=") else operator.le
    goes_on: NDArray[np.bool_] = found | (was_true & stays(values, rule.clear_threshold))
    return goes_on


def was_true(known: OpenAlerts, subjects: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Of which subjects the condition was true in the round before: bool, shape (n,). Args: subjects: int64."""
    return np.isin(subjects, known.subjects[known.is_true])


def since(known: OpenAlerts, subjects: NDArray[np.int64], at_ns: NDArray[np.int64] | int) -> NDArray[np.int64]:
    """Since when it is true, of subjects of which it is: what was known before, else `at_ns`; int64 ns, shape (n,).

    Args: subjects: int64; at_ns: one time, or int64, shape (n,).
    """
    since_ns = np.broadcast_to(np.asarray(at_ns, np.int64), len(subjects)).copy()
    rows = np.flatnonzero(known.is_true)
    places = np.searchsorted(known.subjects[rows], subjects)
    is_known = places < len(rows)
    is_known[is_known] = known.subjects[rows[places[is_known]]] == subjects[is_known]
    since_ns[is_known] = known.since_ns[rows[places[is_known]]]
    return since_ns
