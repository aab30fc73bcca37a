"""Marks of presence by day: of open days in their columns of hours, of all others in sparse presence."""

import numpy as np
from numpy.typing import NDArray

from fleetpulse.live.hour_columns import HourColumns
from fleetpulse.live.sparse_presence import SparsePresence
from fleetpulse.model.units import MINUTES_PER_DAY


def mark_days(
    devices: NDArray[np.uint32], minutes: NDArray[np.int64], *, dense: dict[int, HourColumns], sparse: SparsePresence
) -> None:
    """Mark minutes of devices, in any order and of any days.

    Args:
        devices: uint32, shape (n,); minutes: int64, shape (n,), since 1970 UTC.
        dense: the presence of open days by day, ascending.
    """
    days = minutes // MINUTES_PER_DAY
    minutes_of_day = minutes - days * MINUTES_PER_DAY
    for day, hours in reversed(dense.items()):  # nearly all is about the newest day
        chosen = days == day
        found = np.count_nonzero(chosen)
        if found == len(days):
            hours.mark(devices, minutes_of_day)
            return
        if found:
            hours.mark(devices[chosen], minutes_of_day[chosen])
            days, devices, minutes_of_day = days[~chosen], devices[~chosen], minutes_of_day[~chosen]
    sparse.mark(days, devices=devices, minutes_of_day=minutes_of_day)
