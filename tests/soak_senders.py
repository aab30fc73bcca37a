"""Clients of several kinds, as devices have them: each sends one request, and tells the answer, or None without one."""

import base64
import http.client
import random
import shutil
import socket
import subprocess
from pathlib import Path
from typing import Protocol

import httpx

ANSWER_S = 20.0
Answer = tuple[int, bytes]


class Target:
    """Where the server is at the moment: it has another port after each restart."""

    def __init__(self) -> None:
        self.port = 0

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.port}{path}"


class Sender(Protocol):
    """Sends a POST with a JSON body."""

    def send(self, path: str, body: bytes) -> Answer | None: ...

    def close(self) -> None: ...


class StandardSender:
    """The standard library's client, on one connection for as long as it holds."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self._connection: http.client.HTTPConnection | None = None
        self._port = 0

    def send(self, path: str, body: bytes) -> Answer | None:
        if self._connection is None or self._port != self._target.port:
            self.close()
            self._port = self._target.port
            self._connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=ANSWER_S)
        try:
            self._connection.request("POST", path, body, {"Content-Type": "application/json"})
            response = self._connection.getresponse()
            return response.status, response.read()
        except (OSError, http.client.HTTPException):
            self.close()
            return None

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


class HttpxSender:
    """httpx, with its pool, and bodies in chunks now and then."""

    def __init__(self, target: Target, chance: random.Random) -> None:
        self._target, self._chance = target, chance
        self._client = httpx.Client(timeout=ANSWER_S)

    def send(self, path: str, body: bytes) -> Answer | None:
        content = iter([body[:7], body[7:]]) if self._chance.random() < 0.3 else body
        try:
            response = self._client.post(
                self._target.url(path), content=content, headers={"Content-Type": "application/json"}
            )
        except httpx.HTTPError:
            return None
        return response.status_code, response.content

    def close(self) -> None:
        self._client.close()


class CurlSender:
    """curl, which offers HTTP/2 with each request."""

    def __init__(self, target: Target) -> None:
        self._target = target

    def send(self, path: str, body: bytes) -> Answer | None:
        command = ["curl", "--http2", "--silent", "--max-time", str(ANSWER_S), "--write-out", "\n%{http_code}"]
        command += ["--header", "Content-Type: application/json", "--data-binary", "@-", self._target.url(path)]
        done = subprocess.run(command, input=body, capture_output=True, check=False)
        if done.returncode:
            return None
        text, _, status = done.stdout.rpartition(b"\n")
        return int(status), text

    def close(self) -> None:
        """Each request has a process of its own."""


class JavaSender:
    """The JDK's HttpClient, which offers HTTP/2 too, in one process: a request a line."""

    def __init__(self, target: Target) -> None:
        self._target = target
        source = Path(__file__).parent / "fault" / "Sender.java"
        self._process = subprocess.Popen(
            ["java", "-Xmx64m", str(source)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def send(self, path: str, body: bytes) -> Answer | None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{self._target.url(path)} {base64.b64encode(body).decode()}\n")
        self._process.stdin.flush()
        status, _, text = self._process.stdout.readline().strip().partition(" ")
        assert status, "the Java client has ended"
        return None if status == "none" else (int(status), base64.b64decode(text))

    def close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(10)
        if self._process.stdout is not None:
            self._process.stdout.close()


class RawSender:
    """A socket of small firmware: it splits requests, closes its half, and vanishes."""

    def __init__(self, target: Target, chance: random.Random) -> None:
        self._target, self._chance = target, chance

    def send(self, path: str, body: bytes) -> Answer | None:
        head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        head += f"Content-Length: {len(body)}\r\n\r\n"
        request = head.encode() + body
        way = self._chance.choice(("split", "half-close", "half-close", "vanish", "break off"))
        try:
            with socket.create_connection(("127.0.0.1", self._target.port), timeout=ANSWER_S) as connection:
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                if way == "break off":
                    connection.sendall(request[: self._chance.randrange(len(request))])
                    return None
                cut = self._chance.randrange(len(request))
                connection.sendall(request[:cut])
                connection.sendall(request[cut:])
                if way == "vanish":
                    return None
                if way == "half-close":
                    connection.shutdown(socket.SHUT_WR)
                response = http.client.HTTPResponse(connection)
                response.begin()
                return response.status, response.read()
        except (OSError, http.client.HTTPException):
            return None

    def close(self) -> None:
        """Each request has a connection of its own."""


def senders(target: Target, chance: random.Random) -> dict[str, Sender]:
    """One of each kind that this machine has, by name."""
    found: dict[str, Sender] = {
        "http.client": StandardSender(target), "httpx": HttpxSender(target, chance), "raw": RawSender(target, chance)
    }  # fmt: skip
    if shutil.which("curl"):
        found["curl"] = CurlSender(target)
    if shutil.which("java") and shutil.which("javac"):
        found["java"] = JavaSender(target)
    return found
