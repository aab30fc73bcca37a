"""The ASGI application: all handlers, the parts of the service that they name, and what every request passes."""

import time
from collections.abc import Callable
from dataclasses import dataclass, fields
from functools import cache, partial
from http import HTTPStatus
from typing import Any

from litestar import Litestar, Response
from litestar.concurrency import sync_to_thread
from litestar.connection import ASGIConnection
from litestar.exceptions import HTTPException
from litestar.handlers import HTTPRouteHandler
from litestar.openapi import OpenAPIConfig

from fleetpulse import __version__
from fleetpulse.access.gate import Gate
from fleetpulse.access.rate_limits import RateLimits
from fleetpulse.access_errors import TooManyRequests
from fleetpulse.api import (
    acknowledge_page,
    alert_rules,
    alerts,
    audit,
    backup,
    badges,
    blocks,
    definitions,
    devices,
    enrolment,
    export,
    fit,
    front_page,
    health,
    keys,
    metrics,
    node,
    people,
    ping,
    receivers,
    rehearsals,
    reports,
    server_clock,
    service_discovery,
    sign_in,
    sign_in_page,
    silences,
    stream,
    uptime,
)
from fleetpulse.api.admission import (
    admit,
    attempt_of,
    client_address,
    has_session,
    is_refused,
    refusal_of_unrouted,
    unsought,
)
from fleetpulse.api.bind import AnyRequest
from fleetpulse.api.held_answers import HeldAnswers
from fleetpulse.api.long_body import Rendering
from fleetpulse.api.manners import Manners
from fleetpulse.api.openapi import OpenApi, describe
from fleetpulse.api.origins import Origins
from fleetpulse.api.parameters import QueryNames
from fleetpulse.api.problems import (
    answer_damaged,
    answer_defect,
    answer_framework,
    answer_refusal,
    count_refusal,
    forgetting,
)
from fleetpulse.api.request_id import request_id_of
from fleetpulse.api.routes import Route, RouteFacts, check_media
from fleetpulse.catalog.acting import Act, set_act
from fleetpulse.clock import Clock
from fleetpulse.errors import Answerable, OperatorError, WebPage
from fleetpulse.limits import QuestionLimits
from fleetpulse.model.access import Principal
from fleetpulse.pipeline.acknowledging import Acknowledging
from fleetpulse.pipeline.alert_desk import AlertDesk
from fleetpulse.pipeline.audit_log import AuditLog
from fleetpulse.pipeline.backups import Backups
from fleetpulse.pipeline.badges import Badges
from fleetpulse.pipeline.catalog_thread import CatalogThread
from fleetpulse.pipeline.clock_acceptance import ClockAcceptance
from fleetpulse.pipeline.declared_files import DeclaredFiles
from fleetpulse.pipeline.disk_watch import DiskWatch
from fleetpulse.pipeline.enrolments import Enrolments
from fleetpulse.pipeline.exports import Exports
from fleetpulse.pipeline.forgetting import Forgetting
from fleetpulse.pipeline.housekeeping import Housekeeping
from fleetpulse.pipeline.inventory import Inventory
from fleetpulse.pipeline.key_ring import KeyRing
from fleetpulse.pipeline.live_feed import LiveFeed
from fleetpulse.pipeline.metric_definitions import MetricDefinitions
from fleetpulse.pipeline.newest import Newest
from fleetpulse.pipeline.node_state import NodeStates
from fleetpulse.pipeline.people import People
from fleetpulse.pipeline.planned_downtime import PlannedDowntime
from fleetpulse.pipeline.questions import Questions
from fleetpulse.pipeline.readiness import Readiness
from fleetpulse.pipeline.receiver_desk import ReceiverDesk
from fleetpulse.pipeline.receivers import Receivers
from fleetpulse.pipeline.reception import Reception
from fleetpulse.pipeline.registry import Registry
from fleetpulse.pipeline.rehearsals import Rehearsals
from fleetpulse.pipeline.rule_trials import RuleTrials
from fleetpulse.pipeline.seen_alerts import SeenAlerts
from fleetpulse.pipeline.seen_rules import SeenRules
from fleetpulse.pipeline.self_metrics import SelfMetrics
from fleetpulse.pipeline.sessions import Sessions
from fleetpulse.pipeline.sign_in import SignIn
from fleetpulse.pipeline.tail import HEADER, Tail
from fleetpulse.pipeline.threads import Threads
from fleetpulse.telemetry.counters import Counters
from fleetpulse.telemetry_settings import TelemetrySettings

ROUTES = [
    route
    for module in (
        *(reports, ping, devices, uptime, fit, metrics, badges, service_discovery, export, stream),
        *(definitions, server_clock, blocks, backup),
        *(alerts, silences, alert_rules, rehearsals, receivers, acknowledge_page),
        *(audit, keys, enrolment, people, sign_in, sign_in_page, front_page, health, node),
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
    telemetry_settings: TelemetrySettings
    origins: Origins
    readiness: Readiness
    disk_watch: DiskWatch
    reception: Reception
    registry: Registry
    gate: Gate
    people: People
    sessions: Sessions
    sign_in: SignIn
    rate_limits: RateLimits
    key_ring: KeyRing
    catalog_thread: CatalogThread
    audit_log: AuditLog
    enrolments: Enrolments
    inventory: Inventory
    forgetting: Forgetting
    metric_definitions: MetricDefinitions
    newest: Newest
    planned_downtime: PlannedDowntime
    seen_rules: SeenRules
    rule_trials: RuleTrials
    acknowledging: Acknowledging
    receivers: Receivers
    receiver_desk: ReceiverDesk
    seen_alerts: SeenAlerts
    alert_desk: AlertDesk
    rehearsals: Rehearsals
    declared_files: DeclaredFiles
    questions: Questions
    tail: Tail | None
    exports: Exports
    live_feed: LiveFeed
    backups: Backups
    self_metrics: SelfMetrics
    badges: Badges
    node_states: NodeStates
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
        if not is_refused(request):
            count_refusal(parts.counters, request, error)
            parts.audit_log.watch(error, attempt_of(request))  # a wrong password, which a handler refuses
        return answer_refusal(request, error)

    def refuse_unrouted(request: AnyRequest, error: HTTPException) -> Response[bytes]:
        is_unrouted = error.status_code in (HTTPStatus.NOT_FOUND, HTTPStatus.METHOD_NOT_ALLOWED)
        refusal = refusal_of_unrouted(request, parts.gate, parts.rate_limits) if is_unrouted else None
        return answer_framework(request, error) if refusal is None else answer_refusal(request, refusal)

    guards = [partial(_check_request, parts, query_names)]
    return Manners(
        _litestar(handlers, guards=guards, refuse=refuse, refuse_unrouted=refuse_unrouted),
        methods=methods,
        counters=parts.counters,
        rendering=rendering,
        limits=parts.limits,
        origins=parts.origins,
        charge=lambda scope: refusal_of_unrouted(ASGIConnection(scope), parts.gate, parts.rate_limits),
        monotonic_s=monotonic_s,
        tail=parts.tail,
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


def _litestar(
    handlers: list[HTTPRouteHandler],
    *,
    refuse: Any = answer_refusal,
    refuse_unrouted: Any = answer_framework,
    **options: Any,
) -> Litestar:
    exception_handlers: dict[Any, Any] = {
        Answerable: refuse,
        OperatorError: answer_damaged,
        HTTPException: refuse_unrouted,
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


async def _check_request(
    parts: Parts,
    query_names: dict[str, QueryNames],
    connection: ASGIConnection[Any, Any, Any, Any],
    handler: HTTPRouteHandler,
) -> None:
    """What every request passes before its handler.

    Raises: Unauthenticated; Forbidden; TooManyRequests; NotAccepting; NotFound; Malformed; UnsupportedMedia.

    Who asks comes first, since nobody else may learn what there is. Whether the path names something that there is
    comes next: whoever deletes its own record at a 404 must not get a 400 for the rest of the request instead.
    """
    facts: RouteFacts | None = handler.opt.get("facts")
    if facts is None:
        refusal = refusal_of_unrouted(connection, parts.gate, parts.rate_limits)
        if refusal is not None:
            raise refusal
        return  # OPTIONS, which the framework answers itself
    try:
        principal = await admit(connection, facts, parts.gate, parts.rate_limits, parts.newest)
    except TooManyRequests:
        if facts.access.limit == "login":
            await parts.sign_in.hold_back()
        raise
    is_report = "ingest" in (handler.tags or ())
    is_act = not is_report and connection.scope.get("method") != "GET"
    set_act(_act(connection, handler, principal) if is_act else None)
    try:
        method = str(connection.scope.get("method"))
        parts.origins.check_write(method, connection.headers)
        if has_session(connection):
            parts.origins.check_session(method, connection.headers, is_report=is_report)
    except WebPage as error:
        if is_report:
            parts.reception.refuse_request(error)
        raise
    if not is_report and "service" not in (handler.tags or ()):
        parts.readiness.check()
        await _know_enough(parts, connection, facts, principal, is_act=is_act)
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


async def _know_enough(
    parts: Parts,
    connection: ASGIConnection[Any, Any, Any, Any],
    facts: RouteFacts,
    principal: Principal | None,
    *,
    is_act: bool,
) -> None:
    """Wait until this node knows what the request builds on, where other nodes know more. Raises: NotAccepting."""
    shown = connection.headers.get(HEADER)
    if parts.tail is not None and (shown is not None or not is_act):
        await parts.tail.wait_for(shown)
    await (parts.newest.before_act() if is_act else parts.newest.look_for(unsought(connection, facts, principal)))


def _act(connection: ASGIConnection[Any, Any, Any, Any], handler: HTTPRouteHandler, principal: Principal | None) -> Act:
    """What somebody does by a request that changes something."""
    who, role = ("", "") if principal is None else (principal.name, str(principal.role))
    return Act(
        who=who,
        role=role,
        action=str(handler.operation_id),
        subject=" ".join(f"{name.removesuffix('_id')} {value}" for name, value in connection.path_params.items()),
        address=client_address(connection),
        request_id=request_id_of(connection.scope),
        needs_changes=principal is None,  # signing in: refreshing a token is no act
    )
