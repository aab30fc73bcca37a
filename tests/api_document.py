"""Holds answers of the real server against the OpenAPI document."""

import json
import re
from functools import cache
from typing import Any

import jsonschema_rs

from fleetpulse.api.app import describe_api


@cache
def routes() -> list[tuple["re.Pattern[str]", dict[str, Any]]]:
    """What a path must look like, and its operations by method; those without parameters first."""
    paths = describe_api().document["paths"]
    ordered = sorted(paths.items(), key=lambda item: ("{" in item[0], item[0]))
    return [
        (re.compile(re.sub(r"\{\w+\}", "[^/]+", re.escape(path).replace(r"\{", "{").replace(r"\}", "}"))), operations)
        for path, operations in ordered
    ]


def answer_of(operation: dict[str, Any], status: str) -> dict[str, Any]:
    """What the document says of an answer; refusals stand among the components."""
    answer: dict[str, Any] = operation["responses"][status]
    name = answer.get("$ref", "").rpartition("/")[2]
    return describe_api().document["components"]["responses"][name] if name else answer


@cache
def validator(operation: str, status: str) -> jsonschema_rs.Validator:
    """Validates a JSON answer; it refuses a field that the document does not name."""
    document = describe_api().document
    schemas = {
        name: {**shape, "additionalProperties": False} for name, shape in document["components"]["schemas"].items()
    }
    operations = (one for methods in document["paths"].values() for one in methods.values())
    found = next(one for one in operations if one["operationId"] == operation)
    schema = answer_of(found, status)["content"]["application/json"]["schema"]
    return jsonschema_rs.Draft202012Validator({**schema, "components": {"schemas": schemas}})


def check_answer(method: str, target: str, status: int, content_type: str, body: bytes) -> None:
    """Raises: AssertionError: the document does not describe this answer to this request."""
    path = target.partition("?")[0]
    operations = next((operations for pattern, operations in routes() if pattern.fullmatch(path)), {})
    operation = operations.get(method.lower())
    if operation is None:
        assert status in (400, 404, 405, 408, 413, 431, 503), (method, target, status, "is not described")
        return
    assert str(status) in operation["responses"], (method, target, status, "is not among the described statuses")
    described = answer_of(operation, str(status))
    content = described.get("content", {})
    media_type = content_type.partition(";")[0]
    assert bool(body) == bool(content), (method, target, status, "has a body, or should have one")
    if body:
        assert media_type in content, (method, target, status, media_type)
        schema = content[media_type].get("schema", {})
        if media_type == "application/json" and "$ref" in schema:
            answer = json.loads(body)
            errors = [
                f"{error.instance_path}: {error.message}"
                for error in validator(operation["operationId"], str(status)).iter_errors(answer)
            ]
            assert not errors, (method, target, status, errors[:3])
