"""Figures of devices over their whole lives, and the columns that count their upload times."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fleetpulse.aggregate.presence import Rows
from fleetpulse.model.device_spans import NO_FIRST_NS
from fleetpulse.model.forgotten import NO_MINUTE
from fleetpulse.model.samples import SampleColumns
from fleetpulse.model.units import NS_PER_MINUTE

NO_MINUTE_FIRST = NO_MINUTE
NO_MINUTE_LAST = np.iinfo(np.int32).min
ClosedRows = Mapping[int, Rows | None]
"""The presence of one device, shape (23,), in the closed block of a day, by day; days without it may be left out."""
_LOW_32 = 0xFFFF_FFFF


def minutes_between(first_sent_ns: int, last_sent_ns: int) -> tuple[int, int]:
    """The minutes since 1970 of the first and of the last beat of a device."""
    if first_sent_ns == NO_FIRST_NS:
        return NO_MINUTE_FIRST, NO_MINUTE_LAST
    return first_sent_ns // NS_PER_MINUTE, last_sent_ns // NS_PER_MINUTE


@dataclass(frozen=True, slots=True)
class DeviceFigures:
    """Figures of one device over its whole life. Minutes count from 1970; `upload_time_total` is in nanoseconds.

    `heartbeats` counts heartbeats alone, although reports of metrics mark minutes as present too.
    """

    minutes_present: int
    first_minute: int
    last_minute: int
    heartbeats: int
    samples: int
    """Samples of all metrics that were acknowledged, those included that repeat others."""
    uploads: int
    """Upload times, as a set: one that was sent again counts once."""
    upload_time_total: int


def count_uploads(columns: Mapping[str, NDArray[Any]], samples: SampleColumns) -> None:
    """Add upload times to the columns `uploads`, `upload_high` and `upload_low`, int64, shape (devices,), in place.

    A sum of 64-bit values needs more than 64 bits, so high and low halves have a sum each: exact for 2³¹ samples.
    """
    np.add.at(columns["uploads"], samples.devices, 1)
    np.add.at(columns["upload_high"], samples.devices, samples.values >> 32)
    np.add.at(columns["upload_low"], samples.devices, samples.values & _LOW_32)


def settle_uploads(columns: Mapping[str, NDArray[Any]], new: SampleColumns) -> None:
    """Count doubtful upload times that have turned out to be new, which `other_samples` has counted until now.

    Args: columns: those of `count_uploads`, and `other_samples`, int64, shape (devices,); changed in place.
    """
    count_uploads(columns, new)
    np.subtract.at(columns["other_samples"], new.devices, 1)


def sum_uploads(samples: SampleColumns) -> int:
    """The exact sum of upload times."""
    return (int((samples.values >> 32).sum()) << 32) + int((samples.values & _LOW_32).sum())
