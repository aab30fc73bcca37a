"""How far this node has come, to compare it with others."""

from typing import Annotated

from fleetpulse.api.parameters import query_parameter, read_truth
from fleetpulse.api.routes import route
from fleetpulse.pipeline.node_state import NodeStates
from fleetpulse.pipeline.readiness import Readiness
from fleetpulse.query.health_answers import NodeState


def _read_hash(
    wanted: Annotated[
        str, query_parameter("with a hash of all that the fleet holds", name="hash", enum=["true", "false"])
    ] = "false",
) -> bool:
    return read_truth("hash", wanted)


@route(
    "GET /api/v1/node",
    group="service",
    operation="getNode",
    permission="scrape",
    scope="whole",
    limit="key",
    readers={"is_hash_wanted": _read_hash},
)
async def get_node(*, readiness: Readiness, node_states: NodeStates, is_hash_wanted: bool) -> NodeState:
    """Tell how far this node has applied the journal, and what it holds, to compare it with other nodes.

    `hash` takes a second for a million devices, in which events are accepted, and questions that need them wait.
    """
    readiness.check()
    return await node_states.now(is_hash_wanted=is_hash_wanted)
