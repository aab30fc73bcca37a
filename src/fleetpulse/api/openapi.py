"""The OpenAPI document, and a page to read it by.

Written by hand: the device routes are answered below the framework, so it cannot know them. A test holds it against the
routes, and schemathesis against the answers.
"""

from html import escape
from typing import Any

from fleetpulse import __version__
from fleetpulse.api.schemas import DEVICE_ID, DURATION, NAME, TIME, ref, schemas
from fleetpulse.model.metric import AGGREGATIONS
from fleetpulse.model.status import STATUSES
from fleetpulse.query.devices import SORTS

Json = dict[str, Any]
_WHY = {
    400: "Malformed: what was wrong, and where",
    404: "Device not found; or no such metric or maintenance window",
    408: "The rest of the request did not come in time",
    409: "It is there already, or not in that state",
    413: "Body over its limit",
    415: "Content type or coding not taken",
    422: "Understood, but a value is out of range, or a metric not defined; says what was expected",
    431: "Header over its limit",
    500: "A defect of ours, or damaged data: says which file",
    503: "Nothing was accepted: starting, read-only, or too much waiting (then with Retry-After)",
}
_EDGE = (400, 408, 431, 500)
_GROUPS = {
    "ingest": "What devices say",
    "devices": "Devices as people manage them",
    "questions": "What the figures are",
    "definitions": "Metrics and maintenance windows",
    "service": "The service itself",
}


def _parameter(name: str, schema: Json, text: str = "", *, where: str = "query") -> Json:
    described = {"description": text} if text else {}
    return {"name": name, "in": where, "required": where == "path", "schema": schema, **described}


def _text(**more: Any) -> Json:
    return {"type": "string", **more}


_DEVICE = _parameter("device_id", DEVICE_ID, where="path")
_METRIC = _parameter("name", NAME, where="path")
_WINDOW_ID = _parameter("window_id", _text(minLength=1, maxLength=64, pattern="^[A-Za-z0-9]+$"), where="path")
_CODING = _parameter("Content-Encoding", _text(enum=["identity", "gzip", "zstd"]), where="header")
_LABEL = _parameter(
    "label",
    {"type": "array", "items": _text(pattern="^[A-Za-z_][A-Za-z0-9_.-]{0,9}:[a-z0-9]{1,9}$", examples=["site:paris"])},
    "name:value that a device must have; may be repeated: all of them",
)
_TYPES = _parameter(
    "types", _text(minLength=1, examples=["cpu,memory"]), "names of metrics, with commas between, at most 100"
)
_AGGREGATION = _parameter("aggregation", _text(enum=list(AGGREGATIONS)), "in place of the one of the definition")
_GROUP_BY = _parameter(
    "group_by", _text(minLength=1), "name of a label: figures for each of its values, and for devices without it"
)
_DRY_RUN = _parameter("dry_run", {"type": "boolean", "default": False}, "only say what would happen")
_FILTERS = [
    _parameter(
        "status",
        _text(pattern=f"^({'|'.join(STATUSES)})(,({'|'.join(STATUSES)}))*$"),
        "one or more, with commas between",
    ),
    _parameter("text", _text(), "part of the id or of a label's value, whatever its case"),
    _parameter("seen_before", TIME, "last seen before it; never seen does not count"),
    _parameter("seen_after", TIME, "last seen at it or later"),
    _parameter("uptime_below", {"type": "number", "minimum": 0, "maximum": 100}, "less uptime than this, in per cent"),
    _parameter("uptime_window", {**DURATION, "default": "24h"}, "the time before now that uptime is over"),
    _LABEL,
]


def _window(default: str, *, has_step: bool = True) -> list[Json]:
    step = [_parameter("step", DURATION, "a series in steps of it; steps begin at whole multiples since 1970")]
    return [
        _parameter("window", {**DURATION, "default": default}, "the time before now; or give `from`, and perhaps `to`"),
        _parameter("from", TIME, "where the window begins"),
        _parameter("to", TIME, "where it ends, not included; without it: now"),
        *(step if has_step else []),
    ]


def _content(schema: str, media_type: str = "application/json") -> Json:
    return {media_type: {"schema": ref(schema)}}


def _body(schema: str, *, is_required: bool = True) -> Json:
    return {"required": is_required, "content": _content(schema)}


def _responses(status: int, text: str, content: Json | None, failures: tuple[int, ...]) -> Json:
    answers: Json = {str(status): {"description": text} | ({"content": content} if content else {})}
    answers |= {str(failure): {"description": _WHY[failure], "content": _content("Problem")} for failure in failures}
    if "503" in answers:
        answers["503"]["headers"] = {
            "Retry-After": {"description": "seconds; where too much is waiting", "schema": {"type": "integer"}}
        }
    return answers


def _operation(
    name: str,
    group: str,
    summary: str,
    responses: Json,
    *,
    parameters: list[Json] | None = None,
    body: Json | None = None,
) -> Json:
    operation: Json = {"operationId": name, "tags": [group], "summary": summary, "responses": responses}
    return operation | ({"parameters": parameters} if parameters else {}) | ({"requestBody": body} if body else {})


def _asking(
    name: str,
    summary: str,
    answer: str,
    parameters: list[Json],
    *,
    group: str = "questions",
    failures: tuple[int, ...] = (),
) -> Json:
    responses = _responses(200, "MetricResult", _content(answer), (*_EDGE, 503, *failures))
    return _operation(name, group, summary, responses, parameters=parameters)


def _changing(
    name: str,
    group: str,
    summary: str,
    answer: str,
    *failures: int,
    parameters: list[Json] | None = None,
    body: Json | None = None,
    status: int = 200,
) -> Json:
    responses = _responses(status, "Done", _content(answer), (*_EDGE, 413, 415, 503, *failures))
    return _operation(name, group, summary, responses, parameters=parameters, body=body)


def _ingest() -> Json:
    failures = (*_EDGE, 404, 413, 415, 422, 503)

    def report(name: str, summary: str, schema: str) -> Json:
        durable = _responses(204, "Durable: on disk before this answer", None, failures)
        return _operation(name, "ingest", summary, durable, parameters=[_DEVICE], body=_body(schema))

    lines = {"application/x-ndjson": {"schema": _text(description="one Event (see the schemas) a line")}}
    verdicts = _responses(
        200, "Verdicts; what is accepted is durable", _content("BulkVerdict"), (*_EDGE, 413, 415, 503)
    )
    return {
        "/api/v1/devices/{device_id}/heartbeat": {
            "post": report("heartbeat", "A device says that it is alive", "Heartbeat")
        },
        "/api/v1/devices/{device_id}/stats": {
            "post": report("stats", "A device says how long an upload took", "UploadStats"),
            "get": _asking(
                "getStats",
                "Uptime and average upload time over the device's whole life",
                "DeviceStats",
                [_DEVICE],
                failures=(404,),
            ),
        },
        "/api/v1/devices/{device_id}/metrics": {
            "post": report(
                "reportMetrics", "A device says the values of some metrics, all of them or none", "MetricsReport"
            ),
            "get": _asking(
                "deviceMetrics",
                "Metrics of a device over a window",
                "DeviceMetrics",
                [_DEVICE, _TYPES, _AGGREGATION, *_window("1h")],
                failures=(404, 422),
            ),
        },
        "/api/v1/devices/{device_id}/audit": {
            "get": _asking(
                "getAudit",
                "How many events there are: accepted = applied + pending",
                "DeviceAudit",
                [_DEVICE],
                failures=(404,),
            )
        },
        "/api/v1/events": {
            "post": _operation(
                "events",
                "ingest",
                "Many events as NDJSON lines (gzip or zstd allowed); lines stand or fall alone",
                verdicts,
                parameters=[_CODING],
                body={"required": True, "content": lines},
            )
        },
    }


def _devices() -> Json:
    page = [
        _parameter(
            "sort", _text(enum=[*SORTS, *(f"-{by}" for by in SORTS)], default="id"), "with - the greatest first"
        ),
        _parameter("limit", {"type": "integer", "minimum": 1, "maximum": 1000, "default": 100}),
        _parameter("cursor", _text(minLength=1), "`next` of the page before"),
    ]
    to_all = _parameter("all", {"type": "boolean", "default": False}, "mean every device, where no filter is given")
    table = {
        "text/csv": {
            "schema": _text(description="device_id, perhaps interval, grace and note; all other columns are labels")
        }
    }
    return {
        "/api/v1/devices": {
            "get": _asking(
                "listDevices", "A page of devices", "DeviceList", [*_FILTERS, *page], group="devices", failures=(422,)
            ),
            "post": _changing(
                "addDevice", "devices", "Declare a device", "Device", 409, 422, body=_body("NewDevice"), status=201
            ),
            "patch": _changing(
                "relabel",
                "devices",
                "Set or take away labels of all devices that match",
                "Relabelled",
                422,
                parameters=[*_FILTERS, to_all, _DRY_RUN],
                body=_body("LabelChange"),
            ),
        },
        "/api/v1/devices/{device_id}": {
            "get": _asking(
                "getDevice",
                "Status of a device, and what is declared",
                "Device",
                [_DEVICE],
                group="devices",
                failures=(404,),
            ),
            "patch": _changing(
                "changeDevice",
                "devices",
                "Change what is declared; what is not named stays",
                "Device",
                *(404, 422),
                parameters=[_DEVICE],
                body=_body("DeviceChange"),
            ),
            "delete": _changing(
                "deleteDevice", "devices", "Forget a device; its history stays", "Said", 404, parameters=[_DEVICE]
            ),
        },
        "/api/v1/devices/{device_id}/pause": {
            "post": _changing(
                "pause",
                "devices",
                "Expect nothing of a device, until a time, for a while, or until it is resumed",
                "Device",
                *(404, 422),
                parameters=[_DEVICE],
                body=_body("PauseBody", is_required=False),
            )
        },
        "/api/v1/devices/{device_id}/resume": {
            "post": _changing(
                "resume", "devices", "Expect a paused device again", "Device", 404, 409, parameters=[_DEVICE]
            )
        },
        "/api/v1/devices.csv": {
            "get": _operation(
                "exportDevices",
                "devices",
                "Devices that match, as CSV that the import takes",
                _responses(200, "CSV in UTF-8; what looks like a formula has a ' before it", table, (*_EDGE, 422, 503)),
                parameters=_FILTERS,
            ),
            "post": _changing(
                "importDevices",
                "devices",
                "Declare the devices of a CSV: new ones are added, known ones replaced, a verdict for every line refused",
                "Imported",
                422,
                parameters=[_DRY_RUN],
                body={"required": True, "content": table},
            ),
        },
    }


def _questions() -> Json:
    explain = _parameter("explain", {"type": "boolean", "default": False}, "list the intervals, each with its reason")
    what = [
        _parameter("what", _text(enum=["samples", "presence", "silences"], default="samples")),
        _parameter(
            "types", _TYPES["schema"], "of samples: names of metrics, with commas between; one kind a Parquet file"
        ),
        _parameter("format", _text(enum=["csv", "parquet"], default="csv")),
        _parameter("device", {"type": "array", "items": DEVICE_ID}, "may be repeated; none: all"),
    ]
    files = {"text/csv": {"schema": _text()}, "application/vnd.apache.parquet": {"schema": _text(format="binary")}}
    return {
        "/api/v1/devices/{device_id}/uptime": {
            "get": _asking(
                "deviceUptime",
                "Uptime and availability of a device",
                "Uptime",
                [_DEVICE, explain, *_window("24h")],
                failures=(404, 422),
            )
        },
        "/api/v1/devices/{device_id}/transitions": {
            "get": _asking(
                "transitions",
                "Every change of a device's status",
                "Transitions",
                [_DEVICE, *_window("24h", has_step=False)],
                failures=(404, 422),
            )
        },
        "/api/v1/fleet/uptime": {
            "get": _asking(
                "fleetUptime",
                "Uptime and availability of all devices, or by the values of a label",
                "FleetUptime",
                [_GROUP_BY, _LABEL, *_window("24h")],
                failures=(422,),
            )
        },
        "/api/v1/fleet/metrics": {
            "get": _asking(
                "fleetMetrics",
                "Metrics of all devices, or by the values of a label",
                "FleetMetrics",
                [_TYPES, _AGGREGATION, _GROUP_BY, _LABEL, *_window("1h")],
                failures=(422,),
            )
        },
        "/api/v1/fleet/stats": {
            "get": _asking(
                "fleetStats",
                "Devices by status, uptime, upload time, and who was there least",
                "FleetStats",
                [_LABEL, *_window("24h", has_step=False)],
                failures=(422,),
            )
        },
        "/api/v1/export": {
            "get": _operation(
                "export",
                "questions",
                "Raw samples, minutes of presence or silences as a file, streamed",
                _responses(
                    200,
                    "The file; one that cannot be finished breaks the connection off",
                    files,
                    (*_EDGE, 404, 422, 503),
                ),
                parameters=[*what, _LABEL, *_window("24h", has_step=False)],
            )
        },
    }


def _definitions() -> Json:
    group = "definitions"
    return {
        "/api/v1/metrics/definitions": {
            "get": _asking("listMetrics", "All metrics that may be reported", "MetricDefinitions", [], group=group),
            "post": _changing(
                "defineMetric",
                group,
                "Define a metric",
                "MetricDefinition",
                409,
                422,
                body=_body("Definition"),
                status=201,
            ),
        },
        "/api/v1/metrics/definitions/{name}": {
            "get": _asking("getMetric", "One definition", "MetricDefinition", [_METRIC], group=group, failures=(404,)),
            "patch": _changing(
                "changeMetric",
                group,
                "Change a definition; what is not named stays",
                "MetricDefinition",
                *(404, 422),
                parameters=[_METRIC],
                body=_body("DefinitionChange"),
            ),
            "delete": _changing(
                "undefineMetric",
                group,
                "Take a metric no longer; its samples stay until their retention",
                "Said",
                404,
                422,
                parameters=[_METRIC],
            ),
        },
        "/api/v1/maintenance": {
            "get": _asking(
                "listWindows",
                "All maintenance windows, and when each comes next",
                "MaintenanceWindows",
                [],
                group=group,
            ),
            "post": _changing(
                "addWindow",
                group,
                "Declare a maintenance window, perhaps in the past",
                "MaintenanceWindow",
                422,
                body=_body("WindowBody"),
                status=201,
            ),
        },
        "/api/v1/maintenance/{window_id}": {
            "delete": _changing(
                "deleteWindow", group, "Take a maintenance window back", "Said", 404, parameters=[_WINDOW_ID]
            )
        },
    }


def _service() -> Json:
    plain: Json = {"application/json": {"schema": {}}}

    def get(name: str, summary: str, said: str, content: Json) -> Json:
        return {"get": _operation(name, "service", summary, _responses(200, said, content, _EDGE))}

    ready = get("readyz", "Whether events are accepted", "Ready", plain)
    ready["get"]["responses"]["503"] = {"description": "Not, and why", "content": plain}
    return {
        "/": get("root", "Sign of life", '"OK."', plain),
        "/healthz": get("healthz", "The process is alive", "Alive", plain),
        "/readyz": ready,
        "/metrics": get(
            "metrics", "Counters in the Prometheus format", "Counters", {"text/plain": {"schema": _text()}}
        ),
        "/openapi.json": get("openapi", "This document", "OpenAPI 3.1", plain),
        "/docs": get("docs", "This document, to read", "A page", {"text/html": {"schema": _text()}}),
    }


def openapi_document() -> Json:
    """The document, OpenAPI 3.1."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "fleetpulse",
            "version": __version__,
            "description": "Durable heartbeats in, exact uptime out.",
        },
        "tags": [{"name": name, "description": text} for name, text in _GROUPS.items()],
        "paths": {**_ingest(), **_devices(), **_questions(), **_definitions(), **_service()},
        "components": {"schemas": schemas()},
    }


def docs_page() -> str:
    """The document as one HTML page."""
    document = openapi_document()
    contents: list[str] = []
    parts: list[str] = []
    for group in document["tags"]:
        contents.append(f"<li><a href='#{group['name']}'>{escape(group['description'])}</a>")
        parts.append(f"<h2 id='{group['name']}'>{escape(group['description'])}</h2>")
        for path, operations in document["paths"].items():
            parts += [
                _operation_text(path, method, what)
                for method, what in operations.items()
                if what["tags"] == [group["name"]]
            ]
    parts.append("<h2 id='schemas'>Shapes</h2>")
    for name, schema in document["components"]["schemas"].items():
        text = escape(schema.get("description", ""))
        rows = "".join(
            f"<tr><td><code>{escape(field)}</code>{'' if field in schema['required'] else ' (may be absent)'}"
            f"<td>{_type_text(what)}<td>{escape(what.get('description', ''))}"
            for field, what in schema["properties"].items()
        )
        parts.append(
            f"<section id='{name}'><h3>{name}</h3>{f'<p>{text}' if text else ''}<table>{rows}</table></section>"
        )
    contents.append("<li><a href='#schemas'>Shapes</a>")
    return _PAGE.format(version=escape(__version__), contents="".join(contents), parts="".join(parts))


def _operation_text(path: str, method: str, operation: Json) -> str:
    body = "".join(_media_text(*pair) for pair in operation.get("requestBody", {}).get("content", {}).items())
    parameters = "".join(
        f"<tr><td><code>{escape(one['name'])}</code><td>{escape(one['in'])}<td>{_type_text(one['schema'])}"
        f"<td>{escape(one.get('description') or one['schema'].get('description', ''))}"
        for one in operation.get("parameters", [])
    )
    answers = "".join(
        f"<tr><td>{status}<td>{escape(answer['description'])}<td>"
        + " ".join(_media_text(*pair) for pair in answer.get("content", {}).items())
        for status, answer in operation["responses"].items()
    )
    return (
        f"<section id='{operation['operationId']}'><h3><code>{method.upper()} {escape(path)}</code></h3><p>{escape(operation['summary'])}."
        f"{f'<table>{parameters}</table>' if parameters else ''}{'<p>Body: ' + body if body else ''}"
        f"<details><summary>Answers</summary><table>{answers}</table></details></section>"
    )


def _media_text(media_type: str, content: Json) -> str:
    schema = content["schema"]
    text = f" {escape(schema['description'])}" if "description" in schema else ""
    return _type_text(schema) if "$ref" in schema else f"<code>{escape(media_type)}</code>{text}"


def _type_text(schema: Json) -> str:
    """What a value is, in a few words."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return f"<a href='#{name}'>{name}</a>"
    if "anyOf" in schema:
        return " or ".join(_type_text(one) for one in schema["anyOf"])
    kinds = schema.get("type", "anything")
    said = escape(" or ".join(kinds) if isinstance(kinds, list) else kinds)
    if "array" in kinds and isinstance(schema.get("items"), dict):
        said += f" of {_type_text(schema['items'])}"
    if "enum" in schema:
        said = escape(", ".join(map(str, schema["enum"])))
    if isinstance(schema.get("additionalProperties"), dict):
        said += f" of {_type_text(schema['additionalProperties'])}"
    if "minimum" in schema or "maximum" in schema:
        said += f" {schema.get('minimum', '…')} to {schema.get('maximum', '…')}"
    return said + (
        f", by default {escape(str(schema['default']))}" if schema.get("default") not in (None, "", [], {}) else ""
    )


_PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>fleetpulse API</title><style>
body{{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#222;background:#fff}}
h2{{border-top:2px solid #888;padding-top:1rem;margin-top:3rem}} h3{{font-size:1.1rem;margin-top:2rem}}
td{{padding:.15rem 1rem .15rem 0;vertical-align:top}} table{{border-collapse:collapse}} summary{{cursor:pointer;color:#555}}
code{{background:#f2f2f2;padding:.1rem .3rem;overflow-wrap:anywhere}}
</style><h1>fleetpulse {version}</h1><p>The same as data: <a href="/openapi.json">/openapi.json</a>.</p>
<ul>{contents}</ul>{parts}</html>"""
