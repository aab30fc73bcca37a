"""Reception gaps: when the service received nothing from a device, for longer than a missed heartbeat.

A gap is stored when it ends, by the batch that ends it. One that goes on is known from the device's `last_received_ns`.
Reception gaps, what people declared (pauses, maintenance windows) and blind time give the status of a device at any
moment: late and down are computed, not stored events, so neither can be missed or stay on by mistake.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fleetpulse.model.columns import join_columns
from fleetpulse.model.device_spans import DeviceSpans


@dataclass(frozen=True, slots=True)
class ReceptionGapColumns(DeviceSpans):
    """Reception gaps, one a row: received_at of the receptions before and after it, and the heartbeat policy.

    A `start_ns` of 0 means that nothing was ever received before. The policy is the one in force when the gap ended.
    """

    interval_s: NDArray[np.uint32]
    grace_s: NDArray[np.uint32]


NO_GAPS = ReceptionGapColumns(
    np.zeros(0, np.uint32), np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0, np.uint32), np.zeros(0, np.uint32)
)


def join_gaps(pieces: list[ReceptionGapColumns]) -> ReceptionGapColumns:
    """All pieces as one, in order."""
    return join_columns(pieces, NO_GAPS)
