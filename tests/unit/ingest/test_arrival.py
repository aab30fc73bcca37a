"""What comes before the first request: headers of the PROXY protocol, and how connections are counted meanwhile."""

import asyncio
from dataclasses import replace
from typing import Any, cast

import pytest

from fleetpulse.errors import RequestTimeout
from fleetpulse.ingest.arrival import Arrival, Before
from fleetpulse.ingest.front_door import FrontDoor
from fleetpulse.ingest.proxies import TrustedProxies
from fleetpulse.ingest.proxy_protocol import SIGNATURE
from fleetpulse.limits import IngestLimits
from stub_transport import StubServer, StubTransport, request

PROXY, CLIENT = "10.0.0.1", "192.0.2.7"
HEADER = SIGNATURE + b"\x21\x11\x00\x0c" + bytes([192, 0, 2, 7, 10, 0, 0, 1]) + b"\x10\x00\x1a\x4d"
OF_ITSELF = SIGNATURE + b"\x20\x00\x00\x00"


def server_of(**limits: int) -> StubServer:
    server = StubServer(limits=replace(IngestLimits(), **limits))
    server.connections.proxies = TrustedProxies(PROXY)
    return server


def arrive(server: StubServer, peer: str = PROXY) -> tuple[Arrival, StubTransport]:
    transport = StubTransport(peer)
    loop = asyncio.new_event_loop()
    arrival = Arrival(
        door=server.door, before=Before(proxy_header=True), config=cast(Any, None), server_state=server.state,
        app_state={}, _loop=loop,
    )  # fmt: skip
    loop.close()
    transport.protocol = arrival
    arrival.connection_made(transport)
    return arrival, transport


def receive(transport: StubTransport, data: bytes, *, piece_bytes: int = 1 << 20) -> None:
    """Hand bytes to whatever protocol is there, as a transport does: no more than it has room for."""
    while data and not transport.is_closing():
        protocol = transport.protocol
        if isinstance(protocol, FrontDoor):
            protocol.data_received(data)
            return
        room = protocol.get_buffer(-1)
        count = min(len(room), len(data), piece_bytes)
        room[:count] = data[:count]
        data = data[count:]
        protocol.buffer_updated(count)


@pytest.mark.parametrize("piece_bytes", [1, 7, 1 << 20])
@pytest.mark.parametrize(("header", "address"), [(HEADER, CLIENT), (OF_ITSELF, PROXY)])
def test_a_proxy_says_whose_connection_it_passes_on(header: bytes, address: str, piece_bytes: int) -> None:
    server = server_of()
    _, transport = arrive(server)
    receive(transport, header + request(), piece_bytes=piece_bytes)
    server.commit()
    assert (transport.statuses, transport.protocol._address) == ([204], address)
    assert (len(server.connections), server.counters.connections_opened) == (1, 1)
    assert server.state.connections == {transport.protocol}
    transport.protocol.connection_lost(None)
    assert (len(server.connections), server.state.connections) == (0, set())


def test_nobody_else_may_say_so() -> None:
    server = server_of()
    _, transport = arrive(server, CLIENT)
    assert isinstance(transport.protocol, FrontDoor)
    receive(transport, request())
    server.commit()
    assert transport.statuses == [204]


@pytest.mark.parametrize(
    "sent", [request(), b"PROXY TCP4 192.0.2.7 10.0.0.1 4096 6733\r\n" + request(), HEADER.replace(b"\x0c", b"\x0b")]
)
def test_a_proxy_that_says_nothing_is_refused(sent: bytes) -> None:
    server = server_of()
    arrival, transport = arrive(server)
    receive(transport, sent)
    arrival.connection_lost(None)
    assert (transport.is_aborted, server.counters.connections_refused) == (True, {"proxy_header": 1})
    assert (len(server.connections), server.state.connections) == (0, set())


def test_connections_are_bounded_by_the_address_of_the_client() -> None:
    server = server_of(connections_per_address_max=1)
    first, second, itself = (arrive(server)[1] for _ in range(3))
    receive(first, HEADER)
    receive(second, HEADER)
    receive(itself, OF_ITSELF)
    assert (first.is_closing(), second.is_aborted, itself.is_closing()) == (False, True, False)
    assert server.counters.connections_refused == {"connections_per_address": 1}
    assert len(server.connections) == 2


def test_a_connection_that_says_nothing_counts_and_is_cut() -> None:
    server = server_of(connections_max=1)
    arrival, transport = arrive(server)
    _, refused = arrive(server)
    assert (len(server.connections), refused.is_closed) == (1, True)
    receive(transport, HEADER[:5])
    server.connections.sweep(1e9)
    assert transport.is_aborted
    assert server.counters.requests_refused == {"header_timeout": 1}
    arrival.connection_lost(None)
    arrival.connection_lost(None)
    assert (len(server.connections), server.state.connections) == (0, set())


@pytest.mark.parametrize("end", ["cut", "time_out"])
def test_it_may_be_ended_from_outside(end: str) -> None:
    arrival, transport = arrive(server_of())
    arrival.time_out(RequestTimeout("late", reason="header_timeout")) if end == "time_out" else getattr(arrival, end)()
    assert transport.is_aborted


def test_a_new_connection_is_left_open_while_the_server_stops_but_not_in_the_midst_of_a_header() -> None:
    arrival, transport = arrive(server_of())
    arrival.shutdown()
    assert not transport.is_aborted
    receive(transport, HEADER[:5])
    arrival.shutdown()
    assert transport.is_aborted
