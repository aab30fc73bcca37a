"""All parts of one service. `app.build` creates them in three steps; each part knows only the parts given to it."""

from dataclasses import dataclass

from fleetpulse.blocks.history import History
from fleetpulse.catalog.catalog import Catalog
from fleetpulse.clock import Clock
from fleetpulse.ingest.connections import Connections
from fleetpulse.ingest.door import Door
from fleetpulse.ingest.intake import Intake
from fleetpulse.journal.journal import Journal
from fleetpulse.live.fleet import Fleet
from fleetpulse.pipeline.catalog_thread import CatalogThread
from fleetpulse.pipeline.clock_acceptance import ClockAcceptance
from fleetpulse.pipeline.declared_files import DeclaredFiles
from fleetpulse.pipeline.disk_watch import DiskWatch
from fleetpulse.pipeline.exports import Exports
from fleetpulse.pipeline.follow import Follower
from fleetpulse.pipeline.forgetting import Forgetting
from fleetpulse.pipeline.housekeeping import Housekeeping
from fleetpulse.pipeline.inventory import Inventory
from fleetpulse.pipeline.metric_definitions import MetricDefinitions
from fleetpulse.pipeline.node import Node
from fleetpulse.pipeline.ownership import Ownership
from fleetpulse.pipeline.planned_downtime import PlannedDowntime
from fleetpulse.pipeline.questions import Questions
from fleetpulse.pipeline.readiness import Readiness
from fleetpulse.pipeline.reception import Reception
from fleetpulse.pipeline.registry import Registry
from fleetpulse.pipeline.self_metrics import SelfMetrics
from fleetpulse.pipeline.service_clock import ServiceClock
from fleetpulse.pipeline.threads import Threads
from fleetpulse.pipeline.views import Views
from fleetpulse.pipeline.watch import Watch
from fleetpulse.pipeline.write import Writer
from fleetpulse.telemetry.counters import Counters
from fleetpulse.telemetry.loop_lag import LoopLag


@dataclass(frozen=True, kw_only=True)
class Stores:
    """What outlives the process, and what every stage needs."""

    clock: Clock
    counters: Counters
    threads: Threads
    journal: Journal
    catalog: Catalog
    history: History
    ownership: Ownership


@dataclass(frozen=True, kw_only=True)
class Stages(Stores):
    """The stages that events and questions pass through, on top of the stores."""

    clock: ServiceClock
    catalog_thread: CatalogThread
    fleet: Fleet
    follower: Follower
    registry: Registry
    metric_definitions: MetricDefinitions
    planned_downtime: PlannedDowntime
    writer: Writer
    intake: Intake
    connections: Connections
    views: Views
    questions: Questions
    watch: Watch
    loop_lag: LoopLag


@dataclass(frozen=True, kw_only=True)
class Service(Stages):
    """The stages, what the API offers of them, and what opens, starts, tends and stops them."""

    door: Door
    reception: Reception
    inventory: Inventory
    exports: Exports
    self_metrics: SelfMetrics
    disk_watch: DiskWatch
    clock_acceptance: ClockAcceptance
    readiness: Readiness
    housekeeping: Housekeeping
    forgetting: Forgetting
    declared_files: DeclaredFiles
    node: Node
