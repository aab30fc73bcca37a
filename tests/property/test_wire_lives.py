"""Lives of connections, on both paths: any requests, offers, cuts, ends and odd bytes, without a socket.

Whole requests are answered in their order, with their bodies; and whatever comes, no connection outlives its deadlines.
"""

import asyncio
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

import httptools
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from examples import examples
from fleetpulse.errors import Malformed
from fleetpulse.ingest.asgi_protocol import AsgiProtocol
from fleetpulse.ingest.connections import Phase
from fleetpulse.ingest.front_door import FrontDoor
from stub_transport import StubServer, StubTransport
from stub_transport import request as beat

OFFERS = [
    b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMA\r\n",
    b"upgrade: websocket\r\nconnection: keep-alive, upgrade\r\n",
    b"Upgrade: TLS/1.0\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n",
    b"Upgrade: h2c\r\n",
]


@dataclass(frozen=True)
class Sent:
    """A request, and how many turns of the loop its handler takes."""

    body: bytes = b""
    offer: bytes = b""
    turns: int = 0
    is_chunked: bool = False
    is_beat: bool = False

    def text(self) -> bytes:
        if self.is_beat:
            return beat(headers=self.offer)
        head = b"POST /%d HTTP/1.1\r\nHost: x\r\n" % self.turns + self.offer
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
    async def run() -> None:
        config = Config(cast(Any, echo), lifespan="off", http="httptools", ws="none", log_config=None, access_log=False)
        config.load()
        server = StubServer(config)
        server.state.total_requests = 0
        await test(server)

    asyncio.run(run())


def answers(written: bytes) -> list[tuple[int, bytes]]:
    """(status, body) of every answer."""
    found = []
    while written:
        head, _, written = written.partition(b"\r\n\r\n")
        length = re.search(rb"content-length: (\d+)", head)
        size = int(length[1]) if length else 0
        found.append((int(head[9:12]), written[:size]))
        written = written[size:]
    return found


def pieces_of(data: bytes, cuts: list[int]) -> list[bytes]:
    places = sorted({cut % (len(data) + 1) for cut in cuts})
    parts = [data[start:end] for start, end in zip([0, *places], [*places, len(data)], strict=True)]
    return [part for part in parts if part]


def check_life(connect: Connect, run: list[Sent], cuts: list[int], end: int | None, *, is_blocked: bool) -> None:
    """Whole requests are answered in order; after an end (at byte `end`) the connection closes, a half one counted."""

    async def test(server: StubServer) -> None:
        data = b"".join(sent.text() for sent in run)
        stop = len(data) if end is None else end % (len(data) + 1)
        transport = connect(server)
        await deliver(server, transport, pieces_of(data[:stop], cuts), has_end=end is not None, is_blocked=is_blocked)
        ends = [len(b"".join(sent.text() for sent in run[: number + 1])) for number in range(len(run))]
        whole = sum(place <= stop for place in ends)
        found = answers(transport.written)
        assert len(found) == whole, found
        for sent, (status, body) in zip(run, found, strict=False):
            assert (
                (status, body) in ((204, b""), (200, b'{"sent_at": "2026-01-01T00:00:00Z"}'))
                if sent.is_beat
                else ((status, body) == (200, sent.body))
            )
        assert transport.is_closing() == (end is not None)
        is_half = stop not in (0, *ends)
        assert server.counters.requests_refused["half_request"] == (is_half and end is not None)
        assert not transport.is_aborted
        server.connections.sweep(1_000.0)
        server.connections.sweep(2_000.0)
        assert transport.is_closing()

    play(test)


RUNS = st.lists(
    st.builds(
        Sent,
        body=st.binary(max_size=60),
        offer=st.sampled_from([b"", b"", *OFFERS]),
        turns=st.integers(0, 9),
        is_chunked=st.booleans(),
        is_beat=st.booleans(),
    ),
    min_size=1,
    max_size=6,
)
CUTS = st.lists(st.integers(0, 3_000), max_size=6)
BOTH = pytest.mark.parametrize("connect", [at_the_door(), handed_over()], ids=["front door", "handed over"])


@BOTH
@settings(max_examples=examples(150), deadline=None)
@given(RUNS, CUTS, st.none() | st.integers(0, 3_000), st.booleans())
def test_whole_requests_are_answered_in_order_whatever_they_offer_and_wherever_the_peer_ends(
    connect: Connect, run: list[Sent], cuts: list[int], end: int | None, is_blocked: bool
) -> None:
    check_life(connect, run, cuts, end, is_blocked=is_blocked)


class _StopsAtOffers(AsgiProtocol):
    """The old rule: dispatch at the end of the header, whatever becomes of the body, and refuse the offer then."""

    def on_headers_complete(self) -> None:
        HttpToolsProtocol.on_headers_complete(self)
        self._unanswered += 1

    def _parse(self, rest: memoryview) -> None:
        try:
            self.parser.feed_data(rest)
        except httptools.HttpParserUpgrade:
            self._refuse(Malformed("send no Upgrade header", reason="upgrade"))


class _LeavesAtEnd(AsgiProtocol):
    """The old rule: the transport closes when the peer closes its sending side."""

    def eof_received(self) -> bool:  # type: ignore[override]  # see AsgiProtocol
        return False


class _DoorLeavesAtEnd(FrontDoor):
    """The same at the front door."""

    def eof_received(self) -> bool:
        return False


class _CountsFirst(AsgiProtocol):
    """The old rule: count a request, and then do what may raise."""

    def on_headers_complete(self) -> None:
        self._move(Phase.BODY)
        self._unanswered += 1
        HttpToolsProtocol.on_headers_complete(self)


def test_the_control_of_offers_loses_the_body() -> None:
    with pytest.raises(AssertionError):
        check_life(handed_over(_StopsAtOffers), [Sent(b"body", OFFERS[0])], [], None, is_blocked=False)
    check_life(handed_over(_StopsAtOffers), [Sent(b"body")], [], None, is_blocked=False)


def test_the_control_of_ends_loses_the_answer() -> None:
    for connect, sent in (
        (handed_over(_LeavesAtEnd), Sent(b"body", turns=9)),
        (at_the_door(_DoorLeavesAtEnd), Sent(is_beat=True)),
    ):
        with pytest.raises(AssertionError):
            check_life(connect, [sent], [], len(sent.text()), is_blocked=False)
        check_life(connect, [sent], [], None, is_blocked=False)


METHODS = st.sampled_from([b"GET", b"POST", b"HEAD", b"OPTIONS", b"CONNECT", b"PRI", b"DELETE", b"G", b"", b"SOURCE"])
TARGETS = st.one_of(
    st.sampled_from([
        b"/", b"*", b"", b"a:80", b"http://", b"http://[", b"http://a:99999999/x", b"http://a", b"http://a/early",
        b"/early", b"//", b"/%", b"/api/v1/events", b"/%ff", b"?", b"#", b"/a#b", b"http://u@a:1/",
        b"/api/v1/devices/a/heartbeat",
    ]),
    st.binary(max_size=12),
    st.text("htp:/[]@*?#%.a1", max_size=12).map(str.encode),
)  # fmt: skip
VERSIONS = st.sampled_from([b"HTTP/1.1"] * 6 + [b"HTTP/1.0", b"HTTP/2.0", b"HTTP/0.9", b"HTTP/9.9", b"", b"RTSP/1.0"])
LINES = st.one_of(
    st.sampled_from([
        b"Host: x", b"Host: y", b"Host:", b"Host: a b", b"Content-Length: 5", b"Content-Length: 900000000",
        b"Transfer-Encoding: chunked", b"Transfer-Encoding: gzip, chunked", b"Expect: 100-continue",
        b"Connection: close",
        b"Connection: upgrade", b"Upgrade: h2c", b"Content-Length: " + b"0" * 5_000, b"Content-Type: application/json",
    ]),
    st.binary(max_size=12),
)  # fmt: skip
ODD = st.builds(
    lambda method, target, version, lines, body: (
        b"%s %s %s\r\n" % (method, target, version) + b"".join(line + b"\r\n" for line in lines) + b"\r\n" + body
    ),
    METHODS,
    TARGETS,
    VERSIONS,
    st.lists(LINES, max_size=4).map(lambda lines: [b"Host: x", *lines]) | st.lists(LINES, max_size=4),
    st.sampled_from([b"", b"hello", b"5\r\nhello\r\n0\r\n\r\n", b"5\r\nhello\r\n0\r\nHost: y\r\nX: y\r\n\r\n"])
    | st.binary(max_size=9),
)
BEFORE = st.sampled_from(
    [
        b"",
        Sent(b"x").text(),
        Sent(is_beat=True).text(),
        b"POST /early HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\nx",
    ]
)


def check_end(connect: Connect, data: list[bytes], cuts: list[int], *, has_end: bool) -> None:
    """Nothing raises, a refusal that ends the connection is the last answer, and deadlines end what stays open."""

    async def test(server: StubServer) -> None:
        transport = connect(server)
        first, *rest = data
        await deliver(server, transport, [first] if first else [], has_end=False)
        await deliver(server, transport, pieces_of(b"".join(rest), cuts), has_end=has_end)
        protocol = transport.protocol
        for now_s in (1_000.0, 2_000.0):
            server.connections.sweep(now_s)
            await settle(server)
        assert transport.is_closing(), (protocol.phase, transport.written)
        parts = re.split(rb"(?=HTTP/1\.1 \d{3} )", transport.written)[1:]
        is_last = [b"\r\nconnection: close\r\n" in part for part in parts]
        assert True not in is_last[:-1], parts
        protocol.connection_lost(None)
        await settle(server)
        assert (len(server.connections), server.connections.bulk_bytes_held) == (0, 0)

    play(test)


@BOTH
@settings(max_examples=examples(400), deadline=None)
@example(b"", [b"GET http:// HTTP/1.1\r\nHost: x\r\n\r\n"], [], False)
@example(b"", [b"CONNECT a:80 HTTP/1.1\r\nHost: x\r\n\r\n"], [], False)
@example(Sent(b"x").text(), [b"GET http://[ HTTP/1.1\r\nHost: x\r\n\r\n"], [], False)
@given(BEFORE, st.lists(ODD | st.binary(max_size=40), min_size=1, max_size=3), CUTS, st.booleans())
def test_no_bytes_raise_or_leave_a_connection_open_past_its_deadlines(
    connect: Connect, before: bytes, data: list[bytes], cuts: list[int], has_end: bool
) -> None:
    check_end(connect, [before, *data], cuts, has_end=has_end)


def test_the_control_of_counting_first_raises_or_leaves_a_connection_open() -> None:
    for target in (b"http://", b"http://["):
        sent = b"GET %s HTTP/1.1\r\nHost: x\r\n\r\n" % target
        for before in (b"", Sent(b"x").text()):
            with pytest.raises((AssertionError, AttributeError)):
                check_end(handed_over(_CountsFirst), [before, sent], [], has_end=False)
    check_end(handed_over(_CountsFirst), [b"", Sent(b"x").text()], [], has_end=False)
