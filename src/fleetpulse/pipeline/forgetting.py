"""Forgetting what a device sent before a time: the way back for what a wrong clock has spoilt.

The order is an entry of the journal, behind all events that it is about, so that a replay comes to the same figures.
Memory follows it at once, the blocks with the checkpoint that is taken next; a crash in between is made up for by a
checkpoint before the service is ready again. What is counted is counted while nothing else changes the blocks. Where
several nodes share the journal, `forget_orders.py` brings the order to the one that takes checkpoints.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial

import structlog

from fleetpulse.aggregate.presence import Rows
from fleetpulse.blocks.forget import count_before
from fleetpulse.catalog.forget_records import ForgetOrder
from fleetpulse.errors import NotAccepting, OutOfRange
from fleetpulse.ingest.calendar import declared_time_ns
from fleetpulse.ingest.future_waiter import FutureWaiter
from fleetpulse.ingest.intake import Intake
from fleetpulse.model.forgotten import BeforeCut, Order
from fleetpulse.model.units import NS_PER_MINUTE
from fleetpulse.notation.timestamp import format_rfc3339
from fleetpulse.pipeline.forget_orders import ForgetOrders
from fleetpulse.pipeline.housekeeping import Housekeeping
from fleetpulse.query.declaration_answers import Forgetting as Answer

log = structlog.get_logger("forgetting")
PAUSE_S = 0.001
"""Between two blocks that are looked through, so that reports are not delayed."""


@dataclass(eq=False, frozen=True, kw_only=True)
class Forgetting:
    """See the module."""

    intake: Intake
    housekeeping: Housekeeping
    """It knows the other parts that are needed here: what is forgotten is what its checkpoints write."""
    orders: ForgetOrders
    """Of nodes that share a journal; a node on its own does it at once."""

    async def forget(self, device_id: str, before: str, *, is_dry: bool) -> Answer:
        """Forget what a device sent before a time, by its own clock, or count it.

        Raises: UnknownDevice; Malformed; OutOfRange: the time is later than now. NotAccepting: nothing was forgotten;
            or, with the reason `forgetting`, not yet. DamagedData: a block that must be counted is not as it was
            written.
        """
        device, before_ns = self.housekeeping.registry.number_of(device_id), self._before_ns(before)
        if self.housekeeping.lease.is_alone:
            with self.housekeeping.lease.holding():
                pass
            done = await self.carry_out(ForgetOrder("", device, before_ns, is_dry, "waiting"), _nothing)
        else:
            done = await self.orders.ask(device, before_ns, is_dry=is_dry)
        return Answer(
            device_id=device_id,
            before=format_rfc3339(before_ns),
            minutes=done.minutes,
            samples=done.samples,
            dry_run=is_dry,
            done=done.is_written,
        )

    async def carry_out(self, order: ForgetOrder, note: Callable[[ForgetOrder], Awaitable[None]]) -> ForgetOrder:
        """See CarryOut. On the node that takes checkpoints."""
        async with self.housekeeping.checkpoints() as checkpoint:
            # First everything goes into blocks, so that only what arrives meanwhile is left in memory.
            if not await checkpoint():
                text = "the blocks cannot be written now, so nothing was forgotten; see the service's log"
                raise NotAccepting(text, reason="checkpoint_failed")
            found, samples = await self._count(order.device, order.before_ns)
            if order.is_dry:
                return order._replace(state="done", minutes=found.minutes, samples=samples)
            if order.state == "counted" and not (found.minutes or samples):
                # A former holder had it forgotten, and the checkpoint above has written the blocks without it.
                return order._replace(state="done", is_written=True)
            minutes_before, samples_before = await self._forgotten_before(order)
            counted = order._replace(
                state="counted", minutes=minutes_before + found.minutes, samples=samples_before + samples
            )
            self.intake.check_own()
            await note(counted)
            journalled, waiter = Order(order.device, order.before_ns, found.minutes, samples, found), FutureWaiter()
            self.intake.add_order(journalled.values(), waiter)
            await waiter.outcome
            is_written = await checkpoint()
            device_id = self.housekeeping.registry.ids[order.device]
            log.info("forgotten", device=device_id, minutes=found.minutes, samples=samples)
            return counted._replace(state="done", is_written=is_written)

    async def _forgotten_before(self, order: ForgetOrder) -> tuple[int, int]:
        """Minutes and samples that former holders have had forgotten for an order, which is carried out once more.

        They noted the counts before the entry of the journal, and what has no entry is found, and counted, again. What
        has one is in the catalog since the checkpoint that the work begins with; the newest records are those.
        """
        if order.state != "counted":
            return 0, 0
        minutes = samples = 0
        for one in reversed(await self.orders.catalog_thread.run(self.orders.catalog.forgotten)):
            if (one.device, one.before_ns) == (order.device, order.before_ns):
                minutes, samples = minutes + one.minutes, samples + one.samples
                if (minutes, samples) == (order.minutes, order.samples):
                    return minutes, samples
        return 0, 0

    def _before_ns(self, text: str) -> int:
        # Presence knows whole minutes only: of a minute that has begun before the time, nothing is forgotten.
        before_ns = declared_time_ns("before", text) // NS_PER_MINUTE * NS_PER_MINUTE
        if not 0 <= before_ns <= self.housekeeping.watch.clock.now_ns():
            raise OutOfRange("`before` must be a time from 1970 on that is not later than now", reason="before")
        return before_ns

    async def _count(self, device: int, before_ns: int) -> tuple[BeforeCut, int]:
        """What blocks and memory hold before the time: what the order must tell, and the samples of both."""
        view = self.housekeeping.follower.fleet.view(range(device, device + 1), from_day=0)
        live: dict[int, Rows] = {day: rows[0][:][0] for day, rows in view.dense.items()}
        manifest = self.housekeeping.history.manifest
        work = partial(
            count_before, self.housekeeping.history, manifest, device, before_ns=before_ns, live=live, pause=_pause
        )
        found = await asyncio.get_running_loop().run_in_executor(self.housekeeping.threads.files, work)
        in_memory = sum(int(((piece.devices == device) & (piece.at_ns < before_ns)).sum()) for piece in view.samples)
        return found, found.samples + in_memory


async def _nothing(_order: ForgetOrder) -> None:
    pass


def _pause() -> None:
    time.sleep(PAUSE_S)
