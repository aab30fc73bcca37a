"""Reception gaps, found between the receptions of a device."""

import numpy as np
from numpy.typing import NDArray

from fleetpulse.aggregate.runs import first_of_runs
from fleetpulse.model.reception_gaps import ReceptionGapColumns


def gaps_between(
    devices: NDArray[np.uint32], at_ns: NDArray[np.int64], *, before_ns: NDArray[np.int64]
) -> tuple[NDArray[np.uint32], NDArray[np.int64], NDArray[np.int64]]:
    """(device, start, end) of every span between a reception and the reception of that device before it.

    Args: `devices` (uint32), `at_ns`: the receptions, shape (n,), in any order; times are int64 ns. `before_ns`, shape
        (n,): the last reception of that device before all of these.
    Returns: uint32, int64 ns, int64 ns, each shape (n,), sorted by device and time.
    """
    order = np.lexsort((at_ns, devices))
    devices, ends, starts = devices[order], at_ns[order], before_ns[order]
    is_first = first_of_runs(devices)
    starts[1:][~is_first[1:]] = ends[:-1][~is_first[1:]]
    return devices, starts, ends


def ended_before(gaps: ReceptionGapColumns, now_ns: int) -> ReceptionGapColumns:
    """The gaps, with none that begins or ends after `now_ns`: what a clock that was ahead recorded is corrected."""
    end_ns = np.minimum(gaps.end_ns, now_ns)
    clipped = ReceptionGapColumns(gaps.devices, gaps.start_ns, end_ns, gaps.interval_s, gaps.grace_s)
    return clipped.where(gaps.start_ns < end_ns)
