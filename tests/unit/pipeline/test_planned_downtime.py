"""Pauses and maintenance windows: in the catalog first, then in effect."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from fleetpulse.catalog.catalog import Pause
from fleetpulse.catalog.sqlite import SqliteCatalog
from fleetpulse.errors import OutOfRange
from fleetpulse.model.maintenance import MaintenanceWindow
from fleetpulse.pipeline.catalog_thread import CatalogThread
from fleetpulse.pipeline.planned_downtime import PlannedDowntime
from fleetpulse.pipeline.threads import Threads
from memory_service import NOON, SECOND, FakeClock

HOUR = 3_600 * SECOND


class Plans:
    """Planned downtime on a catalog of its own."""

    def __init__(self, folder: Path) -> None:
        self.clock = FakeClock()
        self._catalog = SqliteCatalog(folder / "catalog.sqlite")
        self._threads = Threads()
        self.downtime = self.reopened()

    def reopened(self) -> PlannedDowntime:
        """What a restart would load."""
        thread = CatalogThread(self._threads.catalog)
        downtime = PlannedDowntime(
            catalog=self._catalog, catalog_thread=thread, clock=self.clock, windows_max=2, window_devices_max=3
        )
        downtime.load()
        return downtime

    def close(self) -> None:
        self._threads.close()
        self._catalog.close()


def run(folder: Path, test: Callable[[Plans], Awaitable[None]]) -> None:
    async def life() -> None:
        plans = Plans(folder)
        await test(plans)
        reopened = plans.reopened()
        # Lists that are empty need no row.
        assert {device: pauses for device, pauses in plans.downtime.pauses.items() if pauses} == reopened.pauses
        assert reopened.windows == plans.downtime.windows
        plans.close()

    asyncio.run(life())


def window(window_id: str) -> MaintenanceWindow:
    return MaintenanceWindow(window_id, "", {}, (), NOON, NOON + HOUR, is_for_all=True)


def test_a_pause_lasts_until_the_device_is_resumed(tmp_path: Path) -> None:
    async def test(plans: Plans) -> None:
        await plans.downtime.pause(3, until_ns=None)
        assert plans.downtime.is_paused(3, NOON + 1_000 * HOUR)
        assert not plans.downtime.is_paused(2, NOON)
        plans.clock.ns += HOUR
        assert await plans.downtime.resume(3)
        assert plans.downtime.pauses[3] == [Pause(3, NOON, NOON + HOUR)]
        assert not plans.downtime.is_paused(3, NOON + HOUR)
        assert not await plans.downtime.resume(3)

    run(tmp_path, test)


def test_a_pause_ends_by_itself(tmp_path: Path) -> None:
    async def test(plans: Plans) -> None:
        await plans.downtime.pause(3, until_ns=NOON + HOUR)
        assert plans.downtime.is_paused(3, NOON + HOUR - 1)
        assert not plans.downtime.is_paused(3, NOON + HOUR)

    run(tmp_path, test)


def test_a_second_pause_ends_the_first(tmp_path: Path) -> None:
    async def test(plans: Plans) -> None:
        await plans.downtime.pause(3, until_ns=None)
        plans.clock.ns += HOUR
        await plans.downtime.pause(3, until_ns=NOON + 5 * HOUR)
        assert plans.downtime.pauses[3] == [Pause(3, NOON, NOON + HOUR), Pause(3, NOON + HOUR, NOON + 5 * HOUR)]

    run(tmp_path, test)


def test_two_pauses_at_one_moment_are_the_later_one(tmp_path: Path) -> None:
    async def test(plans: Plans) -> None:
        await plans.downtime.pause(3, until_ns=None)
        await plans.downtime.pause(3, until_ns=NOON + HOUR)
        assert plans.downtime.pauses[3] == [Pause(3, NOON, NOON + HOUR)]

    run(tmp_path, test)


def test_windows_are_put_replaced_and_deleted(tmp_path: Path) -> None:
    async def test(plans: Plans) -> None:
        await plans.downtime.put_window(window("a"))
        await plans.downtime.put_window(window("b"))
        assert sorted(plans.downtime.windows) == ["a", "b"]
        assert await plans.downtime.delete_window("a")
        assert not await plans.downtime.delete_window("a")
        assert sorted(plans.downtime.windows) == ["b"]

    run(tmp_path, test)


def test_one_window_too_many_is_refused_but_those_there_can_be_replaced(tmp_path: Path) -> None:
    async def test(plans: Plans) -> None:
        await plans.downtime.put_window(window("a"))
        await plans.downtime.put_window(window("b"))
        with pytest.raises(OutOfRange, match="windows_max"):
            await plans.downtime.put_window(window("c"))
        await plans.downtime.put_window(window("b"))

    run(tmp_path, test)


def test_every_change_makes_a_new_version(tmp_path: Path) -> None:
    async def test(plans: Plans) -> None:
        versions = [plans.downtime.version]
        for change in (
            plans.downtime.pause(0, until_ns=None),
            plans.downtime.pause(1, until_ns=NOON + HOUR),
            plans.downtime.put_window(window("a")),
            plans.downtime.delete_window("a"),
        ):
            await change
            versions.append(plans.downtime.version)
        assert versions == sorted(set(versions))

    run(tmp_path, test)
