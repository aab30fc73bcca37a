"""The lifetime figures of one device, which the live fleet counts."""

from collections.abc import Mapping
from dataclasses import dataclass

from fleetpulse.aggregate.presence import Rows

ClosedRows = Mapping[int, Rows | None]
"""The presence of one device, shape (23,), in the closed block of a day, by day; days without it may be left out."""


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
    uploads: int
    upload_time_total: int
