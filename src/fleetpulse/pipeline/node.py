"""One node's life: recover, open the door, tick, checkpoint, drain, close."""

import asyncio
import contextlib
import time
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import structlog

from fleetpulse.blocks.history import History
from fleetpulse.catalog.catalog import Catalog
from fleetpulse.clock import Clock
from fleetpulse.errors import DamagedData, DevicesFileError, FleetpulseError, NotAccepting, OperatorError, OutOfRange
from fleetpulse.heap import give_back
from fleetpulse.ingest.connections import Connections
from fleetpulse.ingest.devices_file import read_devices
from fleetpulse.ingest.intake import Intake
from fleetpulse.ingest.metrics_file import read_metrics
from fleetpulse.journal.journal import Journal
from fleetpulse.limits import QuestionLimits
from fleetpulse.live.fleet import Fleet
from fleetpulse.model.manifest import BlockFile, SampleBlock
from fleetpulse.model.metric import MetricDefinition
from fleetpulse.model.units import NS_PER_DAY, NS_PER_S
from fleetpulse.pipeline.checkpoint import DROP_ENTRIES, remove_unnamed, write_files, write_names
from fleetpulse.pipeline.compact import apply_change, next_change
from fleetpulse.pipeline.declared import Declared
from fleetpulse.pipeline.follow import Follower
from fleetpulse.pipeline.questions import Questions
from fleetpulse.pipeline.recover import Progress, load_snapshot, replay
from fleetpulse.pipeline.registry import Registry
from fleetpulse.pipeline.views import Views
from fleetpulse.pipeline.watch import Watch
from fleetpulse.pipeline.write import Writer
from fleetpulse.telemetry.counters import Counters

log = structlog.get_logger("node")
CHECKPOINT_PAUSE_S = 0.01
"""Between two pieces of a checkpoint, each about as long: senders matter more than its end."""


@dataclass(frozen=True, slots=True)
class CheckpointTriggers:
    """When a checkpoint is due, whichever comes first."""

    interval_s: float
    journal_entries: int
    late_rows: int
    samples: int
    gaps: int


class Node:
    """The stages of one process, and the order in which they start and stop."""

    def __init__(
        self,
        *,
        clock: Clock,
        journal: Journal,
        catalog: Catalog,
        history: History,
        fleet: Fleet,
        follower: Follower,
        registry: Registry,
        declared: Declared,
        writer: Writer,
        intake: Intake,
        connections: Connections,
        counters: Counters,
        catalog_thread: ThreadPoolExecutor,
        files_thread: ThreadPoolExecutor,
        export_thread: ThreadPoolExecutor,
        unfold_thread: ThreadPoolExecutor,
        devices_path: Path | None,
        metrics_path: Path | None,
        auto_define: bool,
        checkpoint_when: CheckpointTriggers,
        ask_limits: QuestionLimits,
        future_s: float,
    ) -> None:
        self.clock = clock
        self.journal = journal
        self.catalog = catalog
        self.history = history
        self.fleet = fleet
        self.follower = follower
        self.registry = registry
        self.declared = declared
        self.writer = writer
        self.intake = intake
        self.connections = connections
        self.counters = counters
        self.views = Views(clock=clock, fleet=fleet, history=history, registry=registry, declared=declared)
        self.ask = Questions(
            clock=clock,
            fleet=fleet,
            follower=follower,
            history=history,
            registry=registry,
            views=self.views,
            limits=ask_limits,
        )
        self.progress = Progress()
        self.is_ready = False
        self._catalog_thread = catalog_thread
        self._files_thread = files_thread
        self.export_thread = export_thread
        self.unfold_thread = unfold_thread
        self.bulk_turns = asyncio.Semaphore(connections.limits.bulk_at_once_max)
        self._devices_path = devices_path
        self._metrics_path = metrics_path
        self.auto_define = auto_define
        self._watch = Watch(clock=clock, intake=intake)
        self._when = checkpoint_when
        self._future_ns = int(future_s * NS_PER_S)
        self._checkpoint_lock = asyncio.Lock()
        self._checkpoint_due_s = 0.0
        self._has_checkpoint_failed = False
        self._senders = 0
        self._policy_version = 0
        self._named: tuple[int, dict[int, MetricDefinition]] = (-1, {})
        self._damaged: list[SampleBlock] = []
        self._checkpoint_task: asyncio.Task[None] | None = None
        self._ticker: asyncio.Task[None] | None = None
        self._is_started = False

    def _today(self) -> int:
        return self.clock.now_ns() // NS_PER_DAY

    async def start(self) -> None:
        """Recover and open the door. Raises: OperatorError: what is on disk, or devices.csv, cannot be used."""
        loop = asyncio.get_running_loop()
        self._tick()
        self.writer.start(self.intake)
        self._is_started = True
        self._ticker = loop.create_task(self._tick_forever())
        started_s = time.monotonic()
        await loop.run_in_executor(self._catalog_thread, self._recover)
        self.fleet.advance(self._today())
        self._checkpoint_due_s = loop.time() + self._when.interval_s
        # Nothing is taken before it is on disk that, and since when, nothing could be: the marks stay in order.
        self._watch.begin(alive_at_ns=self.fleet.alive_at_ns)
        await self.writer.drain()
        self.intake.open()
        self.is_ready = True
        log.info(
            "ready",
            devices=len(self.registry.numbers),
            replayed_events=self.progress.events,
            position=self.follower.position,
            seconds=round(time.monotonic() - started_s, 3),
        )

    def _recover(self) -> None:
        self.progress.stage = "devices"
        self.registry.load()
        self.declared.load()
        self._policy_version = self.registry.policy_version
        self.progress.stage = "snapshot"
        load_snapshot(self.fleet, self.history)
        # The days since the snapshot are opened before the replay, so that its marks find dense rows.
        self.fleet.advance(self._today())
        self.progress.stage = "replay"
        after = self.history.manifest.position
        self.follower.position = replay(
            self.fleet,
            self.journal,
            after=after,
            metrics_count=len(self.declared.metrics),
            progress=self.progress,
            advanced=lambda: time.sleep(0),
        )
        self.counters.events_replayed = self.progress.events
        # Only now: a journal that speaks of devices the catalog has lost must not find strangers under their numbers.
        if self._devices_path is not None:
            with _file_named(self._devices_path):
                self.registry.register_now(read_devices(self._devices_path))
        if self._metrics_path is not None:
            with _file_named(self._metrics_path):
                self.declared.define_now(read_metrics(self._metrics_path))
        self.progress.stage = "ready"

    async def reload(self) -> None:
        """Read devices.csv and metrics.json again; on an error in one, what it says stays as it was."""
        if not self.is_ready or (self._devices_path is None and self._metrics_path is None):
            log.warning(
                "SIGHUP has nothing to do: " + ("no --devices or --metrics file" if self.is_ready else "not ready yet")
            )
            return
        try:
            if self._devices_path is not None:
                with _file_named(self._devices_path):
                    registered = await self.registry.register_many(read_devices(self._devices_path))
                log.info("devices.csv read again", new=len(registered.new), devices=len(self.registry.numbers))
            if self._metrics_path is not None:
                with _file_named(self._metrics_path):
                    await self.declared.define(read_metrics(self._metrics_path))
                log.info("metrics.json read again", metrics=len(self.declared.metrics))
        except (FleetpulseError, OSError) as error:
            log.error("a file was not taken; what it says stays as it was", error=str(error))

    async def _tick_forever(self) -> None:
        while True:
            await asyncio.sleep(self.connections.sweep_interval_s)
            self._tick()
            if self.is_ready:
                try:
                    self._move_on()
                except Exception as error:
                    # Deadlines and the clock must go on; but nothing more is taken by a node that cannot apply it.
                    log.error("the live fleet could not be brought up to date", exc_info=error)
                    self.intake.close(NotAccepting(f"read-only: {error}; restart the service", reason="read_only"))

    def _move_on(self) -> None:
        self._watch.turn()
        self.follower.catch_up()
        self.fleet.advance(self._today())
        if self._is_checkpoint_due() and (self._checkpoint_task is None or self._checkpoint_task.done()):
            self._checkpoint_task = asyncio.create_task(self._checkpoint_logged())

    async def _checkpoint_logged(self) -> None:
        try:
            await self.checkpoint()
            # One piece at least, however often checkpoints are due, and then as long as none is.
            while await self.compact() and self.is_ready and not self._is_checkpoint_due():
                pass
        except Exception as error:
            log.error("checkpoint or compaction failed by a defect of ours; nothing is lost", exc_info=error)

    def _tick(self) -> None:
        self.intake.latest_ns = self.clock.now_ns() + self._future_ns
        senders = (self.intake.senders - self._senders) / self.connections.sweep_interval_s
        self._senders = self.intake.senders
        self.writer.expect(senders_a_second=senders, connections=len(self.connections))
        self.connections.sweep(asyncio.get_running_loop().time())

    def _is_checkpoint_due(self) -> bool:
        entries = self.follower.position - self.history.manifest.position
        due = asyncio.get_running_loop().time() >= self._checkpoint_due_s
        has_aged = self.history.manifest.open_from_day < self.fleet.open_from_day
        is_late = self.fleet.late_rows() >= self._when.late_rows or entries >= self._when.journal_entries
        is_late |= self._policy_version != self.registry.policy_version
        is_late |= self.fleet.samples.count >= self._when.samples
        is_late |= sum(map(len, self.fleet.gaps)) >= self._when.gaps
        # After a failure the next one waits for its time.
        return (due and (entries > 0 or has_aged)) or ((has_aged or is_late) and not self._has_checkpoint_failed)

    async def checkpoint(self) -> bool:
        """Take a checkpoint now; False where it could not be written (the journal still holds everything)."""
        async with self._checkpoint_lock:
            loop = asyncio.get_running_loop()
            self._checkpoint_due_s = loop.time() + self._when.interval_s
            started_s = time.monotonic()
            self._has_checkpoint_failed = True  # until it has not
            self.follower.catch_up()
            position = self.follower.position
            frozen = self.fleet.freeze()
            policy_version = self.registry.policy_version
            named = self.registry.roster.version, dict(self.declared.metrics)
            try:
                names: dict[str, BlockFile] = {}
                if named != self._named:
                    names = await loop.run_in_executor(
                        self._catalog_thread, partial(write_names, self.history.store, self.catalog, position=position)
                    )
                written = await loop.run_in_executor(
                    self._files_thread,
                    lambda: write_files(
                        frozen,
                        position=position,
                        taken_at_ns=self.clock.now_ns(),
                        history=self.history,
                        metrics=named[1],
                        names=names,
                        pause=lambda: time.sleep(CHECKPOINT_PAUSE_S),
                    ),
                )
                await loop.run_in_executor(self._catalog_thread, self.catalog.commit_manifest, written.manifest)
            except (OSError, OperatorError) as error:
                self.counters.checkpoints_failed += 1
                log.error("checkpoint failed; the journal keeps everything until the next", error=str(error))
                return False
            self.fleet.finish_closing(written.closed_minutes)
            self.history.manifest = written.manifest
            self._named = named
            self._policy_version = policy_version
            self._has_checkpoint_failed = False
            self.counters.checkpoints += 1
            self.counters.checkpoint_last_s = time.monotonic() - started_s
            await self._drop(position)
            await self._remove_unnamed()
            log.info("checkpoint", position=position, seconds=round(time.monotonic() - started_s, 3))
            return True

    async def compact(self, *, is_forced: bool = False) -> bool:
        """Do one piece of compaction or retention; False where there was none, or it failed (then all is as it was)."""
        async with self._checkpoint_lock:
            loop = asyncio.get_running_loop()
            started_s = time.monotonic()
            work = partial(
                next_change,
                self.history,
                self.history.manifest,
                metrics=dict(self.declared.metrics),
                today=self._today(),
                pause=lambda: time.sleep(CHECKPOINT_PAUSE_S),
                is_forced=is_forced,
                on_damage=self._note_damage,
            )
            try:
                change = await loop.run_in_executor(self._files_thread, work)
                if change is None:
                    return False
                manifest = apply_change(self.history.manifest, change)
                await loop.run_in_executor(self._catalog_thread, self.catalog.commit_manifest, manifest)
            except (OSError, OperatorError) as error:
                self.counters.compactions_failed += 1
                log.error("compaction failed; the blocks stay as they were until the next", error=str(error))
                return False
            self.history.manifest = manifest
            self.counters.compactions += 1
            await self._remove_unnamed()
            log.info(
                "compaction",
                removed=len(change.removed),
                added=len(change.added),
                seconds=round(time.monotonic() - started_s, 3),
            )
            return True

    def _note_damage(self, block: SampleBlock, error: DamagedData) -> None:
        if block not in self._damaged:
            self._damaged.append(block)
            log.error("a block is left out of compaction", error=str(error), todo="run `fleetpulse verify`")

    async def _remove_unnamed(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            await loop.run_in_executor(self._files_thread, remove_unnamed, self.history.store, self.history.in_use())
        except OSError as error:
            log.error("files that nobody names could not be removed; the next checkpoint tries again", error=str(error))
        await loop.run_in_executor(self._files_thread, give_back)

    async def _drop(self, position: int) -> None:
        def drop_some() -> bool:
            return self.journal.drop(through=position, entries_max=DROP_ENTRIES)

        try:
            while await self.writer.run(drop_some):
                pass
        except OSError as error:
            log.error("the journal could not be shortened; the next checkpoint tries again", error=str(error))

    async def stop(self) -> None:
        """Drain, checkpoint, close. Everything accepted is durable before this ends, checkpoint or not."""
        was_ready, self.is_ready = self.is_ready, False
        if self._ticker is not None:
            self._ticker.cancel()
        if self._checkpoint_task is not None:
            await asyncio.wait([self._checkpoint_task])
        if self._is_started:
            if was_ready:
                self._watch.end()
            await self.writer.drain()
            if self.intake.closed_by is None:
                self.intake.close(NotAccepting("stopping", reason="stopping"))
            if was_ready and self.follower.position > self.history.manifest.position:
                await self.checkpoint()
            await self.writer.stop()
        await asyncio.get_running_loop().run_in_executor(None, self._close)

    def _close(self) -> None:
        self._files_thread.shutdown()
        self.ask.close()
        self.export_thread.shutdown()
        self.unfold_thread.shutdown()
        self._catalog_thread.shutdown()
        self.journal.close()
        self.catalog.close()


@contextlib.contextmanager
def _file_named(path: Path) -> Generator[None, None, None]:
    """Errors of what a file says name the file."""
    try:
        yield
    except OutOfRange as error:
        hint = f" Shorten it, or raise --{error.reason.replace('_', '-')}." if error.reason.endswith("_max") else ""
        raise DevicesFileError(f"{path}: {error.msg}.{hint}") from error
