"""Offers of other protocols, a side that closes early, heads that no request may have: with raw sockets, on both paths.

The server is the real command, and each case is tried at the front door and on a connection that was handed over.
"""

import gzip
import shutil
import socket
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import pytest

from conftest import Server
from http_client import Client
from wire_requests import (
    BEAT,
    DEVICE,
    HEARTBEAT,
    LAST,
    LINE,
    PATHS,
    counted,
    metrics,
    request,
    server_fixture,  # noqa: F401  # a fixture
    statuses,
    talk,
)

OFFERS = [
    b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA\r\n",
    b"Upgrade: websocket\r\nConnection: keep-alive, Upgrade\r\nSec-WebSocket-Key: eA==\r\n",
    b"connection: upgrade\r\nupgrade: TLS/1.0, HTTP/2.0\r\n",
    b"Connection: Upgrade\r\nUpgrade: h2c\r\nUpgrade: websocket\r\nConnection: upgrade\r\n",
    b"Upgrade: h2c\r\n",
    b"Connection: upgrade\r\n",
]


def pause_end(port: int) -> str:
    """Until when the device is paused, in words that a test can compare."""
    client = Client(port)
    status, device = client.ask("GET", f"/api/v1/devices/{DEVICE}")
    client.close()
    assert status == 200
    if "paused_until" not in device:
        return "not paused"
    end = device["paused_until"]
    return "without end" if end is None else str(round((datetime.fromisoformat(end) - datetime.now(UTC)).seconds / 60))


ROUTES: list[tuple[str, bytes | None, int]] = [
    (f"POST {HEARTBEAT}", BEAT, 204),
    (f"POST /api/v1/devices/{DEVICE}/stats", BEAT[:-1] + b', "upload_time": 7}', 204),
    (f"POST /api/v1/devices/{DEVICE}/metrics", BEAT[:-1] + b', "metrics": {"upload_time": 7}}', 204),
    ("POST /api/v1/events", LINE * 1_000, 200),
    ("POST /api/v1/devices.csv", f"device_id,site\r\n{DEVICE},paris\r\n".encode(), 200),
    (f"POST /api/v1/devices/{DEVICE}/pause", b'{"duration": "90m"}', 200),
    (f"POST /api/v1/devices/{DEVICE}/resume", None, 200),
    (f"PATCH /api/v1/devices/{DEVICE}", b'{"note": "here"}', 200),
    ("PATCH /api/v1/devices?all=true", b'{"labels": {"site": "lyon"}}', 200),
    (f"GET /api/v1/devices/{DEVICE}", None, 200),
    ("GET /api/v1/devices", b"a body that nobody reads", 200),
    ("DELETE /api/v1/maintenance/unknown", None, 404),
    (f"OPTIONS {HEARTBEAT}", None, 204),
    ("POST /nowhere", b"x" * 200, 404),
    ("PUT /healthz", b"x" * 200, 405),
]


@pytest.mark.parametrize("first", PATHS)
@pytest.mark.parametrize("offer", OFFERS)
@pytest.mark.parametrize("is_chunked", [False, True])
def test_an_offer_of_another_protocol_changes_nothing_on_any_route(
    server: Server, first: bytes, offer: bytes, is_chunked: bool
) -> None:
    for target, body, status in ROUTES:
        one = request(target, body, headers=offer, is_chunked=is_chunked)
        answers = talk(server.port, first + one + one.replace(offer, b"") + LAST)
        *_, (offered, answer), (plain, expected), (last, _) = answers
        if target.endswith("/resume"):
            assert (offered, plain) == (200, 409)
        else:
            assert (offered, plain) == (status, status), (target, answer, expected)
        assert (last, len(answers)) == (200, 3 + bool(first)), (target, answers)
        if target.endswith("/events"):
            assert answer["accepted"] == expected["accepted"] == 1_000
        if target.endswith("/pause"):
            assert pause_end(server.port) == "90"


@pytest.mark.parametrize("first", PATHS)
@pytest.mark.parametrize("is_chunked", [False, True])
def test_an_offer_may_be_cut_at_any_byte_and_followed_by_requests(
    server: Server, first: bytes, is_chunked: bool
) -> None:
    offered = request(f"POST {HEARTBEAT}", BEAT, headers=OFFERS[0], is_chunked=is_chunked)
    bulk = request("POST /api/v1/events", LINE * 3, headers=OFFERS[1], is_chunked=is_chunked)
    run = first + offered + bulk + request(f"POST {HEARTBEAT}", b"nonsense") + offered + LAST
    expected = [200] * bool(first) + [204, 200, 400, 204, 200]
    with ThreadPoolExecutor(20) as crowd:
        cuts = range(1, len(run))
        for cut, answers in zip(cuts, crowd.map(lambda at: talk(server.port, run[:at], run[at:]), cuts), strict=True):
            assert statuses(answers) == expected, cut
            assert answers[-4][1]["accepted"] == 3


@pytest.mark.parametrize("first", PATHS)
@pytest.mark.parametrize("offer", [b"", *OFFERS])
def test_a_pause_without_end_needs_a_request_that_announces_no_body(server: Server, first: bytes, offer: bytes) -> None:
    pause, resume = f"POST /api/v1/devices/{DEVICE}/pause", f"POST /api/v1/devices/{DEVICE}/resume"
    for body in (None, b""):
        assert statuses(talk(server.port, first + request(pause, body, headers=offer) + LAST))[-2:] == [200, 200]
        assert pause_end(server.port) == "without end"
        assert statuses(talk(server.port, request(resume) + LAST)) == [200, 200]
    for wrong in (
        request(pause, b" ", headers=offer),
        request(pause, b"", headers=offer, is_chunked=True),
        request(pause, b"\r\n", headers=offer, is_chunked=True),
        request(pause, b"null", headers=offer),
    ):
        assert statuses(talk(server.port, first + wrong + LAST))[-2:] == [400, 200], wrong
    cut = request(pause, b'{"duration": "1h"}', headers=offer)[:-1]
    assert statuses(talk(server.port, first + cut, is_half_closed=True)) == [200] * bool(first)
    assert pause_end(server.port) == "not paused"


@pytest.mark.parametrize("first", PATHS)
def test_a_pause_whose_body_does_not_end_in_time_pauses_nothing(server: Server, first: bytes) -> None:
    pause = f"POST /api/v1/devices/{DEVICE}/pause"
    cuts = [first + request(pause, b'{"duration": "1h"}', headers=offer)[:-1] for offer in (b"", *OFFERS)]
    with ThreadPoolExecutor(len(cuts)) as crowd:  # each of them waits until body_s is over
        for answers in crowd.map(lambda cut: talk(server.port, cut), cuts):
            assert statuses(answers) == [200] * bool(first) + [408]
    assert pause_end(server.port) == "not paused"


@pytest.mark.parametrize("first", PATHS)
@pytest.mark.parametrize("offer", [b"", OFFERS[0]])
@pytest.mark.parametrize("is_chunked", [False, True])
def test_a_bulk_or_an_import_of_nothing_is_refused(
    server: Server, first: bytes, offer: bytes, is_chunked: bool
) -> None:
    nothing = [b"", b"\n", b" \r\n\t\r\n", b"\xef\xbb\xbf", b"\xef\xbb\xbf\n"]
    for target in ("POST /api/v1/events", "POST /api/v1/devices.csv"):
        for body in nothing:
            sent = request(target, body, headers=offer, is_chunked=is_chunked)
            assert statuses(talk(server.port, first + sent + LAST))[-2:] == [400, 200], (target, body)
    coded = b"Content-Encoding: gzip\r\n" + offer
    for body in (b"", *map(gzip.compress, nothing)):
        sent = request("POST /api/v1/events", body, headers=coded, is_chunked=is_chunked)
        assert statuses(talk(server.port, first + sent + LAST))[-2:] == [400, 200], body
    none = request("POST /api/v1/events", headers=offer)
    assert statuses(talk(server.port, first + none + LAST))[-2:] == [400, 200]


@pytest.mark.parametrize("first", PATHS)
def test_a_peer_that_closes_its_sending_side_gets_all_answers_and_then_the_end(server: Server, first: bytes) -> None:
    opened = [200] * bool(first)
    whole = {
        "one heartbeat": (request(f"POST {HEARTBEAT}", BEAT), [204]),
        "many": (request(f"POST {HEARTBEAT}", BEAT) * 50, [204] * 50),
        "bulk": (request("POST /api/v1/events", LINE * 9_000), [200]),
        "a question": (request("GET /api/v1/fleet/uptime?window=30d"), [200]),
        "mixed": (
            request(f"POST {HEARTBEAT}", BEAT)
            + request("GET /api/v1/fleet/uptime?window=30d")
            + request(f"POST {HEARTBEAT}", b"nonsense", headers=OFFERS[0])
            + request("POST /api/v1/events", LINE * 5, is_chunked=True)
            + request("GET /openapi.json"),
            [204, 200, 400, 200, 200],
        ),
        "refused last": (request(f"POST {HEARTBEAT}", BEAT) + request(f"POST {HEARTBEAT}", b"{}"), [204, 400]),
        "refused": (b"GET http://[ HTTP/1.1\r\nHost: localhost\r\n\r\n", [400]),
        "answered and refused": (request("GET /") + b"CONNECT a:80 HTTP/1.1\r\nHost: localhost\r\n\r\n", [200, 400]),
    }
    for name, (sent, expected) in whole.items():
        for pieces in ([first, sent], [first + sent]):
            assert statuses(talk(server.port, *pieces, is_half_closed=True)) == opened + expected, name
        assert counted(server.port, 'requests_refused_total{reason="idle_timeout"}') == 0


@pytest.mark.parametrize("first", PATHS)
def test_a_half_request_is_closed_and_counted_and_nothing_of_it_is_taken(server: Server, first: bytes) -> None:
    counter = 'requests_refused_total{reason="half_request"}'
    opened = [200] * bool(first)
    beat, bulk = request(f"POST {HEARTBEAT}", BEAT), request("POST /api/v1/events", LINE * 2_000)
    before, taken = counted(server.port, counter), counted(server.port, "events_accepted_total")
    halves = [beat[:1], beat[:60], beat[:-1], bulk[:90], bulk[:-1], request("POST /nowhere", b"x" * 9)[:-1]]
    halves += [request(f"POST {HEARTBEAT}", BEAT, is_chunked=True)[:-2], request("GET /")[:-1]]
    for half in halves:
        assert statuses(talk(server.port, first, half, is_half_closed=True))[: len(opened)] == opened
        assert statuses(talk(server.port, first + beat + half, is_half_closed=True))[: 1 + len(opened)] == [
            *opened,
            204,
        ]
    assert counted(server.port, counter) == before + 2 * len(halves)
    assert counted(server.port, "events_accepted_total") == taken + len(halves)


def test_many_that_close_their_sending_side_at_once_are_all_answered(server: Server) -> None:
    run = request(f"POST {HEARTBEAT}", BEAT) * 3 + request("POST /api/v1/events", LINE * 100)
    with ThreadPoolExecutor(20) as crowd:
        for answers in crowd.map(lambda _: talk(server.port, run, is_half_closed=True), range(60)):
            assert statuses(answers) == [204, 204, 204, 200]


def test_a_device_that_registers_itself_and_closes_its_side_is_answered(tmp_path: Path) -> None:
    server = Server(tmp_path / "data", "--auto-register", "--auto-define")
    one = request("POST /api/v1/devices/new-1/heartbeat", BEAT)
    two = request("POST /api/v1/devices/new-2/metrics", BEAT[:-1] + b', "metrics": {"new": 7}}')
    assert statuses(talk(server.port, one + two + one, is_half_closed=True)) == [204, 204, 204]
    assert server.stop() == 0


@pytest.mark.parametrize("first", PATHS)
def test_a_peer_that_closed_its_side_or_is_to_close_it_does_not_outlive_the_deadline_for_reading(
    tmp_path: Path, first: bytes
) -> None:
    server = Server(tmp_path / "data", "--write-s", "0.5")
    lazy = [socket.create_connection(("127.0.0.1", server.port), 20) for _ in range(6)]
    for connection in lazy[:3]:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        connection.sendall(first + request("GET /openapi.json") * 60)
        connection.shutdown(socket.SHUT_WR)
    for connection in lazy[3:]:
        connection.sendall(first + b"GET http://[ HTTP/1.1\r\nHost: localhost\r\n\r\n")
    end = time.monotonic() + 20
    while "fleetpulse_connections 1.0" not in metrics(server.port):
        assert time.monotonic() < end, metrics(server.port)
    for connection in lazy:
        connection.close()
    assert server.stop() == 0


curl = pytest.mark.parametrize("path", [HEARTBEAT, "/api/v1/events"])


@curl
def test_curl_speaks_http_2_only_where_it_must(server: Server, path: str) -> None:
    program = shutil.which("curl")
    assert program is not None, "install curl"
    body = BEAT if path == HEARTBEAT else LINE * 2_000
    url = f"http://127.0.0.1:{server.port}{path}"
    command = [program, "-sS", "-o", "-", "-w", "%{http_code}", "--data-binary", "@-", "-H", "Content-Type:"]
    offered = subprocess.run([*command, "--http2", url, url], input=body, capture_output=True, check=False, timeout=30)
    assert offered.stdout.decode().endswith("204" if path == HEARTBEAT else '"refused_total":0}200'), offered.stderr
    prior = [*command, "--http2-prior-knowledge", url]
    assert subprocess.run(prior, input=body, capture_output=True, check=False, timeout=30).returncode != 0
