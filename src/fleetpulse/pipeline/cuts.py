"""Checkpoints of a shared journal: one node writes them, and all nodes adopt them at the same entry.

A checkpoint begins with an entry of the journal, the *cut*. Every node that applies it moves what came before it to
`Fleet.closing`; the holder also copies the fleet there, and writes files of it. When the catalog has the manifest of
exactly this position, each node takes the manifest over and drops what is in blocks now, all in one turn of the loop:
so no answer counts anything twice, or misses it. Nothing waits for that, since it reads the block store: where the next
cut is applied first, the node takes over the checkpoint that begins there, which has all of the one before.

A checkpoint that fails leaves what it was to write in `closing`, and the next one writes it. A node that cannot follow,
since the stream has dropped what it needs, loads the newest snapshot, as at a start.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Protocol

import numpy as np
import structlog
from numpy.typing import NDArray

from fleetpulse.blocks.counted import Minutes
from fleetpulse.blocks.history import History
from fleetpulse.catalog.catalog import Catalog
from fleetpulse.errors import Answerable, DamagedData, NotAccepting, OperatorError
from fleetpulse.ingest.future_waiter import FutureWaiter
from fleetpulse.ingest.intake import Intake
from fleetpulse.journal.journal import Journal
from fleetpulse.live.cut import Cut, clear
from fleetpulse.live.frozen import Freezing, FrozenFleet
from fleetpulse.model.events import Position
from fleetpulse.model.manifest import Manifest
from fleetpulse.model.samples import SampleColumns
from fleetpulse.pipeline.catalog_thread import CatalogThread
from fleetpulse.pipeline.changes import Changes
from fleetpulse.pipeline.follow import Follower
from fleetpulse.pipeline.journal_room import URGE_SHARE
from fleetpulse.pipeline.readiness import Readiness
from fleetpulse.pipeline.recover import counted_of
from fleetpulse.pipeline.tail import Tail
from fleetpulse.pipeline.threads import Threads

log = structlog.get_logger("cuts")
LOOK_EVERY_S = 1.0
REACH_S = 60.0
"""So long a holder waits for its own cut to come back from the journal."""


class Cuts(Protocol):
    """How a checkpoint begins and ends for those who apply the journal. On the loop."""

    async def while_writing(self, work: Callable[[], Awaitable[bool]]) -> bool:
        """The result of work that changes the manifest, if the newest is in effect here; else False."""
        ...

    async def frozen(self, now_ns: int) -> tuple[Position, FrozenFleet]:
        """The position where a checkpoint begins, and the fleet as it is there. Raises: DamagedData; OSError."""
        ...

    def finished(self, manifest: Manifest, closed_minutes: NDArray[np.int32], new_uploads: SampleColumns) -> None:
        """The checkpoint is in the catalog: bring the fleet to it. Args: closed_minutes: int32, shape (devices,)."""
        ...

    def droppable(self, position: Position, *, before: Position) -> Position:
        """Up to where the journal is dropped after the checkpoint at `position`; the one before was at `before`."""
        ...


@dataclass(eq=False, frozen=True)
class OwnCuts:
    """See Cuts; where nobody else appends to the journal."""

    follower: Follower
    history: History

    async def while_writing(self, work: Callable[[], Awaitable[bool]]) -> bool:
        """See Cuts."""
        return await work()

    async def frozen(self, _now_ns: int) -> tuple[Position, FrozenFleet]:
        """See Cuts."""
        return await self.follower.frozen()

    def finished(self, manifest: Manifest, closed_minutes: NDArray[np.int32], new_uploads: SampleColumns) -> None:
        """See Cuts: int32, shape (devices,)."""
        self.follower.fleet.finish_closing(closed_minutes, new_uploads)
        self.history.manifest = manifest

    def droppable(self, position: Position, *, before: Position) -> Position:  # noqa: ARG002  # nobody is behind
        """See Cuts."""
        return position


@dataclass(eq=False, kw_only=True)
class SharedCuts:
    """See Cuts; where other nodes append to the journal, too.

    Attributes:
        on_away: called when the fleet was cleared, and the snapshot must be loaded.
        is_writing: this node is at work on the manifest itself, so it adopts nothing by the way.
        reloads: how often the snapshot was loaded anew, since this node could not follow.
    """

    catalog: Catalog
    catalog_thread: CatalogThread
    changes: Changes
    journal: Journal
    history: History
    follower: Follower
    tail: Tail
    intake: Intake
    readiness: Readiness
    threads: Threads
    on_away: list[Callable[[], None]] = field(default_factory=list)
    is_writing: bool = field(default=False, init=False)
    reloads: int = field(default=0, init=False)
    _cut: Cut | None = field(default=None, init=False)
    """The latest cut whose manifest was not adopted yet."""
    _cut_at: Position = field(default=0, init=False)
    _wanted_ns: int | None = field(default=None, init=False)
    _freezing: Freezing | None = field(default=None, init=False)
    _must_adopt: bool = field(default=False, init=False)
    _is_frozen: bool = field(default=False, init=False)
    """What this node writes is frozen: a cut that another node wants must not add to it."""
    _look_at_s: float = field(default=0.0, init=False)
    _adopting: asyncio.Lock = field(default_factory=asyncio.Lock, init=False)
    _pending: set[asyncio.Task[None]] = field(default_factory=set, init=False)
    """What is under way by itself: a manifest is taken over, or the newest snapshot loaded."""

    def begin(self) -> None:
        """Take part from now on: before the first entry is applied."""
        self.follower.on_cut = self._on_cut
        self.tail.on_missed = self._on_missed
        self.changes.on_manifest.append(lambda: self._begin(self._adopt_now_or_later()))

    def _on_cut(self, position: Position, checkpoint_ns: int) -> Freezing | None:
        fleet = self.follower.fleet
        if self._is_frozen:
            return None  # a former holder's entry that comes late; what it cuts off stays with what is live
        freezing = None
        if checkpoint_ns == self._wanted_ns:
            self._wanted_ns = None
            freezing = self._freezing = fleet.freeze(is_whole=True)
            self._is_frozen = True
        else:
            fleet.cut()
        self._cut, self._cut_at = Cut.of(fleet), position
        if self._must_adopt:
            self._begin(self._adopt_now_or_later())
        return freezing

    async def frozen(self, now_ns: int) -> tuple[Position, FrozenFleet]:
        """See Cuts: the journal says where, by an entry of its own."""
        waiter = FutureWaiter()
        self._wanted_ns, self._freezing = now_ns, None
        try:
            self.intake.check_own()
            self.intake.add_checkpoint(now_ns, waiter)
            await waiter.outcome
            await self.tail.reach(self.tail.acked, within_s=REACH_S)
            await self.follower.caught_up()
            freezing = self._freezing
            if freezing is None:
                raise OSError("the entry with which the checkpoint begins has not come back from the journal")
            position = self._cut_at
            return position, await self.follower.completed(freezing)
        except Answerable as error:
            raise OSError(f"the journal does not take the entry with which the checkpoint begins: {error}") from error
        finally:
            self._wanted_ns = self._freezing = None

    async def while_writing(self, work: Callable[[], Awaitable[bool]]) -> bool:
        """See Cuts."""
        self.is_writing = True
        try:
            try:
                await self._settle()
            except (Answerable, OperatorError, OSError) as error:
                log.warning("nothing is written to the blocks yet", because=str(error))
                return False
            return await work()
        finally:
            self.is_writing = self._is_frozen = False

    def droppable(self, position: Position, *, before: Position) -> Position:
        """See Cuts: nodes that are a little behind need not load a snapshot for it, unless the stream has no room."""
        return position if self.journal.filled >= URGE_SHARE else before

    async def _settle(self) -> None:
        """Before this node changes the manifest: have the newest one in effect here.

        Raises: NotAccepting; OperatorError: it cannot be yet, and nothing may be changed.
        """
        await self.changes.reach(0)
        await self._adopt()
        newest = await self.catalog_thread.run(self.catalog.manifest)
        if newest != self.history.manifest:
            if newest.position <= self.follower.position:
                self._on_missed(newest.position + 1)
            raise NotAccepting("the newest checkpoint is not in effect here yet", reason="behind", retry_after_s=1)

    def finished(self, manifest: Manifest, closed_minutes: NDArray[np.int32], new_uploads: SampleColumns) -> None:
        """See Cuts: int32, shape (devices,)."""
        fleet, cut = self.follower.fleet, self._cut
        assert cut is not None
        fleet.finish_closing(closed_minutes, new_uploads, forgotten=cut.forgotten)
        self.history.manifest, self._cut = manifest, None

    def tick(self) -> None:
        """Try again to take over what could not be yet."""
        now_s = asyncio.get_running_loop().time()
        is_idle = not self._pending
        if self._must_adopt and is_idle and now_s >= self._look_at_s and not (self.is_writing or self.follower.is_away):
            self._look_at_s = now_s + LOOK_EVERY_S
            self._begin(self._adopt_now_or_later())

    def _begin(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._pending.add(task)
        task.add_done_callback(self._pending.discard)

    async def _adopt_now_or_later(self) -> None:
        """Take over the newest manifest; where its blocks cannot be read, `tick` tries again.

        Nothing else must wait for the block store: entries are applied, and changes of the catalog are seen, meanwhile.
        """
        try:
            await self.adopt()
        except (Answerable, OperatorError, OSError) as error:
            log.warning("a checkpoint of another node could not be taken over yet", error=str(error))

    async def adopt(self) -> None:
        """Take over the newest manifest of the catalog, if it can be now; else when its cut is applied.

        Raises: NotAccepting; OperatorError: it cannot be read now, and is tried again.
        """
        self._must_adopt = True
        if not self.is_writing:
            await self._adopt()

    async def _adopt(self) -> None:
        async with self._adopting:
            if self.follower.is_away:
                return
            manifest = await self.catalog_thread.run(self.catalog.manifest)
            await self.follower.caught_up()
            before = self.history.manifest
            if manifest == before:
                self._must_adopt = False
            elif manifest.position == before.position:
                await self._take_compacted(before, manifest)
            elif self._cut is not None and manifest.position == self._cut_at:
                await self._take_checkpoint(manifest, self._cut)
            # Else its cut is still to come; or a later one was applied, whose manifest will have all of this, too.

    async def _take_compacted(self, before: Manifest, manifest: Manifest) -> None:
        """Take over what compaction has made of the same checkpoint."""
        loop, read = asyncio.get_running_loop(), partial(_counted_of_both, self.history, before, manifest)
        old, new = await loop.run_in_executor(self.threads.files, read)
        if self.history.manifest is not before:
            return
        fleet = self.follower.fleet
        fleet.add_closed_minutes(old[0], -old[1])
        fleet.add_closed_minutes(*new)
        self.history.manifest, self._must_adopt = manifest, False

    async def _take_checkpoint(self, manifest: Manifest, cut: Cut) -> None:
        loop = asyncio.get_running_loop()
        columns, counted = await loop.run_in_executor(self.threads.files, partial(_snapshot, self.history, manifest))
        if self._cut is not cut:
            return  # a later cut was applied meanwhile
        fleet = self.follower.fleet
        cut.add_settled(fleet, columns)
        fleet.finish_closing(columns["closed_minutes"], forgotten=cut.forgotten)
        fleet.add_closed_minutes(*counted)
        self.history.manifest, self._cut, self._must_adopt = manifest, None, False
        log.info("checkpoint taken over", position=manifest.position)

    def _on_missed(self, first: Position) -> None:
        """What must be applied next is not in the stream any more: begin anew with the newest snapshot."""
        self._begin(self._load_anew(first))

    async def _load_anew(self, first: Position) -> None:
        if self.follower.is_away:
            return
        text = f"the journal begins at entry {first} now: the newest snapshot is being loaded"
        log.warning("this node was away for too long", because=text)
        self.tail.pause()
        self.follower.catch_up()
        self.readiness.is_away = self.follower.is_away = True
        self.reloads += 1
        self._cut, self._must_adopt = None, False
        clear(self.follower.fleet)
        while True:
            try:
                self.history.manifest = await self.catalog_thread.run(self.catalog.manifest)
                break
            except (Answerable, OperatorError) as error:
                log.warning("the newest checkpoint cannot be read yet", error=str(error))
                await asyncio.sleep(LOOK_EVERY_S)
        # From here on it is as at a start whose block store did not answer: `StoreReturn` loads the snapshot.
        self.readiness.degraded["snapshot"] = text
        for call in self.on_away:
            call()

    async def end(self) -> None:
        """Leave what is under way, when the node stops."""
        pending = list(self._pending)
        for task in pending:
            task.cancel()
        if pending:
            await asyncio.wait(pending)


def _counted_of_both(history: History, before: Manifest, manifest: Manifest) -> tuple[Minutes, Minutes]:
    """The minutes that compaction has counted by each of two manifests of one snapshot. Raises: DamagedData."""
    columns = partial(_columns, history, manifest)
    return counted_of(history, before, columns), counted_of(history, manifest, columns)


def _columns(history: History, manifest: Manifest) -> Mapping[str, NDArray[Any]]:
    if manifest.snapshot is None:
        raise DamagedData("the manifest has no snapshot")
    return history.read_snapshot(manifest.snapshot)


def _snapshot(history: History, manifest: Manifest) -> tuple[Mapping[str, NDArray[Any]], Minutes]:
    """The columns of the snapshot of a manifest, and the minutes counted since. Raises: DamagedData."""
    columns = _columns(history, manifest)
    return columns, counted_of(history, manifest, lambda: columns)
