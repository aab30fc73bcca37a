"""A whole service for unit tests: journal and blocks in memory, a clock set by hand, the catalog in a given folder."""

import asyncio
from pathlib import Path
from typing import Any

from fleetpulse.app import assemble
from fleetpulse.blocks.history import History
from fleetpulse.blocks.store import MemoryBlockStore
from fleetpulse.catalog.sqlite import SqliteCatalog
from fleetpulse.errors import Answerable
from fleetpulse.journal.memory import MemoryJournal
from fleetpulse.model.device import Device
from fleetpulse.pipeline.ownership import Ownership
from fleetpulse.pipeline.service import Service, Stores
from fleetpulse.pipeline.threads import Threads
from fleetpulse.settings import Settings
from fleetpulse.telemetry.counters import Counters

SECOND = 1_000_000_000
DAY = 86_400 * SECOND
NOON = 20_000 * DAY + DAY // 2


class FakeClock:
    """Clocks that only tests move: setting `ns` lets time pass, `step` sets the wall clock alone."""

    def __init__(self, ns: int = NOON) -> None:
        self.ns = ns
        self.stepped_ns = 0

    def now_ns(self) -> int:
        return self.ns

    def monotonic_ns(self) -> int:
        return self.ns - self.stepped_ns

    def step(self, by_ns: int) -> None:
        self.ns += by_ns
        self.stepped_ns += by_ns


class Sender:
    """Waits for what becomes of its events."""

    def __init__(self) -> None:
        self.outcome: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def acknowledge(self) -> None:
        self.outcome.set_result(None)

    def fail(self, error: Answerable) -> None:
        self.outcome.set_exception(error)


class World:
    """What outlives a service, so that a test can start a second one on it: journal, blocks, catalog and time."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.clock = FakeClock()
        self.journal = MemoryJournal()
        self.store = MemoryBlockStore()

    def service(self, **settings: Any) -> Service:
        """A service that is not started. Checkpoints are taken only on demand, and superseded files removed at once."""
        catalog = SqliteCatalog(self.folder / "catalog.sqlite", clock=self.clock)
        threads = Threads()
        ownership = Ownership(
            folder=self.folder,
            store=self.store,
            journal=self.journal,
            catalog=catalog,
            clock=self.clock,
            threads=threads,
        )
        stores = Stores(
            clock=self.clock,
            counters=Counters(),
            threads=threads,
            ownership=ownership,
            journal=self.journal,
            catalog=catalog,
            history=History(self.store, catalog.manifest()),
        )
        service = assemble(Settings(**{"checkpoint_s": 1e9, "block_grace_h": 0.0, **settings}), stores)
        service.lease.begin()  # so that parts can be tried without a start
        return service

    async def started(self, *device_ids: str, **settings: Any) -> Service:
        """A service that is ready, and knows the devices."""
        service = self.service(**settings)
        await service.node.start()
        await service.registry.register_many([Device(device_id) for device_id in device_ids])
        return service


async def beat(service: Service, device_id: str) -> None:
    """Send a heartbeat of now, and wait until it is acknowledged."""
    sender = Sender()
    service.intake.add_heartbeat(service.registry.numbers[device_id], service.clock.now_ns(), sender)
    await service.writer.drain()
    await sender.outcome
