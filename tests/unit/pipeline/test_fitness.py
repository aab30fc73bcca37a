"""Which troubles of a node keep it from the work of the holder of the lease, and who has the lease then."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from fleetpulse.errors import JOURNAL_FULL, READ_ONLY, DamagedData, NotAccepting
from fleetpulse.pipeline.disk_watch import DISK_LOW
from fleetpulse.pipeline.fitness import unfit_because
from fleetpulse.pipeline.lease import LEASE_S, RENEW_S
from fleetpulse.pipeline.service import Service
from memory_service import SECOND
from shared_service import SharedWorld, tail_of, take_lease


def run(tmp_path: Path, test: Callable[[SharedWorld, Service, Service], Awaitable[None]]) -> None:
    async def life() -> None:
        world = SharedWorld(tmp_path)
        first, second = await world.started(), await world.started()
        first.catalog.lease.release(first.catalog.lease.current().term)
        await take_lease(first)
        try:
            await test(world, first, second)
        finally:
            await second.node.stop()
            await first.node.stop()

    asyncio.run(life())


async def passed(world: SharedWorld, seconds: int, *services: Service) -> None:
    for _ in range(seconds):
        world.clock.ns += SECOND
        for service in services:
            service.lease.tick()
            while (task := service.lease._task) is not None and not task.done():
                await asyncio.wait([task])


@pytest.mark.parametrize(
    ("reason", "is_store_remote", "is_fit"),
    [
        (JOURNAL_FULL, True, True),
        ("journal_away", True, False),
        (READ_ONLY, True, False),
        ("starting", True, False),
        ("clock", True, False),
        (DISK_LOW, True, False),
        (DISK_LOW, False, True),
    ],
)
def test_what_closes_the_intake_counts_where_it_keeps_out_entries_of_the_service(
    tmp_path: Path, reason: str, is_store_remote: bool, is_fit: bool
) -> None:
    async def test(_: SharedWorld, first: Service, __: Service) -> None:
        assert unfit_because(first.intake, first.follower, is_store_remote=is_store_remote) == ""
        first.intake.close(NotAccepting("what to do", reason=reason))
        because = unfit_because(first.intake, first.follower, is_store_remote=is_store_remote)
        assert (because == "", "what to do" in because) == (is_fit, not is_fit)

    run(tmp_path, test)


def lose_journal(service: Service) -> None:
    service.intake.close(NotAccepting("NATS does not answer", reason="journal_away"))


def load_snapshot(service: Service) -> None:
    service.follower.is_away = True


def break_tail(service: Service) -> None:
    tail = tail_of(service)
    tail._break(tail._run, DamagedData("an entry is damaged"))


@pytest.mark.parametrize("hurt", [lose_journal, load_snapshot, break_tail])
def test_another_node_takes_the_lease_of_one_that_can_do_nothing(
    tmp_path: Path, hurt: Callable[[Service], None]
) -> None:
    async def test(world: SharedWorld, first: Service, second: Service) -> None:
        hurt(first)
        await passed(world, LEASE_S, first, second)
        assert (first.lease.is_held, second.lease.is_held) == (True, False)
        await passed(world, 2 + RENEW_S, first, second)
        assert (first.lease.is_held, second.lease.is_held) == (False, True)
        assert (first.lease.left_s, first.lease.holder == first.lease.name) == (0, False)
        first.follower.is_away = False  # it has never been away, and stops as it began

    run(tmp_path, test)
