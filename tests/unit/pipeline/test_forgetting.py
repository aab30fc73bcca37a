import asyncio
from pathlib import Path

import pytest

from fleetpulse.errors import Malformed, OutOfRange, UnknownDevice
from fleetpulse.notation.timestamp import format_rfc3339
from memory_service import DAY, NOON, SECOND, World, beat


def test_what_was_forgotten_is_recorded_and_a_dry_run_changes_nothing(tmp_path: Path) -> None:
    async def live() -> None:
        world = World(tmp_path)
        service = await world.started("a")
        await beat(service, "a")
        world.clock.ns += 3 * DAY
        await beat(service, "a")
        before = format_rfc3339(NOON + 60 * SECOND)
        dry = await service.forgetting.forget("a", before, is_dry=True)
        assert (dry.minutes, dry.samples, dry.done) == (1, 0, False)
        assert (await service.questions.lifetime(0)).figures.minutes_present == 2
        done = await service.forgetting.forget("a", before, is_dry=False)
        assert (done.minutes, done.done, done.before) == (1, True, before)
        device = await service.inventory.device("a")
        assert isinstance(device.forgotten, list)
        assert [(one.before, one.minutes, one.samples) for one in device.forgotten] == [(before, 1, 0)]
        assert (await service.questions.stats("a")).uptime == 100
        await service.node.stop()

    asyncio.run(live())


def test_a_crash_before_the_blocks_have_forgotten_is_made_up_for_before_the_service_is_ready(tmp_path: Path) -> None:
    async def live() -> None:
        world = World(tmp_path)
        service = await world.started("a")
        await beat(service, "a")
        world.clock.ns += 3 * DAY
        await beat(service, "a")
        assert await service.housekeeping.checkpoint()
        manifest = service.history.manifest
        before = format_rfc3339(NOON + 60 * SECOND)
        fails = True

        def commit(*arguments: object, **more: object) -> None:
            if fails and service.fleet.forgotten:
                raise OSError("the disk is full")
            type(service.catalog).commit_manifest(service.catalog, *arguments, **more)  # type: ignore[arg-type]  # passed on

        service.housekeeping.catalog.commit_manifest = commit  # type: ignore[method-assign]  # the full disk
        assert not (await service.forgetting.forget("a", before, is_dry=False)).done
        assert service.housekeeping.is_due() is False  # after a failure, not before the interval has passed
        service.node._ticker.cancel()  # type: ignore[union-attr]  # it was started
        await service.writer.stop()
        service.catalog.close()
        service = await world.started("a")
        assert service.history.manifest.presence != manifest.presence
        assert (await service.questions.lifetime(0)).figures.minutes_present == 1
        device = await service.inventory.device("a")
        assert isinstance(device.forgotten, list) and len(device.forgotten) == 1
        await service.node.stop()

    asyncio.run(live())


@pytest.mark.parametrize(
    ("device", "before", "error"),
    [
        ("b", "2020-01-01T00:00:00Z", UnknownDevice),
        ("a", "yesterday", Malformed),
        ("a", "1969-01-01T00:00:00Z", OutOfRange),
        ("a", format_rfc3339(NOON + 60 * SECOND), OutOfRange),
    ],
)
def test_a_time_that_cannot_be_is_refused(tmp_path: Path, device: str, before: str, error: type[Exception]) -> None:
    async def live() -> None:
        service = await World(tmp_path).started("a")
        with pytest.raises(error):
            await service.forgetting.forget(device, before, is_dry=False)
        await service.node.stop()

    asyncio.run(live())
