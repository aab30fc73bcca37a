"""Checkpoints and compaction in the background: when they run, in which threads, and what follows when they fail.

What a checkpoint writes is in `checkpoint.py`, what compaction changes in `blocks/compaction/`. Both end in a manifest
that is committed to the catalog, so they run one at a time. A failure loses nothing: journal and old files stay.
"""

import asyncio
import contextlib
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TypeVar

import structlog

from fleetpulse.blocks.compaction.change import apply_change
from fleetpulse.blocks.compaction.next_change import next_change
from fleetpulse.blocks.history import History
from fleetpulse.catalog.catalog import Catalog
from fleetpulse.catalog.holding import carried
from fleetpulse.errors import DamagedData, DatabaseBusy, Deposed, NotAccepting, OperatorError, Outdated, Unfinished
from fleetpulse.ingest.intake import Intake
from fleetpulse.limits import CheckpointTriggers
from fleetpulse.live.frozen import FrozenFleet
from fleetpulse.model.events import Position
from fleetpulse.model.forgotten import Forgotten
from fleetpulse.model.manifest import BlockFile, GapFile, Manifest, SampleBlock
from fleetpulse.model.metric import MetricDefinition
from fleetpulse.model.units import NS_PER_DAY
from fleetpulse.pipeline.checkpoint import WrittenCheckpoint, sound_names, write_files, write_names
from fleetpulse.pipeline.checkpoint_due import SinceCheckpoint, is_checkpoint_due
from fleetpulse.pipeline.cuts import Cuts
from fleetpulse.pipeline.follow import Follower
from fleetpulse.pipeline.gap_retention import GapRetention
from fleetpulse.pipeline.lease import Lease
from fleetpulse.pipeline.metric_definitions import MetricDefinitions
from fleetpulse.pipeline.ownership import Ownership
from fleetpulse.pipeline.readiness import Readiness
from fleetpulse.pipeline.registry import Registry
from fleetpulse.pipeline.removal import Removal
from fleetpulse.pipeline.threads import Threads
from fleetpulse.pipeline.watch import Watch
from fleetpulse.pipeline.write import Writer
from fleetpulse.telemetry.counters import Counters

log = structlog.get_logger("housekeeping")
_Result = TypeVar("_Result")
PAUSE_S = 0.01
"""Between two pieces of a checkpoint or a compaction, each about as long, so that reports are not delayed."""


@dataclass(eq=False, kw_only=True)
class Housekeeping:
    """Takes checkpoints and compacts. Used on the loop only; its work runs in the threads `files` and `catalog`."""

    catalog: Catalog
    history: History
    follower: Follower
    registry: Registry
    metric_definitions: MetricDefinitions
    intake: Intake
    writer: Writer
    watch: Watch
    counters: Counters
    threads: Threads
    triggers: CheckpointTriggers
    removal: Removal
    ownership: Ownership
    gap_retention: GapRetention
    readiness: Readiness
    lease: Lease
    cuts: Cuts
    monotonic_s: Callable[[], float] = time.monotonic
    """Measures the time between checkpoints, whatever the wall clock does."""
    _turn: asyncio.Lock = field(default_factory=asyncio.Lock, init=False)
    _tried_at_s: float = field(default=0.0, init=False)
    _has_failed: bool = field(default=False, init=False)
    _is_urged: bool = field(default=False, init=False)
    _written_names: tuple[int, dict[int, MetricDefinition]] = field(default_factory=lambda: (-1, {}), init=False)
    _damaged: list[SampleBlock | BlockFile] = field(default_factory=list, init=False)
    _recorded_set_aside: Mapping[str, tuple[str, int]] = field(default_factory=dict, init=False)
    _task: asyncio.Task[None] | None = field(default=None, init=False)
    _was_kept: bool = field(default=False, init=False)
    _is_ending: bool = field(default=False, init=False)
    _is_at_rest: bool = field(default=True, init=False)
    """The manifest is still the one with which the service started."""

    def begin(self) -> None:
        """Count the interval from now on."""
        self._recorded_set_aside = {
            block.file.name: (block.because, block.since_ns) for block in self.history.set_aside
        }
        self._tried_at_s = self.monotonic_s()
        self.ownership.on_outdated = self._end_accepting

    def tick(self) -> None:
        """Start a checkpoint in the background if one is due and none is running."""
        if self.is_due() and (self._task is None or self._task.done()):
            self._task = asyncio.create_task(self._run())

    async def end(self, *, within_s: float) -> None:
        """Begin no further compaction, and wait for what is running; after `within_s` have it left unfinished."""
        self._is_ending = True
        asyncio.get_running_loop().call_later(within_s, self.leave)
        await self.wait()

    def leave(self) -> None:
        """Leave what is running as soon as possible; nothing of it is in effect then."""
        self.threads.ending.is_due = True

    async def wait(self) -> None:
        """Wait for what is running in the background."""
        if self._task is not None:
            await asyncio.wait([self._task])

    @property
    def has_news(self) -> bool:
        """Whether the journal holds entries that no checkpoint covers."""
        return self.follower.position > self.history.manifest.position

    def urge(self) -> None:
        """Have a checkpoint taken soon, whatever has gathered: it frees the journal, where space is scarce."""
        self._is_urged = True

    def give_up_files(self, size_bytes: int) -> "asyncio.Task[None] | None":
        """Remove so many bytes of superseded files before their time, in the background; None: there are none."""
        if self.removal.has_looked and not self.counters.blocks_superseded:
            return None
        self.removal.bytes_wanted = size_bytes
        return asyncio.create_task(self._remove())

    async def _remove(self) -> None:
        async with self._turn:
            with contextlib.suppress(Deposed), self.lease.holding():
                await self.removal.run(is_kept=self._is_kept())

    def is_due(self) -> bool:
        """Whether a checkpoint is due."""
        if self._is_urged and self.has_news:
            return True
        manifest = self.history.manifest
        since = SinceCheckpoint(
            elapsed_s=self.monotonic_s() - self._tried_at_s,
            journal_entries=self.follower.position - manifest.position,
            late_rows=self.follower.fleet.late_rows() + self.follower.fleet.beats.backfill_rows,
            samples=self.follower.fleet.samples.count,
            gaps=max(sum(map(len, self.follower.fleet.gaps)), self.follower.fleet.beats.gap_rows),
            is_day_closed=manifest.open_from_day < self.follower.fleet.open_from_day,
            has_forgotten=bool(self.follower.fleet.forgotten),
            has_failed=self._has_failed,
        )
        return is_checkpoint_due(since, self.triggers)

    async def _run(self) -> None:
        try:
            await self.checkpoint()
            # At least one piece, however often checkpoints are due, and then more until the next checkpoint is due.
            while await self.compact() and not self._is_ending and not self.is_due():
                pass
        except Exception as error:
            log.error("checkpoint or compaction failed by a defect of ours; nothing is lost", exc_info=error)

    async def checkpoint(self) -> bool:
        """Take a checkpoint now; False where it could not be written (the journal still holds everything)."""
        async with self._turn:
            return await self._checkpoint()

    @contextlib.asynccontextmanager
    async def checkpoints(self) -> AsyncGenerator[Callable[[], Awaitable[bool]], None]:
        """Give a call that takes a checkpoint, as `checkpoint` does, while nothing else changes the manifest."""
        async with self._turn:
            yield self._checkpoint

    async def _checkpoint(self) -> bool:
        return await self.lease.as_holder(self.cuts.while_writing(self._take_checkpoint))

    async def _take_checkpoint(self) -> bool:
        started_s = self._tried_at_s = self.monotonic_s()
        self._is_urged = False
        self._has_failed = True  # until it has succeeded: an exception on the way is a failure, too
        try:
            await self._begin_writing()
            await self.check_set_aside()
            position, frozen = await self.cuts.frozen(self.watch.clock.now_ns())
            names_now = self.registry.roster.version, dict(self.metric_definitions.metrics)
            written = await self._write_checkpoint(position, frozen, names_now)
        except Unfinished as error:
            log.warning("a checkpoint is left unfinished; the journal keeps everything", because=str(error))
            return False
        except (OSError, OperatorError, DatabaseBusy) as error:
            self.counters.checkpoints_failed += 1
            self.readiness.degraded["checkpoint"] = f"the last checkpoint failed, and the journal grows: {error}"
            log.error("checkpoint failed; the journal keeps everything until the next", error=str(error))
            return False
        before = self.history.manifest.position
        self.cuts.finished(written.manifest, written.closed_minutes, written.new_uploads)
        self.counters.samples_repeated += written.samples_repeated
        self.counters.samples_uncompared += written.samples_uncompared
        self._written_names = names_now
        self._has_failed = False
        self.readiness.degraded.pop("checkpoint", None)
        self.counters.note_checkpoint(self.monotonic_s() - started_s)
        await self._shorten_journal(self.cuts.droppable(position, before=before))
        await self.removal.run(is_kept=self._is_kept())
        log.info("checkpoint", position=position, seconds=round(self.monotonic_s() - started_s, 3))
        return True

    async def _write_checkpoint(
        self, position: Position, frozen: FrozenFleet, names_now: tuple[int, dict[int, MetricDefinition]]
    ) -> WrittenCheckpoint:
        """Write the files and commit the manifest that names them.

        Raises: OSError; OperatorError: the manifest is as it was.
        """
        loop = asyncio.get_running_loop()
        names: dict[str, BlockFile] = {}
        sound = await loop.run_in_executor(self.threads.files, sound_names, self.history)
        if names_now != self._written_names or len(sound) < len(self.history.manifest.names):
            names = await loop.run_in_executor(
                self.threads.files,
                partial(
                    write_names,
                    self.history.store,
                    self.catalog,
                    position=position,
                    known=sound,
                    check=self._pause,
                    run=lambda work: self.threads.catalog.submit(work).result(),
                ),
            )
        work = partial(
            write_files,
            frozen,
            position=position,
            taken_at_ns=self.watch.clock.now_ns(),
            today=None if self._is_kept() else self.watch.clock.now_ns() // NS_PER_DAY,
            history=self.history,
            metrics=self.metric_definitions.kept(),
            names=names,
            pause=self._pause,
        )
        written = await loop.run_in_executor(self.threads.files, work)
        await self._commit(written.manifest, forgotten=frozen.forgotten)
        return written

    async def check_set_aside(self) -> list[str]:
        """Look whether blocks that are set aside are sound again; record which are. Returns the names of those."""
        loop, history = asyncio.get_running_loop(), self.history
        found = await loop.run_in_executor(self.threads.files, history.check_again)
        if found:
            log.info("blocks are whole again", blocks=found)
        now = {block.file.name: (block.because, block.since_ns) for block in history.set_aside}
        if now != self._recorded_set_aside:
            await self._in_catalog(partial(self.catalog.files.note_set_aside, now))
            self._recorded_set_aside = now
        return found

    async def _begin_writing(self) -> None:
        """See that the blocks are ours to write, and record the mark of what is written.

        Raises: Outdated: another service has them now, and this one accepts nothing more. OperatorError; OSError.
        """
        await self.ownership.ensure(self.history.manifest)
        await self.removal.begin()

    def _end_accepting(self, outdated: Outdated) -> None:
        log.error("read-only: a later start has taken over the blocks", error=str(outdated))
        self.intake.close(NotAccepting(f"read-only: {outdated}", reason="outdated"))

    async def _commit(self, manifest: Manifest, *, forgotten: Sequence[Forgotten] = ()) -> None:
        commit = partial(self.catalog.commit_manifest, manifest, forgotten=forgotten, was_at_rest=self._is_at_rest)
        await self._in_catalog(commit)
        self._is_at_rest = False
        await self.removal.manifest_copy.follow(manifest)

    async def compact(self, *, is_forced: bool = False) -> bool:
        """Do one piece of compaction or retention; False where there was none, or it failed (then all is as it was)."""
        async with self._turn:
            return await self.lease.as_holder(self.cuts.while_writing(partial(self._compact, is_forced=is_forced)))

    async def _compact(self, *, is_forced: bool) -> bool:
        loop = asyncio.get_running_loop()
        started_s = self.monotonic_s()
        try:
            gap_days = await self._in_catalog(self.gap_retention.days_in_force)
            work = partial(
                next_change,
                self.history,
                self.history.manifest,
                metrics=self.metric_definitions.kept(),
                today=None if self._is_kept() else self.watch.clock.now_ns() // NS_PER_DAY,
                gap_days=gap_days,
                pause=self._pause,
                is_forced=is_forced,
                on_damage=self._note_damage,
            )
            await self._begin_writing()
            change = await loop.run_in_executor(self.threads.files, work)
            self.counters.compaction_at_ns = self.watch.clock.now_ns()
            if change is None:
                return False
            manifest = apply_change(self.history.manifest, change)
            await self._commit(manifest)
        except Unfinished:
            return False
        except (OSError, OperatorError, DatabaseBusy) as error:
            self.counters.compactions_failed += 1
            log.error("compaction failed; the blocks stay as they were until the next", error=str(error))
            return False
        self.history.manifest = manifest
        if change.late is not None:
            self.follower.fleet.add_closed_minutes(*change.late.new_minutes)
        self.counters.note_compaction(self.monotonic_s() - started_s)
        await self.removal.run(is_kept=self._is_kept())
        removed, added = change.counts
        log.info("compaction", removed=removed, added=added, seconds=round(self.monotonic_s() - started_s, 3))
        return True

    async def _in_catalog(self, work: Callable[[], _Result]) -> _Result:
        return await asyncio.get_running_loop().run_in_executor(self.threads.catalog, carried(work))

    def _is_kept(self) -> bool:
        """Whether nothing may expire now; logs when that begins and ends."""
        because = self.watch.kept_because
        if bool(because) is not self._was_kept:
            log.warning("nothing expires", reason=because) if because else log.info("data expires again")
            self._was_kept = bool(because)
        return self._was_kept

    def _note_damage(self, block: SampleBlock | BlockFile, error: DamagedData) -> None:
        """Log a damaged block once, not with every compaction that leaves it out."""
        block = block.file if isinstance(block, GapFile) else block  # whatever counts of it
        if block not in self._damaged:
            self._damaged.append(block)
            log.error("a block is left out of compaction", error=str(error), todo="run `fleetpulse verify`")

    async def _shorten_journal(self, position: Position) -> None:
        if not self.removal.manifest_copy.is_of(self.history.manifest):
            return
        try:
            await self.writer.drop(through=position)
        except (OSError, DatabaseBusy) as error:
            log.error("the journal could not be shortened; the next checkpoint tries again", error=str(error))

    def _pause(self) -> None:
        self.threads.ending.check()
        time.sleep(PAUSE_S)
