"""The shape of the answers about uptime, declared once; see `answers`.

Seconds are exact: JSON numbers with at most nine decimals.
"""

from decimal import Decimal
from typing import Annotated

from msgspec import UNSET, Meta, Struct, UnsetType, field

from fleetpulse.model.uptime import LEFT_OUT, Reason
from fleetpulse.query.answer_fields import (
    Count,
    DeclarationsUsed,
    DeviceCount,
    DeviceId,
    End,
    Formula,
    Group,
    LabelName,
    Notes,
    Percent,
    Start,
    StepSeconds,
    Time,
    Timezone,
    UploadTimes,
)
from fleetpulse.query.answers import DevicesByStatus, MissingSpans, Span

ExactSeconds = Annotated[Decimal, Meta(examples=[180.0])]
"""Its schema is that of a number: see `api/openapi.py`."""
LeftOutSeconds = Annotated[
    dict[str, ExactSeconds],
    Meta(
        description="seconds that do not count, by reason",
        examples=[{"maintenance": 3600.0}],
        extra_json_schema={"propertyNames": {"enum": list(LEFT_OUT)}},
    ),
]
LeftOut = Annotated[
    dict[str, Count],
    Meta(
        description="with formula=uptime/1: slots that do not count, by reason",
        examples=[{"maintenance": 60}],
        extra_json_schema={"propertyNames": {"enum": list(LEFT_OUT)}, "deprecated": True},
    ),
]
_UPTIME = Meta(description="up_s / accountable_s; null where nothing counts")
_UP = Meta(description="accountable seconds that are not down")
_ACCOUNTABLE = Meta(description="seconds that count", examples=[82800.0])
_AVAILABILITY = Meta(description="share of availability_accountable_s that the status was not `down`")
_DOWN = Meta(description="seconds with status `down`, of availability_accountable_s")
_RESOLUTION = Meta(description="`minute` where gaps before `exact_from` are known by minutes only", examples=["minute"])
_EXACT_FROM = Meta(description="from when on beats are known exactly")
_SLOTS = {"deprecated": True}


class ObservedTime(Struct, kw_only=True):
    """Uptime from what arrived in time; null where reception gaps are missing."""

    uptime: Percent | None
    up_s: Annotated[ExactSeconds | UnsetType | None, _UP] = UNSET
    accountable_s: Annotated[ExactSeconds | UnsetType | None, _ACCOUNTABLE] = UNSET
    present: Annotated[
        Count | UnsetType | None, Meta(description="with formula=uptime/1: slots", extra_json_schema=_SLOTS)
    ] = UNSET


class GapFigures(Struct, kw_only=True):
    """The gaps that cost time in the window, each as far as it lies in it, from one beat to the next."""

    count: Count
    longest_s: Annotated[ExactSeconds, Meta(description="the longest of them")]
    seconds: Annotated[ExactSeconds, Meta(description="all of them together")]


class UptimeFigures(Struct, kw_only=True):
    """Uptime, settled and observed, and availability, each with its numerator and denominator."""

    uptime: Annotated[Percent | None, _UPTIME]
    up_s: Annotated[ExactSeconds | UnsetType | None, _UP] = UNSET
    accountable_s: Annotated[ExactSeconds | UnsetType | None, _ACCOUNTABLE] = UNSET
    gaps: Annotated[GapFigures | UnsetType | None, Meta(description="null where beats are missing")] = UNSET
    observed: ObservedTime
    availability: Annotated[Percent | None, _AVAILABILITY]
    down_s: Annotated[ExactSeconds | None, _DOWN]
    availability_accountable_s: Annotated[ExactSeconds | None, _ACCOUNTABLE]
    present: Annotated[
        Count | UnsetType,
        Meta(description="with formula=uptime/1: slots in which the device was there", extra_json_schema=_SLOTS),
    ] = UNSET
    expected: Annotated[
        Count | UnsetType, Meta(description="with formula=uptime/1: slots that count", extra_json_schema=_SLOTS)
    ] = UNSET


class UptimePoint(UptimeFigures, kw_only=True):
    """The figures of a device in one step."""

    at: Time
    left_out_s: LeftOutSeconds | UnsetType = UNSET
    left_out_slots: LeftOut | UnsetType = UNSET


class Interval(Span, kw_only=True):
    """A stretch of the window, and the reason why it counts as it does."""

    reason: Reason
    seconds: Annotated[ExactSeconds, Meta(description="its length")]
    slots: Annotated[Count | UnsetType, Meta(description="with formula=uptime/1", extra_json_schema=_SLOTS)] = UNSET


class Downtime(Span, kw_only=True):
    """A stretch in which the device was down."""

    seconds: Annotated[ExactSeconds, Meta(description="its length")]


class DowntimeList(Struct, kw_only=True):
    """The stretches in which a device was down by one measure; their seconds are accountable less up."""

    stretches: list[Downtime]
    next_from: Annotated[Time | None, Meta(description="from when on they are not listed; null if all are")]


class Downtimes(Struct, kw_only=True):
    """When a device was down by each measure; null where gaps are missing."""

    settled: DowntimeList | None
    observed: DowntimeList | None
    availability: DowntimeList | None


class Uptime(UptimeFigures, kw_only=True):
    """Uptime and availability of a device over a window."""

    device_id: DeviceId
    start: Start = field(name="from")
    end: End = field(name="to")
    step_s: StepSeconds = UNSET
    timezone: Timezone = UNSET
    formula: Formula
    resolution: Annotated[str | UnsetType, _RESOLUTION] = UNSET
    exact_from: Annotated[Time | UnsetType, _EXACT_FROM] = UNSET
    slot_s: Annotated[
        Count | UnsetType, Meta(description="with formula=uptime/1: seconds of a slot", extra_json_schema=_SLOTS)
    ] = UNSET
    left_out_s: LeftOutSeconds | UnsetType = UNSET
    left_out_slots: LeftOut | UnsetType = UNSET
    series: Annotated[list[UptimePoint] | UnsetType, Meta(description="with a step: one point a step")] = UNSET
    intervals: Annotated[
        list[Interval] | UnsetType,
        Meta(description="with explain=true: they cover the window, and their seconds add up to the figures"),
    ] = UNSET
    capped: Annotated[bool | UnsetType, Meta(description="with explain=true: whether there are more intervals")] = UNSET
    downtimes: Annotated[
        Downtimes | UnsetType, Meta(description="with explain=true: when the device was down by each measure")
    ] = UNSET
    declarations: DeclarationsUsed
    missing: MissingSpans
    notes: Notes = []


class GroupFigures(UptimeFigures, kw_only=True):
    """Figures of several devices together: seconds up ÷ seconds accountable, each summed over all devices."""

    devices: DeviceCount
    mean_uptime: Annotated[
        Percent | UnsetType | None, Meta(description="with mean=true: the mean of the devices' uptimes")
    ] = UNSET


class FleetPoint(Struct, kw_only=True, gc=False):
    """Figures of a group in one step; only `at` where the group had no device then."""

    at: Time
    uptime: Annotated[Percent | UnsetType | None, _UPTIME] = UNSET
    up_s: Annotated[ExactSeconds | UnsetType | None, _UP] = UNSET
    accountable_s: Annotated[ExactSeconds | UnsetType | None, _ACCOUNTABLE] = UNSET
    observed: ObservedTime | UnsetType = UNSET
    availability: Annotated[Percent | UnsetType | None, _AVAILABILITY] = UNSET
    down_s: Annotated[ExactSeconds | UnsetType | None, _DOWN] = UNSET
    availability_accountable_s: Annotated[ExactSeconds | UnsetType | None, _ACCOUNTABLE] = UNSET
    present: Annotated[Count | UnsetType, Meta(extra_json_schema=_SLOTS)] = UNSET
    expected: Annotated[Count | UnsetType, Meta(extra_json_schema=_SLOTS)] = UNSET


class FleetGroup(GroupFigures, kw_only=True):
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
    resolution: Annotated[str | UnsetType, _RESOLUTION] = UNSET
    exact_from: Annotated[Time | UnsetType, _EXACT_FROM] = UNSET
    group_by: LabelName | None
    fleet: GroupFigures
    groups: list[FleetGroup]
    declarations: DeclarationsUsed
    missing: MissingSpans
    notes: Notes = []


class WorstDevice(Struct, kw_only=True):
    """A device that was up least, by the measure that was asked for."""

    id: Annotated[DeviceId, Meta(description="the same as `device_id`", extra_json_schema={"deprecated": True})]
    device_id: DeviceId = ""
    uptime: Annotated[Percent | None, Meta(description="up_s / accountable_s, or availability, as `on` says")]
    up_s: Annotated[ExactSeconds, _UP]
    accountable_s: Annotated[ExactSeconds, _ACCOUNTABLE]

    def __post_init__(self) -> None:
        self.device_id = self.id


class WorstDevices(Struct, kw_only=True):
    """The devices with the lowest uptime, the lowest first."""

    start: Start = field(name="from")
    end: End = field(name="to")
    formula: Formula
    resolution: Annotated[str | UnsetType, _RESOLUTION] = UNSET
    exact_from: Annotated[Time | UnsetType, _EXACT_FROM] = UNSET
    on: Annotated[str, Meta(description="settled, observed or availability", examples=["settled"])]
    total: Annotated[DeviceCount, Meta(description="devices that match, listed or not")]
    devices: list[WorstDevice]
    declarations: DeclarationsUsed
    missing: MissingSpans
    notes: Notes = []


class FleetStats(Struct, kw_only=True):
    """The fleet at a glance."""

    start: Start = field(name="from")
    end: End = field(name="to")
    formula: Formula
    resolution: Annotated[str | UnsetType, _RESOLUTION] = UNSET
    exact_from: Annotated[Time | UnsetType, _EXACT_FROM] = UNSET
    devices: DevicesByStatus
    uptime: UptimeFigures
    worst: Annotated[list[WorstDevice], Meta(description="the ten devices that were up least")]
    upload_time: UploadTimes
    declarations: DeclarationsUsed
    missing: MissingSpans
    notes: Notes = []
