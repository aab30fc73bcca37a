"""Lives of connections, on both paths: whole requests are answered in their order, with their bodies.

Whatever they offer, wherever they are cut, and whenever the peer ends.
"""

import re

import httptools
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from examples import examples
from fleetpulse.errors import Malformed
from fleetpulse.ingest.asgi_protocol import AsgiProtocol
from fleetpulse.ingest.front_door import FrontDoor
from stub_transport import StubServer
from wire_connections import BOTH, CUTS, Connect, Sent, at_the_door, deliver, handed_over, pieces_of, play

OFFERS = [
    b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMA\r\n",
    b"upgrade: websocket\r\nconnection: keep-alive, upgrade\r\n",
    b"Upgrade: TLS/1.0\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n",
    b"Upgrade: h2c\r\n",
]


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
