"""The ASGI application over a node."""

import asyncio
from typing import Any

from litestar import Litestar
from litestar.di import Provide
from litestar.exceptions import HTTPException

from fleetpulse.api import bulk, definitions, devices, export, health, metrics, reports, uptime
from fleetpulse.api.problems import answer, answer_damaged, answer_defect, answer_framework
from fleetpulse.errors import Answerable, OperatorError
from fleetpulse.pipeline.service import Service

HANDLERS = [
    reports.post_heartbeat,
    reports.post_stats,
    reports.post_metrics,
    reports.get_stats,
    reports.get_audit,
    metrics.device_metrics,
    metrics.fleet_metrics,
    export.get_export,
    uptime.get_uptime,
    uptime.get_transitions,
    uptime.get_fleet_uptime,
    uptime.get_fleet_stats,
    devices.get_devices,
    devices.post_device,
    devices.patch_devices,
    devices.get_device,
    devices.patch_device,
    devices.delete_device,
    devices.pause_device,
    devices.resume_device,
    devices.export_devices,
    devices.import_devices,
    definitions.get_definitions,
    definitions.post_definition,
    definitions.get_definition,
    definitions.patch_definition,
    definitions.delete_definition,
    definitions.get_windows,
    definitions.post_window,
    definitions.delete_window,
    bulk.post_events,
    health.root,
    health.healthz,
    health.readyz,
    health.metrics,
    health.openapi,
    health.docs,
]


def build_api(node: Service) -> Litestar:
    """The application; it neither starts nor stops the node."""

    changing = asyncio.Lock()

    def provide_node() -> Service:
        return node

    def provide_changing() -> asyncio.Lock:
        return changing

    handlers: dict[Any, Any] = {
        Answerable: answer,
        OperatorError: answer_damaged,
        HTTPException: answer_framework,
        Exception: answer_defect,
    }
    return Litestar(
        route_handlers=HANDLERS,
        dependencies={
            "node": Provide(provide_node, sync_to_thread=False),
            "changing": Provide(provide_changing, sync_to_thread=False),
        },
        exception_handlers=handlers,
        openapi_config=None,
        logging_config=None,
        # The edge holds the limit, for both protocol classes.
        request_max_body_size=None,
    )
