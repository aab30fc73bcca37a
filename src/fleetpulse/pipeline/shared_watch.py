"""The watch of a node whose journal other nodes write, too: see `watch.py` for what both do.

No node declares blind time here. It is found when entries are applied: where the stream was quiet for so long that no
node can have been there (`model/events.py`), so that nodes cannot contradict each other. Every node writes a mark a few
times in that span. The clock of a node is compared with what the node itself wrote, not with the entries of others.
"""

import asyncio
import contextlib
from array import array
from collections.abc import Awaitable, Callable
from typing import Any

import structlog

from fleetpulse.errors import Answerable, NotAccepting, OperatorError
from fleetpulse.limits import ClockLimits
from fleetpulse.model.events import QUIET_NS, EventBatch
from fleetpulse.model.server_clock import ClockCorrection
from fleetpulse.model.units import NS_PER_S
from fleetpulse.pipeline.service_clock import REASON
from fleetpulse.pipeline.watch import Watch

log = structlog.get_logger("watch")
COMPARE_EVERY_NS = 5 * NS_PER_S
ANNOUNCE_S = 2.0
"""So long a change of policies waits for its entry; where it takes longer, any later entry of a node names it."""


class SharedWatch(Watch):
    """Gives the entries of this node their time, and the version of the catalog that they need."""

    mark_interval_ns = QUIET_NS // 2

    def __init__(
        self,
        *,
        catalog_version: Callable[[], int],
        see_catalog: Callable[[], Awaitable[None]],
        database_ns: Callable[[], Awaitable[int]],
        **parts: Any,
    ) -> None:
        """`catalog_version`: the newest version of the catalog that memory holds; `see_catalog` brings it to that.

        `database_ns`: the time by the clock of the catalog's database. Args: parts: of `Watch`.
        """
        super().__init__(**parts)
        limits: ClockLimits = parts["limits"]
        self._database_ns = database_ns
        self._warn_ns = int(limits.clock_offset_s * NS_PER_S)
        self._refuse_ns = int(limits.clock_offset_max_s * NS_PER_S)
        self._compared_at_ns = 0
        self._comparing: asyncio.Task[None] | None = None
        self._catalog_version = catalog_version
        self._see_catalog = see_catalog
        self._sent_version = 0
        self._sent_before = 0

    def turn(self) -> None:
        """See Watch. The clock is compared with the database's every few seconds."""
        super().turn()
        is_due = self.clock.monotonic_ns() - self._compared_at_ns >= COMPARE_EVERY_NS
        if is_due and (self._comparing is None or self._comparing.done()):
            self._comparing = asyncio.get_running_loop().create_task(self.compare())

    def end(self) -> None:
        """See Watch."""
        super().end()
        if self._comparing is not None:
            self._comparing.cancel()

    async def compare(self) -> None:
        """Compare the clock with the database's. While that cannot be asked, what was found last holds."""
        clock = self.clock
        self._compared_at_ns = clock.monotonic_ns()
        before_ns = clock.machine.now_ns()
        try:
            database_ns = await self._database_ns()
        except (Answerable, OperatorError, OSError) as error:
            log.debug("the clock of the database cannot be asked", error=str(error))
            return
        after_ns = clock.machine.now_ns()
        off_ns = (before_ns + after_ns) // 2 - database_ns
        # However long the answer took, the clocks differ by so much.
        certain_ns = abs(off_ns) - abs(after_ns - before_ns) // 2
        which = "ahead of" if off_ns > 0 else "behind"
        text = f"the clock of this node is {certain_ns / NS_PER_S:.1f} s {which} that of the catalog's database: set it"
        was_off, is_off = clock.trouble is not None, certain_ns > self._refuse_ns
        clock.warning = text if certain_ns > self._warn_ns else ""
        clock.trouble = NotAccepting(f"{text}; then events are accepted again", reason=REASON) if is_off else None
        if was_off and not is_off:
            clock.mark_ns = clock.earliest_ns  # what it has written by a clock that was ahead proves nothing

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
        if version > self._sent_version:
            batch.catalog_version = array("q", (version,))
            self._sent_version = version
        return None

    async def announce(self) -> None:
        """Have an entry written now that names the newest version of the catalog, and wait for it, but not for long."""
        if self._intake.closed_by is None:
            with contextlib.suppress(Answerable, TimeoutError):
                async with asyncio.timeout(ANNOUNCE_S):
                    await self._see_catalog()
                    await self.mark()

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
