"""Routes about blocks that are set aside: which they are, and looking whether they are back."""

from fleetpulse.api.routes import route
from fleetpulse.pipeline.housekeeping import Housekeeping
from fleetpulse.pipeline.readiness import Readiness
from fleetpulse.query.declaration_answers import SetAsideList
from fleetpulse.query.describe import describe_set_aside


@route("GET /api/v1/blocks", group="service", operation="getBlocks")
async def get_blocks(readiness: Readiness, housekeeping: Housekeeping) -> SetAsideList:
    """List the blocks that are set aside, since they are damaged or missing."""
    _check(readiness)
    return describe_set_aside(housekeeping.history.set_aside, [])


@route("POST /api/v1/blocks/check", group="service", operation="checkBlocks")
async def check_blocks(readiness: Readiness, housekeeping: Housekeeping) -> SetAsideList:
    """Look whether blocks that are set aside were copied back, by their size and checksum; those are used again."""
    _check(readiness)
    restored = await housekeeping.check_set_aside()
    return describe_set_aside(housekeeping.history.set_aside, restored)


def _check(readiness: Readiness) -> None:
    """Raises: NotAccepting: the service starts or stops. A start that waits for such a block tells of it."""
    if not readiness.is_ready:
        readiness.check()
