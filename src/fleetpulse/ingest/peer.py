"""The other end of a connection, as whoever answers a request sees it: it tells whether anybody waits for the answer.

    state by TCP       what the peer did                              does it wait?
    CLOSE              it reset the connection                        no
    CLOSE_WAIT         it ended its sending side, or closed both      asked with `100 Continue`, see below
    any other          nothing                                        yes

A client that closed its connection altogether sends the same end as one that only sends no more and still reads. What
tells them apart is the answer to further bytes: the kernel of the first resets the connection. So whoever has ended
its side and waits for longer than `ASK_AFTER_S` gets an interim answer, `100 Continue`, which every client of HTTP/1.1
must skip (RFC 9110, 15.2), and again every `ASK_AGAIN_S`. HTTP/1.0 has no interim answers, so such a client is believed
to wait.

The state is read from the socket, because neither an end nor a reset is reported while a connection is not read.
"""

import socket
import sys
import time
from typing import Protocol

ASK_AFTER_S = 0.05
ASK_AGAIN_S = 5.0
INTERIM = b"HTTP/1.1 100 Continue\r\n\r\n"
_CLOSE, _CLOSE_WAIT = 7, 8
EXTENSION = "fleetpulse.peer"
"""The name under which the ASGI scope has the peer."""


class Connection(Protocol):
    """What a peer needs of its connection, such as a transport of asyncio has it."""

    def is_closing(self) -> bool:
        """Whether we are closing it, or have lost it."""
        ...

    def write(self, data: bytes, /) -> None:
        """Send bytes."""
        ...

    def get_write_buffer_size(self) -> int:
        """How many bytes are not sent yet."""
        ...


class Peer:
    """The peer of one connection, while a request of it is worked on and no byte of its answer is written."""

    __slots__ = ("_ask_at_s", "_socket", "_transport", "address", "is_modern")

    def __init__(self, transport: Connection, peer_socket: socket.socket | None, address: str) -> None:
        self.address = address
        self.is_modern = True
        """Whether its latest request is of HTTP/1.1, so that interim answers may be sent."""
        self._transport = transport
        self._socket = peer_socket
        self._ask_at_s: float | None = None

    def has_hung_up(self, now_s: float | None = None) -> bool:
        """Whether nobody waits for the answer any more. May send an interim answer, so call it only before the answer.

        Args: now_s: by the monotonic clock; tests give it.
        """
        if self._transport.is_closing():
            return True
        state = self._state()
        if state != _CLOSE_WAIT:
            return state == _CLOSE
        now_s = time.monotonic() if now_s is None else now_s
        if self._ask_at_s is None:
            self._ask_at_s = now_s + ASK_AFTER_S
        elif now_s >= self._ask_at_s and self.is_modern and not self._transport.get_write_buffer_size():
            self._ask_at_s = now_s + ASK_AGAIN_S
            self._transport.write(INTERIM)
        return False

    def _state(self) -> int:
        """The state of the connection by TCP; 0 where the system does not tell."""
        if self._socket is None or sys.platform != "linux":
            return 0
        try:
            return self._socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0]
        except OSError:
            return 0  # no TCP: a socket of the file system has no such states
