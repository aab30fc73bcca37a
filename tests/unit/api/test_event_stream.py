"""A client that does not read is given no more than its connection takes, and learns what it missed."""

import asyncio
from pathlib import Path
from typing import Any

from fleetpulse.access.gate import Shown
from fleetpulse.api.event_stream import EventStream
from fleetpulse.model.access import EVERYBODY
from memory_service import World


def test_a_client_that_does_not_read_misses_events_and_learns_how_many(tmp_path: Path) -> None:
    async def test() -> None:
        service = await World(tmp_path).started(stream_events_kept=16)
        stream = service.live_feed.open(EVERYBODY, Shown())
        sent: list[bytes] = []
        is_room, is_blocked, is_left = asyncio.Event(), asyncio.Event(), asyncio.Event()

        async def send(message: dict[str, Any]) -> None:
            if message.get("body", b"").startswith(b"id: "):
                is_blocked.set()
                await is_room.wait()
            sent.append(message.get("body", b""))

        async def receive() -> dict[str, Any]:
            await is_left.wait()
            return {"type": "http.disconnect"}

        answer = EventStream(service.live_feed, stream).to_asgi_response(None, None)
        answering = asyncio.create_task(answer({}, receive, send))
        await is_blocked.wait()  # with the first counts
        for number in range(20):
            stream.channel.publish([("transition", b"%d" % number)])
        is_room.set()
        while not sent[-1].startswith(b"id: "):
            await asyncio.sleep(0)
        await asyncio.sleep(0)
        stream.wake()
        while b"event: missed" not in sent[-1]:
            await asyncio.sleep(0)
        assert b'{"events":20,"reason":"slow",' in sent[-1]
        is_left.set()
        await answering
        assert service.counters.stream_events_missed == 20
        await service.node.stop()

    asyncio.run(test())
