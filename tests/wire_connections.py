"""Connections on both paths without a socket: what is sent, how it arrives, and a server that answers with it."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

import pytest
from hypothesis import strategies as st
from uvicorn.config import Config

from fleetpulse.ingest.asgi_protocol import AsgiProtocol
from fleetpulse.ingest.connections import Phase
from fleetpulse.ingest.front_door import FrontDoor
from stub_transport import StubServer, StubTransport
from stub_transport import request as beat


@dataclass(frozen=True)
class Sent:
    """A request, and how many turns of the loop its handler takes."""

    body: bytes = b""
    offer: bytes = b""
    turns: int = 0
    is_chunked: bool = False
    is_beat: bool = False

    def text(self) -> bytes:
        """Its bytes."""
        if self.is_beat:
            return beat(headers=self.offer)
        head = b"POST /%d HTTP/1.1\r\nHost: localhost\r\n" % self.turns + self.offer
        if self.is_chunked:
            parts = [self.body[:7], self.body[7:]]
            chunks = [b"%x\r\n%s\r\n" % (len(part), part) for part in parts if part]
            return head + b"Transfer-Encoding: chunked\r\n\r\n" + b"".join(chunks) + b"0\r\n\r\n"
        return head + b"Content-Length: %d\r\n\r\n" % len(self.body) + self.body


async def echo(scope: Any, receive: Any, send: Any) -> None:
    """Answers with the body, after as many turns as the path says; /early answers before the body is read."""
    body, more = b"", scope["path"] != "/early"
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            return
        body += message["body"]
        more = message["more_body"]
    for _ in range(int(scope["path"][1:]) if scope["path"][1:].isdigit() else 0):
        await asyncio.sleep(0)
    headers = [(b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


Connect = Callable[[StubServer], StubTransport]


def at_the_door(kind: type[FrontDoor] = FrontDoor) -> Connect:
    """A connection at the front door."""

    def connect(server: StubServer) -> StubTransport:
        transport = StubTransport()
        transport.protocol = kind(door=server.door, config=server.config, server_state=server.state, app_state={})
        transport.protocol.connection_made(transport)
        return transport

    return connect


def handed_over(kind: type[AsgiProtocol] = AsgiProtocol) -> Connect:
    """A connection that is on the ASGI path from its first byte."""

    def connect(server: StubServer) -> StubTransport:
        transport = StubTransport()
        transport.protocol = kind(
            connections=server.connections, address="10.0.0.1", phase=Phase.FIRST_BYTE, since_s=0.0,
            config=server.config, server_state=server.state, app_state={}, _loop=asyncio.get_running_loop(),
        )  # fmt: skip
        server.connections.admit(transport.protocol, "10.0.0.1")
        transport.protocol.connection_made(transport)
        return transport

    return connect


async def settle(server: StubServer) -> None:
    """Let handlers run and make events durable until nothing changes any more."""
    for _ in range(60):
        await asyncio.sleep(0)
        server.commit()


async def deliver(
    server: StubServer, transport: StubTransport, pieces: list[bytes], *, has_end: bool, is_blocked: bool = False
) -> None:
    """Let `pieces` arrive as the loop does it: only while the protocol reads; then, perhaps, the end of what is sent.

    `is_blocked`: after the first piece, the peer does not read its answers until all has arrived, or nothing moves.
    """

    async def is_read() -> bool:
        nonlocal is_blocked
        if not transport.is_reading and is_blocked:
            is_blocked = False
            transport.protocol.resume_writing()
        for _ in range(200):
            if transport.is_reading or transport.is_closing():
                break
            await settle(server)
        return transport.is_reading and not transport.is_closing()

    for number, piece in enumerate(pieces):
        if is_blocked and number == 1:
            transport.protocol.pause_writing()
        if not await is_read():
            break
        transport.protocol.data_received(piece)
        if number % 2:
            await settle(server)
    if has_end and await is_read() and not transport.protocol.eof_received():
        transport.close()
    if is_blocked and len(pieces) > 1:
        transport.protocol.resume_writing()
    await settle(server)


def play(test: Callable[[StubServer], Any]) -> None:
    """Run a test with a server."""

    async def run() -> None:
        config = Config(cast(Any, echo), lifespan="off", http="httptools", ws="none", log_config=None, access_log=False)
        config.load()
        server = StubServer(config)
        server.state.total_requests = 0
        await test(server)

    asyncio.run(run())


def pieces_of(data: bytes, cuts: list[int]) -> list[bytes]:
    """The data, cut at these places; none of the pieces is empty."""
    places = sorted({cut % (len(data) + 1) for cut in cuts})
    parts = [data[start:end] for start, end in zip([0, *places], [*places, len(data)], strict=True)]
    return [part for part in parts if part]


CUTS = st.lists(st.integers(0, 3_000), max_size=6)
BOTH = pytest.mark.parametrize("connect", [at_the_door(), handed_over()], ids=["front door", "handed over"])
