"""All parts of one service. `app.build` creates them in three steps; each part knows only the parts given to it."""

from dataclasses import dataclass

from fleetpulse.access.gate import Gate
from fleetpulse.access.rate_limits import RateLimits
from fleetpulse.blocks.history import History
from fleetpulse.catalog.catalog import Catalog
from fleetpulse.clock import Clock
from fleetpulse.ingest.connections import Connections
from fleetpulse.ingest.door import Door
from fleetpulse.ingest.intake import Intake
from fleetpulse.journal.journal import Journal
from fleetpulse.live.fleet import Fleet
from fleetpulse.pipeline.acknowledging import Acknowledging
from fleetpulse.pipeline.alert_book import AlertBook
from fleetpulse.pipeline.alert_desk import AlertDesk
from fleetpulse.pipeline.alert_rules import AlertRules
from fleetpulse.pipeline.alerting import Alerting
from fleetpulse.pipeline.audit_log import AuditLog
from fleetpulse.pipeline.backups import Backups
from fleetpulse.pipeline.badges import Badges
from fleetpulse.pipeline.catalog_thread import CatalogThread
from fleetpulse.pipeline.changes import Changes
from fleetpulse.pipeline.clock_acceptance import ClockAcceptance
from fleetpulse.pipeline.declared_files import DeclaredFiles
from fleetpulse.pipeline.deliveries import Deliveries
from fleetpulse.pipeline.disk_watch import DiskWatch
from fleetpulse.pipeline.enrolments import Enrolments
from fleetpulse.pipeline.exports import Exports
from fleetpulse.pipeline.follow import Follower
from fleetpulse.pipeline.forgetting import Forgetting
from fleetpulse.pipeline.housekeeping import Housekeeping
from fleetpulse.pipeline.inventory import Inventory
from fleetpulse.pipeline.issuers import Issuers
from fleetpulse.pipeline.key_ring import KeyRing
from fleetpulse.pipeline.lease import Lease
from fleetpulse.pipeline.link_key_file import LinkKeyFile
from fleetpulse.pipeline.live_feed import LiveFeed
from fleetpulse.pipeline.metric_definitions import MetricDefinitions
from fleetpulse.pipeline.newcomers import Newcomers
from fleetpulse.pipeline.newest import Newest
from fleetpulse.pipeline.node import Node
from fleetpulse.pipeline.node_state import NodeStates
from fleetpulse.pipeline.ownership import Ownership
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
from fleetpulse.pipeline.sending import Sending
from fleetpulse.pipeline.service_clock import ServiceClock
from fleetpulse.pipeline.sessions import Sessions
from fleetpulse.pipeline.sign_in import SignIn
from fleetpulse.pipeline.tail import Tail
from fleetpulse.pipeline.threads import Threads
from fleetpulse.pipeline.token_key_file import TokenKeyFile
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
    changes: Changes
    lease: Lease
    audit_log: AuditLog
    enrolments: Enrolments
    fleet: Fleet
    follower: Follower
    tail: Tail | None
    """None where nobody else appends to the journal."""
    registry: Registry
    newcomers: Newcomers
    gate: Gate
    token_keys: TokenKeyFile
    people: People
    sessions: Sessions
    sign_in: SignIn
    issuers: Issuers
    rate_limits: RateLimits
    key_ring: KeyRing
    metric_definitions: MetricDefinitions
    planned_downtime: PlannedDowntime
    alert_book: AlertBook
    alert_rules: AlertRules
    link_key: LinkKeyFile
    receivers: Receivers
    sending: Sending
    deliveries: Deliveries
    writer: Writer
    intake: Intake
    connections: Connections
    views: Views
    questions: Questions
    live_feed: LiveFeed
    watch: Watch
    loop_lag: LoopLag


@dataclass(frozen=True, kw_only=True)
class Service(Stages):
    """The stages, what the API offers of them, and what opens, starts, tends and stops them."""

    door: Door
    newest: Newest
    reception: Reception
    inventory: Inventory
    seen_rules: SeenRules
    rule_trials: RuleTrials
    acknowledging: Acknowledging
    receiver_desk: ReceiverDesk
    seen_alerts: SeenAlerts
    alert_desk: AlertDesk
    rehearsals: Rehearsals
    exports: Exports
    backups: Backups
    self_metrics: SelfMetrics
    badges: Badges
    node_states: NodeStates
    disk_watch: DiskWatch
    alerting: Alerting
    clock_acceptance: ClockAcceptance
    readiness: Readiness
    housekeeping: Housekeeping
    forgetting: Forgetting
    declared_files: DeclaredFiles
    node: Node
