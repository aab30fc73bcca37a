"""Changed policies take effect at the entry of the journal that says so."""

import asyncio
from pathlib import Path

import pytest
from msgspec.structs import replace

from fleetpulse.live.fleet_hash import fleet_hash
from fleetpulse.model.device import Device
from fleetpulse.model.own_policy import unchanged
from fleetpulse.pipeline.policies_in_effect import AT_ONCE
from fleetpulse.pipeline.service import Service
from memory_service import SECOND, beat
from shared_service import SharedWorld, all_reached, pump


def intervals(*nodes: Service) -> list[int]:
    return [node.fleet.policies_of(0)[-1].policy.interval_s for node in nodes]


def test_a_change_that_is_known_waits_for_the_entry_that_names_it(tmp_path: Path) -> None:
    async def run() -> None:
        world = SharedWorld(tmp_path, is_pumped=True)
        first, second = await world.started(), await world.started()
        await first.registry.register_many([Device("press-07", interval_s=60)])
        await all_reached(first, second)
        await beat(first, "press-07")
        await first.registry.update({0: Device("press-07", interval_s=5)})
        await second.changes.reach(0)
        assert intervals(first, second) == [60, 60], "no entry says so yet"
        assert first.registry.policies.is_withheld
        assert second.registry.policies.is_withheld
        await pump(second, 1)
        assert intervals(second) == [60]
        await all_reached(first, second)
        assert intervals(first, second) == [5, 5]
        assert not second.registry.policies.is_withheld
        await second.node.stop()
        await first.node.stop()

    asyncio.run(run())


@pytest.mark.parametrize("is_late", [False, True])
def test_a_node_that_joins_late_finds_the_same_gaps(tmp_path: Path, is_late: bool) -> None:
    async def run() -> None:
        world = SharedWorld(tmp_path, is_pumped=True)
        first = await world.started()
        await first.registry.register_many([Device("press-07", interval_s=5)])
        await beat(first, "press-07")
        for interval_s in (300, 5, 60):
            for _ in range(3):
                world.clock.ns += 19 * SECOND
                await beat(first, "press-07")
            await first.registry.update({0: Device("press-07", interval_s=interval_s)})
            if not is_late:
                await all_reached(first)
        second = await world.started(interval_s=7)
        await all_reached(first, second)
        assert fleet_hash(first.fleet) == fleet_hash(second.fleet)
        assert sum(map(len, first.fleet.gaps)) == 7, "six, and the time before the first beat"
        await second.node.stop()
        await first.node.stop()

    asyncio.run(run())


def test_an_interval_of_the_service_takes_effect_where_the_first_entry_of_the_node_that_brings_it_is(
    tmp_path: Path,
) -> None:
    async def run() -> None:
        world = SharedWorld(tmp_path, is_pumped=True)
        first = await world.started()
        await first.registry.register_many([Device("press-07")])
        await all_reached(first)
        world.clock.ns += SECOND
        second = await world.started(interval_s=7)
        await first.changes.reach(0)
        assert intervals(first) == [60]
        await all_reached(first, second)
        assert intervals(first, second) == [7, 7]
        await second.node.stop()
        await first.node.stop()

    asyncio.run(run())


def test_what_was_withheld_of_a_device_does_not_follow_what_was_read_since(tmp_path: Path) -> None:
    async def run() -> None:
        world = SharedWorld(tmp_path, is_pumped=True)
        node = await world.started()
        await node.registry.register_many([Device("press-07", interval_s=5)])
        await all_reached(node)
        policies, record = node.registry.policies, node.catalog.records_of([0])[0]
        later = policies.version + 1
        policies.put(record, [(later, (unchanged(60, None),))])
        assert policies.is_due(later)
        latest = replace(record, device=replace(record.device, interval_s=300))
        policies.put(latest, ())  # what was before was dropped meanwhile
        assert not policies.is_due(later)
        await policies.advance(later)
        assert intervals(node) == [300]
        await node.node.stop()

    asyncio.run(run())


def test_what_is_read_while_many_changes_take_effect_is_not_replaced_by_them(tmp_path: Path) -> None:
    async def run() -> None:
        node = await SharedWorld(tmp_path, is_pumped=True).started()
        devices = [Device(f"d{number}", interval_s=5) for number in range(AT_ONCE + 1)]
        await node.registry.register_many(devices)
        policies, later = node.registry.policies, node.registry.policies.version + 1
        records = list(node.catalog.records())
        for record in records:
            policies.put(record, [(later, (unchanged(60, None),))])
        advancing = asyncio.create_task(policies.advance(later))
        await asyncio.sleep(0)
        latest = {record.number: replace(record, device=replace(record.device, interval_s=300)) for record in records}
        for record in latest.values():
            policies.put(record, ())
        await advancing
        assert {node.fleet.policies_of(number)[-1].policy.interval_s for number in latest} == {300}
        await node.node.stop()

    asyncio.run(run())
