"""Lanes: small questions have threads of their own, so that they never wait behind big ones.

    a question ── small or big? ──> lane: waits for its turn ──> thread of the lane ──> answer
                                          └── stopped: its client hung up, its time is over, or too many wait

A question is a ticket of its lane from its arrival until its thread has ended. Tickets are looked at every
`LOOK_S`: the deadline covers waiting and running. Whoever waits is answered in time, even if the thread takes longer to
notice that it should stop; the thread keeps its place in the lane until it has noticed.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable, Coroutine, Generator
from concurrent.futures import Executor, Future
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from typing import Any, Literal, TypeVar

from fleetpulse.clock import Clock
from fleetpulse.errors import Answerable, Busy, NotAccepting, QuestionStopped
from fleetpulse.limits import QuestionLimits
from fleetpulse.model.units import NS_PER_S
from fleetpulse.pipeline.asker import Asker, current_asker
from fleetpulse.pipeline.threads import SMALL_ASIDE_MAX, Threads
from fleetpulse.pipeline.turns import Turns
from fleetpulse.query.budget import RETRY_AFTER_S, abandoned, list_timed_out, timed_out
from fleetpulse.telemetry.counters import Counters

LaneName = Literal["small", "big", "csv"]
LOOK_S = 0.025
"""How often questions are looked at: whether their clients are there, and their time is not over."""
GRACE_NS = NS_PER_S // 20
"""How long after the deadline a question may tell of it itself, before it is answered without its thread."""
ASIDE_AFTER_NS = NS_PER_S // 2
"""How long a small question may run until the lane goes on without it: a block may have to come from far away."""
_Result = TypeVar("_Result")


class Ticket:
    """A question in a lane."""

    __slots__ = (
        "asker",
        "began_ns",
        "client",
        "has_turn",
        "is_aside",
        "is_kept",
        "is_working",
        "lane",
        "more_s",
        "waiter",
    )

    def __init__(self, asker: Asker, lane: "Lane") -> None:
        self.asker, self.client, self.lane = asker, asker.client, lane
        self.waiter: asyncio.Future[Any] | None = None
        """What the request waits for at the moment: its turn, or the result of its thread."""
        self.is_working = False
        """Whether a thread works on it, perhaps after the request was answered."""
        self.has_turn = False
        self.began_ns = 0
        """When its turn came, by the monotonic clock."""
        self.is_aside = False
        """Whether it takes longer than was estimated, so that its lane goes on without it."""
        self.more_s = 0.0
        """How much more time it has than other questions."""
        self.is_kept = False
        """Whether it keeps its turn when its figures are computed: see `kept_turns`."""


class Lane:
    """Questions of about the same size: some run, the others wait for their turn."""

    def __init__(
        self, name: LaneName, threads: Executor, *, running_max: int, waiting_max: int, aside_max: int = 0
    ) -> None:
        """`aside_max`: how many may take longer than was estimated while the lane goes on without them."""
        self.name, self.threads = name, threads
        self.running_max, self.waiting_max, self.aside_max = running_max, waiting_max, aside_max
        self.running = 0
        self.aside = 0
        self.waiting: Turns[Ticket] = Turns()

    def admit(self, ticket: Ticket) -> Ticket | None:
        """Let a question wait. Returns the one that must give way to it, if any. Raises: Busy: too many wait."""
        yielding = None
        if len(self.waiting) >= self.waiting_max:
            yielding = self.waiting.yielding_to(ticket.client)
            if yielding is None:
                raise self.refusal()
            self.waiting.discard(yielding)
        self.waiting.add(ticket)
        return yielding

    def refusal(self) -> Busy:
        """What a question is told for which there is no room."""
        return Busy(
            f"{len(self.waiting)} {self.name} questions wait already, as many as may "
            f"({'questions_small_waiting_max' if self.name == 'small' else 'questions_big_waiting_max'}): "
            "ask again after the seconds of Retry-After",
            reason="questions_busy",
            retry_after_s=1 if self.name == "small" else RETRY_AFTER_S,
        )


class Lanes:
    """All lanes, and the deadlines of the questions in them."""

    def __init__(
        self, lanes: tuple[Lane, ...], *, counters: Counters, timeout_s: float, monotonic_ns: Callable[[], int]
    ) -> None:
        self.lanes: dict[LaneName, Lane] = {lane.name: lane for lane in lanes}
        self.timeout_s = timeout_s
        self.monotonic_ns = monotonic_ns
        self._counters = counters
        self._tickets: set[Ticket] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._is_stopping = False

    @classmethod
    def of(cls, limits: QuestionLimits, threads: Threads, *, counters: Counters, clock: Clock) -> "Lanes":
        """The lanes of a service."""
        small = Lane(
            "small",
            threads.small_questions,
            running_max=limits.questions_small_running_max,
            waiting_max=limits.questions_small_waiting_max,
            aside_max=SMALL_ASIDE_MAX,
        )
        big = Lane(
            "big",
            threads.big_questions,
            running_max=limits.questions_big_running_max,
            waiting_max=limits.questions_big_waiting_max,
        )
        # The list of all devices as CSV is long, and takes longer than a question may. So one is made at a time.
        csv = Lane("csv", threads.rendering, running_max=1, waiting_max=limits.questions_big_waiting_max)
        timeout_s = limits.question_timeout_s
        return cls((small, big, csv), counters=counters, timeout_s=timeout_s, monotonic_ns=clock.monotonic_ns)

    def running(self) -> dict[str, float]:
        """How many questions are worked on, by lane."""
        return {name: lane.running + lane.aside for name, lane in self.lanes.items()}

    def waiting(self) -> dict[str, float]:
        """How many questions wait for their turn, by lane."""
        return {name: len(lane.waiting) for name, lane in self.lanes.items()}

    @asynccontextmanager
    async def turn(self, name: LaneName) -> AsyncGenerator[Ticket]:
        """A turn in a lane, for the block of code. Raises: Busy; QuestionStopped; NotAccepting: the service stops."""
        if self._is_stopping:
            raise _stopping()
        lane, asker = self.lanes[name], current_asker()
        asker.end_turn()
        if asker.deadline_ns is None:
            asker.deadline_ns = self.monotonic_ns() + int(self.timeout_s * NS_PER_S)
        ticket = Ticket(asker, lane)
        if lane.running < lane.running_max:
            self._begin(ticket)
            self._follow(ticket)
        else:
            await self._wait(ticket)
        with self.used(ticket):
            yield ticket
        self._counters.questions_answered[name] += 1

    @contextmanager
    def on_loop(self, name: LaneName) -> Generator[None]:
        """Answer a question in a block of code that awaits nothing, without a turn. Raises: NotAccepting."""
        if self._is_stopping:
            raise _stopping()
        yield
        self._counters.questions_answered[name] += 1

    @contextmanager
    def used(self, ticket: Ticket) -> Generator[None]:
        """Use the turn of a ticket in a block of code. It ends with the block, unless it is kept for the answer."""
        try:
            yield
        except (QuestionStopped, NotAccepting) as stop:
            self._counters.questions_stopped[stop.reason] += 1
            raise
        except asyncio.CancelledError:
            ticket.asker.is_gone = True
            raise
        finally:
            ticket.waiter = None
            if not ticket.is_working and not ticket.is_kept:
                self.leave(ticket)

    async def _wait(self, ticket: Ticket) -> None:
        lane = ticket.lane
        try:
            yielding = lane.admit(ticket)
        except Busy as busy:
            self._counters.questions_refused[busy.reason] += 1
            raise
        if yielding is not None and yielding.waiter is not None and not yielding.waiter.done():
            self._counters.questions_refused["questions_busy"] += 1
            self._tickets.discard(yielding)
            yielding.waiter.set_exception(lane.refusal())
        ticket.waiter = asyncio.get_running_loop().create_future()
        self._follow(ticket)
        try:
            await ticket.waiter
        except asyncio.CancelledError:
            if ticket.waiter.done() and not ticket.waiter.cancelled() and ticket.waiter.exception() is None:
                self.leave(ticket)  # its turn had come
            elif ticket in self._tickets:
                self._stop_waiting(ticket)
            raise

    def extend(self, ticket: Ticket, more_s: float) -> None:
        """Give a question more time: it is longer than others by nature."""
        assert ticket.asker.deadline_ns is not None, "its turn has set it"
        ticket.asker.deadline_ns += int(more_s * NS_PER_S)
        ticket.more_s = more_s

    def check(self, ticket: Ticket) -> None:
        """Look before the next piece of work. Raises: QuestionStopped."""
        if ticket.asker.look():
            raise abandoned()
        if ticket.asker.deadline_ns is not None and self.monotonic_ns() >= ticket.asker.deadline_ns:
            raise self._timed_out(ticket)

    async def wait(self, ticket: Ticket, work: Coroutine[None, None, _Result]) -> _Result:
        """Wait for work on the loop, for a question that has its turn. Raises: what `work` raises; QuestionStopped."""
        task = asyncio.ensure_future(work)
        waiter: asyncio.Future[_Result] = asyncio.get_running_loop().create_future()
        ticket.waiter = waiter
        task.add_done_callback(partial(_settle, waiter))
        try:
            return await waiter
        finally:
            task.cancel()

    async def run(self, ticket: Ticket, work: Callable[[], _Result]) -> _Result:
        """Do work of a question in a thread of its lane. Raises: what `work` raises; QuestionStopped."""
        loop = asyncio.get_running_loop()
        waiter: asyncio.Future[_Result] = loop.create_future()
        ticket.waiter, ticket.is_working = waiter, True
        future = ticket.lane.threads.submit(work)
        future.add_done_callback(partial(_hand_over, loop, partial(self._finish, ticket, waiter)))
        return await waiter

    def _finish(self, ticket: Ticket, waiter: "asyncio.Future[_Result]", future: "Future[_Result]") -> None:
        ticket.is_working = False
        if ticket.waiter is None:
            self.leave(ticket)  # the request was answered before its thread ended
        _settle(waiter, future)

    def _begin(self, ticket: Ticket) -> None:
        ticket.lane.running += 1
        ticket.has_turn, ticket.began_ns = True, self.monotonic_ns()

    def leave(self, ticket: Ticket) -> None:
        """Give the place of a question in its lane to the next one."""
        self._tickets.discard(ticket)
        lane = ticket.lane
        if ticket.is_aside:
            lane.aside -= 1
        else:
            lane.running -= 1
        self._go_on(lane)

    def _go_on(self, lane: Lane) -> None:
        while lane.waiting and lane.running < lane.running_max:
            following = lane.waiting.next()
            assert following.waiter is not None, "whoever waits has a waiter"
            if following.waiter.done():
                continue  # it was cancelled, and has not run since
            self._begin(following)
            following.waiter.set_result(None)

    def _stop_waiting(self, ticket: Ticket) -> None:
        self._tickets.discard(ticket)
        ticket.lane.waiting.discard(ticket)

    def _follow(self, ticket: Ticket) -> None:
        self._tickets.add(ticket)
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(LOOK_S, self._look_again)

    def _look_again(self) -> None:
        self._timer = None
        self.look()
        if self._tickets:
            self._timer = asyncio.get_running_loop().call_later(LOOK_S, self._look_again)

    def look(self) -> None:
        """Stop the questions whose clients have hung up, and those whose time is over."""
        now_ns = self.monotonic_ns()
        for ticket in list(self._tickets):
            waiter, deadline_ns, lane = ticket.waiter, ticket.asker.deadline_ns, ticket.lane
            is_slow = ticket.is_working and not ticket.is_aside and now_ns - ticket.began_ns >= ASIDE_AFTER_NS
            if is_slow and lane.waiting and lane.aside < lane.aside_max:
                ticket.is_aside = True
                lane.aside, lane.running = lane.aside + 1, lane.running - 1
                self._go_on(lane)
            if waiter is None or waiter.done() or deadline_ns is None:
                continue  # it is being answered, or is about to go on
            if ticket.asker.look():
                self._stop(ticket, abandoned())
            elif now_ns >= deadline_ns + (GRACE_NS if ticket.is_working else 0):
                self._stop(ticket, self._timed_out(ticket))

    def _timed_out(self, ticket: Ticket) -> QuestionStopped:
        return timed_out(self.timeout_s) if not ticket.more_s else list_timed_out(self.timeout_s + ticket.more_s)

    def stop(self) -> None:
        """Answer no further questions, and none of those that wait; those that run are stopped, too."""
        self._is_stopping = True
        for ticket in list(self._tickets):
            ticket.asker.is_gone = True
            if ticket.waiter is not None and not ticket.waiter.done():
                self._stop(ticket, _stopping())

    def _stop(self, ticket: Ticket, stop: Answerable) -> None:
        assert ticket.waiter is not None, "only what is waited for is stopped"
        if not ticket.has_turn:
            self._stop_waiting(ticket)
            self._counters.questions_stopped[stop.reason] += 1
        ticket.waiter.set_exception(stop)


def _stopping() -> NotAccepting:
    return NotAccepting("stopping", reason="stopping")


def _settle(waiter: "asyncio.Future[_Result]", done: "Future[_Result] | asyncio.Future[_Result]") -> None:
    """Let a waiter have what has been done, unless it has been answered."""
    if waiter.done():
        return
    if done.cancelled():
        waiter.cancel()
    elif (error := done.exception()) is not None:
        waiter.set_exception(error)
    else:
        waiter.set_result(done.result())


def _hand_over(
    loop: asyncio.AbstractEventLoop, finish: "Callable[[Future[_Result]], None]", future: "Future[_Result]"
) -> None:
    """Let the event loop have what a thread has made, unless the loop has ended."""
    if not loop.is_closed():
        loop.call_soon_threadsafe(finish, future)
