"""The composition root: settings to a running service, in one straight line; closed in reverse order.

A part is built from those above it, and gets exactly those that it uses. `Service` lists all of them.
"""

import asyncio
from dataclasses import fields
from functools import partial
from pathlib import Path
from typing import Any

from fleetpulse.api.app import Parts
from fleetpulse.blocks.stored_late import mergeable
from fleetpulse.clock import Clock, SystemClock
from fleetpulse.data_folder import Synchronous, open_stores
from fleetpulse.disk_space import are_on_one_disk
from fleetpulse.ingest.connections import Connections
from fleetpulse.ingest.door import Door
from fleetpulse.ingest.intake import Intake
from fleetpulse.ingest.report import KnownMetrics
from fleetpulse.live.fleet import Fleet
from fleetpulse.model.heartbeat_policy import HeartbeatPolicy
from fleetpulse.pipeline.catalog_thread import CatalogThread
from fleetpulse.pipeline.clock_acceptance import ClockAcceptance
from fleetpulse.pipeline.declared_files import DeclaredFiles
from fleetpulse.pipeline.disk_watch import DiskWatch
from fleetpulse.pipeline.exports import Exports
from fleetpulse.pipeline.follow import Follower
from fleetpulse.pipeline.forgetting import Forgetting
from fleetpulse.pipeline.gap_retention import GapRetention
from fleetpulse.pipeline.housekeeping import Housekeeping
from fleetpulse.pipeline.inventory import Inventory
from fleetpulse.pipeline.lanes import Lanes
from fleetpulse.pipeline.late_hold import HELD_AT, LateHold
from fleetpulse.pipeline.metric_definitions import MetricDefinitions
from fleetpulse.pipeline.node import Node
from fleetpulse.pipeline.planned_downtime import PlannedDowntime
from fleetpulse.pipeline.questions import Questions
from fleetpulse.pipeline.readiness import Readiness
from fleetpulse.pipeline.reception import Reception
from fleetpulse.pipeline.registry import Registry
from fleetpulse.pipeline.removal import Removal
from fleetpulse.pipeline.rest import Rest
from fleetpulse.pipeline.self_metrics import SelfMetrics
from fleetpulse.pipeline.service import Service, Stages, Stores
from fleetpulse.pipeline.service_clock import ServiceClock
from fleetpulse.pipeline.startup import Startup
from fleetpulse.pipeline.store_return import StoreReturn
from fleetpulse.pipeline.views import Views
from fleetpulse.pipeline.watch import Watch
from fleetpulse.pipeline.write import Writer
from fleetpulse.settings import Settings
from fleetpulse.telemetry.loop_lag import LoopLag


def build(settings: Settings, *, clock: Clock | None = None, synchronous: Synchronous = "FULL") -> Service:
    """A service on the data folder of `settings`, not started.

    Raises: OperatorError: what is on disk cannot be used.
    """
    return assemble(settings, open_stores(settings, clock or SystemClock(), synchronous))


def assemble(settings: Settings, stores: Stores) -> Service:
    """A service on `stores`, which tests keep in memory, not started. On a running event loop."""
    stages = _build_stages(settings, stores)
    readiness = Readiness(stages.intake, history=stages.history, marked=(stages.journal, stages.catalog))
    declared_files = _build_declared_files(settings, stages, readiness)
    housekeeping = _build_housekeeping(settings, stages, readiness)
    startup = _build_startup(stages, declared_files, readiness)
    disk_watch = _build_disk_watch(settings, stages, housekeeping)
    node = Node(
        clock=stages.clock,
        startup=startup,
        startup_thread=stages.threads.catalog,
        readiness=readiness,
        writer=stages.writer,
        intake=stages.intake,
        connections=stages.connections,
        follower=stages.follower,
        watch=stages.watch,
        housekeeping=housekeeping,
        store_return=StoreReturn(
            startup=startup,
            startup_thread=stages.threads.catalog,
            housekeeping=housekeeping,
            readiness=readiness,
            retry_s=settings.s3_retry_s,
            **_stages_of(stages, StoreReturn),
        ),
        disk_watch=disk_watch,
        late_hold=_build_late_hold(settings, stages, readiness),
        rest=Rest(**_stages_of(stages, Rest)),
        loop_lag=stages.loop_lag,
        closers=[
            disk_watch.close,
            stages.threads.close_storage,
            stages.journal.close,
            stages.catalog.close,
            stages.threads.close_others,
        ],
    )
    exports = _build_exports(settings, stages)
    return Service(
        **vars(stages),
        door=_build_door(settings, stages),
        reception=_build_reception(settings, stages),
        inventory=_build_inventory(settings, stages),
        exports=exports,
        self_metrics=_build_self_metrics(stages, readiness, disk_watch, exports),
        disk_watch=disk_watch,
        clock_acceptance=ClockAcceptance(watch=stages.watch, follower=stages.follower),
        readiness=readiness,
        housekeeping=housekeeping,
        forgetting=Forgetting(intake=stages.intake, housekeeping=housekeeping),
        declared_files=declared_files,
        node=node,
    )


def _build_stages(settings: Settings, stores: Stores) -> Stages:
    clock, counters, catalog, threads = _clock(settings, stores), stores.counters, stores.catalog, stores.threads
    catalog_thread = CatalogThread(threads.catalog, timeout_s=settings.commit_timeout_s, activity=catalog.activity)
    known_metrics = KnownMetrics(report_metrics_max=settings.report_metrics_max)
    fleet = Fleet(policy=HeartbeatPolicy(settings.interval_s, settings.grace_s), reserve=settings.devices_max)
    follower = Follower(fleet, counters)
    registry = Registry(
        catalog=catalog,
        catalog_thread=catalog_thread,
        clock=clock,
        follower=follower,
        counters=counters,
        devices_max=settings.devices_max,
        label_names_max=settings.label_names_max,
        policies_max=settings.policies_max,
        auto_register=settings.auto_register,
    )
    metric_definitions = _build_metric_definitions(settings, stores, clock, catalog_thread, known_metrics)
    planned_downtime = _build_planned_downtime(settings, stores, clock, catalog_thread)
    writer = Writer(
        journal=stores.journal, counters=counters, committed=follower.follow, commit_timeout_s=settings.commit_timeout_s
    )
    intake = Intake(
        unknown_fields_max=settings.unknown_fields_max,
        numbers=registry.numbers,
        metrics=known_metrics,
        earliest_ns=settings.earliest_ns,
        events_waiting_max=settings.events_waiting_max,
        wake=writer.wake,
    )
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
    return Stages(
        **{**vars(stores), "clock": clock},
        catalog_thread=catalog_thread,
        fleet=fleet,
        follower=follower,
        registry=registry,
        metric_definitions=metric_definitions,
        planned_downtime=planned_downtime,
        writer=writer,
        intake=intake,
        connections=Connections(settings, counters),
        views=views,
        questions=questions,
        watch=Watch(clock=clock, intake=intake, follower=follower, limits=settings),
        loop_lag=LoopLag(),
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
    )


def _clock(settings: Settings, stores: Stores) -> ServiceClock:
    mark_ns = stores.history.manifest.alive_at_ns
    return ServiceClock(stores.clock, settings, mark_ns=mark_ns, earliest_ns=settings.earliest_ns)


def _build_housekeeping(settings: Settings, stages: Stages, readiness: Readiness) -> Housekeeping:
    removal = Removal(grace=settings, **_stages_of(stages, Removal))
    gap_retention = GapRetention(limits=settings, **_stages_of(stages, GapRetention))
    parts = _stages_of(stages, Housekeeping)
    return Housekeeping(triggers=settings, removal=removal, gap_retention=gap_retention, readiness=readiness, **parts)


def _build_declared_files(settings: Settings, stages: Stages, readiness: Readiness) -> DeclaredFiles:
    return DeclaredFiles(
        devices_path=Path(settings.devices) if settings.devices else None,
        metrics_path=Path(settings.metrics) if settings.metrics else None,
        catalog=stages.catalog,
        catalog_thread=stages.catalog_thread,
        clock=stages.clock,
        registry=stages.registry,
        metric_definitions=stages.metric_definitions,
        readiness=readiness,
        changes_listed_max=settings.changes_listed_max,
    )


def _build_late_hold(settings: Settings, stages: Stages, readiness: Readiness) -> LateHold:
    return LateHold(
        fleet=stages.fleet,
        intake=stages.intake,
        watch=stages.watch,
        readiness=readiness,
        late_rows_max=HELD_AT * settings.checkpoint_late_rows,
        gaps_max=HELD_AT * settings.checkpoint_reception_gaps,
        late_blocks=partial(mergeable, stages.history),
        late_blocks_max=settings.late_blocks_max,
        backlog_after_s=settings.backlog_after_s,
    )


def _build_disk_watch(settings: Settings, stages: Stages, housekeeping: Housekeeping) -> DiskWatch:
    folder, store = Path(settings.data), stages.history.store
    is_shared = not store.is_remote and are_on_one_disk(folder, Path(store.place))

    def give_up_files(size_bytes: int) -> "asyncio.Task[None] | None":
        # While the fleet has no snapshot, older ones are perhaps all that people have.
        return housekeeping.give_up_files(size_bytes) if is_shared and not stages.follower.is_away else None

    return DiskWatch(
        give_up_files=give_up_files,
        folder=folder,
        limits=settings,
        backlog_after_s=settings.backlog_after_s,
        intake=stages.intake,
        watch=stages.watch,
        free_journal=housekeeping.urge,
    )


def _build_startup(stages: Stages, declared_files: DeclaredFiles, readiness: Readiness) -> Startup:
    return Startup(declared_files=declared_files, readiness=readiness, **_stages_of(stages, Startup))


def _stages_of(stages: Stages, part: type) -> dict[str, Any]:
    """Those stages that a part takes: its fields have their names."""
    return {field.name: getattr(stages, field.name) for field in fields(part) if hasattr(stages, field.name)}


def _build_reception(settings: Settings, stages: Stages) -> Reception:
    return Reception(
        clock=stages.clock,
        intake=stages.intake,
        registry=stages.registry,
        metric_definitions=stages.metric_definitions,
        counters=stages.counters,
        limits=settings,
        decompress_thread=stages.threads.decompress,
        auto_define=settings.auto_define,
    )


def _build_inventory(settings: Settings, stages: Stages) -> Inventory:
    return Inventory(
        unknown_fields=stages.intake.unknown_fields,
        clock=stages.clock,
        registry=stages.registry,
        planned_downtime=stages.planned_downtime,
        questions=stages.questions,
        limits=settings,
        import_thread=stages.threads.imports,
        rendering_thread=stages.threads.rendering,
    )


def _build_door(settings: Settings, stages: Stages) -> Door:
    return Door(
        intake=stages.intake,
        connections=stages.connections,
        register=stages.registry.register if settings.auto_register else None,
        defines_unknown=settings.auto_define,
    )


def _build_exports(settings: Settings, stages: Stages) -> Exports:
    return Exports(
        follower=stages.follower,
        history=stages.history,
        registry=stages.registry,
        views=stages.views,
        counters=stages.counters,
        limits=settings,
        thread=stages.threads.export,
        computing=stages.threads.computing,
    )


def _build_self_metrics(stages: Stages, readiness: Readiness, disk_watch: DiskWatch, exports: Exports) -> SelfMetrics:
    return SelfMetrics(
        readiness=readiness,
        lanes=stages.questions.lanes,
        question_memory=stages.questions.memory,
        disk_watch=disk_watch,
        exports=exports,
        **_stages_of(stages, SelfMetrics),
    )


def build_parts(settings: Settings, service: Service) -> Parts:
    """Those parts of a service that the handlers of the API use."""
    names = {field.name for field in fields(Parts)} - {"limits"}
    return Parts(limits=settings, **{name: getattr(service, name) for name in names})
