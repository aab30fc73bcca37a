"""What a node says of itself, so that nodes can be compared: how far it has come, and what it holds."""

import asyncio
import threading
from dataclasses import dataclass, field

from msgspec import UNSET, UnsetType

from fleetpulse.blocks.history import History
from fleetpulse.live.fleet_hash import fleet_hash
from fleetpulse.model.events import Position
from fleetpulse.model.manifest import Manifest
from fleetpulse.pipeline.changes import Changes
from fleetpulse.pipeline.follow import Follower
from fleetpulse.pipeline.lease import Lease
from fleetpulse.pipeline.tail import Tail
from fleetpulse.pipeline.threads import Threads
from fleetpulse.query.health_answers import NodeState

HELD_TRIES = 3
"""So often the hash is taken in a thread; then on the loop, where nothing can come in between."""
HOLD_S_MAX = 5.0
"""If a thread takes longer, what was acknowledged is applied, and that try was for nothing."""


@dataclass(eq=False, frozen=True, kw_only=True)
class NodeStates:
    """Used on the event loop."""

    name: str
    follower: Follower
    tail: Tail | None
    history: History
    changes: Changes
    lease: Lease
    threads: Threads
    _hashing: asyncio.Lock = field(default_factory=asyncio.Lock, init=False)

    async def now(self, *, is_hash_wanted: bool) -> NodeState:
        """The state now. For the hash of a million devices nothing is applied for a second. Raises: NotAccepting."""
        if is_hash_wanted:
            async with self._hashing:
                for _ in range(HELD_TRIES):
                    if (found := await self._hash()) is not None:
                        return self._state(*found)
                await self.follower.caught_up()
                return self._state(self.follower.position, fleet_hash(self.follower.fleet))
        await self.follower.caught_up()
        return self._state(self.follower.position, UNSET)

    async def _hash(self) -> tuple[Position, str] | None:
        """A position, and the hash of the fleet as it is there; None where something changed it meanwhile."""
        loop, fleet = asyncio.get_running_loop(), self.follower.fleet
        turn, may_read, is_wanted = asyncio.Event(), threading.Event(), False

        def read() -> str:
            loop.call_soon_threadsafe(turn.set)  # only now: other work of this thread may take long
            may_read.wait()
            return fleet_hash(fleet) if is_wanted else ""

        reading = loop.run_in_executor(self.threads.export, read)
        reading.add_done_callback(lambda _: turn.set())
        try:
            await turn.wait()
            await self.follower.caught_up()
            position, manifest, revision = self.follower.position, self.history.manifest, fleet.revision
            with self.follower.hold():
                is_wanted = True
                may_read.set()
                found = await self._unless_changed(reading, manifest, revision)
        finally:
            reading.cancel()
            may_read.set()
        return None if found is None else (position, found)

    async def _unless_changed(self, reading: asyncio.Future[str], manifest: Manifest, revision: int) -> str | None:
        def is_same() -> bool:
            return self.history.manifest is manifest and self.follower.fleet.revision == revision

        try:
            found = await asyncio.wait_for(reading, HOLD_S_MAX)
        except TimeoutError:
            return None
        except (RuntimeError, IndexError, KeyError, ValueError):
            if is_same():
                raise
            return None
        return found if is_same() else None

    def _state(self, position: Position, found: str | UnsetType) -> NodeState:
        tail = self.tail
        return NodeState(
            node=self.name,
            is_shared=tail is not None,
            position=position,
            acknowledged=position if tail is None else tail.acked,
            checkpoint_position=self.history.manifest.position,
            catalog_version=self.changes.known,
            holder=self.lease.holder,
            epoch=self.lease.epoch,
            is_holder=self.lease.is_held,
            msg=UNSET if tail is None or not tail.trouble else tail.trouble,
            hash=found,
        )
