"""The watch on ourselves: the service journals that it is alive, and, when it was not, since when.

Blind time is a fact in the journal like any event: after a restart it spans from the last sign of life to the opening of the
door; in a process that was suspended, or whose clock leapt ahead, the stretch in which no turn of the loop was made.
"""

from fleetpulse.clock import Clock
from fleetpulse.errors import Answerable
from fleetpulse.ingest.intake import Intake
from fleetpulse.model.units import NS_PER_S

ALIVE_EVERY_NS = 60 * NS_PER_S
BLIND_FROM_NS = 60 * NS_PER_S
"""A stretch without a turn that is this long was blind; a shorter one is a slow disk."""


class Watch:
    """Marks the journal; `turn` is called at least once a second."""

    def __init__(self, *, clock: Clock, intake: Intake) -> None:
        self._clock = clock
        self._intake = intake
        self._marked_at_ns = 0
        self._turned_at_ns = 0

    def begin(self, *, alive_at_ns: int) -> None:
        """The node has replayed its journal, which was last written to at `alive_at_ns` (0: never)."""
        now_ns = self._clock.now_ns()
        self._turned_at_ns = now_ns
        self._mark(now_ns, (alive_at_ns, now_ns) if 0 < alive_at_ns < now_ns else None)

    def turn(self) -> None:
        """Mark the journal where it is time to."""
        now_ns = self._clock.now_ns()
        is_blind = now_ns - self._turned_at_ns >= BLIND_FROM_NS
        is_due = not 0 <= now_ns - self._marked_at_ns < ALIVE_EVERY_NS
        if self._intake.closed_by is None and (is_due or is_blind):
            self._mark(now_ns, (self._turned_at_ns, now_ns) if is_blind else None)
        self._turned_at_ns = now_ns

    def end(self) -> None:
        """The node stops, and knows when."""
        if self._intake.closed_by is None:
            self._mark(self._clock.now_ns(), None)

    def _mark(self, now_ns: int, blind_ns: tuple[int, int] | None) -> None:
        self._marked_at_ns = now_ns
        self._intake.add_mark(blind_ns, _Nobody())


class _Nobody:
    """The waiter of a mark: where it fails, the writer has said so already, and the node is read-only. See ingest.intake.Waiter."""

    def acknowledge(self) -> None:
        """See Waiter."""

    def fail(self, error: Answerable) -> None:
        """See Waiter."""
