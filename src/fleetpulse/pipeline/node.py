"""One node's life: recover, accept events, tick, stop. What a step does is in the part that it calls."""

import asyncio
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Executor

import structlog

from fleetpulse.clock import Clock
from fleetpulse.errors import NotAccepting
from fleetpulse.ingest.connections import Connections
from fleetpulse.ingest.intake import Intake
from fleetpulse.model.units import NS_PER_S
from fleetpulse.pipeline.follow import Follower
from fleetpulse.pipeline.housekeeping import Housekeeping
from fleetpulse.pipeline.readiness import Readiness
from fleetpulse.pipeline.startup import Startup
from fleetpulse.pipeline.watch import Watch
from fleetpulse.pipeline.write import Writer

log = structlog.get_logger("node")


class Node:
    """Starts and stops the parts of a service in their order, and gives each its turn a few times a second."""

    def __init__(
        self,
        *,
        clock: Clock,
        startup: Startup,
        startup_thread: Executor,
        readiness: Readiness,
        writer: Writer,
        intake: Intake,
        connections: Connections,
        follower: Follower,
        watch: Watch,
        housekeeping: Housekeeping,
        closers: Sequence[Callable[[], None]],
    ) -> None:
        """`closers` release threads and files at the end, in their order; each may block."""
        self._clock = clock
        self._startup = startup
        self._startup_thread = startup_thread
        self._readiness = readiness
        self._writer = writer
        self._intake = intake
        self._connections = connections
        self._follower = follower
        self._watch = watch
        self._housekeeping = housekeeping
        self._closers = closers
        self._future_ns = int(connections.limits.future_s * NS_PER_S)
        self._ticker: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Recover, then accept events. Raises: OperatorError: what is on disk, or a declared file, cannot be used."""
        loop = asyncio.get_running_loop()
        self._writer.start(self._intake)
        self.tick()
        self._ticker = loop.create_task(self._tick_forever())
        started_s = time.monotonic()
        await loop.run_in_executor(self._startup_thread, self._startup.run)
        self._follower.advance(self._clock.now_ns())
        self._housekeeping.begin()
        # The journal says since when the service was not running before it holds the first event that came afterwards.
        self._watch.begin(alive_at_ns=self._follower.fleet.alive_at_ns)
        await self._writer.drain()
        self._intake.open()
        self._readiness.is_ready = True
        log.info(
            "ready",
            devices=len(self._intake.numbers),
            replayed_events=self._readiness.replay.events,
            position=self._follower.position,
            seconds=round(time.monotonic() - started_s, 3),
        )

    async def _tick_forever(self) -> None:
        while True:
            await asyncio.sleep(self._connections.sweep_interval_s)
            self.tick()

    def tick(self) -> None:
        """Move everything along that depends on the time."""
        self._intake.latest_ns = self._clock.now_ns() + self._future_ns
        self._writer.tick(elapsed_s=self._connections.sweep_interval_s, connections=len(self._connections))
        self._connections.sweep(asyncio.get_running_loop().time())
        if self._readiness.is_ready:
            try:
                self._move_on()
            except Exception as error:
                # Deadlines and the clock must go on; but a node that cannot apply events must not accept them.
                log.error("the live fleet could not be brought up to date", exc_info=error)
                self._intake.close(NotAccepting(f"read-only: {error}; restart the service", reason="read_only"))

    def _move_on(self) -> None:
        self._watch.turn()
        self._follower.advance(self._clock.now_ns())
        self._housekeeping.tick()

    async def stop(self) -> None:
        """Drain, checkpoint, close. Everything accepted is durable before this ends, checkpoint or not."""
        was_ready, self._readiness.is_ready = self._readiness.is_ready, False
        was_started = self._ticker is not None
        if self._ticker is not None:
            self._ticker.cancel()
        await self._housekeeping.end()
        if was_started:
            if was_ready:
                self._watch.end()
            await self._writer.drain()
            if self._intake.closed_by is None:
                self._intake.close(NotAccepting("stopping", reason="stopping"))
            if was_ready and self._housekeeping.has_news:
                await self._housekeeping.checkpoint()
            await self._writer.stop()
        await asyncio.get_running_loop().run_in_executor(None, self._close)

    def _close(self) -> None:
        for close in self._closers:
            close()
