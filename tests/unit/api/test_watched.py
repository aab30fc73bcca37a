"""Requests beside the front door, as telemetry counts them."""

import asyncio
from pathlib import Path

from fleetpulse.api.watched import Message, Watched
from fleetpulse.telemetry.requests import RequestTelemetry
from memory_service import World
from protected_service import client_of

DEVICE = "/api/v1/devices/{device_id}"


def test_the_status_and_the_time_are_noted_and_the_messages_go_on() -> None:
    async def life() -> None:
        sent: list[Message] = []
        times = iter([1.0, 1.25])

        async def send(message: Message) -> None:
            sent.append(message)

        watched, requests = Watched({"method": "HEAD"}, send, monotonic_s=lambda: next(times)), RequestTelemetry()
        assert watched.code is None
        await watched({"type": "http.response.start", "status": 200})
        await watched({"type": "http.response.body", "body": b""})
        assert (watched.code, len(sent)) == (200, 2)
        assert watched.target() == ("HEAD", "none")
        watched.inner = {"method": "GET", "path_template": "/api/v1/devices"}
        watched.count(requests)
        assert requests.durations()["HEAD", "/api/v1/devices", "ok"].sum == 0.25

    asyncio.run(life())


def test_the_live_feed_took_as_long_as_it_took_to_begin() -> None:
    async def life() -> None:
        times = iter([1.0, 1.5, 9_000.0])

        async def send(_: Message) -> None:
            pass

        watched, requests = Watched({"method": "GET"}, send, monotonic_s=lambda: next(times)), RequestTelemetry()
        headers = [(b"content-type", b"text/event-stream; charset=utf-8")]
        await watched({"type": "http.response.start", "status": 200, "headers": headers})
        watched.count(requests)
        assert requests.durations()["GET", "none", "ok"].sum == 0.5

    asyncio.run(life())


def test_requests_count_by_their_declared_route_and_those_of_strangers_under_none(tmp_path: Path) -> None:
    async def life() -> None:
        service = await World(tmp_path).started("d0", auth="off")
        client = client_of(service)
        for method, path in (
            ("GET", "/api/v1/devices/d0/stats"), ("HEAD", "/api/v1/devices/d0/stats"), ("GET", "/api/v1/devices/d1"),
            ("GET", "/made/up/by/a/stranger"), ("DELETE", "/made/up"), ("BREW", "/api/v1/devices"),
            ("PATCH", "/readyz"), ("OPTIONS", "/readyz"),
        ):  # fmt: skip
            await client.request(method, path)
        report = {"sent_at": "2024-10-04T12:00:00Z"}
        await client.post("/api/v1/devices/d0/heartbeat", json=report)
        counts = service.counters.requests.counts()
        assert counts == {
            ("GET", f"{DEVICE}/stats", "200"): 1, ("HEAD", f"{DEVICE}/stats", "200"): 1, ("GET", DEVICE, "404"): 1,
            ("GET", "none", "404"): 1, ("DELETE", "none", "404"): 1, ("other", "none", "405"): 1,
            ("PATCH", "none", "405"): 1, ("OPTIONS", "/readyz", "204"): 1,
            ("POST", f"{DEVICE}/heartbeat", "204"): 1,
        }, counts  # fmt: skip
        assert service.counters.requests.totals() == (9, 0)
        await service.node.stop()

    asyncio.run(life())
