"""The lease as a node sees it: whether this node does what only one node may do.

That is checkpoints and compaction, removing files, retention, rounds of alerts and deliveries. A node takes the lease
when nobody has it, and renews it again and again. Where a renewal does not come through in time, the node stops such
work by its own monotonic clock; what it had begun already is refused by the catalog, which looks at the epoch in every
transaction of this work (`catalog/holding.py`). A node on its own takes the lease once, at its start, and keeps it.

A node may reach the catalog, and yet be unable to do this work (`fitness.py`). It does not take the lease then, and
gives it up after LEASE_S of that, so that a node that is fit can take it. Shorter troubles, such as the election of a
leader in NATS, do not move the lease. Where none takes it, as while all of NATS is away, one that is not fit does, for
some time: it can still tell people what is wrong with the service itself.
"""

import asyncio
import math
from collections.abc import Callable, Coroutine, Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import structlog

from fleetpulse.catalog.catalog import Catalog
from fleetpulse.catalog.holding import current_term, holding
from fleetpulse.clock import Clock
from fleetpulse.errors import Answerable, DatabaseBusy, Deposed, OperatorError
from fleetpulse.model.lease import Term
from fleetpulse.model.units import NS_PER_S
from fleetpulse.pipeline.catalog_thread import CatalogThread

log = structlog.get_logger("lease")
LEASE_S = 10
RENEW_S = 3
LAST_RESORT_S = 60
"""So long a node that is not fit keeps the lease that nobody else has taken, before it offers it again."""


@dataclass(eq=False, kw_only=True)
class Lease:
    """Used on the loop, except `begin`.

    Attributes:
        name: this process's, unlike that of all others.
        is_alone: no other node can be there.
        unfit_because: why this node cannot do the holder's work now; empty where it can.
        on_taken, on_lost: called on the loop when the lease is taken while the node runs, and when it is lost.
        last_known: whose term it is, as far as this node knows.
    """

    catalog: Catalog
    catalog_thread: CatalogThread
    renewing: CatalogThread
    """For renewals, which must not wait until the catalog's thread has done what it does."""
    clock: Clock
    name: str
    is_alone: bool
    unfit_because: Callable[[], str] = lambda: ""
    on_taken: list[Callable[[], None]] = field(default_factory=list)
    on_lost: list[Callable[[], None]] = field(default_factory=list)
    last_known: Term = field(default=Term("", 0), init=False)
    _term: Term | None = field(default=None, init=False)
    _until_ns: float = field(default=0, init=False)
    """Until when the term lasts by the monotonic clock; never later than the catalog says."""
    _unfit_since_ns: float = field(default=math.inf, init=False)
    _free_since_ns: float = field(default=math.inf, init=False)
    """Since when nobody has it, as far as this node has seen."""
    _kept_until_ns: float = field(default=-math.inf, init=False)
    """Until when the term is kept however unfit this node is."""
    _tried_at_ns: float = field(default=-math.inf, init=False)
    _task: asyncio.Task[None] | None = field(default=None, init=False)
    _is_ending: bool = field(default=False, init=False)

    @property
    def is_held(self) -> bool:
        """Whether this node may begin work of the holder now."""
        return self._term is not None and self.clock.monotonic_ns() < self._until_ns

    @property
    def epoch(self) -> int:
        """The epoch of the latest term that this node knows of."""
        return self.last_known.epoch

    @property
    def holder(self) -> str:
        """Who has the lease, as far as this node knows; empty: nobody."""
        return self.last_known.holder

    @property
    def left_s(self) -> float:
        """How long this node has the lease without a further renewal; 0: it does not have it, or needs none."""
        left_s = (self._until_ns - self.clock.monotonic_ns()) / NS_PER_S if self.is_held else 0.0
        return left_s if math.isfinite(left_s) else 0.0

    @contextmanager
    def holding(self) -> Generator[None, None, None]:
        """Do what is done within it as the holder. Within work that has begun so, it stays work of the same term.

        Raises: Deposed: this node is not the holder, or it turns out not to be any more.
        """
        term = current_term()
        if term is None:
            if not self.is_held:
                raise Deposed(f"{self.holder or 'nobody'} has the lease (epoch {self.epoch}), not {self.name}")
            term = self._term
        try:
            with holding(term):
                yield
        except Deposed as error:
            self._lose(term, because=str(error))
            raise

    async def as_holder(self, work: Coroutine[Any, Any, bool]) -> bool:
        """The result of `work`, done as the holder; False where this node is not, or turns out not to be any more."""
        try:
            with self.holding():
                return await work
        except Deposed as error:
            work.close()
            log.warning("work is left to the node that has the lease", because=str(error))
            return False

    def begin(self) -> None:
        """At the start of a node on its own: take the lease. Blocks; on the catalog's thread.

        Where the catalog cannot be written now, `tick` tries again: the service can accept events all the same.
        """
        if not self.is_alone:
            return
        try:
            self._note_taken(self.catalog.lease.take(self.name, for_ns=0), math.inf)
        except (OSError, DatabaseBusy) as error:
            log.error("the lease could not be taken; it is tried again", error=str(error))

    def tick(self) -> None:
        """Take, renew or give up the lease in the background, if it is time to."""
        now_ns = self.clock.monotonic_ns()
        if self._term is not None and now_ns >= self._until_ns:
            self._lose(self._term, because=f"it could not be renewed within {LEASE_S} s")
        if not self.is_alone:
            self._look_at_fitness(now_ns)
        is_due = now_ns - self._tried_at_ns >= RENEW_S * NS_PER_S and not (self.is_alone and self._term)
        if is_due and not self._is_ending and (self._task is None or self._task.done()):
            self._tried_at_ns = now_ns
            self._task = asyncio.get_running_loop().create_task(self.look())

    def _look_at_fitness(self, now_ns: int) -> None:
        because = self.unfit_because()
        self._unfit_since_ns = min(self._unfit_since_ns, now_ns) if because else math.inf
        term = self._term
        is_patient = now_ns - self._unfit_since_ns <= LEASE_S * NS_PER_S or now_ns < self._kept_until_ns
        if term is None or self._is_ending or is_patient:
            return
        text = f"it could not do the holder's work for {LEASE_S} s, and gives the lease up for another node: {because}"
        self._lose(term, because=text, todo="mend what is named here; this node takes the lease again when it can")
        self.last_known = Term("", term.epoch)
        self._task = asyncio.get_running_loop().create_task(self._give_back(term, after=self._task))

    async def look(self) -> None:
        """Take or renew the lease now. A failure is logged, and the next look tries again."""
        began_ns, term = self.clock.monotonic_ns(), self._term
        for_ns = 0 if self.is_alone else LEASE_S * NS_PER_S
        until_ns = math.inf if self.is_alone else began_ns + for_ns
        records, run = self.catalog.lease, self.catalog_thread.run
        try:
            if term is not None:
                renew = self.renewing.run if records.is_renewed_aside else run
                if not await renew(partial(records.renew, term, for_ns=for_ns)):
                    self._lose(term, because="another node has taken it")
                elif self._term is term:
                    self._until_ns = until_ns
                return
            is_fit = self.is_alone or not self.unfit_because()
            may_take = is_fit or began_ns - self._free_since_ns >= LEASE_S * NS_PER_S
            if may_take and self._note_taken(await run(partial(records.take, self.name, for_ns=for_ns)), until_ns):
                self._kept_until_ns = -math.inf if is_fit else began_ns + LAST_RESORT_S * NS_PER_S
                log.info("this node has the lease", holder=self.holder, epoch=self.epoch)
                for call in self.on_taken:
                    call()
            else:
                state = await run(records.current)
                self.last_known = Term("", state.term.epoch) if state.is_over else state.term
                self._free_since_ns = min(self._free_since_ns, began_ns) if state.is_over else math.inf
        except (Answerable, OperatorError) as error:
            log.warning("the lease could not be taken or renewed; it is tried again", error=str(error))

    def _note_taken(self, term: Term | None, until_ns: float) -> bool:
        if term is None:
            return False
        self._term = self.last_known = term
        self._until_ns, self._free_since_ns = until_ns, math.inf
        return True

    def _lose(self, term: Term | None, *, because: str, **more: str) -> None:
        if term is None or term != self._term:
            return  # it was lost before
        log.error("this node does not have the lease any more", epoch=term.epoch, because=because, **more)
        self._term = None
        for call in self.on_lost:
            call()

    async def end(self) -> None:
        """Give the lease back when the node stops, so that another one can take it at once."""
        self._is_ending = True
        if self._task is not None:
            await asyncio.wait([self._task])
        term, self._term = self._term, None
        if term is not None and not self.is_alone:
            await self._give_back(term)

    async def _give_back(self, term: Term, *, after: asyncio.Task[None] | None = None) -> None:
        """Let others take the lease at once. `after`: a renewal under way, which would undo this if it came last."""
        if after is not None:
            await asyncio.wait([after])
        try:
            await self.catalog_thread.run(partial(self.catalog.lease.release, term))
        except (Answerable, OperatorError) as error:
            log.warning("the lease could not be given back; it ends by itself", error=str(error))
