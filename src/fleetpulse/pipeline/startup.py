"""What happens between opening the files and accepting events: memory becomes what the disk says."""

import time
from dataclasses import dataclass

from fleetpulse.blocks.history import History
from fleetpulse.catalog.catalog import Catalog
from fleetpulse.clock import Clock
from fleetpulse.journal.journal import Journal
from fleetpulse.pipeline.declared_files import DeclaredFiles
from fleetpulse.pipeline.follow import Follower
from fleetpulse.pipeline.metric_definitions import MetricDefinitions
from fleetpulse.pipeline.ownership import Ownership
from fleetpulse.pipeline.planned_downtime import PlannedDowntime
from fleetpulse.pipeline.readiness import Readiness
from fleetpulse.pipeline.recover import load_snapshot, replay
from fleetpulse.pipeline.registry import Registry
from fleetpulse.pipeline.threads import Threads
from fleetpulse.telemetry.counters import Counters


@dataclass(eq=False, frozen=True, kw_only=True)
class Startup:
    """The steps of a start, in their order."""

    clock: Clock
    journal: Journal
    catalog: Catalog
    history: History
    follower: Follower
    registry: Registry
    metric_definitions: MetricDefinitions
    planned_downtime: PlannedDowntime
    declared_files: DeclaredFiles
    readiness: Readiness
    counters: Counters
    ownership: Ownership
    threads: Threads

    def run(self) -> None:
        """Load catalog and snapshot, replay the journal, read the declared files. Blocks; on the catalog's thread.

        Raises: OperatorError: what is on disk, or a declared file, cannot be used. OSError. Unfinished.
        """
        readiness, fleet = self.readiness, self.follower.fleet
        self.ownership.begin()
        self._let_others()
        readiness.stage = "devices"
        self.registry.load()
        self.metric_definitions.load()
        self.planned_downtime.load()
        self._let_others()
        readiness.stage = "snapshot"
        load_snapshot(fleet, self.history)
        # The days since the snapshot are opened before the replay, so that the replayed heartbeats find dense rows.
        self.follower.advance(self.clock.now_ns())
        self._let_others()
        readiness.stage = "replay"
        self.follower.position = replay(
            fleet,
            self.journal,
            after=self.history.manifest.position,
            metrics_count=len(self.metric_definitions.metrics),
            progress=readiness.replay,
            advanced=self._let_others,
        )
        self.counters.events_replayed = readiness.replay.events
        if not fleet.alive_at_ns:
            # Nothing is left that tells when the service ran; a loss that people accepted perhaps does.
            fleet.alive_at_ns = max((loss.since_ns for _, loss in self.catalog.losses()), default=0)
        # Only now: if the catalog has lost devices, a new device of devices.csv would get the number of a lost one, and
        # the replay would give it the lost one's events instead of failing.
        self.declared_files.load_now()
        readiness.stage = "ready"

    def _let_others(self) -> None:
        """The loop gets its turn, so that /readyz is answered during a long replay, and may end it."""
        time.sleep(0)
        self.threads.ending.check()
