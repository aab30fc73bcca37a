"""The shape of answers about what a rule of alerts would have done."""

from typing import Annotated

from msgspec import Meta, Struct

from fleetpulse.query.answer_fields import Notes, Time
from fleetpulse.query.answers import MissingSpans


class RehearsedDay(Struct):
    """A UTC day of the window."""

    day: Annotated[str, Meta(examples=["2026-11-24"])]
    alerts: Annotated[int, Meta(description="alerts that began to fire", examples=[2])]
    messages: Annotated[int, Meta(description="messages to all receivers", examples=[3])]


class RehearsedAlert(Struct, kw_only=True):
    """An alert that would have fired."""

    subject: Annotated[str, Meta(description="a device, or a group such as site=paris", examples=["press-07"])]
    since: Annotated[Time, Meta(description="since when its condition was true")]
    fired_at: Time
    resolved_at: Annotated[Time | None, Meta(description="null: it was still firing at the end of the window")]
    value: Annotated[float | None, Meta(description="the figure that was compared, if there is one", examples=[93.5])]


class Rehearsal(Struct, kw_only=True):
    """What a rule would have done over stored history, with the routes, silences and labels of today."""

    rule: Annotated[str, Meta(examples=["device-offline"])]
    start: Time
    end: Time
    interval_s: Annotated[float, Meta(description="times are exact to so many seconds", examples=[1])]
    alerts: Annotated[int, Meta(description="alerts that would have begun to fire", examples=[4])]
    again: Annotated[int, Meta(description="how often one would have fired again soon after its end", examples=[1])]
    open_at_start: Annotated[int, Meta(description="alerts that had fired before the window", examples=[0])]
    subjects: Annotated[int, Meta(description="devices or groups that these alerts are of", examples=[3])]
    incidents: Annotated[int, Meta(description="common causes that would have been found", examples=[1])]
    messages: Annotated[int, Meta(description="messages that would have been sent", examples=[6])]
    receivers: Annotated[dict[str, int], Meta(description="messages by receiver", examples=[{"ops": 6}])]
    kinds: Annotated[dict[str, int], Meta(description="messages by kind", examples=[{"firing": 3, "resolved": 3}])]
    days: Annotated[list[RehearsedDay], Meta(description="the days of the window")]
    first: Annotated[list[RehearsedAlert], Meta(description="the first twenty alerts")]
    missing: MissingSpans
    notes: Notes
