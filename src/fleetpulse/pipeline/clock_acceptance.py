"""What people see of the server's clock, and how they accept it as it is."""

from dataclasses import dataclass

from fleetpulse.errors import Conflict, Malformed
from fleetpulse.ingest.future_waiter import FutureWaiter
from fleetpulse.model.units import NS_PER_S
from fleetpulse.notation.timestamp import EXPECTED, format_rfc3339, parse_rfc3339_ns
from fleetpulse.pipeline.follow import Follower
from fleetpulse.pipeline.service_clock import REASON
from fleetpulse.pipeline.watch import Watch
from fleetpulse.query.declaration_answers import ServerClock, WrongTime


@dataclass(eq=False, frozen=True, kw_only=True)
class ClockAcceptance:
    """Used on the loop."""

    watch: Watch
    follower: Follower

    async def show(self) -> ServerClock:
        """What the clock reads, and what accepting it would change."""
        watch, clock, fleet = self.watch, self.watch.clock, self.follower.fleet
        await self.follower.caught_up()
        plan = watch.plan()
        wrong = None
        if plan is not None and clock.mark_ns > clock.earliest_ns:
            devices = int((fleet.last_received_ns[: fleet.count] > plan.since_ns).sum())
            wrong = WrongTime(format_rfc3339(plan.since_ns), format_rfc3339(clock.mark_ns), devices)
        return ServerClock(
            now=format_rfc3339(clock.machine.now_ns()),
            latest=format_rfc3339(fleet.alive_at_ns) if fleet.alive_at_ns else None,
            is_behind=clock.is_behind,
            msg=clock.refusal().msg if clock.is_behind else None,
            would_correct=wrong,
            nothing_expires=watch.kept_because or None,
        )

    async def accept(self, latest: str | None) -> ServerClock:
        """Accept the clock as it is; what came in while it was ahead counts as received now.

        Args: latest: the latest time in the journal as the caller knows it. Needed where the clock is behind it.
        Raises: Malformed; Conflict: it is not that time, or the clock cannot be right; NotAccepting: nothing changed.
        """
        watch, clock = self.watch, self.watch.clock
        if clock.is_behind:
            if clock.machine.now_ns() < clock.earliest_ns:
                earliest = format_rfc3339(clock.earliest_ns // NS_PER_S * NS_PER_S)
                raise Conflict(f"the clock is before {earliest}, so it cannot be right: set it first", reason=REASON)
            if latest is None or _time(latest) != clock.mark_ns:
                mark = format_rfc3339(clock.mark_ns)
                raise Conflict(
                    f"the latest time in the journal is {mark}: send it as `latest`, to say that it is wrong",
                    reason=REASON,
                )
        elif watch.far_leap_ns is None:
            return await self.show()  # nothing is to be accepted
        waiter = FutureWaiter()
        watch.add_acceptance(waiter)
        await waiter.outcome
        watch.turn()
        return await self.show()


def _time(text: str) -> int:
    try:
        return parse_rfc3339_ns(text)
    except ValueError as error:
        raise Malformed(f"`latest` is not {EXPECTED}") from error
