"""Nothing is removed from a block store but what the catalog wrote and superseded, and that only after the grace."""

import asyncio
import math
import shutil
from collections.abc import Awaitable, Callable
from copy import deepcopy
from pathlib import Path
from typing import Any, BinaryIO

import pytest
from structlog.testing import capture_logs

from fleetpulse.blocks.store import MemoryBlockStore
from fleetpulse.catalog.holding import holding
from fleetpulse.pipeline.service import Service
from fleetpulse.settings import Settings
from memory_service import SECOND, World, beat
from shared_service import SharedWorld, take_lease

HOUR = 3_600 * SECOND


def put(store: MemoryBlockStore, name: str) -> None:
    def write(file: BinaryIO) -> None:
        file.write(b"body")

    store.put(name, write)


def live(world: World, test: Callable[[Service], Awaitable[None]], **settings: Any) -> None:
    async def life() -> None:
        service = await world.started("d0", **settings)
        await test(service)
        await service.node.stop()

    asyncio.run(life())


async def checkpoints(service: Service, count: int = 1) -> None:
    for _ in range(count):
        await beat(service, "d0")
        assert await service.housekeeping.checkpoint()


def named(service: Service) -> set[str]:
    return {file.name for file in service.history.manifest.files()}


def test_files_without_a_recorded_mark_stay_and_are_counted(tmp_path: Path) -> None:
    world = World(tmp_path)

    async def test(service: Service) -> None:
        await checkpoints(service)
        put(world.store, "presence-20000-1-17f.parquet")
        put(world.store, "notes.parquet")
        await checkpoints(service, 3)
        assert world.store.names() - named(service) == {"presence-20000-1-17f.parquet", "notes.parquet"}
        assert service.counters.blocks_unknown == 2
        assert b"fleetpulse_blocks_unknown 2" in service.self_metrics.page()

    live(world, test)


def test_superseded_files_stay_until_their_grace_is_over(tmp_path: Path) -> None:
    world = World(tmp_path)

    async def test(service: Service) -> None:
        await checkpoints(service)
        first = named(service)
        await checkpoints(service)
        world.clock.ns += 23 * HOUR
        await checkpoints(service)
        assert first <= world.store.names()
        assert (service.counters.blocks_removed, service.counters.blocks_superseded > 0) == (0, True)
        world.clock.ns += HOUR + SECOND
        await checkpoints(service)
        assert not (first - named(service)) & world.store.names()
        assert service.counters.blocks_removed == len(first - named(service))

    live(world, test, block_grace_h=24.0)


def test_an_older_copy_of_the_folder_starts_within_the_grace(tmp_path: Path) -> None:
    world, copy = World(tmp_path / "data"), World(tmp_path / "copy")
    world.folder.mkdir()
    live(world, checkpoints)
    shutil.copytree(world.folder, copy.folder)
    copy.store = world.store
    copy.journal = deepcopy(world.journal)
    live(world, lambda service: checkpoints(service, 5), block_grace_h=24.0)
    newer = world.store.names()

    async def test(service: Service) -> None:
        assert (await service.questions.lifetime(0)).figures.minutes_present == 1
        await checkpoints(service)
        assert newer <= world.store.names()  # nothing of the newer folder is taken for ours
        assert service.counters.blocks_unknown > 0

    live(copy, test, block_grace_h=24.0)


def test_what_work_that_failed_left_behind_is_known_as_ours(tmp_path: Path) -> None:
    world = World(tmp_path)

    async def test(service: Service) -> None:
        await checkpoints(service)
        put(world.store, f"snapshot-9-17f-{world.store.mark}.parquet")
        put(world.store, f"open-9-17f-{world.store.mark}.parquet.tmp")
        await checkpoints(service)
        assert world.store.names() == named(service)
        assert service.counters.blocks_unknown == 0

    live(world, test)


def test_a_store_that_cannot_be_looked_through_fails_no_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World(tmp_path)

    def fail(*_: object) -> set[str]:
        raise OSError("away")

    async def test(service: Service) -> None:
        await checkpoints(service)
        before = world.store.names()
        for method in ("names", "remove"):
            with monkeypatch.context() as patch:
                patch.setattr(world.store, method, fail)
                await checkpoints(service)
            assert before <= world.store.names()
        await checkpoints(service)
        assert world.store.names() == named(service)

    live(world, test)


def test_while_the_time_is_not_certain_only_the_limit_of_bytes_removes_files(tmp_path: Path) -> None:
    world = World(tmp_path)

    async def test(service: Service) -> None:
        await checkpoints(service)
        first = named(service)
        world.clock.step(2 * HOUR)  # a leap
        service.watch.turn()
        assert service.watch.kept_because
        await checkpoints(service)
        assert first <= world.store.names()
        service.housekeeping.removal.grace = Settings(block_grace_bytes_max=0)
        await checkpoints(service)
        assert world.store.names() == named(service)

    live(world, test)


@pytest.mark.parametrize("is_superseded", [False, True])
def test_files_that_are_given_up_early_are_logged_only_where_there_are_any(tmp_path: Path, is_superseded: bool) -> None:
    async def test(service: Service) -> None:
        if is_superseded:
            await checkpoints(service, 3)
        with capture_logs() as logs:
            service.housekeeping.removal.bytes_wanted = 10**9
            await service.housekeeping.removal.run(is_kept=False)
        lines = [line["files"] for line in logs if "before their time" in line["event"]]
        assert lines == ([service.counters.blocks_given_up] if is_superseded else [])
        assert (service.counters.blocks_given_up > 0) == is_superseded

    live(World(tmp_path), test, block_grace_h=24.0)


def test_a_former_holder_removes_nothing_of_its_successor(tmp_path: Path) -> None:
    async def run() -> None:
        world = SharedWorld(tmp_path)
        former, present = await world.started(), await world.started()
        for node in (former, present):
            node.lease._tried_at_ns = math.inf  # it takes the lease only when it is told to
        former.catalog.lease.release(former.catalog.lease.current().term)
        await take_lease(former)
        term = former.lease._term
        assert term is not None
        former.catalog.lease.release(term)
        await take_lease(present)
        with holding(present.lease._term):
            await present.housekeeping.removal.begin()
        name = f"snapshot-9-17f-{world.store.mark}.parquet"  # no manifest names it yet
        put(world.store, name)
        with holding(term), capture_logs() as logs:
            await former.housekeeping.removal.run(is_kept=False)
        assert "does not have the lease any more" in str(logs)
        assert name in world.store.names()
        await present.node.stop()
        await former.node.stop()

    asyncio.run(run())
