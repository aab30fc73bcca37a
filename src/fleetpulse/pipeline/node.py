"""One node's life: recover, accept events, tick, stop. What a step does is in the part that it calls."""

import asyncio
import contextlib
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field

import structlog

from fleetpulse.access.gate import Gate
from fleetpulse.clock import Clock
from fleetpulse.errors import READ_ONLY, NotAccepting
from fleetpulse.ingest.connections import Connections
from fleetpulse.ingest.intake import Intake
from fleetpulse.model.units import NS_PER_S
from fleetpulse.pipeline.alert_expiry import AlertExpiry
from fleetpulse.pipeline.alerting import Alerting
from fleetpulse.pipeline.audit_log import AuditLog
from fleetpulse.pipeline.changes import Changes
from fleetpulse.pipeline.cuts import SharedCuts
from fleetpulse.pipeline.deliveries import Deliveries
from fleetpulse.pipeline.disk_watch import DiskWatch
from fleetpulse.pipeline.follow import Follower
from fleetpulse.pipeline.forget_orders import ForgetOrders
from fleetpulse.pipeline.housekeeping import Housekeeping
from fleetpulse.pipeline.journal_room import JournalRoom
from fleetpulse.pipeline.key_use import KeyUse
from fleetpulse.pipeline.late_hold import LateHold
from fleetpulse.pipeline.lease import Lease
from fleetpulse.pipeline.live_feed import LiveFeed
from fleetpulse.pipeline.rate_watch import RateWatch
from fleetpulse.pipeline.readiness import Readiness
from fleetpulse.pipeline.rest import Rest
from fleetpulse.pipeline.startup import Startup
from fleetpulse.pipeline.store_return import StoreReturn
from fleetpulse.pipeline.tail import Tail
from fleetpulse.pipeline.telemetry_rounds import TelemetryRounds
from fleetpulse.pipeline.threads import end_threads
from fleetpulse.pipeline.watch import Watch
from fleetpulse.pipeline.write import Writer
from fleetpulse.telemetry.loop_lag import LoopLag

log = structlog.get_logger("node")
CHECKPOINT_SHARE = 0.7
"""The share of the time to stop after which the last checkpoint is left, so that the rest can be closed in order."""

PROGRESS_S = 0.25
"""How often a start that follows a shared journal says how far it has come."""
DELIVERIES_SHARE, DELIVERIES_END_S = 0.1, 1.0
"""The share of that time, and the time at most, in which tries to deliver messages may end by themselves."""


@dataclass(eq=False, kw_only=True)
class Node:
    """Starts and stops the parts of a service in their order, and gives each its turn a few times a second."""

    clock: Clock
    gate: Gate
    key_use: KeyUse
    startup: Startup
    startup_thread: Executor
    readiness: Readiness
    writer: Writer
    intake: Intake
    connections: Connections
    follower: Follower
    tail: Tail | None
    shared_cuts: SharedCuts | None
    journal_room: JournalRoom | None
    watch: Watch
    housekeeping: Housekeeping
    store_return: StoreReturn
    disk_watch: DiskWatch
    late_hold: LateHold
    live_feed: LiveFeed
    rate_watch: RateWatch
    rest: Rest
    telemetry_rounds: TelemetryRounds
    changes: Changes
    audit_log: AuditLog
    alerting: Alerting
    alert_expiry: AlertExpiry
    deliveries: Deliveries
    forget_orders: ForgetOrders
    lease: Lease
    loop_lag: LoopLag
    closers: Sequence[Callable[[], None]]
    """They release threads and files at the end, in their order; each may block."""
    _ticker: asyncio.Task[None] | None = field(default=None, init=False)

    async def start(self) -> None:
        """Recover, then accept events.

        Raises: OperatorError: what is on disk, or a declared file, cannot be used. DatabaseBusy: another program locks
            the journal or the catalog.
        """
        loop = asyncio.get_running_loop()
        self.loop_lag.start()
        self.writer.start(self.intake, self.watch)
        self.tick()
        self._ticker = loop.create_task(self._tick_forever())
        started_s = time.monotonic()
        await loop.run_in_executor(self.startup_thread, self.startup.run)
        self.lease.on_taken += [self.alerting.restart, self.deliveries.restart, self.forget_orders.wake]
        self.lease.on_lost += [self.deliveries.restart]
        self.housekeeping.begin()
        self.store_return.begin()
        if self.shared_cuts is not None:
            self.shared_cuts.begin()
            self.shared_cuts.on_away.append(self.store_return.hurry)
        if self.tail is not None:
            await self._follow_others(self.tail)
        if self.follower.fleet.forgotten and self.tail is None:
            # The process ended before the blocks had forgotten what the journal says: they must before questions come.
            await self.housekeeping.checkpoint()
        # The journal says since when the service was not running before it holds the first event that came afterwards.
        await self.watch.compare()
        self.watch.begin()
        if not self.follower.is_away:
            self.follower.advance(self.clock.now_ns())
        await self.writer.drain()
        if self.writer.busy is not None:
            raise self.writer.busy
        if self.writer.trouble is None:  # else the writer opens it, when the disk takes an entry
            self.watch.open()
        self.readiness.is_ready, self.readiness.stage = True, "ready"
        self.disk_watch.start()
        self.changes.begin()
        self.deliveries.begin()
        log.info(
            "ready",
            auth=self.gate.state,
            devices=len(self.intake.numbers),
            replayed_events=self.readiness.replay.events,
            position=self.follower.position,
            seconds=round(time.monotonic() - started_s, 3),
        )

    async def _follow_others(self, tail: Tail) -> None:
        """Apply what the shared journal holds so far. It takes as long as the journal and the catalog do."""
        if self.follower.is_away:
            return  # `StoreReturn` begins it
        progress = self.readiness.replay
        self.readiness.stage = "replay"
        tail.begin()
        while tail.position < progress.until and not self.follower.is_away:
            with contextlib.suppress(NotAccepting):
                await tail.reach(progress.until, within_s=PROGRESS_S)
            tail.check()
            progress.position = tail.position
        if not self.follower.is_away:  # else a checkpoint was taken meanwhile, and `StoreReturn` loads its snapshot
            await self.follower.caught_up()
        self.readiness.stage = "catch_up"

    async def _tick_forever(self) -> None:
        while True:
            await asyncio.sleep(self.connections.sweep_interval_s)
            self.tick()

    def tick(self) -> None:
        """Move everything along that depends on the time."""
        now_ns = self.clock.now_ns()
        self.gate.set_time(now_ns / NS_PER_S)
        self.intake.latest_ns = now_ns + int(self.connections.limits.future_s * NS_PER_S)
        self.writer.tick(elapsed_s=self.connections.sweep_interval_s, connections=len(self.connections))
        self.connections.sweep(asyncio.get_running_loop().time())
        self.rate_watch.tick()
        self.rest.tick()
        self.telemetry_rounds.settle()
        if self.readiness.is_ready:
            try:
                self._move_on()
            except Exception as error:
                # Deadlines and the clock must go on; but a node that cannot apply events must not accept them.
                log.error("the live fleet could not be brought up to date", exc_info=error)
                self.intake.close(NotAccepting(f"read-only: {error}; restart the service", reason=READ_ONLY))

    def _move_on(self) -> None:
        self.watch.turn()
        self.changes.tick()
        self.lease.tick()
        if self.shared_cuts is not None:
            self.shared_cuts.tick()
        if self.journal_room is not None:
            self.journal_room.tick()
        is_holder = self.lease.is_held
        may_expire = is_holder and not self.watch.kept_because
        self.audit_log.tick(may_expire=may_expire)
        self.alert_expiry.tick(may_expire=may_expire)
        self.key_use.tick()
        self.deliveries.tick()
        self.disk_watch.tick()
        self.telemetry_rounds.tick()
        self.store_return.tick()
        if not self.follower.is_away:
            self.follower.move_on(self.clock.now_ns())
            self.late_hold.tick()
            self.live_feed.tick()
            if is_holder:
                self.housekeeping.tick()
                self.alerting.tick()

    async def stop(self, *, within_s: float = 1e6) -> None:
        """Drain, checkpoint, close. Everything accepted is durable before this ends, checkpoint or not.

        A checkpoint that is not done in most of `within_s` is left, and so is a start: what hangs is not waited for
        here, but ended with the process, by `stop_signals`.
        """
        was_ready, self.readiness.is_ready = self.readiness.is_ready, False
        was_started = self._ticker is not None
        if self._ticker is not None:
            self._ticker.cancel()
            self.loop_lag.stop()
        if was_started:
            # Before anything that takes long: what gathers is answered, and durable.
            if was_ready:
                self.watch.end()
            await self.writer.drain()
            if self.intake.closed_by is None:
                self.intake.close(NotAccepting("stopping", reason="stopping"))
        await self.telemetry_rounds.end()
        await self.store_return.end(within_s=within_s * CHECKPOINT_SHARE)
        self.forget_orders.leave()
        await self.housekeeping.end(within_s=within_s * CHECKPOINT_SHARE)
        await self.forget_orders.end()
        if was_started:
            if was_ready and self.housekeeping.has_news and not self.follower.is_away and self.tail is None:
                await self.housekeeping.checkpoint()
            if self.shared_cuts is not None:
                await self.shared_cuts.end()
            if self.tail is not None:
                await self.tail.end()
            await self.alerting.end()
            await self.alert_expiry.end()
            await self.deliveries.end(within_s=min(within_s * DELIVERIES_SHARE, DELIVERIES_END_S))
            await self.audit_log.end()
            await self.changes.end()
            await self.writer.stop()
            if was_ready:
                await self.key_use.end()
            await self.lease.end()
        await end_threads(self._close)

    def _close(self) -> None:
        for close in self.closers:
            close()
