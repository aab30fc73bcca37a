"""The watch on ourselves and on our clock: the journal says when the service was running, and what the clock did.

Blind time is a fact in the journal like any event. After a restart it lasts from the last entry of the journal until
events are accepted again. In a process that was suspended, or whose clock was set forward, it is the time between two
turns. While the clock is behind the journal, no events are accepted, and that time is blind, too.
"""

from array import array
from collections.abc import Sequence

import structlog

from fleetpulse.errors import Answerable, NotAccepting
from fleetpulse.ingest.future_waiter import FutureWaiter
from fleetpulse.ingest.intake import Intake, Waiter
from fleetpulse.limits import ClockLimits
from fleetpulse.model.events import EventBatch
from fleetpulse.model.server_clock import ClockCorrection
from fleetpulse.model.units import NS_PER_DAY, NS_PER_S
from fleetpulse.notation.timestamp import format_rfc3339
from fleetpulse.pipeline.follow import Follower
from fleetpulse.pipeline.leaps import Leaps
from fleetpulse.pipeline.service_clock import REASON, ServiceClock

log = structlog.get_logger("watch")
MARK_INTERVAL_NS = 60 * NS_PER_S
BLIND_FROM_NS = 60 * NS_PER_S
"""Time between two turns from which on the service was blind; a slow disk explains less."""


class Watch:
    """Gives entries their time, and writes marks to the journal that say that the service is running."""

    mark_interval_ns = MARK_INTERVAL_NS

    def __init__(self, *, clock: ServiceClock, intake: Intake, follower: Follower, limits: ClockLimits) -> None:
        self.clock = clock
        self._intake = intake
        self._follower = follower
        self._leaps = Leaps(clock.machine, limits)
        self._leap_days_max = limits.clock_leap_days_max
        self._seen_ns = 0
        """Until when the service could hear devices, never before the mark: where blind time begins."""
        self._is_blind = False
        """The next entry tells of blind time, however short it was."""
        self._is_refusing = False
        """The last batch was refused, so what was seen since is not heard."""
        self._marked_at_ns = 0
        self.is_mark_waiting = False

    async def compare(self) -> None:
        """Compare the clock with that of others, where there are others."""

    def begin(self) -> None:
        """Mark the start, and the blind time since the journal was last written to. Call it after the replay."""
        alive_at_ns = self._follower.fleet.alive_at_ns
        # Not before the manifest's: the journal after it may hold a correction of a clock that was ahead.
        self.clock.mark_ns = max(self.clock.earliest_ns, alive_at_ns)
        self._seen_ns, self._is_blind = alive_at_ns or self.clock.now_ns(), alive_at_ns > 0
        self._leaps.begin(leapt_at_ns=self._follower.fleet.leaps.last_at_ns, alive_at_ns=alive_at_ns)
        if not self.clock.is_behind:
            self._add_mark()

    def open(self) -> None:
        """Let the intake accept events, unless the clock is behind; `turn` opens it later."""
        if self.clock.is_behind:
            self._shut()
        else:
            self._intake.open()

    def turn(self) -> None:
        """Write a mark if one is due or if the service was blind since the last turn. Called at least once a second."""
        self._leaps.look(seen_ns=self._seen_ns)
        is_shut = self._is_shut
        if self.clock.is_behind:
            if is_shut or self._intake.closed_by is None:
                self._shut()
            return
        if is_shut:
            log.info("the clock is no longer behind: events are accepted again")
            self._intake.open()
        now_ns = self.clock.now_ns()
        is_blind = self._is_blind or now_ns - self._seen_ns >= BLIND_FROM_NS
        is_due = is_blind or self._leaps.is_new or now_ns - self._marked_at_ns >= self.mark_interval_ns
        if not (is_blind or self._is_refusing):
            self._seen_ns = now_ns
        if is_due and not self.is_mark_waiting and self._intake.closed_by is None:
            self._add_mark()

    def end(self) -> None:
        """Mark an orderly stop, so that the blind time begins now and not at the last mark."""
        if self._intake.closed_by is None:
            self._add_mark()

    async def mark(self) -> None:
        """Write a mark now, and wait until it is on disk. Raises: NotAccepting; OutcomeUnknown."""
        waiter = FutureWaiter()
        self._intake.add_mark(waiter)
        await waiter.outcome

    def _add_mark(self) -> None:
        self.is_mark_waiting = True
        self._intake.add_mark(_Mark(self))

    @property
    def _is_shut(self) -> bool:
        return self._intake.closed_by is not None and self._intake.closed_by.reason == REASON

    def _shut(self) -> NotAccepting:
        refusal = self.clock.refusal()
        if not self._is_shut:
            log.error("no events are accepted", reason=refusal.msg)
        self._is_blind = True
        self._intake.close(refusal)
        return refusal

    def stamp(self, batch: EventBatch) -> NotAccepting | None:
        """Give a batch its received_at, and what the journal is to know of the time before it; or refuse it.

        It is the last moment before the batch is written: the clock may have been set since its events came in.
        """
        clock, leaps = self.clock, self._leaps
        self._before = clock.mark_ns, self._seen_ns, self._marked_at_ns, self._is_blind, self._is_refusing
        self.is_mark_waiting = False
        leaps.look(seen_ns=self._seen_ns)
        if batch.correction_ns:
            self._correct(batch)
        elif clock.is_behind:
            return self._shut()
        at_ns = clock.now_ns()
        if at_ns > self._seen_ns and (self._is_blind or at_ns - self._seen_ns >= BLIND_FROM_NS):
            batch.blind_ns.extend((self._seen_ns, at_ns))
        self._was_leap = leaps.is_new
        if leaps.is_new:
            batch.leap_ns.extend((min(self._seen_ns, at_ns), at_ns))
        leaps.is_new = self._is_blind = self._is_refusing = False
        batch.received_at_ns = clock.mark_ns = self._seen_ns = self._marked_at_ns = at_ns
        return None

    def take_back(self) -> None:
        """The batch that was stamped last was not written: the next one tells what it was to tell."""
        self.clock.mark_ns, self._seen_ns, self._marked_at_ns, self._is_blind, _ = self._before
        self._is_refusing = True
        self._leaps.is_new |= self._was_leap

    def hold(self) -> None:
        """Events are refused from now on: the time until the next entry is blind."""
        self._is_refusing = True

    def plan(self) -> ClockCorrection | None:
        """The correction that accepting the clock as it is would journal; None where it is not behind."""
        if not self.clock.is_behind:
            return None
        now_ns = self.clock.machine.now_ns()
        blind_ns, ahead_since_ns = self._follower.blind_ns(), self._leaps.ahead_since_ns
        return ClockCorrection(wrong_since_ns(blind_ns, ahead_since_ns=ahead_since_ns, now_ns=now_ns), now_ns)

    def add_acceptance(self, waiter: Waiter) -> None:
        """Have an entry written that accepts the clock as it is, and puts right what came in while it was ahead."""
        self._intake.add_correction(waiter)

    def _correct(self, batch: EventBatch) -> None:
        now_ns = self.clock.now_ns()
        correction = self.plan() or ClockCorrection(now_ns, now_ns)
        batch.correction_ns = array("q", correction)
        self.clock.mark_ns = self._seen_ns = correction.at_ns
        self._is_blind = False
        self._leaps.ahead_since_ns = None
        log.warning("the clock was accepted", **{name: format_rfc3339(at) for name, at in correction._asdict().items()})

    @property
    def is_settled(self) -> bool:
        """Whether the time can be believed, and the fleet knows of all blind time until now: else nothing may fire."""
        self._leaps.look(seen_ns=self._seen_ns)
        if self.clock.is_behind or self._is_blind or self._leaps.is_new:
            return False
        return self.clock.now_ns() - self._seen_ns < BLIND_FROM_NS

    @property
    def far_leap_ns(self) -> tuple[int, int] | None:
        """The span of a leap that is so long that people must accept the clock; None where there was none."""
        _, start_ns, end_ns = self._follower.fleet.leaps
        return (start_ns, end_ns) if end_ns - start_ns > self._leap_days_max * NS_PER_DAY else None

    @property
    def kept_because(self) -> str:
        """Why nothing may expire now, by a clock that perhaps is wrong; empty where things may."""
        self._leaps.look(seen_ns=self._seen_ns)
        if self.clock.is_behind:
            return "the clock is behind the journal"
        if self.far_leap_ns:
            start, end = map(format_rfc3339, self.far_leap_ns)
            return f"the clock leapt from {start} to {end}: if it is right now, run `fleetpulse clock accept`"
        if self._leaps.waits_ns:
            return (
                f"the clock leapt, or may have: for {self._leaps.waits_ns // NS_PER_S + 1} s more (clock_leap_wait_s)"
            )
        return ""


def wrong_since_ns(blind_ns: Sequence[tuple[int, int]], *, ahead_since_ns: int | None, now_ns: int) -> int:
    """Since when a clock was ahead that is right at `now_ns`, as far as it is certain; `now_ns` where nothing tells.

    A blind span that the present lies in was none: the clock leapt over it.

    Args: ahead_since_ns: when it leapt forward by as much as it was set back, if that was seen.
    """
    found = [start_ns for start_ns, end_ns in blind_ns if start_ns <= now_ns < end_ns]
    if ahead_since_ns is not None and ahead_since_ns <= now_ns:
        found.append(ahead_since_ns)
    return min(found, default=now_ns)


class _Mark:
    """The waiter of a mark: where it was refused before it was stamped, the next turn adds another."""

    def __init__(self, watch: Watch) -> None:
        self._watch = watch

    def acknowledge(self) -> None:
        """See ingest.intake.Waiter."""

    def fail(self, _error: Answerable) -> None:
        """See ingest.intake.Waiter."""
        self._watch.is_mark_waiting = False
