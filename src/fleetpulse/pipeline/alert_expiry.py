"""The end of what is kept of alerts: those that ended `alert_retention_days` ago are removed, with all about them.

Alerts are stored in pieces of 1,000 neighbouring numbers, and a piece goes when all of its alerts ended so long ago.
"""

import asyncio
from dataclasses import dataclass, field
from functools import partial

import structlog

from fleetpulse.errors import Answerable, OperatorError
from fleetpulse.model.units import NS_PER_DAY, NS_PER_S
from fleetpulse.pipeline.alert_book import AlertBook
from fleetpulse.pipeline.lease import Lease

log = structlog.get_logger("alerts")
EXPIRE_EVERY_NS = 600 * NS_PER_S
PIECES_AT_ONCE = 10
"""Pieces that are removed in one transaction, since events that wait for the disk must not wait long for it."""


@dataclass(eq=False)
class AlertExpiry:
    """Removes old alerts from time to time. Used on the loop."""

    book: AlertBook
    lease: Lease
    _expire_at_ns: int = field(default=0, init=False)
    _task: asyncio.Task[None] | None = field(default=None, init=False)

    def tick(self, *, may_expire: bool) -> None:
        """Begin to remove what is old, if it is time to. Args: may_expire: the server's clock can be believed."""
        is_due = may_expire and self.book.settings.alert_retention_days > 0
        if is_due and self.book.clock.now_ns() >= self._expire_at_ns and (self._task is None or self._task.done()):
            self._task = asyncio.get_running_loop().create_task(self.expire())

    async def end(self) -> None:
        """Wait for the removal that is under way, before the catalog is closed."""
        if self._task is not None:
            await self._task

    async def expire(self) -> None:
        """Remove some of what is old enough. What cannot be removed is tried again the next time."""
        now_ns = self.book.clock.now_ns()
        self._expire_at_ns = now_ns + EXPIRE_EVERY_NS
        before_ns = now_ns - self.book.settings.alert_retention_days * NS_PER_DAY
        try:
            expire = partial(self.book.records.expire, before_ns=before_ns, limit=PIECES_AT_ONCE)
            with self.lease.holding():
                pieces = await self.book.catalog_thread.run(expire)
        except (Answerable, OperatorError) as error:
            log.error("alerts that ended long ago could not be removed; it is tried again", error=str(error))
            return
        self.book.silences = tuple(one for one in self.book.silences if one.end_ns >= before_ns)
        if pieces == PIECES_AT_ONCE:
            self._expire_at_ns = now_ns
        if pieces:
            log.info("alerts that ended long ago were removed (alert_retention_days)", pieces=pieces)
