"""What the live feed tells, one struct for each kind of event: the data of an event is its struct as JSON."""

from typing import Annotated, Literal

from msgspec import Meta, Struct, field

from fleetpulse.model.alert import AlertState, Resolution
from fleetpulse.model.alert_rule import Severity
from fleetpulse.model.status import Status
from fleetpulse.query.answer_fields import Count, DeviceId, Time
from fleetpulse.query.answers import DevicesByStatus

MISSED_TODO = "read the state anew, such as from /api/v1/fleet/stats and /api/v1/devices"
MissedReason = Literal["slow", "gone", "unknown_id", "failed"]
"""Why events were missed.

    slow        the client read so slowly that the events were dropped
    gone        it came back when the events after its Last-Event-ID were dropped
    failed      the service could not find out what has changed, by a defect or since memory was short
    unknown_id  its Last-Event-ID is of before a restart, of another scope, or of so long ago that nobody watched since
"""
EndReason = Literal["access", "stopping"]
"""Why the service ended a stream: its key is not valid any more, or has another scope or role; or the service stops."""


class FeedTransition(Struct, gc=False):
    """A device has another status. `from` or `to` is null where the device was, or is, none that is registered."""

    at: Annotated[Time, Meta(description="when the service noticed it")]
    device_id: DeviceId
    before: Annotated[Status | None, Meta(examples=["late"])] = field(name="from")
    after: Annotated[Status | None, Meta(examples=["down"])] = field(name="to")
    since: Annotated[Time | None, Meta(description="since when it has the status; null: since ever")]


class FeedCounts(DevicesByStatus):
    """How many devices there are, by status."""

    at: Time


class FeedAlert(Struct, kw_only=True, gc=False):
    """An alert has begun to fire, or has ended; `GET /api/v1/alerts/{alert}` tells the rest."""

    at: Time
    number: Annotated[int, Meta(ge=1, examples=[17])]
    rule: Annotated[str, Meta(examples=["device-offline"])]
    severity: Severity
    state: Annotated[AlertState, Meta(examples=["firing"])]
    subject: Annotated[str, Meta(examples=["press-07"])]
    device_id: DeviceId | None
    since: Time
    resolution: Annotated[Resolution, Meta(description="why it ended; empty: it has not", examples=[""])]
    value: Annotated[float | None, Meta(examples=[93.5])]
    times: Annotated[Count, Meta(description="how often it has fired", examples=[1])]
    incident: Annotated[int | None, Meta(examples=[None])]


class FeedChange(Struct, gc=False):
    """How many devices changed in the same way."""

    before: Annotated[Status | None, Meta(examples=["up"])] = field(name="from")
    after: Annotated[Status | None, Meta(examples=["down"])] = field(name="to")
    devices: Count


class FeedLabel(Struct, gc=False):
    """How many of the devices have a label."""

    label: Annotated[str, Meta(examples=["site:paris"])]
    devices: Count


class FeedOmitted(Struct):
    """Further changes of a second, which were too many to tell one by one."""

    at: Time
    what: Annotated[Literal["transition", "alert"], Meta(description="events of this kind")]
    events: Annotated[Count, Meta(description="how many were left out", examples=[99_800])]
    changes: Annotated[list[FeedChange], Meta(description="of transitions: how devices changed")] = []
    labels: Annotated[
        list[FeedLabel], Meta(description="of transitions: labels that most of these devices have, at most 10")
    ] = []


class FeedMissed(Struct):
    """The client did not get all events, and should read the state anew. What it knew may be wrong."""

    events: Annotated[int | None, Meta(ge=1, description="how many; null: not known", examples=[17])]
    reason: Annotated[MissedReason, Meta(examples=["slow"])]
    todo: Annotated[str, Meta(examples=[MISSED_TODO])] = MISSED_TODO


class FeedEnd(Struct):
    """The service ends the stream."""

    reason: Annotated[EndReason, Meta(examples=["stopping"])]
