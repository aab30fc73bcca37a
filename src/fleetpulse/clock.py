"""The server's clocks. They are passed in as an argument, so that tests can run days of fleet life in seconds."""

import time
from typing import Protocol

# While the machine sleeps CLOCK_MONOTONIC stands still on Linux: a laptop that wakes up would seem to have leapt.
_STEADY = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


class Clock(Protocol):
    """Where the service reads the time."""

    def now_ns(self) -> int:
        """Nanoseconds since 1970-01-01T00:00:00Z, by the server's wall clock, which anybody may set at any time."""
        ...

    def monotonic_ns(self) -> int:
        """Nanoseconds since some moment, by a clock that nobody sets."""
        ...


class SystemClock:
    """The clocks of the machine."""

    def now_ns(self) -> int:
        """See Clock."""
        return time.time_ns()

    def monotonic_ns(self) -> int:
        """See Clock."""
        return time.clock_gettime_ns(_STEADY)
