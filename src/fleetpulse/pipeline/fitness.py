"""Whether this node can do the work of the holder of the lease: where it cannot, another node should.

The catalog alone does not tell. A node that has lost NATS, or whose fleet is not up to date, still reaches PostgreSQL
and could renew the lease for ever; meanwhile nobody looks at devices or takes checkpoints, until the stream is full.
"""

from fleetpulse.ingest.intake import Intake
from fleetpulse.pipeline.disk_watch import DISK_LOW
from fleetpulse.pipeline.follow import Follower


def unfit_because(intake: Intake, follower: Follower, *, is_store_remote: bool) -> str:
    """Why this node cannot do the holder's work now; empty where it can."""
    if follower.is_broken:
        return "the live fleet cannot be brought up to date any more: restart the service"
    if follower.is_away:
        return "the snapshot of the fleet is not loaded: see /readyz"
    refusal = intake.own_refusal
    if refusal is None:
        return ""
    if refusal.reason == DISK_LOW and not is_store_remote:
        return ""  # the nodes may share the disk of the blocks, and only the holder removes what frees it
    return f"no entry of this node gets into the journal: {refusal.msg}"
