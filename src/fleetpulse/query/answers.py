"""The shape of every answer, declared once.

Handlers return these structs, the OpenAPI document is made from them, and commands, reports and tests decode into them.
A field that only some answers have is UNSET where it is absent; null is a value of its own. Fields may be added, but
none may disappear or change its type. This module imports nothing heavy, because every command imports it.
"""

from typing import Annotated

from msgspec import UNSET, Meta, Struct, UnsetType, field

from fleetpulse.model.metric import Aggregation
from fleetpulse.model.status import STATUSES, Status
from fleetpulse.query.answer_fields import (
    Count,
    DeclarationsUsed,
    DeviceCount,
    DeviceId,
    End,
    ExpiredCount,
    Group,
    LabelName,
    MetricNote,
    MoreFrom,
    NextFrom,
    Notes,
    Percent,
    Start,
    StepSeconds,
    Time,
    Timezone,
    Value,
)


class Span(Struct):
    """A stretch of time."""

    start: Start = field(name="from")
    end: End = field(name="to")


class Missing(Span):
    """A span that the figures lack, because a block is missing or damaged."""

    reason: Annotated[str, Meta(examples=["block presence-20600-7-1a2b.parquet is missing"])]


MissingSpans = Annotated[
    list[Missing], Meta(description="spans that the figures lack, because a block is missing or damaged", examples=[[]])
]


class DeviceStats(Struct):
    """Uptime and average upload time over the whole life of a device; 0 and "0s" before any data."""

    uptime: Percent
    avg_upload_time: Annotated[str, Meta(description="a duration as Go writes it", examples=["3m29.226522788s"])]
    missing: Annotated[
        list[Missing] | UnsetType,
        Meta(description="only where a block is missing or damaged: spans whose late data the figures lack"),
    ] = UNSET


class DeviceAccount(Struct):
    """The account of one device, its events: accepted = applied + pending."""

    accepted: Count
    applied: Count
    pending: Annotated[Count, Meta(examples=[0])]
    heartbeats: Annotated[Count, Meta(examples=[2])]
    samples: Annotated[Count, Meta(examples=[1])]


class Transition(Struct, gc=False):
    """A change of status."""

    at: Time
    before: Annotated[Status, Meta(examples=["late"])] = field(name="from")
    after: Annotated[Status, Meta(examples=["down"])] = field(name="to")


class Transitions(Struct, kw_only=True):
    """The changes of a device's status in a window, oldest first."""

    device_id: DeviceId
    start: Start = field(name="from")
    end: End = field(name="to")
    status_before: Annotated[Status, Meta(examples=["late"])]
    transitions: Annotated[list[Transition], Meta(description="at most 10000")]
    more_from: MoreFrom
    next_from: NextFrom = None
    missing: MissingSpans
    declarations: DeclarationsUsed
    notes: Notes = []

    def __post_init__(self) -> None:
        self.next_from = self.more_from


class DevicesByStatus(Struct):
    """How many devices there are, by status."""

    total: DeviceCount
    by_status: Annotated[
        dict[Status, Count],
        Meta(
            examples=[dict(zip(STATUSES, (0, 1, 0, 0, 0, 0, 0), strict=True))],
            # Every status is there, so that generated clients have a field for each.
            extra_json_schema={
                "properties": {status: {"type": "integer", "minimum": 0} for status in STATUSES},
                "required": STATUSES,
            },
        ),
    ]


class MetricPoint(Struct, gc=False):
    """The value of a metric in one step."""

    at: Time
    value: Value
    count: Count


class MetricMethod(Struct, kw_only=True):
    """How figures of a metric were made."""

    unit: Annotated[str, Meta(examples=["%"])]
    aggregation: Aggregation
    tiers: Annotated[
        list[str], Meta(description="what was read: live, raw, minute, hour, day", examples=[["live", "hour"]])
    ]
    method: Annotated[
        str | UnsetType,
        Meta(description="of quantiles and stddev: how the figures were made", examples=["nearest rank, exact"]),
    ] = UNSET
    note: MetricNote = UNSET
    kept_from: Annotated[Time | UnsetType, Meta(description="where retention leaves less than the window")] = UNSET
    expired: ExpiredCount = UNSET


_WITHOUT_A_STEP = Meta(description="without a step; null: no samples, or `note` says why", examples=[41.5])
_WITH_A_STEP = Meta(description="with a step: the steps in which there were samples")
MetricValue = Annotated[int | float | UnsetType | None, _WITHOUT_A_STEP]
MetricSeries = Annotated[list[MetricPoint] | UnsetType, _WITH_A_STEP]
_METRIC_EXAMPLE = {"cpu": {"unit": "%", "aggregation": "avg", "tiers": ["live"], "value": 41.5, "count": 3}}


class DeviceMetric(MetricMethod, kw_only=True):
    """A metric of one device: a value, or a series of them."""

    value: MetricValue = UNSET
    series: MetricSeries = UNSET
    count: Count


class GroupMetric(Struct, kw_only=True):
    """A metric of a group: a value, or a series of them."""

    value: MetricValue = UNSET
    series: MetricSeries = UNSET
    count: Count


class DeviceMetrics(Struct, kw_only=True):
    """Metrics of a device over a window."""

    device_id: DeviceId
    start: Start = field(name="from")
    end: End = field(name="to")
    step_s: StepSeconds = UNSET
    timezone: Timezone = UNSET
    metrics: Annotated[dict[str, DeviceMetric], Meta(description="by name", examples=[_METRIC_EXAMPLE])]
    missing: MissingSpans
    notes: Notes = []


class MetricGroup(Struct):
    """Metrics of the devices with one value of a label."""

    group: Group
    devices: DeviceCount
    metrics: Annotated[
        dict[str, GroupMetric], Meta(description="by name", examples=[{"cpu": {"value": 41.5, "count": 3}}])
    ]


class FleetMetrics(Struct, kw_only=True):
    """Metrics of all devices, or by the values of a label."""

    start: Start = field(name="from")
    end: End = field(name="to")
    step_s: StepSeconds = UNSET
    timezone: Timezone = UNSET
    group_by: LabelName | None
    metrics: Annotated[dict[str, MetricMethod], Meta(description="how each was made, by name")]
    groups: list[MetricGroup]
    missing: MissingSpans
    declarations: DeclarationsUsed | UnsetType = UNSET
    notes: Notes = []
