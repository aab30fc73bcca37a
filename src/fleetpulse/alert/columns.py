"""The open alerts of all rules as columns, and what changed of them in a round."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fleetpulse.model.alert_rows import RECENT

ALERT_COLUMNS: dict[str, Any] = {
    "number": np.int64,  # 0 while it is pending
    "rule": np.int32,  # its place in the list of rules of the round
    "subject": np.int64,  # a device's number, or a place among the groups of the rule
    "severity": np.int8,  # its place in SEVERITIES
    "state": np.int8,  # PENDING, FIRING or RESOLVED; resolved ones are there in the round in which they ended
    "since_ns": np.int64,
    "pending_since_ns": np.int64,  # from when on `for` is counted
    "first_fired_at_ns": np.int64,  # 0 while it is pending for the first time
    "fired_at_ns": np.int64,  # when it fired last; 0 while it is pending
    "false_since_ns": np.int64,  # 0 while its condition is true; from when on keep_firing_for is counted
    "resolved_at_ns": np.int64,
    "resolution": np.int8,  # its place in RESOLUTIONS
    "value": np.float64,
    "times": np.int32,
    "incident": np.int64,  # 0: none
    "is_withheld": np.bool_,
    "withheld_since_ns": np.int64,  # 0 while it is not
    "withheld_ns": np.int64,  # for how long it was before, since the timer that runs was started
    "is_flapping": np.bool_,
    "is_acknowledged": np.bool_,
    "snoozed_until_ns": np.int64,
    "recent_ns": np.dtype((np.int64, (RECENT,))),  # when it fired, the last time first; 0: not so often
}


def _no_rows() -> dict[str, NDArray[Any]]:
    return {name: np.zeros(0, dtype) for name, dtype in ALERT_COLUMNS.items()}


@dataclass(slots=True, eq=False)
class AlertColumns:
    """Rows of alerts, ordered by rule and subject; `of` gives the column of a name of ALERT_COLUMNS, shape (n,).

    `recent_ns` alone has the shape (n, RECENT).
    """

    of: dict[str, NDArray[Any]] = field(default_factory=_no_rows)

    @classmethod
    def zeros(cls, count: int) -> "AlertColumns":
        """So many rows in which everything is zero; `value` is nan."""
        rows = cls({name: np.zeros(count, dtype) for name, dtype in ALERT_COLUMNS.items()})
        rows.of["value"][:] = np.nan
        return rows

    @classmethod
    def joined(cls, parts: Sequence["AlertColumns"]) -> "AlertColumns":
        """The rows of all parts, one after the other."""
        if not parts:
            return cls()
        return cls({name: np.concatenate([part.of[name] for part in parts]) for name in ALERT_COLUMNS})

    def __len__(self) -> int:
        return len(self.of["number"])

    def taken(self, places: NDArray[Any] | slice) -> "AlertColumns":
        """Copies of those rows. Args: places: int64, shape (m,), or bool, shape (n,), or a slice."""
        return AlertColumns({name: np.array(column[places]) for name, column in self.of.items()})

    def keys(self) -> NDArray[np.int64]:
        """Rule and subject of each row as one number by which rows are ordered: int64, shape (n,)."""
        return subject_keys(self.of["rule"], self.of["subject"])


def subject_keys(rules: NDArray[Any], subjects: NDArray[Any]) -> NDArray[np.int64]:
    """Rules and subjects as numbers that have their order: int64, shape (n,)."""
    return (rules.astype(np.int64) << 40) + subjects.astype(np.int64)


@dataclass(frozen=True, slots=True, kw_only=True)
class RoundNames:
    """What the numbers in columns stand for, in one round."""

    rules: Sequence[str]
    groups: Sequence[Sequence[str] | None]
    """Of each rule the names of its groups; None: its subjects are devices."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Changes:
    """What a round of the lifecycle has changed: places in `alerts`, int64, ascending."""

    at_ns: int
    alerts: AlertColumns
    """All alerts after the round, those included that ended in it."""
    fired: NDArray[np.int64]
    """They began to fire, or fire again after they had ended (times > 1)."""
    resolved: NDArray[np.int64]
    flapping: NDArray[np.int64]
    """Those of `fired` that are flapping from now on: people are told so once, and then not of each end and beginning.

    Such an alert stays firing, and counts how often its condition is true again, until that was not so for a while.
    """
    withheld: NDArray[np.int64]
    """Whether they are withheld has changed."""
    altered: NDArray[np.int64]
    """All alerts with a number whose row must be stored: also those of which only a timer has changed."""
    ran: AlertColumns = field(default_factory=AlertColumns)
    """Alerts that ended in earlier rounds, and of whose devices it is known only now that they were running."""
    pending_of: frozenset[int] = frozenset()
    """Places of rules whose pending alerts have changed."""
    beyond: int = 0
    """Subjects of which a condition is true, and that have no alert, since there are `alerts_open_max` of them."""
