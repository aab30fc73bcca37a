"""Routes about blocks that people have to decide on, and looking whether those that were set aside are back."""

from collections.abc import Sequence

from fleetpulse.api.routes import route
from fleetpulse.pipeline.audit_log import AuditLog
from fleetpulse.pipeline.housekeeping import Housekeeping
from fleetpulse.pipeline.readiness import Readiness
from fleetpulse.query.block_answers import SetAsideList, describe_set_aside


@route("GET /api/v1/blocks", group="service", operation="getBlocks", permission="admin", scope="whole", limit="key")
async def get_blocks(readiness: Readiness, housekeeping: Housekeeping) -> SetAsideList:
    """List blocks that are damaged or missing, manifests that are kept, and files that this catalog did not write."""
    _check(readiness)
    return _described(housekeeping, [])


@route(
    "POST /api/v1/blocks/check",
    group="service",
    operation="checkBlocks",
    permission="admin",
    scope="whole",
    limit="key",
)
async def check_blocks(readiness: Readiness, housekeeping: Housekeeping, audit_log: AuditLog) -> SetAsideList:
    """Look whether blocks that are set aside were copied back, by their size and checksum; those are used again."""
    _check(readiness)
    await audit_log.note_act("blocks that are set aside")
    restored = await housekeeping.check_set_aside()
    return _described(housekeeping, restored)


def _described(housekeeping: Housekeeping, restored: Sequence[str]) -> SetAsideList:
    kept, unknown = housekeeping.ownership.kept, housekeeping.removal.unknown
    return describe_set_aside(housekeeping.history.set_aside, restored, kept=kept, unknown=unknown)


def _check(readiness: Readiness) -> None:
    """Raises: NotAccepting: the service starts or stops. A start that waits for such a block tells of it."""
    if not readiness.is_ready:
        readiness.check()
