"""Rules over windows in a whole service: when they are looked at, and that the figures are those of answers."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from fleetpulse.model.alert_rule import AlertRule
from fleetpulse.model.metric import UPLOAD_TIME
from fleetpulse.pipeline.service import Service
from fleetpulse.query.metric_answers import MetricQuestion
from fleetpulse.query.window import Window
from memory_service import SECOND, Sender, World, beat

SLOW = AlertRule(name="slow", kind="metric", metric="upload_time", window_s=600, comparison=">", threshold=100.0)
SILENT = AlertRule(name="silent", kind="absent", metric="upload_time", window_s=300)
PROMISE = AlertRule(name="promise", kind="uptime_below", window_s=3_600, comparison="<", threshold=0.9)
ABSENT = AlertRule(name="days", kind="absent", metric="upload_time", window_s=7 * 86_400)
UNKNOWN = AlertRule(name="unknown", kind="metric", metric="nothing", window_s=600, threshold=1.0)


def run(folder: Path, test: Callable[[World, Service], Awaitable[None]], **settings: Any) -> None:
    async def life() -> None:
        world = World(folder)
        service = await world.started("a", "b", **settings)
        await test(world, service)
        await service.node.stop()

    asyncio.run(life())


async def send(service: Service, device_id: str, upload_time: int) -> None:
    sender = Sender()
    number = service.registry.numbers[device_id]
    service.intake.add_sample(number, service.clock.now_ns(), upload_time, sender)
    await service.writer.drain()
    await sender.outcome


async def look(service: Service, *rules: AlertRule) -> dict[str, list[str]]:
    """What a look that begins now finds: the devices of each rule."""
    windows = service.alerting.windows
    service.follower.catch_up()
    windows.begin(rules, {})
    await windows.settled()
    assert windows.failed == {}
    found = windows.take(rules)
    return {name: [service.registry.ids[one] for one in condition.subjects] for name, condition in found.items()}


def test_what_it_finds_is_what_the_answer_about_the_fleet_gives(tmp_path: Path) -> None:
    async def test(world: World, service: Service) -> None:
        for value in (50, 120, 190):
            await send(service, "a", value)
            await send(service, "b", value - 40)
            world.clock.ns += 60 * SECOND
        await service.housekeeping.checkpoint()
        await send(service, "b", 500)
        await beat(service, "a")
        world.clock.ns += 60 * SECOND - world.clock.ns % (60 * SECOND)
        assert await look(service, SLOW, UNKNOWN) == {"slow": ["a", "b"], "unknown": []}
        window = Window(world.clock.ns - 600 * SECOND, world.clock.ns)
        question = MetricQuestion(UPLOAD_TIME, service.metric_definitions.metrics[UPLOAD_TIME], "avg")
        answer = await service.questions.fleet_metrics(window, [question], by="", labels=())
        assert answer.groups[0].metrics["upload_time"].count == 7

    run(tmp_path, test)


def test_each_rule_is_looked_at_once_an_interval_and_at_once_when_it_has_changed(tmp_path: Path) -> None:
    async def test(world: World, service: Service) -> None:
        await send(service, "a", 200)
        rules = (SLOW, SILENT, PROMISE)
        assert set(await look(service, *rules)) == {"slow", "silent", "promise"}
        assert await look(service, *rules) == {}
        world.clock.ns += 60 * SECOND
        assert set(await look(service, *rules)) == {"slow", "silent"}
        changed = AlertRule(name="slow", kind="metric", metric="upload_time", window_s=60, threshold=1.0)
        assert set(await look(service, changed, PROMISE)) == {"slow"}
        world.clock.ns += 300 * SECOND
        await beat(service, "a")
        assert (await look(service, *rules))["silent"] == ["a"]
        off = AlertRule(name="off", kind="absent", metric="upload_time", window_s=300, is_enabled=False)
        assert await look(service, off) == {}

    run(tmp_path, test)


def test_what_was_found_of_a_rule_that_was_changed_meanwhile_is_left_out(tmp_path: Path) -> None:
    async def test(_world: World, service: Service) -> None:
        windows = service.alerting.windows
        windows.begin([SLOW], {})
        windows.begin([SILENT], {})
        await windows.settled()
        changed = AlertRule(name="slow", kind="metric", metric="upload_time", window_s=60, threshold=1.0)
        assert windows.take([changed]) == {}

    run(tmp_path, test)


def test_a_rule_that_fails_stops_no_other(tmp_path: Path) -> None:
    async def test(_world: World, service: Service) -> None:
        windows = service.alerting.windows
        broken = AlertRule(name="broken", kind="metric", metric="upload_time", aggregation="p95", window_s=-1)
        windows.memory.latest_ns = None  # type: ignore[assignment]  # so that a rule fails by a defect
        windows.begin([SILENT, SLOW, broken], {})
        await windows.settled()
        assert set(windows.take([SILENT, SLOW])) == {"slow"}
        assert "AttributeError" in windows.failed["silent"]

    run(tmp_path, test)


def test_a_rule_that_failed_is_looked_at_again_before_its_next_window_ends(tmp_path: Path) -> None:
    async def test(world: World, service: Service) -> None:
        windows, absent = service.alerting.windows, ABSENT
        world.clock.ns += 10_080 * SECOND - world.clock.ns % (10_080 * SECOND)  # a window ends, the next one in 2.8 h
        known, windows.memory.latest_ns = windows.memory.latest_ns, None  # type: ignore[assignment]  # it fails
        windows.begin([absent], {})
        await windows.settled()
        assert set(windows.failed) == {"days"}
        windows.memory.latest_ns = known
        windows.begin([absent], {})
        await windows.settled()
        assert windows.take([absent]) == {}, "not at once"
        world.clock.ns += 60 * SECOND
        assert set(await look(service, absent)) == {"days"}
        world.clock.ns += 60 * SECOND
        assert await look(service, absent) == {}, "and then when its window ends"

    run(tmp_path, test)


def test_after_the_end_nothing_is_looked_at(tmp_path: Path) -> None:
    async def test(_world: World, service: Service) -> None:
        windows = service.alerting.windows
        windows.begin([SLOW], {})
        await windows.end()
        windows.take([SLOW])
        windows.begin([SILENT], {})
        await windows.settled()
        assert windows.take([SILENT]) == {}

    run(tmp_path, test)
