"""The shape of every answer, declared once.

Handlers return these structs, the OpenAPI document is made from them, and commands, reports and tests decode into them.
A field that only some answers have is UNSET where it is absent; null is a value of its own. Fields may be added, but
none may disappear or change its type. This module imports nothing heavy, because every command imports it.
"""

from typing import Annotated

from msgspec import UNSET, Meta, Struct, UnsetType, field

from fleetpulse.model.metric import Aggregation
from fleetpulse.model.status import STATUSES, Status
from fleetpulse.model.uptime import Reason
from fleetpulse.query.answer_fields import (
    Count,
    DeclarationsUsed,
    DeviceCount,
    DeviceId,
    End,
    ExpiredCount,
    Formula,
    Group,
    LabelName,
    LeftOut,
    LeftOutSlots,
    MetricNote,
    MoreFrom,
    NextFrom,
    Notes,
    Percent,
    Seconds,
    Start,
    StepSeconds,
    Time,
    Timezone,
    UploadTimes,
    Value,
    key_of,
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


class DeviceAudit(Struct):
    """Events of one device: accepted = applied + pending."""

    accepted: Count
    applied: Count
    pending: Annotated[Count, Meta(examples=[0])]
    heartbeats: Annotated[Count, Meta(examples=[2])]
    samples: Annotated[Count, Meta(examples=[1])]


class UptimeFigures(Struct, kw_only=True):
    """Uptime with its numerator and denominator."""

    uptime: Annotated[Percent | None, Meta(description="present / expected; null where nothing was expected")]
    present: Annotated[int, Meta(ge=0, description="slots in which the device was there", examples=[1377])]
    expected: Annotated[int, Meta(ge=0, description="slots that count", examples=[1380])]


class AvailableFigures(UptimeFigures, kw_only=True):
    """Uptime, and availability with its numerator and denominator; null where reception gaps are missing."""

    availability: Percent | None
    down_s: Annotated[Seconds | None, Meta(description="seconds with status down")]
    accountable_s: Annotated[Seconds | None, Meta(description="seconds that count", examples=[82800.0])]


class Observed(Struct):
    """Uptime from the heartbeats that came in time; null where reception gaps are missing."""

    uptime: Percent | None
    present: Annotated[Count | None, Meta(examples=[1377])]


class UptimePoint(UptimeFigures):
    """Uptime of a device in one step."""

    at: Time
    observed: Observed
    left_out: LeftOut
    left_out_slots: LeftOutSlots = {}

    def __post_init__(self) -> None:
        self.left_out_slots = {key_of(reason): count for reason, count in self.left_out.items()}


class Interval(Span):
    """Neighbouring slots of one reason."""

    reason: Reason
    slots: Count


class Uptime(AvailableFigures, kw_only=True):
    """Uptime and availability of a device over a window."""

    device_id: DeviceId
    start: Start = field(name="from")
    end: End = field(name="to")
    step_s: StepSeconds = UNSET
    timezone: Timezone = UNSET
    formula: Formula
    slot_s: Annotated[int, Meta(ge=0, description="seconds of a slot", examples=[60])]
    observed: Observed
    left_out: LeftOut
    left_out_slots: LeftOutSlots = {}
    series: Annotated[list[UptimePoint] | UnsetType, Meta(description="with a step: one point a step")] = UNSET
    intervals: Annotated[list[Interval] | UnsetType, Meta(description="with explain=true")] = UNSET
    capped: Annotated[bool | UnsetType, Meta(description="with explain=true: whether there are more intervals")] = UNSET
    declarations: DeclarationsUsed
    missing: MissingSpans
    notes: Notes = []

    def __post_init__(self) -> None:
        self.left_out_slots = {key_of(reason): count for reason, count in self.left_out.items()}


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
    notes: Notes = []

    def __post_init__(self) -> None:
        self.next_from = self.more_from


class FleetFigures(AvailableFigures):
    """Figures of several devices together."""

    devices: DeviceCount


class FleetPoint(Struct, kw_only=True, gc=False):
    """Figures of a group in one step; only `at` where the group had no device then."""

    at: Time
    uptime: Annotated[Percent | UnsetType | None, Meta(description="present / expected")] = UNSET
    present: Annotated[Count | UnsetType, Meta(examples=[1377])] = UNSET
    expected: Annotated[Count | UnsetType, Meta(examples=[1380])] = UNSET
    availability: Percent | UnsetType | None = UNSET
    down_s: Seconds | UnsetType | None = UNSET
    accountable_s: Seconds | UnsetType | None = UNSET


class FleetGroup(FleetFigures):
    """Figures of the devices with one value of a label."""

    group: Group
    series: Annotated[list[FleetPoint] | UnsetType, Meta(description="with a step: one point a step")] = UNSET


class FleetUptime(Struct, kw_only=True):
    """Uptime and availability of all devices, and by the values of a label."""

    start: Start = field(name="from")
    end: End = field(name="to")
    step_s: StepSeconds = UNSET
    timezone: Timezone = UNSET
    formula: Formula
    group_by: LabelName | None
    fleet: FleetFigures
    groups: list[FleetGroup]
    declarations: DeclarationsUsed
    missing: MissingSpans
    notes: Notes = []


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


class WorstDevice(UptimeFigures):
    """A device that was there least."""

    id: Annotated[DeviceId, Meta(description="the same as `device_id`", extra_json_schema={"deprecated": True})]
    device_id: DeviceId = ""

    def __post_init__(self) -> None:
        self.device_id = self.id


class FleetStats(Struct, kw_only=True):
    """The fleet at a glance."""

    start: Start = field(name="from")
    end: End = field(name="to")
    formula: Formula
    devices: DevicesByStatus
    uptime: AvailableFigures
    worst: Annotated[list[WorstDevice], Meta(description="the ten devices that were there least")]
    upload_time: UploadTimes
    declarations: DeclarationsUsed
    missing: MissingSpans
    notes: Notes = []


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
    notes: Notes = []
