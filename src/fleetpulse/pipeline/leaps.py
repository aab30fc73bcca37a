"""Leaps: steps of the wall clock, told from the passing of time by a clock that nobody sets."""

from collections import deque

from fleetpulse.clock import Clock
from fleetpulse.limits import ClockLimits
from fleetpulse.model.units import NS_PER_S

FORWARD_MAX = 16
"""Leaps forward that are remembered, to tell since when a clock that is set back was ahead."""


class Leaps:
    """Compares the two clocks whenever it is told to."""

    def __init__(self, clock: Clock, limits: ClockLimits) -> None:
        self.wait_ns = int(limits.clock_leap_wait_s * NS_PER_S)
        self.leap_ns = int(limits.clock_leap_s * NS_PER_S)
        self.is_new = False
        """Whether there was a leap that the journal does not tell of yet."""
        self.ahead_since_ns: int | None = None
        """When the clock leapt forward by as much as it was set back last; None where it never did."""
        self._clock = clock
        self._offset_ns = clock.now_ns() - clock.monotonic_ns()
        self._forward: deque[tuple[int, int]] = deque(maxlen=FORWARD_MAX)
        self._waits_until_ns = clock.monotonic_ns()

    def begin(self, *, leapt_at_ns: int, alive_at_ns: int) -> None:
        """Go on after a start. Nothing tells a clock that leapt while the service was off from a long time off.

        Args: `leapt_at_ns`: of the journal, when it last leapt. `alive_at_ns`: the latest time in the journal.
        """
        now_ns = self._clock.now_ns()
        if alive_at_ns and now_ns - alive_at_ns > self.leap_ns:
            self.is_new = True
            self._wait(self.wait_ns)
        elif leapt_at_ns:
            self._wait(min(self.wait_ns, leapt_at_ns + self.wait_ns - now_ns))

    def look(self, *, seen_ns: int) -> None:
        """Notice a leap since the last look. Args: seen_ns: the last time at which the clock was believed."""
        offset_ns = self._clock.now_ns() - self._clock.monotonic_ns()
        step_ns = offset_ns - self._offset_ns
        if abs(step_ns) <= self.leap_ns:
            return
        self._offset_ns = offset_ns
        self.is_new = True
        self._wait(self.wait_ns)
        if step_ns > 0:
            self._forward.append((seen_ns, step_ns))
        else:
            equal = [since_ns for since_ns, size_ns in self._forward if abs(size_ns + step_ns) <= self.leap_ns]
            self.ahead_since_ns = equal[-1] if equal else None

    def _wait(self, length_ns: int) -> None:
        self._waits_until_ns = max(self._waits_until_ns, self._clock.monotonic_ns() + length_ns)

    @property
    def waits_ns(self) -> int:
        """How long it is until the last leap is long enough ago; 0: it is."""
        return max(0, self._waits_until_ns - self._clock.monotonic_ns())
