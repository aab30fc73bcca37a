"""Alerts that ended long ago are removed, unless the clock is in doubt, and no others; over a service in memory."""

import asyncio
from functools import partial
from pathlib import Path

from alert_lives import OFFLINE, AlertLives
from fleetpulse.alert.stored_rows import rows_of
from fleetpulse.catalog.alert_records import PIECE, AlertRound
from fleetpulse.errors import NotAccepting
from fleetpulse.model.alert import Silence
from fleetpulse.model.units import NS_PER_DAY, NS_PER_S
from fleetpulse.pipeline.alert_expiry import EXPIRE_EVERY_NS, PIECES_AT_ONCE
from fleetpulse.pipeline.service import Service
from memory_service import World


async def stored(service: Service, alerts: int) -> None:
    """Store as many alerts, all of which end one second after they began to fire."""
    lives = AlertLives(OFFLINE)
    for at_s, true in ((0, range(alerts)), (1, range(0))):
        changes = lives.round(at_s, true)
        rows = rows_of(changes.alerts.taken(changes.altered), lives.lives.rules, lives.lives.groups)
        await service.catalog_thread.run(partial(service.catalog.alerts.store, AlertRound(alerts=rows)))


async def is_left(service: Service) -> bool:
    """Whether the catalog has any alert."""
    return await service.catalog_thread.run(partial(service.catalog.alerts.piece_before, 2**62)) is not None


def test_alerts_and_silences_are_removed_when_their_days_are_over_and_the_clock_can_be_believed(tmp_path: Path) -> None:
    async def life() -> None:
        world = World(tmp_path)
        service = world.service(alert_retention_days=30)
        expiry, ended_ns = service.node.alert_expiry, world.clock.ns + NS_PER_S
        await stored(service, 1)
        await service.alert_book.put_silence(Silence(0, (("site", "rome"),), 0, ended_ns, "works", "ann", 0))
        world.clock.ns = ended_ns + 30 * NS_PER_DAY
        expiry.tick(may_expire=True)
        await expiry.end()
        assert (await is_left(service), len(service.alert_book.silences)) == (True, 1)
        world.clock.ns += EXPIRE_EVERY_NS
        expiry.tick(may_expire=False)
        await expiry.end()
        assert await is_left(service)
        expiry.tick(may_expire=True)
        await expiry.end()
        assert (await is_left(service), service.alert_book.silences) == (False, ())
        assert await service.catalog_thread.run(service.catalog.alerts.silences) == []
        await service.node.stop()

    asyncio.run(life())


def test_many_alerts_are_removed_in_several_transactions(tmp_path: Path) -> None:
    async def life() -> None:
        world = World(tmp_path)
        service = world.service(alert_retention_days=1)
        await stored(service, PIECES_AT_ONCE * PIECE)  # numbers begin at 1, so these are in one piece more
        world.clock.ns += 2 * NS_PER_DAY
        for expected in (True, False):
            service.node.alert_expiry.tick(may_expire=True)
            await service.node.alert_expiry.end()
            assert await is_left(service) is expected
        await service.node.stop()

    asyncio.run(life())


def test_nothing_is_removed_where_alerts_are_kept_for_ever(tmp_path: Path) -> None:
    async def life() -> None:
        world = World(tmp_path)
        service = world.service(alert_retention_days=0)
        await stored(service, 1)
        world.clock.ns += 9_999 * NS_PER_DAY
        service.node.alert_expiry.tick(may_expire=True)
        await service.node.alert_expiry.end()
        assert await is_left(service)
        await service.node.stop()

    asyncio.run(life())


def test_a_catalog_that_refuses_is_tried_again(tmp_path: Path) -> None:
    async def life() -> None:
        world = World(tmp_path)
        service = world.service(alert_retention_days=1)
        expiry, run = service.node.alert_expiry, service.catalog_thread.run
        await stored(service, 1)
        world.clock.ns += 2 * NS_PER_DAY

        async def refuse(_work: object) -> None:
            raise NotAccepting("the disk is full", reason="disk")

        service.catalog_thread.run = refuse  # type: ignore[assignment, method-assign]  # a fake
        await expiry.expire()
        service.catalog_thread.run = run  # type: ignore[method-assign]  # the real one
        world.clock.ns += EXPIRE_EVERY_NS
        expiry.tick(may_expire=True)
        await expiry.end()
        assert not await is_left(service)
        await service.node.stop()

    asyncio.run(life())
