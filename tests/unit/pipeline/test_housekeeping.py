"""Checkpoints and compaction: what they leave in journal, blocks and memory, and what a failure leaves."""

import asyncio
from collections.abc import Awaitable, Callable
from itertools import count, pairwise
from pathlib import Path
from typing import Any, BinaryIO

import pytest

from beat_days import rows_of
from fleetpulse.blocks.memory_cache import MemoryCache
from fleetpulse.blocks.store import MemoryBlockStore
from fleetpulse.blocks.stored_beat_gaps import read_beat_gaps
from fleetpulse.model.device import Device
from fleetpulse.model.manifest import BlockFile
from fleetpulse.pipeline.service import Service
from memory_service import DAY, NOON, SECOND, Sender, World, beat


class FailingStore(MemoryBlockStore):
    """Blocks in memory, on a disk that can be full."""

    is_full = False

    def put(self, name: str, write: Callable[[BinaryIO], None]) -> BlockFile:
        if self.is_full:
            raise OSError("no space left")
        return super().put(name, write)


def run(folder: Path, test: Callable[[World, Service], Awaitable[None]], **settings: Any) -> World:
    """Run a test on a started service that knows d0 and d1."""
    world = World(folder)
    world.store = FailingStore()

    async def life() -> None:
        service = await world.started("d0", "d1", **settings)
        assert await service.housekeeping.checkpoint()  # the policies of both are as the journal finds them
        await test(world, service)
        await service.node.stop()

    asyncio.run(life())
    return world


async def sample(service: Service, value: int) -> None:
    sender = Sender()
    service.intake.add_sample(0, service.clock.now_ns(), value, sender)
    await service.writer.drain()
    await sender.outcome


def test_a_checkpoint_covers_the_journal_and_drops_it(tmp_path: Path) -> None:
    async def test(world: World, service: Service) -> None:
        await beat(service, "d0")
        assert service.housekeeping.has_news
        assert await service.housekeeping.checkpoint()
        assert not service.housekeeping.has_news
        position = service.history.manifest.position
        assert (position, world.journal.first_position()) == (service.follower.position, position + 1)
        assert service.counters.checkpoints == 2

    run(tmp_path, test)


def test_a_checkpoint_removes_the_files_that_it_replaces(tmp_path: Path) -> None:
    async def test(world: World, service: Service) -> None:
        for _ in range(3):
            await beat(service, "d0")
            assert await service.housekeeping.checkpoint()
        assert world.store.names() == {file.name for file in service.history.manifest.files()}

    run(tmp_path, test)


def test_names_of_devices_are_written_only_after_they_changed(tmp_path: Path) -> None:
    async def test(world: World, service: Service) -> None:
        names = service.history.manifest.names
        assert await service.housekeeping.checkpoint()
        assert service.history.manifest.names == names
        await service.registry.register_many([Device("d2")])
        assert await service.housekeeping.checkpoint()
        assert service.history.manifest.names["devices"] != names["devices"]

    run(tmp_path, test)


def test_a_failed_checkpoint_leaves_the_journal_and_is_not_urgent_again(tmp_path: Path) -> None:
    async def test(world: World, service: Service) -> None:
        manifest = service.history.manifest
        await beat(service, "d0")
        assert service.housekeeping.is_due()
        world.store.is_full = True
        assert not await service.housekeeping.checkpoint()
        assert not service.housekeeping.is_due()
        assert service.history.manifest is manifest
        assert world.journal.last_position() >= world.journal.first_position()
        assert (service.counters.checkpoints, service.counters.checkpoints_failed) == (1, 1)
        world.store.is_full = False
        assert await service.housekeeping.checkpoint()

    run(tmp_path, test, checkpoint_journal_entries=1)


def test_a_checkpoint_is_due_when_a_day_ends_and_not_when_a_policy_changes(tmp_path: Path) -> None:
    async def test(world: World, service: Service) -> None:
        assert not service.housekeeping.is_due()
        await service.registry.update({0: Device("d0", interval_s=10)})
        assert not service.housekeeping.is_due()
        world.clock.ns += 3 * DAY
        service.follower.advance(world.clock.ns)
        assert service.housekeeping.is_due()
        assert await service.housekeeping.checkpoint()
        assert not service.housekeeping.is_due()

    run(tmp_path, test)


def test_compaction_ends_when_nothing_is_left_to_do(tmp_path: Path) -> None:
    async def test(world: World, service: Service) -> None:
        for value in range(3):
            await sample(service, value)
            assert await service.housekeeping.checkpoint()
        assert len(service.history.manifest.samples) == 3
        while await service.housekeeping.compact(is_forced=True):
            pass
        assert len(service.history.manifest.samples) == 1
        assert service.counters.compactions >= 1
        assert world.store.names() == {file.name for file in service.history.manifest.files()}

    run(tmp_path, test)


def test_a_failed_compaction_leaves_the_blocks_as_they_were(tmp_path: Path) -> None:
    async def test(world: World, service: Service) -> None:
        for value in range(3):
            await sample(service, value)
            assert await service.housekeeping.checkpoint()
        manifest = service.history.manifest
        world.store.is_full = True
        assert not await service.housekeeping.compact(is_forced=True)
        world.store.is_full = False
        assert service.history.manifest is manifest
        assert service.counters.compactions_failed == 1

    run(tmp_path, test)


def test_a_tick_takes_a_checkpoint_in_the_background(tmp_path: Path) -> None:
    async def test(world: World, service: Service) -> None:
        service.housekeeping.tick()
        await service.housekeeping.wait()
        assert service.counters.checkpoints == 1  # the one before: none was due
        await beat(service, "d0")
        service.housekeeping.tick()
        service.housekeeping.tick()
        await service.housekeeping.wait()
        assert service.counters.checkpoints == 2

    run(tmp_path, test, checkpoint_journal_entries=1)


def test_acknowledged_events_are_answered_while_a_checkpoint_runs(tmp_path: Path) -> None:
    async def test(world: World, service: Service) -> None:
        await beat(service, "d0")
        running = asyncio.create_task(service.housekeeping.checkpoint())
        await asyncio.sleep(0)
        world.clock.ns += 60 * SECOND
        await beat(service, "d0")
        assert (await service.questions.lifetime(0)).figures.minutes_present == 2
        assert await running
        assert (await service.questions.lifetime(0)).figures.last_minute == (NOON // SECOND + 60) // 60

    run(tmp_path, test)


def test_a_checkpoint_that_is_left_has_no_effect(tmp_path: Path) -> None:
    async def test(world: World, service: Service) -> None:
        await beat(service, "d0")
        before, position = service.history.manifest, world.journal.first_position()
        service.housekeeping.leave()
        assert not await service.housekeeping.checkpoint()
        assert not await service.housekeeping.compact(is_forced=True)
        assert (service.history.manifest, world.journal.first_position()) == (before, position)
        assert service.catalog.manifest() == before
        assert (service.counters.checkpoints_failed, service.counters.compactions_failed) == (0, 0)
        service.threads.ending.is_due = False
        assert await service.housekeeping.checkpoint()

    run(tmp_path, test)


def test_the_first_checkpoint_of_a_process_does_not_write_the_names_of_devices_again(tmp_path: Path) -> None:
    async def test(world: World, service: Service) -> None:
        await beat(service, "d0")

    world = run(tmp_path, test)

    async def again() -> None:
        service = world.service()
        await service.node.start()
        before = service.history.manifest.names["devices"]
        assert await service.housekeeping.checkpoint()
        assert service.history.manifest.names["devices"] == before
        await service.registry.register_many([Device("d2")])
        assert await service.housekeeping.checkpoint()
        assert service.history.manifest.names["devices"] != before
        await service.node.stop()

    asyncio.run(again())


def test_a_checkpoint_holds_the_events_up_to_its_position_and_none_that_came_while_it_was_written(
    tmp_path: Path,
) -> None:
    async def test(_: World, service: Service) -> None:
        values = count()  # a sample that was sent already would not count
        for _ in range(3):
            before, sent = service.follower.position, 0
            in_snapshot = await uploads_in_snapshot(service)
            checkpoint = asyncio.create_task(service.housekeeping.checkpoint())
            while not checkpoint.done():
                await sample(service, next(values))
                service.follower.catch_up()
                sent += 1
            assert await checkpoint
            in_journal = service.follower.position - service.history.manifest.position
            assert service.follower.position - before == sent
            assert await uploads_in_snapshot(service) - in_snapshot + in_journal == sent
            assert await service.housekeeping.checkpoint()

    async def uploads_in_snapshot(service: Service) -> int:
        snapshot = service.history.manifest.snapshot
        assert snapshot
        return int(service.history.read_snapshot(snapshot)["uploads"].sum())

    run(tmp_path, test)


async def beat_at(service: Service, sent_at_ns: int) -> None:
    sender = Sender()
    service.intake.add_heartbeat(0, sent_at_ns, sender)
    await service.writer.drain()
    await sender.outcome


KINDS = (
    *("presence", "open", "late-days", "late-devices", "silences", "gaps", "backfill", "samples", "snapshot"),
    *("devices", "metrics"),
)


def gaps_s(service: Service) -> list[tuple[int, int]]:
    """Gaps between beats of more than 90 seconds, in seconds after NOON."""
    pieces = read_beat_gaps(service.history, service.history.manifest, start_day=0, end_day=2**31)
    rows = [((start - NOON) // SECOND, (end - NOON) // SECOND) for piece in pieces for _, start, end in rows_of(piece)]
    return sorted(row for row in rows if row[1] - row[0] > 90)


@pytest.mark.parametrize("kind", KINDS)
def test_a_damaged_block_of_any_kind_keeps_no_checkpoint_from_being_taken(tmp_path: Path, kind: str) -> None:
    async def test(world: World, service: Service) -> None:
        for days in (9, 0):
            await beat_at(service, NOON - days * DAY)
        await sample(service, 5)
        assert await service.housekeeping.checkpoint()
        while await service.housekeeping.compact(is_forced=True):
            pass
        await beat_at(service, NOON - 9 * DAY + 60 * SECOND)
        world.clock.ns += 3600 * SECOND  # the beat that comes next ends a reception gap
        await beat(service, "d0")
        await sample(service, 6)
        assert await service.housekeeping.checkpoint()
        found = [file for file in service.history.manifest.files() if file.name.startswith(kind)]
        assert found
        bodies = {}
        for file in found:
            with world.store.open(file.name) as reader:
                bodies[file.name] = reader.read()
            damaged = bytes(byte ^ 1 for byte in bodies[file.name])
            world.store.put(file.name, lambda out, body=damaged: out.write(body))
        service.history._checked.clear()
        service.history.memory_cache = MemoryCache(0)
        for days in (9, 8, 1):
            await beat_at(service, NOON - days * DAY + 120 * SECOND)
        await sample(service, 7)
        assert await service.housekeeping.checkpoint()
        while await service.housekeeping.compact(is_forced=True):
            pass
        assert await service.housekeeping.checkpoint()
        for name, body in bodies.items():
            if any(name == file.name for file in service.history.manifest.files()):
                world.store.put(name, lambda out, body=body: out.write(body))
        await service.housekeeping.check_set_aside()
        assert not list(service.history.set_aside)
        assert service.housekeeping.catalog.files.set_aside() == {}
        while await service.housekeeping.compact(is_forced=True):
            pass
        assert not (service.history.manifest.late or service.history.manifest.backfill)
        beats_s = [-9 * 86_400 + 120, -8 * 86_400 + 120, -86_400 + 120, 0, 3600]
        assert gaps_s(service) == list(pairwise(beats_s))
        assert (await service.questions.lifetime(0)).figures.minutes_present == 7

    run(tmp_path, test, earliest="2000-01-01T00:00:00Z")


def test_a_block_that_is_set_aside_is_recorded_until_it_is_back(tmp_path: Path) -> None:
    async def test(world: World, service: Service) -> None:
        await beat_at(service, NOON - 9 * DAY)
        assert await service.housekeeping.checkpoint()
        file = service.history.manifest.presence[(NOON - 9 * DAY) // DAY]
        with world.store.open(file.name) as reader:
            body = reader.read()
        world.store.remove(file.name)
        service.history._checked.clear()
        await beat_at(service, NOON - 9 * DAY + 60 * SECOND)
        assert await service.housekeeping.checkpoint()
        assert not await service.housekeeping.compact(is_forced=True)
        assert await service.housekeeping.checkpoint()
        assert list(service.housekeeping.catalog.files.set_aside()) == [file.name]
        assert file.name in str(service.readiness.troubles)
        world.store.put(file.name, lambda out: out.write(body))
        assert await service.housekeeping.check_set_aside() == [file.name]
        assert not service.readiness.troubles
        assert await service.housekeeping.compact(is_forced=True)
        assert (await service.questions.lifetime(0)).figures.minutes_present == 2

    run(tmp_path, test, earliest="2000-01-01T00:00:00Z")


def test_while_checkpoints_fail_the_node_is_degraded_and_says_why(tmp_path: Path) -> None:
    async def test(world: World, service: Service) -> None:
        await beat(service, "d0")
        world.store.is_full = True
        assert not await service.housekeeping.checkpoint()
        assert "no space left" in str(service.readiness.troubles)
        world.store.is_full = False
        assert await service.housekeeping.checkpoint()
        assert not service.readiness.troubles

    run(tmp_path, test)
