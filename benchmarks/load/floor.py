"""The yardstick: the least that a Python process can do for a heartbeat over HTTP.

Nothing is durable, nothing is limited, nobody is known: it parses, reads the time, remembers the minute and says 204.
A server's CPU a request is compared with it in the same run; the absolute figures of two machines cannot be.

    python floor.py PORT
"""

import asyncio
import sys
from collections import defaultdict
from datetime import datetime
from typing import cast

import httptools
import msgspec
import uvloop


class Body(msgspec.Struct, gc=False):
    """A heartbeat's."""

    sent_at: datetime


read = msgspec.json.Decoder(Body).decode
present: defaultdict[bytes, set[int]] = defaultdict(set)


class Floor(asyncio.Protocol):
    """One connection."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A device is there."""
        self.transport = cast(asyncio.Transport, transport)
        self.parser = httptools.HttpRequestParser(self)
        self.path = self.body = b""

    def data_received(self, data: bytes) -> None:
        """It speaks."""
        self.parser.feed_data(data)

    def on_url(self, path: bytes) -> None:
        """Called by the parser, and so are the two below."""
        self.path, self.body = path, b""

    def on_body(self, part: bytes) -> None:
        """A part of the body."""
        self.body += part

    def on_message_complete(self) -> None:
        """The request is whole."""
        present[self.path].add(int(read(self.body).sent_at.timestamp()) // 60)
        if self.parser.should_keep_alive():
            self.transport.write(b"HTTP/1.1 204 No Content\r\n\r\n")
        else:
            self.transport.write(b"HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n")
            self.transport.close()


async def main(port: int) -> None:
    """Serve until killed."""
    server = await asyncio.get_running_loop().create_server(Floor, "127.0.0.1", port, backlog=4096)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1])))
