"""The conventions of reference/api.md hold for every parameter and field of the OpenAPI document."""

import re
from collections.abc import Iterator
from typing import Any

import pytest

from fleetpulse.api.app import describe_api
from fleetpulse.api.parameters import OLD_SPELLING, QueryNames, _statuses, one_spelling, read_device_ids
from fleetpulse.errors import Malformed

DOCUMENT = describe_api().document
SHAPES: dict[str, dict[str, Any]] = DOCUMENT["components"]["schemas"]
OPERATIONS = {
    operation["operationId"]: operation for methods in DOCUMENT["paths"].values() for operation in methods.values()
}
NAME = "[a-z][a-z0-9]*(_[a-z0-9]+)*"
LISTS = {"label", "device_id", "types", "status"}
TIMES = {"at", "from", "to", "start", "end", "before", "since", "until", "now", "latest", "last_seen"}
TIME_ENDINGS = ("_at", "_until", "_from", "_before", "_after")
OWN_ID = {"Device", "NewDevice", "MaintenanceWindow", "Change", "EntryConflict"}
"""Shapes of what has an id of its own; all others refer to a device by `device_id`."""
PERCENTAGES = {"uptime", "mean_uptime", "uptime_suggested", "availability"}
WITH_UNIT_BESIDE = {"value", "avg", "p50", "p95", "p99", "seconds"}
"""Figures whose unit is a field `unit` of the same answer, or their name."""


def query_of(operation: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The parameters of the query by name."""
    return {one["name"]: one for one in operation.get("parameters", []) if one["in"] == "query"}


def fields() -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Schema, name and description of every field, but for old spellings."""
    for shape, schema in SHAPES.items():
        for name, field in schema.get("properties", {}).items():
            if not field.get("deprecated"):
                yield shape, name, field


def kinds(field: dict[str, Any]) -> list[dict[str, Any]]:
    """The types that a field may have."""
    found: list[dict[str, Any]] = field.get("anyOf", [field])
    return found


def broken(found: Iterator[tuple[str, str, dict[str, Any]]]) -> list[str]:
    """The fields that break a convention."""
    wrong = []
    for shape, name, field in found:
        names = SHAPES[shape]["properties"] if shape in SHAPES else {}
        is_time = any(kind.get("format") == "date-time" for kind in kinds(field))
        is_float = [kind for kind in kinds(field) if kind.get("type") == "number"] != []
        has_unit = name.endswith("_s") or name in PERCENTAGES or name in WITH_UNIT_BESIDE
        is_cursor = name.startswith("next_") and name not in {"next_from", "next_cursor"}
        keys = field.get("propertyNames", {}).get("enum", [])
        if (
            not re.fullmatch(NAME, name)
            or (is_time and name not in TIMES and not name.endswith(TIME_ENDINGS))
            or (is_float and shape != "FieldChange" and not has_unit)
            or (name == "id" and shape not in OWN_ID)
            or name in ("cursor", "more_from")
            or is_cursor
            or ("from" in names) != ("to" in names)
            or ("start" in names) != ("end" in names)
            or any(not re.fullmatch(NAME, key) for key in keys)
        ):
            wrong.append(f"{shape}.{name}")
    return wrong


def test_every_field_of_bodies_and_answers_keeps_the_conventions() -> None:
    assert broken(fields()) == []


@pytest.mark.parametrize(
    ("name", "field"),
    [
        ("camelCase", {"type": "string"}),
        ("first_heard", {"type": "string", "format": "date-time"}),
        ("delay", {"type": "number"}),
        ("id", {"type": "string"}),
        ("more_from", {"type": "string"}),
        ("next_page", {"type": "string"}),
        ("counts", {"propertyNames": {"enum": ["before first seen"]}}),
    ],
)
def test_a_field_that_breaks_a_convention_is_found(name: str, field: dict[str, Any]) -> None:
    assert broken(iter([("New", name, field)])) == [f"New.{name}"]


@pytest.mark.parametrize("operation", OPERATIONS.values(), ids=OPERATIONS)
def test_every_parameter_keeps_the_conventions(operation: dict[str, Any]) -> None:
    query = query_of(operation)
    assert all(re.fullmatch(NAME, name) for name in query)
    assert ("from" in query) == ("to" in query) == ("window" in query)
    assert not {"start", "end", "id"} & query.keys()
    lists = {name for name, one in query.items() if one["schema"].get("type") == "array"}
    assert {name for name in lists if not query[name].get("deprecated")} == LISTS & query.keys()
    for one in query.values():
        is_old = one["description"].startswith(OLD_SPELLING)
        assert is_old == one.get("deprecated", False)
        if is_old:  # the new spelling is on the same route, with the same schema
            assert query[one["description"].removeprefix(OLD_SPELLING).strip("`")]["schema"] == one["schema"]


def test_an_old_spelling_means_the_same_and_is_refused_beside_another_value() -> None:
    assert "device" in query_of(OPERATIONS["export"])
    assert read_device_ids(device=["a", "b"]) == read_device_ids(device_id=["a", "b"]) == ["a", "b"]
    assert read_device_ids(device_id=["a"], device=["a"]) == ["a"]
    assert read_device_ids(device_id=["a", "b"], device=["b", "a"]) == ["a", "b"]
    assert read_device_ids() == ()
    with pytest.raises(Malformed, match=r"`old` is the old spelling of `new`"):
        one_spelling("new", ["a"], old_name="old", old=["b"])


def test_lists_may_be_repeated_or_have_commas_where_no_value_holds_one() -> None:
    assert _statuses(["down", "late"]) == _statuses(["down,late"]) == {"down", "late"}
    QueryNames([], ["status"]).check([("status", "down"), ("status", "late")])


def test_old_fields_of_answers_stay_beside_the_new_ones() -> None:
    old = {
        f"{shape}.{name}"
        for shape, schema in SHAPES.items()
        for name, field in schema.get("properties", {}).items()
        if field.get("deprecated")
    }
    assert old == {
        "DeviceList.next",
        "Interval.slots",
        "ObservedTime.present",
        "Transitions.more_from",
        "Uptime.left_out_slots",
        "Uptime.slot_s",
        "UptimePoint.left_out_slots",
        "WorstDevice.id",
        *(
            f"{shape}.{name}"
            for shape in ("FleetGroup", "FleetPoint", "GroupFigures", "Uptime", "UptimeFigures", "UptimePoint")
            for name in ("expected", "present")
        ),
    }
