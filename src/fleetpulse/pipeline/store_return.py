"""What a start could not do because the block store did not answer, or a block was damaged, done as soon as it can be.

Until then events go to the journal. Without an owner nothing is written to the store; without a snapshot nothing is
applied and answered, and no checkpoint is taken. To load the snapshot, events are refused for as long as the replay of
the journal takes, as at a start. Where the store, the catalog or the journal does not answer meanwhile, all is put back
as it was, and it is tried again from the beginning.
"""

import asyncio
import math
import time
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass, field
from functools import partial

import structlog

from fleetpulse.blocks.history import History
from fleetpulse.errors import (
    READ_ONLY,
    Answerable,
    DamagedData,
    DatabaseBusy,
    NotAccepting,
    OperatorError,
    StorageFailed,
    Unreadable,
)
from fleetpulse.ingest.intake import Intake
from fleetpulse.live.cut import clear
from fleetpulse.pipeline.changes import Changes
from fleetpulse.pipeline.follow import Follower
from fleetpulse.pipeline.housekeeping import Housekeeping
from fleetpulse.pipeline.ownership import Ownership
from fleetpulse.pipeline.readiness import RETRY_S, Readiness
from fleetpulse.pipeline.startup import Startup
from fleetpulse.pipeline.tail import Tail
from fleetpulse.pipeline.threads import Threads
from fleetpulse.pipeline.watch import Watch
from fleetpulse.pipeline.write import Writer

log = structlog.get_logger("start")


@dataclass(eq=False, kw_only=True)
class StoreReturn:
    """Used on the loop."""

    history: History
    changes: Changes
    ownership: Ownership
    follower: Follower
    readiness: Readiness
    startup: Startup
    startup_thread: Executor
    housekeeping: Housekeeping
    intake: Intake
    writer: Writer
    watch: Watch
    threads: Threads
    tail: Tail | None
    retry_s: float
    monotonic_s: Callable[[], float] = time.monotonic
    _tried_at_s: float = field(default=0.0, init=False)
    _task: asyncio.Task[None] | None = field(default=None, init=False)
    _has_loaded: bool = field(default=False, init=False)
    """A snapshot was loaded since the process started, and the declared files were read."""

    def begin(self) -> None:
        """The start has just tried."""
        self._tried_at_s = self.monotonic_s()
        self._has_loaded = not self.follower.is_away

    def hurry(self) -> None:
        """Try at the next tick."""
        self._tried_at_s = -math.inf

    def tick(self) -> None:
        """Try again in the background where anything is left to do, every `retry_s`."""
        is_due = self.monotonic_s() - self._tried_at_s >= self.retry_s
        if self._is_left and is_due and (self._task is None or self._task.done()):
            self._tried_at_s = self.monotonic_s()
            self._task = asyncio.create_task(self.try_again())

    @property
    def _is_left(self) -> bool:
        return self._is_snapshot_left or "blocks" in self.readiness.degraded

    @property
    def _is_snapshot_left(self) -> bool:
        # Not while `SharedCuts` still reads which snapshot is the newest: it sets `degraded` when it has read that.
        return self.follower.is_away and "snapshot" in self.readiness.degraded

    async def end(self, *, within_s: float) -> None:
        """Wait for what is running, but no longer than this."""
        if self._task is not None:
            await asyncio.wait([self._task], timeout=within_s)

    async def try_again(self) -> None:
        """Become the owner of the store, and load the snapshot, as far as they are left to do."""
        try:
            if "blocks" in self.readiness.degraded:
                await self._claim()
            if self._is_snapshot_left:
                await self._fetch()
        except Exception as error:
            # A fleet that is half loaded must not be used, and only a restart begins anew.
            log.error("the snapshot could not be loaded", exc_info=error)
            self.intake.close(NotAccepting(f"read-only: {error}; restart the service", reason=READ_ONLY))

    async def _claim(self) -> None:
        try:
            await self.ownership.ensure(self.history.manifest)
        except (OSError, OperatorError, DatabaseBusy) as error:
            self.readiness.degraded["blocks"] = str(error)
        else:
            del self.readiness.degraded["blocks"]
            log.info("the block store can be used")
            if "checkpoint" in self.readiness.degraded and not self.follower.is_away:
                await self.housekeeping.checkpoint()

    async def _fetch(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            if self.tail is not None:
                # Other nodes go on writing checkpoints, and remove the blocks of the one that was tried the last time.
                await self.changes.reach(0)
                self.history.manifest = await loop.run_in_executor(self.startup_thread, self.startup.catalog.manifest)
            await loop.run_in_executor(self.threads.files, self.startup.fetch)
        except (Answerable, DamagedData, StorageFailed, OSError) as error:
            # Also where it is damaged: whoever restores the object need not restart the service.
            self.readiness.degraded["snapshot"] = str(error)
            return
        self.watch.hold()
        if self.intake.closed_by is None:
            text = "starting: the snapshot is there, and the journal is being replayed"
            self.intake.close(NotAccepting(text, reason="starting", retry_after_s=RETRY_S))
        await self.writer.drain()
        if not await self._load():
            return
        if self.tail is not None:
            self.tail.restart()
        self.readiness.is_away = False
        del self.readiness.degraded["snapshot"]
        self.housekeeping.begin()
        if self.follower.fleet.forgotten and self.tail is None:
            await self.housekeeping.checkpoint()
        self._open()
        log.info("the snapshot is loaded", replayed_events=self.readiness.replay.events)

    async def _load(self) -> bool:
        """Load the snapshot; where what it needs does not answer, put all back as it was, and return False.

        Raises: DamagedData; a defect.
        """
        fleet = self.follower.fleet
        known = fleet.alive_at_ns, list(fleet.blind_ns), fleet.leaps
        try:
            load = partial(self.startup.load, is_first=not self._has_loaded)
            await asyncio.get_running_loop().run_in_executor(self.startup_thread, load)
        except (Answerable, Unreadable, StorageFailed, OSError) as error:
            log.warning("the snapshot could not be loaded yet, and is tried again", error=str(error))
            self.readiness.degraded["snapshot"] = str(error)
            clear(fleet)  # it is half loaded
            fleet.alive_at_ns, fleet.blind_ns, fleet.leaps = known
            self._open()  # events go to the journal again, as they did before
            return False
        self._has_loaded = True
        return True

    def _open(self) -> None:
        self.readiness.stage = "ready"
        closed_by = self.intake.closed_by
        if closed_by is not None and closed_by.reason == "starting":
            self.watch.open()
