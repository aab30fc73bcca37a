"""Orders to forget on several nodes: any node takes one into the catalog, and the holder of the lease carries it out.

Whoever has taken it waits for its end, for a limited time. The order stands meanwhile: where the holder stops or loses
the lease, the next one carries it out, from the beginning. What the former one has done of it does not count twice,
since what is forgotten is not found again; `forget_records.py` has the states. One that fails by a defect stops no
other.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from contextvars import Context
from dataclasses import dataclass, field
from functools import partial

import structlog

from fleetpulse.catalog.acting import acting
from fleetpulse.catalog.catalog import Catalog
from fleetpulse.catalog.change_log import CatalogChanges
from fleetpulse.catalog.forget_records import ForgetOrder
from fleetpulse.errors import Answerable, DamagedData, Deposed, NotAccepting, OperatorError
from fleetpulse.pipeline.catalog_thread import CatalogThread
from fleetpulse.pipeline.lease import Lease

log = structlog.get_logger("forgetting")
WAIT_S = 45.0
"""So long a node waits for the end of an order; proxies give up after a minute."""
LOOK_EVERY_S = 1.0
"""How often an order is looked at, where no change of it is announced; and carried out anew after a failure."""
RETRY_S = 5
DAMAGED = "damaged_data"
DEFECT = "forgetting_failed"

CarryOut = Callable[[ForgetOrder, Callable[[ForgetOrder], Awaitable[None]]], Awaitable[ForgetOrder]]
"""Carries out an order; the order as it is then. The function is called with the counts, before anything is forgotten.

Raises: Answerable; DamagedData: nothing was forgotten.
"""


@dataclass(eq=False, kw_only=True)
class ForgetOrders:
    """Used on the loop.

    Attributes:
        carry_out: set by who builds this.
        carried_out: how many orders this node has carried out.
    """

    catalog: Catalog
    catalog_thread: CatalogThread
    lease: Lease
    wait_s: float = WAIT_S
    carry_out: CarryOut = field(init=False)
    carried_out: int = field(default=0, init=False)
    _news: asyncio.Event = field(default_factory=asyncio.Event, init=False)
    _task: asyncio.Task[None] | None = field(default=None, init=False)
    _is_again: bool = field(default=False, init=False)
    _is_ending: bool = field(default=False, init=False)

    async def ask(self, device: int, before_ns: int, *, is_dry: bool) -> ForgetOrder:
        """Give an order, and wait for its end.

        Raises: NotAccepting: it was not carried out, or not yet. DamagedData: a block cannot be counted. DatabaseBusy.
        """
        records, run = self.catalog.forget_orders, self.catalog_thread.run
        with acting(None):  # the act has its entry in the audit log already
            order = await run(partial(records.give, device, before_ns, is_dry=is_dry))
        self.wake()
        loop = asyncio.get_running_loop()
        end_s = loop.time() + self.wait_s
        while order.is_open and loop.time() < end_s and not self._is_ending:
            news = self._news
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(news.wait(), min(LOOK_EVERY_S, end_s - loop.time()))
            try:
                found = await run(partial(records.find, order.id))
                order = order if found is None else found
            except (Answerable, OperatorError) as error:
                log.debug("an order cannot be looked at", error=str(error))
        if order.is_open:
            raise NotAccepting(
                "the order stands, and the node that has the lease carries it out; it has not done it yet: send the "
                "same request again, to hear of its end",
                reason="forgetting",
                retry_after_s=RETRY_S,
            )
        if order.state == "failed":
            raise DamagedData(order.text) if order.reason == DAMAGED else NotAccepting(order.text, reason=order.reason)
        if order.state == "done" and not is_dry:
            await self._note_answered(order)
        return order

    async def _note_answered(self, order: ForgetOrder) -> None:
        try:
            with acting(None):
                await self.catalog_thread.run(partial(self.catalog.forget_orders.note_answered, order))
        except (OSError, Answerable, OperatorError) as error:
            log.warning("the same request has the same answer for an hour, since it cannot be noted", error=str(error))

    async def reload(self, changes: CatalogChanges) -> None:
        """Another node has changed what the catalog says of orders."""
        if changes.concerns("forget_order"):
            self.wake()

    def wake(self) -> None:
        """Let those look who wait, and carry out what is to be done, if this node is the holder."""
        self._news.set()
        self._news = asyncio.Event()
        if not self.lease.is_held or self._is_ending:
            return
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._work(), context=Context())  # of no request
        else:
            self._is_again = True

    def leave(self) -> None:
        """Begin no further order, since the node stops: the next holder does it."""
        self._is_ending = True
        self._news.set()

    async def end(self) -> None:
        """Wait for the order that is being carried out."""
        self.leave()
        if self._task is not None:
            await asyncio.wait([self._task])

    async def _work(self) -> None:
        """Carry out what is open, again after a failure, for as long as this node has the lease."""
        self._is_again = True
        while self._is_again and self.lease.is_held and not self._is_ending:
            self._is_again = False
            try:
                with self.lease.holding():
                    is_waiting = await self._carry_out_open()
            except Deposed as error:
                log.warning("orders to forget are left to the node that has the lease", because=str(error))
                continue
            except (OSError, Answerable, OperatorError) as error:
                log.warning("orders to forget wait", because=str(error))
                is_waiting = True
            except Exception as error:
                log.error("orders to forget wait for the next one, by a defect of ours", exc_info=error)
                return
            if is_waiting:
                self._is_again = True
                await asyncio.sleep(LOOK_EVERY_S)

    async def _carry_out_open(self) -> bool:
        """Whether an order could not be carried out now, which stops no other. Raises: Deposed."""
        is_waiting = False
        for order in await self.catalog_thread.run(self.catalog.forget_orders.open):
            try:
                await self._end_order(order)
            except Deposed:
                raise
            except (OSError, Answerable, OperatorError) as error:
                log.warning("an order to forget waits", because=str(error))
                is_waiting = True
        return is_waiting

    async def _end_order(self, order: ForgetOrder) -> None:
        records, run = self.catalog.forget_orders, self.catalog_thread.run

        async def note(counted: ForgetOrder) -> None:
            await run(partial(records.note, counted))

        try:
            ended = await self.carry_out(order, note)
        except (NotAccepting, DamagedData) as error:
            if isinstance(error, Deposed) or self._is_ending or not self.lease.is_held:
                raise
            reason = error.reason if isinstance(error, NotAccepting) else DAMAGED
            ended = order._replace(state="failed", reason=reason, text=str(error))
        except (OSError, Answerable, OperatorError):
            raise
        except Exception as error:
            if self._is_ending or not self.lease.is_held:
                raise
            log.error("an order to forget failed by a defect of ours", device=order.device, exc_info=error)
            text = "it failed by a defect of the service, whose log says more, and may be carried out in part"
            ended = order._replace(state="failed", reason=DEFECT, text=text)
        await note(ended)
        self.carried_out += 1
        self.wake()
