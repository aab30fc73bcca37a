"""Removing what checkpoints and compaction have superseded, and nothing else.

A mark is recorded in the catalog before files are written, so each file of ours is known by its name; see
`catalog/file_records.py`. Files without a recorded mark stay, whatever they are: they are logged once and counted.
"""

import asyncio
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from functools import partial
from typing import TypeVar

import structlog

from fleetpulse.blocks.history import History
from fleetpulse.blocks.leftovers import Inventory, due_for_removal, take_inventory
from fleetpulse.catalog.catalog import Catalog
from fleetpulse.catalog.file_records import WrittenFiles
from fleetpulse.catalog.holding import carried
from fleetpulse.clock import Clock
from fleetpulse.errors import DatabaseBusy, Deposed, OperatorError
from fleetpulse.heap import give_back
from fleetpulse.limits import BlockGrace
from fleetpulse.model.manifest import Superseded
from fleetpulse.model.units import NS_PER_DAY, NS_PER_HOUR
from fleetpulse.pipeline.manifest_copy import ManifestCopy
from fleetpulse.pipeline.ownership import Ownership
from fleetpulse.pipeline.threads import Threads
from fleetpulse.telemetry.counters import Counters

log = structlog.get_logger("files")
_Result = TypeVar("_Result")
NAMES_LOGGED = 100
"""Names of files in one line of the log, which also tells how many there are."""
_FOR_EVER_NS = 2**64
MARKS_KEPT_NS = 7 * NS_PER_DAY
"""Work ends long before, and its leftovers are found by the next look at the store."""


@dataclass(eq=False, kw_only=True)
class Removal:
    """Used on the loop, by whoever has the turn to change the manifest; works in the threads `catalog` and `files`."""

    catalog: Catalog
    history: History
    clock: Clock
    counters: Counters
    threads: Threads
    grace: BlockGrace
    ownership: Ownership
    manifest_copy: ManifestCopy
    bytes_wanted: int = field(default=0, init=False)
    """So many bytes of superseded files are to be removed before their grace is over, since the disk becomes full."""
    has_looked: bool = field(default=False, init=False)
    unknown: frozenset[str] = field(default=frozenset(), init=False)
    """Files in the store that the catalog did not write, when it was looked through last."""

    async def begin(self) -> None:
        """Record a new mark, which the files have that are written from now on. Raises: OSError; DatabaseBusy."""
        await self.manifest_copy.settle()
        record = partial(self.catalog.files.begin, at_ns=self.clock.now_ns())
        self.history.store.mark = await self._in_catalog(record)

    async def run(self, *, is_kept: bool) -> None:
        """Look through the store, and remove what is due. A failure is logged, and the next run tries again.

        `is_kept`: nothing may expire now, since the time is not certain; the limit of bytes holds all the same.
        """
        try:
            await self._run(is_kept=is_kept)
        except (OSError, DatabaseBusy, Deposed, OperatorError) as error:
            log.error("superseded files could not be removed; the next checkpoint tries again", error=str(error))
        await asyncio.get_running_loop().run_in_executor(self.threads.files, give_back)

    async def _run(self, *, is_kept: bool) -> None:
        loop, now_ns = asyncio.get_running_loop(), self.clock.now_ns()
        written = await self._in_catalog(self._written)
        kept = self.ownership.kept_names
        in_use = self.history.in_use() | kept
        look = partial(self._look, written, in_use=in_use, now_ns=now_ns, is_kept=is_kept)
        # In the thread, since there may be tens of thousands of files.
        found, superseded, due = await loop.run_in_executor(self.threads.files, look)
        self._note_unknown(found.unknown)
        if found.leftovers:
            _log_names("files were left over by a crash, or by work that failed", found.leftovers)
        now_in_use = self.history.in_use() | kept
        removable = [file.name for file in due if file.name not in now_in_use]
        if removable:
            await self.manifest_copy.settle()  # a note that lags may name them
            await self.ownership.ensure(self.history.manifest)
        removed = await loop.run_in_executor(self.threads.files, self._remove, removable)
        self._count(superseded, removed)
        self.has_looked = True
        settle = partial(
            self.catalog.files.settle,
            leftovers=found.leftovers - removed,
            removed=removed,
            at_ns=now_ns,
            marks_before_ns=now_ns - MARKS_KEPT_NS,
        )
        await self._in_catalog(settle)

    def _written(self) -> WrittenFiles:
        """What is recorded, as the holder of the lease may believe it. Raises: Deposed.

        So it has no mark of a later holder, whose files must stay, though no manifest that is known here names them.
        """
        with self.catalog.transaction():
            return self.catalog.files.written()

    def _look(
        self, written: WrittenFiles, *, in_use: set[str], now_ns: int, is_kept: bool
    ) -> tuple[Inventory, list[Superseded], list[Superseded]]:
        """What is in the store, all files that are superseded, and those of them that are due. In the thread `files`.

        Raises: OSError.
        """
        names = self.history.store.names()
        found = take_inventory(names, in_use=in_use, superseded=written.superseded, marks=written.marks)
        superseded = [
            *written.superseded,
            *(Superseded(name, 0, now_ns, was_at_rest=False) for name in sorted(found.leftovers)),
        ]
        kept = self.ownership.kept_names
        ours = [file for file in superseded if file.name not in kept]
        grace_ns = _FOR_EVER_NS if is_kept else int(self.grace.block_grace_h * NS_PER_HOUR)
        bytes_max = self.grace.block_grace_bytes_max
        due = due_for_removal(ours, now_ns=now_ns, grace_ns=grace_ns, bytes_max=bytes_max)
        bytes_wanted, self.bytes_wanted = self.bytes_wanted, 0
        if bytes_wanted > 0:
            staying_bytes = sum(file.size_bytes for file in ours) - bytes_wanted
            early = due_for_removal(ours, now_ns=now_ns, grace_ns=grace_ns, bytes_max=max(0, staying_bytes))
            more = len(set(early) - set(due))
            if more:
                due = early
                self.counters.blocks_given_up += more
                log.warning("superseded files are removed before their time, since the disk becomes full", files=more)
        return found, superseded, due

    def _remove(self, names: Collection[str]) -> set[str]:
        """Remove files; those that could be removed. In the thread `files`."""
        removed: set[str] = set()
        for name in names:
            try:
                self.history.store.remove(name)
            except OSError as error:
                log.error("a superseded file could not be removed; it is tried again", error=str(error))
                break
            removed.add(name)
        if removed:
            _log_names("superseded files removed", removed)
        return removed

    def _count(self, superseded: Collection[Superseded], removed: Collection[str]) -> None:
        staying = [file for file in superseded if file.name not in removed]
        self.counters.blocks_removed += len(removed)
        self.counters.blocks_superseded = len(staying)
        self.counters.blocks_superseded_bytes = sum(file.size_bytes for file in staying)

    def _note_unknown(self, unknown: frozenset[str]) -> None:
        self.counters.blocks_unknown = len(unknown)
        if unknown - self.unknown:
            _log_names(
                "files among the blocks were not written by this data folder, and stay as they are",
                unknown,
                todo="see `fleetpulse verify`; remove them yourself if nobody needs them",
            )
        self.unknown = unknown

    async def _in_catalog(self, work: Callable[[], _Result]) -> _Result:
        return await asyncio.get_running_loop().run_in_executor(self.threads.catalog, carried(work))


def _log_names(event: str, names: Collection[str], **more: str) -> None:
    log.info(event, files=sorted(names)[:NAMES_LOGGED], count=len(names), **more)
