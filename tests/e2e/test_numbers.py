"""Numbers and times that Python holds and a stage does not: whatever field they come in, the answer is no defect.

Fields and parameters are taken from the OpenAPI document, so that a new one is covered by itself.
"""

import http.client
import json
import re
from collections.abc import Iterator
from copy import deepcopy
from typing import Any
from urllib.parse import quote, urlencode

import pytest

from conftest import PUBLISHED, Server
from fleetpulse.api.app import describe_api
from fleetpulse.api.openapi import compose
from fleetpulse.notation.duration import DURATION_PATTERN

DOCUMENT = deepcopy(describe_api().document)
SHAPES = DOCUMENT["components"]["schemas"]
OPERATIONS = [
    (method.upper(), path, operation)
    for path, operations in DOCUMENT["paths"].items()
    for method, operation in operations.items()
    if method in ("get", "post", "put", "patch", "delete")
]
HUGE = "1" + "0" * 400
NUMBERS = [
    HUGE, "-" + HUGE, "1" + "0" * 4_299, "1" + "0" * 6_000, "9" * 19, "9223372036854775807", "9223372036854775808",
    "-9223372036854775809", "18446744073709551616", "1e400", "-1e400", "1e308", "1e999999999999", "1e-400", "1e18",
    "1e19", "1.7976931348623157e308", "-0", "-0.0", "0.1", "5.5", "5.0", "1e3", "NaN", "Infinity", "-Infinity", "nan",
    "true", "null",
]  # fmt: skip
"""As tokens of JSON, valid or not."""
TEXTS = [
    "", " ", "9" * 400, "9" * 9 + "w", "999999999d", "-5", "0", "-0", "1e400", "1_0", "\u0665", "nan", "inf", "5.0",
    "1e3", "0001-01-01T00:00:00Z", "0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59.999999999Z",
    "9999-12-31T23:59:60-23:59", "1677-09-21T00:12:43Z", "2262-04-11T23:47:17Z", "1970-01-01T00:00:00Z",
    "1969-12-31T23:59:59Z",
]  # fmt: skip
"""Of durations, times and other texts that hold numbers; parameters of a query are texts as well."""
BEYOND = {HUGE, "-" + HUGE, "1e400", "-1e400", "1e999999999999"}
"""Numbers of JSON that no field holds: they are well-formed, so a refusal of them is 422."""
NAMES = {
    "device_id": PUBLISHED[0],
    "name": "cpu",
    "rule": "silent",
    "route": "night",
    "receiver": "desk",
    "window_id": "0123456789abcdef",
    "person": "alice",
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    # Some fields are of keys: the first one must not shut out the requests after it.
    started = Server(tmp_path_factory.mktemp("numbers") / "data", "--checkpoint-s", "1e9", "--auth", "off")
    for name, kind in (("cpu", "float"), ("boots", "integer")):
        body = json.dumps({"name": name, "kind": kind})
        assert ask(started.port, "POST", "/api/v1/metrics/definitions", body)[0] == 201
    # The example of a route names it.
    receiver = json.dumps({"kind": "webhook", "url": "https://example.com/alerts"})
    assert ask(started.port, "PUT", "/api/v1/alerts/receivers/hook", receiver)[0] in (200, 201)
    line = {"sent_at": "2026-11-24T08:30:00Z", "device_id": PUBLISHED[0]}
    lines = [line, line | {"metrics": {"cpu": 1.5, "boots": 2}}, line | {"upload_time": 5}]
    assert ask(started.port, "POST", "/api/v1/events", "\n".join(map(json.dumps, lines)))[1]["refused"] == []
    yield started
    assert started.stop() == 0
    assert "defect" not in started.log.read_text()


def ask(port: int, method: str, path: str, body: str | None = None, kind: str = "application/json") -> tuple[int, Any]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    connection.request(method, path, None if body is None else body.encode(), {"Content-Type": kind} if body else {})
    response = connection.getresponse()
    text = response.read()
    connection.close()
    is_json = text and "json" in response.headers["content-type"]
    return response.status, json.loads(text) if is_json else text


def target(path: str, operation: dict[str, Any], **values: str) -> str:
    required = {
        parameter["name"]: parameter.get("example", "x")
        for parameter in operation.get("parameters", ())
        if parameter["in"] == "query" and parameter["required"]
    }
    filled = re.sub(r"\{(\w+)\}", lambda name: quote(NAMES.get(name[1], "1")), path)
    query = urlencode(required | {"types": "cpu"} if path.endswith("/metrics") else required | values)
    return f"{filled}?{urlencode(values) if values else query}" if values or query else filled


def parameters() -> Iterator[Any]:
    for method, path, operation in OPERATIONS:
        for parameter in operation.get("parameters", ()):
            if parameter["in"] == "query":
                yield pytest.param(
                    method, path, operation, parameter["name"], id=f"{operation['operationId']}-{parameter['name']}"
                )


@pytest.mark.parametrize(("method", "path", "operation", "name"), list(parameters()))
def test_no_parameter_makes_a_defect(
    server: Server, method: str, path: str, operation: dict[str, Any], name: str
) -> None:
    is_number = is_numeric(next(one for one in operation["parameters"] if one["name"] == name)["schema"])
    needs = {"types": "cpu"} if path.endswith(("/metrics", "/export")) and path != "/metrics" else {}
    needs |= {"from": "2026-11-24T00:00:00Z"} if name == "to" else {}
    needs |= {"group_by": "site"} if name == "top" else {}
    body = None
    if "requestBody" in operation:
        schema = operation["requestBody"]["content"].get("application/json", {}).get("schema")
        body = json.dumps(compose(schema, SHAPES, is_body=True)) if schema else "device_id\n"
    for text in [*TEXTS, *NUMBERS]:
        query = urlencode(needs | {name: text})
        kind = "application/json" if body is None or body.startswith("{") else "text/csv"
        status, answer = ask(server.port, method, f"{target(path, operation).partition('?')[0]}?{query}", body, kind)
        assert status < 500, (text, answer)
        if status in (400, 422) and is_number:
            assert any(word in answer["msg"] for word in (name, "window")), (text, answer)


def is_numeric(schema: dict[str, Any]) -> bool:
    """Whether values are numbers, or texts that hold some: durations and times."""
    holds_numbers = schema.get("format") == "date-time" or schema.get("pattern") == DURATION_PATTERN
    return holds_numbers or bool({"integer", "number"} & {schema.get("type")})


def places(schema: Any, at: tuple[Any, ...] = ()) -> Iterator[tuple[tuple[Any, ...], Any]]:
    """The paths of all fields of a body, in objects, lists and maps, each with its schema."""
    if "$ref" in schema:
        yield from places(SHAPES[schema["$ref"].rpartition("/")[2]], at)
        return
    for kind in schema.get("anyOf", ()):
        yield from places(kind, at)
    if schema.get("type") == "array":
        yield from places(schema["items"], (*at, 0))
        yield from places(schema["items"], (*at, 1))
    elif "properties" in schema:
        for name, field in schema["properties"].items():
            yield from places(field, (*at, name))
    elif schema.get("type") == "object":
        yield from places(schema["additionalProperties"], (*at, "cpu"))
    elif "type" in schema:
        yield at, schema


def bodies() -> Iterator[Any]:
    for method, path, operation in OPERATIONS:
        for content in operation.get("requestBody", {}).get("content", {}).values():
            schema = content["schema"]
            if path == "/api/v1/events":
                schema = {"$ref": "#/components/schemas/Event"}
            for place, leaf in places(schema) if schema.get("type") != "string" else ():
                name = f"{operation['operationId']}-{'.'.join(map(str, place))}-{leaf['type']}"
                yield pytest.param((method, path, operation), schema, place, leaf, id=name)


def with_token(body: Any, place: tuple[Any, ...], token: str) -> str:
    """The body as JSON, with `token` at a place."""
    body = deepcopy(body)
    inner = body
    for step, after in zip(place, [*place[1:], None], strict=True):
        if isinstance(inner, list):
            inner += [deepcopy(inner[0]) if inner else None] * (2 - len(inner))
        if after is None:
            inner[step] = "TOKEN"
        elif not isinstance(inner[step] if isinstance(inner, list) else inner.get(step), (dict, list)):
            inner[step] = {} if isinstance(after, str) else []
        inner = inner[step]
    return json.dumps(body).replace('"TOKEN"', token)


@pytest.mark.parametrize(("target_of", "schema", "place", "leaf"), list(bodies()))
def test_no_field_makes_a_defect(
    server: Server, target_of: tuple[str, str, dict[str, Any]], schema: Any, place: tuple[Any, ...], leaf: Any
) -> None:
    method, path, operation = target_of
    if path == "/api/v1/events":
        body = {"device_id": PUBLISHED[0], "sent_at": "2026-11-24T08:30:00Z"}
    else:
        body = compose(schema, SHAPES, is_body=True)
    if "metrics" in body:
        body["metrics"] = {"cpu": 1}
    if place[0] == "rule":  # which is left out, unless its fields are tried
        body["rule"] = {"kind": "device_down"}
    kind = "application/x-ndjson" if path == "/api/v1/events" else "application/json"
    query = "?all=true&dry_run=true" if operation["operationId"] == "relabel" else ""
    where = target(path, operation).partition("?")[0] + query
    field = next(str(step) for step in reversed(place) if isinstance(step, str))
    named = {"0": "lowest", "1": "highest"}.get(str(place[-1]), field)
    for token in [*NUMBERS, *map(json.dumps, TEXTS)]:
        status, answer = ask(server.port, method, where, with_token(body, place, token), kind)
        assert status < 500, (token, answer)
        if token in BEYOND and leaf["type"] in ("number", "integer") and not kind.endswith("ndjson"):
            assert status == 422, (token, answer)
        if token in ("5.0", "1e3") and leaf["type"] == "integer":
            refused = json.dumps(answer) if status in (400, 422) or kind.endswith("ndjson") else ""
            assert "float" not in refused, (token, answer)
            assert "whole number, not" not in refused, (token, answer)
        text = (
            answer["msg"]
            if status in (400, 422)
            else "".join(line["msg"] for line in answer["refused"])
            if kind.endswith("ndjson")
            else ""
        )
        if text and is_numeric(leaf):
            assert any(word in text for word in (field, named, "window", *map(str, place))), (token, text)
