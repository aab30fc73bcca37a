"""One HTTP/1.1 connection of a simulated device or gateway: one request at a time, connected again when it breaks.

The standard library's client blocks, and general clients cost ten times as much a request; httptools does the parsing.
"""

import asyncio
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

import httptools

from fleetpulse.errors import SettingsError

ANSWER_S = 60.0


class Unanswered(Exception):
    """The connection failed. The server may have accepted the request all the same."""


class Answer:
    """Status, headers that matter, and body of a response; filled by the parser."""

    def __init__(self) -> None:
        self.parser = httptools.HttpResponseParser(self)
        self.status = 0
        self.retry_after_s = 1.0
        self.body = b""
        self.is_complete = False
        self.keeps_connection = True

    def on_header(self, name: bytes, value: bytes) -> None:
        """Called by the parser."""
        if name.lower() == b"retry-after" and value.isdigit():
            self.retry_after_s = float(value)

    def on_body(self, part: bytes) -> None:
        """Called by the parser."""
        self.body += part

    def on_message_complete(self) -> None:
        """Called by the parser, which forgets the headers right after it."""
        self.status = self.parser.get_status_code()
        self.keeps_connection = self.parser.should_keep_alive()
        self.is_complete = True


async def read_answer(reader: asyncio.StreamReader) -> Answer:
    """The next answer of a connection. Raises: EOFError: it ends before; httptools.HttpParserError: it is not HTTP."""
    answer = Answer()
    while not answer.is_complete:
        part = await reader.read(65_536)
        if not part:
            raise EOFError("closed before the answer")
        answer.parser.feed_data(part)
    return answer


class Connection:
    """One connection to the server at `url`, which is opened by the first request."""

    def __init__(self, url: str, *, key: str = "") -> None:
        """`key`: sent with each request; empty: none.

        Raises: SettingsError: `url` is not http://host[:port] or https://host[:port].
        """
        try:
            parts = urlsplit(url)
            _ = parts.port
        except ValueError as error:
            raise SettingsError(f"`{url}` is no address of a server: {error}") from error
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise SettingsError(f"`{url}` is no address of a server; expected something like http://127.0.0.1:6733")
        self._is_tls = parts.scheme == "https"
        self._host, self._port = parts.hostname, parts.port or (443 if self._is_tls else 80)
        self._prefix = parts.path.rstrip("/")
        self._host_header = parts.netloc.rpartition("@")[2]
        self._key_line = f"Authorization: Bearer {key}\r\n" if key else ""
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask(self, method: str, path: str, body: bytes = b"", *, content_type: str = "application/json") -> Answer:
        """Send a request and read the answer. Raises: Unanswered."""
        try:
            if self._streams is None:
                self._streams = await asyncio.open_connection(self._host, self._port, ssl=self._is_tls or None)
            reader, writer = self._streams
            head = f"{method} {self._prefix}{path} HTTP/1.1\r\nHost: {self._host_header}\r\n{self._key_line}"
            if body:
                head += f"Content-Type: {content_type}\r\nContent-Length: {len(body)}\r\n"
            writer.write(head.encode() + b"\r\n" + body)
            async with asyncio.timeout(ANSWER_S):
                await writer.drain()
                answer = await read_answer(reader)
            if not answer.keeps_connection:
                self.close()
            return answer
        except (OSError, EOFError, TimeoutError, httptools.HttpParserError) as error:
            self.close()
            text = str(error) or type(error).__name__
            raise Unanswered(f"{self._host}:{self._port}: {text}") from error

    def close(self) -> None:
        """Let go of the socket; the next request connects again."""
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
