"""Hostile shapes over real sockets, at the front door, behind it, and through proxies in front of the real server."""

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from urllib.parse import quote

import pytest

from conftest import Server
from hostile import AMBIGUOUS, ODD_IDS
from wire_requests import BEAT, DEVICE, HEARTBEAT, LAST, PATHS, counted, metrics, request, statuses, talk


@pytest.fixture(scope="module", name="server")
def server_fixture(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = Server(tmp_path_factory.mktemp("hostile") / "data", "--device-per-s", "0", "--body-s", "3")
    yield server
    assert server.stop() == 0
    assert "Traceback" not in server.log.read_text()


FORM_TYPES = ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "text/html", ""]


def accepted(server: Server) -> float:
    return counted(server.port, "events_accepted_total")


@pytest.mark.parametrize("first", PATHS)
def test_a_request_whose_end_is_arguable_is_refused_once(server: Server, first: bytes) -> None:
    before = accepted(server)
    wrong = {}
    for name, sent in AMBIGUOUS.items():
        answers = talk(server.port, first + sent, is_half_closed=True)[bool(first) :]
        if len(answers) > 1 or any(status < 400 for status, _ in answers):
            wrong[name] = answers
    assert wrong == {}
    assert accepted(server) == before
    assert '"level": "error"' not in server.log.read_text()


@pytest.mark.parametrize("first", PATHS)
def test_an_id_that_only_looks_like_one_is_no_device(server: Server, first: bytes) -> None:
    before = accepted(server)
    for device in ODD_IDS:
        for target in (f"POST /api/v1/devices/{device}/heartbeat", f"GET /api/v1/devices/{device}/stats"):
            body = BEAT if target.startswith("POST") else None
            status, answer = talk(server.port, first + request(target, body) + LAST)[bool(first)]
            assert 400 <= status < 500, (target, answer)
    for device in ("ａ", "\0", DEVICE + "\0", DEVICE.upper(), "a" * 300):
        line = json.dumps({"device_id": device, "sent_at": "2026-01-01T00:00:00Z"}).encode() + b"\n"
        _, answer = talk(server.port, first + request("POST /api/v1/events", line) + LAST)[bool(first)]
        assert (answer["accepted"], len(answer["refused"])) == (0, 1), device
        path = f"GET /api/v1/devices/{quote(device)}"
        assert talk(server.port, first + request(path) + LAST)[bool(first)][0] in (400, 404), device
    assert accepted(server) == before


@pytest.mark.parametrize("first", PATHS)
def test_json_of_any_depth_and_with_any_character_is_taken_or_refused(server: Server, first: bytes) -> None:
    deep = b"[" * 30_000 + b"]" * 30_000
    bodies = [
        deep, b'{"a":' * 10_000, b'{"sent_at":' + deep + b"}", BEAT[:-1] + b',"x":' + deep + b"}",
        b'{"sent_at":"2026-01-01T00:00:00Z\\u0000"}', b'{"sent_at":"\\ud800"}', b"\0" * 100, b"\xff\xfe", b"1" * 60_000,
        b'{"sent_at":1e999999}', b'{"sent_at":"' + b"9" * 60_000 + b'"}', b'{"\\u0000":1}',
    ]  # fmt: skip
    for route in ("heartbeat", "stats", "metrics"):
        for body in bodies:
            answers = talk(server.port, first + request(f"POST /api/v1/devices/{DEVICE}/{route}", body) + LAST)
            refused, alive = statuses(answers)[-2:]
            assert (refused in (400, 422), alive) == (True, 200), (route, body[:40], answers)
    for target in (f"PATCH /api/v1/devices/{DEVICE}", f"POST /api/v1/devices/{DEVICE}/pause", "POST /api/v1/login"):
        for body in bodies:
            status, answer = talk(server.port, first + request(target, body) + LAST)[bool(first)]
            assert 400 <= status < 500, (target, body[:40], answer)
    lines = b"\n".join(body.replace(b"\n", b"") for body in bodies)
    status, answer = talk(server.port, first + request("POST /api/v1/events", lines) + LAST)[bool(first)]
    assert (status, answer["accepted"], len(answer["refused"])) == (200, 0, len(bodies))


def test_ten_thousand_idle_connections_keep_nobody_from_reporting(serve: Callable[..., Server]) -> None:
    server = serve("--connections-per-address-max", "20000", "--connections-max", "20000", "--first-byte-s", "60")
    idle = [socket.create_connection(("127.0.0.1", server.port), 20) for _ in range(10_000)]
    try:
        for one in idle[::10]:
            one.sendall(f"POST {HEARTBEAT} HTTP/1.1\r\nHost:".encode())
        took_s = []
        for _ in range(100):
            began_s = time.monotonic()
            assert statuses(talk(server.port, request(f"POST {HEARTBEAT}", BEAT) + LAST)) == [204, 200]
            took_s.append(time.monotonic() - began_s)
        assert sorted(took_s)[98] < 1.0
        assert counted(server.port, "connections") > 10_000
    finally:
        for one in idle:
            one.close()


def test_slow_senders_are_ended_and_nobody_waits_for_them(serve: Callable[..., Server]) -> None:
    server = serve("--header-s", "1", "--body-s", "1")
    sent = request(f"POST {HEARTBEAT}", BEAT)
    ends: list[bytes] = []

    def drip(first: bytes, whole: bytes) -> None:
        with socket.create_connection(("127.0.0.1", server.port), 20) as connection:
            connection.sendall(first)
            try:
                for place in range(len(whole)):
                    connection.sendall(whole[place : place + 1])
                    time.sleep(0.1)
            except OSError:
                pass
            received = b""
            while part := connection.recv(65_536):
                received += part
            ends.append(received)

    head = sent.index(b"\r\n\r\n") + 4
    drips = [(first + sent[:start], sent[start : start + 20]) for first in PATHS for start in (1, head)]
    threads = [threading.Thread(target=drip, args=one) for one in drips]
    for thread in threads:
        thread.start()
    for _ in range(20):
        assert statuses(talk(server.port, sent + LAST)) == [204, 200]
    for thread in threads:
        thread.join()
    assert all(end.count(b" 408 ") == 1 for end in ends)
    assert 'requests_refused_total{reason="header_timeout"} 2.0' in metrics(server.port)


@pytest.mark.parametrize("first", PATHS)
@pytest.mark.parametrize(
    "kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "text/html", ""]
)
def test_no_route_that_writes_takes_what_a_form_can_send(server: Server, first: bytes, kind: str) -> None:
    targets = [
        f"POST {HEARTBEAT}", f"POST /api/v1/devices/{DEVICE}/stats", f"POST /api/v1/devices/{DEVICE}/metrics",
        "POST /api/v1/events", "POST /api/v1/devices.csv", f"PATCH /api/v1/devices/{DEVICE}",
        f"POST /api/v1/devices/{DEVICE}/pause", "POST /api/v1/maintenance", "POST /api/v1/metrics/definitions",
        "POST /api/v1/keys", "POST /api/v1/users", "POST /api/v1/login",
    ]  # fmt: skip
    for target in targets:
        sent = request(target, BEAT)
        line = sent[sent.index(b"Content-Type") : sent.index(b"Content-Length")]
        sent = sent.replace(line, f"Content-Type: {kind}\r\n".encode())
        assert talk(server.port, first + sent + LAST)[bool(first)][0] == 415, (target, kind)
