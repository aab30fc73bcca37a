"""The ASGI path: uvicorn's own protocol with the limits that it lacks, on header, body and time, and refusals in JSON.

Uvicorn by itself accepts a 4 MB header, and waits forever for a header that is sent at one byte a second. ASGI
middleware runs only after the header, too late to limit it, so the limits are applied here, where the bytes arrive.
"""

import asyncio
import math
from collections import deque
from typing import Any

import httptools
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from fleetpulse.errors import Answerable, Busy, HeaderTooLarge, Malformed, RequestTimeout, TooLarge
from fleetpulse.ingest.connections import Connections, Phase
from fleetpulse.ingest.problem_response import problem_response

BULK_PATHS = (b"/api/v1/events", b"/api/v1/devices.csv")


def peer_address(transport: asyncio.BaseTransport) -> str:
    """The address of the peer without the port; "" where the transport knows none."""
    peer = transport.get_extra_info("peername")
    return str(peer[0]) if isinstance(peer, tuple) and peer else ""


class AsgiProtocol(HttpToolsProtocol):
    """One connection on the ASGI path."""

    def __init__(
        self,
        *,
        connections: Connections,
        address: str,
        phase: Phase,
        since_s: float,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config=config, server_state=server_state, app_state=app_state, _loop=_loop)
        self._connections = connections
        self._address = address
        self._limits = connections.limits
        self._header_bytes = 0
        self._unfinished_bytes = 0
        self._body_bytes = 0
        self._bulk_bytes = 0
        self._unanswered = 0
        """Requests whose header is complete and whose answer is not written yet."""
        self._refusal: Answerable | None = None
        self._is_ending = False
        self.phase = phase
        self.since_s = since_s
        self.blocked_since_s = math.inf

    def connection_lost(self, exc: Exception | None) -> None:
        """Count the connection out."""
        super().connection_lost(exc)
        self._release_bulk()
        self._connections.leave(self, self._address)

    def data_received(self, data: bytes) -> None:
        """Parse within the limits. A refusal is written after the answers due before it, and ends the connection."""
        if self._refusal is not None or self.transport.is_closing():
            return
        self._unset_keepalive_if_required()
        before, body_bytes = self.phase, self._body_bytes
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self._refuse(Malformed("this server speaks HTTP/1.1 only; send no Upgrade header", reason="upgrade"))
        except httptools.HttpParserError as error:
            cause = error.__context__
            known = cause if isinstance(cause, Answerable) else None
            self._refuse(known or Malformed(f"not HTTP/1.1: {error}", reason="not_http"))
        else:
            # The parser reports no part of a header, trailer or chunk extension before its end, so its bytes are
            # counted here. Bytes that follow an earlier request in this piece are not: the size of a piece bounds them.
            is_header = self.phase is Phase.HEADER and before is not Phase.BODY and b"\r\n\r\n" not in data
            is_trailer = self.phase is before is Phase.BODY and self._body_bytes == body_bytes
            self._unfinished_bytes = self._unfinished_bytes + len(data) if is_header or is_trailer else 0
            if self._unfinished_bytes > self._limits.header_bytes_max:
                self._refuse(self._header_too_large())

    def _move(self, phase: Phase) -> None:
        self.phase = phase
        self.since_s = self._connections.now_s

    def on_message_begin(self) -> None:
        """Begin to count a request."""
        super().on_message_begin()
        self._header_bytes = 0
        self._unfinished_bytes = 0
        self._body_bytes = 0
        self._move(Phase.HEADER)

    def on_url(self, url: bytes) -> None:
        """Count the bytes. Raises: HeaderTooLarge."""
        super().on_url(url)
        self._count_header(len(url))

    def on_header(self, name: bytes, value: bytes) -> None:
        """Count the header and its bytes. Raises: HeaderTooLarge."""
        super().on_header(name, value)
        self._count_header(len(name) + len(value) + 4)
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
        """Refuse a body whose Content-Length is over the limit before it is sent; else start the request."""
        for name, value in self.headers:
            if name == b"content-length" and value.isdigit():
                self._check_body(int(value))
        self._move(Phase.BODY)
        self._unanswered += 1
        super().on_headers_complete()

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
        self._move(Phase.ANSWER)
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """An answer is written."""
        self._unanswered -= 1
        super().on_response_complete()
        if not self._unanswered:
            self._release_bulk()
            if self.phase is Phase.ANSWER:
                self._move(Phase.IDLE)
            self._write_refusal()

    def _refuse(self, error: Answerable) -> None:
        self._connections.counters.requests_refused[error.reason] += 1
        self._end_with(error)

    def _end_with(self, error: Answerable) -> None:
        self._refusal = error
        cycle = self.cycle
        if cycle is not None and cycle.response_complete and cycle.more_body:
            # The request was answered before its body was complete. The peer would take a second answer for that to its
            # next request.
            self._close()
            return
        if self._unanswered and cycle.more_body and not cycle.response_complete:
            # The refused request has begun: its handler waits for its turn, or for a body that will not arrive.
            self._unanswered -= 1
            cycle.disconnected = True
            cycle.message_event.set()
            self.pipeline = deque(entry for entry in self.pipeline if entry[0] is not cycle)
        if not self._unanswered:
            self._write_refusal()

    def _write_refusal(self) -> None:
        if self._refusal is not None and not self._is_ending and not self.transport.is_closing():
            headers = self.server_state.default_headers
            accept = ", ".join(value.decode("latin-1") for name, value in self.headers or () if name == b"accept")
            self.transport.write(problem_response(self._refusal, headers=headers, is_last=True, accept=accept))
            # End only our side. Closing both while the peer still sends would reset the connection and lose the answer.
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
