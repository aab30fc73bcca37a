"""Routes about the service itself: whether it runs and is ready, what it counts, offers, and holds of one device."""

from typing import Any

from litestar import Response
from msgspec import UNSET

from fleetpulse import __version__
from fleetpulse.access.gate import Gate
from fleetpulse.api.docs_page import HTML_HEADERS, docs_page
from fleetpulse.api.long_body import Rendering
from fleetpulse.api.openapi import OpenApiSource
from fleetpulse.api.parameters import DeviceIdPath, read_include_deleted
from fleetpulse.api.routes import Media, route
from fleetpulse.errors import READ_ONLY
from fleetpulse.pipeline.disk_watch import DiskWatch
from fleetpulse.pipeline.questions import Questions
from fleetpulse.pipeline.readiness import Readiness
from fleetpulse.pipeline.registry import Registry
from fleetpulse.pipeline.self_metrics import SelfMetrics
from fleetpulse.query.answers import DeviceAccount, DeviceStats
from fleetpulse.query.health_answers import DiskState, Health, Ready, Replay
from fleetpulse.telemetry.exposition import CONTENT_TYPE


@route(
    "GET /api/v1/devices/{device_id:str}/stats",
    group="questions",
    operation="getStats",
    permission="read",
    scope="device",
    limit="key",
    refusals=(404,),
    readers={"is_deleted_included": read_include_deleted},
)
async def get_stats(*, device_id: DeviceIdPath, questions: Questions, is_deleted_included: bool) -> DeviceStats:
    """Uptime and average upload time over the whole life of a device."""
    return await questions.stats(device_id, is_deleted_included=is_deleted_included)


@route(
    "GET /api/v1/devices/{device_id:str}/account",
    group="questions",
    operation="getAccount",
    permission="read",
    scope="device",
    limit="key",
    refusals=(404,),
    readers={"is_deleted_included": read_include_deleted},
)
async def get_account(
    *, device_id: DeviceIdPath, questions: Questions, registry: Registry, is_deleted_included: bool
) -> DeviceAccount:
    """How many events of a device there are: accepted = applied + pending."""
    return questions.account(registry.number_of(device_id, is_deleted_included=is_deleted_included))


@route(
    "GET /api/v1/devices/{device_id:str}/audit",
    group="questions",
    operation="getAudit",
    permission="read",
    scope="device",
    limit="key",
    refusals=(404,),
    readers={"is_deleted_included": read_include_deleted},
)
async def get_device_audit(
    *, device_id: DeviceIdPath, questions: Questions, registry: Registry, is_deleted_included: bool
) -> DeviceAccount:
    """The same as `…/account`, under its former name."""
    return questions.account(registry.number_of(device_id, is_deleted_included=is_deleted_included))


@route(
    "GET /healthz",
    group="service",
    operation="healthz",
    permission="open",
    scope="none",
    limit="none",
    failures={503: Health},
)
async def get_health(readiness: Readiness) -> Response[Health]:
    """Tell that the process is alive; 503 where only a restart helps, so that a supervisor restarts it."""
    refusal = readiness.refusal
    if refusal is not None and refusal.reason == READ_ONLY:
        return Response(Health(status=READ_ONLY, version=__version__, msg=refusal.msg), status_code=503)
    return Response(Health("ok", __version__))


@route(
    "GET /readyz",
    group="service",
    operation="readyz",
    permission="open",
    scope="none",
    limit="none",
    failures={503: Ready},
)
async def get_readiness(readiness: Readiness, disk_watch: DiskWatch, gate: Gate) -> Response[Ready]:
    """Tell whether events are accepted and questions answered; why not, and the replay's progress.

    Status `degraded`, with 200, says that events are accepted, and in `msg` what does not work.
    """
    replay = Replay(readiness.replay.position, readiness.replay.until, readiness.replay.events)
    refusal, space = readiness.refusal, disk_watch.space
    auth: dict[str, Any] = {"auth": gate.state, "warning": gate.warning or UNSET}
    disk = UNSET if space is None else DiskState(space.free_bytes, disk_watch.note or UNSET)
    if refusal is None:
        degraded = [*readiness.troubles, *([disk_watch.note] if disk_watch.level else [])]
        if degraded:
            return Response(Ready(status="degraded", msg="; ".join(degraded), replay=replay, disk=disk, **auth))
        return Response(Ready(status="ready", replay=replay, disk=disk, **auth))
    unready = Ready(status=refusal.reason, msg=refusal.msg, stage=readiness.stage, replay=replay, disk=disk, **auth)
    return Response(unready, status_code=503)


@route(
    "GET /metrics",
    group="service",
    operation="metrics",
    permission="scrape",
    scope="whole",
    limit="key",
    media=(Media("text/plain", "Prometheus text format", example="fleetpulse_ready 1.0\n"),),
)
async def get_self_metrics(self_metrics: SelfMetrics, rendering: Rendering) -> Response[bytes]:
    """The service's own counters; they reconcile, see docs/reference/telemetry.md."""
    return await rendering.whole(await rendering.run(self_metrics.gather()), headers={"content-type": CONTENT_TYPE})


@route(
    "GET /openapi.json",
    group="service",
    operation="openapi",
    permission="open",
    scope="none",
    limit="key",
    is_tagged=True,
    media=(Media("application/json", "OpenAPI 3.1", kind="object"),),
)
async def get_openapi(openapi: OpenApiSource, rendering: Rendering) -> Response[bytes]:
    """Describe this interface to programs."""
    return await rendering.whole((await openapi()).encoded, "application/json")


@route(
    "GET /docs",
    group="service",
    operation="docs",
    permission="open",
    scope="none",
    limit="key",
    is_tagged=True,
    media=(Media("text/html", "one page without scripts", example="<!doctype html>"),),
)
async def get_docs(openapi: OpenApiSource, rendering: Rendering) -> Response[bytes]:
    """Describe this interface to people, on one page that needs no network."""
    page: str = await rendering.run(docs_page, (await openapi()).document)
    return await rendering.whole(page.encode(), headers=HTML_HEADERS)
