"""Checkpoints of several nodes: one writes them, all take them over at the same entry, and no answer changes by it."""

import asyncio
import math
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from fleetpulse.blocks.history import History
from fleetpulse.catalog_away import CatalogAway
from fleetpulse.errors import Unreadable
from fleetpulse.live.fleet import Fleet
from fleetpulse.live.fleet_hash import fleet_hash
from fleetpulse.model.device import Device
from fleetpulse.pipeline import startup
from fleetpulse.pipeline.recover import load_snapshot
from fleetpulse.pipeline.service import Service
from memory_service import DAY, SECOND, Sender, beat
from shared_service import SharedWorld, all_reached, tail_of, take_lease, taken_over

HOUR = 3_600 * SECOND


async def upload(service: Service, device: int, *, sent_at_ns: int, value: int) -> None:
    sender = Sender()
    service.intake.add_sample(device, sent_at_ns, value, sender)
    await service.writer.drain()
    await sender.outcome


async def checkpoint(service: Service) -> bool:
    await take_lease(service)
    return await service.housekeeping.checkpoint()


async def figures(service: Service, *devices: int) -> list[Any]:
    """The lifetime figures of devices, which count what blocks hold and what memory holds."""
    return [(await service.questions.lifetime(device)).figures for device in devices]


def run(tmp_path: Path, test: Callable[[SharedWorld, Service, Service], Awaitable[None]]) -> None:
    async def life() -> None:
        world = SharedWorld(tmp_path)
        first, second = await world.started(), await world.started()
        first.lease._tried_at_ns = second.lease._tried_at_ns = math.inf  # only tests move the lease
        first.catalog.lease.release(first.catalog.lease.current().term)
        await take_lease(first)
        assert first.lease.is_held
        await first.registry.register_many([Device("d0"), Device("d1")])
        await second.changes.reach(0)
        try:
            await test(world, first, second)
        finally:
            await second.node.stop()
            await first.node.stop()

    asyncio.run(life())


def test_all_nodes_take_a_checkpoint_over_and_answer_as_before(tmp_path: Path) -> None:
    async def test(world: SharedWorld, first: Service, second: Service) -> None:
        for hour in range(60):
            world.clock.ns += HOUR
            await beat(first if hour % 2 else second, "d0")
            await upload(first, 1, sent_at_ns=world.clock.ns, value=hour)
            await upload(second, 1, sent_at_ns=world.clock.ns - DAY, value=hour)  # late, so perhaps a repeat
            if hour == 30:
                await all_reached(first, second)
                assert await checkpoint(first)
        await all_reached(first, second)
        before = await figures(second, 0, 1)
        assert before == await figures(first, 0, 1)
        assert await checkpoint(first)
        await beat(second, "d1")
        await taken_over(first, second)
        assert second.history.manifest.position > 0
        assert second.fleet.closing.days == []
        assert await figures(second, 0) == before[:1]
        assert await figures(first, 0, 1) == await figures(second, 0, 1)
        assert fleet_hash(first.fleet) == fleet_hash(second.fleet)
        third = await world.started()
        await all_reached(first, third)
        assert await figures(third, 0, 1) == await figures(first, 0, 1)
        assert fleet_hash(first.fleet) == fleet_hash(third.fleet)
        await third.node.stop()

    run(tmp_path, test)


class StoreThatCanBeAway:
    """The block store as one node reaches it."""

    def __init__(self, store: Any) -> None:
        self._store = store
        self.is_away = False
        self.answers = threading.Event()
        self.answers.set()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def open(self, name: str) -> Any:
        assert self.answers.wait(30)
        if self.is_away:
            raise OSError(5, "the store does not answer")
        return self._store.open(name)


def test_a_node_that_cannot_read_the_blocks_goes_on_and_takes_the_checkpoint_over_later(tmp_path: Path) -> None:
    async def test(world: SharedWorld, first: Service, second: Service) -> None:
        await beat(first, "d0")
        await all_reached(first, second)
        store = StoreThatCanBeAway(second.history.store)
        second.history.store, store.is_away = store, True  # type: ignore[assignment]  # it delegates
        assert await checkpoint(first)
        await first.registry.register_many([Device("d2")])
        await beat(first, "d2")
        await all_reached(first, second)
        assert second.registry.numbers["d2"] == 2
        assert (second.changes.trouble, second.history.manifest.position) == ("", 0)
        assert (await figures(second, 2))[0].heartbeats == 1
        store.is_away = False
        await taken_over(first, second)
        assert await figures(first, 0, 1, 2) == await figures(second, 0, 1, 2)
        assert fleet_hash(first.fleet) == fleet_hash(second.fleet)

    run(tmp_path, test)


def test_neither_changes_nor_entries_wait_for_a_block_store_that_hangs(tmp_path: Path) -> None:
    async def test(world: SharedWorld, first: Service, second: Service) -> None:
        await beat(first, "d0")
        await all_reached(first, second)
        store = StoreThatCanBeAway(second.history.store)
        second.history.store = store  # type: ignore[assignment]  # it delegates
        store.answers.clear()
        try:
            assert await checkpoint(first)
            await first.registry.register_many([Device("d2")])
            await second.changes.reach(first.catalog.version())
            assert second.registry.numbers["d2"] == 2
            await beat(first, "d2")
            await all_reached(first, second)
            assert second.history.manifest.position == 0
            assert (await figures(second, 2))[0].heartbeats == 1
        finally:
            store.answers.set()
        await taken_over(first, second)
        assert await figures(first, 0, 1, 2) == await figures(second, 0, 1, 2)

    run(tmp_path, test)


def test_compaction_is_taken_over_too(tmp_path: Path) -> None:
    async def test(world: SharedWorld, first: Service, second: Service) -> None:
        for _ in range(4):
            world.clock.ns += DAY
            await beat(first, "d0")
            await all_reached(first, second)
            assert await checkpoint(first)
            sender = Sender()
            second.intake.add_heartbeat(1, world.clock.ns - 3 * DAY, sender)  # late: of a day that is closed
            await second.writer.drain()
            await sender.outcome
        await all_reached(first, second)
        assert await checkpoint(first)
        await taken_over(first, second)
        before = await figures(second, 0, 1)
        pieces = 0
        await take_lease(first)
        while await first.housekeeping.compact(is_forced=True):
            pieces += 1
            await taken_over(first, second)
            assert await figures(second, 0, 1) == before
        assert pieces
        assert fleet_hash(first.fleet) == fleet_hash(second.fleet)

    run(tmp_path, test)


def test_a_holder_that_ends_in_a_checkpoint_leaves_it_to_the_next_one(tmp_path: Path) -> None:
    async def test(world: SharedWorld, first: Service, second: Service) -> None:
        await beat(first, "d0")
        world.clock.ns += 3 * DAY
        await beat(second, "d1")
        await all_reached(first, second)
        before = await figures(second, 0, 1)
        cuts = first.node.shared_cuts
        assert cuts is not None

        async def half_a_checkpoint() -> bool:
            await cuts.frozen(world.clock.ns)
            return False

        assert not await cuts.while_writing(half_a_checkpoint)
        world.clock.ns += 20 * SECOND
        await take_lease(second)
        assert (second.lease.is_held, first.lease.is_held) == (True, False)
        assert not await first.housekeeping.checkpoint()
        assert await checkpoint(second)
        await taken_over(first, second)
        assert (await figures(first, 0, 1), await figures(second, 0, 1)) == (before, before)
        assert fleet_hash(first.fleet) == fleet_hash(second.fleet)

    run(tmp_path, test)


def test_a_node_that_was_away_for_too_long_loads_the_snapshot(tmp_path: Path) -> None:
    async def test(world: SharedWorld, first: Service, second: Service) -> None:
        await all_reached(first, second)
        tail_of(second).pause()
        for _ in range(3):
            world.clock.ns += DAY
            await beat(first, "d0")
            assert await checkpoint(first)
        assert world.stream.first() > second.follower.position + 1
        await beat(first, "d1")
        tail_of(second).restart()
        async with asyncio.timeout(10):
            while second.history.manifest.position == 0 or second.follower.is_away:
                second.node.tick()
                await asyncio.sleep(0.01)
        await taken_over(first, second)
        assert second.node.shared_cuts is not None and second.node.shared_cuts.reloads == 1
        assert await figures(first, 0, 1) == await figures(second, 0, 1)
        assert fleet_hash(first.fleet) == fleet_hash(second.fleet)
        await beat(second, "d1")

    run(tmp_path, test)


def test_a_node_whose_load_of_the_snapshot_fails_tries_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def test(world: SharedWorld, first: Service, second: Service) -> None:
        await all_reached(first, second)
        tail_of(second).pause()
        for _ in range(3):
            world.clock.ns += DAY
            await beat(first, "d0")
            assert await checkpoint(first)
        await beat(first, "d1")
        failures: list[Exception] = [Unreadable("the store is away"), CatalogAway("the catalog is away")]
        loaded: list[str] = []

        def load_once_it_answers(fleet: Fleet, history: History) -> None:
            load_snapshot(fleet, history)
            if failures:
                raise failures.pop()
            loaded.append("snapshot")

        monkeypatch.setattr(startup, "load_snapshot", load_once_it_answers)
        read_files = SimpleNamespace(load_now=lambda: loaded.append("files"))
        object.__setattr__(second.node.startup, "declared_files", read_files)
        second.node.store_return.retry_s = 0.05
        tail_of(second).restart()
        async with asyncio.timeout(10):
            while not loaded or second.follower.is_away or second.readiness.is_away:
                second.node.tick()
                await asyncio.sleep(0.01)
        await taken_over(first, second)
        assert (loaded, failures, second.readiness.degraded) == (["snapshot"], [], {})
        assert await figures(first, 0, 1) == await figures(second, 0, 1)
        assert fleet_hash(first.fleet) == fleet_hash(second.fleet)
        await beat(second, "d1")

    run(tmp_path, test)
