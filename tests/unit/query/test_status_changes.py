"""Changes of status between two looks at the fleet, by scope, and their summary where they are too many."""

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from msgspec.json import decode

from fleetpulse.model.access import Scope
from fleetpulse.model.device import Device
from fleetpulse.pipeline.service import Service
from fleetpulse.query.status_changes import Found, StatusChanges
from memory_service import SECOND, World, beat

PARIS: Scope = (("site", "paris"),)


def let_pass(world: World, service: Service) -> None:
    """Let so much time pass that whoever was heard before is down."""
    for _ in range(10):
        world.clock.ns += 10 * SECOND
        service.node.tick()


class Looks:
    """Looks at a fleet one after another."""

    def __init__(self, service: Service, **scopes: Scope) -> None:
        self.service, self.scopes = service, scopes
        self.changes = StatusChanges(told_max=3)

    def look(self, scopes: Mapping[str, Scope] | None = None) -> dict[str, Found]:
        service = self.service
        service.follower.catch_up()
        view = service.views.fleet_from(service.clock.now_ns())()
        return self.changes.look(view, service.registry.ids, self.scopes if scopes is None else scopes)

    def transitions(self, channel: str = "all") -> list[tuple[Any, ...]]:
        found = self.look()[channel].transitions
        bodies = [decode(data) for kind, data in found if kind == "transition"]
        return [(body["device_id"], body["from"], body["to"]) for body in bodies]


def test_a_change_is_found_once_with_when_it_began(tmp_path: Path) -> None:
    async def test() -> None:
        world = World(tmp_path)
        service = await world.started("p1", "p2", interval_s=60, grace_s=30)
        looks = Looks(service, all=())
        first = looks.look()["all"]
        assert (first.transitions, first.are_counts_new) == ([], True)
        assert decode(first.counts)["by_status"]["new"] == 2
        await beat(service, "p1")
        assert looks.transitions() == [("p1", "new", "up")]
        again = looks.look()["all"]
        assert (again.transitions, again.are_counts_new) == ([], False)
        let_pass(world, service)
        kind, data = looks.look()["all"].transitions[0]
        body = decode(data)
        assert (kind, body["from"], body["to"]) == ("transition", "up", "down")
        assert body["since"] < body["at"]
        await service.node.stop()

    asyncio.run(test())


def test_a_device_that_comes_or_goes_has_no_status_before_or_after(tmp_path: Path) -> None:
    async def test() -> None:
        service = await World(tmp_path).started("p1")
        looks = Looks(service, all=())
        looks.look()
        await service.registry.register_many([Device("p2")])
        assert looks.transitions() == [("p2", None, "new")]
        await service.registry.delete([service.registry.numbers["p1"]])
        assert looks.transitions() == [("p1", "new", None)]
        assert decode(looks.look()["all"].counts)["total"] == 1
        await service.node.stop()

    asyncio.run(test())


def test_a_scope_has_its_own_changes_and_counts(tmp_path: Path) -> None:
    async def test() -> None:
        service = await World(tmp_path).started()
        await service.registry.register_many([Device("p1", {"site": "paris"}), Device("r1", {"site": "rome"})])
        looks = Looks(service, paris=PARIS, all=())
        looks.look()
        await beat(service, "p1")
        await beat(service, "r1")
        found = looks.look()
        assert [len(found[channel].transitions) for channel in ("paris", "all")] == [1, 2]
        assert [decode(found[channel].counts)["total"] for channel in ("paris", "all")] == [1, 2]
        # A device that is given a label of the scope comes into it.
        await service.registry.register_many([Device("r1", {"site": "paris"})])
        assert looks.transitions("paris") == [("r1", None, "up")]
        await service.registry.register_many([Device("r1", {"site": "rome"})])
        assert looks.transitions("paris") == [("r1", "up", None)]
        await service.node.stop()

    asyncio.run(test())


def test_too_many_changes_are_summed_up_and_those_that_matter_are_told_first(tmp_path: Path) -> None:
    async def test() -> None:
        world = World(tmp_path)
        service = await world.started(interval_s=60, grace_s=30)
        ids = [f"p{number}" for number in range(8)]
        await service.registry.register_many([Device(one, {"site": "rome" if one == "p7" else "paris"}) for one in ids])
        for one in ids[:4]:
            await beat(service, one)
        looks = Looks(service, all=())
        looks.look()
        let_pass(world, service)
        for one in ids[4:]:
            await beat(service, one)
        *transitions, (kind, data) = looks.look()["all"].transitions
        assert [decode(body)["to"] for _, body in transitions] == ["down"] * 3
        assert kind == "omitted"
        body = decode(data)
        assert (body["what"], body["events"]) == ("transition", 5)
        assert body["changes"] == [
            {"from": "new", "to": "up", "devices": 4},
            {"from": "up", "to": "down", "devices": 1},
        ]
        assert body["labels"] == [{"label": "site:paris", "devices": 4}, {"label": "site:rome", "devices": 1}]
        await service.node.stop()

    asyncio.run(test())


def test_a_channel_that_nobody_watches_is_forgotten(tmp_path: Path) -> None:
    async def test() -> None:
        service = await World(tmp_path).started("p1")
        looks = Looks(service, all=())
        looks.look()
        assert looks.look({}) == {}
        await beat(service, "p1")
        assert looks.look()["all"].transitions == []
        await service.node.stop()

    asyncio.run(test())
