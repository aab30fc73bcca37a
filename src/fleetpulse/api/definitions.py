"""Metric definitions and maintenance windows: what people decide beside devices."""

import asyncio
import secrets
from typing import Any

import msgspec
from litestar import Response, delete, get, patch, post

from fleetpulse.aggregate.recurrence import next_occurrence
from fleetpulse.api.parameters import answer, read_query, ready
from fleetpulse.api.problems import AnyRequest
from fleetpulse.api.reports import json_body
from fleetpulse.errors import Conflict, Malformed, NotFound, OutOfRange
from fleetpulse.ingest.decode import malformed
from fleetpulse.ingest.metrics_file import Definition, definition
from fleetpulse.model.maintenance import MaintenanceWindow, Recurrence, check_window
from fleetpulse.model.metric import MetricDefinition
from fleetpulse.notation.duration import format_seconds, parse_seconds
from fleetpulse.notation.timestamp import EXPECTED, format_rfc3339, parse_rfc3339_ns
from fleetpulse.pipeline.service import Service

WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")


class DefinitionChange(msgspec.Struct, forbid_unknown_fields=True):
    """What changes of a definition; name and kind never do."""

    unit: str | msgspec.UnsetType = msgspec.UNSET
    aggregation: str | msgspec.UnsetType = msgspec.UNSET
    retention_days: int | msgspec.UnsetType = msgspec.UNSET
    raw_days: int | msgspec.UnsetType | None = msgspec.UNSET
    bounds: tuple[int | float | None, int | float | None] | msgspec.UnsetType = msgspec.UNSET
    description: str | msgspec.UnsetType = msgspec.UNSET


def _said(metric: MetricDefinition) -> dict[str, Any]:
    return {
        "name": metric.name,
        "unit": metric.unit,
        "kind": metric.kind,
        "aggregation": metric.aggregation,
        "retention_days": metric.retention_days,
        "raw_days": metric.raw_days,
        "bounds": [metric.lowest, metric.highest],
        "description": metric.description,
    }


def _decoded(body: bytes, kind: Any) -> Any:
    try:
        return msgspec.json.decode(body, type=kind)
    except (ValueError, RecursionError) as error:
        raise malformed(error, f"expected {', '.join(kind.__struct_fields__)}; see /docs") from error


def _defined(said: Definition) -> MetricDefinition:
    try:
        return definition(said)
    except ValueError as error:
        raise OutOfRange(str(error), reason="metric_definition") from error


def _known(node: Service, name: str) -> MetricDefinition:
    found = ready(node).metric_definitions.known.get(name)
    if found is None:
        raise NotFound(
            f"no metric is called {name[:100]}; defined are: {', '.join(node.metric_definitions.known.names[:50])}",
            reason="unknown_metric",
        )
    return found[1]


@get("/api/v1/metrics/definitions")
async def get_definitions(request: AnyRequest, node: Service) -> Response[bytes]:
    """All metrics that may be reported."""
    ready(node)
    read_query(request)
    return answer({"metrics": [_said(_known(node, name)) for name in node.metric_definitions.known.names]})


@post("/api/v1/metrics/definitions", status_code=201)
async def post_definition(request: AnyRequest, node: Service, changing: asyncio.Lock) -> Response[bytes]:
    """Define a metric. 409 where one of its name is defined already."""
    ready(node)
    read_query(request)
    metric = _defined(_decoded(await json_body(request), Definition))
    async with changing:
        if node.metric_definitions.known.get(metric.name) is not None:
            raise Conflict(f"metric {metric.name} is defined already: change it with PATCH", reason="metric_exists")
        await node.metric_definitions.define([metric])
    return answer(_said(metric), 201)


@get("/api/v1/metrics/definitions/{name:str}")
async def get_definition(request: AnyRequest, node: Service, name: str) -> Response[bytes]:
    """One definition."""
    read_query(request)
    return answer(_said(_known(node, name)))


@patch("/api/v1/metrics/definitions/{name:str}")
async def patch_definition(request: AnyRequest, node: Service, changing: asyncio.Lock, name: str) -> Response[bytes]:
    """Change a definition; what is not named stays. A shorter retention removes what is past it with the next compaction."""
    read_query(request)
    _known(node, name)
    change = _decoded(await json_body(request), DefinitionChange)
    async with changing:
        said = _said(_known(node, name))
        said |= {field: value for field, value in msgspec.structs.asdict(change).items() if value is not msgspec.UNSET}
        metric = _defined(Definition(**said))
        await node.metric_definitions.define([metric])
    return answer(_said(metric))


@delete("/api/v1/metrics/definitions/{name:str}", status_code=200)
async def delete_definition(request: AnyRequest, node: Service, changing: asyncio.Lock, name: str) -> Response[bytes]:
    """Take a definition back: the metric is refused from now on, its samples stay until their retention."""
    read_query(request)
    async with changing:
        metric = _known(node, name)
        await node.metric_definitions.undefine(name)
    return answer(
        {
            "msg": f"metric {name} is no longer taken; its samples stay for {metric.retention_days} days, and can be asked for"
        }
    )


class WeeklyBody(msgspec.Struct, forbid_unknown_fields=True):
    """When a window recurs: at a wall-clock time of a zone, on some weekdays (none: every day), for a duration."""

    at: str
    duration: str
    timezone: str = "UTC"
    weekdays: list[str] = []


class WindowBody(msgspec.Struct, forbid_unknown_fields=True):
    """A maintenance window: for whom, from when until when, and perhaps how it recurs in between."""

    title: str = ""
    labels: dict[str, str] = {}
    devices: list[str] = []
    all: bool = False
    start: str | None = None
    end: str | None = None
    recurrence: WeeklyBody | None = None


def _window_said(window: MaintenanceWindow, now_ns: int) -> dict[str, Any]:
    following = next_occurrence(window, after_ns=now_ns)
    said: dict[str, Any] = {
        "id": window.id,
        "title": window.title,
        "labels": window.labels,
        "devices": list(window.devices),
        "all": window.is_for_all,
        "start": format_rfc3339(window.start_ns),
        "end": None if window.end_ns is None else format_rfc3339(window.end_ns),
        "recurrence": None,
        "next": None
        if following is None
        else {"from": format_rfc3339(following[0]), "to": format_rfc3339(following[1])},
        "is_on": following is not None and following[0] <= now_ns,
    }
    if window.recurrence is not None:
        hour, minute = divmod(window.recurrence.start_minute, 60)
        said["recurrence"] = {
            "at": f"{hour:02}:{minute:02}",
            "duration": format_seconds(window.recurrence.duration_s),
            "timezone": window.recurrence.timezone,
            "weekdays": [WEEKDAYS[day] for day in window.recurrence.weekdays],
        }
    return said


def _window_of(body: WindowBody, now_ns: int) -> MaintenanceWindow:
    try:
        start_ns = now_ns if body.start is None else parse_rfc3339_ns(body.start)
        end_ns = None if body.end is None else parse_rfc3339_ns(body.end)
    except ValueError as error:
        raise Malformed(f"`start` and `end` must be {EXPECTED}") from error
    try:
        window = MaintenanceWindow(
            id=secrets.token_hex(8),
            title=body.title,
            labels=body.labels,
            devices=tuple(body.devices),
            start_ns=start_ns,
            end_ns=end_ns,
            recurrence=None if body.recurrence is None else _recurrence(body.recurrence),
            is_for_all=body.all,
        )
        check_window(window)
    except ValueError as error:
        raise OutOfRange(str(error), reason="maintenance_window") from error
    return window


def _recurrence(body: WeeklyBody) -> Recurrence:
    hour, colon, minute = body.at.partition(":")
    is_time = colon and len(hour) == len(minute) == 2 and (hour + minute).isdigit() and (hour + minute).isascii()
    if not is_time or int(hour) > 23 or int(minute) > 59:
        raise ValueError(f"recurrence.at must be a time of day such as 02:30, not `{body.at[:20]}`")
    unknown = [day for day in body.weekdays if day.lower() not in WEEKDAYS]
    if unknown:
        raise ValueError(f"recurrence.weekdays must be of {', '.join(WEEKDAYS)}, not `{unknown[0][:20]}`")
    weekdays = tuple(sorted({WEEKDAYS.index(day.lower()) for day in body.weekdays}))
    return Recurrence(weekdays, int(hour) * 60 + int(minute), parse_seconds(body.duration), body.timezone)


@get("/api/v1/maintenance")
async def get_windows(request: AnyRequest, node: Service) -> Response[bytes]:
    """All maintenance windows, and when each comes next."""
    ready(node)
    read_query(request)
    return answer(
        {"windows": [_window_said(window, node.clock.now_ns()) for window in node.planned_downtime.windows.values()]}
    )


@post("/api/v1/maintenance", status_code=201)
async def post_window(request: AnyRequest, node: Service) -> Response[bytes]:
    """Declare a maintenance window; also one in the past, for figures that should leave it out."""
    ready(node)
    read_query(request)
    window = _window_of(_decoded(await json_body(request), WindowBody), node.clock.now_ns())
    await node.planned_downtime.put_window(window)
    return answer(_window_said(window, node.clock.now_ns()), 201)


@delete("/api/v1/maintenance/{window_id:str}", status_code=200)
async def delete_window(request: AnyRequest, node: Service, window_id: str) -> Response[bytes]:
    """Take a maintenance window back, as if it had never been declared."""
    ready(node)
    read_query(request)
    if not await node.planned_downtime.delete_window(window_id):
        raise NotFound(f"no maintenance window has the id {window_id[:100]}", reason="unknown_window")
    return answer({"msg": f"maintenance window {window_id} is deleted; past figures count its time again"})
