"""The front door: device routes are answered right here; everything else is handed over, once and for good.

    POST /api/v1/devices/{id}/heartbeat|stats|metrics    of plain form: parsed, taken in, answered when durable
    any other bytes                                      replayed to the guarded ASGI protocol, which keeps the connection

The front door only recognizes the common case; whatever is unusual (other header, coding, query, escape, method, or a header
that comes in parts) goes to the other path, so the two cannot disagree about it. One request of a connection is under way at
a time: what comes pipelined behind it waits its turn, so answers are in order.
"""

import asyncio
import math
from collections.abc import Callable
from typing import Any, cast

from uvicorn.config import Config
from uvicorn.server import ServerState

from fleetpulse.errors import Answerable, RequestTimeout, UnknownDevice, UnknownMetric
from fleetpulse.ingest.asgi_protocol import AsgiProtocol, peer_address
from fleetpulse.ingest.connections import Connections, Phase
from fleetpulse.ingest.decode import decode_heartbeat, decode_metrics, decode_stats
from fleetpulse.ingest.header_cache import NOT_PLAIN, HeaderCache
from fleetpulse.ingest.intake import Intake
from fleetpulse.ingest.problem_response import problem_response
from fleetpulse.model.device import is_device_id

PREFIX = b"POST /api/v1/devices/"
_HEARTBEAT = b"/heartbeat"
_STATS = b"/stats"
_METRICS = b"/metrics"
_HEAD_END = b"\r\n\r\n"
_ANSWER = Phase.ANSWER  # an enum's attribute costs a call each time
_IDLE = Phase.IDLE
_BODY = Phase.BODY
_FIRST_BYTE = Phase.FIRST_BYTE
BUFFER_BYTES_MAX = 131_072
"""Pipelined bytes held while an answer is awaited; beyond it the socket is not read."""


class Door:
    """What all connections of the front door share."""

    def __init__(
        self,
        *,
        intake: Intake,
        connections: Connections,
        register: Callable[[str], "asyncio.Future[None]"] | None = None,
        defines_unknown: bool = False,
    ) -> None:
        """`register` makes an unknown device known, where devices may register themselves.

        `defines_unknown` leaves reports of unknown metrics to the other path, which defines them.
        """
        self.defines_unknown = defines_unknown
        self.intake = intake
        self.connections = connections
        self.register = register
        self.limits = connections.limits
        self.header_cache = HeaderCache(connections.limits)
        self._headers: list[tuple[bytes, bytes]] | None = None
        self._no_content = b""

    def no_content(self, server_state: ServerState) -> bytes:
        """The 204 with the server's headers of this second (Date)."""
        if server_state.default_headers is not self._headers:
            self._headers = server_state.default_headers
            lines = [b"HTTP/1.1 204 No Content", *(name + b": " + value for name, value in self._headers)]
            self._no_content = b"\r\n".join([*lines, b"", b""])
        return self._no_content


class FrontDoor(asyncio.Protocol):
    """One connection, until it is handed over."""

    __slots__ = (
        "_address", "_app_state", "_buffer", "_config", "_door", "_intake", "_is_last", "_is_stopping", "_is_writable",
        "_loop", "_request", "_server_state", "_transport", "blocked_since_s", "phase", "since_s",
    )  # fmt: skip

    def __init__(
        self,
        *,
        door: Door,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        self._door = door
        self._intake = door.intake
        self._config = config
        self._server_state = server_state
        self._app_state = app_state
        self._loop = _loop
        self._buffer = b""
        self._request = b""
        self._is_last = False
        self._is_stopping = False
        self._is_writable = True
        self.phase = _FIRST_BYTE
        self.since_s = door.connections.now_s
        self.blocked_since_s = math.inf

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Admit the connection, or close it where it is one too many."""
        self._transport = cast(asyncio.Transport, transport)
        self._address = peer_address(transport)
        if self._door.connections.admit(self, self._address):
            self._server_state.connections.add(self)  # type: ignore[arg-type]  # it only asks for shutdown()
        else:
            transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        """Count the connection out. An event under way stays accepted; only nobody is told."""
        self._server_state.connections.discard(self)
        self._door.connections.leave(self, self._address)
        self._buffer = b""

    def pause_writing(self) -> None:
        """The peer does not read its answers: take no more requests from it."""
        self._is_writable = False
        self.blocked_since_s = self._door.connections.now_s

    def resume_writing(self) -> None:
        """The peer reads again."""
        self._is_writable = True
        if not self._transport.is_closing():
            self.blocked_since_s = math.inf
            if self.phase is not _ANSWER:
                self._next()

    def shutdown(self) -> None:
        """Uvicorn asks for a graceful end: now where nothing is awaited, else after the answer."""
        self._is_stopping = True
        if self.phase is not _ANSWER:
            self._close()

    def time_out(self, error: RequestTimeout | None) -> None:
        """See Timed."""
        if error is None:
            self._transport.abort()
        else:
            self._refuse(error, is_last=True)

    def cut(self) -> None:
        """See Timed."""
        self._transport.abort()

    def _close(self) -> None:
        self._transport.close()
        self.phase = _ANSWER
        self.blocked_since_s = self._door.connections.now_s

    def data_received(self, data: bytes) -> None:
        """Take what is whole; keep the rest."""
        if self.phase is _ANSWER or not self._is_writable:
            self._buffer += data
            if len(self._buffer) > BUFFER_BYTES_MAX:
                self._transport.pause_reading()
        else:
            self._process(data)

    def _process(self, data: bytes) -> None:
        """Answer, begin, or hand over the request at the start of buffer and data."""
        # Straight and long on purpose: this runs for every heartbeat, and every call in it costs.
        door, intake = self._door, self._intake
        known_headers = door.header_cache.known
        if self._buffer:
            data = self._buffer + data
            self._buffer = b""
        while data:
            body_start = data.find(_HEAD_END) + 4
            if body_start < 4 or not data.startswith(PREFIX):
                self._hand_over(data)
                return
            line_end = data.find(b" ", 21, body_start)  # a path of plain form has no space
            block = data[line_end:body_start]
            body_bytes, keep_alive = known_headers.get(block) or door.header_cache.read(block)
            if body_bytes == NOT_PLAIN or body_start > door.limits.header_bytes_max:
                self._hand_over(data)
                return
            body_end = body_start + body_bytes
            path = data[21:line_end]
            if path.endswith(_HEARTBEAT):
                route, name = _HEARTBEAT, path[:-10]
            elif path.endswith(_METRICS):
                route, name = _METRICS, path[:-8]
            elif path.endswith(_STATS):
                route, name = _STATS, path[:-6]
            else:
                self._hand_over(data)
                return
            device = intake.numbers.get(name.decode("latin-1"))
            if device is None and not _is_plain_name(name):
                self._hand_over(data)
                return
            if len(data) < body_end:
                self._buffer = data
                if self.phase is not _BODY:
                    self.phase = _BODY
                    self.since_s = door.connections.now_s
                return
            self._is_last = not keep_alive
            intake.received += 1
            try:
                if intake.room < 1:
                    raise intake.refusal()
                if route is _HEARTBEAT:
                    sent_at_ns = decode_heartbeat(data[body_start:body_end], latest_ns=intake.latest_ns)
                    if device is not None:
                        intake.add_heartbeat(device, sent_at_ns, self)
                elif route is _METRICS:
                    report = decode_metrics(data[body_start:body_end], latest_ns=intake.latest_ns, known=intake.metrics)
                    count = len(report.metrics)
                    if intake.room < count:
                        raise intake.refusal()
                    if device is not None:
                        intake.received += count - 1
                        intake.add_report(device, report, self)
                else:
                    sent_at_ns, upload_time = decode_stats(data[body_start:body_end], latest_ns=intake.latest_ns)
                    if device is not None:
                        intake.add_sample(device, sent_at_ns, upload_time, self)
                if device is None:
                    if door.register is None:
                        raise UnknownDevice
                    self._request, self._buffer = data[:body_end], data[body_end:]
                    self._register(name.decode("latin-1"))
                    return
            except Answerable as error:
                if door.defines_unknown and isinstance(error, UnknownMetric):
                    intake.received -= 1  # the other path defines it, and counts
                    self._hand_over(data)
                    return
                door.connections.counters.events_refused[error.reason] += 1
                if not self._refuse(error, is_last=self._is_last or self._is_stopping):
                    return
                data = data[body_end:]
                if not self._is_writable:
                    self._buffer = data
                    return
                continue
            self.phase = _ANSWER
            self._buffer = data[body_end:]
            return

    def _register(self, device_id: str) -> None:
        """Make the device known, then take the same request again."""
        assert self._door.register is not None
        self._intake.received -= 1  # it will be counted when it is taken again
        self.phase = _ANSWER
        self._door.register(device_id).add_done_callback(self._registered)

    def _registered(self, outcome: "asyncio.Future[None]") -> None:
        error = outcome.exception()
        if self._transport.is_closing():
            return
        if error is None:
            self.phase = _IDLE
            self._buffer, self._request = self._request + self._buffer, b""
            self._next()
            return
        if not isinstance(error, Answerable):
            raise error
        self._intake.received += 1
        self._door.connections.counters.events_refused[error.reason] += 1
        self.fail(error)

    def acknowledge(self) -> None:
        """The event is durable: say so."""
        transport = self._transport
        if transport.is_closing():
            return
        door = self._door
        answer = door.no_content(self._server_state)
        if self._is_last or self._is_stopping:
            transport.write(answer[:-2] + b"connection: close\r\n\r\n")
            self._close()
            return
        transport.write(answer)
        self.phase = _IDLE
        self.since_s = door.connections.now_s
        if self._buffer:
            self._next()

    def fail(self, error: Answerable) -> None:
        """The event did not become durable: say so."""
        if (
            not self._transport.is_closing()
            and self._refuse(error, is_last=self._is_last or self._is_stopping)
            and self._buffer
        ):
            self._next()

    def _next(self) -> None:
        """Go on with what came in while an answer was awaited."""
        if self._is_writable and self._buffer:
            self._process(b"")
        is_read_on = self.phase is not _ANSWER or len(self._buffer) <= BUFFER_BYTES_MAX
        if self._is_writable and is_read_on and not self._transport.is_closing():
            self._transport.resume_reading()

    def _refuse(self, error: Answerable, *, is_last: bool) -> bool:
        """Write a refusal; whether the connection goes on."""
        self._transport.write(problem_response(error, headers=self._server_state.default_headers, is_last=is_last))
        if is_last:
            self._close()
            return False
        self.phase = _IDLE
        self.since_s = self._door.connections.now_s
        return True

    def _hand_over(self, data: bytes) -> None:
        transport = self._transport
        protocol = AsgiProtocol(
            connections=self._door.connections,
            address=self._address,
            phase=self.phase,
            since_s=self.since_s,
            config=self._config,
            server_state=self._server_state,
            app_state=self._app_state,
            _loop=self._loop,
        )
        self._server_state.connections.discard(self)
        self._door.connections.replace(self, protocol)
        transport.set_protocol(protocol)
        protocol.connection_made(transport)
        transport.resume_reading()
        protocol.data_received(data)
        if self._is_stopping:
            protocol.shutdown()


def _is_plain_name(name: bytes) -> bool:
    """Whether an unknown name in a path stands for itself: no escape, query, fragment or further segment."""
    return is_device_id(name.decode("latin-1"))
