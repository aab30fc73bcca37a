"""The clock that all parts of the service read: the machine's, but never before what the journal holds already.

A machine without a clock of its own starts in 1970, or where it was switched off, and is set right seconds later. What
such a clock shows proves nothing about the past. The latest received_at of the journal, the mark, is therefore the
earliest time that the service believes.
"""

from fleetpulse.clock import Clock
from fleetpulse.errors import NotAccepting
from fleetpulse.limits import ClockLimits
from fleetpulse.model.units import NS_PER_S
from fleetpulse.notation.timestamp import format_rfc3339

REASON = "clock"
"""The reason of refusals, and the status in /readyz, while the clock is behind."""


class ServiceClock:
    """See the module. `mark_ns` is the latest time in the journal; no time is accepted that is before it."""

    def __init__(self, machine: Clock, limits: ClockLimits, *, mark_ns: int, earliest_ns: int) -> None:
        """`earliest_ns`: a time that no right clock is before."""
        self.machine = machine
        self.earliest_ns = earliest_ns
        self.mark_ns = max(mark_ns, earliest_ns)
        self.trouble: NotAccepting | None = None
        """Why no events are accepted, where this clock is wrong by that of the database."""
        self.warning = ""
        """Why it soon may be so; empty where the clocks agree."""
        self._tolerance_ns = int(limits.clock_tolerance_s * NS_PER_S)

    def now_ns(self) -> int:
        """See Clock. Never before the mark."""
        return max(self.machine.now_ns(), self.mark_ns)

    def monotonic_ns(self) -> int:
        """See Clock."""
        return self.machine.monotonic_ns()

    @property
    def is_behind(self) -> bool:
        """Whether the machine's clock is certainly wrong: it shows a time that has passed."""
        return self.trouble is not None or self.machine.now_ns() < self.mark_ns - self._tolerance_ns

    def refusal(self) -> NotAccepting:
        """Why no events are accepted while the clock is behind, and what to do."""
        if self.trouble is not None:
            return self.trouble
        now, mark = (format_rfc3339(at_ns // NS_PER_S * NS_PER_S) for at_ns in (self.machine.now_ns(), self.mark_ns))
        if self.mark_ns == self.earliest_ns:
            text = f"the server's clock reads {now}, before {mark}, which no right clock does; set it: then events are "
            return NotAccepting(f"{text}accepted again without a restart", reason=REASON)
        return NotAccepting(
            f"the server's clock reads {now}, but events were received until {mark} by it; set it right: once it has "
            "passed that time, events are accepted again without a restart. If it is right now, and was ahead before, "
            "run `fleetpulse clock accept`",
            reason=REASON,
        )
