"""The OpenAPI document: Litestar reads paths and parameters from the handlers, msgspec reads shapes from the structs.

What neither knows is added here, the same for every route: the refusals that all share, bodies that are not JSON, and
an example of each body and answer, composed of the examples of its fields.
"""

import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import msgspec
from litestar import Litestar

from fleetpulse.access.credentials import SESSION_COOKIE
from fleetpulse.access.roles import PERMISSIONS, ROLES
from fleetpulse.api.routes import GROUPS, Media, RouteFacts
from fleetpulse.ingest.accept import PROBLEM
from fleetpulse.model.access import Access
from fleetpulse.query.declaration_answers import Problem

Json = dict[str, Any]
_REFUSALS = {
    400: "Malformed: what was wrong, and where",
    401: "A key is needed, and none that is known and valid is shown",
    403: "Who asks may not do this; or a browser asks on behalf of a web page, or ahead of time",
    404: "There is no such device",
    406: "Accept-Encoding refuses every form of the answer",
    408: "The rest of the request did not come in time",
    409: "It exists already, or is not in the state that the request assumes",
    413: "The body is over its limit",
    415: "The content type or coding is not accepted",
    422: "Understood, but a value is out of range, or a metric is not defined; the text says what was expected",
    429: "Above a rate limit, which `type` names: nothing was accepted, come back after the seconds of Retry-After",
    431: "The header is over its limit",
    500: "A defect of the service",
    501: "The body has a transfer coding other than `chunked`",
    503: "The service starts, stops or cannot write, data is damaged, or too much waits (then with Retry-After)",
    505: "The request is of another version than HTTP/1.1 or 1.0",
}
_GROUP_REFUSALS = {
    ("definitions", 404): "There is no such metric or maintenance window",
    ("access", 404): "There is no such person or key",
    (
        "ingest",
        503,
    ): "Nothing was accepted: the service starts, is read-only, or too much waits (then with Retry-After)",
}
"""Where a refusal means something else in one group of routes."""
_EVERYWHERE = (400, 408, 431, 500, 501, 505)
SECURITY_SCHEMES: Json = {
    "bearer": {
        "type": "http",
        "scheme": "bearer",
        "description": "a key of this service, the access token of a person, or a token of an issuer that it trusts",
    },
    "key": {"type": "apiKey", "in": "header", "name": "X-API-Key", "description": "a key of this service"},
    "session": {
        "type": "apiKey",
        "in": "cookie",
        "name": SESSION_COOKIE,
        "description": "the session of a browser, see /sign-in",
    },
}
"""Ways to say who asks: one of them is needed, but for routes that are open to all, and on a node without keys."""
_CODING = {
    "name": "Content-Encoding",
    "in": "header",
    "required": False,
    "description": "how the body is compressed",
    "schema": {"type": "string", "enum": ["identity", "gzip", "zstd"]},
}


@dataclass(frozen=True, slots=True)
class OpenApi:
    """The document, OpenAPI 3.1, and the same as JSON."""

    document: Json
    encoded: bytes


OpenApiSource = Callable[[], Awaitable[OpenApi]]


def describe(app: Litestar) -> OpenApi:
    """Describe all routes of `app`, which has an OpenAPI configuration."""
    document = app.openapi_schema.to_schema()
    facts: dict[str, RouteFacts] = {
        str(handler.operation_id): handler.opt["facts"]
        for route in app.routes
        for handler in getattr(route, "route_handlers", ())
        if "facts" in handler.opt  # the framework adds handlers of its own
    }
    structs: set[type[msgspec.Struct]] = {Problem}
    for one in facts.values():
        lines = one.takes.lines if isinstance(one.takes, Media) else one.takes
        structs |= {shape for shape in (one.answer, lines, *one.failures.values()) if isinstance(shape, type)}
    ordered = sorted(structs, key=lambda shape: shape.__name__)
    _, shapes = msgspec.json.schema_components(ordered, ref_template="#/components/schemas/{name}")
    document["components"] = {"schemas": {name: _without_nothing(shape) for name, shape in sorted(shapes.items())}}
    for operations in document["paths"].values():
        for operation in operations.values():
            _finish(operation, facts[operation["operationId"]], shapes)
    document["components"]["responses"] = _refusals()
    document["components"]["securitySchemes"] = SECURITY_SCHEMES
    document["tags"] = [{"name": name, "description": text} for name, text in GROUPS.items()]
    return OpenApi(document, msgspec.json.encode(document))


def _without_nothing(shape: Json) -> Json:
    """The schema of a struct, its fields without what says nothing, such as a default of null."""
    fields = {
        name: {
            key: value
            for key, value in _one_type(field).items()
            if key != "default" or value not in (None, "", [], {}, [None, None])
        }
        for name, field in shape.get("properties", {}).items()
    }
    return {**shape, "properties": fields}


def _one_type(schema: Json) -> Json:
    """A schema without alternatives where it has a type: an integer, which the decoder also takes as 5.0."""
    kept = {key: value for key, value in schema.items() if key != "anyOf" or "type" not in schema}
    if kept.get("format") == "decimal":  # encoded as a number with all its digits
        kept |= {"type": "number", "format": "double", "minimum": 0}
    if "anyOf" in kept:
        kept["anyOf"] = [_one_type(kind) for kind in kept["anyOf"]]
    if isinstance(kept.get("additionalProperties"), dict):
        kept["additionalProperties"] = _one_type(kept["additionalProperties"])
    return kept


def _finish(operation: Json, facts: RouteFacts, shapes: Json) -> None:
    parameters = [_parameter(parameter) for parameter in operation.pop("parameters", [])]
    if facts.takes is not None:
        operation["requestBody"] = {"required": facts.is_body_required, "content": _taken(facts.takes, shapes)}
        if isinstance(facts.takes, Media) and facts.takes.lines is not None:
            parameters.append(_CODING)
    if parameters:
        operation["parameters"] = parameters
    operation["responses"] = _responses(facts, shapes, group=operation["tags"][0])
    operation |= _security(facts.access)
    operation.pop("deprecated", None)


def _security(access: Access) -> Json:
    """How a route asks who it is, which roles may use it, and what it does with a scope."""
    if access.permission == "open":
        return {"security": []}
    roles = [role for role in ROLES if role in PERMISSIONS[access.permission]]
    return {"security": [{name: []} for name in SECURITY_SCHEMES], "x-roles": roles, "x-scope": access.scope}


def _parameter(parameter: Json) -> Json:
    """A parameter without Python's None, which stands for one that is not given, and without what says nothing."""
    schema = parameter["schema"]
    kinds = [kind for kind in schema.pop("oneOf", []) if kind != {"type": "null"}]
    schema = {**(kinds[0] if kinds else {}), **schema}
    schema.pop("description", None)
    if schema.get("default") in (None, ""):
        schema.pop("default", None)
    kept: Json = {name: parameter[name] for name in ("name", "in", "required", "description") if name in parameter}
    if schema.pop("deprecated", False):
        kept["deprecated"] = True
    examples = schema.pop("examples", None)
    example = {"example": examples[0]} if examples else {}
    return {**kept, "schema": schema, **example}


def _taken(takes: type[msgspec.Struct] | Media, shapes: Json) -> Json:
    if isinstance(takes, Media):
        return _media(takes)
    return {"application/json": {"schema": _ref(takes), "example": compose(_ref(takes), shapes, is_body=True)}}


def _media(media: Media) -> Json:
    text = media.description
    if media.lines is not None:
        text += f"; each line is an object of the schema {media.lines.__name__}"
    if media.kind == "object":
        example_object = json.loads(media.example or '{"openapi": "3.1.0"}')
        return {media.media_type: {"schema": {"type": "object", "description": text}, "example": example_object}}
    if media.kind == "array":
        schema = {"type": "array", "description": text, "items": {"type": "object"}}
        return {media.media_type: {"schema": schema, "example": json.loads(media.example or "[]")}}
    example = {} if media.example is None else {"example": media.example}
    form = {"format": "binary"} if media.example is None else {}
    return {media.media_type: {"schema": {"type": "string", "description": text, **form}, **example}}


def _responses(facts: RouteFacts, shapes: Json, *, group: str) -> Json:
    success = {"description": "Durable: on disk before this answer" if facts.status == 204 else "Success"}
    content: Json = {}
    for media in facts.media:
        content |= _media(media)
    if facts.answer is not None:
        content = _content(facts.answer, shapes)
        success["description"] = shapes[facts.answer.__name__]["description"].partition("\n")[0]
    responses: Json = {str(facts.status): success | ({"content": content} if content else {})}
    access = facts.access
    of_access = (() if access.permission == "open" else (401, 403)) + (() if access.limit == "none" else (429,))
    for status in sorted({*_EVERYWHERE, *of_access, *facts.refusals, *(() if group == "service" else (503,))}):
        responses[str(status)] = {"$ref": f"#/components/responses/{_refusal_name(group, status)}"}
    for status, shape in facts.failures.items():
        if isinstance(shape, Media):  # a browser gets a page, whoever is refused before that the usual problem
            content = _media(shape) | {media: {"schema": _ref(Problem)} for media in ("application/json", PROBLEM)}
            responses[str(status)] = {"description": _REFUSALS[status], "content": content}
        else:
            responses[str(status)] = {"description": "Not ready, and why", "content": _content(shape, shapes)}
    return responses


def _refusal_name(group: str, status: int) -> str:
    """Name of a refusal among the components: its status, and its group where it is the group's own."""
    return f"{group}-{status}" if (group, status) in _GROUP_REFUSALS else str(status)


def _refusals() -> Json:
    """All refusals, for routes to refer to."""
    # A client that names the second type in Accept gets it, with the same body.
    content = {media: {"schema": _ref(Problem)} for media in ("application/json", PROBLEM)}
    seconds = {"description": "seconds, where too much waits", "schema": {"type": "integer"}}
    headers: dict[int, Json] = {
        503: {"Retry-After": seconds},
        429: {
            "Retry-After": {"description": "seconds", "schema": {"type": "integer"}},
            "RateLimit": {"description": "what is left, and when a request is taken", "schema": {"type": "string"}},
            "RateLimit-Policy": {"description": "so many at once, earned in so long", "schema": {"type": "string"}},
        },
    }
    texts = {("", status): text for status, text in _REFUSALS.items()} | _GROUP_REFUSALS
    return {
        _refusal_name(group, status): {
            "description": text,
            "content": content,
            **({"headers": headers[status]} if status in headers else {}),
        }
        for (group, status), text in texts.items()
    }


def _content(shape: type[msgspec.Struct], shapes: Json) -> Json:
    return {"application/json": {"schema": _ref(shape), "example": compose(_ref(shape), shapes)}}


def _ref(shape: type[msgspec.Struct]) -> Json:
    return {"$ref": f"#/components/schemas/{shape.__name__}"}


def compose(schema: Json, shapes: Json, *, is_body: bool = False) -> Any:
    """An example of a schema, out of the examples of its fields.

    An answer has the fields that it always has; a body has those that name an example.
    Raises: ValueError: a field of text or numbers names no example.
    """
    if "$ref" in schema:
        return compose(shapes[schema["$ref"].rpartition("/")[2]], shapes, is_body=is_body)
    for word in ("examples", "enum"):
        if word in schema:
            return schema[word][0]
    if "anyOf" in schema:
        kinds = [kind for kind in schema["anyOf"] if kind != {"type": "null"}]
        is_null = len(kinds) < len(schema["anyOf"]) and kinds[0].get("type") == "string" and not _has_example(kinds[0])
        return None if is_null else compose(kinds[0], shapes, is_body=is_body)
    kind = schema.get("type")
    if kind == "object" and "properties" in schema:
        required = schema.get("required", ())
        return {
            name: compose(field, shapes, is_body=is_body)
            for name, field in schema["properties"].items()
            if name in required or (is_body and _has_example(field))
        }
    if kind == "object":
        return {"cpu": compose(schema["additionalProperties"], shapes)}
    if kind == "array":
        return [compose(schema["items"], shapes)]
    if kind == "boolean":
        return False
    raise ValueError(f"no example is given for {schema}")


def _has_example(field: Json) -> bool:
    return any("examples" in kind for kind in (field, *field.get("anyOf", ())))
