"""What somebody declares on one node is in effect on another one, of every kind of declaration."""

import asyncio
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from fleetpulse.catalog.catalog import DeviceRecord
from fleetpulse.catalog.change_log import LOG_VERSIONS
from fleetpulse.catalog.earlier_policies import Earlier
from fleetpulse.ingest.key_declarations import KeyWish
from fleetpulse.model.declared import DeclaredVersion
from fleetpulse.model.device import Device
from fleetpulse.model.heartbeat_policy import HeartbeatPolicy
from fleetpulse.pipeline import changes, registry
from fleetpulse.pipeline.service import Service
from shared_declarations import ALICE, DEVICE, DEVICES, METRIC, PASSPHRASE, PEOPLE, see_all_kinds
from shared_nodes import Node, shared_nodes
from shared_service import SharedWorld


def two(test: Callable[[Node, Node], Awaitable[None]], folder: Path, **settings: Any) -> None:
    async def run() -> None:
        async with shared_nodes(folder, **settings) as (one, other):
            await test(one, other)

    asyncio.run(run())


def test_what_is_declared_on_one_node_is_in_effect_on_another_one_of_every_kind(tmp_path: Path) -> None:
    two(see_all_kinds, tmp_path)


async def made_key(node: Node, **wish: Any) -> tuple[str, int]:
    answer = await node.ask("POST", "/api/v1/keys", wish)
    assert answer.status_code == 201, answer.text
    return answer.json()["key"], answer.json()["number"]


async def is_let_in(node: Node, key: str) -> bool:
    await node.catch_up()
    return (await node.ask("GET", "/api/v1/whoami", key=key)).status_code == 200


def test_a_key_that_one_node_makes_is_good_on_another_one_until_it_is_revoked(tmp_path: Path) -> None:
    async def test(one: Node, other: Node) -> None:
        key, number = await made_key(one, role="read")
        assert await is_let_in(other, key)
        other_key, other_number = await made_key(other, role="read")
        assert (other_number, await is_let_in(one, other_key)) == (number + 1, True)
        rotated = await one.ask("POST", f"/api/v1/keys/{number}/rotate", {"overlap": "0s"})
        assert rotated.status_code < 300, rotated.text
        assert not await is_let_in(other, key)
        assert (await other.ask("DELETE", f"/api/v1/keys/{other_number}")).status_code < 300
        assert not await is_let_in(one, other_key)

    two(test, tmp_path)


def test_the_deletion_of_a_device_ends_its_key_on_all_nodes_and_its_number_stays(tmp_path: Path) -> None:
    async def test(one: Node, other: Node) -> None:
        await one.ask("POST", "/api/v1/devices", DEVICE)
        await one.ask("POST", "/api/v1/devices", {"id": "saw"})
        key, _ = await made_key(one, role="device", device_id="press")
        assert await is_let_in(other, key)
        await one.ask("DELETE", "/api/v1/devices/press")
        assert not await is_let_in(other, key)
        await other.ask("POST", "/api/v1/devices", {"id": "press"})
        await one.catch_up()
        assert one.service.registry.numbers == other.service.registry.numbers == {"press": 0, "saw": 1}

    two(test, tmp_path)


def test_whoever_signs_in_on_one_node_is_known_on_another_one_until_the_session_ends(tmp_path: Path) -> None:
    async def test(one: Node, other: Node) -> None:
        await one.ask("POST", "/api/v1/users", ALICE)
        await other.catch_up()
        answer = await other.ask("POST", "/api/v1/login", {"name": "alice", "password": PASSPHRASE}, key="")
        tokens = answer.json()
        assert await is_let_in(one, tokens["access_token"])
        turned = await one.ask("POST", "/api/v1/refresh", {"refresh_token": tokens["refresh_token"]})
        assert turned.status_code == 200, turned.text
        assert await is_let_in(other, turned.json()["access_token"])
        await one.ask("POST", "/api/v1/logout", {"refresh_token": turned.json()["refresh_token"]})
        assert not await is_let_in(other, turned.json()["access_token"])

    two(test, tmp_path)


def test_nodes_sign_links_with_one_key_that_the_catalog_has(tmp_path: Path) -> None:
    async def test(one: Node, other: Node) -> None:
        assert one.service.link_key.key() == other.service.link_key.key() != b""
        assert not [path for path in tmp_path.rglob("*.key") if path.name != "admin.key"]

    two(test, tmp_path)


def test_an_interval_of_the_service_that_another_node_brings_holds_for_devices_here(tmp_path: Path) -> None:
    async def test(one: Node, other: Node) -> None:
        await one.ask("POST", "/api/v1/devices", DEVICE)
        await one.ask("POST", "/api/v1/devices", {"id": "saw"})
        await other.catch_up()
        changed = HeartbeatPolicy(7, 70)
        one.service.catalog.policies.note_default(changed, at_ns=one.service.clock.now_ns() + 1, changes_max=9)
        await other.catch_up()
        policies = [other.service.fleet.policies_of(number)[-1].policy for number in (0, 1)]
        assert policies == [HeartbeatPolicy(30, 70), changed]

    two(test, tmp_path)


def test_a_node_that_was_away_for_longer_than_the_log_reaches_reads_everything(tmp_path: Path) -> None:
    async def test(one: Node, other: Node) -> None:
        key, _ = await made_key(one, role="read")
        gone, gone_number = await made_key(one, role="read")
        await other.catch_up()
        for step in (DEVICES, METRIC, PEOPLE):
            await one.ask(step.method, step.path, step.body)
        await one.ask("DELETE", f"/api/v1/keys/{gone_number}")
        late, _ = await made_key(one, role="read")
        other.service.changes.known -= LOG_VERSIONS + 1
        for step in (DEVICES, METRIC, PEOPLE):
            await other.catch_up()
            assert await other.get(step.shown_at) == await one.get(step.shown_at)
        assert [await is_let_in(other, text) for text in (key, gone, late)] == [True, False, True]

    two(test, tmp_path)


class SlowReading:
    """The reading of devices by a node, which a test stops before its second piece."""

    def __init__(self, service: Service) -> None:
        self.good: list[set[int]] = []
        """The numbers of the keys that were good when each piece was read."""
        self.has_stopped, self.may_go_on = asyncio.Event(), threading.Event()
        self._keys, self._read = service.gate.keys, service.registry._read
        self._loop = asyncio.get_running_loop()
        service.registry._read = self.read  # type: ignore[method-assign]  # to wait in the midst of it

    def read(self, numbers: Any) -> tuple[list[DeviceRecord], dict[int, Earlier], DeclaredVersion]:
        self.good.append({number for number in range(20) if self._keys.row(number)})
        if len(self.good) == 2:
            self._loop.call_soon_threadsafe(self.has_stopped.set)
            self.may_go_on.wait(10)
        return self._read(numbers)


def test_a_key_revoked_while_another_node_reads_many_devices_is_refused_there_before_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def run() -> None:
        world = SharedWorld(tmp_path)
        first, second = await world.started(), await world.started()
        monkeypatch.setattr(registry, "READ_AT_ONCE", 2)
        monkeypatch.setattr(changes, "LOOK_EVERY_S", 0.0)
        wishes = [KeyWish(role="admin"), KeyWish(role="read"), KeyWish(role="read")]
        await first.key_ring.make_all(wishes, principal=None, is_confirmed=True)
        await second.changes.reach(0)
        keys = second.gate.keys
        before, during = 2, 3
        assert keys.row(before) and keys.row(during)
        reading = SlowReading(second)

        def write() -> None:
            with first.catalog.transaction():  # one look finds all of it
                first.registry.write([Device(f"d{number}") for number in range(10)], replaces=True)
                first.catalog.keys.revoke([before], at_ns=world.clock.ns, by="")

        await asyncio.get_running_loop().run_in_executor(first.threads.catalog, write)
        look = asyncio.create_task(second.changes.reach(0))
        await asyncio.wait_for(reading.has_stopped.wait(), 10)
        await first.key_ring.revoke(during, principal=None)
        reading.may_go_on.set()
        await look
        assert before not in reading.good[0], "access is read before the fleet"
        assert during in reading.good[1] and during not in reading.good[2], "between two pieces of the fleet"
        assert len(reading.good) == 5
        assert len(second.registry.numbers) == 10
        await second.node.stop()
        await first.node.stop()

    asyncio.run(run())


def test_a_key_of_a_new_device_is_known_only_when_its_device_is(tmp_path: Path) -> None:
    async def run() -> None:
        world = SharedWorld(tmp_path)
        first, second = await world.started(), await world.started()
        await first.key_ring.make_all([KeyWish(role="admin")], principal=None, is_confirmed=True)
        await second.changes.reach(0)
        reading = SlowReading(second)
        reading.may_go_on.set()
        await first.registry.register_many([Device("new")])
        await first.key_ring.make_all([KeyWish(role="device", device_id="new")], principal=None)
        await second.changes.reach(0)
        keys = second.gate.keys
        assert keys.row(2) and second.registry.ids == ["new"]
        assert 2 not in reading.good[0]
        await second.node.stop()
        await first.node.stop()

    asyncio.run(run())
