"""Nodes that share a catalog on a real PostgreSQL: what one changes reaches the others, also while the server fails."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from fleetpulse.catalog.postgres import PostgresCatalog
from fleetpulse.notation.timestamp import format_rfc3339
from fleetpulse.pipeline import changes as looks
from postgres_server import PostgresServer, is_missing
from shared_declarations import see_all_kinds
from shared_nodes import Node, shared_nodes


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostgresServer]:
    if why := is_missing():
        pytest.skip(why)
    with PostgresServer(tmp_path_factory.mktemp("postgres"), settings={"fsync": "off"}) as started:
        yield started


class Unheard(PostgresCatalog):
    """A catalog all of whose announcements are lost."""

    def listen(self, heard: Callable[[int], None]) -> Callable[[], None]:  # nobody hears
        return lambda: None


def two(
    test: Callable[[Node, Node], Awaitable[None]],
    folder: Path,
    server: PostgresServer,
    kind: type[PostgresCatalog] = PostgresCatalog,
) -> None:
    async def run() -> None:
        url = server.database()
        async with shared_nodes(folder, open_catalog=lambda clock: kind(url, clock=clock)) as (one, other):
            await other.catch_up()
            await test(one, other)

    asyncio.run(run())


async def declare(node: Node, method: str, path: str, body: Any = None) -> Any:
    answer = await node.ask(method, path, body)
    assert answer.status_code < 300, answer.text
    return answer.json() if answer.content else None


async def seconds_until_refused(one: Node, other: Node) -> float:
    """How long a key that one node revokes is still good on the other one."""
    made = await declare(one, "POST", "/api/v1/keys", {"role": "read"})
    assert (await other.ask("GET", "/api/v1/whoami", key=made["key"])).status_code == 200
    await declare(one, "DELETE", f"/api/v1/keys/{made['number']}")
    began_s = time.monotonic()
    while (await other.ask("GET", "/api/v1/whoami", key=made["key"])).status_code == 200:
        assert time.monotonic() - began_s < 10
        await asyncio.sleep(0.005)
    return time.monotonic() - began_s


def test_every_kind_of_declaration_reaches_the_other_node(tmp_path: Path, server: PostgresServer) -> None:
    two(see_all_kinds, tmp_path, server)


def test_an_announcement_makes_a_revoked_key_refused_at_once(
    tmp_path: Path, server: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(looks, "LOOK_EVERY_S", 1e6)

    async def test(one: Node, other: Node) -> None:
        await asyncio.sleep(0.5)  # until it listens
        assert max([await seconds_until_refused(one, other) for _ in range(5)]) < 1.0

    two(test, tmp_path, server)


def test_an_announcement_that_is_lost_costs_a_second_at_most(tmp_path: Path, server: PostgresServer) -> None:
    async def test(one: Node, other: Node) -> None:
        assert max([await seconds_until_refused(one, other) for _ in range(3)]) < 2.0

    two(test, tmp_path, server, Unheard)


def test_without_announcements_and_without_looks_nothing_is_learnt(
    tmp_path: Path, server: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(looks, "LOOK_EVERY_S", 1e6)

    async def test(one: Node, other: Node) -> None:
        with pytest.raises(AssertionError):  # so the two tests above show what they say
            async with asyncio.timeout(15):
                await seconds_until_refused(one, other)

    two(test, tmp_path, server, Unheard)


def test_while_the_server_is_gone_known_keys_go_on_and_unknown_ones_get_503(
    tmp_path: Path, server: PostgresServer
) -> None:
    async def test(one: Node, other: Node) -> None:
        async def beat(device_id: str, key: str) -> tuple[int, str]:
            body = {"sent_at": format_rfc3339(other.service.clock.now_ns())}
            answer = await other.ask("POST", f"/api/v1/devices/{device_id}/heartbeat", body, key=key)
            return answer.status_code, answer.headers.get("retry-after", "")

        keys = {}
        for name in ("press", "saw"):
            await declare(one, "POST", "/api/v1/devices", {"id": name})
            made = await declare(one, "POST", "/api/v1/keys", {"role": "device", "device_id": name})
            keys[name] = made["key"]
            if name == "press":
                await other.catch_up()
        number, later = keys["saw"].split("_")[2], keys["saw"]
        later = later.replace(f"_{number}_", "_zz_", 1)
        server.kill()
        for _ in range(3):
            assert (await beat("press", keys["press"]))[0] == 204
            assert (await beat("press", later))[0] == 503
            assert int((await beat("press", later))[1]) > 0
        server.start()
        async with asyncio.timeout(30):
            while (await beat("press", later))[0] == 503:
                await asyncio.sleep(0.2)
        assert (await beat("press", later))[0] == 401
        assert (await beat("press", keys["press"]))[0] == 204
        async with asyncio.timeout(30):  # the other node looks for the server by itself, and may come to it later
            while (await one.ask("POST", "/api/v1/devices", {"id": "lathe"})).status_code == 503:
                await asyncio.sleep(0.2)
        assert (await other.ask("GET", "/api/v1/devices/lathe")).status_code == 200

    two(test, tmp_path, server)
