"""The rate limits of devices move on with the clock, and with what is declared."""

import asyncio
from pathlib import Path

import pytest

from fleetpulse.access_errors import TooManyRequests
from fleetpulse.model.device import Device
from memory_service import SECOND, World


def test_what_is_a_backlog_moves_on_with_the_clock(tmp_path: Path) -> None:
    async def life() -> None:
        world = World(tmp_path)
        service = await world.started("d0", backlog_after_s=10.0)
        devices = service.rate_limits.devices
        service.node.tick()
        assert devices.backlog_before_ns == service.clock.now_ns() - 10 * SECOND
        world.clock.ns += 5 * SECOND
        service.node.tick()
        assert devices.backlog_before_ns == service.clock.now_ns() - 10 * SECOND
        await service.node.stop()

    asyncio.run(life())


def test_a_label_that_is_declared_later_gives_a_device_another_rate(tmp_path: Path) -> None:
    async def life() -> None:
        service = await World(tmp_path).started("d0", device_burst=2, rates="label class:fast 1/s burst 5")
        number, devices = service.registry.numbers["d0"], service.rate_limits.devices

        def taken() -> int:
            for count in range(10):
                try:
                    devices.charge_beat(number)
                except TooManyRequests:
                    return count
            return 10

        service.node.tick()
        assert taken() == 2
        await service.registry.update({number: Device("d0", {"class": "fast"})})
        assert taken() == 0
        service.node.tick()
        assert taken() == 4  # it holds 5 now, and the second that the two reports have cost is still owed
        await service.node.stop()

    asyncio.run(life())


def test_what_is_no_rule_ends_the_start(tmp_path: Path) -> None:
    async def life() -> None:
        with pytest.raises(Exception, match="rates: `fast please`"):
            World(tmp_path).service(rates="fast please")

    asyncio.run(life())
