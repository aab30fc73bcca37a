"""A shared journal that becomes full keeps room for the checkpoint that empties it."""

import asyncio
import math
from pathlib import Path

import pytest

from fleetpulse.errors import NotAccepting
from fleetpulse.model.device import Device
from fleetpulse.pipeline.journal_room import FULL_SHARE, URGE_EVERY_NS, URGE_SHARE
from memory_service import beat
from shared_service import SharedWorld, all_reached, take_lease


def test_events_are_refused_until_a_checkpoint_has_emptied_the_journal(tmp_path: Path) -> None:
    async def live() -> None:
        world = SharedWorld(tmp_path)
        first, second = await world.started(), await world.started()
        first.lease._tried_at_ns = second.lease._tried_at_ns = math.inf  # only tests move the lease
        await first.registry.register_many([Device("a")])
        await second.changes.reach(0)
        for _ in range(5):
            await beat(first, "a")
        await all_reached(first, second)
        world.stream.entries_max = len(world.stream.entries) / FULL_SHARE
        for node in (first, second):
            node.node.tick()
            assert node.intake.closed_by is not None
            assert node.intake.closed_by.reason == "journal_full"
            with pytest.raises(NotAccepting):
                node.intake.check()
        assert not first.housekeeping.is_due() or not first.lease.is_held
        first.catalog.lease.release(first.catalog.lease.current().term)
        await take_lease(first)
        assert first.housekeeping.is_due(), "the holder was urged"
        before = len(world.stream.entries)
        assert await first.housekeeping.checkpoint()
        assert len(world.stream.entries) < before / 2, "it is cut right up to the checkpoint"
        for node in (first, second):
            node.node.tick()
            assert node.intake.closed_by is None
        await beat(second, "a")
        await all_reached(first, second)
        assert (await first.questions.lifetime(0)).figures.heartbeats == 6
        await second.node.stop()
        await first.node.stop()

    asyncio.run(live())


def test_another_stream_that_fills_the_servers_does_not_urge_all_the_time(tmp_path: Path) -> None:
    async def live() -> None:
        world = SharedWorld(tmp_path)
        service = await world.started()
        room = service.node.journal_room
        assert room is not None
        urged: list[None] = []
        room.urge = lambda: urged.append(None)
        world.stream.entries_max = len(world.stream.entries) / URGE_SHARE
        for _ in range(3):
            room.tick()
        assert len(urged) == 1
        assert service.intake.closed_by is None
        world.clock.ns += URGE_EVERY_NS
        room.tick()
        assert len(urged) == 2
        await service.node.stop()

    asyncio.run(live())
