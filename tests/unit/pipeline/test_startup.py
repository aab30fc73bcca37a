"""A start: memory becomes what catalog, snapshot and journal say."""

import asyncio
import contextlib
import sqlite3
from pathlib import Path

import pytest

from fleetpulse.errors import DamagedData, Unfinished
from fleetpulse.journal.memory import MemoryJournal
from fleetpulse.model.metric import MetricDefinition
from fleetpulse.pipeline.service import Service
from memory_service import DAY, SECOND, World, beat


async def crash(service: Service) -> None:
    """Release everything without a word in the journal, and without a checkpoint."""
    assert service.node._ticker is not None
    service.node._ticker.cancel()
    await service.writer.stop()
    service.node._close()


def test_what_was_declared_and_reported_is_there_after_a_crash(tmp_path: Path) -> None:
    async def life() -> None:
        world = World(tmp_path)
        before = await world.started("d0", "d1")
        await before.metric_definitions.define([MetricDefinition(name="cpu")])
        await before.planned_downtime.pause(1, until_ns=None)
        await beat(before, "d0")
        assert await before.housekeeping.checkpoint()
        world.clock.ns += 60 * SECOND
        await beat(before, "d0")
        await crash(before)

        after = await world.started()
        assert after.registry.numbers == {"d0": 0, "d1": 1}
        assert after.metric_definitions.known.names == ["cpu", "upload_time"]
        assert after.planned_downtime.is_paused(1, world.clock.ns)
        assert (await after.questions.lifetime(0)).figures.minutes_present == 2
        assert (after.readiness.stage, after.readiness.replay.events) == ("ready", 1)
        assert after.counters.events_replayed == 1
        await after.node.stop()

    asyncio.run(life())


def test_a_start_days_later_opens_todays_presence(tmp_path: Path) -> None:
    async def life() -> None:
        world = World(tmp_path)
        before = await world.started("d0")
        await beat(before, "d0")
        await before.node.stop()
        world.clock.ns += 5 * DAY
        after = await world.started()
        await beat(after, "d0")
        assert (await after.questions.lifetime(0)).figures.minutes_present == 2
        await after.node.stop()

    asyncio.run(life())


def test_a_journal_that_lost_its_end_ends_the_start(tmp_path: Path) -> None:
    async def life() -> None:
        world = World(tmp_path)
        before = await world.started("d0")
        await beat(before, "d0")
        await before.node.stop()
        world.journal = MemoryJournal()
        after = world.service()
        with pytest.raises(DamagedData, match="before the snapshot"):
            await after.node.start()
        assert (after.readiness.is_ready, after.readiness.stage) == (False, "replay")
        await after.node.stop()

    asyncio.run(life())


def test_a_catalog_that_lost_its_devices_ends_the_start_before_new_ones_take_their_numbers(tmp_path: Path) -> None:
    async def life() -> None:
        world = World(tmp_path)
        before = await world.started("d0")
        await beat(before, "d0")
        await crash(before)
        with contextlib.closing(sqlite3.connect(tmp_path / "catalog.sqlite", isolation_level=None)) as catalog:
            catalog.execute("DELETE FROM device")
        (tmp_path / "devices.csv").write_text("device_id\nanother\n")
        after = world.service(devices=str(tmp_path / "devices.csv"))
        with pytest.raises(DamagedData, match="device number 0"):
            await after.node.start()
        await after.node.stop()

    asyncio.run(life())


def test_a_start_that_is_to_be_left_ends_and_leaves_the_journal_as_it_was(tmp_path: Path) -> None:
    async def life() -> None:
        world = World(tmp_path)
        service = await world.started("d0")
        await beat(service, "d0")
        await service.node.stop()
        position = world.journal.last_position()
        again = world.service()
        again.housekeeping.leave()
        with pytest.raises(Unfinished):
            await again.node.start()
        await again.node.stop()
        assert world.journal.last_position() == position
        third = await world.started()
        assert third.fleet.count == 1
        await third.node.stop()

    asyncio.run(life())


def test_damaged_rows_of_the_catalog_are_named_and_cost_only_themselves(tmp_path: Path) -> None:
    async def life() -> None:
        world = World(tmp_path)
        service = await world.started("d0", "d1")
        await service.metric_definitions.add(MetricDefinition(name="cpu"))
        await service.planned_downtime.pause(0, until_ns=None)
        await service.planned_downtime.pause(1, until_ns=None)
        await service.node.stop()
        connection = sqlite3.connect(tmp_path / "catalog.sqlite")
        connection.execute("UPDATE metric SET body = 'x' WHERE name = 'cpu'")
        connection.execute("UPDATE pause SET start_ns = 'x' WHERE device = 0")
        connection.execute("INSERT INTO maintenance VALUES ('w1', '{', 7)")
        connection.execute("UPDATE device SET labels = '{' WHERE id = 'd1'")
        connection.commit()
        connection.close()
        service = await world.started()
        trouble = service.readiness.degraded["catalog"]
        for name in ("metric cpu", "pause of device number 0", "window w1", "catalog rows of 1 device"):
            assert name in trouble
        assert "d1" not in trouble, "everybody may ask /readyz"
        assert (await service.questions.status("d1"))[0] == "paused"
        assert (await service.questions.status("d0"))[0] != "paused"
        await beat(service, "d0")
        assert await service.housekeeping.checkpoint()
        await service.node.stop()

    asyncio.run(life())
