"""Maintenance windows as people declare them over HTTP: JSON bodies become checked windows."""

from typing import Annotated

import msgspec
from msgspec import Meta

from fleetpulse.errors import OutOfRange
from fleetpulse.ingest.calendar import declared_time_ns
from fleetpulse.ingest.device_declarations import DurationText, LabelTexts, TimeText
from fleetpulse.model.maintenance import MaintenanceWindow, Recurrence, check_window
from fleetpulse.notation.duration import parse_length

WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_TIME_OF_DAY = {"pattern": "^([01][0-9]|2[0-3]):[0-5][0-9]$"}


class Weekly(msgspec.Struct):
    """How a window recurs: on which weekdays, at what local time of which time zone, and for how long."""

    at: Annotated[
        str, Meta(description="time of day such as 02:30", examples=["02:30"], extra_json_schema=_TIME_OF_DAY)
    ]
    duration: DurationText
    timezone: Annotated[str, Meta(description="an IANA name", examples=["Europe/Paris"])] = "UTC"
    weekdays: Annotated[list[str] | None, Meta(description="null: every day", examples=[["monday", "friday"]])] = None


class WeeklyBody(Weekly, forbid_unknown_fields=True):
    """When a window is to recur."""


class WindowBody(msgspec.Struct, forbid_unknown_fields=True):
    """A maintenance window: its devices, its span, and, where it recurs within the span, how."""

    title: Annotated[str, Meta(examples=["firmware update"])] = ""
    labels: LabelTexts = {}
    devices: Annotated[list[str], Meta(description="ids of devices", examples=[["press-07"]])] = []
    all: Annotated[bool, Meta(description="for every device")] = False
    start: Annotated[
        TimeText | None,
        Meta(description="null: now; a bare date is the start of that day in the zone of the recurrence"),
    ] = None
    end: Annotated[
        TimeText | None, Meta(description="null: no end; only with a recurrence", examples=["2026-11-24T10:30:00Z"])
    ] = None
    recurrence: WeeklyBody | None = None


def new_window(body: WindowBody, *, window_id: str, now_ns: int) -> MaintenanceWindow:
    """The checked window; it begins at `now_ns` where the body has no start.

    Raises: Malformed: a time cannot be read. OutOfRange: a value breaks a rule of `model/maintenance.py`.
    """
    timezone = None if body.recurrence is None else body.recurrence.timezone
    start_ns = now_ns if body.start is None else declared_time_ns("start", body.start, timezone)
    end_ns = None if body.end is None else declared_time_ns("end", body.end, timezone)
    try:
        window = MaintenanceWindow(
            id=window_id,
            title=body.title,
            labels=body.labels,
            devices=tuple(body.devices),
            start_ns=start_ns,
            end_ns=end_ns,
            recurrence=None if body.recurrence is None else new_recurrence(body.recurrence),
            is_for_all=body.all,
        )
        check_window(window)
    except ValueError as error:
        raise OutOfRange(str(error), reason="maintenance_window") from error
    return window


def new_recurrence(body: WeeklyBody) -> Recurrence:
    """When it recurs. Raises: ValueError: says what is wrong; the numbers are for `check_recurrence`."""
    hour, colon, minute = body.at.partition(":")
    is_time = colon and len(hour) == len(minute) == 2 and (hour + minute).isdigit() and (hour + minute).isascii()
    if not is_time or int(hour) > 23 or int(minute) > 59:
        raise ValueError(f"recurrence.at must be a time of day such as 02:30, not `{body.at[:20]}`")
    if body.weekdays == []:
        raise ValueError("recurrence.weekdays names no day: leave it out for every day")
    unknown = [day for day in body.weekdays or () if day.lower() not in WEEKDAYS]
    if unknown:
        raise ValueError(f"recurrence.weekdays must be of {', '.join(WEEKDAYS)}, not `{unknown[0][:20]}`")
    weekdays = tuple(sorted({WEEKDAYS.index(day.lower()) for day in body.weekdays or ()}))
    return Recurrence(weekdays, int(hour) * 60 + int(minute), parse_length(body.duration), body.timezone)
