"""Samples of metrics as columns."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fleetpulse.model.columns import DeviceColumns, join_columns


@dataclass(frozen=True, slots=True)
class SampleColumns(DeviceColumns):
    """Samples, one a row: a device, the number of a metric, sent_at in nanoseconds, and a value.

    `values` are 64 bits each: a signed integer or the bits of a double, according to the kind of the metric.
    """

    metrics: NDArray[np.uint16]
    at_ns: NDArray[np.int64]
    values: NDArray[np.int64]


NO_SAMPLES = SampleColumns(np.zeros(0, np.uint32), np.zeros(0, np.uint16), np.zeros(0, np.int64), np.zeros(0, np.int64))


def join_samples(pieces: list[SampleColumns]) -> SampleColumns:
    """All pieces as one, in order."""
    return join_columns(pieces, NO_SAMPLES)
