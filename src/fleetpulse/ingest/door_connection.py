"""A connection at the front door, apart from what is read of it: its beginning, deadlines and end, and handing over."""

import asyncio
import math
from abc import abstractmethod
from typing import Any, Protocol, cast

from uvicorn.config import Config
from uvicorn.server import ServerState

from fleetpulse.errors import Answerable, RequestTimeout
from fleetpulse.ingest.asgi_protocol import AsgiProtocol, peer_address
from fleetpulse.ingest.client_certificate import certified_device
from fleetpulse.ingest.connections import Phase
from fleetpulse.ingest.door import Door
from fleetpulse.ingest.problem_response import problem_response

# Names of the module are faster to read than members of an enum.
FIRST_BYTE, IDLE, BODY, ANSWER = Phase.FIRST_BYTE, Phase.IDLE, Phase.BODY, Phase.ANSWER


class Arriving(Protocol):
    """A connection before it is at the front door, see `arrival.py`."""

    address: str

    def take_over(self, front_door: "DoorConnection", /) -> None:
        """The front door counts in the place of this."""
        ...


class DoorConnection(asyncio.Protocol):
    """One connection, until it ends or is handed over."""

    __slots__ = (
        "_address", "_app_state", "_arrival", "_buffer", "_certified", "_config", "_door", "_has_peer_ended",
        "_intake", "_is_last", "_is_stopping", "_is_writable", "_loop", "_request", "_server_state", "_start",
        "_transport", "blocked_since_s", "phase", "since_s",
    )  # fmt: skip

    def __init__(
        self,
        *,
        door: Door,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
        arrival: Arriving | None = None,
    ) -> None:
        """`arrival`: what admitted the connection before, where something comes before its first request."""
        self._arrival = arrival
        self._certified = ""
        """The id of the device that the peer has a certificate for."""
        self._door = door
        self._intake = door.intake
        self._config = config
        self._server_state = server_state
        self._app_state = app_state
        self._loop = _loop
        self._buffer = b""
        self._start = 0
        """Where in the buffer the next request begins: to cut the buffer for each request would copy it each time."""
        self._request = b""
        self._is_last = False
        self._is_stopping = False
        self._has_peer_ended = False
        self._is_writable = True
        self.phase = FIRST_BYTE
        self.since_s = door.connections.now_s
        self.blocked_since_s = math.inf

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Admit the connection, or close it where there are too many."""
        self._transport = cast(asyncio.Transport, transport)
        if self._arrival is not None:
            self._address, self._certified = self._arrival.address, certified_device(transport)
            self._arrival.take_over(self)
            self._arrival = None
            self._server_state.connections.add(self)  # type: ignore[arg-type]  # as below
            return
        self._address = peer_address(transport)
        if self._door.connections.admit(self, self._address):
            self._server_state.connections.add(self)  # type: ignore[arg-type]  # uvicorn calls only shutdown()
        else:
            transport.close()

    def connection_lost(self, _exc: Exception | None) -> None:
        """Count the connection out. An event that waits for the disk stays accepted, only its answer is not sent."""
        self._server_state.connections.discard(self)
        self._door.connections.leave(self, self._address)
        self._wait_with(b"", 0)

    def pause_writing(self) -> None:
        """The peer does not read its answers: process no more of its requests."""
        self._is_writable = False
        self.blocked_since_s = self._door.connections.now_s

    def resume_writing(self) -> None:
        """The peer reads again."""
        self._is_writable = True
        if not self._transport.is_closing():
            self.blocked_since_s = math.inf
            if self.phase is not ANSWER:
                self._next()

    def shutdown(self) -> None:
        """The server stops: close now, or after the answer that is due.

        A connection that is new is left open, and so is one on which the body of a request is due, since many clients
        send it apart: what is on the way would be lost by no fault of the client. The server cuts those from which it
        does not come in time.
        """
        self._is_stopping = True
        if self.phase is IDLE:
            self._close()

    def time_out(self, error: RequestTimeout | None) -> None:
        """See TimedConnection."""
        if error is None:
            self._transport.abort()
        else:
            self._door.connections.counters.requests.unread(error.status)
            self._refuse(error, is_last=True)

    def cut(self) -> None:
        """See TimedConnection."""
        self._transport.abort()

    def _close(self) -> None:
        self._transport.close()
        self.phase = ANSWER
        self.blocked_since_s = self._door.connections.now_s

    def _client_address(self, data: bytes, start: int) -> str:
        """The address of whoever sent the request that begins at `start`, whose header is complete and well-formed."""
        proxies = self._door.connections.proxies
        if not proxies.trusts(self._address):
            return self._address
        lines = data[start : data.find(b"\r\n\r\n", start)].split(b"\r\n")[1:]
        pairs = (line.partition(b":") for line in lines)
        return proxies.client_of([(name.lower(), value) for name, _, value in pairs], self._address).address

    def _wait_with(self, data: bytes, start: int) -> None:
        """Keep the requests from `start` on until the one before them is answered."""
        self._buffer, self._start = (data, start) if start < len(data) else (b"", 0)

    def _is_last_answer(self, *, are_more_bytes: bool) -> bool:
        """Whether the connection closes after the answer that is due; `are_more_bytes` came after its request."""
        return self._is_last or self._is_stopping or (self._has_peer_ended and not are_more_bytes)

    def _refuse(self, error: Answerable, *, is_last: bool) -> bool:
        """Write the answer of an error. Returns whether the connection stays open."""
        self._transport.write(problem_response(error, headers=self._server_state.default_headers, is_last=is_last))
        if is_last:
            self._close()
            return False
        self.phase = IDLE
        self.since_s = self._door.connections.now_s
        return True

    def _hand_over(self, data: bytes) -> None:
        """Give the connection to the ASGI path, with `data` as the bytes received so far."""
        transport = self._transport
        protocol = AsgiProtocol(
            connections=self._door.connections,
            address=self._address,
            certified=self._certified,
            phase=self.phase,
            since_s=self.since_s,
            config=self._config,
            server_state=self._server_state,
            app_state=self._app_state,
            _loop=self._loop,
        )
        self._server_state.connections.discard(self)
        self._door.connections.replace(self, protocol)
        self.phase, self._is_writable = ANSWER, False  # the connection is the other protocol's now
        transport.set_protocol(protocol)
        protocol.connection_made(transport)
        if not self._has_peer_ended:
            transport.resume_reading()
        protocol.data_received(data)
        if self._is_stopping:
            protocol.shutdown()
        if self._has_peer_ended and not protocol.eof_received():
            transport.close()

    @abstractmethod
    def _next(self) -> None:
        """Process what arrived while an answer was due."""
