"""The composition root: settings to a running service, in one straight line; closed in reverse order.

A part is built from those above it, and gets exactly those that it uses. `Service` lists all of them.
"""

import asyncio
import socket
from collections.abc import Callable
from dataclasses import fields
from functools import partial
from pathlib import Path
from typing import Any

from fleetpulse.api.app import Parts
from fleetpulse.api.origins import Origins
from fleetpulse.app_access import build_key_use
from fleetpulse.app_alerts import build_alerting, build_desks, build_rehearsals, build_seen_alerts
from fleetpulse.app_stages import build_stages
from fleetpulse.app_tail import build_cuts, build_forgetting, build_journal_room
from fleetpulse.app_telemetry import build_badges, build_telemetry_rounds
from fleetpulse.blocks.stored_late import mergeable
from fleetpulse.clock import Clock, SystemClock
from fleetpulse.data_folder import Synchronous, open_stores
from fleetpulse.disk_space import are_on_one_disk
from fleetpulse.ingest.door import Door
from fleetpulse.pipeline.alert_expiry import AlertExpiry
from fleetpulse.pipeline.backups import Backups
from fleetpulse.pipeline.clock_acceptance import ClockAcceptance
from fleetpulse.pipeline.cuts import OwnCuts, SharedCuts
from fleetpulse.pipeline.declared_files import DeclaredFiles
from fleetpulse.pipeline.disk_watch import DiskWatch
from fleetpulse.pipeline.exports import Exports
from fleetpulse.pipeline.file_sources import (
    FileSource,
    alerts_source,
    devices_source,
    metrics_source,
    receiver_section,
    route_section,
    rule_section,
)
from fleetpulse.pipeline.gap_retention import GapRetention
from fleetpulse.pipeline.housekeeping import Housekeeping
from fleetpulse.pipeline.inventory import Inventory
from fleetpulse.pipeline.late_hold import HELD_AT, LateHold
from fleetpulse.pipeline.manifest_copy import ManifestCopy
from fleetpulse.pipeline.newest import Newest
from fleetpulse.pipeline.node import Node
from fleetpulse.pipeline.node_state import NodeStates
from fleetpulse.pipeline.rate_watch import RateWatch
from fleetpulse.pipeline.readiness import Readiness
from fleetpulse.pipeline.receiver_desk import ReceiverDesk
from fleetpulse.pipeline.reception import Reception
from fleetpulse.pipeline.reloading import Reloading
from fleetpulse.pipeline.removal import Removal
from fleetpulse.pipeline.rest import Rest
from fleetpulse.pipeline.rule_trials import RuleTrials
from fleetpulse.pipeline.seen_rules import SeenRules
from fleetpulse.pipeline.self_metrics import SelfMetrics
from fleetpulse.pipeline.service import Service, Stages, Stores
from fleetpulse.pipeline.startup import Startup
from fleetpulse.pipeline.store_return import StoreReturn
from fleetpulse.pipeline.telemetry_rounds import TelemetryRounds
from fleetpulse.settings import Settings


def build(settings: Settings, *, clock: Clock | None = None, synchronous: Synchronous = "FULL") -> Service:
    """A service on the data folder of `settings`, not started.

    Raises: OperatorError: what is on disk cannot be used.
    """
    return assemble(settings, open_stores(settings, clock or SystemClock(), synchronous))


def assemble(settings: Settings, stores: Stores) -> Service:
    """A service on `stores`, which tests keep in memory, not started. On a running event loop."""
    stages = build_stages(settings, _shared(stores))
    readiness = Readiness(
        stages.intake, history=stages.history, marked=(stages.journal, stages.catalog), clock=stages.clock
    )
    _follow_catalog(stages, readiness)
    declared_files, shared_cuts = _build_declared_files(settings, stages, readiness), build_cuts(stages, readiness)
    housekeeping = _build_housekeeping(settings, stages, readiness, shared_cuts)
    startup = _build_startup(stages, declared_files, readiness)
    disk_watch, forgetting = _build_disk_watch(settings, stages, housekeeping), build_forgetting(stages, housekeeping)
    telemetry_rounds = build_telemetry_rounds(settings, stages, readiness)
    alerting = build_alerting(settings, stages, readiness, housekeeping, disk_watch)
    node = Node(
        **_stages_of(stages, Node),
        forget_orders=forgetting.orders,
        journal_room=build_journal_room(stages, housekeeping),
        key_use=build_key_use(settings, stages),
        startup=startup,
        startup_thread=stages.threads.catalog,
        readiness=readiness,
        housekeeping=housekeeping,
        shared_cuts=shared_cuts,
        store_return=_build_store_return(settings, stages, startup, housekeeping),
        disk_watch=disk_watch,
        late_hold=_build_late_hold(settings, stages, readiness),
        rate_watch=RateWatch(backlog_after_s=settings.backlog_after_s, **_stages_of(stages, RateWatch)),
        rest=Rest(**_stages_of(stages, Rest)),
        telemetry_rounds=telemetry_rounds,
        alerting=alerting,
        alert_expiry=AlertExpiry(stages.alert_book, stages.lease),
        closers=[disk_watch.close, telemetry_rounds.otel.close, *_closers(stages)],
    )
    exports, newest = _build_exports(settings, stages), Newest(**_stages_of(stages, Newest))
    seen_rules = SeenRules(**_stages_of(stages, SeenRules))
    return Service(
        **vars(stages),
        door=_build_door(settings, stages, newest),
        newest=newest,
        reception=_build_reception(settings, stages, newest),
        inventory=_build_inventory(settings, stages),
        seen_rules=seen_rules,
        rule_trials=RuleTrials(seen_rules=seen_rules, questions=stages.questions, alerting=alerting),
        **build_desks(settings, stages, receiver_desk=ReceiverDesk(**_stages_of(stages, ReceiverDesk))),
        seen_alerts=build_seen_alerts(stages, alerting),
        rehearsals=build_rehearsals(settings, stages, seen_rules, alerting),
        exports=exports,
        backups=_build_backups(settings, stages, housekeeping, readiness),
        badges=build_badges(settings, stages),
        self_metrics=_build_self_metrics(stages, node, disk_watch, exports, telemetry_rounds),
        node_states=NodeStates(name=settings.node_name or socket.gethostname(), **_stages_of(stages, NodeStates)),
        disk_watch=disk_watch,
        alerting=alerting,
        clock_acceptance=ClockAcceptance(watch=stages.watch, follower=stages.follower),
        readiness=readiness,
        housekeeping=housekeeping,
        forgetting=forgetting,
        declared_files=declared_files,
        node=node,
    )


def _shared(stores: Stores) -> Stores:
    """The same; where other nodes append to the journal, they change the catalog, too."""
    if stores.journal.is_shared:
        stores.catalog.share()
    return stores


def _closers(stages: Stages) -> list[Callable[[], None]]:
    return [stages.threads.close_storage, stages.journal.close, stages.catalog.close, stages.threads.close_others]


def _follow_catalog(stages: Stages, readiness: Readiness) -> None:
    """Let all parts come to know what other nodes change in the catalog."""
    reloading = Reloading(**_stages_of(stages, Reloading), is_holder=lambda: stages.lease.is_held)
    stages.changes.reloads.append(reloading.reload)
    stages.changes.access_reloads.append(reloading.reload_access)
    stages.registry.between_pieces = stages.changes.look_at_access
    stages.changes.degraded = readiness.degraded


def _build_store_return(
    settings: Settings, stages: Stages, startup: Startup, housekeeping: Housekeeping
) -> StoreReturn:
    return StoreReturn(
        startup=startup,
        startup_thread=stages.threads.catalog,
        housekeeping=housekeeping,
        readiness=housekeeping.readiness,
        retry_s=settings.s3_retry_s,
        **_stages_of(stages, StoreReturn),
    )


def _build_housekeeping(
    settings: Settings, stages: Stages, readiness: Readiness, shared_cuts: SharedCuts | None
) -> Housekeeping:
    manifest_copy = ManifestCopy(**_stages_of(stages, ManifestCopy))
    removal = Removal(grace=settings, manifest_copy=manifest_copy, **_stages_of(stages, Removal))
    gap_retention = GapRetention(limits=settings, **_stages_of(stages, GapRetention))
    parts = _stages_of(stages, Housekeeping)
    parts |= {"readiness": readiness, "cuts": shared_cuts or OwnCuts(stages.follower, stages.history)}
    return Housekeeping(triggers=settings, removal=removal, gap_retention=gap_retention, **parts)


def _build_declared_files(settings: Settings, stages: Stages, readiness: Readiness) -> DeclaredFiles:
    sources: list[FileSource[Any]] = []
    if settings.devices:
        sources.append(devices_source(Path(settings.devices), stages.registry))
    if settings.metrics:
        sources.append(metrics_source(Path(settings.metrics), stages.metric_definitions))
    if settings.alerts:
        sections = [
            rule_section(stages.alert_rules),
            receiver_section(stages.receivers),
            route_section(stages.receivers),
        ]
        sources.append(alerts_source(Path(settings.alerts), sections))
    return DeclaredFiles(
        sources=sources,
        catalog=stages.catalog,
        catalog_thread=stages.catalog_thread,
        clock=stages.clock,
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


def _build_reception(settings: Settings, stages: Stages, newest: Newest) -> Reception:
    return Reception(
        clock=stages.clock,
        intake=stages.intake,
        registry=stages.registry,
        newcomers=stages.newcomers,
        rate_limits=stages.rate_limits,
        metric_definitions=stages.metric_definitions,
        newest=newest,
        counters=stages.counters,
        limits=settings,
        decompress_thread=stages.threads.decompress,
        auto_define=settings.auto_define,
    )


def _build_inventory(settings: Settings, stages: Stages) -> Inventory:
    return Inventory(
        unknown_fields=stages.intake.unknown_fields,
        clock=stages.clock,
        fleet=stages.follower.fleet,
        registry=stages.registry,
        key_ring=stages.key_ring,
        planned_downtime=stages.planned_downtime,
        questions=stages.questions,
        limits=settings,
        import_thread=stages.threads.imports,
        rendering_thread=stages.threads.rendering,
    )


def _build_door(settings: Settings, stages: Stages, newest: Newest) -> Door:
    find = newest.find if newest.is_shared else None
    door = Door(
        intake=stages.intake,
        connections=stages.connections,
        gate=stages.gate,
        unknown=stages.registry.unknown,
        lanes=stages.rate_limits.devices,
        register=stages.newcomers.register if settings.auto_register else find,
        defines_unknown=settings.auto_define or newest.is_shared,
        hands_over=newest.hands_over,
    )
    if stages.tail is not None:
        stages.tail.on_acked = door.show_position
    return door


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


def _build_backups(settings: Settings, stages: Stages, housekeeping: Housekeeping, readiness: Readiness) -> Backups:
    return Backups(
        folder=stages.ownership.folder,
        housekeeping=housekeeping,
        readiness=readiness,
        limits=settings,
        disk_limits=settings,
        **_stages_of(stages, Backups),
    )


def _build_self_metrics(
    stages: Stages, node: Node, disk_watch: DiskWatch, exports: Exports, rounds: TelemetryRounds
) -> SelfMetrics:
    made = SelfMetrics(
        readiness=node.readiness,
        alerting=node.alerting,
        shared_cuts=node.shared_cuts,
        lanes=stages.questions.lanes,
        question_memory=stages.questions.memory,
        disk_watch=disk_watch,
        exports=exports,
        fleet_figures=rounds.fleet_figures,
        dead_man=rounds.dead_man,
        otel_exports=rounds.otel.exports,
        **_stages_of(stages, SelfMetrics),
    )
    rounds.otel.begin(stages.counters, made.values)
    return made


def build_parts(settings: Settings, service: Service) -> Parts:
    """Those parts of a service that the handlers of the API use."""
    names = {field.name for field in fields(Parts)} - {"limits", "telemetry_settings", "origins"}
    origins = Origins(settings.cors_origins)
    return Parts(
        limits=settings,
        telemetry_settings=settings,
        origins=origins,
        **{name: getattr(service, name) for name in names},
    )
