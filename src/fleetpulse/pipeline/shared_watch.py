"""The watch of a node whose journal other nodes write, too: see `watch.py` for what both do.

No node declares blind time here. It is found when entries are applied: where the stream was quiet for so long that no
node can have been there (`model/events.py`), so that nodes cannot contradict each other. Every node writes a mark a few
times in that span. The clock of a node is compared with what the node itself wrote, not with the entries of others.
"""

from array import array
from collections.abc import Callable
from typing import Any

from fleetpulse.errors import NotAccepting
from fleetpulse.model.events import QUIET_NS, EventBatch
from fleetpulse.model.server_clock import ClockCorrection
from fleetpulse.pipeline.watch import Watch


class SharedWatch(Watch):
    """Gives the entries of this node their time, and the version of the catalog that they need."""

    mark_interval_ns = QUIET_NS // 2

    def __init__(self, *, catalog_version: Callable[[], int], **parts: Any) -> None:
        """`catalog_version`: the newest version of the catalog that this node made or read. Args: parts: of `Watch`."""
        super().__init__(**parts)
        self._catalog_version = catalog_version
        self._sent_version = 0
        self._sent_before = 0

    def begin(self) -> None:
        """Mark the start. What was before is found by whoever applies the mark."""
        fleet = self._follower.fleet
        self._seen_ns = self.clock.now_ns()
        self._leaps.begin(leapt_at_ns=fleet.leaps.last_at_ns, alive_at_ns=fleet.alive_at_ns)
        if not self.clock.is_behind:
            self._add_mark()

    def stamp(self, batch: EventBatch) -> NotAccepting | None:
        """See Watch. An entry says which version of the catalog it needs, where none of this node has said it yet."""
        refusal = super().stamp(batch)
        if refusal is not None:
            return refusal
        batch.is_shared = True
        del batch.blind_ns[:]
        self._sent_before, version = self._sent_version, self._catalog_version()
        if version > self._sent_version and (batch or batch.forgotten or batch.checkpoint_ns):
            batch.catalog_version = array("q", (version,))
            self._sent_version = version
        return None

    def take_back(self) -> None:
        """See Watch."""
        super().take_back()
        self._sent_version = self._sent_before

    def plan(self) -> ClockCorrection | None:
        """Nothing is corrected: what the other nodes received by their clocks is right."""
        return None

    @property
    def is_settled(self) -> bool:
        """Whether the time can be believed, and the stream is not quiet: else blind time may be about to be found."""
        self._leaps.look(seen_ns=self._seen_ns)
        if self.clock.is_behind or self._leaps.is_new:
            return False
        return self.clock.now_ns() - self._follower.fleet.alive_at_ns < QUIET_NS
