"""What somebody declares on one node is in effect on another one, of every kind of declaration."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from fleetpulse.catalog.change_log import LOG_VERSIONS
from fleetpulse.model.heartbeat_policy import HeartbeatPolicy
from shared_declarations import ALICE, DEVICE, DEVICES, METRIC, PASSPHRASE, PEOPLE, see_all_kinds
from shared_nodes import Node, shared_nodes


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
