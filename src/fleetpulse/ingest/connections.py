"""All open connections: how many there may be, and how long each may take.

Deadlines are swept a few times a second instead of one timer a request: a request that comes in one piece sets no timer.
"""

from collections import Counter
from enum import IntEnum
from typing import Protocol

from fleetpulse.errors import RequestTimeout
from fleetpulse.limits import IngestLimits
from fleetpulse.telemetry.counters import Counters


class Phase(IntEnum):
    """What a connection is waiting for."""

    FIRST_BYTE = 0
    HEADER = 1
    BODY = 2
    IDLE = 3
    ANSWER = 4
    """It waits for us, or is closing: only the deadline for reading our answers runs."""


class Timed(Protocol):
    """A connection as the sweeper sees it."""

    phase: Phase
    since_s: float
    blocked_since_s: float
    """Since when it does not read what we wrote, or is closing and has not; infinity where it does."""

    def time_out(self, error: RequestTimeout | None) -> None:
        """End the connection, with an answer where a request had begun."""
        ...

    def cut(self) -> None:
        """End the connection, whatever is still unread."""
        ...


class Connections:
    """The open connections of the node, over both protocol classes."""

    def __init__(self, limits: IngestLimits, counters: Counters) -> None:
        self.limits = limits
        self.counters = counters
        self.now_s = 0.0
        """The loop's time at the last sweep: good enough for deadlines of seconds, and free to read."""
        self.bulk_bytes_held = 0
        """Bytes of bulk bodies that are not answered yet, over all connections."""
        self._open: set[Timed] = set()
        self._of_address: Counter[str] = Counter()
        seconds = (limits.first_byte_s, limits.header_s, limits.body_s, limits.idle_s)
        self._seconds = dict(zip((Phase.FIRST_BYTE, Phase.HEADER, Phase.BODY, Phase.IDLE), seconds, strict=True))
        self.sweep_interval_s = min(0.5, min(*seconds, limits.write_s) / 4)

    def __len__(self) -> int:
        return len(self._open)

    def admit(self, connection: Timed, address: str) -> bool:
        """Count a new connection in; False where it is one too many and must be closed."""
        if len(self._open) >= self.limits.connections_max:
            self.counters.connections_refused["connections"] += 1
            return False
        if self._of_address[address] >= self.limits.connections_per_address_max:
            self.counters.connections_refused["connections_per_address"] += 1
            return False
        self.counters.connections_opened += 1
        self._open.add(connection)
        self._of_address[address] += 1
        return True

    def replace(self, old: Timed, new: Timed) -> None:
        """A connection changed hands from one protocol class to the other."""
        self._open.discard(old)
        self._open.add(new)

    def leave(self, connection: Timed, address: str) -> None:
        """Count a connection out; no harm where it was never admitted."""
        if connection in self._open:
            self._open.discard(connection)
            self._of_address[address] -= 1
            if not self._of_address[address]:
                del self._of_address[address]

    def sweep(self, now_s: float) -> None:
        """End the connections whose time is up."""
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
