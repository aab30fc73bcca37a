import asyncio
import math
from dataclasses import replace

import pytest
from uvicorn.config import Config

from fleetpulse.access.device_limits import DeviceLimits, Lanes
from fleetpulse.access.rate import Rate
from fleetpulse.errors import NotAccepting, OutOfRange
from fleetpulse.ingest.asgi_protocol import AsgiProtocol
from fleetpulse.ingest.connections import Phase
from fleetpulse.ingest.front_door import BUFFER_BYTES_MAX, REFUSALS_A_TURN_MAX
from fleetpulse.ingest.security_headers import POLICY
from fleetpulse.limits import IngestLimits
from fleetpulse.telemetry.requests import RequestTelemetry
from stub_transport import NUMBERS, StubServer, intake_of, request

STATS = b'{"sent_at": "2026-01-01T00:00:00Z", "upload_time": 7}'
REPORT = b'{"sent_at": "2026-01-01T00:00:00Z", "metrics": {"cpu": 5, "upload_time": 7}}'


def test_an_event_is_answered_when_it_is_durable_and_not_before() -> None:
    server = StubServer()
    protocol, transport = server.connect()
    protocol.data_received(request())
    assert (transport.statuses, server.intake.waiting) == ([], 1)
    assert server.commit() == 1
    assert transport.written == b"HTTP/1.1 204 No Content\r\nserver: stub\r\n%b: %b\r\n\r\n" % POLICY


def test_the_three_routes_take_a_heartbeat_a_sample_and_a_report() -> None:
    server = StubServer()
    protocol, transport = server.connect()
    for sent, count in ((request(), 1), (request("b", "stats", STATS), 1), (request("b", "metrics", REPORT), 2)):
        protocol.data_received(sent)
        assert server.commit() == count
    assert transport.statuses == [204, 204, 204]
    assert server.intake.received == 4


def test_pipelined_requests_wait_and_are_answered_in_order() -> None:
    server = StubServer()
    protocol, transport = server.connect()
    protocol.data_received(request() + request(body=b"nonsense") + request("nobody") + request())
    assert (transport.statuses, server.intake.waiting) == ([], 1)
    server.commit()
    assert (transport.statuses, server.intake.waiting) == ([204, 400, 404], 1)
    server.commit()
    assert transport.statuses == [204, 400, 404, 204]
    assert server.counters.events_refused == {"malformed": 1, "unknown_device": 1}


def test_a_body_may_come_in_any_parts() -> None:
    whole = request()
    for cut in range(whole.index(b"\r\n\r\n") + 4, len(whole)):
        server = StubServer()
        protocol, transport = server.connect()
        protocol.data_received(whole[:cut])
        assert protocol.phase is Phase.BODY
        protocol.data_received(whole[cut:])
        server.commit()
        assert transport.statuses == [204]


@pytest.mark.parametrize(
    ("sent", "status", "reason"),
    [
        (request(body=b"{}"), 400, "malformed"),
        (request(body=b'{"sent_at": "2000-01-05T00:00:00Z"}'), 422, "sent_at_early"),
        (request("b", "stats", STATS.replace(b"7}", b"-7}")), 422, "upload_time_range"),
        (request("b", "metrics", REPORT.replace(b"5", b"101")), 422, "metric_range"),
        (request("b", "metrics", REPORT.replace(b"cpu", b"gpu")), 422, "unknown_metric"),
        (request("nobody"), 404, "unknown_device"),
    ],
)
def test_a_refused_event_is_counted_by_its_reason_and_the_connection_goes_on(
    sent: bytes, status: int, reason: str
) -> None:
    server = StubServer()
    protocol, transport = server.connect()
    protocol.data_received(sent)
    protocol.data_received(request())
    server.commit()
    assert transport.statuses == [status, 204]
    assert server.counters.events_refused == {reason: 1}
    assert server.intake.received == 2


def test_events_beyond_the_room_are_put_off_and_never_half_taken() -> None:
    server = StubServer(intake=intake_of(events_waiting_max=2))
    first, second, third = (server.connect() for _ in range(3))
    first[0].data_received(request())
    second[0].data_received(request("b", "metrics", REPORT))
    assert (second[1].statuses, server.intake.waiting) == ([503], 1)
    assert b"retry-after: 1\r\n" in second[1].written
    third[0].data_received(request())
    assert server.commit() == 2
    assert (first[1].statuses, third[1].statuses) == ([204], [204])


def test_a_batch_that_is_not_durable_is_answered_with_the_error() -> None:
    server = StubServer()
    protocol, transport = server.connect()
    protocol.data_received(request() + request())
    server.commit(NotAccepting("read-only", reason="read_only"))
    assert (transport.statuses, server.intake.waiting) == ([503], 1)


def test_a_connection_that_asks_to_be_closed_or_is_shut_down_closes_after_its_answer() -> None:
    for headers, is_shut_down in ((b"Connection: close\r\n", False), (b"", True)):
        server = StubServer()
        protocol, transport = server.connect()
        protocol.data_received(request(headers=headers))
        if is_shut_down:
            protocol.shutdown()
        assert not transport.is_closed
        server.commit()
        assert transport.written.endswith(b"\r\nconnection: close\r\n\r\n")
        assert transport.is_closed
    server = StubServer()
    protocol, transport = server.connect()
    protocol.data_received(request())
    server.commit()
    protocol.shutdown()
    assert transport.is_closed


def test_a_new_connection_still_sends_its_first_request_while_the_server_stops() -> None:
    server = StubServer()
    protocol, transport = server.connect()
    protocol.shutdown()
    assert not transport.is_closed
    protocol.data_received(request())
    server.commit()
    assert (transport.statuses, transport.is_closed) == ([204], True)


def test_the_body_of_a_request_is_still_read_while_the_server_stops() -> None:
    server = StubServer()
    protocol, transport = server.connect()
    protocol.data_received(request())
    server.commit()
    whole = request()
    place = whole.index(b"\r\n\r\n") + 4
    protocol.data_received(whole[:place])
    protocol.shutdown()
    assert not transport.is_closed
    protocol.data_received(whole[place:])
    server.commit()
    assert (transport.statuses, transport.is_closed) == ([204, 204], True)


def test_nothing_is_written_to_a_peer_that_went_away_and_its_event_stays() -> None:
    server = StubServer()
    protocol, transport = server.connect()
    protocol.data_received(request())
    transport.abort()
    protocol.connection_lost(None)
    assert (server.commit(), transport.written, len(server.connections)) == (1, b"", 0)


def test_a_peer_that_does_not_read_is_not_served_until_it_does() -> None:
    server = StubServer()
    protocol, transport = server.connect()
    protocol.pause_writing()
    protocol.data_received(request())
    assert (server.intake.waiting, protocol.blocked_since_s) == (0, server.connections.now_s)
    protocol.resume_writing()
    assert (server.intake.waiting, protocol.blocked_since_s) == (1, math.inf)
    server.commit()
    assert transport.statuses == [204]


def test_a_flood_behind_a_request_is_not_read_until_there_is_room() -> None:
    server = StubServer()
    protocol, transport = server.connect()
    protocol.data_received(request())
    protocol.data_received(request() * (1 + BUFFER_BYTES_MAX // len(request())))
    assert not transport.is_reading
    while not transport.is_reading:
        server.commit()
    assert set(transport.statuses) == {204}


def test_a_connection_too_many_is_closed_at_once() -> None:
    server = StubServer(limits=replace(IngestLimits(), connections_per_address_max=1))
    transports = [server.connect("10.0.0.1")[1], server.connect("10.0.0.1")[1], server.connect("10.0.0.2")[1]]
    assert [transport.is_closed for transport in transports] == [False, True, False]


def test_a_deadline_is_answered_where_a_request_has_begun() -> None:
    for sent, statuses in ((request()[:-1], [408]), (b"", [])):
        server = StubServer()
        protocol, transport = server.connect()
        if sent:
            protocol.data_received(sent)
        server.connections.sweep(1_000.0)
        assert (transport.statuses, transport.is_closing()) == (statuses, True)


async def handed_over(sent: bytes, **door: bool) -> bool:
    async def application(scope: object, receive: object, send: object) -> None:
        """An ASGI application that never answers."""

    config = Config(application, lifespan="off")
    config.load()
    server = StubServer(config, **door)
    protocol, transport = server.connect()
    protocol.data_received(sent)
    return isinstance(transport.protocol, AsgiProtocol)


@pytest.mark.parametrize(
    "sent",
    [
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        request(method="PUT"),
        request(route="heartbeat?x=1"),
        request(route="heartbeat/"),
        request(route="other"),
        request("a%20b"),
        request("x/y"),
        request(""),
        request(headers=b"Content-Encoding: gzip\r\n"),
        request(headers=b"X: " + b"y" * 20_000 + b"\r\n"),
        request()[:30],
        b"\0" * 50,
    ],
)
def test_anything_that_is_not_of_plain_form_is_handed_over(sent: bytes) -> None:
    assert asyncio.run(handed_over(sent))


def test_a_report_of_an_unknown_metric_is_handed_over_only_where_it_may_be_defined() -> None:
    sent = request("a", "metrics", REPORT.replace(b"cpu", b"gpu"))
    assert asyncio.run(handed_over(sent, defines_unknown=True))
    assert not asyncio.run(handed_over(sent))


@pytest.mark.parametrize("is_accepted", [True, False])
def test_an_unknown_device_registers_itself_where_it_may(is_accepted: bool) -> None:
    async def play() -> None:
        registering: dict[str, asyncio.Future[None]] = {}
        numbers = dict(NUMBERS)

        def register(device_id: str) -> "asyncio.Future[None]":
            registering[device_id] = asyncio.get_running_loop().create_future()
            return registering[device_id]

        server = StubServer(register=register, intake=intake_of(numbers))
        protocol, transport = server.connect()
        protocol.data_received(request("new") + request("a"))
        assert (list(registering), transport.statuses, server.intake.waiting) == (["new"], [], 0)
        if is_accepted:
            numbers["new"] = 2
            registering["new"].set_result(None)
        else:
            registering["new"].set_exception(OutOfRange("too many", reason="devices_max"))
        await asyncio.sleep(0)
        server.commit()
        server.commit()
        assert transport.statuses == [204 if is_accepted else 422, 204]
        assert server.intake.received == 2

    asyncio.run(play())


def test_a_malformed_request_registers_no_device() -> None:
    server = StubServer(register=lambda device_id: pytest.fail(f"{device_id} was registered"))
    protocol, transport = server.connect()
    protocol.data_received(request("new", body=b"nonsense"))
    assert transport.statuses == [400]


def test_a_flood_of_refused_requests_is_worked_off_in_turns_and_answered_whole() -> None:
    async def flood() -> set[tuple[int, bool]]:
        server = StubServer()
        protocol, transport = server.connect()
        count = 5 * REFUSALS_A_TURN_MAX + 3
        protocol.data_received(request("nobody") * count + request()[:-5])
        turns = set()
        while len(transport.statuses) < count:
            turns.add((len(transport.statuses), transport.is_closing()))
            protocol.data_received(b"")
            await asyncio.sleep(0)
        protocol.data_received(request()[-5:])
        server.commit()
        assert transport.statuses == [404] * count + [204]
        return turns

    assert asyncio.run(flood()) == {(number * REFUSALS_A_TURN_MAX, False) for number in range(1, 6)}


@pytest.mark.parametrize("end", ["shutdown", "eof", "lost"])
def test_a_connection_that_ends_between_two_turns_ends(end: str) -> None:
    async def flood() -> list[int]:
        server = StubServer()
        protocol, transport = server.connect()
        protocol.data_received(request("nobody") * (REFUSALS_A_TURN_MAX + 3))
        if end == "shutdown":
            protocol.shutdown()
        elif end == "eof":
            assert protocol.eof_received()
        else:
            transport.abort()
            protocol.connection_lost(None)
        for _ in range(3):
            await asyncio.sleep(0)
        assert transport.is_closing()
        return transport.statuses

    further = {"shutdown": 0, "eof": 3, "lost": 0}
    assert asyncio.run(flood()) == [404] * (REFUSALS_A_TURN_MAX + further[end])


def limited(*, beats: int = 2, backlog: int = 1) -> StubServer:
    """A server whose devices may send so many reports at once; those before 2026-02 are backlogs."""
    lanes = DeviceLimits(lambda _device: Lanes(Rate(1, beats), Rate(1, backlog)), monotonic_s=lambda: 500.0)
    lanes.backlog_before_ns = 1_769_904_000_000_000_000
    return StubServer(lanes=lanes)


def test_a_device_above_its_rate_is_refused_before_its_body_is_read_and_others_are_not() -> None:
    server = limited(beats=2, backlog=1)
    protocol, transport = server.connect()
    now = b'{"sent_at": "2026-03-01T00:00:00Z"}'
    for body in (now, now, now, b'{"sent_at": "2026-01-01T00:00:00Z"}', b"nonsense that nobody reads", now):
        protocol.data_received(request(body=body))
        server.commit()
    protocol.data_received(request("b", body=now))
    server.commit()
    assert transport.statuses == [204, 204, 429, 204, 429, 429, 204]
    assert server.counters.events_refused == {"device_rate": 3}
    assert b'\r\nretry-after: 1\r\nratelimit-policy: "device_rate";q=2;w=2\r\nratelimit: "device_rate";r=0;t=1\r\n' in (
        transport.written
    )


def test_a_backlog_is_charged_to_its_own_lane_on_every_route() -> None:
    server = limited(beats=1, backlog=3)
    protocol, transport = server.connect()
    old = [request(), request("a", "stats", STATS), request("a", "metrics", REPORT), request()]
    for sent in (*old, request(body=b'{"sent_at": "2026-03-01T00:00:00Z"}')):
        protocol.data_received(sent)
        server.commit()
    assert transport.statuses == [204, 204, 204, 429, 204]
    assert server.counters.events_refused == {"backlog_rate": 1}


def test_reports_are_noted_with_their_time_in_the_batch_and_refusals_are_counted_by_route() -> None:
    requests = RequestTelemetry()
    server = StubServer()
    server.counters.requests = requests
    server.intake._new_arrived = requests.arrived
    server.intake.batch = server.intake._new_batch()
    protocol, transport = server.connect()
    protocol.data_received(request())
    batch = server.intake.batch
    assert batch.arrived is not None
    assert {route: len(times) for route, times in batch.arrived.items()} == {
        b"heartbeat": 1, b"stats": 0, b"metrics": 0,
    }  # fmt: skip
    server.commit()
    protocol.data_received(request(body=b"nonsense") + request(route="stats") + request("nobody", "metrics", REPORT))
    assert transport.statuses == [204, 400, 400, 404]
    path = "/api/v1/devices/{device_id}"
    assert requests.counts() == {
        ("POST", f"{path}/heartbeat", "400"): 1,
        ("POST", f"{path}/stats", "400"): 1,
        ("POST", f"{path}/metrics", "404"): 1,
    }
