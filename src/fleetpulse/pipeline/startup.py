"""What happens between opening the files and accepting events: memory becomes what the disk says."""

import time
from dataclasses import dataclass

import structlog

from fleetpulse.blocks.history import History
from fleetpulse.catalog.catalog import Catalog
from fleetpulse.clock import Clock
from fleetpulse.errors import DamagedData, Unreadable
from fleetpulse.journal.journal import Journal
from fleetpulse.model.events import Position
from fleetpulse.model.manifest import files_to_start
from fleetpulse.notation.count import count_text
from fleetpulse.pipeline.alert_book import AlertBook
from fleetpulse.pipeline.alert_rules import AlertRules
from fleetpulse.pipeline.changes import Changes
from fleetpulse.pipeline.checkpoint import sound_names
from fleetpulse.pipeline.declared_files import DeclaredFiles
from fleetpulse.pipeline.follow import Follower
from fleetpulse.pipeline.issuers import Issuers
from fleetpulse.pipeline.key_ring import KeyRing
from fleetpulse.pipeline.lease import Lease
from fleetpulse.pipeline.metric_definitions import MetricDefinitions
from fleetpulse.pipeline.ownership import Ownership
from fleetpulse.pipeline.planned_downtime import PlannedDowntime
from fleetpulse.pipeline.readiness import NAMED_MAX, Readiness
from fleetpulse.pipeline.receivers import Receivers
from fleetpulse.pipeline.recover import counted_since, load_snapshot, log_missing_blocks, mark_the_end, replay
from fleetpulse.pipeline.registry import Registry
from fleetpulse.pipeline.sign_in import SignIn
from fleetpulse.pipeline.threads import Threads
from fleetpulse.storage_causes import RESTORE
from fleetpulse.telemetry.counters import Counters

log = structlog.get_logger("start")


@dataclass(eq=False, frozen=True, kw_only=True)
class Startup:
    """The steps of a start, in their order."""

    clock: Clock
    journal: Journal
    catalog: Catalog
    history: History
    follower: Follower
    registry: Registry
    key_ring: KeyRing
    metric_definitions: MetricDefinitions
    planned_downtime: PlannedDowntime
    changes: Changes
    alert_book: AlertBook
    alert_rules: AlertRules
    receivers: Receivers
    sign_in: SignIn
    issuers: Issuers
    declared_files: DeclaredFiles
    readiness: Readiness
    counters: Counters
    ownership: Ownership
    lease: Lease
    threads: Threads

    def run(self) -> None:
        """Load catalog and snapshot, replay the journal, read the declared files. Blocks; on the catalog's thread.

        Raises: OperatorError: what is on disk, or a declared file, cannot be used. OSError. Unfinished.
        """
        readiness, fleet = self.readiness, self.follower.fleet
        self.ownership.compare()
        self.lease.begin()
        self._let_others()
        if self.ownership.trouble:
            readiness.degraded["blocks"] = self.ownership.trouble
        readiness.stage = "devices"
        self.registry.policies.note_default(at_ns=self.clock.now_ns())  # before, so that the first entry names it
        self.changes.note_loaded()
        if self.journal.is_shared:
            self.history.manifest = self.catalog.manifest()  # another node may have written one since it was opened
            self.registry.policies.version = self.history.manifest.catalog_version
        manifest = self.history.manifest
        self.registry.load()
        self.key_ring.load()
        self._note_wrong_rows()
        self.metric_definitions.load()
        self.planned_downtime.load()
        self.alert_rules.load()
        self.alert_book.load()
        self.receivers.load()
        self.sign_in.load()
        self.issuers.load()
        self._let_others()
        if manifest.snapshot is not None and not self.ownership.trouble:
            log_missing_blocks(self.history)
        readiness.stage = "snapshot"
        self._load_set_aside()
        try:
            self.fetch()
        except DamagedData as error:
            if isinstance(error, Unreadable) and not self.history.store.is_remote:
                raise
            log.error("the snapshot cannot be read; events are accepted, and nothing is answered", error=str(error))
            readiness.degraded["snapshot"] = str(error)
            readiness.is_away = self.follower.is_away = True
            self.follower.position = manifest.position
            if not self.journal.is_shared:
                self.follower.position = mark_the_end(
                    fleet,
                    self.journal,
                    manifest,
                    metrics_count=len(self.metric_definitions.metrics),
                    now_ns=self.clock.now_ns(),
                )
        else:
            self.load(is_first=True)
            # Last: what is on disk can be used, so another service may be thrown out of the store now. Otherwise the
            # first checkpoint does it: blocks may be missing because this is an older copy of a folder that runs.
            self.ownership.begin()
        if self.ownership.trouble:
            readiness.degraded["blocks"] = self.ownership.trouble
        self.catalog.note_started()
        readiness.stage = "catch_up"

    def _note_wrong_rows(self) -> None:
        """Say which rows of the catalog are damaged: each costs what it said, and nothing else.

        /readyz, which everybody may ask, says how many devices these are about; only the log names them.
        """
        catalog, devices = self.catalog, self.registry.unreadable
        wrong = [*catalog.wrong_rows(), *catalog.alert_rules.wrong_rows(), *self.key_ring.unreadable]
        wrong += catalog.receivers.wrong_rows()
        texts = wrong[:NAMED_MAX]
        if devices:
            text = f"catalog rows of {count_text(len(devices), 'device')} cannot be read"
            texts.append(f"{text}: what they said counts as not declared; the log of the start names them")
        if texts:
            self.readiness.degraded["catalog"] = "; ".join(texts)
            todo = "declare these again, then restart; `fleetpulse verify` names all damaged rows"
            named = [f"{device} ({fields})" for device, fields in list(devices.items())[:NAMED_MAX]]
            log.error("rows of the catalog are damaged", rows=texts, devices=named, todo=todo)

    def fetch(self) -> None:
        """See that the blocks can be read without which there is no fleet. Blocks; in any thread.

        Raises: Unreadable: the storage does not give one. DamagedData: some are damaged or missing, with what to do.
            OSError: a shared journal does not answer.
        """
        history = self.history
        manifest = history.manifest
        history.check_again()  # a block that was found damaged may have been put back
        wrong: list[str] = []
        for file in files_to_start(manifest):
            try:
                if file is manifest.counted and manifest.snapshot is not None and not wrong:
                    counted_since(history, history.read_snapshot(manifest.snapshot))
                else:
                    history.check_once(file)
            except Unreadable:
                raise
            except DamagedData as error:
                fault = str(error).removesuffix(RESTORE).rstrip(" .")
                wrong.append(f"{fault} ({file.size_bytes} bytes, SHA-256 {file.sha256})")
        if wrong:
            raise DamagedData(
                f"{'; '.join(wrong)}: put back, from a copy, {'this file' if len(wrong) == 1 else 'these files'} under "
                f"the same name in {history.store.place}, and nothing else; it is looked for again and again, without "
                "a restart. Until then events are accepted, and nothing is answered"
            )
        if self.journal.is_shared:
            self.readiness.replay.until = self.journal.last_position()

    def load(self, *, is_first: bool) -> None:
        """The steps after `fetch`. Blocks; while nothing is appended to the journal.

        Where it raises, the follower is away as before, and the fleet is half loaded.

        Args: is_first: nothing was loaded since the process started, so the declared files are to be read, too.
        Raises: OperatorError; OSError; DatabaseBusy: the catalog does not answer. Unfinished.
        """
        readiness, fleet = self.readiness, self.follower.fleet
        readiness.stage = "snapshot"
        load_snapshot(fleet, self.history)
        sound_names(self.history)
        if self.journal.is_shared:
            # What comes behind the snapshot is applied as `Tail` takes it, here as later.
            position = readiness.replay.position = self.history.manifest.position
        else:
            position = self._replay()
        # Only now: if the catalog has lost devices, a new device of devices.csv would get the number of a lost one, and
        # the replay would give it the lost one's events instead of failing.
        if is_first:
            self.declared_files.load_now()
        # After all that may fail: from here on the loop applies entries, and takes checkpoints of the fleet.
        self.follower.come_back(position)
        readiness.stage = "catch_up"

    def _replay(self) -> Position:
        """Apply the journal behind the snapshot. Returns: the position of its last entry."""
        readiness, fleet = self.readiness, self.follower.fleet
        # The days since the snapshot are opened before the replay, so that the replayed heartbeats find dense rows.
        fleet.advance(self.clock.now_ns())
        self._let_others()
        readiness.stage, readiness.replay.events = "replay", 0  # an earlier try may have counted some
        position = replay(
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
        return position

    def _let_others(self) -> None:
        """The loop gets its turn, so that /readyz is answered during a long replay, and may end it."""
        time.sleep(0)
        self.threads.ending.check()

    def _load_set_aside(self) -> None:
        """Take up which blocks are set aside, less those that were restored while the service did not run."""
        history = self.history
        history.set_aside.restore(
            self.catalog.files.set_aside(), {file.name: file for file in history.manifest.files()}
        )
        history.check_again()
