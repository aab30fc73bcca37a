"""The watch on ourselves: the journal says when the service was running, and therefore when it was blind.

Blind time is a fact in the journal like any event. After a restart it lasts from the last entry of the journal until
events are accepted again. In a process that was suspended, or whose clock was set forward, it is the time between two
turns.
"""

from fleetpulse.clock import Clock
from fleetpulse.errors import Answerable
from fleetpulse.ingest.intake import Intake
from fleetpulse.model.units import NS_PER_S

MARK_INTERVAL_NS = 60 * NS_PER_S
BLIND_FROM_NS = 60 * NS_PER_S
"""Time between two turns from which on the service was blind; a slow disk explains less."""


class Watch:
    """Writes marks to the journal that say that the service is running."""

    def __init__(self, *, clock: Clock, intake: Intake) -> None:
        self._clock = clock
        self._intake = intake
        self._marked_at_ns = 0
        self._turned_at_ns = 0

    def begin(self, *, alive_at_ns: int) -> None:
        """Mark the start, and the blind time since the journal was last written to, at `alive_at_ns` (0: never)."""
        now_ns = self._clock.now_ns()
        self._turned_at_ns = now_ns
        self._mark(now_ns, (alive_at_ns, now_ns) if 0 < alive_at_ns < now_ns else None)

    def turn(self) -> None:
        """Write a mark if one is due or if the service was blind since the last turn. Called at least once a second."""
        now_ns = self._clock.now_ns()
        is_blind = now_ns - self._turned_at_ns >= BLIND_FROM_NS
        is_due = not 0 <= now_ns - self._marked_at_ns < MARK_INTERVAL_NS  # also where the clock was set back
        if self._intake.closed_by is None and (is_due or is_blind):
            self._mark(now_ns, (self._turned_at_ns, now_ns) if is_blind else None)
        self._turned_at_ns = now_ns

    def end(self) -> None:
        """Mark an orderly stop, so that the blind time begins now and not at the last mark."""
        if self._intake.closed_by is None:
            self._mark(self._clock.now_ns(), None)

    def _mark(self, now_ns: int, blind_ns: tuple[int, int] | None) -> None:
        self._marked_at_ns = now_ns
        self._intake.add_mark(blind_ns, _NobodyWaits())


class _NobodyWaits:
    """The waiter of a mark. If its entry fails, the writer logs that and makes the node read-only."""

    def acknowledge(self) -> None:
        """See ingest.intake.Waiter."""

    def fail(self, error: Answerable) -> None:
        """See ingest.intake.Waiter."""
