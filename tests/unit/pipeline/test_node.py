"""A node's life: what start, tick and stop do, in their order."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from fleetpulse.errors import Answerable, NotAccepting
from fleetpulse.pipeline.service import Service
from memory_service import NOON, SECOND, Sender, World, beat


def run(folder: Path, test: Callable[[World, Service], Awaitable[None]], **settings: Any) -> None:
    """Run a test on a started service that knows d0, and that ticks only by hand."""

    async def life() -> None:
        world = World(folder)
        service = await world.started("d0", **settings)
        assert service.node._ticker is not None
        service.node._ticker.cancel()
        await test(world, service)
        await service.node.stop()

    asyncio.run(life())


def test_events_are_refused_until_the_start_is_done(tmp_path: Path) -> None:
    async def life() -> None:
        service = World(tmp_path).service()
        with pytest.raises(NotAccepting, match="starting"):
            service.intake.check()
        await service.node.start()
        service.intake.check()
        assert service.readiness.refusal is None
        await service.node.stop()

    asyncio.run(life())


def test_the_stage_is_ready_only_once_events_are_accepted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def life() -> None:
        service = World(tmp_path).service()
        readiness, stages = service.readiness, []
        drain = service.writer.drain

        async def drained() -> None:
            refusal = readiness.refusal
            stages.append((refusal and refusal.reason, readiness.stage))
            await drain()

        monkeypatch.setattr(service.writer, "drain", drained)
        await service.node.start()
        assert stages == [("starting", "catch_up")]
        assert (readiness.refusal, readiness.stage) == (None, "ready")
        await service.node.stop()

    asyncio.run(life())


def test_a_tick_moves_the_latest_believable_time_along(tmp_path: Path) -> None:
    async def test(world: World, service: Service) -> None:
        assert service.intake.latest_ns == NOON + 10 * SECOND
        world.clock.ns += 7 * SECOND
        service.node.tick()
        assert service.intake.latest_ns == NOON + 17 * SECOND

    run(tmp_path, test, future_s=10)


def test_a_tick_applies_what_is_durable(tmp_path: Path) -> None:
    async def test(world: World, service: Service) -> None:
        await beat(service, "d0")
        assert service.follower.pending_events == 1
        service.node.tick()
        assert service.follower.pending_events == 0

    run(tmp_path, test)


def test_a_tick_takes_a_checkpoint_that_is_due(tmp_path: Path) -> None:
    async def test(world: World, service: Service) -> None:
        await beat(service, "d0")
        service.node.tick()
        await service.housekeeping.wait()
        assert service.counters.checkpoints == 1

    run(tmp_path, test, checkpoint_journal_entries=1)


def test_a_node_that_cannot_apply_events_accepts_none(tmp_path: Path) -> None:
    async def test(world: World, service: Service) -> None:
        service.intake.add_heartbeat(1_000_000, NOON, Sender())  # a device that the fleet has no row for
        await service.writer.drain()
        service.node.tick()
        with pytest.raises(NotAccepting, match="read-only"):
            service.intake.check()
        position = service.history.manifest.position
        await service.node.stop()
        assert service.history.manifest.position == position, "a fleet that is half applied must not be stored"

    run(tmp_path, test)


def test_a_stop_commits_what_waits_and_takes_a_last_checkpoint(tmp_path: Path) -> None:
    async def test(world: World, service: Service) -> None:
        sender = Sender()
        service.intake.add_heartbeat(0, NOON, sender)
        await service.node.stop()
        assert sender.outcome.done()
        assert service.history.manifest.position == world.journal.last_position()
        assert world.journal.first_position() == world.journal.last_position() + 1

    run(tmp_path, test)


def test_a_stopped_node_refuses_events(tmp_path: Path) -> None:
    async def test(world: World, service: Service) -> None:
        await service.node.stop()
        with pytest.raises(Answerable) as caught:
            service.intake.check()
        assert caught.value.reason == "stopping"

    run(tmp_path, test)


def test_a_node_that_never_started_can_be_stopped(tmp_path: Path) -> None:
    async def life() -> None:
        world = World(tmp_path)
        await world.service().node.stop()
        assert world.store.names() == set()

    asyncio.run(life())


def test_the_time_between_two_lives_was_blind(tmp_path: Path) -> None:
    async def life() -> None:
        world = World(tmp_path)
        await (await world.started("d0")).node.stop()
        world.clock.ns += 500 * SECOND
        service = await world.started()
        service.follower.catch_up()
        assert list(service.fleet.blind_ns) == [(NOON, NOON + 500 * SECOND)]
        await service.node.stop()

    asyncio.run(life())
