"""Requests as raw bytes, and the answers to them as they stand on the wire."""

import contextlib
import json
import socket
from collections.abc import Iterator
from typing import Any

import pytest

from conftest import PUBLISHED, Server

DEVICE = PUBLISHED[0]
HEARTBEAT = f"/api/v1/devices/{DEVICE}/heartbeat"
BEAT = b'{"sent_at": "2026-01-01T00:00:00Z"}'
LINE = b'{"device_id":"%s","sent_at":"2026-01-01T00:00:00Z"}\n' % DEVICE.encode()
PATHS = [b"", b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"]
"""What a connection says first: nothing, for the front door; something else, to be handed over."""
LAST = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"


def request(target: str, body: bytes | None = None, *, headers: bytes = b"", is_chunked: bool = False) -> bytes:
    """`target` is a method and a path."""
    head = f"{target} HTTP/1.1\r\nHost: localhost\r\nContent-Type: {kind_of(target)}\r\n".encode() + headers
    if body is None:
        return head + b"\r\n"
    if is_chunked:
        middle = len(body) // 2
        chunks = [b"%x\r\n%s\r\n" % (len(part), part) for part in (body[:middle], body[middle:]) if part]
        return head + b"Transfer-Encoding: chunked\r\n\r\n" + b"".join(chunks) + b"0\r\n\r\n"
    return head + b"Content-Length: %d\r\n\r\n" % len(body) + body


def kind_of(target: str) -> str:
    return {"events": "application/x-ndjson", "devices.csv": "text/csv"}.get(
        target.rpartition("/")[2].partition("?")[0], "application/json"
    )


def talk(port: int, *pieces: bytes, is_half_closed: bool = False) -> list[tuple[int, Any]]:
    """(status, body) of every answer until the server closes the connection."""
    with socket.create_connection(("127.0.0.1", port), 20) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        received = b""
        with contextlib.suppress(ConnectionResetError, BrokenPipeError):
            for piece in pieces:
                connection.sendall(piece)
            if is_half_closed:
                connection.shutdown(socket.SHUT_WR)
        with contextlib.suppress(ConnectionResetError):
            while part := connection.recv(65_536):
                received += part
    return read_answers(received)


def read_answers(received: bytes) -> list[tuple[int, Any]]:
    """Split what a connection received into answers, by their own lengths."""
    answers = []
    while received:
        head, _, received = received.partition(b"\r\n\r\n")
        line, *lines = head.split(b"\r\n")
        headers = dict(one.lower().split(b": ", 1) for one in lines)
        length = int(headers.get(b"content-length", b"0"))
        body, received = received[:length], received[length:]
        is_json = headers.get(b"content-type", b"").startswith(b"application/json")
        answers.append((int(line.split()[1]), json.loads(body) if is_json else body))
    return answers


def statuses(answers: list[tuple[int, Any]]) -> list[int]:
    return [status for status, _ in answers]


def metrics(port: int) -> str:
    with socket.create_connection(("127.0.0.1", port), 20) as connection:
        connection.sendall(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        received = b""
        while part := connection.recv(65_536):
            received += part
    return received.decode()


def counted(port: int, name: str) -> float:
    """A counter of /metrics, 0 where it has not counted yet."""
    lines = [line for line in metrics(port).splitlines() if line.startswith(f"fleetpulse_{name} ")]
    return float(lines[0].rpartition(" ")[2]) if lines else 0.0


@pytest.fixture(scope="module", name="server")
def server_fixture(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    # One device sends all of these, again for each byte at which its requests are cut: no rate is meant for that.
    rates = ("--device-per-s", "0", "--backlog-per-s", "0")
    server = Server(tmp_path_factory.mktemp("wire") / "data", "--body-s", "3", "--header-s", "3", *rates)
    yield server
    assert server.stop() == 0
    assert "Traceback" not in server.log.read_text()
