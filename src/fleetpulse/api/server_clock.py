"""The server's clock: what it reads, and accepting it as it is."""

from fleetpulse.api.routes import route
from fleetpulse.ingest.clock_declarations import ClockBody
from fleetpulse.pipeline.audit_log import AuditLog
from fleetpulse.pipeline.clock_acceptance import ClockAcceptance
from fleetpulse.pipeline.readiness import Readiness
from fleetpulse.query.declaration_answers import ServerClock


@route("GET /api/v1/clock", group="service", operation="getClock", permission="read", scope="none", limit="key")
async def get_clock(readiness: Readiness, clock_acceptance: ClockAcceptance) -> ServerClock:
    """Show the server's clock, whether it is behind the journal, and what accepting it would change."""
    readiness.check()
    return await clock_acceptance.show()


@route(
    "POST /api/v1/clock/accept",
    group="service",
    operation="acceptClock",
    permission="admin",
    scope="whole",
    limit="key",
    refusals=(409,),
)
async def accept_clock(
    readiness: Readiness, clock_acceptance: ClockAcceptance, audit_log: AuditLog, payload: ClockBody
) -> ServerClock:
    """Accept the server's clock as it is.

    If it is behind the journal, what came in after it went ahead counts as received now, and the time since then as
    blind. Nothing from before changes, nor does what devices say of themselves: presence and samples.
    After a leap of more than `clock_leap_days_max` it lets things expire again.
    """
    readiness.check()
    await audit_log.note_act("clock", after={"latest": payload.latest})
    return await clock_acceptance.accept(payload.latest)
