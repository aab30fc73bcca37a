import asyncio
from typing import Any

import pytest
from litestar import Request

from fleetpulse.api.request_body import is_body_announced, whole_body
from fleetpulse.errors import Malformed


def request(*events: dict[str, Any], **headers: str) -> Any:
    """A request whose connection reports `events`."""
    pending = list(events)

    async def receive() -> Any:
        return pending.pop(0)

    lines = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    handler = type("Handler", (), {"resolve_request_max_body_size": lambda self: None})()
    scope: Any = {"type": "http", "method": "POST", "path": "/", "headers": lines, "route_handler": handler}
    return Request(scope, receive)


def piece(body: bytes, *, more: bool = False) -> dict[str, Any]:
    return {"type": "http.request", "body": body, "more_body": more}


def test_a_body_is_whole_however_it_comes() -> None:
    for events in ([piece(b"hello")], [piece(b"he", more=True), piece(b"llo")]):
        for headers in ({"content_length": "5"}, {"transfer_encoding": "chunked"}, {}):
            assert asyncio.run(whole_body(request(*events, **headers))) == b"hello"


def test_less_than_was_announced_is_refused_and_never_taken_for_the_body() -> None:
    gone = {"type": "http.disconnect"}
    for events in ([piece(b"")], [piece(b"hell")], [piece(b"he", more=True), gone]):
        with pytest.raises(Malformed) as refused:
            asyncio.run(whole_body(request(*events, content_length="5")))
        assert refused.value.reason == "half_request"


def test_a_length_above_zero_or_a_coding_announces_a_body() -> None:
    announced = [{"content_length": "1"}, {"transfer_encoding": "chunked"}]
    assert [is_body_announced(request(**headers)) for headers in (*announced, {"content_length": "0"}, {})] == [
        True, True, False, False,
    ]  # fmt: skip
