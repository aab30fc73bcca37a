"""Who passes to a handler on a protected service: rate limits of keys, of addresses and of wrong keys."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from fleetpulse.api.app import build_api
from fleetpulse.app import build_parts
from fleetpulse.model.audit import AuditFilter
from fleetpulse.pipeline.service import Service
from fleetpulse.settings import Settings
from memory_service import World
from protected_service import add_key, client_of, protected

LIST, BEAT, EVENTS = "/api/v1/devices", "/api/v1/devices/press-1/heartbeat", "/api/v1/events"
NOW = {"sent_at": "2024-10-04T12:00:00Z"}
SLOW = {f"{kind}_per_s": 0.001 for kind in ("device", "backlog", "ingest_key", "key", "address", "failure")}


def run(folder: Path, test: Callable[[Service], Awaitable[None]], **settings: Any) -> None:
    async def life() -> None:
        async with protected(folder, "press-1", "press-2", **{**SLOW, **settings}) as service:
            await test(service)

    asyncio.run(life())


async def statuses(
    client: httpx.AsyncClient, count: int, method: str = "GET", path: str = LIST, **more: Any
) -> list[int]:
    async with client:
        return [(await client.request(method, path, **more)).status_code for _ in range(count)]


def test_each_key_has_its_own_budget_whatever_it_asks_for(tmp_path: Path) -> None:
    async def test(service: Service) -> None:
        first, second = add_key(service, "read"), add_key(service, "read")
        assert await statuses(client_of(service, first), 4) == [200, 200, 200, 429]
        assert await statuses(client_of(service, second), 1) == [200]
        assert await statuses(client_of(service, first), 1, path="/healthz") == [200]
        assert service.counters.requests_refused == {"key_rate": 1}
        assert service.counters.questions_refused == {}

    run(tmp_path, test, key_burst=3)


def test_reports_with_the_key_of_a_gateway_are_charged_to_the_device_and_to_the_key(tmp_path: Path) -> None:
    async def test(service: Service) -> None:
        client = client_of(service, add_key(service, "ingest"))
        other = BEAT.replace("press-1", "press-2")
        async with client:
            answers = [await client.post(path, json=NOW) for path in (BEAT, BEAT, BEAT, other, other)]
        reasons = [answer.json()["type"].rpartition(":")[2] for answer in answers if answer.status_code == 429]
        assert [answer.status_code for answer in answers] == [204, 204, 429, 204, 429]
        assert reasons == ["device_rate", "ingest_key_rate"]

    run(tmp_path, test, device_burst=2, ingest_key_burst=4)


def test_a_device_pays_for_its_own_bulk_bodies_and_asks_with_its_beats(tmp_path: Path) -> None:
    async def test(service: Service) -> None:
        key = add_key(service, "device", device_id="press-1")
        line = b'{"device_id": "press-1", "sent_at": "2024-10-04T12:00:00Z"}\n'
        bulk = {"content": line * 50, "headers": {"content-type": "application/x-ndjson"}}
        assert await statuses(client_of(service, key), 2, "POST", EVENTS, **bulk) == [200, 429]
        assert await statuses(client_of(service, key), 2, "POST", BEAT, json=NOW) == [204, 204]
        assert await statuses(client_of(service, key), 2, path=LIST + "/press-1") == [200, 429]

    run(tmp_path, test, device_burst=3, backlog_burst=5)


def test_a_flood_of_wrong_keys_is_refused_more_shortly_and_shuts_no_right_key_out(tmp_path: Path) -> None:
    async def test(service: Service) -> None:
        right, wrong = add_key(service, "read"), "fp_read_zz_" + "x" * 33
        assert await statuses(client_of(service, wrong), 4) == [401, 401, 429, 429]
        assert await statuses(client_of(service, right), 2) == [200, 200]
        assert await statuses(client_of(service), 3) == [401, 401, 429]
        assert await statuses(client_of(service), 2, path="/healthz") == [200, 200]
        assert await statuses(client_of(service), 1, path="/openapi.json") == [429]
        assert await statuses(client_of(service, right), 1, path="/openapi.json") == [200]
        assert service.counters.requests_refused == {
            "wrong_key": 2, "failure_rate": 2, "no_key": 2, "address_rate": 2,
        }  # fmt: skip

    run(tmp_path, test, failure_burst=2, address_burst=2)


def test_wrong_keys_are_counted_on_open_routes_too_but_not_looked_at_where_there_is_no_limit(tmp_path: Path) -> None:
    async def test(service: Service) -> None:
        wrong = "fp_read_zz_" + "x" * 33
        assert await statuses(client_of(service, wrong), 3, path="/") == [200] * 3
        assert await statuses(client_of(service, wrong), 3, path="/healthz") == [200] * 3
        assert service.counters.requests_refused == {"wrong_key": 2, "failure_rate": 1}
        async with client_of(service) as client:
            for path in ("/", "/healthz", "/readyz", "/docs", "/sign-in"):
                answer = await client.get(f"{path}?key={wrong}")
                assert (answer.status_code, answer.json()["type"].rpartition(":")[2]) in (
                    (401, "key_in_query"), (429, "failure_rate")
                ), path  # fmt: skip
        await service.audit_log.end()
        entries = service.catalog.audit.page(AuditFilter(kind="refusal"), before=None, limit=20)
        assert {(one.facts.action, one.facts.subject, one.facts.times) for one in entries} == {
            ("wrong_key", "root", 3),
            *(("key_in_query", name, 1) for name in ("root", "healthz", "readyz", "docs", "signInPage")),
        }

    run(tmp_path, test, failure_burst=2)


@pytest.mark.parametrize(
    ("method", "path", "status"), [("GET", "/no", 404), ("PUT", LIST, 405), ("OPTIONS", LIST, 204)]
)
def test_what_no_handler_takes_is_charged_to_the_key_or_the_address(
    method: str, path: str, status: int, tmp_path: Path
) -> None:
    async def test(service: Service) -> None:
        assert await statuses(client_of(service), 3, method, path) == [status, status, 429]
        assert await statuses(client_of(service, "fp_read_1_x"), 1, method, path) == [429]
        assert await statuses(client_of(service, add_key(service, "read")), 4, method, path) == [*[status] * 3, 429]
        assert service.counters.requests_refused == {"address_rate": 2, "wrong_key": 1, "key_rate": 1}

    run(tmp_path, test, address_burst=2, key_burst=3)


def test_options_of_all_routes_are_charged_too(tmp_path: Path) -> None:
    async def test(service: Service) -> None:
        api, sent = build_api(build_parts(Settings(), service)), []

        async def send(message: Any) -> None:
            sent.append(message.get("status"))

        async def receive() -> Any:
            return {"type": "http.request", "body": b""}

        for _ in range(2):
            scope = {"type": "http", "method": "OPTIONS", "path": "*", "headers": [], "client": ("192.0.2.1", 5)}
            await api(scope, receive, send)
        assert sent == [204, None, 429, None]
        assert service.counters.requests_refused == {"address_rate": 1}

    run(tmp_path, test, address_burst=1)


@pytest.mark.parametrize("role", ["read", "scrape"])
def test_what_a_key_may_not_do_is_charged_to_its_address(role: Any, tmp_path: Path) -> None:
    async def test(service: Service) -> None:
        key = add_key(service, role)
        assert await statuses(client_of(service, key), 3, "POST", BEAT, json=NOW) == [403, 403, 429]

    run(tmp_path, test, failure_burst=2)


def test_where_nobody_needs_a_key_addresses_have_no_limit(tmp_path: Path) -> None:
    async def life() -> None:
        settings: dict[str, Any] = {**SLOW, "address_burst": 1, "key_burst": 1, "device_burst": 2}
        service = await World(tmp_path).started("press-1", auth="off", **settings)
        assert await statuses(client_of(service), 5) == [200] * 5
        assert await statuses(client_of(service), 3, "POST", BEAT, json=NOW) == [204, 204, 429]
        await service.node.stop()

    asyncio.run(life())
