"""The JSON that devices and gateways send, declared once: for decoding, and for the OpenAPI document.

Unknown fields are ignored, because newer devices report to older servers. The ranges of values are only described here:
`decode.py` checks them, with errors that say what is expected.
"""

from typing import Annotated

import msgspec
from msgspec import Meta

from fleetpulse.model.metric import INTEGER_HIGHEST

_SENT_AT = (
    "the device's clock: RFC 3339, any offset, up to nanoseconds; "
    "from 2000 to 24 h (future_s) ahead of the server's clock"
)
SentAt = Annotated[
    str, Meta(description=_SENT_AT, examples=["2026-11-24T08:30:00Z"], extra_json_schema={"format": "date-time"})
]
UploadTime = Annotated[
    int | float,
    Meta(
        description="nanoseconds; a whole number, which may be written as 5.0 or 1e3",
        examples=[1_500_000_000],
        # To JSON Schema, 5.0 is an integer, too.
        extra_json_schema={"type": "integer", "minimum": 0, "maximum": INTEGER_HIGHEST},
    ),
]
MetricValues = Annotated[
    dict[str, int | float | None],
    Meta(
        description="a number for each metric, which must be defined; null: it was not measured, and is left out",
        examples=[{"cpu": 12.5, "memory": 71}],
        extra_json_schema={"minProperties": 1},
    ),
]


class Heartbeat(msgspec.Struct, gc=False):
    """A device is alive."""

    sent_at: SentAt


class UploadStats(msgspec.Struct, gc=False):
    """How long an upload of a device took."""

    sent_at: SentAt
    upload_time: UploadTime


class MetricsReport(msgspec.Struct, gc=False):
    """Values of metrics of a device, all measured at one time."""

    sent_at: SentAt
    metrics: MetricValues


class Event(msgspec.Struct, gc=False):
    """One line of a bulk body: a heartbeat; with `upload_time` an upload, with `metrics` a report of metrics."""

    device_id: Annotated[str, Meta(examples=["press-07"])]
    sent_at: SentAt
    upload_time: UploadTime | msgspec.UnsetType = msgspec.UNSET
    metrics: MetricValues | msgspec.UnsetType = msgspec.UNSET


class RefusedLine(msgspec.Struct):
    """A line of a bulk body or an import that was refused, and why."""

    line: Annotated[int, Meta(ge=1, examples=[2])]
    msg: Annotated[str, Meta(examples=["Device not found"])]
    detail: Annotated[
        str | msgspec.UnsetType,
        Meta(description="what to do, where `msg` does not say it", examples=["no device has the id press-07: …"]),
    ] = msgspec.UNSET


HEARTBEAT_FIELDS, STATS_FIELDS, REPORT_FIELDS, EVENT_FIELDS = (
    frozenset(kind.__struct_fields__) for kind in (Heartbeat, UploadStats, MetricsReport, Event)
)
"""The known fields of each; all others are ignored."""
