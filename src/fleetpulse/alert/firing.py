"""When pending alerts fire, which of them are alerts of before, and which are flapping."""

import numpy as np
from numpy.typing import NDArray

from fleetpulse.alert.columns import AlertColumns
from fleetpulse.alert.rule_rows import Moment, count_firing, find
from fleetpulse.alert_settings import AlertSettings
from fleetpulse.model.alert import FIRING, PENDING
from fleetpulse.model.alert_rows import RECENT
from fleetpulse.model.units import NS_PER_S

_KEPT_ON = ("number", "first_fired_at_ns", "times", "recent_ns", "incident")
"""What an alert that fires again has of the one that ended."""


def fire(
    rows: AlertColumns, ended: AlertColumns, *, for_ns: NDArray[np.int64], moment: Moment, next_number: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Let those fire, in place, whose condition has been true for long enough.

    Args:
        ended: alerts that ended a short while ago, ordered like `rows`.
        for_ns: of each row, how long that is; int64, shape (n,).
        next_number: the first number for alerts that never fired.
    Returns: places of those that fired, and of those alerts in `ended` that did so; int64, ascending.
    """
    of = rows.of
    lasted_ns = moment.since(of["pending_since_ns"]) - of["withheld_ns"]
    fires = np.flatnonzero((of["state"] == PENDING) & ~of["is_withheld"] & (lasted_ns >= for_ns))
    is_again, places = find(rows.keys()[fires], ended.keys())
    again, revived = fires[is_again], places[is_again]
    for name in _KEPT_ON:
        of[name][again] = ended.of[name][revived]
    new = fires[~is_again]
    of["number"][new] = np.arange(next_number, next_number + len(new))
    of["first_fired_at_ns"][new] = moment.now_ns
    of["state"][fires], of["fired_at_ns"][fires] = FIRING, moment.now_ns
    of["withheld_ns"][fires] = of["false_since_ns"][fires] = 0
    which = np.zeros(len(rows), bool)
    which[fires] = True
    count_firing(rows, which, now_ns=moment.now_ns)
    return fires, np.sort(revived)


def begin_flapping(rows: AlertColumns, fired: NDArray[np.int64], *, now_ns: int, limits: AlertSettings) -> None:
    """Mark those of the fired alerts, in place, that have fired `flap_times` within `flap_within_s`.

    Args: fired: places of rows, int64, shape (m,).
    """
    earliest_ns = rows.of["recent_ns"][fired, min(limits.flap_times, RECENT) - 1]
    within_ns = int(limits.flap_within_s * NS_PER_S)
    rows.of["is_flapping"][fired] |= (earliest_ns > 0) & (now_ns - earliest_ns <= within_ns)
