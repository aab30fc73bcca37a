"""What comes before the first request of a connection, where that is set: the PROXY protocol, and TLS.

    connection ──> Arrival ──(header of a trusted proxy)──(handshake)──> FrontDoor

A connection counts, and has a deadline, from its first moment on: otherwise ten thousand handshakes that never end
would take all files of the process. So the handshake is begun here, and not by the server, which tells of a connection
only when it is over. Where neither is set, connections begin at the front door.
"""

import asyncio
import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from ssl import SSLContext
from typing import Any, cast

import structlog
from uvicorn.config import Config
from uvicorn.server import ServerState
from uvloop.loop import SSLProtocol  # type: ignore[attr-defined]  # what uvloop itself puts before a protocol for TLS

from fleetpulse.errors import RequestTimeout
from fleetpulse.ingest.asgi_protocol import peer_address
from fleetpulse.ingest.connections import Phase
from fleetpulse.ingest.door import Door
from fleetpulse.ingest.door_connection import DoorConnection
from fleetpulse.ingest.front_door import FrontDoor
from fleetpulse.ingest.proxy_protocol import HEAD_BYTES, rest_bytes, source_address

log = structlog.get_logger("edge")


@dataclass(frozen=True, slots=True, kw_only=True)
class Before:
    """What is before the first request. `tls` gives the context for a new connection; None: no TLS."""

    tls: Callable[[], SSLContext] | None = None
    proxy_header: bool = False
    """Whether connections of trusted proxies begin with a header of the PROXY protocol."""


class Arrival(asyncio.BufferedProtocol):
    """One connection, until it is at the front door. It reads exactly the bytes of the header, and no more."""

    def __init__(
        self,
        *,
        door: Door,
        before: Before,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        self._connections = door.connections
        self._before = before
        self._server_state = server_state
        self._loop = _loop or asyncio.get_running_loop()
        self._front_door = partial(
            FrontDoor, door=door, config=config, server_state=server_state, app_state=app_state, _loop=_loop
        )
        self._header = bytearray(HEAD_BYTES)
        self._received = 0
        self._is_over = False
        self.address = ""
        self.phase = Phase.FIRST_BYTE
        self.since_s = self._connections.now_s
        self.blocked_since_s = math.inf

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Admit the connection, or close it where there are too many."""
        self._transport = cast(asyncio.Transport, transport)
        self.address = peer_address(transport)
        if not self._connections.admit(self, self.address):
            self._is_over = True
            transport.close()
            return
        self._server_state.connections.add(self)  # type: ignore[arg-type]  # uvicorn calls only shutdown()
        if not (self._before.proxy_header and self._connections.proxies.trusts(self.address)):
            self._go_on()

    def get_buffer(self, _sizehint: int) -> memoryview:
        """Where the missing bytes of the header go."""
        return memoryview(self._header)[self._received :]

    def buffer_updated(self, nbytes: int) -> None:
        """Read the header when it is complete."""
        self._received += nbytes
        self._move(Phase.HEADER)
        if self._received < len(self._header):
            return
        try:
            header = bytes(self._header)
            if len(header) == HEAD_BYTES and (rest := rest_bytes(header)):
                self._header = bytearray(header + bytes(rest))  # the transport holds the former one
                return
            address = source_address(header)
        except ValueError as error:
            self._refuse("proxy_header", str(error))
            return
        if address and not self._connections.rename(self, self.address, address):
            self._is_over = True
            self._transport.abort()
            return
        self.address = address or self.address
        self._go_on()

    def connection_lost(self, _exc: Exception | None) -> None:
        """Count the connection out, unless it has gone on."""
        self._leave()

    def eof_received(self) -> None:
        """The peer sends no more, so that the transport is closed."""

    def _go_on(self) -> None:
        front_door = self._front_door(arrival=self)
        self._move(Phase.FIRST_BYTE)
        if self._before.tls is None:
            self._transport.set_protocol(front_door)
            front_door.connection_made(self._transport)
            return
        ended: asyncio.Future[None] = self._loop.create_future()
        ended.add_done_callback(self._shaken)
        limits = self._connections.limits
        tls = SSLProtocol(
            self._loop,
            front_door,
            self._before.tls(),
            ended,
            server_side=True,
            ssl_handshake_timeout=limits.first_byte_s + limits.header_s,
            ssl_shutdown_timeout=limits.write_s,
        )
        self._transport.set_protocol(tls)
        tls.connection_made(self._transport)

    def _shaken(self, ended: "asyncio.Future[None]") -> None:
        error = None if ended.cancelled() else ended.exception()
        if not self._is_over:
            self._refuse("tls", "the peer has gone" if error is None else str(error) or type(error).__name__)

    def take_over(self, front_door: DoorConnection) -> None:
        """The front door counts in the place of this."""
        self._is_over = True
        self._server_state.connections.discard(self)
        self._connections.replace(self, front_door)

    def _refuse(self, reason: str, text: str) -> None:
        self._connections.counters.connections_refused[reason] += 1
        log.info("a connection ended before its first request", peer=self.address, reason=reason, error=text)
        self._leave()
        self._transport.abort()

    def _leave(self) -> None:
        if not self._is_over:
            self._is_over = True
            self._server_state.connections.discard(self)
            self._connections.leave(self, self.address)

    def _move(self, phase: Phase) -> None:
        if phase is not self.phase:
            self.phase = phase
            self.since_s = self._connections.now_s

    def time_out(self, _error: RequestTimeout | None) -> None:
        """See TimedConnection. There is nobody yet to whom an answer could be given."""
        self._transport.abort()

    def cut(self) -> None:
        """See TimedConnection."""
        self._transport.abort()

    def shutdown(self) -> None:
        """The server stops. A new connection may send its first request; the server cuts those that send none."""
        if self.phase is not Phase.FIRST_BYTE:
            self._transport.abort()
