"""The OpenAPI document, and a page to read it by.

Written by hand: the device routes are answered below the framework, so it cannot know them. A test holds it against the
routes, and schemathesis against the answers.
"""

from html import escape
from typing import Any

from fleetpulse import __version__
from fleetpulse.model.device import ID_CHARS_MAX
from fleetpulse.model.events import UPLOAD_TIME_HIGHEST

Json = dict[str, Any]
_SENT_AT: Json = {
    "type": "string",
    "format": "date-time",
    "description": "RFC 3339, any offset, up to nanoseconds; from 2000 to 24 h (future_s) ahead of the server's clock",
    "examples": ["2026-11-24T08:30:00Z"],
}
_UPLOAD_TIME: Json = {"type": "integer", "minimum": 0, "maximum": UPLOAD_TIME_HIGHEST, "description": "nanoseconds"}
_DEVICE_ID: Json = {"type": "string", "minLength": 1, "maxLength": ID_CHARS_MAX, "pattern": "^[A-Za-z0-9._~:@+=,-]+$"}


def _object(required: list[str], **properties: Json) -> Json:
    return {"type": "object", "required": required, "properties": properties}


_COUNT: Json = {"type": "integer", "minimum": 0}
_SCHEMAS: Json = {
    "Heartbeat": _object(["sent_at"], sent_at=_SENT_AT),
    "UploadStats": _object(["sent_at", "upload_time"], sent_at=_SENT_AT, upload_time=_UPLOAD_TIME),
    "Event": _object(
        ["device_id", "sent_at"], device_id=_DEVICE_ID, sent_at=_SENT_AT, upload_time={**_UPLOAD_TIME, "type": ["integer", "null"]}
    ),
    "DeviceStats": _object(
        ["uptime", "avg_upload_time"],
        uptime={"type": "number", "minimum": 0, "maximum": 100, "description": "percent"},
        avg_upload_time={"type": "string", "description": "a duration as Go writes it", "examples": ["3m29.226522788s"]},
    ),
    "DeviceAudit": _object(
        ["accepted", "applied", "pending", "heartbeats", "samples"],
        **dict.fromkeys(("accepted", "applied", "pending", "heartbeats", "samples"), _COUNT),
    ),
    "BulkVerdict": _object(
        ["accepted", "refused", "refused_total"],
        accepted=_COUNT,
        refused={"type": "array", "items": _object(["line", "msg"], line={"type": "integer", "minimum": 1}, msg={"type": "string"})},
        refused_total=_COUNT,
        capped={"type": "boolean", "description": "there were more refusals than are listed"},
    ),
    "Problem": _object(
        ["msg", "type", "title", "status", "detail"],
        msg={"type": "string"},
        type={"type": "string"},
        title={"type": "string"},
        status={"type": "integer"},
        detail={"type": "string"},
    ),
}
_WHY = {
    400: "Malformed: what was wrong, and where",
    404: "Device not found",
    408: "The rest of the request did not come in time",
    413: "Body over its limit",
    415: "Content type or coding not taken",
    422: "Understood, but a value is out of range; says what was expected",
    431: "Header over its limit",
    500: "A defect of ours",
    503: "Nothing was accepted: starting, read-only, or too much waiting (then with Retry-After)",
}


_CODING: Json = {
    "name": "Content-Encoding",
    "in": "header",
    "required": False,
    "schema": {"type": "string", "enum": ["identity", "gzip", "zstd"]},
}


def _content(schema: str, media_type: str = "application/json") -> Json:
    return {media_type: {"schema": {"$ref": f"#/components/schemas/{schema}"}}}


def _responses(success: Json, *failures: int) -> Json:
    answers: Json = {str(status): {"description": _WHY[status], "content": _content("Problem")} for status in failures}
    if "503" in answers:
        answers["503"]["headers"] = {"Retry-After": {"description": "seconds; where too much is waiting", "schema": {"type": "integer"}}}
    return success | answers


def _operation(name: str, summary: str, responses: Json, body: Json | None = None, *, has_device: bool = False) -> Json:
    operation: Json = {"operationId": name, "summary": summary, "responses": responses}
    if body is not None:
        operation["requestBody"] = {"required": True, "content": body}
    if has_device:
        operation["parameters"] = [{"name": "device_id", "in": "path", "required": True, "schema": _DEVICE_ID}]
    return operation


def _ok(text: str, content: Json) -> Json:
    return {"200": {"description": text, "content": content}}


def openapi_document() -> Json:
    """The document, OpenAPI 3.1."""
    durable: Json = {"204": {"description": "Durable: on disk before this answer"}}
    taken = (400, 404, 408, 413, 415, 422, 431, 500, 503)
    asked = (400, 404, 408, 431, 500, 503)
    edge = (400, 408, 431, 500)
    text: Json = {"text/plain": {"schema": {"type": "string"}}}
    plain: Json = {"application/json": {"schema": {}}}
    paths: Json = {
        "/api/v1/devices/{device_id}/heartbeat": {
            "post": _operation(
                "heartbeat", "A device says that it is alive", _responses(durable, *taken), _content("Heartbeat"), has_device=True
            )
        },
        "/api/v1/devices/{device_id}/stats": {
            "post": _operation(
                "stats", "A device says how long an upload took", _responses(durable, *taken), _content("UploadStats"), has_device=True
            ),
            "get": _operation(
                "getStats",
                "Uptime and average upload time",
                _responses(_ok("Lifetime figures", _content("DeviceStats")), *asked),
                has_device=True,
            ),
        },
        "/api/v1/devices/{device_id}/audit": {
            "get": _operation(
                "getAudit", "accepted = applied + pending", _responses(_ok("Counts", _content("DeviceAudit")), *asked), has_device=True
            )
        },
        "/api/v1/events": {
            "post": _operation(
                "events",
                "Many events as NDJSON lines (gzip or zstd allowed)",
                _responses(_ok("Verdicts; what is accepted is durable", _content("BulkVerdict")), 400, 408, 413, 415, 431, 500, 503),
                {"application/x-ndjson": {"schema": {"type": "string", "description": "one Event (see the schemas) a line"}}},
            )
            | {"parameters": [_CODING]}
        },
        "/": {"get": _operation("root", "Sign of life", _responses(_ok('"OK."', plain), *edge))},
        "/healthz": {"get": _operation("healthz", "The process is alive", _responses(_ok("Alive", plain), *edge))},
        "/readyz": {
            "get": _operation(
                "readyz",
                "Whether events are accepted",
                _responses(_ok("Ready", plain), *edge) | {"503": {"description": "Not, and why", "content": plain}},
            )
        },
        "/metrics": {"get": _operation("metrics", "Counters in the Prometheus format", _responses(_ok("Counters", text), *edge))},
        "/openapi.json": {"get": _operation("openapi", "This document", _responses(_ok("OpenAPI 3.1", plain), *edge))},
        "/docs": {
            "get": _operation(
                "docs", "This document, to read", _responses(_ok("A page", {"text/html": {"schema": {"type": "string"}}}), *edge)
            )
        },
    }
    info = {"title": "fleetpulse", "version": __version__, "description": "Durable heartbeats in, exact uptime out."}
    return {"openapi": "3.1.0", "info": info, "paths": paths, "components": {"schemas": _SCHEMAS}}


def docs_page() -> str:
    """The document as one HTML page."""
    document = openapi_document()
    parts: list[str] = []
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            body = "".join(_schema_text(media, what) for media, what in operation.get("requestBody", {}).get("content", {}).items())
            rows = "".join(
                f"<tr><td>{status}<td>{escape(answer['description'])}<td>"
                + "".join(_schema_text(*pair) for pair in answer.get("content", {}).items())
                for status, answer in operation["responses"].items()
            )
            parts.append(
                f"<section><h2><code>{method.upper()} {escape(path)}</code></h2><p>{escape(operation['summary'])}.</p>"
                f"{'<p>Body: ' + body if body else ''}<table>{rows}</table></section>"
            )
    for name, schema in document["components"]["schemas"].items():
        rows = "".join(
            f"<tr><td><code>{escape(field)}</code><td>{escape(str(what.get('type', '')))}<td>{escape(what.get('description', ''))}"
            for field, what in schema["properties"].items()
        )
        parts.append(f"<section id='{name}'><h2>{name}</h2><table>{rows}</table></section>")
    return _PAGE.format(version=escape(__version__), parts="".join(parts))


def _schema_text(media_type: str, content: Json) -> str:
    name = content["schema"].get("$ref", "").rpartition("/")[2]
    return f"<a href='#{name}'>{name}</a>" if name else f"<code>{escape(media_type)}</code>"


_PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>fleetpulse API</title><style>
body{{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#222;background:#fff}}
h2{{font-size:1.1rem;border-top:1px solid #ccc;padding-top:1rem}} td{{padding:.15rem 1rem .15rem 0;vertical-align:top}}
code{{background:#f2f2f2;padding:.1rem .3rem}} table{{border-collapse:collapse}}
</style><h1>fleetpulse {version}</h1><p>The same as data: <a href="/openapi.json">/openapi.json</a>.</p>{parts}</html>"""
