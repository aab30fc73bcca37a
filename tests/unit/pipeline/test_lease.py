"""The lease as a node sees it: when it is held, what ends it, and what its work must not do afterwards."""

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.memory_service import SECOND, FakeClock, World, beat

from fleetpulse.catalog.holding import current_term
from fleetpulse.catalog.sqlite import SqliteCatalog
from fleetpulse.errors import Deposed
from fleetpulse.model.device import Device
from fleetpulse.model.lease import Term
from fleetpulse.pipeline.catalog_thread import CatalogThread
from fleetpulse.pipeline.lease import LAST_RESORT_S, LEASE_S, RENEW_S, Lease
from fleetpulse.pipeline.threads import Threads


class Nodes:
    """Several nodes on one catalog, each with a connection of its own."""

    def __init__(self, folder: Path, *names: str, is_alone: bool = False) -> None:
        self.clock = FakeClock()
        self.threads = Threads()
        self.catalogs = [SqliteCatalog(folder / "catalog.sqlite", clock=self.clock) for _ in names]
        self.leases = [
            Lease(
                catalog=catalog,
                catalog_thread=CatalogThread(self.threads.catalog),
                renewing=CatalogThread(self.threads.lease),
                clock=self.clock,
                name=name,
                is_alone=is_alone,
            )
            for name, catalog in zip(names, self.catalogs, strict=True)
        ]
        self.log: list[str] = []
        for lease in self.leases:
            lease.on_taken.append(lambda name=lease.name: self.log.append(f"{name} takes it"))
            lease.on_lost.append(lambda name=lease.name: self.log.append(f"{name} loses it"))

    def close(self) -> None:
        self.threads.close()
        for catalog in self.catalogs:
            catalog.close()


def run(test: Callable[[], Awaitable[Nodes]]) -> None:
    async def life() -> None:
        (await test()).close()

    asyncio.run(life())


def test_one_node_has_it_and_another_takes_it_when_its_time_is_over(tmp_path: Path) -> None:
    async def test() -> Nodes:
        nodes = Nodes(tmp_path, "a", "b")
        a, b = nodes.leases
        await a.look()
        await b.look()
        assert (a.is_held, b.is_held, b.holder, b.epoch) == (True, False, "a", 1)
        for _ in range(5):
            nodes.clock.ns += RENEW_S * SECOND
            await a.look()
            await b.look()
        assert (a.is_held, b.is_held) == (True, False)
        nodes.clock.ns += LEASE_S * SECOND  # `a` is paused
        assert not a.is_held, "by its own clock, without asking"
        await b.look()
        assert (b.is_held, b.epoch) == (True, 2)
        a.tick()
        assert a._task is not None
        await asyncio.wait([a._task])
        assert (a.is_held, a.holder, a.epoch) == (False, "b", 2)
        assert nodes.log == ["a takes it", "b takes it", "a loses it"]
        return nodes

    run(test)


def test_what_a_holder_has_begun_is_refused_once_another_node_has_the_lease(tmp_path: Path) -> None:
    async def test() -> Nodes:
        nodes = Nodes(tmp_path, "a", "b")
        a, b = nodes.leases
        await a.look()

        async def work() -> bool:
            assert current_term() == Term("a", 1)
            nodes.clock.ns += LEASE_S * SECOND
            await b.look()
            with a.holding():  # a piece of this work, though the node is not the holder any more
                await a.catalog_thread.run(lambda: nodes.catalogs[0].register([Device("d")], devices_max=9, at_ns=1))
            return True

        assert not await a.as_holder(work())
        assert nodes.catalogs[1].device_count() == 0
        assert not a.is_held
        await a.look()
        with pytest.raises(Deposed, match="b has the lease"), a.holding():
            pass
        return nodes

    run(test)


def test_a_node_that_stops_gives_it_back(tmp_path: Path) -> None:
    async def test() -> Nodes:
        nodes = Nodes(tmp_path, "a", "b")
        a, b = nodes.leases
        await a.look()
        await a.end()
        await b.look()
        assert (a.is_held, b.is_held) == (False, True)
        a.tick()
        assert not a.is_held
        return nodes

    run(test)


def test_a_catalog_that_cannot_be_written_costs_the_lease_in_time_and_it_is_taken_again(tmp_path: Path) -> None:
    async def test() -> Nodes:
        nodes = Nodes(tmp_path, "a")
        (a,) = nodes.leases
        await a.look()
        other = sqlite3.connect(tmp_path / "catalog.sqlite", isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        nodes.clock.ns += RENEW_S * SECOND
        await a.look()
        assert a.is_held
        nodes.clock.ns += LEASE_S * SECOND
        a.tick()
        assert not a.is_held
        other.close()
        assert a._task is not None
        await a._task  # the look that the tick began
        await a.look()
        assert (a.is_held, a.epoch) == (True, 2)
        return nodes

    run(test)


def test_a_node_on_its_own_takes_it_at_the_start_and_keeps_it(tmp_path: Path) -> None:
    async def test() -> Nodes:
        nodes = Nodes(tmp_path, "a", "later", is_alone=True)
        first, later = nodes.leases
        first.begin()
        nodes.clock.ns += 1_000 * LEASE_S * SECOND
        first.tick()
        assert (first.is_held, first.epoch) == (True, 1)
        before = nodes.catalogs[1].transactions()
        later.begin()  # the next process of the same folder does not wait
        assert (later.is_held, later.epoch, nodes.catalogs[1].transactions()) == (True, 2, before)
        return nodes

    run(test)


async def ticked(nodes: Nodes, seconds: int) -> None:
    """Let the time pass, with a tick of every node a second."""
    for _ in range(seconds):
        nodes.clock.ns += SECOND
        for lease in nodes.leases:
            lease.tick()
            while lease._task is not None and not lease._task.done():
                await asyncio.wait([lease._task])


def test_a_holder_that_is_unfit_for_moments_keeps_it(tmp_path: Path) -> None:
    async def test() -> Nodes:
        nodes = Nodes(tmp_path, "a", "b")
        a, b = nodes.leases
        await a.look()
        for _ in range(3):
            a.unfit_because = lambda: "NATS elects a leader"
            await ticked(nodes, LEASE_S)
            a.unfit_because = lambda: ""
            await ticked(nodes, 1)
        assert (a.is_held, a.epoch, b.is_held, nodes.log) == (True, 1, False, ["a takes it"])
        return nodes

    run(test)


def test_a_holder_that_is_unfit_for_longer_gives_it_up_and_takes_it_again_only_when_fit(tmp_path: Path) -> None:
    async def test() -> Nodes:
        nodes = Nodes(tmp_path, "a", "b")
        a, b = nodes.leases
        await a.look()
        a.unfit_because = lambda: "NATS does not answer"
        await ticked(nodes, LEASE_S + 2 + RENEW_S)
        assert (a.is_held, b.is_held, b.epoch) == (False, True, 2)
        assert nodes.log == ["a takes it", "a loses it", "b takes it"]
        b.unfit_because = lambda: "it is read-only"
        await ticked(nodes, LEASE_S + 2 + RENEW_S)
        assert (a.is_held, b.is_held, a.holder, b.holder) == (False, False, "", ""), "nobody is fit"
        a.unfit_because = lambda: ""
        await ticked(nodes, RENEW_S)
        assert (a.is_held, a.epoch, b.holder) == (True, 3, "a")
        return nodes

    run(test)


def test_where_nobody_is_fit_one_has_it_for_most_of_the_time_and_a_fit_one_gets_it(tmp_path: Path) -> None:
    async def test() -> Nodes:
        nodes = Nodes(tmp_path, "a", "b")
        a, b = nodes.leases
        a.unfit_because = b.unfit_because = lambda: "no snapshot"
        await ticked(nodes, LEASE_S - 1)
        assert (a.is_held, b.is_held) == (False, False), "it is left to one that is fit"
        seconds = 0
        for _ in range(4 * LAST_RESORT_S):
            await ticked(nodes, 1)
            seconds += a.is_held + b.is_held
        assert seconds > 3 * LAST_RESORT_S
        b.unfit_because = lambda: ""
        await ticked(nodes, LAST_RESORT_S + RENEW_S + 1)
        assert (a.is_held, b.is_held) == (False, True)
        return nodes

    run(test)


def test_a_node_on_its_own_keeps_it_however_unfit_it_is(tmp_path: Path) -> None:
    async def test() -> Nodes:
        nodes = Nodes(tmp_path, "a", is_alone=True)
        (a,) = nodes.leases
        a.unfit_because = lambda: "the disk is full"
        a.begin()
        await ticked(nodes, 3 * LEASE_S)
        assert (a.is_held, a.epoch, nodes.log) == (True, 1, [])
        return nodes

    run(test)


class Unchecked(Lease):
    """A node that does not have the epoch checked."""

    @contextmanager
    def holding(self) -> Generator[None, None, None]:
        yield


@pytest.mark.parametrize("is_checked", [True, False], ids=["checked", "control without the check"])
def test_a_former_holder_takes_no_checkpoint_and_compacts_nothing(tmp_path: Path, is_checked: bool) -> None:
    async def life() -> None:
        world = World(tmp_path)
        service = await world.started("d0")
        await beat(service, "d0")
        catalog = SqliteCatalog(tmp_path / "catalog.sqlite", clock=world.clock)
        if not is_checked:
            service.housekeeping.lease = Unchecked(
                catalog=service.catalog,
                catalog_thread=service.catalog_thread,
                renewing=service.catalog_thread,
                clock=world.clock,
                name="unchecked",
                is_alone=True,
            )
        assert catalog.lease.take("another node", for_ns=0) is not None
        before = catalog.manifest()
        assert await service.housekeeping.checkpoint() is not is_checked
        assert (catalog.manifest() == before) is is_checked
        if is_checked:
            assert not service.lease.is_held
            assert not await service.housekeeping.compact(is_forced=True)
        await beat(service, "d0")  # events are accepted by every node
        catalog.close()
        await service.node.stop()

    asyncio.run(life())
