"""Load of which each value occurs once, so that a test finds out which of them a server has."""

import csv
import io
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from http.client import HTTPConnection

from conftest import Server

SENDERS = 4


class Load:
    """Senders of reports with values of which each occurs once."""

    def __init__(self, port: int, *, first: int = 0, name: str = "box") -> None:
        """Args: first: the values are behind it. name: with which the ids of devices begin."""
        self.acknowledged: list[int] = []
        self.refused: list[int] = []
        """Of these it is not known whether they were stored."""
        self._port, self._first, self._name, self._has_ended = port, first, name, threading.Event()

    @contextmanager
    def running(self) -> Iterator[None]:
        threads = [threading.Thread(target=self._send, args=(number,)) for number in range(SENDERS)]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self._has_ended.set()
            for thread in threads:
                thread.join()

    def _send(self, number: int) -> None:
        connection = HTTPConnection("127.0.0.1", self._port, timeout=30)
        value = self._first + number
        while not self._has_ended.is_set():
            value += SENDERS
            body = json.dumps({"sent_at": datetime.now(UTC).isoformat(), "upload_time": value})
            # A device that is new from time to time: the copied catalog must know each that the copied journal has.
            path = f"/api/v1/devices/{self._name}-{number}-{value // 400}/stats"
            connection.request("POST", path, body, {"Content-Type": "application/json"})
            answer = connection.getresponse()
            answer.read()
            assert answer.status in {204, 503}
            (self.acknowledged if answer.status == 204 else self.refused).append(value)
        connection.close()


def values_of(server: Server) -> set[int]:
    """The values that a server has."""
    connection = HTTPConnection("127.0.0.1", server.port, timeout=30)
    connection.request("GET", "/api/v1/export?what=samples&types=upload_time&window=1h&format=csv")
    text = connection.getresponse().read().decode()
    connection.close()
    return {int(row["value"]) for row in csv.DictReader(io.StringIO(text))}
