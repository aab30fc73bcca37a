"""What devices report, for connections that the front door has handed over; and bulk bodies."""

from functools import partial
from http import HTTPStatus
from typing import Any

from fleetpulse.api.bind import AnyRequest
from fleetpulse.api.parameters import DeviceIdPath
from fleetpulse.api.request_body import whole_body
from fleetpulse.api.routes import Media, check_media, route
from fleetpulse.errors import Answerable
from fleetpulse.ingest.bodies import Event, Heartbeat, MetricsReport, UploadStats
from fleetpulse.pipeline.reception import Reception
from fleetpulse.query.declaration_answers import BulkVerdict

_report = partial(route, group="ingest", refusals=(404, 422), status=HTTPStatus.NO_CONTENT)
_LINES = Media(
    "application/x-ndjson",
    "one event a line, perhaps compressed as Content-Encoding says (gzip or zstd)",
    example='{"device_id":"press-07","sent_at":"2026-11-24T08:30:00Z"}\n'
    '{"device_id":"press-07","sent_at":"2026-11-24T08:30:05Z","upload_time":1500000000}\n'
    '{"device_id":"press-07","sent_at":"2026-11-24T08:30:10Z","metrics":{"cpu":12.5}}\n',
    lines=Event,
)
_LINE_TYPES = ("application/x-ndjson", "application/ndjson", "application/jsonl", "application/json")


async def _body(request: AnyRequest, reception: Reception, **expected: Any) -> bytes:
    """The body, whose type and coding must be as `expected`, see check_media; a refusal of these is counted."""
    try:
        check_media(request.headers, **expected)
    except Answerable as error:
        reception.refuse_request(error)
        raise
    return await whole_body(request)


@_report(
    "POST /api/v1/devices/{device_id:str}/heartbeat",
    operation="heartbeat",
    permission="report",
    scope="device",
    limit="device",
    takes=Heartbeat,
)
async def post_heartbeat(request: AnyRequest, device_id: DeviceIdPath, reception: Reception) -> None:
    """Report that a device is alive."""
    await reception.heartbeat(device_id, await _body(request, reception))


@_report(
    "POST /api/v1/devices/{device_id:str}/stats",
    operation="stats",
    permission="report",
    scope="device",
    limit="device",
    takes=UploadStats,
)
async def post_stats(request: AnyRequest, device_id: DeviceIdPath, reception: Reception) -> None:
    """Report how long an upload of a device took."""
    await reception.stats(device_id, await _body(request, reception))


@_report(
    "POST /api/v1/devices/{device_id:str}/metrics",
    operation="reportMetrics",
    permission="report",
    scope="device",
    limit="device",
    takes=MetricsReport,
)
async def post_metrics(request: AnyRequest, device_id: DeviceIdPath, reception: Reception) -> None:
    """Report values of some metrics of a device; all of them are accepted, or none."""
    await reception.metrics(device_id, await _body(request, reception))


@route(
    "POST /api/v1/events",
    group="ingest",
    operation="events",
    permission="report",
    scope="labels",
    limit="bulk",
    takes=_LINES,
)
async def post_events(request: AnyRequest, reception: Reception) -> BulkVerdict:
    """Report many events at once.

    Each line is accepted or refused by itself; those that are accepted become durable together, before the answer.
    """
    body = await _body(request, reception, types=_LINE_TYPES, is_coded=True)
    return await reception.bulk(body, request.headers.get("content-encoding", "").strip().lower())
