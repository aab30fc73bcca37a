import asyncio
import math
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any, cast

import pytest
from uvicorn.config import Config

from fleetpulse.ingest.asgi_protocol import AsgiProtocol
from fleetpulse.ingest.connections import Phase
from fleetpulse.limits import IngestLimits
from stub_transport import StubServer, StubTransport

LIMITS = replace(
    IngestLimits(), header_bytes_max=1_000, header_count_max=5, body_bytes_max=100, bulk_body_bytes_max=500,
    bulk_bytes_held_max=600,
)  # fmt: skip


async def echo(scope: Any, receive: Any, send: Any) -> None:
    """Answers with the size of the body when it is complete; /early answers before that."""
    size_bytes = 0
    more = scope["path"] != "/early"
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            return
        size_bytes += len(message["body"])
        more = message["more_body"]
    await send(
        {"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(str(size_bytes)))]}
    )
    await send({"type": "http.response.body", "body": str(size_bytes).encode()})


class Connection:
    """A connection on the ASGI path, with a transport that records."""

    def __init__(self, server: StubServer) -> None:
        self.server = server
        self.transport = StubTransport()
        self.protocol = AsgiProtocol(
            connections=server.connections,
            address="10.0.0.1",
            phase=Phase.HEADER,
            since_s=0.0,
            config=server.config,
            server_state=server.state,
            app_state={},
            _loop=asyncio.get_running_loop(),
        )
        server.connections.admit(self.protocol, "10.0.0.1")
        self.protocol.connection_made(self.transport)

    async def send(self, *pieces: bytes) -> list[int]:
        """Receive the pieces, one after the other; the statuses answered so far."""
        for piece in pieces:
            self.protocol.data_received(piece)
            for _ in range(5):
                await asyncio.sleep(0)
        return self.transport.statuses


def play(test: Callable[[StubServer], Awaitable[None]], limits: IngestLimits = LIMITS) -> StubServer:
    async def run() -> StubServer:
        config = Config(cast(Any, echo), lifespan="off", http="httptools", ws="none", log_config=None, access_log=False)
        config.load()
        server = StubServer(config, limits=limits)
        server.state.total_requests = 0
        await test(server)
        return server

    return asyncio.run(run())


def post(path: bytes, body: bytes, *, length: int | None = None) -> bytes:
    size = len(body) if length is None else length
    return b"POST %s HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % (path, size) + body


def test_a_request_is_answered_by_the_application_wherever_it_is_cut() -> None:
    async def test(server: StubServer) -> None:
        whole = post(b"/x", b"hello")
        for cut in range(1, len(whole)):
            connection = Connection(server)
            assert await connection.send(whole[:cut], whole[cut:]) == [200]
            assert connection.transport.written.endswith(b"5")
            assert connection.protocol.phase is Phase.IDLE
            connection.protocol.connection_lost(None)

    assert len(play(test).connections) == 0


@pytest.mark.parametrize(
    ("pieces", "status", "reason"),
    [
        ([b"GET /" + b"x" * 1_001 + b" HTTP/1.1\r\n\r\n"], 431, "header_bytes"),
        ([b"GET / HTTP/1.1\r\n", *[b"X" * 400] * 3], 431, "header_bytes"),
        ([b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 6 + b"\r\n"], 431, "header_count"),
        ([post(b"/x", b"", length=101)], 413, "body_bytes"),
        ([post(b"/api/v1/events?x=1", b"", length=501)], 413, "body_bytes"),
        (
            [b"POST /x HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n", b"65\r\n" + b"x" * 101 + b"\r\n"],
            413,
            "body_bytes",
        ),
        (
            [b"POST /x HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n", *[b"X" * 400] * 4],
            431,
            "header_bytes",
        ),
        ([b"nonsense\r\n\r\n"], 400, "not_http"),
    ],
)
def test_a_request_over_a_limit_is_answered_once_counted_and_ended(
    pieces: list[bytes], status: int, reason: str
) -> None:
    async def test(server: StubServer) -> None:
        connection = Connection(server)
        assert await connection.send(*pieces, b"GET / HTTP/1.1\r\n\r\n") == [status]
        assert b"connection: close" in connection.transport.written
        assert connection.transport.has_ended
        assert connection.protocol.blocked_since_s < math.inf

    assert play(test).counters.requests_refused == {reason: 1}


def test_a_bulk_body_may_be_larger_than_others() -> None:
    async def test(server: StubServer) -> None:
        assert await Connection(server).send(post(b"/api/v1/events", b"x" * 500)) == [200]

    play(test)


def test_bulk_bodies_in_memory_are_bounded_over_all_connections_until_they_are_answered() -> None:
    async def test(server: StubServer) -> None:
        first, second, third = (Connection(server) for _ in range(3))
        whole = post(b"/api/v1/events", b"x" * 400)
        await first.send(whole[:-1])
        assert server.connections.bulk_bytes_held == 399
        assert await second.send(whole) == [503]
        assert b"retry-after: 1" in second.transport.written
        second.protocol.connection_lost(None)
        assert await first.send(whole[-1:]) == [200]
        assert server.connections.bulk_bytes_held == 0
        assert await third.send(whole) == [200]

    assert play(test).counters.requests_refused == {"bulk_bytes": 1}


def test_a_refusal_waits_for_the_answers_that_are_due_before_it() -> None:
    async def test(server: StubServer) -> None:
        connection = Connection(server)
        assert await connection.send(post(b"/x", b"hello") + b"nonsense\r\n\r\n") == [200, 400]

    play(test)


def test_a_request_that_was_answered_before_its_body_came_is_not_answered_again() -> None:
    async def test(server: StubServer) -> None:
        connection = Connection(server)
        assert await connection.send(post(b"/early", b"x", length=50)) == [200]
        assert await connection.send(b"x" * 20) == [200]
        server.connections.sweep(1_000.0)
        assert connection.transport.statuses == [200]
        assert connection.transport.is_closing()

    play(test)


def test_a_body_that_stops_is_answered_with_a_timeout() -> None:
    async def test(server: StubServer) -> None:
        connection = Connection(server)
        await connection.send(post(b"/x", b"x", length=50))
        assert connection.protocol.phase is Phase.BODY
        server.connections.sweep(1_000.0)
        assert connection.transport.statuses == [408]

    assert play(test).counters.requests_refused == {"body_timeout": 1}


def test_a_peer_that_does_not_read_its_answers_is_cut() -> None:
    async def test(server: StubServer) -> None:
        connection = Connection(server)
        connection.protocol.pause_writing()
        assert connection.protocol.blocked_since_s == 0
        connection.protocol.resume_writing()
        assert connection.protocol.blocked_since_s == math.inf
        connection.protocol.pause_writing()
        server.connections.sweep(1_000.0)
        assert connection.transport.is_aborted

    play(test)
