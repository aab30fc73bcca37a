"""TCP proxies that stand on the links between processes: a test cuts, holds, delays, refuses or half-closes each link.

    with TcpProxies() as proxies:
        link = proxies.to(4222)     # whoever connects to link.port talks to port 4222
        link.cut()                  # connections end with a reset, and none is made until link.mend()

All proxies of one `TcpProxies` run in one thread. Every call returns when it is in effect.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
import threading
from collections import deque
from collections.abc import Callable, Coroutine
from types import TracebackType
from typing import Literal, Self, cast

Way = Literal["there", "back"]
"""From whoever connected to the proxy to the server behind it, and from there."""
BOTH: tuple[Way, Way] = ("there", "back")
HELD_BYTES_MAX = 1 << 20
"""Of what waits in one way of a connection; more stays with its sender."""
_RESET = struct.pack("ii", 1, 0)


class TcpProxies:
    """The thread in which proxies run."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="tcp-proxies", daemon=True)
        self._proxies: list[TcpProxy] = []

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        for proxy in self._proxies:
            proxy.close()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def to(self, port: int, host: str = "127.0.0.1") -> TcpProxy:
        """A proxy before `port`, on a free port of its own."""
        self._proxies.append(TcpProxy(self._loop, (host, port)))
        return self._proxies[-1]


class TcpProxy:
    """One link. `connections` counts those that were ever made to it."""

    def __init__(self, loop: asyncio.AbstractEventLoop, target: tuple[str, int]) -> None:
        self.target = target
        self.loop = loop
        self.held_ways: set[Way] = set()
        self.delay_s: dict[Way, float] = dict.fromkeys(BOTH, 0.0)
        self.connections = 0
        self.bytes_passed: dict[Way, int] = dict.fromkeys(BOTH, 0)
        self.pairs: set[_Side] = set()
        """The sides of all connections towards those who connected."""
        self._server: asyncio.Server | None = None
        # A bound socket that does not listen keeps the port while nobody may connect, so that a test may not lose it.
        self._kept = _bound(0)
        self.port: int = self._kept.getsockname()[1]
        self.address = f"127.0.0.1:{self.port}"
        self._call(self._listen)

    def cut(self) -> None:
        """End all connections with a reset, and refuse new ones."""

        async def work() -> None:
            await self._stop_listening()
            self._reset_all()

        self._call(work)

    def refuse(self) -> None:
        """Refuse new connections; those that are there go on."""
        self._call(self._stop_listening)

    def reset(self) -> None:
        """End all connections with a reset, once; new ones are made."""

        async def work() -> None:
            self._reset_all()

        self._call(work)

    def hold(self, *ways: Way) -> None:
        """Pass nothing on until `mend`, as a network that loses packets; neither side learns of it.

        What was sent meanwhile arrives afterwards, or never, where the connection is cut before.
        """

        async def work() -> None:
            self.held_ways |= set(ways or BOTH)

        self._call(work)

    def delay(self, seconds: float, *ways: Way) -> None:
        """Let everything take so much longer, each way by itself."""

        async def work() -> None:
            self.delay_s.update(dict.fromkeys(ways or BOTH, seconds))

        self._call(work)

    def half_close(self, way: Way = "there") -> None:
        """End one way of all connections, as a peer that has sent its last byte; the other way goes on."""

        async def work() -> None:
            for side in list(self.pairs):
                source = side if way == "there" else side.other
                if source is not None:
                    source.eof_received()

        self._call(work)

    def mend(self) -> None:
        """Let everything pass again, and new connections be made."""

        async def work() -> None:
            self.held_ways.clear()
            self.delay_s = dict.fromkeys(BOTH, 0.0)
            for side in list(self.pairs):
                side.flush()
                if side.other is not None:
                    side.other.flush()
            await self._listen()

        self._call(work)

    def close(self) -> None:
        """End the proxy."""
        self.cut()
        self._kept.close()

    def _call(self, work: Callable[[], Coroutine[None, None, None]]) -> None:
        asyncio.run_coroutine_threadsafe(work(), self.loop).result(30)

    async def _listen(self) -> None:
        if self._server is None:
            listener = _bound(self.port)
            listener.listen(512)
            self._server = await self.loop.create_server(lambda: _Side(self, "there"), sock=listener)

    async def _stop_listening(self) -> None:
        server, self._server = self._server, None
        if server is not None:
            server.close()

    def _reset_all(self) -> None:
        for side in list(self.pairs):
            side.reset()


class _Side(asyncio.Protocol):
    """One end of a connection: what comes in here goes out at `other`."""

    def __init__(self, proxy: TcpProxy, way: Way, other: _Side | None = None) -> None:
        self._proxy, self._way, self.other = proxy, way, other
        self._waiting: deque[tuple[float, bytes | None]] = deque()
        self._waiting_bytes = 0
        self._is_full = self._has_ended = False
        self._connecting: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        if self.other is not None:
            self.other.other = self
            self.other.flush()
            if self.other.transport.is_closing():
                self.transport.abort()
            return
        self._proxy.connections += 1
        self._proxy.pairs.add(self)
        self._connecting = self._proxy.loop.create_task(self._connect())

    async def _connect(self) -> None:
        try:
            await self._proxy.loop.create_connection(lambda: _Side(self._proxy, "back", self), *self._proxy.target)
        except OSError:
            self.reset()

    def data_received(self, data: bytes) -> None:
        self._put(data)

    def eof_received(self) -> bool:
        self._put(None)
        return True

    def _put(self, data: bytes | None) -> None:
        delay_s = self._proxy.delay_s[self._way]
        if self.other is None or self._waiting or delay_s or self._way in self._proxy.held_ways:
            self._waiting.append((self._proxy.loop.time() + delay_s, data))
            self._waiting_bytes += len(data or b"")
            self._pause()
            self._proxy.loop.call_later(delay_s, self.flush)
        else:
            self._pass(data)

    def flush(self) -> None:
        """Pass on what has waited long enough, and that the other end is gone."""
        if not self._proxy.held_ways and self.other is not None and self.other.transport.is_closing():
            self.reset()
        now_s = self._proxy.loop.time() + 1e-4
        while self._waiting and self._waiting[0][0] <= now_s and self.other and self._way not in self._proxy.held_ways:
            _, data = self._waiting.popleft()
            self._waiting_bytes -= len(data or b"")
            self._pass(data)
        if self._waiting and self._waiting[0][0] > now_s:
            self._proxy.loop.call_at(self._waiting[0][0], self.flush)
        self._pause()

    def _pass(self, data: bytes | None) -> None:
        if self.other is None or self.other.transport.is_closing():
            return
        if data is not None and self._has_ended:
            return  # the proxy has half-closed this way, of which whoever sends does not know
        if data is not None:
            self._proxy.bytes_passed[self._way] += len(data)
            self.other.transport.write(data)
        elif not self._has_ended:
            self._has_ended = True
            with contextlib.suppress(OSError, RuntimeError):
                self.other.transport.write_eof()
            if self.other._has_ended:  # both ways have ended
                self.other.transport.close()
                self.transport.close()

    def _pause(self) -> None:
        is_paused = self._is_full or self._waiting_bytes > HELD_BYTES_MAX
        if not self.transport.is_closing():
            (self.transport.pause_reading if is_paused else self.transport.resume_reading)()

    def pause_writing(self) -> None:
        if self.other is not None:
            self.other._is_full = True
            self.other._pause()

    def resume_writing(self) -> None:
        if self.other is not None:
            self.other._is_full = False
            self.other._pause()

    def connection_lost(self, error: Exception | None) -> None:
        if self.other is None or self.other.transport.is_closing():
            self._proxy.pairs -= {self, self.other}
        elif self._proxy.held_ways:
            return  # nobody learns of it until the link is mended
        elif error is not None:
            self.other.reset()
        else:
            self.other.transport.close()

    def reset(self) -> None:
        """End both connections at once."""
        for side in (self, self.other):
            if side is not None and not side.transport.is_closing():
                connection = side.transport.get_extra_info("socket")
                with contextlib.suppress(OSError):
                    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
                side.transport.abort()


def _bound(port: int) -> socket.socket:
    kept = socket.socket()
    kept.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    kept.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    kept.bind(("127.0.0.1", port))
    return kept
