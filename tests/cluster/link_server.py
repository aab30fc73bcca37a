"""A process that carries TCP connections between two ports, and spoils them on command: one line of JSON each way.

    {"do": "open", "link": "node1-pg", "to": 5432}              -> {"port": 40001}
    {"do": "set", "link": "node1-pg", "mode": "hang"}           -> {"connections": 3}

Modes: `pass`; `cut` resets connections, those that are there and new ones; `hang` carries nothing, as a network that
loses packets, and afterwards goes on where it was; `delay` holds every byte for `delay_s`; `half` ends the direction to
the server of the connections that are there, drops what still comes, and goes on as `pass`.
It is a process of its own so that the load of a test does not slow it down, and ends with its standard input.
"""

import asyncio
import contextlib
import json
import socket
import struct
import sys
from typing import Any, cast

LINGER_NOT = struct.pack("ii", 1, 0)


class Side(asyncio.Protocol):
    """One of the two connections of a pair."""

    def __init__(self, link: "Link", other: "Side | None" = None) -> None:
        self.link = link
        self.other = other
        self.is_client = other is None
        self.transport: asyncio.Transport | None = None
        self.due_s = 0.0
        self.is_deaf = False
        """What comes is dropped."""
        self._early: list[bytes] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        self.link.sides.add(self)
        if self.link.mode == "cut":
            self.reset()
        elif self.is_client:
            self.transport.pause_reading()  # until the server is reached
            self.link.loop.create_task(self._connect())
        elif self.link.mode == "hang":
            self.transport.pause_reading()

    async def _connect(self) -> None:
        while self.link.mode == "hang":
            await self.link.changed.wait()
        try:
            _, server = await self.link.loop.create_connection(lambda: Side(self.link, self), "127.0.0.1", self.link.to)
        except OSError:
            self.reset()
            return
        self.other = server
        if self.transport is not None and not self.transport.is_closing():
            if self.link.mode != "hang":
                self.transport.resume_reading()
        else:
            server.reset()

    def data_received(self, data: bytes) -> None:
        if self.other is None or self.is_deaf:
            return
        loop = self.link.loop
        self.due_s = max(self.due_s, loop.time() + self.link.delay_s)
        if self.due_s <= loop.time():
            self.other.write(data)
        else:
            loop.call_at(self.due_s, self.other.write, data)

    def write(self, data: bytes) -> None:
        if self.transport is not None and not self.transport.is_closing():
            self.transport.write(data)

    def eof_received(self) -> bool:
        self.link.loop.call_at(self.due_s, self.pass_end)
        return True

    def pass_end(self) -> None:
        """End what goes to the other side."""
        other = None if self.other is None else self.other.transport
        if other is not None and not other.is_closing() and not self.is_deaf:
            with contextlib.suppress(OSError, RuntimeError):
                other.write_eof()

    def connection_lost(self, error: Exception | None) -> None:
        self.link.sides.discard(self)
        other = None if self.other is None else self.other.transport
        if other is not None and not other.is_closing():
            if error is None:
                self.link.loop.call_at(max(self.due_s, self.link.loop.time()), other.close)
            else:
                self.other.reset() if self.other is not None else None

    def reset(self) -> None:
        """End the connection as a host that has forgotten it."""
        if self.transport is not None:
            with contextlib.suppress(OSError):
                self.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER_NOT)
            self.transport.abort()

    def pause_writing(self) -> None:
        if self.other is not None and self.other.transport is not None:
            self.other.transport.pause_reading()

    def resume_writing(self) -> None:
        if self.other is not None and self.other.transport is not None and self.link.mode != "hang":
            self.other.transport.resume_reading()


class Link:
    """One listening port, and what becomes of its connections."""

    def __init__(self, to: int) -> None:
        self.to = to
        self.mode = "pass"
        self.delay_s = 0.0
        self.sides: set[Side] = set()
        self.loop = asyncio.get_running_loop()
        self.changed = asyncio.Event()

    async def open(self) -> int:
        server = await self.loop.create_server(lambda: Side(self), "127.0.0.1", 0)
        return int(server.sockets[0].getsockname()[1])

    def set(self, mode: str, delay_s: float) -> int:
        was, self.mode, self.delay_s = self.mode, "pass" if mode == "half" else mode, delay_s
        sides = list(self.sides)
        for side in sides:
            if mode == "cut":
                side.reset()
            elif mode == "half" and side.is_client:
                side.pass_end()
                side.is_deaf = True
            elif mode == "hang" and side.transport is not None:
                side.transport.pause_reading()
            elif was == "hang" and side.transport is not None and side.other is not None:
                side.transport.resume_reading()
        self.changed.set()
        self.changed = asyncio.Event()
        return len(sides)


async def serve() -> None:
    """Do what the lines of standard input say."""
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    links: dict[str, Link] = {}
    while line := await reader.readline():
        order: dict[str, Any] = json.loads(line)
        if order["do"] == "open":
            links[order["link"]] = Link(order["to"])
            done = {"port": await links[order["link"]].open()}
        else:
            done = {"connections": links[order["link"]].set(order["mode"], order.get("delay_s", 0.0))}
        sys.stdout.write(json.dumps(done) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(serve())
