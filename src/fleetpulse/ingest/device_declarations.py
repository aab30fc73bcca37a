"""Devices and pauses as people declare them over HTTP: JSON bodies become checked devices."""

from collections.abc import Iterable
from typing import Annotated

import msgspec
from msgspec import UNSET, Meta, UnsetType
from msgspec.structs import replace

from fleetpulse.errors import Malformed, OutOfRange
from fleetpulse.ingest.calendar import declared_time_ns
from fleetpulse.model.device import LABEL_VALUE_CHARS_MAX, LABELS_MAX, NOTE_CHARS_MAX, Device, check_device
from fleetpulse.model.device_fields import RESERVED_NAMES
from fleetpulse.model.maintenance import TIME_HIGHEST_NS
from fleetpulse.model.text import NAME_PATTERN
from fleetpulse.model.units import NS_PER_S
from fleetpulse.notation.duration import DURATION_EXPECTED, DURATION_PATTERN, UnitMissing, parse_length, parse_seconds
from fleetpulse.notation.timestamp import EXPECTED
from fleetpulse.notation.whole import whole

# The rules for values are only described here. `model/device.py` checks them, for devices.csv and imports as well.
DurationText = Annotated[
    str, Meta(description=DURATION_EXPECTED, examples=["5m"], extra_json_schema={"pattern": DURATION_PATTERN})
]
TimeText = Annotated[
    str,
    Meta(
        description=f"{EXPECTED}, or a date, which is the start of that day in UTC",
        examples=["2026-11-24T08:30:00Z"],
        extra_json_schema={"format": "date-time"},
    ),
]
SecondsNumber = Annotated[
    int | float,
    Meta(description="a number of seconds", examples=[300], extra_json_schema={"type": "integer"}),  # as 300.0 is, too
]
LabelTexts = Annotated[
    dict[str, Annotated[str, Meta(extra_json_schema={"minLength": 1, "maxLength": LABEL_VALUE_CHARS_MAX})]],
    Meta(
        examples=[{"site": "paris"}],
        extra_json_schema={"maxProperties": LABELS_MAX, "propertyNames": {"pattern": f"^{NAME_PATTERN}$"}},
    ),
]
NoteText = Annotated[
    str, Meta(description="a note for people", examples=["hall 2"], extra_json_schema={"maxLength": NOTE_CHARS_MAX})
]
LabelChanges = Annotated[
    dict[str, str | None],
    Meta(description="labels to set; null removes a label", examples=[{"site": "lyon", "hall": None}]),
]


class NewDevice(msgspec.Struct, forbid_unknown_fields=True):
    """A device to register."""

    id: Annotated[str, Meta(examples=["press-08"])]
    labels: LabelTexts = {}
    interval: Annotated[
        DurationText | SecondsNumber | None, Meta(description="time between two heartbeats; null: the service's own")
    ] = None
    grace: Annotated[
        DurationText | SecondsNumber | None, Meta(description="time past the interval until it is down")
    ] = None
    note: NoteText = ""


class DeviceChange(msgspec.Struct, forbid_unknown_fields=True):
    """Changes of a device; a field that is left out stays as it is."""

    labels: LabelChanges = {}
    interval: Annotated[
        DurationText | SecondsNumber | UnsetType | None, Meta(description="null: the service's own")
    ] = UNSET
    grace: Annotated[DurationText | SecondsNumber | UnsetType | None, Meta(description="null: the service's own")] = (
        UNSET
    )
    note: NoteText | UnsetType = UNSET
    since: Annotated[
        TimeText | None,
        Meta(description="since when it has had this interval or grace; null: from now on", examples=[None]),
    ] = None


class LabelChange(msgspec.Struct, forbid_unknown_fields=True):
    """Labels to set, or with null to remove, on all devices that match."""

    labels: LabelChanges


class PauseBody(msgspec.Struct, forbid_unknown_fields=True):
    """The end of a pause, or its length; with neither it lasts until the device is resumed."""

    until: Annotated[TimeText | None, Meta(description="until this time; without `duration`", examples=[None])] = None
    duration: Annotated[DurationText | None, Meta(description="or for so long; without `until`")] = None


class ForgetBody(msgspec.Struct, forbid_unknown_fields=True):
    """Before which time, by the device's clock, what it sent is forgotten; seconds are cut off."""

    before: TimeText


def new_device(body: NewDevice) -> Device:
    """The checked device. Raises: Malformed: a duration cannot be read. OutOfRange: a value breaks a rule."""
    return _checked(
        Device(body.id, body.labels, _seconds("interval", body.interval), _seconds("grace", body.grace), body.note),
        body.labels,
    )


def changed_device(device: Device, change: DeviceChange) -> Device:
    """The checked device after the change. Raises: as `new_device`."""
    return _checked(
        Device(
            device.id,
            _merged(device.labels, change.labels),
            device.interval_s if change.interval is UNSET else _seconds("interval", change.interval),
            device.grace_s if change.grace is UNSET else _seconds("grace", change.grace),
            device.note if change.note is UNSET else change.note,
        ),
        {name for name, value in change.labels.items() if value is not None} - device.labels.keys(),
    )


def changed_since_ns(change: DeviceChange, *, now_ns: int) -> int | None:
    """Since when a device has had the interval and the grace of a change, in ns, at least 0; None: from now on.

    Raises: Malformed: the time cannot be read. OutOfRange: it is later than now, or there is neither of them.
    """
    if change.since is None:
        return None
    since_ns = declared_time_ns("since", change.since)
    if change.interval is UNSET and change.grace is UNSET:
        text = "`since` says since when a device has had an interval or a grace: give `interval` or `grace`, too"
        raise OutOfRange(text, reason="device")
    if since_ns > now_ns:
        raise OutOfRange("`since` must not be later than now; leave it out for a change from now on", reason="device")
    return max(since_ns, 0)  # nothing is known of before 1970, and the years before 1678 have no number


def relabelled_device(device: Device, change: LabelChange) -> Device:
    """The checked device after the change; `device` itself where nothing changes. Raises: OutOfRange."""
    labels = _merged(device.labels, change.labels)
    given = labels.keys() - device.labels.keys()
    return device if labels == device.labels else _checked(replace(device, labels=labels), given)


def pause_end_ns(body: PauseBody, *, now_ns: int) -> int | None:
    """When the pause ends, in nanoseconds since 1970; None: when the device is resumed.

    Raises: Malformed: both fields are given, or one cannot be read. OutOfRange: the end is not later than now, or too
        late.
    """
    if body.until is not None and body.duration is not None:
        raise Malformed("give `until` or `duration`, not both")
    if body.until is None and body.duration is None:
        return None
    until_ns = now_ns if body.until is None else declared_time_ns("until", body.until)
    try:
        until_ns += (0 if body.duration is None else parse_length(body.duration)) * NS_PER_S
    except UnitMissing as error:
        raise OutOfRange(f"duration: {error}", reason="pause") from error
    except ValueError as error:
        raise Malformed(f"duration: {error}") from error
    if not now_ns < until_ns <= TIME_HIGHEST_NS:
        raise OutOfRange(
            "the pause must end later than now and before 2200; "
            "leave out `until` and `duration` for a pause without end",
            reason="pause",
        )
    return until_ns


def _seconds(name: str, given: str | float | None) -> int | None:
    if isinstance(given, (int, float)):
        seconds = whole(given)
        if seconds is None:
            raise OutOfRange(f"{name} must be a whole number of seconds, not {given}", reason="device")
        return seconds
    try:
        return None if given is None else parse_seconds(given)
    except ValueError as error:
        raise Malformed(f"{name}: {error}") from error


def _merged(labels: dict[str, str], change: dict[str, str | None]) -> dict[str, str]:
    return {name: value for name, value in {**labels, **change}.items() if value is not None}


def _checked(device: Device, given: Iterable[str]) -> Device:
    """The device, whose labels `given` are new. Older ones may be called `Interval`, which was a label once."""
    try:
        check_device(device)
    except ValueError as error:
        raise OutOfRange(str(error), reason="device") from error
    reserved = sorted(name for name in given if name.lower() in RESERVED_NAMES)
    if reserved:
        text = f"no label can be called {reserved[0]}: it is a column of its own in a CSV of devices"
        raise OutOfRange(text, reason="device")
    return device
