from typing import Any

import msgspec
import pytest

from fleetpulse.errors import Malformed, OutOfRange
from fleetpulse.ingest.device_declarations import (
    DeviceChange,
    LabelChange,
    NewDevice,
    PauseBody,
    changed_device,
    changed_since_ns,
    new_device,
    pause_end_ns,
    relabelled_device,
)
from fleetpulse.model.device import Device
from fleetpulse.model.units import NS_PER_S
from fleetpulse.notation.timestamp import parse_rfc3339_ns

DEVICE = Device("a", {"site": "paris", "hall": "2"}, 300, 0, "by the door")
NOW_NS = parse_rfc3339_ns("2026-01-01T00:00:00Z")


def body(kind: type[Any], **fields: object) -> Any:
    """A body as it comes: JSON, decoded."""
    return msgspec.json.decode(msgspec.json.encode(fields), type=kind)


def test_a_new_device_has_what_is_declared_and_defaults_else() -> None:
    declared = body(NewDevice, id="a", labels={"site": "paris"}, interval="5m", grace="0s", note="by the door")
    assert new_device(declared) == Device("a", {"site": "paris"}, 300, 0, "by the door")
    assert new_device(body(NewDevice, id="b")) == Device("b")


def test_an_interval_may_be_a_number_of_seconds_as_libraries_write_it() -> None:
    for seconds in (b"60", b"60.0", b"6e1", b'"60"', b'"60.0"', b'"6e1"', b'"1m"'):
        declared = msgspec.json.decode(b'{"id": "a", "interval": %s, "grace": %s}' % (seconds, seconds), type=NewDevice)
        assert new_device(declared) == Device("a", {}, 60, 60)
        change = msgspec.json.decode(b'{"interval": %s, "grace": null}' % seconds, type=DeviceChange)
        changed = changed_device(DEVICE, change)
        assert (changed.interval_s, changed.grace_s) == (60, None)


@pytest.mark.parametrize(
    ("fields", "error", "text"),
    [
        ({"id": "a", "interval": 60.5}, OutOfRange, "interval must be a whole number of seconds, not 60.5"),
        ({"id": "a", "interval": 0}, OutOfRange, "interval must be"),
        ({"id": "a", "grace": -1}, OutOfRange, "grace must be"),
        ({"id": "a", "interval": 10**400}, OutOfRange, "interval must be"),
        ({"id": "a b"}, OutOfRange, "`a b` is no device id"),
        ({"id": "a", "interval": "soon"}, Malformed, "interval: `soon` is not a duration"),
        ({"id": "a", "interval": "32d"}, OutOfRange, "interval must be"),
        ({"id": "a", "labels": {"note": "x"}}, OutOfRange, "note"),
        ({"id": "a", "labels": {"device_id": "x"}}, OutOfRange, "device_id"),
    ],
)
def test_a_wrong_device_is_refused_by_its_field(fields: dict[str, object], error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text):
        new_device(body(NewDevice, **fields))


def test_a_bare_date_is_the_start_of_that_day_in_utc() -> None:
    day_ns = parse_rfc3339_ns("2026-01-02T00:00:00Z")
    assert pause_end_ns(body(PauseBody, until="2026-01-02"), now_ns=NOW_NS) == day_ns
    assert changed_since_ns(body(DeviceChange, interval="5m", since="2026-01-02"), now_ns=day_ns) == day_ns
    with pytest.raises(OutOfRange, match="`until`: there is no day 2026-02-30"):
        pause_end_ns(body(PauseBody, until="2026-02-30"), now_ns=NOW_NS)


def test_a_change_of_the_interval_may_say_since_when_it_has_been_so() -> None:
    change = body(DeviceChange, interval="5m", since="2025-12-31T23:59:59Z")
    assert changed_since_ns(change, now_ns=NOW_NS) == NOW_NS - NS_PER_S
    assert changed_since_ns(body(DeviceChange, grace=None, since="2026-01-01T00:00:00Z"), now_ns=NOW_NS) == NOW_NS
    assert changed_since_ns(body(DeviceChange, interval="5m"), now_ns=NOW_NS) is None
    for since_ever in ("0001-01-01T00:00:00Z", "1969-12-31T23:59:59Z", "1970-01-01T00:00:00Z"):
        assert changed_since_ns(body(DeviceChange, interval="5m", since=since_ever), now_ns=NOW_NS) == 0


@pytest.mark.parametrize(
    ("fields", "error", "text"),
    [
        ({"interval": "5m", "since": "yesterday"}, Malformed, "`since` is not"),
        ({"interval": "5m", "since": "2026-01-01T00:00:01Z"}, OutOfRange, "must not be later than now"),
        ({"note": "x", "since": "2025-01-01T00:00:00Z"}, OutOfRange, "give `interval` or `grace`, too"),
    ],
)
def test_a_wrong_correction_is_refused(fields: dict[str, object], error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text):
        changed_since_ns(body(DeviceChange, **fields), now_ns=NOW_NS)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({}, DEVICE),
        ({"labels": {"hall": None, "floor": "1"}}, Device("a", {"site": "paris", "floor": "1"}, 300, 0, "by the door")),
        ({"interval": None, "grace": "1m"}, Device("a", DEVICE.labels, None, 60, "by the door")),
        ({"note": ""}, Device("a", DEVICE.labels, 300, 0, "")),
    ],
)
def test_a_change_leaves_what_it_does_not_give(change: dict[str, object], expected: Device) -> None:
    assert changed_device(DEVICE, body(DeviceChange, **change)) == expected


def test_labels_are_changed_alone_and_a_change_that_changes_nothing_gives_the_same_device() -> None:
    assert relabelled_device(DEVICE, LabelChange({"site": "lyon"})).labels == {"site": "lyon", "hall": "2"}
    assert relabelled_device(DEVICE, LabelChange({"site": "paris", "none": None})) is DEVICE


def test_a_pause_ends_at_a_time_after_a_duration_or_not() -> None:
    assert pause_end_ns(PauseBody(), now_ns=NOW_NS) is None
    assert pause_end_ns(PauseBody(duration="2h"), now_ns=NOW_NS) == NOW_NS + 7_200 * 10**9
    assert pause_end_ns(PauseBody(until="2026-01-01T01:00:00+00:30"), now_ns=NOW_NS) == NOW_NS + 1_800 * 10**9


@pytest.mark.parametrize(
    ("pause", "error"),
    [
        (PauseBody(until="2026-01-02T00:00:00Z", duration="1h"), Malformed),
        (PauseBody(until="tomorrow"), Malformed),
        (PauseBody(duration="soon"), Malformed),
        (PauseBody(duration="0s"), OutOfRange),
        (PauseBody(until="2025-12-31T23:59:59Z"), OutOfRange),
        (PauseBody(until="2200-01-01T00:00:01Z"), OutOfRange),
    ],
)
def test_a_pause_must_end_later_than_now(pause: PauseBody, error: type[Exception]) -> None:
    with pytest.raises(error):
        pause_end_ns(pause, now_ns=NOW_NS)


@pytest.mark.parametrize("name", ["device_id", "Device_Id", "interval", "Interval", "GRACE", "note", "Note"])
def test_no_new_label_is_called_like_a_column_of_devices(name: str) -> None:
    with pytest.raises(OutOfRange, match=f"no label can be called {name}"):
        new_device(NewDevice("a", labels={name: "x"}))
    with pytest.raises(OutOfRange, match=f"no label can be called {name}"):
        changed_device(Device("a"), DeviceChange(labels={name: "x"}))
    with pytest.raises(OutOfRange, match=f"no label can be called {name}"):
        relabelled_device(Device("a"), LabelChange(labels={name: "x"}))


def test_a_label_of_such_a_name_from_before_can_be_changed_and_taken_away() -> None:
    device = Device("a", {"Interval": "x"})
    assert changed_device(device, DeviceChange(note="n")).labels == {"Interval": "x"}
    assert relabelled_device(device, LabelChange(labels={"Interval": "y"})).labels == {"Interval": "y"}
    assert changed_device(device, DeviceChange(labels={"Interval": None})).labels == {}
