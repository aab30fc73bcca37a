"""The way of events from the journal to the live fleet: our own, or where it is shared, those of all nodes."""

from typing import Any

from fleetpulse.ingest.intake import Intake
from fleetpulse.pipeline.changes import Changes
from fleetpulse.pipeline.cuts import SharedCuts
from fleetpulse.pipeline.follow import Follower
from fleetpulse.pipeline.forget_orders import ForgetOrders
from fleetpulse.pipeline.forgetting import Forgetting
from fleetpulse.pipeline.housekeeping import Housekeeping
from fleetpulse.pipeline.journal_room import JournalRoom
from fleetpulse.pipeline.metric_definitions import MetricDefinitions
from fleetpulse.pipeline.readiness import Readiness
from fleetpulse.pipeline.registry import Registry
from fleetpulse.pipeline.service import Stages, Stores
from fleetpulse.pipeline.service_clock import ServiceClock
from fleetpulse.pipeline.shared_watch import SharedWatch
from fleetpulse.pipeline.tail import Tail
from fleetpulse.pipeline.watch import Watch
from fleetpulse.pipeline.write import Writer
from fleetpulse.settings import Settings


def build_tail(
    settings: Settings, stores: Stores, follower: Follower, changes: Changes, known: tuple[Registry, MetricDefinitions]
) -> Tail | None:
    """What follows the journal; None where nobody else appends to it."""
    if not stores.journal.is_shared:
        return None
    registry, metric_definitions = known
    return Tail(
        journal=stores.journal,
        follower=follower,
        catalog=changes,
        policies=registry.policies,
        counters=stores.counters,
        metric_count=lambda: len(metric_definitions.metrics),
        wait_s=settings.position_wait_s,
    )


def build_writer(settings: Settings, stores: Stores, follower: Follower, tail: Tail | None) -> Writer:
    """The writer. Where nobody else appends to the journal, what it has written is applied at once."""
    writer = Writer(
        journal=stores.journal,
        counters=stores.counters,
        committed=follower.follow if tail is None else tail.committed,
        commit_timeout_s=settings.commit_timeout_s,
    )
    if tail is not None:
        tail.doubts = writer.doubts
    return writer


def build_watch(
    settings: Settings,
    stores: Stores,
    clock: ServiceClock,
    follower: Follower,
    parts_of: tuple[Intake, Changes, Registry],
) -> Watch:
    """The watch on our clock, and on who runs."""
    intake, changes, registry = parts_of
    parts: dict[str, Any] = {"clock": clock, "intake": intake, "follower": follower, "limits": settings}
    if not stores.journal.is_shared:
        return Watch(**parts)
    catalog, run = stores.catalog, changes.catalog_thread.run
    watch = SharedWatch(
        # What memory does not hold yet, an entry must not name: it would wait here, too, while the catalog is away.
        catalog_version=lambda: min(catalog.following_version(), changes.known),
        see_catalog=lambda: changes.reach(0),
        database_ns=lambda: run(catalog.lease.now_ns),
        **parts,
    )
    registry.policies.announce = watch.announce
    return watch


def build_cuts(stages: Stages, readiness: Readiness) -> SharedCuts | None:
    """What takes over the checkpoints of other nodes; None where there are none."""
    if stages.tail is None:
        return None
    return SharedCuts(
        catalog=stages.catalog,
        catalog_thread=stages.catalog_thread,
        changes=stages.changes,
        journal=stages.journal,
        history=stages.history,
        follower=stages.follower,
        tail=stages.tail,
        intake=stages.intake,
        readiness=readiness,
        threads=stages.threads,
    )


def build_forgetting(stages: Stages, housekeeping: Housekeeping) -> Forgetting:
    """What forgets what devices sent: here at once, or where the journal is shared, on the node that has the lease."""
    orders = ForgetOrders(catalog=stages.catalog, catalog_thread=stages.catalog_thread, lease=stages.lease)
    forgetting = Forgetting(intake=stages.intake, housekeeping=housekeeping, orders=orders)
    orders.carry_out = forgetting.carry_out
    stages.changes.reloads.append(orders.reload)
    return forgetting


def build_journal_room(stages: Stages, housekeeping: Housekeeping) -> JournalRoom | None:
    """What keeps room in a shared journal; None where nobody else appends to it: then the disk is watched."""
    if stages.tail is None:
        return None
    return JournalRoom(journal=stages.journal, intake=stages.intake, watch=stages.watch, urge=housekeeping.urge)
