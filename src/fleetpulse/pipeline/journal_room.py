"""What follows where the servers of a shared journal become full; the last room is for what empties it again.

    share of the room    what follows
    URGE_SHARE           the holder takes a checkpoint at once, after which the stream is cut right up to it
    FULL_SHARE           every node refuses events with 503 `journal_full`

A checkpoint begins with an entry of the journal, so a stream that takes no entry can never be emptied. A stream of many
servers that is really full is worse than that: NATS switches JetStream off on the server that has no room. An order to
forget goes on, too. Events are accepted again by themselves when there is room.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import structlog

from fleetpulse.errors import JOURNAL_FULL, NotAccepting
from fleetpulse.ingest.intake import Intake
from fleetpulse.journal.journal import Journal
from fleetpulse.model.units import NS_PER_S
from fleetpulse.pipeline.watch import Watch

log = structlog.get_logger("journal")
URGE_SHARE, FULL_SHARE, EASED_SHARE = 0.75, 0.9, 0.85
"""Below EASED_SHARE events are accepted again, so that they are not accepted and refused in turns."""
URGE_EVERY_NS = 30 * NS_PER_S
"""What fills the servers may be another stream, which no checkpoint empties."""
RETRY_S = 10


@dataclass(eq=False, kw_only=True)
class JournalRoom:
    """On the loop."""

    journal: Journal
    intake: Intake
    watch: Watch
    urge: Callable[[], None]
    """Has a checkpoint taken."""
    _urged_at_ns: float = field(default=-math.inf, init=False)
    _refusal: NotAccepting | None = field(default=None, init=False)

    def tick(self) -> None:
        """Refuse or accept by what was found last, a few times a second."""
        filled, intake = self.journal.filled, self.intake
        now_ns = self.watch.clock.monotonic_ns()
        if filled >= URGE_SHARE and now_ns - self._urged_at_ns >= URGE_EVERY_NS:
            self._urged_at_ns = now_ns
            self.urge()
        if self._refusal is None and filled >= FULL_SHARE:
            text = (
                f"the servers of the journal are full to {filled:.0%}: raise max_file_store of NATS, or see in /readyz "
                "and in the log why no checkpoint empties it; send it again when there is room"
            )
            self._refusal = NotAccepting(text, reason=JOURNAL_FULL, retry_after_s=RETRY_S)
            log.error("the journal becomes full", filled=round(filled, 3), what=text)
        elif self._refusal is not None and filled < EASED_SHARE:
            log.info("the journal has room again", filled=round(filled, 3))
            if intake.closed_by is self._refusal:
                self.watch.open()
            self._refusal = None
        if self._refusal is not None and intake.closed_by is None:
            self.watch.hold()
            intake.close(self._refusal)
