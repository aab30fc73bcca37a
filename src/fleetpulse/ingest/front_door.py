"""The front door: it answers the common requests of devices itself, and hands every other connection over.

    POST /api/v1/devices/{id}/heartbeat|stats|metrics    in plain form: read here, answered when the event is durable
    anything else                                        the connection is handed over to `asgi_protocol.py` for good

Plain form means: the header came in one piece, and has no unusual method, query, escape, coding or header. The front
door decides nothing about any other form, so it cannot disagree with the ASGI path about it. It works on one request of
a connection at a time. Requests that are pipelined behind it wait in a buffer, so that answers are in order.
"""

import asyncio
from time import monotonic

from fleetpulse.errors import Answerable, Refusal, UnknownDevice, UnknownMetric
from fleetpulse.ingest.connections import HALF_REQUEST
from fleetpulse.ingest.door_connection import ANSWER, BODY, IDLE, DoorConnection
from fleetpulse.ingest.header_cache import NOT_PLAIN
from fleetpulse.ingest.plain_report import KNOWN_FIELDS, take_report
from fleetpulse.model.access import Attempt
from fleetpulse.model.device import is_device_id

PREFIX = b"POST /api/v1/devices/"
_HEADER_END = b"\r\n\r\n"
BUFFER_BYTES_MAX = 131_072
"""Bytes that wait behind the request being answered. Beyond it the socket is not read until there is room again."""
REFUSALS_A_TURN_MAX = 64
"""Pipelined requests that are refused in one go, a millisecond's work. Then other connections get their turn."""


class FrontDoor(DoorConnection):
    """What is read of a connection, and what becomes of it."""

    __slots__ = ()

    def data_received(self, data: bytes) -> None:
        """Process complete requests, and buffer the rest."""
        if self.phase is ANSWER or not self._is_writable:
            self._wait_with(self._buffer[self._start :] + data, 0)
            if len(self._buffer) > BUFFER_BYTES_MAX:
                self._transport.pause_reading()
        else:
            if self._buffer:
                data = self._buffer[self._start :] + data
                self._wait_with(b"", 0)
            self._process(data, 0)

    def eof_received(self) -> bool:
        """The peer sends no more: answer its whole requests, then close. Returns whether an answer is still due."""
        self._has_peer_ended = True
        if self.phase is ANSWER or not self._is_writable:
            return self._transport.can_write_eof()  # `_next` closes the connection; TLS closes it at once
        if self.phase is BODY:
            self._door.connections.counters.requests_refused[HALF_REQUEST] += 1
        self._close()
        return False

    def _process(self, data: bytes, start: int) -> None:
        """Take in, refuse or hand over the requests of `data` from `start` on, up to the first that must wait."""
        # Straight on purpose: this runs for every heartbeat, and each further call would cost. Rare cases are methods.
        door, intake, end, refusals = self._door, self._intake, len(data), 0
        headers, is_protected = door.header_cache, door.gate.is_protected
        while start < end:
            body_start = data.find(_HEADER_END, start) + 4
            if body_start < 4 or not data.startswith(PREFIX, start):
                return self._hand_over(data[start:])
            line_end = data.find(b" ", start + 21, body_start)  # in plain form the path has no space
            id_bytes, _, route = data[start + 21 : line_end].rpartition(b"/")
            if route not in KNOWN_FIELDS:
                return self._hand_over(data[start:])
            if is_protected:
                key, body_bytes, keep_alive = headers.look(data, line_end, body_start)
            else:
                block = data[line_end:body_start]
                key, (body_bytes, keep_alive) = b"", headers.known.get(block) or headers.read(block)
            if body_bytes == NOT_PLAIN or body_start - start > door.limits.header_bytes_max:
                return self._hand_over(data[start:])
            name = id_bytes.decode("latin-1")
            device = intake.numbers.get(name)
            if device is None and not is_device_id(name):  # perhaps an escape, a query or a further segment
                return self._hand_over(data[start:])
            body_end = body_start + body_bytes
            if end < body_end:
                return self._await_body(data[start:], key)
            self._is_last = not keep_alive
            is_let_in = not is_protected or (not key and device is not None and self._certified == name)
            refusal = None if is_let_in else door.gate.refusal_of(key, device)
            if refusal is None:
                intake.received += 1
                try:
                    take_report(intake, door.lanes, route, device, data[body_start:body_end], self)
                    if device is None:
                        return self._register(name, data, start=start, body_end=body_end)
                except Answerable as error:
                    goes_on = self._refuse_event(error, device, data, start=start, body_end=body_end, route=route)
                else:
                    self.phase = ANSWER
                    arrived = intake.batch.arrived
                    if arrived is not None:
                        arrived[route].append(monotonic())
                    return self._wait_with(data, body_end) if body_end < end else None
            else:
                goes_on = self._refuse_report(refusal, key, data, start=start, body_end=body_end, route=route)
            if not goes_on:
                return None
            start, refusals = body_end, refusals + 1
            if refusals == REFUSALS_A_TURN_MAX and start < end:
                return self._end_turn(data, start)
        return None

    def _end_turn(self, data: bytes, start: int) -> None:
        """Go on with the requests from `start` on when the other connections have had their turn."""
        self._wait_with(data, start)
        self.phase = ANSWER  # so that what arrives meanwhile waits behind these
        self._door.connections.slices.add(self._begin_turn)

    def _begin_turn(self) -> None:
        if not self._transport.is_closing():
            self.phase = IDLE
            self._close() if self._is_stopping else self._next()

    def _await_body(self, data: bytes, key: bytes) -> None:
        if key and not is_plain_key(key):
            return self._hand_over(data)
        if self._has_peer_ended:
            self._door.connections.counters.requests_refused[HALF_REQUEST] += 1
            return self._close()
        self._wait_with(data, 0)
        if self.phase is not BODY:
            self.phase = BODY
            self.since_s = self._door.connections.now_s
        return None

    def _refuse_event(
        self, error: Answerable, device: int | None, data: bytes, *, start: int, body_end: int, route: bytes
    ) -> bool:
        """Refuse the event in data[start:body_end]. Returns whether the requests behind it are to be processed now."""
        if self._door.defines_unknown and isinstance(error, UnknownMetric):
            self._intake.received -= 1  # the ASGI path defines the metric, and counts the event again
            self._hand_over(data[start:])
            return False
        if isinstance(error, Refusal) and device is not None:
            self._door.lanes.charge_refused(device)
        self._door.connections.counters.events_refused[error.reason] += 1
        return self._refuse_and_go_on(error, data, body_end, route)

    def _refuse_report(
        self, error: Answerable, key: bytes, data: bytes, *, start: int, body_end: int, route: bytes
    ) -> bool:
        """Refuse the request in data[start:body_end] without a look at its body. Returns: as `_refuse_event`."""
        is_new = self._door.register is not None and isinstance(error, UnknownDevice)
        is_left = is_new or self._door.hands_over(error, key)
        if is_left or (self._certified and not key) or (key and not is_plain_key(key)):
            # A device that nobody knows may come into the scope of the key, which the ASGI path sees to, and it says
            # what a certificate does not allow. And what was cut out as the key may be more than a key: whether the
            # header is well-formed comes first.
            self._hand_over(data[start:])
            return False
        attempt = Attempt(key, self._client_address(data, start), operation="heartbeat")
        error = self._door.gate.refused(error, attempt)
        return self._refuse_and_go_on(error, data, body_end, route)

    def _refuse_and_go_on(self, error: Answerable, data: bytes, body_end: int, route: bytes) -> bool:
        self._door.connections.counters.requests.refused(route, error.status)
        if not self._refuse(error, is_last=self._is_last_answer(are_more_bytes=body_end < len(data))):
            return False
        if not self._is_writable:
            self._wait_with(data, body_end)
        return self._is_writable

    def _register(self, device_id: str, data: bytes, *, start: int, body_end: int) -> None:
        """Register the device, then process the request again. Raises: UnknownDevice: it must not register itself."""
        if self._door.register is None:
            raise self._door.unknown(device_id)
        self._request = data[start:body_end]
        self._wait_with(data, body_end)
        self._intake.received -= 1  # the event is counted when the request is processed again
        self.phase = ANSWER
        self._door.register(device_id).add_done_callback(self._registered)

    def _registered(self, outcome: "asyncio.Future[None]") -> None:
        error = outcome.exception()
        if self._transport.is_closing():
            return
        if error is None:
            self.phase = IDLE
            self._wait_with(self._request + self._buffer[self._start :], 0)
            self._request = b""
            self._next()
            return
        if not isinstance(error, Answerable):
            raise error
        self._intake.received += 1
        counters = self._door.connections.counters
        counters.events_refused[error.reason] += 1
        counters.requests.refused(self._request.split(b" ", 2)[1].rpartition(b"/")[2], error.status)
        self._request = b""
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
        self.phase = IDLE
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
            if self._is_writable and self.phase is not ANSWER:
                self._close()
            return
        is_read_on = self.phase is not ANSWER or len(self._buffer) - self._start <= BUFFER_BYTES_MAX
        if self._is_writable and is_read_on and not self._transport.is_closing():
            self._transport.resume_reading()


def is_plain_key(key: bytes) -> bool:
    """Whether what was cut out of a header as a key has no byte that a key never has, and so hides nothing else."""
    return key.replace(b"_", b"").isalnum()
