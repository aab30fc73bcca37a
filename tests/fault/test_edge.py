"""The limits of the edge and the order of answers, with raw sockets against the real command, on both paths."""

import contextlib
import gzip
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from conftest import PUBLISHED, Server
from http_client import Client

HEARTBEAT = f"/api/v1/devices/{PUBLISHED[0]}/heartbeat"
PATHS = [b"", b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"]
"""What a connection says first: nothing, for the front door; something else, to be handed over."""


def request(
    body: bytes = b'{"sent_at": "2026-01-01T00:00:00Z"}', *, path: str = HEARTBEAT, headers: bytes = b""
) -> bytes:
    head = (
        f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n"
    )
    return head.encode() + headers + b"\r\n" + body


def read_until_closed(connection: socket.socket) -> bytes:
    received = b""
    try:
        while part := connection.recv(65536):
            received += part
    except ConnectionResetError:
        pass
    return received


def read_until(connection: socket.socket, end: bytes) -> None:
    received = b""
    while not received.endswith(end):
        part = connection.recv(4096)
        assert part, received
        received += part


def statuses(received: bytes) -> list[int]:
    return [int(part[:3]) for part in received.split(b"HTTP/1.1 ")[1:]]


@pytest.mark.parametrize("first", PATHS)
def test_pipelined_requests_split_at_every_byte_are_answered_in_order(
    serve: Callable[..., Server], first: bytes
) -> None:
    port = serve().port
    run = request() + request(b"nonsense") + request(path=HEARTBEAT.replace(PUBLISHED[0], "nobody"))
    run += b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n" + request(headers=b"Connection: close\r\n")
    expected = ([200] if first else []) + [204, 400, 404, 200, 204]
    for cut in range(len(first + run) + 1):
        with socket.create_connection(("127.0.0.1", port)) as connection:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connection.sendall((first + run)[:cut])
            connection.sendall((first + run)[cut:])
            assert statuses(read_until_closed(connection)) == expected, cut


@pytest.fixture(scope="module")
def strict(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that takes little."""
    flags = ["--header-bytes-max", "1000", "--header-count-max", "10", "--body-bytes-max", "200"]
    server = Server(tmp_path_factory.mktemp("strict") / "data", *flags)
    yield server
    assert server.stop() == 0


@pytest.fixture(scope="module")
def hasty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that does not wait for requests that have begun."""
    server = Server(tmp_path_factory.mktemp("hasty") / "data", "--header-s", "0.4", "--body-s", "0.4")
    yield server
    assert server.stop() == 0


@pytest.mark.parametrize("first", PATHS)
@pytest.mark.parametrize(
    ("sent", "status", "reason"),
    [
        (request(headers=b"X: " + b"x" * 2000 + b"\r\n"), 431, "header_bytes"),
        (request(headers=b"X" * 2000)[:1500], 431, "header_bytes"),
        (request(headers=b"X: y\r\n" * 20), 431, "header_count"),
        (request(b"x" * 300), 413, "body_bytes"),
        (request()[:-1] + b"", 408, "body_timeout"),
        (request()[:60], 408, "header_timeout"),
        (b"GET / HTTP/1.1\r\nHost : x\r\n\r\n", 400, "not_http"),
        (b"GET / HTTP/9.9\r\n\r\n", 505, "http_version"),
    ],
)
def test_a_request_over_a_limit_is_answered_counted_and_ended(
    request_server: Callable[[str], Server], first: bytes, sent: bytes, status: int, reason: str
) -> None:
    server = request_server(reason)
    before = refusals(server, reason)
    with socket.create_connection(("127.0.0.1", server.port), 20) as connection:
        connection.sendall(first)
        if first:
            read_until(connection, b'"OK."')
        connection.sendall(sent)
        assert statuses(read_until_closed(connection)) == [status]
    assert refusals(server, reason) == before + 1


@pytest.fixture
def request_server(strict: Server, hasty: Server) -> Callable[[str], Server]:
    """The server that refuses for a reason: deadlines have one of their own, for a busy machine is late, too."""
    return lambda reason: hasty if reason.endswith("timeout") else strict


@pytest.mark.parametrize(
    ("first", "setting", "reason"),
    [
        (b"", "--first-byte-s", "first_byte_timeout"),
        (PATHS[1], "--idle-s", "idle_timeout"),
        (request(), "--idle-s", "idle_timeout"),
    ],
)
def test_a_silent_connection_is_closed(serve: Callable[..., Server], first: bytes, setting: str, reason: str) -> None:
    server = serve(setting, "0.3")
    with socket.create_connection(("127.0.0.1", server.port), 20) as connection:
        connection.sendall(first)
        assert statuses(read_until_closed(connection)) in ([], [200], [204])
    await_metric(server, f'requests_refused_total{{reason="{reason}"}} 1.0')


@pytest.mark.parametrize("setting", ["connections-max", "connections-per-address-max"])
def test_one_connection_too_many_is_closed_at_once(serve: Callable[..., Server], setting: str) -> None:
    server = serve(f"--{setting}", "2")
    address = ("127.0.0.1", server.port)
    with (
        socket.create_connection(address),
        socket.create_connection(address),
        socket.create_connection(address, 20) as third,
    ):
        assert read_until_closed(third) == b""


@pytest.mark.parametrize("first", PATHS)
def test_more_events_than_may_wait_are_put_off_and_the_service_goes_on(
    serve: Callable[..., Server], first: bytes
) -> None:
    server = serve("--events-waiting-max", "2", "--bulk-lines-max", "2")
    received = b""
    for _ in range(20):
        crowd = [socket.create_connection(("127.0.0.1", server.port), 20) for _ in range(40)]
        for connection in crowd if first else []:
            connection.sendall(first)
            read_until(connection, b'"OK."')
        for connection in crowd:
            connection.sendall(request(headers=b"Connection: close\r\n"))
        answers = [read_until_closed(connection) for connection in crowd]
        for connection in crowd:
            connection.close()
        assert {status for answer in answers for status in statuses(answer)} <= {204, 503}
        received = next((answer for answer in answers if b" 503 " in answer), b"")
        if received:
            break
    assert b"retry-after: 1" in received.lower()
    assert b"events_waiting_max" in received
    with socket.create_connection(("127.0.0.1", server.port), 20) as connection:
        connection.sendall(request(headers=b"Connection: close\r\n"))
        assert statuses(read_until_closed(connection)) == [204]
    totals = metrics(server)
    assert 'events_refused_total{reason="events_waiting"}' in totals


def test_a_bomb_is_refused_by_size_and_by_ratio(serve: Callable[..., Server]) -> None:
    server = serve("--decompressed-bytes-max", "1000000", "--bulk-lines-max", "5", "--bulk-body-bytes-max", "20000")
    client = Client(server.port)
    bodies = {
        "decompressed_bytes_max": b" " * 15_000_000,
        "decompress_ratio_max": b" " * 900_000,
        "bulk_lines_max": b"\n" * 50,
    }
    for text, body in bodies.items():
        status, problem = client.ask("POST", "/api/v1/events", gzip.compress(body), Content_Encoding="gzip")
        assert (status, text in problem["msg"]) == (413, True), problem
    assert client.ask("POST", "/api/v1/events", b"x", Content_Encoding="br")[0] == 415
    assert client.ask("POST", "/api/v1/events", b"x", Content_Encoding="zstd")[0] == 400
    client.close()
    totals = metrics(server)
    for reason in ("decompressed_bytes", "decompress_ratio", "bulk_lines", "unsupported_media", "malformed"):
        assert f'requests_refused_total{{reason="{reason}"}} 1.0' in totals, totals


def metrics(server: Server) -> str:
    with socket.create_connection(("127.0.0.1", server.port), 20) as connection:
        connection.sendall(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        return read_until_closed(connection).decode()


def await_metric(server: Server, text: str) -> None:
    """Wait until the metrics say so; on a busy machine a connection that asks for them may be too slow itself."""
    end = time.monotonic() + 30
    while text not in (found := metrics(server)):
        assert time.monotonic() < end, found


def refusals(server: Server, reason: str) -> float:
    """How many requests were refused for a reason."""
    found = re.search(rf'requests_refused_total{{reason="{reason}"}} (\S+)', metrics(server))
    return float(found[1]) if found else 0.0


@pytest.mark.parametrize("first", PATHS)
@pytest.mark.parametrize("path", [HEARTBEAT, "/api/v1/devices/nobody/heartbeat", "/openapi.json"])
def test_a_peer_that_does_not_read_is_cut_off_and_one_that_reads_late_is_answered(
    serve: Callable[..., Server], first: bytes, path: str
) -> None:
    server = serve("--write-s", "0.5")
    # As many as fill the buffers of the kernel with answers, but those of heartbeats, which are small and fit anyway.
    requests = {HEARTBEAT: 3_000, "/openapi.json": 400}.get(path, 20_000)
    one_request = (
        request(path=path) if path != "/openapi.json" else b"GET /openapi.json HTTP/1.1\r\nHost: localhost\r\n\r\n"
    )
    with (
        socket.create_connection(("127.0.0.1", server.port), 20) as greedy,
        socket.create_connection(("127.0.0.1", server.port), 20) as slow,
    ):
        for connection in (greedy, slow):
            connection.sendall(first)
            if first:
                read_until(connection, b'"OK."')
        threading.Thread(target=send_quietly, args=(greedy, one_request * requests), daemon=True).start()
        sender = threading.Thread(target=send_quietly, args=(slow, one_request * requests))
        sender.start()
        answers = 0
        while answers < requests:
            part = slow.recv(65_536)
            assert part, f"{answers} of {requests} answers"
            answers += part.count(b"HTTP/1.1 ")
        sender.join()
        if path == HEARTBEAT:
            return
        await_metric(server, 'reason="write_timeout"} 1.0')


def send_quietly(connection: socket.socket, data: bytes) -> None:
    """Send until the peer has had enough."""
    with contextlib.suppress(OSError):
        connection.sendall(data)


def test_a_length_of_thousands_of_digits_harms_nobody_else(serve: Callable[..., Server]) -> None:
    server = serve()
    odd = request().replace(b"Content-Length: ", b"Content-Length: " + b"0" * 5_000)
    for sent in (odd, request() + odd, odd + request()):
        with socket.create_connection(("127.0.0.1", server.port), 20) as connection:
            connection.sendall(sent)
            connection.settimeout(1)
            with contextlib.suppress(TimeoutError):
                read_until_closed(connection)
    with socket.create_connection(("127.0.0.1", server.port), 20) as connection:
        connection.sendall(request(headers=b"Connection: close\r\n"))
        assert statuses(read_until_closed(connection)) == [204]


def test_trailers_are_bounded_like_headers(serve: Callable[..., Server]) -> None:
    server = serve()
    with socket.create_connection(("127.0.0.1", server.port), 20) as connection:
        head = f"POST {HEARTBEAT} HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
        connection.sendall(head.encode() + b"2\r\n{}\r\n0\r\nX: ")
        send_quietly(connection, b"a" * 1_000_000)
        assert statuses(read_until_closed(connection)) in ([431], [])
    assert 'reason="header_bytes"} 1.0' in metrics(server)


def test_bulk_bodies_under_way_are_bounded(serve: Callable[..., Server]) -> None:
    server = serve("--bulk-bytes-held-max", "100000")
    head = b"POST /api/v1/events HTTP/1.1\r\nHost: localhost\r\nContent-Length: 90000\r\n\r\n"
    address = ("127.0.0.1", server.port)
    with socket.create_connection(address, 20) as one, socket.create_connection(address, 20) as two:
        one.sendall(head + b" " * 80_000)
        end = time.monotonic() + 10
        while "bulk_bytes_held 80000.0" not in metrics(server):
            assert time.monotonic() < end
        two.sendall(head + b" " * 80_000)
        received = read_until_closed(two)
        assert (statuses(received), b"retry-after: 1" in received.lower()) == ([503], True)
        one.sendall(b"\n" * 10_000)
        read_until(one, b"}")
    client = Client(server.port)
    assert client.ask("POST", "/api/v1/events", b"{}" + b" " * 90_000)[0] == 200
    client.close()


def test_a_request_is_answered_once_although_its_body_never_comes(serve: Callable[..., Server]) -> None:
    server = serve("--body-s", "0.3")
    for head in (b"POST /nope HTTP/1.1\r\n", b"POST /api/v1/events HTTP/1.1\r\nContent-Type: text/plain\r\n"):
        with socket.create_connection(("127.0.0.1", server.port), 20) as connection:
            connection.sendall(head + b"Host: localhost\r\nContent-Length: 100\r\n\r\nx")
            assert len(statuses(read_until_closed(connection))) == 1


def test_bulk_bodies_take_turns_and_all_are_taken(serve: Callable[..., Server]) -> None:
    server = serve("--bulk-at-once-max", "1")
    body = b"\n".join([b'{"device_id":"%s","sent_at":"2026-01-01T00:00:00Z"}' % PUBLISHED[0].encode()] * 5_000)
    sent = request(body, path="/api/v1/events", headers=b"Connection: close\r\n")
    crowd = [socket.create_connection(("127.0.0.1", server.port), 20) for _ in range(6)]
    for connection in crowd:
        connection.sendall(sent)
    for connection in crowd:
        received = read_until_closed(connection)
        connection.close()
        assert (statuses(received), b'"accepted":5000' in received) == ([200], True)
    assert "events_accepted_total 30000.0" in metrics(server)
