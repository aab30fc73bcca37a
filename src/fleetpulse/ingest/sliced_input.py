"""Input in slices: what one connection sends is parsed for a few milliseconds at a time, so that others get their turn.

A read of a socket brings up to 256 KB at once, and many reads may follow each other. That is 9,000 pipelined requests,
or 40,000 chunks of one byte: each costs a call or more into Python.
"""

import asyncio

from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from fleetpulse.ingest.slices import Slices

PIECE_BYTES = 4_096
"""Parsed in one go: at most 150 requests, or 680 chunks of a body."""
SLICE_S = 0.003
"""Pieces are parsed for so long before other connections get their turn."""


class _Flow(FlowControl):
    """Uvicorn's flow control, which resumes reading after each answer: not while anything is unread."""

    def __init__(self, transport: asyncio.Transport, protocol: "SlicedInput") -> None:
        super().__init__(transport)
        self._protocol = protocol

    def resume_reading(self) -> None:
        if not self._protocol.has_unread:
            super().resume_reading()


class SlicedInput(HttpToolsProtocol):
    """Uvicorn's protocol, which reads no further while requests wait that were pipelined.

    What is not parsed yet is kept, and the socket is not read meanwhile. A protocol of it implements `receive`, and has
    the `slices` in which all connections take turns.
    """

    slices: Slices
    _unread: memoryview = memoryview(b"")
    _has_unread_end = False
    """The peer has ended its side behind what is not parsed yet."""

    @property
    def has_unread(self) -> bool:
        """Whether anything is received and not parsed yet."""
        return bool(self._unread)

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn does
        """Take the connection."""
        super().connection_made(transport)
        self.flow = _Flow(transport, self)

    def receive(self, data: memoryview) -> None:
        """Parse a piece of what the peer sent."""
        raise NotImplementedError  # each protocol has its own

    def receive_end(self) -> bool:
        """The peer sends no more. Returns whether an answer is still due."""
        raise NotImplementedError  # each protocol has its own

    def whole_bytes(self) -> int:
        """How many of the next bytes belong together, and so cost little: those of a body with a Content-Length."""
        return 0

    def data_received(self, data: bytes) -> None:
        """Parse, for a slice of time."""
        if self._unread:
            self._keep(memoryview(bytes(self._unread) + data))
        else:
            self._parse_slice(memoryview(data))

    def eof_received(self) -> bool:  # type: ignore[override]  # uvicorn never keeps a connection open here
        """See `receive_end`; the end comes after what is not parsed yet."""
        if self._unread:
            self._has_unread_end = True
            self.flow.read_paused = False  # so that nothing resumes reading: the end would be reported again
            return True
        return self.receive_end()

    def connection_lost(self, exc: Exception | None) -> None:
        """Parse no more."""
        self._unread = memoryview(b"")
        super().connection_lost(exc)

    def on_response_complete(self) -> None:
        """An answer is written: go on when no parsed request waits any more."""
        super().on_response_complete()
        if self._unread and not self.pipeline:
            self.slices.add(self._go_on)

    def _parse_slice(self, data: memoryview) -> None:
        self._unset_keepalive_if_required()
        until_s = self.loop.time() + SLICE_S
        while data and not self.transport.is_closing():
            size_bytes = max(PIECE_BYTES, self.whole_bytes())
            self.receive(data[:size_bytes])
            data = data[size_bytes:]
            if data and (self.pipeline or self.loop.time() >= until_s):
                self._keep(data)
                if not self.pipeline:
                    self.slices.add(self._go_on)
                return
        self._unread = memoryview(b"")

    def _keep(self, data: memoryview) -> None:
        self._unread = data
        if not self._has_unread_end:
            self.flow.pause_reading()

    def _go_on(self) -> None:
        if not self._unread or self.pipeline or self.transport.is_closing():
            return
        self._parse_slice(self._unread)
        if self._unread or self.transport.is_closing():
            return
        if self._has_unread_end:
            if not self.receive_end():
                self.transport.close()
        else:
            self.flow.resume_reading()
