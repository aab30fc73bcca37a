"""The device routes: the same functions as the front door, for connections that were handed over, and the question."""

import asyncio
from collections.abc import Callable

import msgspec
from litestar import Response, get, post

from fleetpulse.api.problems import AnyRequest
from fleetpulse.errors import Answerable, NotAccepting, UnknownDevice, UnknownMetric, UnsupportedMedia
from fleetpulse.ingest.decode import decode_heartbeat, decode_metrics, decode_stats
from fleetpulse.ingest.future_waiter import FutureWaiter
from fleetpulse.ingest.header_cache import is_json
from fleetpulse.pipeline.service import Service
from fleetpulse.query.stats import device_stats

Events = tuple[Callable[[int, FutureWaiter], None], int]
"""What takes a device's events for a waiter, and how many they are."""


class DeviceAudit(msgspec.Struct):
    """Events of one device: accepted = applied + pending."""

    accepted: int
    applied: int
    pending: int
    heartbeats: int
    samples: int


async def json_body(request: AnyRequest) -> bytes:
    """The body of a request that says it is JSON. Raises: UnsupportedMedia."""
    if request.headers.get("content-encoding", "identity").lower() not in ("", "identity"):
        raise UnsupportedMedia("device routes take no Content-Encoding: send the JSON as it is")
    if not is_json(request.headers.get("content-type", "application/json").encode("latin-1")):
        raise UnsupportedMedia("Content-Type must be application/json")
    return await request.body()


async def _accept(request: AnyRequest, node: Service, device_id: str, decode: Callable[[bytes], Events]) -> None:
    try:
        body = await json_body(request)
    except Answerable as error:
        node.counters.requests_refused[error.reason] += 1
        raise
    try:
        node.intake.check()
        take, count = await _decoded(node, device_id, body, decode)
        device = await known_device(node, device_id, register=True)
        node.intake.check(count)
    except Answerable as error:
        node.intake.received += 1
        node.counters.events_refused[error.reason] += 1
        raise
    # Counted only now: what is still being registered does not wait for the disk yet.
    waiter = FutureWaiter()
    node.intake.received += count
    take(device, waiter)
    await waiter.outcome


async def _decoded(node: Service, device_id: str, body: bytes, decode: Callable[[bytes], Events]) -> Events:
    try:
        return decode(body)
    except UnknownMetric as error:
        # Strangers define nothing.
        if not node.auto_define or not (device_id in node.registry.numbers or node.registry.auto_register):
            raise
        await node.metric_definitions.define_unknown(error.names)
    return decode(body)


async def known_device(node: Service, device_id: str, *, register: bool = False) -> int:
    """The number of a device. Raises: UnknownDevice."""
    device = node.registry.numbers.get(device_id)
    if device is None:
        if not node.readiness.is_ready:
            raise NotAccepting("starting: the journal is being replayed", reason="starting")
        if not register or not node.registry.auto_register:
            raise UnknownDevice
        # Others wait for the same registration: whoever leaves must not take it along.
        await asyncio.shield(node.registry.register(device_id))
        device = node.registry.numbers[device_id]
    return device


@post("/api/v1/devices/{device_id:str}/heartbeat", status_code=204)
async def post_heartbeat(request: AnyRequest, node: Service, device_id: str) -> None:
    """A device says that it is alive."""

    def decode(body: bytes) -> Events:
        sent_at_ns = decode_heartbeat(body, latest_ns=node.intake.latest_ns)
        return (lambda device, waiter: node.intake.add_heartbeat(device, sent_at_ns, waiter)), 1

    await _accept(request, node, device_id, decode)


@post("/api/v1/devices/{device_id:str}/stats", status_code=204)
async def post_stats(request: AnyRequest, node: Service, device_id: str) -> None:
    """A device says how long an upload took."""

    def decode(body: bytes) -> Events:
        sent_at_ns, upload_time = decode_stats(body, latest_ns=node.intake.latest_ns)
        return (lambda device, waiter: node.intake.add_sample(device, sent_at_ns, upload_time, waiter)), 1

    await _accept(request, node, device_id, decode)


@post("/api/v1/devices/{device_id:str}/metrics", status_code=204)
async def post_metrics(request: AnyRequest, node: Service, device_id: str) -> None:
    """A device says the values of some metrics."""

    def decode(body: bytes) -> Events:
        report = decode_metrics(body, latest_ns=node.intake.latest_ns, known=node.intake.metrics)
        return (lambda device, waiter: node.intake.add_report(device, report, waiter)), len(report.metrics)

    await _accept(request, node, device_id, decode)


@get("/api/v1/devices/{device_id:str}/stats")
async def get_stats(node: Service, device_id: str) -> Response[bytes]:
    """Uptime and average upload time over the device's whole life."""
    device = await _ready_device(node, device_id)
    stats = device_stats(await node.questions.figures(device))
    return Response(msgspec.json.encode(stats), media_type="application/json")


@get("/api/v1/devices/{device_id:str}/audit")
async def get_audit(node: Service, device_id: str) -> Response[bytes]:
    """How many events of the device were accepted, applied, and are pending."""
    device = await _ready_device(node, device_id)
    pending = node.follower.pending_of(device)
    fleet = node.fleet
    applied_heartbeats = int(fleet.heartbeats[device])
    applied_samples = int(fleet.uploads[device]) + int(fleet.other_samples[device])
    applied = applied_heartbeats + applied_samples
    audit = DeviceAudit(applied + pending, applied, pending, applied_heartbeats, applied_samples)
    return Response(msgspec.json.encode(audit), media_type="application/json")


async def _ready_device(node: Service, device_id: str) -> int:
    if not node.readiness.is_ready:
        raise NotAccepting("starting: the journal is being replayed", reason="starting")
    return await known_device(node, device_id)
