"""The front door: it answers the common requests of devices itself, and hands every other connection over.

    POST /api/v1/devices/{id}/heartbeat|stats|metrics    in plain form: read here, answered when the event is durable
    anything else                                        the connection is handed over to `asgi_protocol.py` for good

Plain form means: the header came in one piece, and has no unusual method, query, escape, coding or header. The front
door decides nothing about any other form, so it cannot disagree with the ASGI path about it. It works on one request of
a connection at a time. Requests that are pipelined behind it wait in a buffer, so that answers are in order.
"""

import asyncio
import math
from typing import Any, cast

from uvicorn.config import Config
from uvicorn.server import ServerState

from fleetpulse.errors import Answerable, RequestTimeout, UnknownDevice, UnknownMetric
from fleetpulse.ingest.asgi_protocol import AsgiProtocol, peer_address
from fleetpulse.ingest.bodies import HEARTBEAT_FIELDS, REPORT_FIELDS, STATS_FIELDS
from fleetpulse.ingest.connections import HALF_REQUEST, Phase
from fleetpulse.ingest.decode import decode_heartbeat, decode_metrics, decode_stats
from fleetpulse.ingest.door import Door
from fleetpulse.ingest.header_cache import NOT_PLAIN
from fleetpulse.ingest.problem_response import problem_response
from fleetpulse.model.device import is_device_id, unknown_id_advice

PREFIX = b"POST /api/v1/devices/"
_HEARTBEAT, _STATS, _METRICS = b"heartbeat", b"stats", b"metrics"
_KNOWN_FIELDS = {_HEARTBEAT: HEARTBEAT_FIELDS, _STATS: STATS_FIELDS, _METRICS: REPORT_FIELDS}
_HEADER_END = b"\r\n\r\n"
# Names of the module are faster to read than members of an enum.
_FIRST_BYTE, _IDLE, _BODY, _ANSWER = Phase.FIRST_BYTE, Phase.IDLE, Phase.BODY, Phase.ANSWER
BUFFER_BYTES_MAX = 131_072
"""Bytes that wait behind the request being answered. Beyond it the socket is not read until there is room again."""
REFUSALS_A_TURN_MAX = 64
"""Pipelined requests that are refused in one go, a millisecond's work. Then other connections get their turn."""


class FrontDoor(asyncio.Protocol):
    """One connection, until it ends or is handed over."""

    __slots__ = (
        "_address", "_app_state", "_buffer", "_config", "_door", "_has_peer_ended", "_intake", "_is_last",
        "_is_stopping", "_is_writable", "_loop", "_request", "_server_state", "_start", "_transport", "blocked_since_s",
        "phase", "since_s",
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
        self._start = 0
        """Where in the buffer the next request begins: to cut the buffer for each request would copy it each time."""
        self._request = b""
        self._is_last = False
        self._is_stopping = False
        self._has_peer_ended = False
        self._is_writable = True
        self.phase = _FIRST_BYTE
        self.since_s = door.connections.now_s
        self.blocked_since_s = math.inf

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Admit the connection, or close it where there are too many."""
        self._transport = cast(asyncio.Transport, transport)
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
            if self.phase is not _ANSWER:
                self._next()

    def shutdown(self) -> None:
        """Uvicorn stops: close now, or after the answer that is due."""
        self._is_stopping = True
        if self.phase is not _ANSWER:
            self._close()

    def time_out(self, error: RequestTimeout | None) -> None:
        """See TimedConnection."""
        if error is None:
            self._transport.abort()
        else:
            self._refuse(error, is_last=True)

    def cut(self) -> None:
        """See TimedConnection."""
        self._transport.abort()

    def _close(self) -> None:
        self._transport.close()
        self.phase = _ANSWER
        self.blocked_since_s = self._door.connections.now_s

    def data_received(self, data: bytes) -> None:
        """Process complete requests, and buffer the rest."""
        if self.phase is _ANSWER or not self._is_writable:
            self._wait_with(self._buffer[self._start :] + data, 0)
            if len(self._buffer) > BUFFER_BYTES_MAX:
                self._transport.pause_reading()
        else:
            if self._buffer:
                data = self._buffer[self._start :] + data
                self._wait_with(b"", 0)
            self._process(data, 0)

    def _wait_with(self, data: bytes, start: int) -> None:
        """Keep the requests from `start` on until the one before them is answered."""
        self._buffer, self._start = (data, start) if start < len(data) else (b"", 0)

    def eof_received(self) -> bool:
        """The peer sends no more: answer its whole requests, then close. Returns whether an answer is still due."""
        self._has_peer_ended = True
        if self.phase is _ANSWER or not self._is_writable:
            return True  # `_next` closes the connection
        if self.phase is _BODY:
            self._door.connections.counters.requests_refused[HALF_REQUEST] += 1
        self._close()
        return False

    def _process(self, data: bytes, start: int) -> None:
        """Take in, refuse or hand over the requests of `data` from `start` on, up to the first that must wait."""
        # Straight on purpose: this runs for every heartbeat, and each further call would cost. Rare cases are methods.
        door, intake, end, refusals = self._door, self._intake, len(data), 0
        known_headers = door.header_cache.known
        while start < end:
            body_start = data.find(_HEADER_END, start) + 4
            if body_start < 4 or not data.startswith(PREFIX, start):
                return self._hand_over(data[start:])
            line_end = data.find(b" ", start + 21, body_start)  # in plain form the path has no space
            id_bytes, _, route = data[start + 21 : line_end].rpartition(b"/")
            if route not in _KNOWN_FIELDS:
                return self._hand_over(data[start:])
            name = id_bytes.decode("latin-1")
            block = data[line_end:body_start]
            body_bytes, keep_alive = known_headers.get(block) or door.header_cache.read(block)
            if body_bytes == NOT_PLAIN or body_start - start > door.limits.header_bytes_max:
                return self._hand_over(data[start:])
            device = intake.numbers.get(name)
            if device is None and not is_device_id(name):  # perhaps an escape, a query or a further segment
                return self._hand_over(data[start:])
            body_end = body_start + body_bytes
            if end < body_end:
                return self._await_body(data[start:])
            self._is_last = not keep_alive
            intake.received += 1
            try:
                if intake.room < 1:
                    raise intake.refusal()
                body, earliest_ns, latest_ns = data[body_start:body_end], intake.earliest_ns, intake.latest_ns
                if route == _HEARTBEAT:
                    sent_at_ns = decode_heartbeat(body, earliest_ns=earliest_ns, latest_ns=latest_ns)
                    if device is not None:
                        intake.add_heartbeat(device, sent_at_ns, self)
                elif route == _METRICS:
                    report = decode_metrics(body, earliest_ns=earliest_ns, latest_ns=latest_ns, known=intake.metrics)
                    if intake.room < report.events:
                        raise intake.refusal()
                    if device is not None:
                        intake.add_report(device, report, self)
                        intake.received += report.events - 1
                else:
                    sent_at_ns, upload_time = decode_stats(body, earliest_ns=earliest_ns, latest_ns=latest_ns)
                    if device is not None:
                        intake.add_sample(device, sent_at_ns, upload_time, self)
                if device is None:
                    return self._register(name, data, start=start, body_end=body_end)
                if b"," in body and body.count(b",") > (report.events if route == _METRICS else route == _STATS):
                    intake.unknown_fields.look(device, body, _KNOWN_FIELDS[route])
            except Answerable as error:
                if not self._refuse_event(error, data, start=start, body_end=body_end):
                    return None
                start, refusals = body_end, refusals + 1
                if refusals == REFUSALS_A_TURN_MAX and start < end:
                    return self._end_turn(data, start)
                continue
            self.phase = _ANSWER
            return self._wait_with(data, body_end) if body_end < end else None
        return None

    def _end_turn(self, data: bytes, start: int) -> None:
        """Go on with the requests from `start` on when the other connections have had their turn."""
        self._wait_with(data, start)
        self.phase = _ANSWER  # so that what arrives meanwhile waits behind these
        self._door.connections.slices.add(self._begin_turn)

    def _begin_turn(self) -> None:
        if not self._transport.is_closing():
            self.phase = _IDLE
            self._close() if self._is_stopping else self._next()

    def _await_body(self, data: bytes) -> None:
        if self._has_peer_ended:
            self._door.connections.counters.requests_refused[HALF_REQUEST] += 1
            return self._close()
        self._wait_with(data, 0)
        if self.phase is not _BODY:
            self.phase = _BODY
            self.since_s = self._door.connections.now_s
        return None

    def _is_last_answer(self, *, are_more_bytes: bool) -> bool:
        """Whether the connection closes after the answer that is due; `are_more_bytes` came after its request."""
        return self._is_last or self._is_stopping or (self._has_peer_ended and not are_more_bytes)

    def _refuse_event(self, error: Answerable, data: bytes, *, start: int, body_end: int) -> bool:
        """Refuse the request in data[start:body_end]. Returns whether those behind it are to be processed now."""
        if self._door.defines_unknown and isinstance(error, UnknownMetric):
            self._intake.received -= 1  # the ASGI path defines the metric, and counts the event again
            self._hand_over(data[start:])
            return False
        self._door.connections.counters.events_refused[error.reason] += 1
        if not self._refuse(error, is_last=self._is_last_answer(are_more_bytes=body_end < len(data))):
            return False
        if not self._is_writable:
            self._wait_with(data, body_end)
        return self._is_writable

    def _register(self, device_id: str, data: bytes, *, start: int, body_end: int) -> None:
        """Register the device, then process the request again. Raises: UnknownDevice: it must not register itself."""
        if self._door.register is None:
            raise UnknownDevice(unknown_id_advice(device_id))
        self._request = data[start:body_end]
        self._wait_with(data, body_end)
        self._intake.received -= 1  # the event is counted when the request is processed again
        self.phase = _ANSWER
        self._door.register(device_id).add_done_callback(self._registered)

    def _registered(self, outcome: "asyncio.Future[None]") -> None:
        error = outcome.exception()
        if self._transport.is_closing():
            return
        if error is None:
            self.phase = _IDLE
            self._wait_with(self._request + self._buffer[self._start :], 0)
            self._request = b""
            self._next()
            return
        if not isinstance(error, Answerable):
            raise error
        self._intake.received += 1
        self._door.connections.counters.events_refused[error.reason] += 1
        self.fail(error)

    def acknowledge(self) -> None:
        """Answer that the event is durable."""
        transport = self._transport
        if transport.is_closing():
            return
        door = self._door
        answer = door.no_content(self._server_state)
        if self._is_last or self._is_stopping or (self._has_peer_ended and not self._buffer):
            transport.write(answer[:-2] + b"connection: close\r\n\r\n")
            self._close()
            return
        transport.write(answer)
        self.phase = _IDLE
        self.since_s = door.connections.now_s
        if self._buffer:
            self._next()

    def fail(self, error: Answerable) -> None:
        """Answer that the event is not durable."""
        if (
            not self._transport.is_closing()
            and self._refuse(error, is_last=self._is_last_answer(are_more_bytes=bool(self._buffer)))
            and self._buffer
        ):
            self._next()

    def _next(self) -> None:
        """Process what arrived while an answer was due. If the peer has ended its side, close when all is answered."""
        if self._is_writable and self._buffer:
            data, start = self._buffer, self._start
            self._wait_with(b"", 0)
            self._process(data, start)
        if self._has_peer_ended:  # to read again would be reported as another end
            if self._is_writable and self.phase is not _ANSWER:
                self._close()
            return
        is_read_on = self.phase is not _ANSWER or len(self._buffer) - self._start <= BUFFER_BYTES_MAX
        if self._is_writable and is_read_on and not self._transport.is_closing():
            self._transport.resume_reading()

    def _refuse(self, error: Answerable, *, is_last: bool) -> bool:
        """Write the answer of an error. Returns whether the connection stays open."""
        self._transport.write(problem_response(error, headers=self._server_state.default_headers, is_last=is_last))
        if is_last:
            self._close()
            return False
        self.phase = _IDLE
        self.since_s = self._door.connections.now_s
        return True

    def _hand_over(self, data: bytes) -> None:
        """Give the connection to the ASGI path, with `data` as the bytes received so far."""
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
        self.phase, self._is_writable = _ANSWER, False  # the connection is the other protocol's now
        transport.set_protocol(protocol)
        protocol.connection_made(transport)
        if not self._has_peer_ended:
            transport.resume_reading()
        protocol.data_received(data)
        if self._is_stopping:
            protocol.shutdown()
        if self._has_peer_ended and not protocol.eof_received():
            transport.close()
