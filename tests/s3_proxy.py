"""A proxy between a block store and a real S3 API that spoils chosen requests, and stores on both sides of it."""

import os
import re
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import BinaryIO

import pytest

from fleetpulse.blocks.s3 import S3BlockStore
from s3_server import S3Server

TIMEOUT_S = 0.6
BODY = os.urandom(300_000)
_CONDITION = rb"(?i)\r\nif-(none-)?match:[^\r]*"


class Proxy:
    """Forwards each request on a connection of its own, and spoils those for which `fault` names how.

    closed: cut at once. silence: no answer. cut request: cut in the middle of the body. unavailable, slow down: an
    answer 500 or 503. lost answer: cut when the request was carried out. cut answer: cut before the last 1000 bytes.
    short pages: two names each. careless: conditions are ignored. not implemented: conditions get an answer 501.
    """

    def __init__(self, port: int) -> None:
        self._upstream = ("127.0.0.1", port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._end = threading.Event()
        self._workers = ThreadPoolExecutor(max_workers=32)
        self.endpoint = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self.requests: list[str] = []
        self.fault: Callable[[str], str | None] = lambda _: None
        self._accepting = threading.Thread(target=self._accept)
        self._accepting.start()

    def count(self, method: str) -> int:
        return Counter(line.split()[0] for line in self.requests)[method]

    def close(self) -> None:
        self._end.set()
        self._listener.shutdown(socket.SHUT_RDWR)
        self._accepting.join()
        self._listener.close()
        self._workers.shutdown()

    def _accept(self) -> None:
        while not self._end.is_set():
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            self._workers.submit(self._serve, client)

    def _serve(self, client: socket.socket) -> None:
        with client:
            # What a client that gave up does to its connection is no error here.
            try:
                self._answer(client)
            except OSError:
                return

    def _answer(self, client: socket.socket) -> None:
        head, body = _read_head(client)
        if not head:
            return
        line = head.split(b"\r\n")[0].decode()
        self.requests.append(line)
        fault = self.fault(line)
        if fault == "silence":
            self._end.wait(60)
        if fault in {"silence", "closed"}:
            return
        length = re.search(rb"(?i)\r\ncontent-length: *(\d+)", head)
        size = int(length[1]) if length else 0
        while len(body) < (size // 2 if fault == "cut request" else size):
            body += client.recv(1 << 16)
        if fault == "cut request":
            return
        if fault in {"unavailable", "slow down"}:
            status = b"500 Internal Server Error" if fault == "unavailable" else b"503 Slow Down"
            client.sendall(b"HTTP/1.1 " + status + b"\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            return
        if fault == "short pages":
            head = head.replace(b"list-type=2", b"list-type=2&max-keys=2", 1)
        has_condition = re.search(_CONDITION, head)
        if fault == "not implemented" and has_condition:
            text = b"<Error><Code>NotImplemented</Code></Error>"
            size_line = b"Content-Length: %d\r\n" % len(text)
            client.sendall(b"HTTP/1.1 501 Not Implemented\r\nConnection: close\r\n" + size_line + b"\r\n" + text)
            return
        if fault == "careless":
            head = re.sub(_CONDITION, b"", head)
        answer = self._forward(head, body)
        if fault == "lost answer":
            return
        client.sendall(answer[: len(answer) - 1000] if fault == "cut answer" else answer)

    def _forward(self, head: bytes, body: bytes) -> bytes:
        with socket.create_connection(self._upstream) as upstream:
            upstream.sendall(head.removesuffix(b"\r\n") + b"Connection: close\r\n\r\n" + body)
            answer = b""
            while piece := upstream.recv(1 << 16):
                answer += piece
        return answer


def _read_head(client: socket.socket) -> tuple[bytes, bytes]:
    got = b""
    while b"\r\n\r\n" not in got:
        piece = client.recv(1 << 16)
        if not piece:
            return b"", b""
        got += piece
    head, _, body = got.partition(b"\r\n\r\n")
    return head + b"\r\n\r\n", body


@pytest.fixture(name="proxy")
def proxy_fixture(s3: S3Server) -> Iterator[Proxy]:
    proxy = Proxy(s3.port)
    yield proxy
    proxy.close()


@pytest.fixture(name="url")
def url_fixture(s3: S3Server) -> str:
    return f"s3://{s3.bucket()}/blocks"


@pytest.fixture(name="store")
def store_fixture(s3: S3Server, proxy: Proxy, url: str, tmp_path: Path) -> S3BlockStore:
    """Through the proxy."""
    return s3.store(tmp_path / "cache", url=url, endpoint=proxy.endpoint, timeout_s=TIMEOUT_S)


@pytest.fixture(name="direct")
def direct_fixture(s3: S3Server, url: str, tmp_path: Path) -> S3BlockStore:
    """Another node on the same bucket, past the proxy."""
    return s3.store(tmp_path / "other-cache", url=url)


def writes(body: bytes) -> Callable[[BinaryIO], None]:
    def write(file: BinaryIO) -> None:
        file.write(body)

    return write


def read(store: S3BlockStore, name: str) -> bytes:
    with store.open(name) as reader:
        return reader.read()


def seconds_to_fail(call: Callable[[], object]) -> float:
    start = time.monotonic()
    with pytest.raises(OSError, match="cannot") as raised:
        call()
    assert not isinstance(raised.value, FileNotFoundError)
    return time.monotonic() - start
