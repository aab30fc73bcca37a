"""An answer that is made while it is sent, and whose connection is cut where it cannot be finished.

The framework's own stream turns an error in the midst of an answer into a trace in the log, and leaves the stream open
until the garbage collector finds it.
"""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from typing import Any

import structlog
from litestar import Response

from fleetpulse.errors import BrokenOff, DamagedData
from fleetpulse.ingest.asgi_protocol import CUT

log = structlog.get_logger("api")


class FileAnswer(Response[bytes]):
    """The pieces of `body`, which is closed at the end, whatever the end."""

    def __init__(
        self, body: AsyncGenerator[bytes, None], *, media_type: str, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(b"", media_type=media_type, headers=dict(headers or {}))
        self._body = body

    def to_asgi_response(self, app: Any, request: Any, **_more: Any) -> Any:  # noqa: ARG002  # the framework's way
        """The application that sends it; the framework runs it."""
        headers = [(b"content-type", (self.media_type or "").encode())]
        headers += [(name.lower().encode(), value.encode("latin-1")) for name, value in self.headers.items()]

        async def send_all(scope: Any, receive: Callable[[], Awaitable[Any]], send: Any) -> None:
            await send({"type": "http.response.start", "status": self.status_code or 200, "headers": headers})
            sending = asyncio.create_task(_send_pieces(self._body, send))
            leaving = asyncio.create_task(_until_left(receive))
            try:
                await asyncio.wait([sending, leaving], return_when=asyncio.FIRST_COMPLETED)
                is_cut = sending.done() and not sending.result()
            finally:
                sending.cancel()
                leaving.cancel()
                await asyncio.gather(sending, leaving, return_exceptions=True)
                await self._body.aclose()
            if is_cut and CUT in scope.get("extensions", {}):
                scope["extensions"][CUT]()
                await asyncio.sleep(0)  # so that the server knows of it

        return send_all


async def _send_pieces(body: AsyncGenerator[bytes, None], send: Any) -> bool:
    """Send all pieces; False where the answer breaks off."""
    try:
        async for piece in body:
            await send({"type": "http.response.body", "body": piece, "more_body": True})
    except (BrokenOff, DamagedData):
        return False  # whoever made the pieces has logged it
    except Exception as error:
        log.error("an answer broke off by a defect of ours", exc_info=error)
        return False
    await send({"type": "http.response.body", "body": b"", "more_body": False})
    return True


async def _until_left(receive: Callable[[], Awaitable[Any]]) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
