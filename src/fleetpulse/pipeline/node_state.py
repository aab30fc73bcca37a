"""What a node says of itself, so that nodes can be compared: how far it has come, and what it holds."""

import asyncio
from dataclasses import dataclass, field

from msgspec import UNSET, UnsetType

from fleetpulse.blocks.history import History
from fleetpulse.live.fleet_hash import fleet_hash
from fleetpulse.model.events import Position
from fleetpulse.pipeline.changes import Changes
from fleetpulse.pipeline.follow import Follower
from fleetpulse.pipeline.lease import Lease
from fleetpulse.pipeline.tail import Tail
from fleetpulse.pipeline.threads import Threads
from fleetpulse.query.health_answers import NodeState

HELD_TRIES = 3
"""So often the hash is taken in a thread; then on the loop, where nothing can come in between."""


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
        await self.follower.caught_up()
        position = self.follower.position
        manifest, loop = self.history.manifest, asyncio.get_running_loop()
        with self.follower.held() as hold:
            try:
                found = await loop.run_in_executor(self.threads.export, fleet_hash, self.follower.fleet)
            except (RuntimeError, IndexError, KeyError, ValueError):
                if not hold.is_broken and self.history.manifest is manifest:
                    raise
                return None
        return None if hold.is_broken or self.history.manifest is not manifest else (position, found)

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
