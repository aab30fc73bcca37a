"""Devices that register themselves, with the labels of the scope of the key that reports them."""

import asyncio
from pathlib import Path

import pytest

from fleetpulse.access_errors import TooManyRequests
from fleetpulse.errors import UnknownDevice
from fleetpulse.model.access import Scope
from fleetpulse.model.device import Device
from memory_service import DAY, World

PARIS: Scope = (("site", "paris"),)
ROME: Scope = (("site", "rome"),)


def test_a_newcomer_has_the_labels_of_the_first_scope_that_reports_it(tmp_path: Path) -> None:
    async def test() -> None:
        service = await World(tmp_path).started(auto_register=True)
        newcomers, roster = service.newcomers, service.registry.roster
        await asyncio.gather(
            newcomers.register("a", scope=PARIS), newcomers.register("a", scope=ROME), newcomers.register("b")
        )
        await newcomers.register("a", scope=ROME)
        assert [roster.labels_of(service.registry.numbers[one]) for one in ("a", "b")] == [{"site": "paris"}, {}]
        await service.node.stop()

    asyncio.run(test())


def test_a_deleted_device_comes_back_only_in_its_own_scope(tmp_path: Path) -> None:
    async def test() -> None:
        service = await World(tmp_path).started(auto_register=True)
        await service.registry.register_many([Device("a", {"site": "rome", "line": "3"}), Device("b")])
        await service.registry.delete([0, 1])
        for one in ("a", "b"):
            with pytest.raises(UnknownDevice):
                await service.newcomers.register(one, scope=PARIS)
        await service.newcomers.register("a", scope=ROME)
        await service.newcomers.register("b")
        assert service.registry.roster.labels_of(0) == {"site": "rome"}
        await service.node.stop()

    asyncio.run(test())


def test_so_many_register_themselves_a_day_and_the_next_day_begins_anew(tmp_path: Path) -> None:
    async def test() -> None:
        world = World(tmp_path)
        service = await world.started("declared", auto_register=True, registrations_per_day=3)
        names = ["a", "b", "c", "d"]
        outcomes = await asyncio.gather(*map(service.newcomers.register, names), return_exceptions=True)
        assert [isinstance(outcome, TooManyRequests) for outcome in outcomes] == [False, False, False, True]
        await service.registry.register_many([Device("people-declare-any-number")])
        with pytest.raises(TooManyRequests, match=r"3 devices registered themselves .* \(registrations_per_day\)"):
            await service.newcomers.register("d")
        world.clock.ns += DAY
        await service.newcomers.register("d")
        await service.node.stop()

    asyncio.run(test())
