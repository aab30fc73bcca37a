"""Where the disk becomes full: backlogs and bulk are refused first, heartbeats last, and all goes on with space."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from fleetpulse.disk_space import RESERVE, Space
from fleetpulse.errors import Busy, NotAccepting
from fleetpulse.pipeline.disk_watch import ENOUGH, LEAST, LOW, RELIEF_S
from fleetpulse.pipeline.service import Service
from memory_service import SECOND, World, beat

SIZE = 10**12
SETTINGS = {"disk_free_low_bytes": 1_000, "disk_free_least_bytes": 100}


def run(tmp_path: Path, test: Callable[[Service], Awaitable[None]], **settings: float) -> None:
    async def life() -> None:
        world = World(tmp_path)
        service = await world.started("a", **SETTINGS, **settings)
        service.housekeeping.removal.has_looked = True  # there are no superseded files
        service.disk_watch.close()
        try:
            await test(service)
        finally:
            await service.node.stop()

    asyncio.run(life())


def set_free(service: Service, free_bytes: int) -> None:
    service.disk_watch.space = Space(free_bytes, SIZE)
    service.disk_watch.tick()


async def report(service: Service, *, age_s: int = 0) -> None:
    sent_at_ns = service.clock.now_ns() - age_s * SECOND
    day, seconds = divmod(sent_at_ns // SECOND, 86_400)
    assert day == 20_000
    text = f"2024-10-04T{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}Z"
    await service.reception.heartbeat("a", f'{{"sent_at":"{text}"}}'.encode())


def test_backlogs_and_bulk_are_refused_first_and_everything_at_last(tmp_path: Path) -> None:
    line = b'{"device_id":"a","sent_at":"2024-10-04T11:00:00Z"}'

    async def test(service: Service) -> None:
        set_free(service, 5_000)
        await report(service, age_s=4_000)
        await service.reception.bulk(line, "")

        set_free(service, 999)
        assert service.disk_watch.level == LOW
        await report(service, age_s=3_000)
        for refused in (report(service, age_s=4_000), service.reception.bulk(line, "")):
            with pytest.raises(Busy, match="disk_free_low_bytes") as caught:
                await refused
            assert (caught.value.reason, caught.value.retry_after_s) == ("disk_low", 30)

        set_free(service, 99)
        assert service.disk_watch.level == LEAST
        with pytest.raises(NotAccepting, match="disk_free_least_bytes") as closed:
            await report(service)
        assert (closed.value.reason, closed.value.retry_after_s) == ("disk_low", 30)
        assert service.readiness.refusal is closed.value
        # A little more does not open it again: it would be refused a moment later.
        set_free(service, 105)
        assert service.disk_watch.level == LEAST

        set_free(service, 500)
        assert service.disk_watch.level == LOW
        await report(service)
        set_free(service, 1_050)
        assert service.disk_watch.level == LOW
        set_free(service, 1_200)
        assert service.disk_watch.level == ENOUGH
        await report(service, age_s=4_000)
        await service.reception.bulk(line, "")
        received = service.intake.received
        counters = service.counters
        assert received == counters.events_accepted + counters.events_refused.total()

    run(tmp_path, test)


def test_the_first_look_at_a_threshold_has_a_checkpoint_taken(tmp_path: Path) -> None:
    async def test(service: Service) -> None:
        await service.housekeeping.checkpoint()
        await beat(service, "a")
        assert not service.housekeeping.is_due()
        set_free(service, 999)
        assert service.housekeeping.is_due()
        await service.housekeeping.checkpoint()
        await beat(service, "a")
        assert not service.housekeeping.is_due()
        set_free(service, 50)
        assert service.housekeeping.is_due()
        await service.housekeeping.checkpoint()

    run(tmp_path, test)


def test_thresholds_fit_a_small_disk_and_people_are_told_long_before(tmp_path: Path) -> None:
    async def test(service: Service) -> None:
        watch = service.disk_watch
        assert watch.thresholds(Space(0, 2_000)) == (200, 40)
        set_free(service, 10_000)
        assert watch.note == ""
        set_free(service, 1_900)
        assert "make room" in watch.note
        watch.space = None
        watch.tick()
        assert watch.note == ""

    run(tmp_path, test)


def test_what_closed_the_intake_otherwise_stays(tmp_path: Path) -> None:
    async def test(service: Service) -> None:
        other = NotAccepting("stopping", reason="stopping")
        service.intake.close(other)
        set_free(service, 50)
        set_free(service, 5_000)
        assert service.intake.closed_by is other

    run(tmp_path, test)


def test_the_reserve_is_kept_while_there_is_space_and_given_up_at_last(tmp_path: Path) -> None:
    async def test(service: Service) -> None:
        watch = service.disk_watch
        watch.measure()
        assert watch.space is None  # the folder of a service in memory is not there

    run(tmp_path, test)
    assert not (tmp_path / RESERVE).exists()


async def with_superseded(service: Service) -> None:
    for _ in range(4):
        await beat(service, "a")
        assert await service.housekeeping.checkpoint()
    assert service.counters.blocks_superseded > 4


def test_superseded_files_are_removed_before_anybody_is_refused(tmp_path: Path) -> None:
    async def test(service: Service) -> None:
        await with_superseded(service)
        watch, before, named = service.disk_watch, service.counters.blocks_superseded, service.history.manifest.files()
        watch._measured = 1
        set_free(service, 900)
        assert watch._relief is not None
        assert watch.level == ENOUGH
        await watch._relief
        # 200 bytes more are enough, so the youngest stay.
        assert 0 < service.counters.blocks_given_up < before
        assert service.counters.blocks_superseded == before - service.counters.blocks_given_up
        assert {file.name for file in named} <= service.history.store.names()
        watch._measured += 1
        set_free(service, 900)  # what was measured while files were removed does not count
        assert watch.level == ENOUGH
        watch._measured += 1
        set_free(service, 900)
        assert watch.level == LOW

    run(tmp_path, test, block_grace_h=24.0)


def test_nobody_waits_for_ever_for_superseded_files_to_be_removed(tmp_path: Path) -> None:
    async def test(service: Service) -> None:
        await with_superseded(service)
        watch, now_s = service.disk_watch, 100.0
        watch._monotonic_s = lambda: now_s
        async with service.housekeeping._turn:  # a checkpoint that hangs
            set_free(service, 50)
            assert watch.level == ENOUGH
            now_s += RELIEF_S
            set_free(service, 50)
            assert watch.level == LEAST
            assert service.intake.closed_by is not None
        set_free(service, 5_000)

    run(tmp_path, test, block_grace_h=24.0)
