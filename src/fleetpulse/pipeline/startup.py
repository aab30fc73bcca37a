"""What happens between opening the files and accepting events: memory becomes what the disk says."""

import time

from fleetpulse.blocks.history import History
from fleetpulse.clock import Clock
from fleetpulse.journal.journal import Journal
from fleetpulse.pipeline.declared_files import DeclaredFiles
from fleetpulse.pipeline.follow import Follower
from fleetpulse.pipeline.metric_definitions import MetricDefinitions
from fleetpulse.pipeline.planned_downtime import PlannedDowntime
from fleetpulse.pipeline.readiness import Readiness
from fleetpulse.pipeline.recover import load_snapshot, replay
from fleetpulse.pipeline.registry import Registry
from fleetpulse.telemetry.counters import Counters


class Startup:
    """The steps of a start, in their order."""

    def __init__(
        self,
        *,
        clock: Clock,
        journal: Journal,
        history: History,
        follower: Follower,
        registry: Registry,
        metric_definitions: MetricDefinitions,
        planned_downtime: PlannedDowntime,
        declared_files: DeclaredFiles,
        readiness: Readiness,
        counters: Counters,
    ) -> None:
        self._clock = clock
        self._journal = journal
        self._history = history
        self._follower = follower
        self._registry = registry
        self._metric_definitions = metric_definitions
        self._planned_downtime = planned_downtime
        self._declared_files = declared_files
        self._readiness = readiness
        self._counters = counters

    def run(self) -> None:
        """Load catalog and snapshot, replay the journal, read the declared files. Blocks; on the catalog's thread.

        Raises: OperatorError: what is on disk, or a declared file, cannot be used. OSError.
        """
        readiness, fleet = self._readiness, self._follower.fleet
        readiness.stage = "devices"
        self._registry.load()
        self._metric_definitions.load()
        self._planned_downtime.load()
        readiness.stage = "snapshot"
        load_snapshot(fleet, self._history)
        # The days since the snapshot are opened before the replay, so that the replayed heartbeats find dense rows.
        self._follower.advance(self._clock.now_ns())
        readiness.stage = "replay"
        self._follower.position = replay(
            fleet,
            self._journal,
            after=self._history.manifest.position,
            metrics_count=len(self._metric_definitions.metrics),
            progress=readiness.replay,
            # The loop gets its turn, so that /readyz is answered during a long replay.
            advanced=lambda: time.sleep(0),
        )
        self._counters.events_replayed = readiness.replay.events
        # Only now: if the catalog has lost devices, a new device of devices.csv would get the number of a lost one, and
        # the replay would give it the lost one's events instead of failing.
        self._declared_files.load_now()
        readiness.stage = "ready"
