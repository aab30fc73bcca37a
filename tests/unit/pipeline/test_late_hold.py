"""Backlogs are held back while late data fills the memory; current reports never are."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path

import pytest

from fleetpulse.errors import Busy
from fleetpulse.pipeline.service import Service
from memory_service import SECOND, FakeClock, World, beat

LINE = b'{"device_id":"a","sent_at":"2024-09-0%dT11:00:00Z"}'


def run(folder: Path, test: Callable[[Service], Awaitable[None]], **settings: int) -> None:
    async def life() -> None:
        limits = {"checkpoint_late_rows": 2, **settings}
        service = await World(folder).started("a", earliest="2000-01-01T00:00:00Z", **limits)
        try:
            await test(service)
        finally:
            await service.node.stop()

    asyncio.run(life())


async def report(service: Service, *, sent_at: str) -> None:
    await service.reception.heartbeat("a", f'{{"sent_at":"{sent_at}"}}'.encode())


def test_backlogs_wait_until_a_checkpoint_has_written_the_late_rows(tmp_path: Path) -> None:
    async def test(service: Service) -> None:
        hold = service.node.late_hold
        await service.reception.bulk(b"\n".join(LINE % day for day in range(1, 5)), "")
        await service.follower.caught_up()
        hold.tick()
        assert hold.is_holding
        await report(service, sent_at="2024-10-04T11:59:00Z")
        for refused in (report(service, sent_at="2024-10-04T10:00:00Z"), service.reception.bulk(LINE % 9, "")):
            with pytest.raises(Busy, match="checkpoint_late_rows") as caught:
                await refused
            assert (caught.value.reason, caught.value.retry_after_s) == ("late_rows", 10)
        assert await service.housekeeping.checkpoint()
        hold.tick()
        assert not hold.is_holding
        await report(service, sent_at="2024-10-04T10:00:00Z")
        await service.reception.bulk(LINE % 9, "")

    run(tmp_path, test)


def test_late_beats_in_gaps_count_as_late_rows_until_a_checkpoint_has_written_them(tmp_path: Path) -> None:
    async def test(service: Service) -> None:
        hold = service.node.late_hold
        line = b'{"device_id":"a","sent_at":"2024-10-04T%02d:00:00Z"}'
        for hour in (1, 11):
            await service.reception.bulk(line % hour, "")
        await service.follower.caught_up()  # the others are not late before these are applied
        await service.reception.bulk(b"\n".join(line % hour for hour in (3, 5, 7, 9, 10)), "")
        await service.follower.caught_up()
        hold.tick()
        assert (service.fleet.late_rows(), service.fleet.beats.backfill_rows, hold.is_holding) == (0, 4, True)
        assert service.housekeeping.is_due()
        assert await service.housekeeping.checkpoint()
        hold.tick()
        assert (service.fleet.beats.gap_rows, service.fleet.beats.backfill_rows, hold.is_holding) == (0, 0, False)

    run(tmp_path, test)


def test_backlogs_wait_while_too_many_late_blocks_wait_to_be_merged(tmp_path: Path) -> None:
    async def test(service: Service) -> None:
        hold = service.node.late_hold
        for late_blocks in range(3):  # the first checkpoint closes the day, the others come too late for it
            await service.reception.bulk(LINE % 1, "")
            assert await service.housekeeping.checkpoint()
            hold.tick()
            assert hold.is_holding is (late_blocks == 2)
        with pytest.raises(Busy, match="late_blocks_max") as caught:
            await service.reception.bulk(LINE % 9, "")
        assert caught.value.reason == "late_blocks"
        await report(service, sent_at="2024-10-04T11:59:00Z")
        manifest = service.history.manifest
        service.history.manifest = replace(manifest, late=manifest.late[1:])  # compaction has merged one
        hold.tick()
        await service.reception.bulk(LINE % 9, "")
        service.history.manifest = manifest

    run(tmp_path, test, late_blocks_max=1)


def test_a_refusal_of_another_cause_stays(tmp_path: Path) -> None:
    async def test(service: Service) -> None:
        other = service.intake.backlog_refusal = Busy("the disk is nearly full", reason="disk_low")
        service.node.late_hold.tick()
        assert service.intake.backlog_refusal is other

    run(tmp_path, test)


def test_gaps_that_no_checkpoint_writes_are_said_and_hold_backlogs_back(tmp_path: Path) -> None:
    async def test(service: Service) -> None:
        hold, clock = service.node.late_hold, service.clock.machine
        assert isinstance(clock, FakeClock)
        put, service.history.store.put = service.history.store.put, fail
        for _ in range(5):
            clock.ns += 3_600 * SECOND
            await beat(service, "a")
            assert not await service.housekeeping.checkpoint()  # what it was to write is kept, and counted once
        hold.tick()
        assert hold.is_holding
        assert "5 reception gaps wait in memory" in service.readiness.degraded["memory"]
        assert len(service.fleet.closing.gaps) < 4
        with pytest.raises(Busy, match="checkpoint_reception_gaps"):
            await service.reception.bulk(LINE % 9, "")
        await beat(service, "a")
        service.history.store.put = put
        assert await service.housekeeping.checkpoint()
        hold.tick()
        assert not hold.is_holding
        assert "memory" not in service.readiness.degraded
        await service.reception.bulk(LINE % 9, "")

    run(tmp_path, test, checkpoint_reception_gaps=2)


def fail(*_: object) -> None:
    raise OSError("no space left")
