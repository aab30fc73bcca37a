"""Routes about blocks that are set aside: which they are, and looking whether they are back."""

from fleetpulse.api.routes import route
from fleetpulse.pipeline.housekeeping import Housekeeping
from fleetpulse.pipeline.readiness import Readiness
from fleetpulse.query.declaration_answers import SetAsideList


@route("GET /api/v1/blocks", group="service", operation="getBlocks")
async def get_blocks(readiness: Readiness, housekeeping: Housekeeping) -> SetAsideList:
    """List the blocks that are set aside, since they are damaged or missing."""
    readiness.check()
    return housekeeping.set_aside_blocks([])


@route("POST /api/v1/blocks/check", group="service", operation="checkBlocks")
async def check_blocks(readiness: Readiness, housekeeping: Housekeeping) -> SetAsideList:
    """Look whether blocks that are set aside were copied back, by their size and checksum; those are used again."""
    readiness.check()
    return housekeeping.set_aside_blocks(await housekeeping.check_set_aside())
