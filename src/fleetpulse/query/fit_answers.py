"""Answers about intervals: which one the beats of devices suggest, and whether the declared one fits."""

from typing import Annotated

from msgspec import UNSET, Meta, Struct, UnsetType, field

from fleetpulse.model.interval_fit import Resolution, Verdict
from fleetpulse.query.answer_fields import (
    Count,
    DeviceCount,
    DeviceId,
    End,
    Group,
    LabelName,
    Notes,
    Percent,
    Seconds,
    Start,
)
from fleetpulse.query.answers import MissingSpans

Distance = Annotated[Seconds | None, Meta(description="seconds; null: there are no two beats", examples=[60.0])]
IntervalText = Annotated[str, Meta(examples=["1m"])]
Devices = Annotated[
    dict[Verdict, DeviceCount], Meta(description="how many devices have each verdict", examples=[{"fits": 12}])
]


class Distances(Struct, kw_only=True):
    """How far apart neighbouring beats are, by the clocks of the devices."""

    distances: Annotated[Count, Meta(description="how many there are", examples=[1439])]
    median_s: Distance
    p90_s: Distance
    p99_s: Distance
    resolution: Annotated[
        Resolution | None,
        Meta(
            description="of the median. `exact`: the lengths of gaps between beats, to three digits. `minute`: the "
            "distances between minutes with a beat, so that 60 means at most a minute, but never longer than what is "
            "no gap; null: there is no median",
            examples=["minute"],
        ),
    ]


class Suggestion(Distances, kw_only=True):
    """Distances, and the interval that they suggest."""

    suggested: Annotated[
        str | None,
        Meta(
            description="the interval to declare: the declared one where that fits; null: there are too few beats",
            examples=["1m"],
        ),
    ]


class DeviceFit(Suggestion, kw_only=True):
    """Whether the declared interval of a device fits its beats."""

    device_id: DeviceId
    interval: Annotated[IntervalText, Meta(description="as it is declared, or the service's own")]
    verdict: Annotated[
        Verdict,
        Meta(
            description="`too_short`: the device beats less often, and seems to be down in between; `too_long`: it "
            "beats more often, so that it is noticed late when it stops; `too_few`: beats, to tell",
            examples=["fits"],
        ),
    ]
    uptime: Annotated[
        Percent | None, Meta(description="settled, over the window; null: nothing counts, or gaps are missing")
    ]
    uptime_suggested: Annotated[
        Percent | None, Meta(description="what it would have been with the suggested interval; null: there is none")
    ]


class GroupFit(Suggestion, kw_only=True):
    """The beats of the devices with one value of a label, taken together."""

    group: Group
    devices: DeviceCount
    verdicts: Devices
    uptime: Annotated[
        Percent | None,
        Meta(description="settled, of all their time together; null: nothing counts, or gaps are missing"),
    ] = None
    uptime_suggested: Annotated[
        Percent | None, Meta(description="what it would have been with the interval that is suggested for each of them")
    ] = None


class FleetFit(Struct, kw_only=True):
    """Whether the declared intervals of devices fit their beats."""

    start: Start = field(name="from")
    end: End = field(name="to")
    total: Annotated[DeviceCount, Meta(description="how many devices match")]
    verdicts: Devices
    devices: Annotated[list[DeviceFit], Meta(description="by id, at most `limit`")]
    next_cursor: Annotated[str | None, Meta(description="`cursor` of the next page; null: there is none")]
    group_by: LabelName | UnsetType = UNSET
    groups: Annotated[list[GroupFit] | UnsetType, Meta(description="only with `group_by`")] = UNSET
    missing: MissingSpans
    notes: Notes


class DayFit(Distances, kw_only=True):
    """The distances between beats of which the second was on one UTC day."""

    day: Annotated[str, Meta(examples=["2026-11-24"])]


class DeviceFitByDay(DeviceFit, kw_only=True):
    """Whether the declared interval of one device fits its beats, in all and by day."""

    start: Start = field(name="from")
    end: End = field(name="to")
    days: list[DayFit]
    missing: MissingSpans
    notes: Notes
