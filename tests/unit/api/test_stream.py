"""The route of the live feed: what it sends, when it ends, and whom it refuses."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from msgspec.json import decode

from fleetpulse.api.app import build_api
from fleetpulse.app import build_parts
from fleetpulse.pipeline.service import Service
from fleetpulse.settings import Settings
from memory_service import SECOND, World, beat
from protected_service import PARIS, add_key

STREAM = "/api/v1/stream"


class Answer:
    """One request to the application, and what is answered as it comes."""

    def __init__(self, application: Any, headers: dict[str, str], method: str = "GET", query: bytes = b"") -> None:
        self.is_left, self.messages = asyncio.Event(), asyncio.Queue[dict[str, Any]]()
        scope = {
            "type": "http",
            "method": method,
            "path": STREAM,
            "raw_path": STREAM.encode(),
            "query_string": query,
            "root_path": "",
            "scheme": "http",
            "http_version": "1.1",
            "headers": [(b"host", b"localhost")] + [(name.encode(), value.encode()) for name, value in headers.items()],
            "client": ("127.0.0.1", 1),
            "server": ("localhost", 80),
        }
        self.task = asyncio.create_task(application(scope, self._receive, self._send))

    async def _receive(self) -> dict[str, Any]:
        await self.is_left.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: dict[str, Any]) -> None:
        self.messages.put_nowait(message)

    async def start(self) -> tuple[int, dict[str, str]]:
        message = await self.messages.get()
        return message["status"], {name.decode(): value.decode() for name, value in message["headers"]}

    async def piece(self) -> bytes:
        body: bytes = (await self.messages.get())["body"]
        return body

    async def leave(self) -> None:
        self.is_left.set()
        await self.task


@asynccontextmanager
async def serving(folder: Path, **given: Any) -> AsyncGenerator[tuple[World, Service, Any]]:
    world = World(folder)
    service = await world.started("p1", **given)
    yield world, service, build_api(build_parts(Settings(**given), service))
    service.live_feed.stop()
    await service.node.stop()


def test_events_are_sent_as_they_come_until_the_client_leaves(tmp_path: Path) -> None:
    async def test() -> None:
        async with serving(tmp_path) as (world, service, application):
            answer = Answer(application, {"accept": "text/event-stream"})
            status, headers = await answer.start()
            assert (status, headers["content-type"]) == (200, "text/event-stream; charset=utf-8")
            assert headers["cache-control"] == "no-store, no-transform"
            assert headers["x-accel-buffering"] == "no"
            assert "content-encoding" not in headers
            assert await answer.piece() == b"retry: 2000\n\n"
            assert b"\nevent: counts\ndata: {" in await answer.piece()
            await beat(service, "p1")
            world.clock.ns += SECOND
            service.node.tick()
            piece = await answer.piece()
            assert (piece.count(b"event: transition\n"), piece.count(b"event: counts\n")) == (1, 1)
            await answer.leave()
            assert service.live_feed.watchers == {}
            assert service.counters.streams_ended == {"left": 1}

    asyncio.run(test())


def test_it_ends_in_order_when_the_service_stops_or_the_key_is_revoked(tmp_path: Path) -> None:
    async def test() -> None:
        async with serving(tmp_path, auth="required") as (_, service, application):
            number = len(service.gate.keys) + 1
            for end, reason, scope in (
                (lambda: service.gate.keys.remove(number), "access", PARIS),
                (service.live_feed.stop, "stopping", ()),
            ):
                headers = {"authorization": f"Bearer {add_key(service, 'read', scope=scope)}"}
                answer = Answer(application, headers)
                assert (await answer.start())[0] == 200
                await answer.piece()
                assert decode((await answer.piece()).partition(b"data: ")[2])["total"] == (reason == "stopping")
                end()
                service.node.tick()
                assert await answer.piece() == b'event: end\ndata: {"reason":"%s"}\n\n' % reason.encode()
                await answer.task
            assert (await Answer(application, headers).start())[0] == 503

    asyncio.run(test())


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"accept": "application/json"}, 406),
        ({"accept": "text/event-stream;q=0, */*"}, 406),
        ({"accept": "text/*"}, 200),
        ({"accept": "application/json, */*;q=0.1"}, 200),
        ({"accept-encoding": "gzip, zstd"}, 200),
        ({"accept-encoding": "gzip, identity;q=0"}, 406),
        ({"last-event-id": "é" * 3}, 200),
    ],
)
def test_what_the_client_accepts_decides(tmp_path: Path, headers: dict[str, str], status: int) -> None:
    async def test() -> None:
        async with serving(tmp_path) as (_, service, application):
            answer = Answer(application, headers)
            begun, sent = await answer.start()
            assert begun == status
            assert status != 200 or "content-encoding" not in sent
            await answer.leave()
            assert service.live_feed.watchers == {}

    asyncio.run(test())


def test_head_has_no_body_and_is_no_client(tmp_path: Path) -> None:
    async def test() -> None:
        async with serving(tmp_path) as (_, service, application):
            answer = Answer(application, {}, "HEAD")
            status, headers = await answer.start()
            assert (status, headers["content-type"]) == (200, "text/event-stream; charset=utf-8")
            assert await answer.piece() == b""
            await answer.task
            assert service.live_feed.watchers == {}

    asyncio.run(test())


def test_an_unknown_parameter_is_refused_before_a_place_is_taken(tmp_path: Path) -> None:
    async def test() -> None:
        async with serving(tmp_path) as (_, service, application):
            assert (await Answer(application, {}, query=b"label=site:paris").start())[0] == 400
            assert service.live_feed.watchers == {}

    asyncio.run(test())
