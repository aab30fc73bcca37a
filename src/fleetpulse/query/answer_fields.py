"""The fields that several answers have, each declared once: type, range, description and example."""

from typing import Annotated

from msgspec import Meta, Struct, UnsetType

from fleetpulse.model.device import ID_CHARS_MAX
from fleetpulse.model.uptime import FORMULA

Time = Annotated[
    str,
    Meta(
        description="an RFC 3339 time in UTC",
        examples=["2026-11-24T08:30:00Z"],
        extra_json_schema={"format": "date-time"},
    ),
]
# The examples of figures are of one device over a day: 24 h but for an hour of maintenance, and down for 3 minutes.
Start = Annotated[Time, Meta(examples=["2026-11-24T00:00:00Z"])]
End = Annotated[Time, Meta(examples=["2026-11-25T00:00:00Z"])]
DeviceId = Annotated[str, Meta(min_length=1, max_length=ID_CHARS_MAX, examples=["press-07"])]
Count = Annotated[int, Meta(ge=0, examples=[3])]
DeviceCount = Annotated[Count, Meta(examples=[1])]
Seconds = Annotated[float, Meta(ge=0, examples=[180.0])]
Percent = Annotated[float, Meta(ge=0, le=100, description="per cent", examples=[99.78261])]
Value = Annotated[int | float | None, Meta(description="null: no samples, or `note` says why", examples=[41.5])]
Nanoseconds = Annotated[Value, Meta(examples=[1_500_000_000])]
GoDuration = Annotated[str | None, Meta(examples=["1.5s"])]
Formula = Annotated[str, Meta(description="version of the uptime formula", examples=[FORMULA])]
LabelName = Annotated[str, Meta(description="name of a label", examples=["site"])]
Labels = Annotated[dict[str, str], Meta(description="label names and their values", examples=[{"site": "paris"}])]
Group = Annotated[str, Meta(description="value of the label; empty: devices without it", examples=["paris"])]
StepSeconds = Annotated[
    int | UnsetType, Meta(description="seconds of a step, where one was asked for", examples=[3600])
]
Timezone = Annotated[str | UnsetType, Meta(description="of the dates and steps", examples=["Europe/Paris"])]
MetricNote = Annotated[
    str | UnsetType,
    Meta(
        description="what stands in for samples that are gone, or why a value is null",
        examples=["whole buckets of hour stand in"],
    ),
]
ExpiredCount = Annotated[
    Annotated[int, Meta(ge=0)] | UnsetType,
    Meta(description="samples, of all devices, that retention has deleted in the days of the window"),
]
NextFrom = Annotated[Time | None, Meta(description="`from` of the rest; null: that was all", examples=[None])]
MoreFrom = Annotated[
    Time | None, Meta(description="the same as `next_from`", examples=[None], extra_json_schema={"deprecated": True})
]
Notes = Annotated[
    list[str],
    Meta(
        description="where the question was perhaps meant otherwise, such as a label that no device has", examples=[[]]
    ),
]


class DeclarationsUsed(Struct):
    """Which declarations (devices, pauses, maintenance windows) figures were computed from.

    Two answers of one version were computed from the same declarations.
    """

    version: Annotated[Count, Meta(description="how often a declaration was changed so far", examples=[12])]
    changed_at: Annotated[Time | None, Meta(description="when the last change was; null: before they were counted")]
    devices: DeviceCount
    changed_after_window: Annotated[
        bool | None, Meta(description="whether the last change was after the end of the window; null: not known")
    ]


class UploadTimes(Struct, kw_only=True):
    """The upload times of a window: in nanoseconds, and as Go writes durations."""

    unit: Annotated[str, Meta(examples=["ns"])]
    count: Count
    avg: Nanoseconds
    avg_text: GoDuration
    p50: Nanoseconds
    p50_text: GoDuration
    p95: Nanoseconds
    p95_text: GoDuration
    p99: Nanoseconds
    p99_text: GoDuration
