"""An answer of server-sent events: it goes on until its client leaves, or the service ends the stream.

A client that does not read is not given more than the connection takes. What it misses is counted by its stream, and
after `write_s` its connection is cut off, as that of any answer: see `ingest/connections.py`.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import structlog
from litestar import Response
from msgspec.json import encode

from fleetpulse.pipeline.feed_channel import Stream
from fleetpulse.pipeline.live_feed import LiveFeed
from fleetpulse.query.feed_events import FeedEnd

log = structlog.get_logger("api")
EVENT_STREAM = "text/event-stream"
RETRY_MS = 2_000
"""How long browsers wait until they connect again."""
_BEGIN = b"retry: %d\n\n" % RETRY_MS


class EventStream(Response[bytes]):
    """The events of a stream, which is closed at the end, whatever the end."""

    def __init__(self, live_feed: LiveFeed, stream: Stream) -> None:
        super().__init__(b"", media_type=EVENT_STREAM)
        self._live_feed, self._stream = live_feed, stream

    def to_asgi_response(self, app: Any, request: Any, **_more: Any) -> Any:  # noqa: ARG002  # the framework's way
        """The application that sends it; the framework runs it."""

        async def send_all(scope: Any, receive: Callable[[], Awaitable[Any]], send: Any) -> None:  # noqa: ARG001  # as ASGI
            headers = [(b"content-type", b"text/event-stream; charset=utf-8")]
            tasks: list[asyncio.Task[None]] = []
            try:
                await send({"type": "http.response.start", "status": 200, "headers": headers})
                tasks.append(asyncio.create_task(_send_events(self._stream, send)))
                tasks.append(asyncio.create_task(_until_left(receive)))
                await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            finally:
                self._live_feed.close(self._stream)
                for task in tasks:
                    task.cancel()
                for error in await asyncio.gather(*tasks, return_exceptions=True):
                    if isinstance(error, Exception):
                        log.error("a stream broke off by a defect of ours", exc_info=error)

        return send_all


async def _send_events(stream: Stream, send: Any) -> None:
    """Send events as they come, each when the connection has room, and the end if the service ends it."""
    await send({"type": "http.response.body", "body": _BEGIN, "more_body": True})
    while stream.end is None:
        piece = stream.take()
        if piece:
            await send({"type": "http.response.body", "body": piece, "more_body": True})
            if stream.has_more:
                await asyncio.sleep(0)  # a client that reads quickly must not keep the loop
        else:
            await stream.wait()
    end = b"event: end\ndata: %s\n\n" % encode(FeedEnd(stream.end))
    await send({"type": "http.response.body", "body": end, "more_body": False})


async def _until_left(receive: Callable[[], Awaitable[Any]]) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
