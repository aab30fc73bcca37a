"""One HTTP connection of the load, which also reads the position that an answer names."""

import asyncio

import httptools

ANSWER_S = 40.0
"""Longer than the balancer waits for nodes, one after the other."""


class Broken(Exception):
    """No answer came: the request may have been taken or not."""


class Answer:
    """Filled by the parser."""

    def __init__(self) -> None:
        self.status = 0
        self.position = 0
        self.body = b""
        self.is_complete = False
        self.keeps_connection = True
        self._parser = httptools.HttpResponseParser(self)

    def feed(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_header(self, name: bytes, value: bytes) -> None:
        if name.lower() == b"fleetpulse-position":
            self.position = int(value)

    def on_body(self, part: bytes) -> None:
        self.body += part

    def on_message_complete(self) -> None:
        self.status = self._parser.get_status_code()
        self.keeps_connection = self._parser.should_keep_alive()
        self.is_complete = True


class Wire:
    """One request at a time on a connection to `port`, which is made again after it broke."""

    def __init__(self, port: int) -> None:
        self.port = port
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask(
        self, method: str, path: str, body: bytes = b"", *, position: int = 0, is_packed: bool = False
    ) -> Answer:
        """The answer. Args: is_packed: the body is gzip's. Raises: Broken."""
        head = f"{method} {path} HTTP/1.1\r\nHost: cluster\r\nContent-Type: application/json\r\n"
        head += "Content-Encoding: gzip\r\n" if is_packed else ""
        head += f"Fleetpulse-Position: {position}\r\n" if position else ""
        answer = Answer()
        try:
            async with asyncio.timeout(ANSWER_S):
                if self._streams is None:
                    self._streams = await asyncio.open_connection("127.0.0.1", self.port)
                reader, writer = self._streams
                writer.write(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
                while not answer.is_complete:
                    data = await reader.read(65_536)
                    if not data:
                        raise EOFError
                    answer.feed(data)
        except (OSError, EOFError, TimeoutError, httptools.HttpParserError) as error:
            self.close()
            raise Broken(repr(error)) from error
        if not answer.keeps_connection:
            self.close()
        return answer

    def close(self) -> None:
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None
