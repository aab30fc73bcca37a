"""A supervisor's part: it listens, hands the socket over to one server after the other, and hears what they tell."""

import json
import os
import socket
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Self

_TAKE = (
    "import os, sys; os.dup2(int(sys.argv[1]), 3); os.environ['LISTEN_PID'] = str(os.getpid()); "
    "os.environ['LISTEN_FDS'] = '1'; os.execvp(sys.argv[2], sys.argv[2:])"
)


def with_socket(listener: socket.socket, command: list[str]) -> list[str]:
    """The command, as systemd starts it with a socket; `listener` must be inheritable, and passed on."""
    return [sys.executable, "-c", _TAKE, str(listener.fileno()), *command]


@dataclass
class Beats:
    """Clients that send one heartbeat after the other until they are stopped.

    Attributes:
        is_kept: keep the connection, and repeat a heartbeat whose connection broke; else each heartbeat has a new
            connection and is sent once.
        delays_s: how long each took until 204.
        connect: makes a connection where it is not a plain one to `port`.
        failures: everything else that happened to one.
    """

    port: int
    devices: list[str]
    is_kept: bool = False
    headers: dict[str, str] = field(default_factory=dict)
    pause_s: float = 0.005
    connect: Callable[[], HTTPConnection] | None = None
    delays_s: list[float] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    repeated: int = 0
    _has_ended: threading.Event = field(default_factory=threading.Event)
    _threads: list[threading.Thread] = field(default_factory=list)

    def __enter__(self) -> Self:
        self._threads = [threading.Thread(target=self._send, args=(device,)) for device in self.devices]
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._has_ended.set()
        for thread in self._threads:
            thread.join()

    def _send(self, device: str) -> None:
        connection = self.connect() if self.connect else HTTPConnection("127.0.0.1", self.port, timeout=20)
        headers = {"Content-Type": "application/json", **self.headers}
        while not self._has_ended.is_set():
            began_s = time.monotonic()
            body = json.dumps({"sent_at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())})
            while True:
                try:
                    connection.request("POST", f"/api/v1/devices/{device}/heartbeat", body, headers)
                    answer = connection.getresponse()
                    answer.read()
                    break
                except (OSError, HTTPException) as error:
                    connection.close()
                    if not self.is_kept:
                        self.failures.append(repr(error))
                        break
                    self.repeated += 1
            else:
                continue
            if answer.status == 204:
                self.delays_s.append(time.monotonic() - began_s)
            else:
                self.failures.append(str(answer.status))
            if not self.is_kept:
                connection.close()
            time.sleep(self.pause_s)
        connection.close()


class Manager:
    """The other end of NOTIFY_SOCKET."""

    def __init__(self, folder: Path) -> None:
        self.path = str(folder / "notify")
        self._receiver = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._receiver.bind(self.path)
        self.lines: list[str] = []

    def await_line(self, line: str, within_s: float = 30.0) -> None:
        """Wait until the line has come."""
        self._receiver.settimeout(within_s)
        while line not in self.lines:
            self.lines += self._receiver.recv(4096).decode().splitlines()

    def close(self) -> None:
        self._receiver.close()


def listener_on_loopback() -> socket.socket:
    """A socket that listens, and that children may have."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=4096)
    os.set_inheritable(listener.fileno(), True)
    return listener
