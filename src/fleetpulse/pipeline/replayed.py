"""The live fleet as a start would make it, of what stands in a journal, a catalog and blocks; nothing is changed."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass

from fleetpulse.blocks.history import History
from fleetpulse.blocks.store import BlockStore
from fleetpulse.catalog.catalog import Catalog
from fleetpulse.journal.journal import Journal
from fleetpulse.live.fleet import Fleet
from fleetpulse.live.fleet_hash import fleet_hash
from fleetpulse.model.events import Position
from fleetpulse.model.heartbeat_policy import HeartbeatPolicy
from fleetpulse.pipeline.readiness import ReplayProgress
from fleetpulse.pipeline.recover import load_snapshot, replay

_UNSAID = HeartbeatPolicy(60, 240)
"""Where no start has recorded its own yet; devices with a policy of their own are judged by that."""
Advanced = Callable[[int, int], None]
"""Called with how much is done, and of how much."""


@dataclass(frozen=True, slots=True)
class Replayed:
    """A fleet, as its hash, and what it came from."""

    position: Position
    fleet: str
    """See `fleet_hash`."""
    entries: str
    """SHA-256 of the journal's entries after the manifest's position, with their positions."""


def replayed(journal: Journal, catalog: Catalog, store: BlockStore, *, advanced: Advanced) -> Replayed:
    """The hash of the fleet that a start would find.

    Raises: DamagedData: something is missing, or not as it was written. OSError; DatabaseBusy.
    """
    manifest = catalog.manifest()
    defaults = catalog.policies.defaults()
    fleet = Fleet(policy=_UNSAID)
    if defaults:
        fleet.policies.set_default(defaults)
    fleet.resize(catalog.device_count())
    for record in catalog.records():
        device = record.device
        history = fleet.policies.history_of(record.policies, device.interval_s, device.grace_s)
        if history != fleet.policies_of(record.number):
            fleet.set_policy(record.number, history)
    load_snapshot(fleet, History(store, manifest))
    progress, last = ReplayProgress(), journal.last_position()
    position = replay(
        fleet,
        journal,
        after=manifest.position,
        metrics_count=len(catalog.metrics()),
        progress=progress,
        advanced=lambda: advanced(progress.position - manifest.position, last - manifest.position),
    )
    return Replayed(position, fleet_hash(fleet), entries_hash(journal, after=manifest.position))


def entries_hash(journal: Journal, *, after: Position) -> str:
    """SHA-256 of the entries behind a position, each with its own."""
    digest = hashlib.sha256()
    for position, body in journal.read(after=after):
        digest.update(position.to_bytes(8, "little") + len(body).to_bytes(8, "little") + body)
    return digest.hexdigest()
