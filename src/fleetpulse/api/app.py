"""The ASGI application: all handlers, the parts of the service that they name, and what every request passes."""

import time
from collections.abc import Callable
from dataclasses import dataclass, fields
from functools import cache, partial
from typing import Any

from litestar import Litestar, Response
from litestar.concurrency import sync_to_thread
from litestar.connection import ASGIConnection
from litestar.exceptions import HTTPException
from litestar.handlers import HTTPRouteHandler
from litestar.openapi import OpenAPIConfig

from fleetpulse import __version__
from fleetpulse.api import (
    blocks,
    definitions,
    devices,
    export,
    front_page,
    health,
    metrics,
    ping,
    reports,
    server_clock,
    uptime,
)
from fleetpulse.api.bind import AnyRequest
from fleetpulse.api.held_answers import HeldAnswers
from fleetpulse.api.long_body import Rendering
from fleetpulse.api.manners import Manners
from fleetpulse.api.openapi import OpenApi, describe
from fleetpulse.api.parameters import QueryNames
from fleetpulse.api.problems import (
    answer_damaged,
    answer_defect,
    answer_framework,
    answer_refusal,
    count_refusal,
    forgetting,
)
from fleetpulse.api.routes import Route, RouteFacts, check_media
from fleetpulse.clock import Clock
from fleetpulse.errors import Answerable, OperatorError
from fleetpulse.limits import QuestionLimits
from fleetpulse.pipeline.catalog_thread import CatalogThread
from fleetpulse.pipeline.clock_acceptance import ClockAcceptance
from fleetpulse.pipeline.declared_files import DeclaredFiles
from fleetpulse.pipeline.disk_watch import DiskWatch
from fleetpulse.pipeline.exports import Exports
from fleetpulse.pipeline.forgetting import Forgetting
from fleetpulse.pipeline.housekeeping import Housekeeping
from fleetpulse.pipeline.inventory import Inventory
from fleetpulse.pipeline.metric_definitions import MetricDefinitions
from fleetpulse.pipeline.planned_downtime import PlannedDowntime
from fleetpulse.pipeline.questions import Questions
from fleetpulse.pipeline.readiness import Readiness
from fleetpulse.pipeline.reception import Reception
from fleetpulse.pipeline.registry import Registry
from fleetpulse.pipeline.self_metrics import SelfMetrics
from fleetpulse.pipeline.threads import Threads
from fleetpulse.telemetry.counters import Counters

ROUTES = [
    route
    for module in (
        *(reports, ping, devices, uptime, metrics, export, definitions, server_clock, blocks),
        *(front_page, health),
    )
    for route in vars(module).values()
    if isinstance(route, Route)
]
"""All routes: those that the modules declare, in their order."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """The parts of the service that handlers use. A handler that names a field as a parameter is given that part."""

    clock: Clock
    threads: Threads
    counters: Counters
    limits: QuestionLimits
    readiness: Readiness
    disk_watch: DiskWatch
    reception: Reception
    registry: Registry
    catalog_thread: CatalogThread
    inventory: Inventory
    forgetting: Forgetting
    metric_definitions: MetricDefinitions
    planned_downtime: PlannedDowntime
    declared_files: DeclaredFiles
    questions: Questions
    exports: Exports
    self_metrics: SelfMetrics
    clock_acceptance: ClockAcceptance
    housekeeping: Housekeeping


def build_api(parts: Parts, *, monotonic_s: Callable[[], float] = time.monotonic) -> Manners:
    """The application over the parts of a service; it neither starts nor stops any of them."""
    # The document takes 0.2 s, for which neither the start nor the event loop should wait.
    named = {field.name: getattr(parts, field.name) for field in fields(Parts)}
    named["openapi"] = partial(sync_to_thread, describe_api)
    named["rendering"] = rendering = Rendering(
        parts.threads.rendering, HeldAnswers(parts.limits.answer_bytes_held_max, parts.counters), parts.questions.memory
    )
    handlers = [route.handler(named, render=rendering.struct, in_time=parts.catalog_thread.in_time) for route in ROUTES]
    query_names = {str(handler.operation_id): QueryNames.of(handler.fn) for handler in handlers}
    methods: dict[str, list[str]] = {}
    for route in ROUTES:
        methods.setdefault(route.path.replace(":str", ""), []).append(route.method)

    def refuse(request: AnyRequest, error: Answerable) -> Response[bytes]:
        count_refusal(parts.counters, request, error)
        return answer_refusal(request, error)

    return Manners(
        _litestar(handlers, guards=[partial(_check_request, parts, query_names)], refuse=refuse),
        methods=methods,
        counters=parts.counters,
        rendering=rendering,
        limits=parts.limits,
        monotonic_s=monotonic_s,
    )


@cache
def describe_api() -> OpenApi:
    """The OpenAPI document of the application, for which no service is needed."""
    nothing = dict.fromkeys([*(field.name for field in fields(Parts)), "openapi", "rendering"])
    config = OpenAPIConfig(
        title="fleetpulse",
        version=__version__,
        description="Durable heartbeats in, exact uptime out. HEAD is answered wherever GET is.",
    )
    return describe(_litestar([route.handler(nothing) for route in ROUTES], openapi_config=config))


def _litestar(handlers: list[HTTPRouteHandler], *, refuse: Any = answer_refusal, **options: Any) -> Litestar:
    exception_handlers: dict[Any, Any] = {
        Answerable: refuse,
        OperatorError: answer_damaged,
        HTTPException: answer_framework,
        Exception: answer_defect,
    }
    return Litestar(
        route_handlers=handlers,
        exception_handlers={kind: forgetting(answer) for kind, answer in exception_handlers.items()},
        logging_config=None,
        # The edge holds the limit of a body's size, for both protocol classes.
        request_max_body_size=None,
        **{"openapi_config": None, **options},
    )


def _check_request(
    parts: Parts,
    query_names: dict[str, QueryNames],
    connection: ASGIConnection[Any, Any, Any, Any],
    handler: HTTPRouteHandler,
) -> None:
    """What every request passes before its handler. Raises: NotAccepting; NotFound; Malformed; UnsupportedMedia.

    Whether the path names something that there is comes first: whoever deletes its own record at a 404 must not get a
    400 for the rest of the request instead.
    """
    facts: RouteFacts | None = handler.opt.get("facts")
    if facts is None:
        return  # OPTIONS, which the framework answers itself
    is_report = "ingest" in (handler.tags or ())
    if not is_report and "service" not in (handler.tags or ()):
        parts.readiness.check()
        if device_id := connection.path_params.get("device_id"):
            # Whether the route knows the parameter is checked below.
            includes_deleted = connection.query_params.get("include_deleted", "false").lower() in ("true", "1", "")
            parts.registry.number_of(device_id, is_deleted_included=includes_deleted)
        if name := connection.path_params.get("name"):
            parts.metric_definitions.get(name)
    if facts.is_strict and connection.scope["query_string"]:
        QueryNames.check_text(connection.scope["query_string"])
        query_names[str(handler.operation_id)].check(list(connection.query_params.multi_items()))
    if isinstance(facts.takes, type) and facts.is_body_required and not is_report:
        check_media(connection.headers)
