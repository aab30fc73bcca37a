"""Is it there, is it ready, what does it count, what does it offer."""

from typing import Any

import msgspec
from litestar import Response, get

from fleetpulse import __version__
from fleetpulse.api.openapi import docs_page, openapi_document
from fleetpulse.blocks.s3 import S3BlockStore
from fleetpulse.pipeline.service import Service
from fleetpulse.telemetry.exposition import CONTENT_TYPE, Value, exposition


def _json(value: Any, status: int = 200) -> Response[bytes]:
    return Response(msgspec.json.encode(value), status_code=status, media_type="application/json")


@get("/")
async def root() -> Response[bytes]:
    """The contract's sign of life."""
    return _json("OK.")


@get("/healthz")
async def healthz() -> Response[bytes]:
    """The process is alive."""
    return _json({"status": "ok", "version": __version__})


@get("/readyz")
async def readyz(node: Service) -> Response[bytes]:
    """Whether events are accepted and questions answered; the reason and the replay's progress where not."""
    readiness, progress = node.readiness, node.readiness.replay
    replay = {"position": progress.position, "until": progress.until, "events": progress.events}
    refusal = readiness.refusal
    if refusal is None:
        return _json({"status": "ready", "replay": replay})
    return _json({"status": refusal.reason, "msg": refusal.msg, "stage": readiness.stage, "replay": replay}, 503)


@get("/metrics")
async def metrics(node: Service) -> Response[bytes]:
    """Our own counters in the Prometheus text format; they reconcile, see docs/reference/telemetry.md."""
    counters, intake = node.counters, node.intake
    p = "fleetpulse_"
    totals: dict[str, tuple[str, Value]] = {
        p + "events_received": ("Events that came in, whatever became of them", intake.received),
        p + "events_accepted": ("Events durable in the journal", counters.events_accepted),
        p + "events_refused": ("Events refused, by reason", dict(counters.events_refused)),
        p + "events_applied": ("Accepted events applied to the live fleet", counters.events_applied),
        p + "events_replayed": ("Events read back from the journal at start", counters.events_replayed),
        p + "requests_refused": (
            "Requests refused before there was an event, by reason",
            dict(counters.requests_refused),
        ),
        p + "connections_opened": ("Connections taken", counters.connections_opened),
        p + "connections_refused": ("Connections closed at once, by limit", dict(counters.connections_refused)),
        p + "commits": ("Journal commits", counters.commits),
        p + "commits_failed": ("Journal commits that failed", counters.commits_failed),
        p + "checkpoints": ("Checkpoints taken", counters.checkpoints),
        p + "checkpoints_failed": ("Checkpoints that failed", counters.checkpoints_failed),
        p + "compactions": ("Pieces of compaction or retention done", counters.compactions),
        p + "compactions_failed": ("Pieces of compaction or retention that failed", counters.compactions_failed),
        p + "devices_registered": ("Devices registered since the start", counters.devices_registered),
    }
    gauges = {
        p + "ready": ("1 while events are accepted", int(node.readiness.refusal is None)),
        p + "events_waiting": ("Events received that wait for the disk", intake.waiting),
        p + "events_pending": ("Accepted events not applied yet", node.follower.pending_events),
        p + "bulk_bytes_held": ("Bytes of bulk bodies not answered yet", node.connections.bulk_bytes_held),
        p + "connections": ("Open connections", len(node.connections)),
        p + "devices": ("Known devices", len(node.registry.numbers)),
        p + "journal_position": ("Position of the newest entry", node.follower.position),
        p + "checkpoint_position": ("Position of the last checkpoint", node.history.manifest.position),
        p + "checkpoint_last_seconds": ("How long the last checkpoint took", counters.checkpoint_last_s),
        p + "blocks": ("Files that the manifest names", len(node.history.manifest.files())),
        p + "blocks_bytes": ("Their bytes", sum(file.size_bytes for file in node.history.manifest.files())),
        p + "kept_bytes": ("Bytes of footers and small columns kept in memory", node.history.kept.size_bytes),
        p + "samples_live": ("Samples in memory that no block holds yet", node.fleet.samples.count),
        p + "late_rows": ("Device-days of late data in memory", len(node.fleet.sparse)),
    }
    store = node.history.store
    if isinstance(store, S3BlockStore):
        totals[p + "cache_hits"] = ("Blocks of the S3 store that were found warm on disk", store.cache_hits)
        totals[p + "cache_misses"] = ("Blocks of the S3 store that were fetched", store.cache_misses)
        gauges[p + "cache_bytes"] = ("Bytes of warm blocks on disk", store.cache_bytes)
    return Response(exposition(totals=totals, gauges=gauges), headers={"content-type": CONTENT_TYPE})


@get("/openapi.json")
async def openapi() -> Response[bytes]:
    """This interface, as OpenAPI 3.1."""
    return _json(openapi_document())


@get("/docs")
async def docs() -> Response[bytes]:
    """This interface, to read: one page without scripts, so that it works where there is no internet."""
    return Response(docs_page().encode(), headers={"content-type": "text/html; charset=utf-8"})
