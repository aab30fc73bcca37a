"""Who may ping, and what it is."""

import asyncio
from pathlib import Path

import httpx
import pytest
from litestar.datastructures import Headers

from fleetpulse.api.app import build_api
from fleetpulse.api.ping import check_no_web_page
from fleetpulse.app import build_parts
from fleetpulse.errors import WebPage
from fleetpulse.settings import Settings
from memory_service import World

PATH = "/api/v1/devices/d0/ping"


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "http://evil.example"},
        {"origin": "null"},
        {"origin": ""},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
        {"sec-fetch-site": "Cross-Site"},
        {"sec-fetch-site": ""},
        {"sec-purpose": "prefetch"},
        {"sec-purpose": "prefetch;prerender", "sec-fetch-site": "none"},
        {"purpose": "prefetch"},
        {"x-moz": "prefetch"},
        {"x-purpose": "preview"},
        {"referer": "http://evil.example/page", "host": "fleet:6733"},
        {"referer": "http://fleet:6733.evil.example/", "host": "fleet:6733"},
        {"referer": "http://[", "host": "fleet:6733"},
    ],
)
def test_what_a_web_page_asks_for_is_refused(headers: dict[str, str]) -> None:
    with pytest.raises(WebPage):
        check_no_web_page(Headers(headers))


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"accept": "*/*", "user-agent": "Wget/1.21"},
        {"sec-fetch-site": "none", "sec-fetch-mode": "navigate"},
        {"sec-fetch-site": "same-origin"},
        {"referer": "http://Fleet:6733/docs", "host": "fleet:6733"},
    ],
)
def test_devices_and_people_may_ping(headers: dict[str, str]) -> None:
    check_no_web_page(Headers(headers))


def test_a_ping_is_a_heartbeat_at_the_service_s_time_and_is_never_stored_by_a_cache(tmp_path: Path) -> None:
    async def run() -> None:
        world = World(tmp_path)
        service = await world.started("d0", auto_register=False)
        api = build_api(build_parts(Settings(), service))
        async with httpx.AsyncClient(transport=httpx.ASGITransport(api), base_url="http://localhost") as client:
            for method, body in (("GET", b""), ("HEAD", b""), ("POST", b""), ("POST", b" {} ")):
                answer = await client.request(method, PATH, content=body)
                assert (answer.status_code, answer.content, answer.headers["cache-control"]) == (204, b"", "no-store")
            figures = (await service.questions.lifetime(service.registry.numbers["d0"])).figures
            assert (figures.heartbeats, figures.last_minute) == (4, world.clock.ns // 60_000_000_000)
            refused = [
                await client.get(PATH, headers={"origin": "http://evil.example"}),
                await client.get(PATH.replace("d0", "nobody")),
                await client.get(PATH + "?sent_at=2026-11-24T08:30:00Z"),
                await client.post(PATH, content=b'{"sent_at": "2026-11-24T08:30:00Z"}'),
            ]
            assert [answer.status_code for answer in refused] == [403, 404, 400, 400]
            assert {answer.headers["cache-control"] for answer in refused} == {"no-store"}
            assert service.counters.requests_refused == {"web_page": 1, "malformed": 1}
            await asyncio.sleep(0)
            assert service.counters.events_accepted == 4
        await service.node.stop()

    asyncio.run(run())


def test_a_ping_registers_an_unknown_device_where_the_service_is_set_so(tmp_path: Path) -> None:
    async def run() -> None:
        service = await World(tmp_path).started(auto_register=True)
        api = build_api(build_parts(Settings(auto_register=True), service))
        async with httpx.AsyncClient(transport=httpx.ASGITransport(api), base_url="http://localhost") as client:
            assert (await client.head(PATH)).status_code == 204
            assert (await client.head("/api/v1/devices/a%20b/ping")).status_code == 404
            assert (await client.get(PATH.replace("d0", "d1"), headers={"origin": "x"})).status_code == 403
        assert list(service.registry.numbers) == ["d0"]
        await service.node.stop()

    asyncio.run(run())
