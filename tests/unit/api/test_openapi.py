"""What the OpenAPI document adds to what the framework knows."""

from typing import Any

import pytest

from fleetpulse.api.app import describe_api
from fleetpulse.api.openapi import compose

SHAPES = {"Inner": {"type": "object", "required": ["id"], "properties": {"id": {"type": "string", "examples": ["a"]}}}}


@pytest.mark.parametrize(
    ("schema", "example"),
    [
        ({"type": "integer", "examples": [7, 8]}, 7),
        ({"enum": ["up", "down"]}, "up"),
        ({"type": "boolean"}, False),
        ({"type": "array", "items": {"$ref": "#/components/schemas/Inner"}}, [{"id": "a"}]),
        ({"type": "object", "additionalProperties": {"type": "integer", "examples": [1]}}, {"cpu": 1}),
        ({"anyOf": [{"type": "string"}, {"type": "null"}]}, None),
        ({"anyOf": [{"type": "string", "examples": ["x"]}, {"type": "null"}]}, "x"),
    ],
)
def test_an_example_is_composed_of_those_of_the_fields(schema: dict[str, Any], example: object) -> None:
    assert compose(schema, SHAPES) == example


def test_a_field_without_an_example_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="no example"):
        compose({"type": "string"}, SHAPES)


def test_an_answer_has_the_fields_that_it_always_has_and_a_body_those_with_an_example() -> None:
    schema = {
        "type": "object",
        "required": ["a"],
        "properties": {name: {"type": "integer", "examples": [1]} for name in "ab"} | {"c": {"type": "integer"}},
    }
    assert (compose(schema, {}), compose(schema, {}, is_body=True)) == ({"a": 1}, {"a": 1, "b": 1})


def test_every_operation_can_fail_as_all_do_and_those_of_devices_also_for_want_of_room() -> None:
    paths = describe_api().document["paths"]
    assert {"400", "408", "431", "500", "503"} <= set(paths["/api/v1/devices"]["get"]["responses"])
    assert "503" not in paths["/metrics"]["get"]["responses"]


def test_no_parameter_and_no_field_has_a_default_of_none() -> None:
    document = describe_api().document
    parameters = [
        parameter["schema"]
        for operations in document["paths"].values()
        for operation in operations.values()
        for parameter in operation.get("parameters", [])
    ]
    fields = [field for shape in document["components"]["schemas"].values() for field in shape["properties"].values()]
    assert [schema for schema in [*parameters, *fields] if schema.get("default", 0) is None] == []


def test_a_body_in_lines_may_be_compressed_and_is_described_by_its_line() -> None:
    operation = describe_api().document["paths"]["/api/v1/events"]["post"]
    assert "Content-Encoding" in [parameter["name"] for parameter in operation["parameters"]]
    assert "each line is a" in operation["requestBody"]["content"]["application/x-ndjson"]["schema"]["description"]
