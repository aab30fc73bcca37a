"""What a node says of itself, so that nodes can be compared: how far it has come, and what it holds."""

from dataclasses import dataclass

from msgspec import UNSET

from fleetpulse.blocks.history import History
from fleetpulse.live.fleet_hash import fleet_hash
from fleetpulse.pipeline.changes import Changes
from fleetpulse.pipeline.follow import Follower
from fleetpulse.pipeline.lease import Lease
from fleetpulse.pipeline.tail import Tail
from fleetpulse.query.health_answers import NodeState


@dataclass(eq=False, frozen=True, kw_only=True)
class NodeStates:
    """Used on the event loop."""

    name: str
    follower: Follower
    tail: Tail | None
    history: History
    changes: Changes
    lease: Lease

    async def now(self, *, is_hash_wanted: bool) -> NodeState:
        """The state now. The hash takes a second of the loop for a million devices. Raises: NotAccepting."""
        await self.follower.caught_up()
        tail = self.tail
        return NodeState(
            node=self.name,
            is_shared=tail is not None,
            position=self.follower.position,
            acknowledged=self.follower.position if tail is None else tail.acked,
            checkpoint_position=self.history.manifest.position,
            catalog_version=self.changes.known,
            holder=self.lease.holder,
            epoch=self.lease.epoch,
            is_holder=self.lease.is_held,
            msg=UNSET if tail is None or not tail.trouble else tail.trouble,
            hash=fleet_hash(self.follower.fleet) if is_hash_wanted else UNSET,
        )
