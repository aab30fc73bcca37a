"""All open connections: how many there may be, and how long each may take.

One sweep a few times a second checks the deadlines of all connections, since a timer for each request would cost more.
"""

from collections import Counter
from enum import IntEnum
from typing import Protocol

from fleetpulse.errors import RequestTimeout
from fleetpulse.ingest.proxies import NO_PROXIES, TrustedProxies
from fleetpulse.ingest.slices import Slices
from fleetpulse.limits import IngestLimits
from fleetpulse.telemetry.counters import Counters

HALF_REQUEST = "half_request"
"""The reason under which requests are counted that end in their midst, because the peer ended its sending side."""


class Phase(IntEnum):
    """What the service is waiting for on a connection."""

    FIRST_BYTE = 0
    HEADER = 1
    BODY = 2
    IDLE = 3
    ANSWER = 4
    """The peer waits for our answer, or the connection is closing: only the time to read our answers is limited."""


class TimedConnection(Protocol):
    """A connection as the sweep sees it."""

    phase: Phase
    since_s: float
    blocked_since_s: float
    """Since when the peer has not read what we wrote, or has not closed its side; infinity where neither is due."""

    def time_out(self, error: RequestTimeout | None) -> None:
        """End the connection, after the answer `error`; None where no request has begun."""
        ...

    def cut(self) -> None:
        """End the connection at once, even if the peer has not read all answers."""
        ...


class Connections:
    """The open connections of the service, of the front door and of the ASGI path."""

    def __init__(self, limits: IngestLimits, counters: Counters, *, proxies: TrustedProxies = NO_PROXIES) -> None:
        self.proxies = proxies
        self.limits = limits
        self.counters = counters
        self.now_s = 0.0
        """The event loop's time at the last sweep: exact enough for deadlines of seconds, and free to read."""
        self.bulk_bytes_held = 0
        """Bytes of all bulk bodies that are not answered yet."""
        self.slices = Slices()
        """The work of connections that have sent more than fits into one go."""
        self._open: set[TimedConnection] = set()
        self._of_address: Counter[str] = Counter()
        seconds = (limits.first_byte_s, limits.header_s, limits.body_s, limits.idle_s)
        self._seconds = dict(zip((Phase.FIRST_BYTE, Phase.HEADER, Phase.BODY, Phase.IDLE), seconds, strict=True))
        self.sweep_interval_s = min(0.5, min(*seconds, limits.write_s) / 4)

    def __len__(self) -> int:
        return len(self._open)

    def admit(self, connection: TimedConnection, address: str) -> bool:
        """Count a new connection. Returns False where there are too many: the caller must close it."""
        if len(self._open) >= self.limits.connections_max:
            self.counters.connections_refused["connections"] += 1
            return False
        is_full = self._of_address[address] >= self.limits.connections_per_address_max
        if is_full and not self.proxies.trusts(address):  # all clients of a proxy come from its address
            self.counters.connections_refused["connections_per_address"] += 1
            return False
        self.counters.connections_opened += 1
        self._open.add(connection)
        self._of_address[address] += 1
        return True

    def replace(self, old: TimedConnection, new: TimedConnection) -> None:
        """Count `new` in the place of `old`, which has handed its connection over."""
        self._open.discard(old)
        self._open.add(new)

    def rename(self, connection: TimedConnection, address: str, client: str) -> bool:
        """Count an open connection as that of `client`. Returns False where it has too many: the caller must end it."""
        self.leave(connection, address)
        is_admitted = self.admit(connection, client)
        self.counters.connections_opened -= is_admitted  # it was counted before
        return is_admitted

    def leave(self, connection: TimedConnection, address: str) -> None:
        """Count a connection out, unless it was not admitted."""
        if connection in self._open:
            self._open.discard(connection)
            self._of_address[address] -= 1
            if not self._of_address[address]:
                del self._of_address[address]

    def sweep(self, now_s: float) -> None:
        """End the connections whose deadline has passed. `now_s` is the time of the event loop."""
        self.now_s = now_s
        for connection in list(self._open):
            if now_s - connection.blocked_since_s > self.limits.write_s:
                self.counters.requests_refused["write_timeout"] += 1
                connection.cut()
                continue
            limit_s = self._seconds.get(connection.phase)
            if limit_s is not None and now_s - connection.since_s > limit_s:
                phase = connection.phase
                reason = f"{phase.name.lower()}_timeout"
                self.counters.requests_refused[reason] += 1
                is_silent = phase in (Phase.FIRST_BYTE, Phase.IDLE)
                text = f"the rest of the request's {phase.name.lower()} did not come within {limit_s:g} s"
                connection.time_out(None if is_silent else RequestTimeout(text, reason=reason))
