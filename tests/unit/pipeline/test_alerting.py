"""Rounds of alerts over a whole service: stored before they are in effect, and gone on from after a restart."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from fleetpulse.catalog.alert_records import AlertRound
from fleetpulse.errors import NotAccepting, OutcomeUnknown
from fleetpulse.model.alert import FIRING
from fleetpulse.pipeline.service import Service
from memory_service import SECOND, World, beat

MINUTE = 60 * SECOND


def run(folder: Path, test: Callable[[World, Service], Awaitable[None]], **settings: Any) -> None:
    async def life() -> None:
        world = World(folder)
        service = await world.started("a", "b", **settings)
        await test(world, service)

    asyncio.run(life())


async def go_on(world: World, service: Service, minutes: int, *beating: str) -> None:
    """Let time pass with a turn each half minute, in which these devices send a heartbeat."""
    for _ in range(2 * minutes):
        world.clock.ns += MINUTE // 2
        for device in beating:
            await beat(service, device)
        service.watch.turn()
        await service.writer.drain()
        await service.alerting.round()


def firing(service: Service) -> dict[str, int]:
    """The numbers of the firing alerts of devices, by device."""
    lives = service.alert_book.lives
    of = lives.open.of
    rows = [row for row in (of["state"] == FIRING).nonzero()[0].tolist() if lives.groups[of["rule"][row]] is None]
    return {service.registry.ids[int(of["subject"][row])]: int(of["number"][row]) for row in rows}


def test_a_silent_device_fires_and_the_alert_is_there_after_a_restart(tmp_path: Path) -> None:
    async def test(world: World, service: Service) -> None:
        await beat(service, "a")
        await beat(service, "b")
        await go_on(world, service, 12, "a")
        assert firing(service) == {"b": 1}
        await service.node.stop()
        again = await world.started()
        assert firing(again) == {"b": 1}
        await go_on(world, again, 1, "a", "b")
        assert firing(again) == {}
        piece = again.catalog.alerts.piece_before(2**62)
        assert piece is not None
        (alert,) = piece.alerts()
        assert (alert.number, alert.state, alert.resolution, alert.times) == (1, "resolved", "recovered", 1)
        await again.node.stop()

    run(tmp_path, test)


def test_a_crash_soon_after_an_alert_began_does_not_end_it(tmp_path: Path) -> None:
    async def test(world: World, service: Service) -> None:
        await beat(service, "a")
        await go_on(world, service, 4)
        world.clock.ns += 30 * SECOND
        await beat(service, "b")
        world.clock.ns += 35 * SECOND
        service.watch.turn()  # no mark is due: the last entry of the journal is before the deadline of a
        await service.alerting.round()
        assert firing(service) == {"a": 1}
        world.clock.ns += MINUTE
        again = await world.started()  # as after kill -9: nothing of the first service was closed
        await again.alerting.round()
        assert firing(again) == {"a": 1}
        await again.node.stop()

    run(tmp_path, test)


def test_while_no_events_are_accepted_no_device_is_said_to_be_down(tmp_path: Path) -> None:
    async def test(world: World, service: Service) -> None:
        await beat(service, "a")
        service.intake.close(NotAccepting("read-only: the disk is full", reason="disk"))
        world.clock.ns += 60 * MINUTE
        assert not service.alerting.facts.sees_fleet
        decided = await service.alerting.round()
        assert len(decided.changes.alerts) == 0
        await service.node.stop()

    run(tmp_path, test)


def test_a_clock_that_is_behind_fires_and_is_told_of_while_other_alerts_stay(tmp_path: Path) -> None:
    async def test(world: World, service: Service) -> None:
        await beat(service, "b")
        await go_on(world, service, 12, "a")
        assert firing(service) == {"b": 1}
        world.clock.step(-30 * MINUTE)
        await service.alerting.round()
        lives = service.alert_book.lives
        assert [lives.rules[place].name for place in lives.open.of["rule"].tolist()] == [
            "device-offline",
            "service-clock",
        ]
        await service.node.stop()

    run(tmp_path, test)


def test_time_in_which_the_process_was_suspended_is_blind_and_no_timer_counts_it(tmp_path: Path) -> None:
    async def test(world: World, service: Service) -> None:
        await beat(service, "b")
        await go_on(world, service, 3, "a")
        assert firing(service) == {}
        world.clock.ns += 600 * MINUTE
        assert not service.alerting.facts.sees_fleet
        await service.alerting.round()
        await go_on(world, service, 1, "a")
        assert firing(service) == {}
        await go_on(world, service, 2, "a")
        assert list(firing(service)) == ["b"]
        await service.node.stop()

    run(tmp_path, test)


def test_a_round_that_cannot_be_stored_is_not_in_effect_and_is_decided_again(tmp_path: Path) -> None:
    async def test(world: World, service: Service) -> None:
        await beat(service, "a")
        await go_on(world, service, 4)

        def fail(_messages: object) -> None:
            raise OSError("the disk is full")

        good, service.alerting.add_messages = service.alerting.add_messages, fail
        with pytest.raises(OutcomeUnknown):
            await go_on(world, service, 3)
        assert firing(service) == {}
        service.alerting.add_messages = good
        await service.alerting.round()
        assert firing(service) == {"a": 1}
        await service.node.stop()

    run(tmp_path, test)


def test_rounds_go_on_where_what_receivers_know_is_damaged(tmp_path: Path) -> None:
    async def test(world: World, service: Service) -> None:
        await beat(service, "a")
        await beat(service, "b")
        await go_on(world, service, 12, "a")
        with service.catalog.transaction():
            service.catalog.alerts.store(AlertRound(planner=b'{"groups": {"a": '))
        await service.node.stop()
        again = await world.started()
        assert firing(again) == {"b": 1}
        await go_on(world, again, 1, "a", "b")
        assert (firing(again), again.alerting.failed_rounds) == ({}, 0)
        await again.node.stop()

    run(tmp_path, test)
