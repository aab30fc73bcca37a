"""The ASGI path: uvicorn's own protocol with the limits that it lacks, on header, body and time, and refusals in JSON.

Uvicorn by itself accepts a 4 MB header, and waits forever for a header that is sent at one byte a second. ASGI
middleware runs only after the header, too late to limit it, so the limits are applied here, where the bytes arrive.

The parser calls the methods `on_…`. What these raise refuses the request, so they check first, and count and dispatch
only what nothing can refuse any more: a request that was counted but never dispatched would have no deadline.
"""

import asyncio
import math
from collections import deque
from typing import Any

import httptools
import structlog
from uvicorn.config import Config
from uvicorn.server import ServerState

from fleetpulse.errors import Answerable, Busy, HeaderTooLarge, RequestTimeout, TooLarge
from fleetpulse.ingest.client_certificate import CERTIFIED
from fleetpulse.ingest.connections import HALF_REQUEST, Connections, Phase
from fleetpulse.ingest.peer import EXTENSION, Peer
from fleetpulse.ingest.problem_response import problem_response
from fleetpulse.ingest.proxies import plain_address
from fleetpulse.ingest.request_head import check_head, local_target, refusal_of_parser
from fleetpulse.ingest.sliced_input import SlicedInput

log = structlog.get_logger("edge")
CUT = "fleetpulse.cut"
"""The extension of ASGI by which the application cuts a connection whose answer has begun and cannot be finished."""
BULK_PATHS = (b"/api/v1/events", b"/api/v1/devices.csv", b"/api/v1/keys.csv")


def peer_address(transport: asyncio.BaseTransport) -> str:
    """The address of the peer without the port; "" where the transport knows none."""
    peer = transport.get_extra_info("peername")
    address = str(peer[0]) if isinstance(peer, tuple) and peer else ""
    return plain_address(address) or address if ":" in address else address


class AsgiProtocol(SlicedInput):
    """One connection on the ASGI path."""

    def __init__(
        self,
        *,
        connections: Connections,
        address: str,
        certified: str = "",
        phase: Phase,
        since_s: float,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config=config, server_state=server_state, app_state=app_state, _loop=_loop)
        self._connections = connections
        self.slices = connections.slices
        self._address = address
        self._certified = certified
        self._is_of_proxy = connections.proxies.trusts(address)
        self._limits = connections.limits
        self._header_bytes = 0
        self._unfinished_bytes = 0
        self._body_length = 0
        """The Content-Length of the request, 0 where it has none."""
        self._body_bytes = 0
        self._bulk_bytes = 0
        self._unanswered = 0
        """Requests whose header is complete and whose answer is not written yet."""
        self._refusal: Answerable | None = None
        self._is_offer = False
        """The request offers to go on in another protocol, and is to be read again without the offer."""
        self._is_ending = False
        self._has_peer_ended = False
        self.phase = phase
        self.since_s = since_s
        self.blocked_since_s = math.inf

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        """Take the connection over."""
        super().connection_made(transport)
        self.client = (self._address, self.client[1] if self.client else 0)
        self._peer = Peer(transport, transport.get_extra_info("socket"), self._address)

    def connection_lost(self, exc: Exception | None) -> None:
        """Count the connection out."""
        super().connection_lost(exc)
        self._release_bulk()
        self._connections.leave(self, self._address)

    def whole_bytes(self) -> int:
        """See SlicedInput."""
        return self._body_length - self._body_bytes if self.phase is Phase.BODY else 0

    def receive(self, data: memoryview) -> None:
        """Parse within the limits. A refusal is written after the answers due before it, and ends the connection."""
        if self._refusal is not None:
            return
        before, body_bytes = self.phase, self._body_bytes
        try:
            self._parse(data)
        except httptools.HttpParserError as error:
            self._refuse(refusal_of_parser(error))
        else:
            # The parser reports no part of a header, trailer or chunk extension before its end, so its bytes are
            # counted here. Bytes that follow an earlier request in this piece are not: the size of a piece bounds them.
            is_header = self.phase is Phase.HEADER and before is not Phase.BODY and b"\r\n\r\n" not in bytes(data)
            is_trailer = self.phase is before is Phase.BODY and self._body_bytes == body_bytes
            self._unfinished_bytes = self._unfinished_bytes + len(data) if is_header or is_trailer else 0
            if self._unfinished_bytes > self._limits.header_bytes_max:
                self._refuse(self._header_too_large())

    def _parse(self, rest: memoryview) -> None:
        """Parse all bytes. The parser stops behind each header with an offer to go on in another protocol (`Upgrade`).

        It would take what follows for that protocol, and so lose the body. We ignore the offer (RFC 9110, 7.8): a new
        parser is given the same header without it, and then the bytes that follow.
        """
        while True:
            try:
                self.parser.feed_data(rest)
            except httptools.HttpParserUpgrade as stop:
                rest = rest[stop.args[0] :]
                head = self._head_without_offer()
                self.parser = httptools.HttpRequestParser(self)
                self.parser.set_dangerous_leniencies(lenient_data_after_close=True)  # as uvicorn does
                self.parser.feed_data(head)
            else:
                return

    def _head_without_offer(self) -> bytes:
        parser = self.parser
        version = parser.get_http_version().encode()
        lines = [b"%s %s HTTP/%s" % (parser.get_method(), self.url, version)]
        lines += [b"%s: %s" % header for header in self.headers if header[0] != b"upgrade"]
        return b"\r\n".join([*lines, b"", b""])

    def receive_end(self) -> bool:
        """The peer sends no more: answer its whole requests, then close. Returns whether an answer is still due."""
        self._has_peer_ended = True
        self.flow.read_paused = False  # so that nothing resumes reading: the end would be reported again
        if self._is_ending or self.transport.is_closing():
            return False
        if self._refusal is None and self.phase in (Phase.HEADER, Phase.BODY):
            self._connections.counters.requests_refused[HALF_REQUEST] += 1
            self._drop_unread()
            self._move(Phase.ANSWER)
        if self._unanswered and self._refusal is None:
            self.cycle.keep_alive = False  # the last answer says that the connection ends
        return self._unanswered > 0 and self.transport.can_write_eof()

    def _move(self, phase: Phase) -> None:
        self.phase = phase
        self.since_s = self._connections.now_s

    def on_message_begin(self) -> None:
        """Begin to count a request."""
        super().on_message_begin()
        self.scope["extensions"] = {EXTENSION: self._peer, CUT: self.cut, CERTIFIED: self._certified}  # type: ignore[dict-item]  # ASGI allows any further ones
        self._is_offer = False
        self._header_bytes = 0
        self._unfinished_bytes = 0
        self._body_length = self._body_bytes = 0
        self._move(Phase.HEADER)

    def on_url(self, url: bytes) -> None:
        """Count the bytes. Raises: HeaderTooLarge."""
        super().on_url(url)
        self._count_header(len(url))

    def on_header(self, name: bytes, value: bytes) -> None:
        """Count the header and its bytes. Raises: HeaderTooLarge."""
        self._count_header(len(name) + len(value) + 4)
        if self.phase is Phase.BODY:
            return  # a trailer, which must not change what the header says
        super().on_header(name, value)
        if len(self.headers) > self._limits.header_count_max:
            raise HeaderTooLarge(
                f"the request has more than {self._limits.header_count_max} headers (header_count_max)",
                reason="header_count",
            )

    def _count_header(self, size_bytes: int) -> None:
        self._header_bytes += size_bytes
        if self._header_bytes > self._limits.header_bytes_max:
            raise self._header_too_large()

    def _header_too_large(self) -> HeaderTooLarge:
        return HeaderTooLarge(
            f"the header is larger than {self._limits.header_bytes_max} bytes (header_bytes_max)", reason="header_bytes"
        )

    def on_headers_complete(self) -> None:
        """Refuse what the header alone shows to be wrong, before a body is sent; else start the request.

        Raises: Answerable.
        """
        method = self.parser.get_method()
        if self.parser.should_upgrade() and method != b"CONNECT":
            self._is_offer = True
            return
        check_head(self.parser.get_http_version(), self.headers)
        self.url = local_target(method, self.url)
        for name, value in self.headers:
            if name == b"content-length":
                self._body_length = int(value)
                self._check_body(self._body_length)
        if self._is_of_proxy:
            self._take_client()
        self._peer.is_modern = self.parser.get_http_version() != "1.0"
        super().on_headers_complete()
        self._unanswered += 1
        self._move(Phase.BODY)

    def _take_client(self) -> None:
        client = self._connections.proxies.client_of(self.headers, self._address)
        self.scope["client"] = (client.address, 0)
        self.scope["scheme"] = "https" if client.is_https else self.scheme or "http"

    def on_body(self, body: bytes) -> None:
        """Count the bytes of the body. Raises: TooLarge; Busy: all bulk bodies together are over their limit."""
        self._body_bytes += len(body)
        self._check_body(self._body_bytes)
        if self._is_bulk():
            self._bulk_bytes += len(body)
            self._connections.bulk_bytes_held += len(body)
            bytes_max = self._limits.bulk_bytes_held_max
            if self._connections.bulk_bytes_held > bytes_max:
                raise Busy(
                    f"the bulk bodies in memory are larger than {bytes_max} bytes (bulk_bytes_held_max); "
                    "send this one again after the seconds of Retry-After",
                    reason="bulk_bytes",
                )
        super().on_body(body)

    def _release_bulk(self) -> None:
        self._connections.bulk_bytes_held -= self._bulk_bytes
        self._bulk_bytes = 0

    def _is_bulk(self) -> bool:
        return self.url.split(b"?", 1)[0] in BULK_PATHS

    def _check_body(self, size_bytes: int) -> None:
        setting = "bulk_body_bytes_max" if self._is_bulk() else "body_bytes_max"
        bytes_max = getattr(self._limits, setting)
        if size_bytes > bytes_max:
            raise TooLarge(
                f"the body is larger than {bytes_max} bytes ({setting}); send it in parts", reason="body_bytes"
            )

    def on_message_complete(self) -> None:
        """The request is complete, so only the time that the peer takes to read the answer is limited from now on."""
        if self._is_offer:
            return
        super().on_message_complete()
        self.cycle.more_body = False  # uvicorn leaves this as it was where the request was answered before its end
        self._move(Phase.ANSWER if self._unanswered else Phase.IDLE)

    def on_response_complete(self) -> None:
        """An answer is written."""
        self._unanswered -= 1
        super().on_response_complete()
        if not self._unanswered:
            self._release_bulk()
            if self.phase is Phase.ANSWER:
                self._move(Phase.IDLE)
            self._write_refusal()
            if self._has_peer_ended and not self._is_ending:
                self._close()

    def _refuse(self, error: Answerable) -> None:
        self._connections.counters.requests_refused[error.reason] += 1
        log.info("a request was refused and its connection ended", peer=self._address, reason=error.reason)
        self._end_with(error)

    def _end_with(self, error: Answerable) -> None:
        self._refusal = error
        cycle = self.cycle
        if cycle is not None and cycle.response_complete and cycle.more_body:
            # The request was answered before its body was complete. The peer would take a second answer for that to its
            # next request.
            self._close()
            return
        self._drop_unread()
        self._move(Phase.ANSWER)  # the deadlines of what it still sends no longer matter
        if not self._unanswered:
            self._write_refusal()

    def _drop_unread(self) -> None:
        """End the request whose body is not complete, if there is one: its handler waits for bytes or for its turn."""
        cycle = self.cycle
        if self._unanswered and cycle.more_body and not cycle.response_complete:
            self._unanswered -= 1
            cycle.disconnected = True
            cycle.message_event.set()
            self.pipeline = deque(entry for entry in self.pipeline if entry[0] is not cycle)

    def _write_refusal(self) -> None:
        if self._refusal is not None and not self._is_ending and not self.transport.is_closing():
            headers = self.server_state.default_headers
            accept = ", ".join(value.decode("latin-1") for name, value in self.headers or () if name == b"accept")
            self._connections.counters.requests.unread(self._refusal.status)
            self.transport.write(problem_response(self._refusal, headers=headers, is_last=True, accept=accept))
            if self._has_peer_ended or not self.transport.can_write_eof():
                self._close()  # TLS ends both sides, and reads on until the peer has ended its own
            else:
                # Closing both sides while the peer still sends would reset the connection and lose the answer.
                self.transport.write_eof()
                self._await_end()

    def _close(self) -> None:
        self.transport.close()
        self._await_end()

    def _await_end(self) -> None:
        self._is_ending = True
        self.phase = Phase.ANSWER
        self.blocked_since_s = self._connections.now_s

    def pause_writing(self) -> None:
        """The peer does not read its answers."""
        super().pause_writing()
        self.blocked_since_s = self._connections.now_s

    def resume_writing(self) -> None:
        """The peer reads again."""
        super().resume_writing()
        if not self._is_ending:
            self.blocked_since_s = math.inf

    def cut(self) -> None:
        """See TimedConnection."""
        self.transport.abort()

    def time_out(self, error: RequestTimeout | None) -> None:
        """See TimedConnection."""
        if error is None:
            self.transport.abort()
        else:
            self._end_with(error)  # Connections.sweep has counted it
