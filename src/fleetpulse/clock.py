"""The server's clock. It is passed in as an argument, so that tests can run days of fleet life in seconds."""

import time
from typing import Protocol


class Clock(Protocol):
    """Where the service reads the time."""

    def now_ns(self) -> int:
        """Nanoseconds since 1970-01-01T00:00:00Z, by the server's wall clock."""
        ...


class SystemClock:
    """The clock of the machine."""

    def now_ns(self) -> int:
        """See Clock."""
        return time.time_ns()
