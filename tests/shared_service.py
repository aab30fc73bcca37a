"""Several services in one process that are nodes of one cluster: one stream, one catalog file, one block store.

Each node has a connection of its own to the catalog, and a clock that may differ from the others'.
"""

import asyncio
import contextlib
from pathlib import Path
from typing import Any

from fleetpulse.app import assemble
from fleetpulse.blocks.history import History
from fleetpulse.blocks.store import MemoryBlockStore
from fleetpulse.catalog.sqlite import SqliteCatalog
from fleetpulse.journal.memory import MemoryJournal, MemoryStream
from fleetpulse.pipeline.ownership import Ownership
from fleetpulse.pipeline.service import Service, Stores
from fleetpulse.pipeline.tail import Tail
from fleetpulse.pipeline.threads import Threads
from fleetpulse.settings import Settings
from fleetpulse.telemetry.counters import Counters
from memory_service import DAY, NOON, FakeClock


class NodeClock:
    """The clock of a node: that of the world, and what it differs by."""

    def __init__(self, world: FakeClock, ahead_ns: int = 0) -> None:
        self._world = world
        self.ahead_ns = ahead_ns

    def now_ns(self) -> int:
        return self._world.now_ns() + self.ahead_ns

    def monotonic_ns(self) -> int:
        return self._world.monotonic_ns()


class SharedWorld:
    """What outlives the nodes."""

    def __init__(self, folder: Path, *, is_pumped: bool = False) -> None:
        """`is_pumped`: entries come to a node while the test calls `pump` of its journal."""
        self.folder = folder
        self.clock = FakeClock(NOON)
        self.stream = MemoryStream()
        self.store = MemoryBlockStore()
        self._is_pumped = is_pumped
        with contextlib.closing(SqliteCatalog(folder / "catalog.sqlite", clock=self.clock)) as catalog:
            # No node has it, so none takes a checkpoint, which belongs to the holder alone.
            catalog.lease.take("the test", for_ns=3_650 * DAY)

    def service(self, *, ahead_ns: int = 0, **settings: Any) -> Service:
        """A node that is not started. Checkpoints are taken only on demand, and superseded files removed at once."""
        clock = NodeClock(self.clock, ahead_ns)
        journal = MemoryJournal(self.stream, is_pumped=self._is_pumped)
        catalog = SqliteCatalog(self.folder / "catalog.sqlite", wait_s=30.0, clock=clock)
        catalog.share()
        threads = Threads()
        ownership = Ownership(
            folder=self.folder, store=self.store, journal=journal, catalog=catalog, clock=clock, threads=threads
        )
        stores = Stores(
            clock=clock,
            counters=Counters(),
            threads=threads,
            ownership=ownership,
            journal=journal,
            catalog=catalog,
            history=History(self.store, catalog.manifest()),
        )
        return assemble(Settings(**{"checkpoint_s": 1e9, "block_grace_h": 0.0, **settings}), stores)

    async def started(self, *, ahead_ns: int = 0, **settings: Any) -> Service:
        """A node that is ready."""
        service = self.service(ahead_ns=ahead_ns, **settings)
        starting = asyncio.create_task(service.node.start())
        while self._is_pumped and not starting.done():
            await pump(service)
        await starting
        return service


async def pump(service: Service, entries_max: int = 1_000) -> bool:
    """Let entries come to a node whose journal is pumped; False where there were none."""
    assert isinstance(service.journal, MemoryJournal)
    found = service.journal.pump(entries_max)
    await asyncio.sleep(0 if found else 0.001)
    return found


def tail_of(service: Service) -> Tail:
    """The tail of a node, which every node of a cluster has."""
    assert service.tail is not None
    return service.tail


async def take_lease(service: Service) -> None:
    """Let a node have the lease, which is free or its own."""
    while not service.lease.is_held:  # a tick of the node may notice in the midst of a look that its term has ended
        await service.lease.look()


async def all_reached(*services: Service) -> None:
    """Wait until every node has applied all that the stream holds now."""
    last = services[0].journal.last_position()
    for service in services:
        while await pump(service):
            pass
    await asyncio.gather(*(tail_of(service).reach(last, within_s=10) for service in services))
    for service in services:
        service.follower.catch_up()


async def taken_over(*services: Service) -> None:
    """Wait until all nodes have the manifest that the catalog has."""
    newest = services[0].catalog.manifest()
    async with asyncio.timeout(10):
        for service in services:
            await all_reached(service)
            while service.history.manifest != newest:
                await service.changes.reach(0)
                service.node.tick()
                await asyncio.sleep(0.01)
