"""When figures of the fleet are worked out, and what /metrics shows of them."""

import asyncio
from pathlib import Path
from typing import Any

from fleetpulse.errors import Busy
from fleetpulse.pipeline.fleet_figures import REST
from memory_service import SECOND, World, beat


def test_figures_are_worked_out_by_a_tick_and_shown_until_the_next(tmp_path: Path) -> None:
    async def life() -> None:
        world = World(tmp_path)
        service = await world.started("d0", "d1", fleet_figures_labels="site", fleet_figures_windows="10m")
        figures = service.self_metrics.fleet_figures
        await figures.end()
        await figures.work_out()
        for _ in range(3):
            await beat(service, "d0")
            world.clock.ns += 60 * SECOND
        before = figures.values()
        await figures.work_out()
        shown = figures.values()
        assert (before["fleet_devices"]["new",], shown["fleet_devices"]["up",]) == (2, 1)  # type: ignore[index]  # by status
        assert shown["fleet_availability_ratio"] == {("10m",): 1.0}
        assert shown["fleet_uploads"] == 0
        assert shown["fleet_figures_timestamp_seconds"] == world.clock.ns / 1e9
        page = service.self_metrics.page().decode()
        assert 'fleetpulse_fleet_devices{status="up"} 1.0' in page
        await service.node.stop()

    asyncio.run(life())


class Service:
    """Answers no question."""

    def __init__(self, error: Exception) -> None:
        self.error = error
        self.questions = 0

    async def fleet(self, *_: Any, **__: Any) -> None:
        self.questions += 1
        raise self.error


def test_what_cannot_be_worked_out_now_is_counted_and_tried_again_when_it_is_due(tmp_path: Path) -> None:
    async def life() -> None:
        service = await World(tmp_path).started("d0")
        figures = service.self_metrics.fleet_figures
        await figures.end()
        now_s = 1_000.0
        figures.monotonic_s = lambda: now_s
        for error in (Busy("full", reason="questions_busy"), ZeroDivisionError()):
            figures.questions = questions = Service(error)  # type: ignore[assignment]  # a stand-in
            await figures.work_out()
            figures.tick()
            await asyncio.sleep(0)
            assert questions.questions == 1, "it rests"
            now_s += 60
            figures.tick()
            await asyncio.sleep(0)
            assert questions.questions == 2
        assert figures.failed == 4
        await service.node.stop()

    asyncio.run(life())


def test_figures_that_take_long_are_worked_out_seldom_and_none_where_they_are_off(tmp_path: Path) -> None:
    async def life() -> None:
        service = await World(tmp_path).started("d0")
        figures = service.self_metrics.fleet_figures
        await figures.end()
        times = iter([0.0, 10.0, 10.0])
        figures.monotonic_s = lambda: next(times)
        await figures.work_out()
        assert figures._due_s == 10 + REST * 10
        off = World(tmp_path / "off")
        off.folder.mkdir()
        other = await off.started("d0", fleet_figures_s=0.0)
        other.self_metrics.fleet_figures.tick()
        assert "fleet_devices" not in other.self_metrics.fleet_figures.values()
        await other.node.stop()
        await service.node.stop()

    asyncio.run(life())
