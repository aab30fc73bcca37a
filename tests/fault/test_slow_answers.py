"""Clients who ask for long answers and do not read them, over the real command and sockets."""

import http.client
import re
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path

from conftest import PUBLISHED, Server
from http_client import Client

PATH = f"/api/v1/devices/{PUBLISHED[0]}/uptime?window=30d&step=1m"
"""6 MB of JSON, which the buffers of the system do not take."""
READERS = 30


def slow_reader(server: Server, number: int) -> socket.socket:
    """A client with an address of its own that reads nothing; every fifth one takes the answer compressed."""
    connection = socket.socket()
    connection.settimeout(60)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
    connection.bind((f"127.0.1.{1 + number}", 0))
    connection.connect(("127.0.0.1", server.port))
    coding = "Accept-Encoding: gzip\r\n" if number % 5 == 0 else ""
    connection.sendall(f"GET {PATH} HTTP/1.1\r\nHost: localhost\r\n{coding}\r\n".encode())
    return connection


def resident_bytes(server: Server) -> int:
    return int(Path(f"/proc/{server.process.pid}/statm").read_text().split()[1]) * 4_096


def gauge(server: Server, name: str) -> float:
    client = Client(server.port)
    client.connection.request("GET", "/metrics")
    page = client.connection.getresponse().read().decode()
    client.close()
    found = re.search(rf"^fleetpulse_{name} (\S+)$", page, re.MULTILINE)
    assert found, name
    return float(found[1])


class Heartbeats(threading.Thread):
    """Heartbeats, one after the other, and how long each took."""

    def __init__(self, server: Server) -> None:
        super().__init__(name="heartbeats")
        self._server, self.ending = server, threading.Event()
        self.statuses: Counter[int] = Counter()
        self.longest_s = 0.0

    def run(self) -> None:
        client = Client(self._server.port)
        while not self.ending.wait(0.02):
            began_s = time.monotonic()
            body = {"sent_at": datetime.now(UTC).isoformat()}
            status, _ = client.ask("POST", f"/api/v1/devices/{PUBLISHED[1]}/heartbeat", body)
            self.longest_s = max(self.longest_s, time.monotonic() - began_s)
            self.statuses[status] += 1
        client.close()


def test_slow_readers_of_long_answers_hold_a_bounded_memory_and_are_ended(serve: Callable[..., Server]) -> None:
    server = serve("--write-s", "2", "--question-timeout-s", "55")
    client = Client(server.port)
    assert client.ask("GET", PATH)[0] == 200
    client.close()
    before, heartbeats = resident_bytes(server), Heartbeats(server)
    heartbeats.start()
    with ExitStack() as ends:
        ends.callback(heartbeats.join)
        ends.callback(heartbeats.ending.set)
        readers = [ends.enter_context(slow_reader(server, number)) for number in range(READERS)]
        heads = [ends.enter_context(http.client.HTTPResponse(connection)) for connection in readers]
        statuses: Counter[int] = Counter()
        for head in heads:
            head.begin()
            statuses[head.status] += 1
            assert resident_bytes(server) - before < 60_000_000, "a third of what all answers are together"
        # On a busy machine some wait longer than a question may.
        assert statuses.keys() <= {200, 503}
        assert statuses[200] >= READERS // 10
        end_s = time.monotonic() + 30
        while gauge(server, "answer_bytes_held"):
            assert time.monotonic() < end_s, "readers that stand still are not ended"
            time.sleep(0.1)
    assert heartbeats.statuses.keys() == {204}
    assert heartbeats.longest_s < 5
    assert "Traceback" not in server.log.read_text()
