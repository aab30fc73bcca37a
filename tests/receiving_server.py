"""Receivers for tests: a server that takes webhooks, and behaves as it is told, and one that takes mail."""

import contextlib
import json
import socket
import socketserver
import threading
from collections.abc import Callable, Generator
from typing import Any

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
Behaviour = Callable[[socket.socket], None]


def answer(data: bytes = OK) -> Behaviour:
    return lambda connection: connection.sendall(data)


def status(code: int, *headers: str) -> Behaviour:
    lines = "".join(f"{header}\r\n" for header in headers)
    return answer(f"HTTP/1.1 {code} Code\r\nContent-Length: 0\r\n{lines}\r\n".encode())


class HookServer:
    """Reads one request of each connection, keeps it, and then does what `behaviours` say, the last one for ever."""

    def __init__(self, *behaviours: Behaviour) -> None:
        self.behaviours = list(behaviours) or [answer()]
        self.requests: list[tuple[str, dict[str, str], bytes]] = []
        self.came = threading.Condition()
        self.ended = threading.Event()
        server = self

        class Handler(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                with contextlib.suppress(OSError):  # the client has hung up
                    server.take(self.request)

        class Server(socketserver.ThreadingTCPServer):
            allow_reuse_address = True
            daemon_threads = True

        self._server = Server(("127.0.0.1", 0), Handler)
        self.port = int(self._server.server_address[1])
        self.url = f"http://127.0.0.1:{self.port}"
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def take(self, connection: socket.socket) -> None:
        data = b""
        while b"\r\n\r\n" not in data:
            piece = connection.recv(65_536)
            if not piece:
                return
            data += piece
        head, _, body = data.partition(b"\r\n\r\n")
        first, *lines = head.decode().split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        while len(body) < int(headers.get("content-length", 0)):
            body += connection.recv(65_536)
        with self.came:
            self.requests.append((first, headers, body))
            behaviour = self.behaviours.pop(0) if len(self.behaviours) > 1 else self.behaviours[0]
            self.came.notify_all()
        with contextlib.suppress(OSError):
            behaviour(connection)

    def wait(self, count: int = 1, timeout_s: float = 20.0) -> list[dict[str, Any]]:
        """The bodies of the first requests, once there are so many."""
        with self.came:
            assert self.came.wait_for(lambda: len(self.requests) >= count, timeout_s), len(self.requests)
            return self.bodies()

    def bodies(self) -> list[dict[str, Any]]:
        return [json.loads(body) for _, _, body in self.requests]

    def hang(self, connection: socket.socket) -> None:
        """Answer nothing until the test ends."""
        self.ended.wait(60)

    def drip(self, connection: socket.socket) -> None:
        """Answer a byte at a time, for ever."""
        for byte in b"HTTP/1.1 200 OK\r\nX: " + b"a" * 10_000:
            connection.sendall(bytes([byte]))
            if self.ended.wait(0.05):
                return

    def hang_in_body(self, connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nhalf")
        self.ended.wait(60)

    def flood(self, connection: socket.socket) -> None:
        """Answer with a body that does not end."""
        connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        while not self.ended.is_set():
            connection.sendall(b"a" * 65_536)

    def close(self) -> None:
        self.ended.set()
        self._server.shutdown()
        self._server.server_close()


@contextlib.contextmanager
def hook_server(*behaviours: Behaviour) -> Generator[HookServer, None, None]:
    """A server that takes webhooks, until the end of the block."""
    server = HookServer(*behaviours)
    try:
        yield server
    finally:
        server.close()
