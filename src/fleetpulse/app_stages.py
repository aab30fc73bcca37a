"""What `app` builds first: the stages that events and questions pass through."""

import secrets
import socket
from functools import partial

from fleetpulse.app_access import build_access, daily_limit
from fleetpulse.app_deliveries import build_deliveries
from fleetpulse.app_tail import build_tail, build_watch, build_writer
from fleetpulse.clock import Clock
from fleetpulse.ingest.connections import Connections
from fleetpulse.ingest.intake import Intake
from fleetpulse.ingest.proxies import TrustedProxies
from fleetpulse.ingest.report import KnownMetrics
from fleetpulse.live.fleet import Fleet
from fleetpulse.model.heartbeat_policy import HeartbeatPolicy
from fleetpulse.pipeline.alert_book import AlertBook
from fleetpulse.pipeline.alert_rules import AlertRules
from fleetpulse.pipeline.catalog_thread import CatalogThread
from fleetpulse.pipeline.changes import Changes
from fleetpulse.pipeline.fitness import unfit_because
from fleetpulse.pipeline.follow import Follower
from fleetpulse.pipeline.lanes import Lanes
from fleetpulse.pipeline.lease import Lease
from fleetpulse.pipeline.live_feed import LiveFeed
from fleetpulse.pipeline.metric_definitions import MetricDefinitions
from fleetpulse.pipeline.newcomers import Newcomers
from fleetpulse.pipeline.planned_downtime import PlannedDowntime
from fleetpulse.pipeline.questions import Questions
from fleetpulse.pipeline.registry import Registry
from fleetpulse.pipeline.service import Stages, Stores
from fleetpulse.pipeline.service_clock import ServiceClock
from fleetpulse.pipeline.views import Views
from fleetpulse.pipeline.write import Writer
from fleetpulse.settings import Settings
from fleetpulse.telemetry.loop_lag import LoopLag


def _default_policy(settings: Settings) -> HeartbeatPolicy:
    return HeartbeatPolicy(settings.interval_s, settings.grace_s, round(1_000 * settings.gap_factor))


def build_stages(settings: Settings, stores: Stores) -> Stages:
    """The stages that events and questions pass through, on `stores`."""
    clock, counters, catalog, threads = _clock(settings, stores), stores.counters, stores.catalog, stores.threads
    catalog_thread = CatalogThread(threads.catalog, timeout_s=settings.commit_timeout_s, activity=catalog.activity)
    lease = _build_lease(settings, stores, clock, catalog_thread)
    known_metrics = KnownMetrics(report_metrics_max=settings.report_metrics_max)
    fleet = Fleet(policy=_default_policy(settings), reserve=settings.devices_max)
    follower = Follower(fleet, counters)
    registry = _build_registry(settings, stores, clock, catalog_thread, fleet)
    metric_definitions = _build_metric_definitions(settings, stores, clock, catalog_thread, known_metrics)
    planned_downtime = _build_planned_downtime(settings, stores, clock, catalog_thread)
    changes = Changes(catalog=catalog, catalog_thread=catalog_thread)
    tail = build_tail(settings, stores, follower, changes, (registry, metric_definitions))
    writer = build_writer(settings, stores, follower, tail)
    intake = _build_intake(settings, stores, registry, known_metrics, writer)
    lease.unfit_because = partial(unfit_because, intake, follower, is_store_remote=stores.history.store.is_remote)
    views = Views(
        clock=clock, fleet=fleet, history=stores.history, registry=registry, planned_downtime=planned_downtime
    )
    questions = Questions(
        clock=clock,
        follower=follower,
        history=stores.history,
        registry=registry,
        metric_definitions=metric_definitions,
        views=views,
        limits=settings,
        lanes=Lanes.of(settings, threads, counters=counters, clock=clock),
        computing=threads.computing,
    )
    access = build_access(settings, stores, clock=clock, catalog_thread=catalog_thread, registry=registry, lease=lease)
    return Stages(
        **{**vars(stores), "clock": clock},
        **access,
        **build_deliveries(settings, stores, clock=clock, catalog_thread=catalog_thread, lease=lease),
        catalog_thread=catalog_thread,
        changes=changes,
        lease=lease,
        fleet=fleet,
        follower=follower,
        tail=tail,
        registry=registry,
        newcomers=Newcomers(registry, catalog_thread, daily_limit(settings, "registrations_per_day", clock)),
        metric_definitions=metric_definitions,
        planned_downtime=planned_downtime,
        alert_book=AlertBook(catalog=catalog, catalog_thread=catalog_thread, clock=clock, settings=settings),
        alert_rules=AlertRules(catalog=catalog, catalog_thread=catalog_thread, clock=clock, limits=settings),
        writer=writer,
        intake=intake,
        connections=Connections(
            settings, counters, proxies=TrustedProxies(settings.trusted_proxies, header=settings.forwarded_header)
        ),
        views=views,
        questions=questions,
        live_feed=LiveFeed(
            gate=access["gate"], views=views, follower=follower, counters=counters, limits=settings, thread=threads.feed
        ),
        watch=build_watch(settings, stores, clock, follower, (intake, changes, registry)),
        loop_lag=LoopLag(),
    )


def _build_lease(settings: Settings, stores: Stores, clock: Clock, catalog_thread: CatalogThread) -> Lease:
    return Lease(
        catalog=stores.catalog,
        catalog_thread=catalog_thread,
        renewing=CatalogThread(stores.threads.lease),
        clock=clock,
        name=f"{settings.node_name or socket.gethostname()}-{secrets.token_hex(4)}",
        is_alone=not stores.journal.is_shared,
    )


def _build_intake(
    settings: Settings, stores: Stores, registry: Registry, known_metrics: KnownMetrics, writer: Writer
) -> Intake:
    return Intake(
        unknown_fields_max=settings.unknown_fields_max,
        numbers=registry.numbers,
        metrics=known_metrics,
        earliest_ns=settings.earliest_ns,
        events_waiting_max=settings.events_waiting_max,
        new_arrived=stores.counters.requests.arrived if settings.request_telemetry else None,
        wake=writer.wake,
    )


def _build_registry(
    settings: Settings, stores: Stores, clock: Clock, catalog_thread: CatalogThread, fleet: Fleet
) -> Registry:
    return Registry(
        catalog=stores.catalog,
        catalog_thread=catalog_thread,
        clock=clock,
        fleet=fleet,
        counters=stores.counters,
        devices_max=settings.devices_max,
        label_names_max=settings.label_names_max,
        policies_max=settings.policies_max,
        auto_register=settings.auto_register,
    )


def _build_planned_downtime(
    settings: Settings, stores: Stores, clock: Clock, catalog_thread: CatalogThread
) -> PlannedDowntime:
    return PlannedDowntime(
        catalog=stores.catalog,
        catalog_thread=catalog_thread,
        clock=clock,
        windows_max=settings.windows_max,
        window_devices_max=settings.window_devices_max,
    )


def _build_metric_definitions(
    settings: Settings, stores: Stores, clock: Clock, catalog_thread: CatalogThread, known: KnownMetrics
) -> MetricDefinitions:
    return MetricDefinitions(
        catalog=stores.catalog,
        catalog_thread=catalog_thread,
        clock=clock,
        known=known,
        metrics_max=settings.metrics_max,
        types_max=settings.types_max,
        retention_grace_s=settings.retention_grace_s,
        daily=daily_limit(settings, "definitions_per_day", clock),
    )


def _clock(settings: Settings, stores: Stores) -> ServiceClock:
    # What other nodes received by their clocks says nothing about ours.
    mark_ns = 0 if stores.journal.is_shared else stores.history.manifest.alive_at_ns
    return ServiceClock(stores.clock, settings, mark_ns=mark_ns, earliest_ns=settings.earliest_ns)
