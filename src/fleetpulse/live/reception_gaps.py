"""Silences, found between the receptions of a device."""

import numpy as np
from numpy.typing import NDArray

from fleetpulse.model.reception_gaps import ReceptionGapColumns


def gaps_between(
    devices: NDArray[np.uint32], at_ns: NDArray[np.int64], *, before_ns: NDArray[np.int64]
) -> tuple[NDArray[np.uint32], NDArray[np.int64], NDArray[np.int64]]:
    """Device, start and end of every stretch between two receptions of a device, in any order.

    Args: `devices` and `at_ns`: receptions, any order, one length; `before_ns`: the device's reception before all of them.
    """
    order = np.lexsort((at_ns, devices))
    devices, ends, starts = devices[order], at_ns[order], before_ns[order]
    is_first = np.ones(len(devices), bool)
    is_first[1:] = devices[1:] != devices[:-1]
    starts[1:][~is_first[1:]] = ends[:-1][~is_first[1:]]
    return devices, starts, ends


def ended_before(gaps: ReceptionGapColumns, now_ns: int) -> ReceptionGapColumns:
    """The silences as a clock tells them that was ahead and shows `now_ns` again: none ended later, none began later."""
    end_ns = np.minimum(gaps.end_ns, now_ns)
    clipped = ReceptionGapColumns(gaps.devices, gaps.start_ns, end_ns, gaps.interval_s, gaps.grace_s)
    return clipped.where(gaps.start_ns < end_ns)
