"""Bulk ingest: many events in one request, a verdict for every line, durable before the answer."""

import asyncio

import msgspec
from litestar import Response, post

from fleetpulse.api.problems import AnyRequest
from fleetpulse.errors import Answerable, OutOfRange, TooLarge, UnknownDevice, UnsupportedMedia
from fleetpulse.ingest.bulk import BulkReader, decompress
from fleetpulse.ingest.future_waiter import FutureWaiter
from fleetpulse.pipeline.service import Service

_TYPES = ("application/x-ndjson", "application/ndjson", "application/jsonl", "application/json")


class BulkVerdict(msgspec.Struct, omit_defaults=True):
    """What became of the lines. `refused` is capped; `refused_total` and `capped` say what is not listed."""

    accepted: int
    refused: list[dict[str, object]]
    refused_total: int
    capped: bool = False


@post("/api/v1/events", status_code=200)
async def post_events(request: AnyRequest, node: Service) -> Response[bytes]:
    """Heartbeats and samples as NDJSON lines; lines stand or fall alone, those accepted become durable together."""
    body = await request.body()
    async with node.bulk_turns:
        return await _take(body, request, node)


async def _take(body: bytes, request: AnyRequest, node: Service) -> Response[bytes]:
    try:
        reader = await _reader(body, request, node)
    except Answerable as error:
        # How many events it would have been is not known: it counts as a request.
        node.counters.requests_refused[error.reason] += 1
        raise
    for _ in reader.pieces():
        await asyncio.sleep(0)
    await _settle_unknown(node, reader)
    accepted = len(reader.events)
    intake = node.intake
    intake.received += accepted + reader.refused_count
    node.counters.events_refused.update(reader.refused_reasons)
    if accepted:
        try:
            if accepted > intake.waiting_max:
                text = f"{accepted} samples in one body are more than may ever wait for the disk (events_waiting_max): send it in parts"
                raise TooLarge(text, reason="events_in_body")
            intake.check(accepted)
        except Answerable as error:
            node.counters.events_refused[error.reason] += accepted
            raise
        waiter = FutureWaiter()
        intake.add_batch(reader.events, waiter)
        await waiter.outcome
    is_capped = reader.refused_count > len(reader.refused)
    verdict = BulkVerdict(accepted, reader.refused, reader.refused_count, is_capped)
    return Response(msgspec.json.encode(verdict), media_type="application/json")


async def _reader(body: bytes, request: AnyRequest, node: Service) -> BulkReader:
    content_type = request.headers.get("content-type", _TYPES[0]).split(";", 1)[0].strip().lower()
    if content_type not in _TYPES:
        raise UnsupportedMedia(f"Content-Type must be {_TYPES[0]}")
    node.intake.check()
    limits = node.connections.limits
    coding = request.headers.get("content-encoding", "").strip().lower()
    if coding not in ("", "identity"):
        body = await asyncio.get_running_loop().run_in_executor(
            node.threads.decompress, decompress, body, coding, limits
        )
    return BulkReader(
        body, numbers=node.intake.numbers, metrics=node.intake.metrics, latest_ns=node.intake.latest_ns, limits=limits
    )


async def _settle_unknown(node: Service, reader: BulkReader) -> None:
    outcomes: dict[str, asyncio.Future[None]] = {}
    if node.registry.auto_register:
        outcomes = {device_id: node.registry.register(device_id) for device_id in reader.unknown}
        await asyncio.gather(*(asyncio.shield(outcome) for outcome in outcomes.values()), return_exceptions=True)
    for device_id in list(reader.unknown):
        error: BaseException | None = outcomes[device_id].exception() if device_id in outcomes else UnknownDevice()
        if error is not None and not isinstance(error, Answerable):
            raise error
        reader.settle_unknown(device_id, error)
    if reader.undefined and node.auto_define:
        await _define(node, {name for _, line in reader.undefined for name in line.metrics or ()})
    reader.settle_undefined()
    reader.refused.sort(key=lambda refused: int(str(refused["line"])))


async def _define(node: Service, names: set[str]) -> None:
    """Define each name that can be one; a line whose name cannot says so itself, and takes no other line along."""
    for name in sorted(names):
        try:
            await node.metric_definitions.define_unknown([name])
        except OutOfRange as error:
            if error.reason == "metrics_max":
                return
        except Answerable:
            return
