"""A start whose block store is away takes events; when the store is back, everything counts as if it never was away."""

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import BinaryIO

import pytest

from fleetpulse.blocks.store import MemoryBlockStore
from fleetpulse.errors import READ_ONLY, DamagedData, DatabaseBusy, NotAccepting, Unreadable
from fleetpulse.model.device import Device
from fleetpulse.pipeline.service import Service
from fleetpulse.query.slot_uptime import device_slot_uptime
from fleetpulse.query.window import Window
from memory_service import NOON, SECOND, World, beat

HOUR = 3_600 * SECOND


class RemoteStore(MemoryBlockStore):
    """A store that can be away: then it reads nothing and takes no notes."""

    is_remote = True

    def __init__(self) -> None:
        super().__init__()
        self.is_away = False

    def _check(self) -> None:
        if self.is_away:
            raise OSError("the store does not answer")

    def open(self, name: str) -> BinaryIO:
        self._check()
        return super().open(name)

    def read_note(self, name: str) -> object:
        self._check()
        return super().read_note(name)


class RemoteWorld(World):
    """A world whose blocks are elsewhere, with an hour of heartbeats of d0 in a snapshot."""

    store: RemoteStore

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.store = RemoteStore()

    async def live(self) -> None:
        service = await self.started("d0", "d1")
        await self.beats(service, 60)
        await service.node.stop()

    async def beats(self, service: Service, count: int) -> None:
        for _ in range(count):
            self.clock.ns += 60 * SECOND
            service.node.tick()
            await beat(service, "d0")


def run(folder: Path, test: Callable[[RemoteWorld], Awaitable[None]]) -> None:
    async def life() -> None:
        world = RemoteWorld(folder)
        await world.live()
        await test(world)

    asyncio.run(life())


async def present(service: Service) -> int:
    window = Window(NOON, NOON + 10 * HOUR)
    question = partial(device_slot_uptime, device_id="d0", window=window, is_explained=False)
    answer = await service.questions.device("d0", question, start_ns=window.start_ns)
    assert answer.missing == []
    assert isinstance(answer.present, int)
    return answer.present


def test_events_are_taken_while_the_snapshot_is_away_and_all_count_once_it_is_back(tmp_path: Path) -> None:
    async def test(world: RemoteWorld) -> None:
        world.store.is_away = True
        for stays in (False, True):  # the second start replays what came in during the first
            service = world.service(s3_retry_s=0.1)
            await service.node.start()
            assert set(service.readiness.degraded) == {"blocks", "snapshot"}
            assert service.readiness.refusal is None
            await world.beats(service, 10)
            assert service.follower.pending_events == 10
            for question in (service.readiness.check, service.follower.catch_up):
                with pytest.raises(NotAccepting) as refusal:
                    question()
                assert refusal.value.reason == "blocks_away"
            position = service.history.manifest.position
            if not stays:
                await service.node.stop()
                assert service.history.manifest.position == position, "nothing may be written without the snapshot"
        await service.node.store_return.try_again()
        assert "snapshot" in service.readiness.degraded
        world.store.is_away = False
        await service.node.store_return.try_again()
        service.readiness.check()
        assert (service.readiness.degraded, service.readiness.stage) == ({}, "ready")
        await world.beats(service, 1)
        assert await present(service) == 81
        audit = service.questions.account(0)
        assert (audit.accepted, audit.pending) == (81, 0)
        counters = service.counters
        assert counters.events_applied + service.follower.pending_events == 11
        await service.node.stop()
        service = await world.started()
        assert (service.readiness.degraded, await present(service)) == ({}, 81)
        await service.node.stop()

    run(tmp_path, test)


def test_time_before_the_start_is_blind_although_the_snapshot_is_away(tmp_path: Path) -> None:
    async def test(world: RemoteWorld) -> None:
        stopped_ns = world.clock.ns
        world.clock.ns += HOUR
        world.store.is_away = True
        service = world.service()
        await service.node.start()
        world.store.is_away = False
        await service.node.store_return.try_again()
        service.follower.catch_up()
        assert [span[0] for span in service.fleet.blind_ns][-1] == stopped_ns
        await service.node.stop()

    run(tmp_path, test)


def test_devices_that_register_while_the_snapshot_is_away_count_too(tmp_path: Path) -> None:
    async def test(world: RemoteWorld) -> None:
        world.store.is_away = True
        service = world.service()
        await service.node.start()
        await service.registry.register_many([Device("new")])
        await beat(service, "new")
        world.store.is_away = False
        await service.node.store_return.try_again()
        assert service.questions.account(2).accepted == 1
        assert service.questions.account(0).accepted == 60
        await service.node.stop()

    run(tmp_path, test)


def test_a_snapshot_that_is_damaged_is_said_and_loaded_once_it_is_restored(tmp_path: Path) -> None:
    async def test(world: RemoteWorld) -> None:
        world.store.is_away = True
        service = world.service()
        await service.node.start()
        world.store.is_away = False
        name = service.history.manifest.snapshot.name  # type: ignore[union-attr]  # there is one
        with world.store.open(name) as reader:
            body = reader.read()
        world.store.put(name, lambda to: to.write(b"damage") and None)
        await service.node.store_return.try_again()
        assert "not what was written" in service.readiness.degraded["snapshot"]
        assert service.readiness.refusal is None
        world.store.put(name, lambda to: to.write(body) and None)
        await service.node.store_return.try_again()
        assert (service.readiness.degraded, await present(service)) == ({}, 60)
        await service.node.stop()

    run(tmp_path, test)


def test_a_load_that_fails_half_way_is_tried_again_from_the_beginning(tmp_path: Path) -> None:
    async def test(world: RemoteWorld) -> None:
        world.store.is_away = True
        service = world.service()
        await service.node.start()
        await world.beats(service, 10)
        world.store.is_away = False
        startup, failures = service.node.startup, [DatabaseBusy("busy"), Unreadable("away"), OSError("away")]

        def fail() -> None:
            if failures:
                raise failures.pop()

        # The last step of a load: the fleet has its snapshot by then, and the journal was replayed.
        object.__setattr__(startup, "declared_files", SimpleNamespace(load_now=fail))
        for _ in range(3):
            await service.node.store_return.try_again()
            assert set(service.readiness.degraded) == {"snapshot"}
            assert (service.follower.is_away, service.intake.closed_by) == (True, None)
            await world.beats(service, 1)
        await service.node.store_return.try_again()
        assert (service.readiness.degraded, service.readiness.stage) == ({}, "ready")
        await world.beats(service, 1)
        assert await present(service) == 74
        assert service.questions.account(0).accepted == 74
        await service.node.stop()

    run(tmp_path, test)


def test_damage_that_a_load_finds_closes_the_intake(tmp_path: Path) -> None:
    async def test(world: RemoteWorld) -> None:
        world.store.is_away = True
        service = world.service()
        await service.node.start()
        world.store.is_away = False

        def fail() -> None:
            raise DamagedData("damaged")

        object.__setattr__(service.node.startup, "declared_files", SimpleNamespace(load_now=fail))
        await service.node.store_return.try_again()
        assert service.intake.closed_by is not None and service.intake.closed_by.reason == READ_ONLY
        await service.node.stop()

    run(tmp_path, test)


def test_a_folder_of_blocks_that_cannot_be_read_ends_the_start(tmp_path: Path) -> None:
    async def test(world: RemoteWorld) -> None:
        world.store.is_away, world.store.is_remote = True, False
        service = world.service()
        with pytest.raises(Unreadable):
            await service.node.start()
        await service.node.stop()

    run(tmp_path, test)
