"""What nobody here knows is asked of the catalog before it is refused, on both HTTP paths, and not by floods."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, cast

import pytest
from uvicorn.config import Config

from fleetpulse.api.app import build_api
from fleetpulse.app import build_parts
from fleetpulse.catalog.change_log import CatalogChanges
from fleetpulse.catalog.sqlite import SqliteCatalog
from fleetpulse.errors import DatabaseBusy
from fleetpulse.ingest.front_door import FrontDoor
from fleetpulse.notation.timestamp import format_rfc3339
from fleetpulse.pipeline import changes as looks
from fleetpulse.settings import Settings
from shared_nodes import Node, shared_nodes, sqlite_in
from stub_transport import StubServer, StubTransport, request

Test = Callable[[Node, Node], Awaitable[None]]
AWAY: set[SqliteCatalog] = set()
"""Catalogs that a test has put out of reach."""


class AwayCatalog(SqliteCatalog):
    """A catalog that other nodes' changes cannot be read of while it is in AWAY."""

    def changes(self, after: int) -> CatalogChanges:
        if self in AWAY:
            raise DatabaseBusy("the catalog is away", retry_after_s=1)
        return super().changes(after)


@pytest.fixture(autouse=True)
def only_when_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """No looks by themselves, so that each test sees those that requests cause."""
    monkeypatch.setattr(looks, "LOOK_EVERY_S", 1e6)
    monkeypatch.setattr(looks, "UNKNOWN_EVERY_S", 0.02)


def two(test: Test, folder: Path, **settings: Any) -> None:
    async def run() -> None:
        async with shared_nodes(folder, **settings) as (one, other):
            await other.catch_up()
            await test(one, other)

    asyncio.run(run())


async def declare(node: Node, method: str, path: str, body: Any = None) -> Any:
    answer = await node.ask(method, path, body)
    assert answer.status_code < 300, answer.text
    return answer.json() if answer.content else None


async def device_key(node: Node, device_id: str) -> str:
    await declare(node, "POST", "/api/v1/devices", {"id": device_id})
    return str((await declare(node, "POST", "/api/v1/keys", {"role": "device", "device_id": device_id}))["key"])


def beat_of(node: Node) -> dict[str, str]:
    return {"sent_at": format_rfc3339(node.service.clock.now_ns())}


def test_ids_and_names_that_another_node_has_just_declared_are_found(tmp_path: Path) -> None:
    async def test(one: Node, other: Node) -> None:
        await declare(one, "POST", "/api/v1/devices", {"id": "press"})
        assert (await other.ask("GET", "/api/v1/devices/press")).status_code == 200
        await declare(one, "POST", "/api/v1/metrics/definitions", {"name": "cpu"})
        assert (await other.ask("GET", "/api/v1/metrics/definitions/cpu")).status_code == 200
        await declare(one, "PUT", "/api/v1/alerts/rules/mine", {"kind": "device_down"})
        assert (await other.ask("GET", "/api/v1/alerts/rules/mine")).status_code == 200
        await declare(one, "POST", "/api/v1/devices", {"id": "saw"})
        await declare(other, "PATCH", "/api/v1/devices/saw", {"note": "in the hall"})  # an act knows the newest
        for path in ("/api/v1/devices/nobody", "/api/v1/metrics/definitions/nothing", "/api/v1/alerts/rules/none"):
            assert (await other.ask("GET", path)).status_code == 404

    two(test, tmp_path)


def test_a_device_reports_to_a_node_that_has_not_heard_of_it_or_its_key(tmp_path: Path) -> None:
    async def test(one: Node, other: Node) -> None:
        key = await device_key(one, "press")
        reported = await other.ask("POST", "/api/v1/devices/press/heartbeat", beat_of(other), key=key)
        assert reported.status_code == 204, reported.text
        wrong = await other.ask("POST", "/api/v1/devices/press/heartbeat", beat_of(other), key=key[:-1] + "0")
        assert (wrong.status_code, wrong.json()["msg"]) == (401, "the key is wrong, or was revoked")
        unknown = await other.ask("POST", "/api/v1/devices/nobody/heartbeat", beat_of(other))
        assert unknown.status_code == 404

    two(test, tmp_path)


def test_lines_of_a_bulk_body_are_looked_for_together(tmp_path: Path) -> None:
    async def test(one: Node, other: Node) -> None:
        for name in ("press", "saw"):
            await declare(one, "POST", "/api/v1/devices", {"id": name})
        await declare(one, "POST", "/api/v1/metrics/definitions", {"name": "cpu"})
        at = beat_of(other)["sent_at"]
        lines = [f'{{"device_id":"{name}","sent_at":"{at}","metrics":{{"cpu":1}}}}' for name in ("press", "saw", "no")]
        answer = await other.client.post(
            "/api/v1/events", content="\n".join(lines), headers={"content-type": "application/x-ndjson"}
        )
        verdict = answer.json()
        assert (verdict["accepted"], verdict["refused_total"], verdict["refused"][0]["line"]) == (2, 1, 3), verdict

    two(test, tmp_path)


def test_the_front_door_waits_for_the_catalog_too(tmp_path: Path) -> None:
    async def test(one: Node, other: Node) -> None:
        service = other.service
        config = Config(cast(Any, build_api(build_parts(Settings(), service))), lifespan="off", log_config=None)
        config.load()
        server = StubServer(config)
        server.state.total_requests = 0

        async def statuses(text: bytes, count: int) -> list[int]:
            transport = StubTransport()
            state = cast(Any, server.state)
            transport.protocol = FrontDoor(door=service.door, config=config, server_state=state, app_state={})
            transport.protocol.connection_made(transport)
            transport.protocol.data_received(text)
            async with asyncio.timeout(10):
                while len(transport.statuses) < count:
                    await service.writer.drain()
                    await asyncio.sleep(0.01)
            return transport.statuses

        def shown(key: str) -> bytes:
            return b"Authorization: Bearer " + key.encode() + b"\r\n"

        beat, key = beat_of(other)["sent_at"], await device_key(one, "press")
        body = b'{"sent_at":"%s"}' % beat.encode()
        text = request("press", body=body, headers=shown(key))
        assert await statuses(text * 2, 2) == [204, 204]
        admin = str(other.client.headers["authorization"]).removeprefix("Bearer ")
        await declare(one, "POST", "/api/v1/devices", {"id": "saw"})
        ingest = str((await declare(one, "POST", "/api/v1/keys", {"role": "ingest"}))["key"])
        await other.catch_up()
        await declare(one, "POST", "/api/v1/devices", {"id": "lathe"})
        text = request("lathe", body=body, headers=shown(ingest))
        assert await statuses(text + request("nobody", body=body, headers=shown(ingest)) + text, 3) == [204, 404, 204]
        assert await statuses(request("saw", body=body, headers=shown(admin[:-1] + "x")), 1) == [401]

    two(test, tmp_path)


def test_while_the_catalog_is_away_the_unknown_gets_503_and_the_known_goes_on(tmp_path: Path) -> None:
    async def run() -> None:
        def open_catalog(clock: Any) -> SqliteCatalog:
            return AwayCatalog(tmp_path / "catalog.sqlite", wait_s=30.0, clock=clock)

        async with shared_nodes(tmp_path, open_catalog=open_catalog) as (one, other):
            known = await device_key(one, "press")
            await other.catch_up()
            later = await device_key(one, "saw")
            AWAY.add(cast(SqliteCatalog, other.service.catalog))
            for path, key in (("saw", None), ("saw", later), ("nobody", None)):
                answer = await other.ask("POST", f"/api/v1/devices/{path}/heartbeat", beat_of(other), key=key)
                assert (answer.status_code, answer.headers.get("retry-after")) == (503, "2"), answer.text
                looked_up = await other.ask("GET", f"/api/v1/devices/{path}", key=key)
                assert looked_up.status_code == 503, looked_up.text
            beat = await other.ask("POST", "/api/v1/devices/press/heartbeat", beat_of(other), key=known)
            assert beat.status_code == 204, beat.text
            assert (await other.ask("GET", "/api/v1/devices/press")).status_code == 200
            assert "what other nodes change" in (await other.ask("GET", "/readyz", key="")).text
            AWAY.clear()
            answer = await other.ask("POST", "/api/v1/devices/saw/heartbeat", beat_of(other), key=later)
            assert answer.status_code == 204, answer.text
            assert "what other nodes change" not in (await other.ask("GET", "/readyz", key="")).text

    asyncio.run(run())


def test_strangers_with_keys_that_were_never_made_cause_few_looks(tmp_path: Path) -> None:
    async def test(one: Node, other: Node) -> None:
        key, changes = await device_key(one, "press"), other.service.changes
        await other.catch_up()
        began, looked = time.monotonic(), changes.looks
        head, _, tail = key.rpartition("_")
        for _ in range(3):
            await asyncio.gather(
                *(other.ask("GET", "/api/v1/whoami", key=f"{head[:-1]}zzz{n}_{tail}") for n in range(20)),
                *(other.ask("GET", "/api/v1/whoami", key=f"{head}_{tail[:-1]}{n % 10}") for n in range(20)),
            )
        assert changes.looks - looked <= (time.monotonic() - began) / looks.UNKNOWN_EVERY_S + 2

    two(test, tmp_path, failure_per_s=1000, failure_burst=1000)


def test_a_key_that_is_revoked_on_one_node_is_refused_on_another_one_within_two_seconds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(looks, "LOOK_EVERY_S", 1.0)

    async def test(one: Node, other: Node) -> None:
        key = await device_key(one, "press")
        assert (await other.ask("GET", "/api/v1/whoami", key=key)).status_code == 200
        number = other.service.gate.keys.numbers_end - 1
        await asyncio.sleep(1.2)  # a look has just been, so that this is no lucky moment
        await declare(one, "DELETE", f"/api/v1/keys/{number}")
        began_s = time.monotonic()
        while (await other.ask("GET", "/api/v1/whoami", key=key)).status_code == 200:
            assert time.monotonic() - began_s < 2.0
            await asyncio.sleep(0.01)

    two(test, tmp_path)


def test_where_the_catalog_is_our_own_nothing_is_looked_for(tmp_path: Path) -> None:
    assert sqlite_in(tmp_path)  # as the nodes of the other tests have it
    catalog = SqliteCatalog(tmp_path / "catalog.sqlite")
    assert (catalog.is_shared, catalog.following_version()) == (False, 0)
    catalog.close()
