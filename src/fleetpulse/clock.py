"""The server's clock, handed in so that tests can run days of fleet life in seconds."""

import time
from typing import Protocol


class Clock(Protocol):
    """What the service asks of time."""

    def now_ns(self) -> int:
        """Nanoseconds since 1970-01-01T00:00:00Z, by the server's wall clock."""
        ...


class SystemClock:
    """The machine's own clock."""

    def now_ns(self) -> int:
        """See Clock."""
        return time.time_ns()
