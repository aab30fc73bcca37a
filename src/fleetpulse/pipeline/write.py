"""Group commit: the events that have gathered become one journal entry; only then is any sender answered.

In comes the intake's batch; out go durable batches to the follower, and answers to those who wait.
While one batch is on its way to the disk the next one gathers, so batches grow with load.
A batch whose append fails, or takes longer than `commit_timeout_s`, is answered `outcome_unknown`, since it may be on
disk; then no events are accepted until the disk takes an entry again, which is tried by itself. After a failed sync
nothing is ever appended or acknowledged again: the node is read-only until it is restarted.
Where another program has locked the journal for too long, only the batch is refused, and the next one is tried.
What returned from `Journal.append` survives a crash; a batch that gathers does not, but its senders have had no answer.
"""

import asyncio
import queue
import time
from collections.abc import Callable
from functools import partial
from http import HTTPStatus
from typing import Protocol, TypeVar

import structlog

from fleetpulse.disk import Moved
from fleetpulse.errors import DISK_RETRY_S, READ_ONLY, Answerable, DatabaseBusy, NotAccepting, OutcomeUnknown
from fleetpulse.ingest.intake import Batch, Intake
from fleetpulse.journal.entry import encode_entry
from fleetpulse.journal.journal import Journal
from fleetpulse.model.events import EventBatch, Position
from fleetpulse.pipeline.batch_answers import NobodyWaits, answer
from fleetpulse.pipeline.commit_deadline import CommitDeadline
from fleetpulse.pipeline.doubtful_entries import DoubtfulEntries
from fleetpulse.pipeline.threads import end_threads, journal_thread
from fleetpulse.storage_causes import cause_of, is_final
from fleetpulse.telemetry.counters import Counters

log = structlog.get_logger("journal")
GATHER_S = 0.004
"""The longest that a commit waits for as many senders as the last commit had: about ten commits of a good disk."""
SHARED_GATHER_S = 0.015
"""The same where nodes share the journal: an entry costs three servers and all nodes some 4 ms of CPU together."""
SPARSE_GATHER_S = 0.02
SPARSE_SENDERS_MAX = 10
"""Senders that come one by one would need a commit each, which costs more than all else: a commit waits longer."""
DROP_WAIT_S, DROP_RETRY_S = 2.0, 0.1
"""How long and how often dropping is tried while another program locks the journal; the next checkpoint drops again."""
DROP_ENTRIES = 200
"""Journal entries dropped in one go, so that a commit behind it waits a few milliseconds at most."""
TRY_AGAIN_S = 1.0
"""How often a disk that failed is tried again, with an entry that holds no events."""
_REASONS = {"disk_full": "disk_full", "away": "journal_away"}
_GOES_ON = "nothing is accepted meanwhile, and it is tried again by itself, without a restart"
_Result = TypeVar("_Result")
_Value = TypeVar("_Value")


class Stamper(Protocol):
    """Whoever knows the time."""

    def stamp(self, batch: EventBatch) -> NotAccepting | None:
        """Give a batch its received_at, or say why it is refused."""
        ...

    def take_back(self) -> None:
        """The batch that was stamped last was not written."""
        ...

    def hold(self) -> None:
        """Events are refused from now on, though the batch that was stamped last may be written."""
        ...

    def open(self) -> None:
        """Let events be accepted again."""
        ...


class Writer:
    """The journal's only user after the start: a thread that commits, and the loop's side of it."""

    def __init__(
        self,
        *,
        journal: Journal,
        counters: Counters,
        committed: Callable[[EventBatch, Position], None],
        commit_timeout_s: float,
        try_again_s: float = TRY_AGAIN_S,
    ) -> None:
        """`committed` is called on the loop with every durable batch, in order, before its senders are answered."""
        self._journal, self._counters = journal, counters
        self._committed = committed
        self._timeout_s, self._try_again_s = commit_timeout_s, try_again_s
        self.doubts = DoubtfulEntries(counters)
        self._committing: Batch | None = None
        self._committing_since_s = 0.0
        self._deadline = CommitDeadline(
            commit_timeout_s, is_excused=lambda: journal.waits_for_lock, overdue=self._overdue
        )
        self._is_overdue = False
        """The senders of the batch that is being committed were told that its outcome is unknown."""
        self.trouble: NotAccepting | None = None
        """Why the disk takes no events now; it is tried again, unless the failure is final."""
        self._jobs: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._idle = asyncio.Event()
        self._idle.set()
        self._thread = journal_thread(self._run)
        self._failure: NotAccepting | None = None
        """The failure after which only a restart helps."""
        self.busy: DatabaseBusy | None = None
        """Why the last batch was refused, where another program had locked the journal; None after a commit."""
        self._gather_s = SHARED_GATHER_S if journal.is_shared else GATHER_S
        self._gathering: asyncio.TimerHandle | None = None
        self._senders, self._expected = 0, 1

    def start(self, intake: Intake, stamper: Stamper) -> None:
        """Begin to commit what `intake` gathers."""
        self._intake, self._stamper = intake, stamper
        self._loop = asyncio.get_running_loop()
        self._thread.start()

    def tick(self, *, elapsed_s: float, connections: int) -> None:
        """Estimate how many senders a commit should wait for, by those since the last tick and by the connections."""
        senders_a_second = (self._intake.senders - self._senders) / elapsed_s
        self._senders = self._intake.senders
        self._expected = max(1, min(SPARSE_SENDERS_MAX, int(senders_a_second * SPARSE_GATHER_S), connections))
        if self._failure is None and self._committing is None and self._jobs.empty():
            self._jobs.put(self._look)

    def wake(self) -> None:
        """Enough senders wait: commit at the end of this turn of the loop, together with all that came in it."""
        if self._committing is None:
            self._loop.call_soon(self._hand_over)

    def _hand_over(self) -> None:
        if self._gathering is not None:
            self._gathering.cancel()
            self._gathering = None
        self._intake.wake_at = 1
        if self._committing is not None or not self._intake.batch.waiters:
            return
        batch = self._intake.take()
        refusal = self._failure or self._stamper.stamp(batch)
        if refusal is not None:
            self._intake.settle()
            self._refuse(batch, refusal)
            return
        self._idle.clear()
        self._committing, self._committing_since_s = batch, time.monotonic()
        self.doubts.begin(batch)
        self._deadline.begin()
        self._jobs.put(lambda: self._commit(batch))

    def _commit(self, batch: Batch) -> None:
        began_s = time.monotonic()
        try:
            position = self._journal.append(encode_entry(batch))
        except DatabaseBusy as busy:
            self._loop.call_soon_threadsafe(self._give_up, batch, busy)
        except Exception as error:  # noqa: BLE001  # whatever it is, its senders need an answer
            self._loop.call_soon_threadsafe(self._fail, batch, error)
        else:
            self._loop.call_soon_threadsafe(self._done, batch, position, time.monotonic() - began_s)

    def _overdue(self) -> None:
        """Answer those whose batch the disk does not finish, and refuse events until it does."""
        assert self._committing is not None, "a commit runs"
        self._is_overdue = True
        text = f"the journal has not answered for {self._timeout_s:g} s (commit_timeout_s)"
        self._doubt(self._committing, text)
        self._stamper.hold()
        reason = "journal_away" if self._journal.is_shared else "disk"
        self._shut(NotAccepting(f"{text}: {_GOES_ON}", reason=reason, retry_after_s=DISK_RETRY_S))

    def _doubt(self, batch: Batch, because: str) -> None:
        """Tell the senders of a batch that nobody knows whether it is stored."""
        self._intake.settle()
        self._counters.events_unknown += len(batch)
        unknown = OutcomeUnknown(because)
        self._count_failed(batch, unknown)
        for waiter in batch.waiters:
            answer(partial(waiter.fail, unknown))
        batch.waiters.clear()

    def _shut(self, trouble: NotAccepting) -> None:
        """Accept nothing until the disk takes an entry again. What has gathered was not written, and is refused."""
        if self.trouble is None or self.trouble.reason != trouble.reason:
            log.error("no events are accepted", reason=trouble.msg)
        self.trouble = trouble
        self._intake.close(trouble)
        gathered = self._intake.take()
        self._intake.settle()
        self._refuse(gathered, trouble)

    def _settle(self, batch: Batch) -> bool:
        """The commit of a batch has ended; returns whether its senders were told before that nobody knows how."""
        self._deadline.end()
        was_overdue, self._is_overdue, self._committing = self._is_overdue, False, None
        if was_overdue:
            self._counters.events_unknown -= len(batch)
        else:
            self._intake.settle()
        return was_overdue

    def _done(self, batch: Batch, position: Position, took_s: float) -> None:
        self._settle(batch)
        self.busy = None
        if self.trouble is not None:
            log.info("events are accepted again", reason=self.trouble.msg)
            if self._intake.closed_by is self.trouble:
                self._stamper.open()
            self.trouble = None
        self._counters.note_commit(took_s, events=len(batch))
        try:
            self._committed(batch, position)
        except Exception as error:
            # It is durable, so it is acknowledged; the follower refuses from now on; the next tick closes the intake.
            log.error("a durable batch could not be followed", exc_info=error)
        self._counters.requests.answered(batch.arrived, HTTPStatus.NO_CONTENT)
        for waiter in batch.waiters:
            answer(waiter.acknowledge)
        # The senders just answered may send again, and a larger batch costs the same sync: wait until as many are here
        # again, but not for long.
        again = len(batch.waiters) + len(self._intake.batch.waiters)
        self._intake.wake_at = max(again, self._expected)
        self._gathering = self._loop.call_later(
            self._gather_s if again >= self._expected else SPARSE_GATHER_S, self._hand_over
        )
        self._idle.set()

    def _give_up(self, batch: Batch, busy: DatabaseBusy) -> None:
        """Refuse a batch of which nothing was written, and go on with the next."""
        self._settle(batch)
        self._counters.commits_busy += 1
        if self.busy is None:
            log.warning("events are refused while another program locks the journal", error=str(busy))
        self.busy = busy
        self._stamper.take_back()
        self._refuse(batch, busy)
        self._idle.set()
        self._hand_over()  # it may begin the next commit, and so ends being idle

    def _fail(self, batch: Batch, error: Exception) -> None:
        self._settle(batch)
        self._counters.commits_failed += 1
        cause = cause_of(error)
        if self.trouble is None:
            log.error("the journal could not be written", error=str(error))
        self._doubt(batch, f"the journal could not be written ({cause.happened})")
        self.doubts.fail(batch)
        if is_final(error):
            self._end(error)
        else:
            self._stamper.take_back()
            reason = _REASONS.get(cause.kind, "disk")
            self._shut(NotAccepting(f"{cause.happened}: {_GOES_ON}", reason=reason, retry_after_s=DISK_RETRY_S))
            self._loop.call_later(self._try_again_s, self._try_again)
        self._idle.set()

    def _end(self, error: Exception) -> None:
        """Accept nothing more until the service is restarted."""
        text = (
            str(error) if isinstance(error, Moved) else f"the journal could not be written ({cause_of(error).happened})"
        )
        self._failure = NotAccepting(
            f"read-only: {text}; nothing more is accepted until the disk is mended and the service restarted",
            reason=READ_ONLY,
        )
        self._shut(self._failure)

    def _look(self) -> None:
        """See in the journal's thread whether the journal is still there, also while no events come."""
        try:
            self._journal.check()
        except OSError as error:
            self._loop.call_soon_threadsafe(self._end, error)

    def _try_again(self) -> None:
        """Have an entry without events written: if the disk takes it, events are accepted again."""
        if self.trouble is not None and self._committing is None:
            self._intake.add_mark(NobodyWaits())

    def _refuse(self, batch: Batch, failure: Answerable) -> None:
        self._counters.events_refused[failure.reason] += len(batch)
        self._count_failed(batch, failure)
        for waiter in batch.waiters:
            answer(partial(waiter.fail, failure))

    def _count_failed(self, batch: Batch, error: Answerable) -> None:
        """Count the answers to a batch; one that is overdue is answered now, and not when its commit ends."""
        self._counters.requests.answered(batch.arrived, error.status)
        batch.arrived = None

    @property
    def lag_s(self) -> float:
        """How long the batch that is being committed has been on its way to the disk; 0 where there is none."""
        return 0.0 if self._committing is None else time.monotonic() - self._committing_since_s

    async def drop(self, *, through: Position) -> None:
        """Forget the journal's entries up to and including `through`, between commits.

        Raises: OSError; DatabaseBusy: the entries that are left can be dropped later.
        """

        def drop_piece() -> bool:
            return self._journal.drop(through=through, entries_max=DROP_ENTRIES)

        end_s = self._loop.time() + DROP_WAIT_S
        is_left = True
        while is_left:
            try:
                is_left = await self._between_commits(drop_piece)
            except DatabaseBusy:
                if self._loop.time() >= end_s:
                    raise
                await asyncio.sleep(DROP_RETRY_S)

    async def _between_commits(self, job: Callable[[], _Result]) -> _Result:
        """The result of `job`, which the journal's thread runs between two commits."""
        outcome: asyncio.Future[_Result] = self._loop.create_future()

        def work() -> None:
            try:
                result = job()
            except Exception as error:  # noqa: BLE001  # it goes to the caller
                self._loop.call_soon_threadsafe(_settle, outcome, outcome.set_exception, error)
            else:
                self._loop.call_soon_threadsafe(_settle, outcome, outcome.set_result, result)

        self._jobs.put(work)
        return await outcome

    async def drain(self) -> None:
        """Wait until nothing waits for the disk."""
        await asyncio.sleep(0)
        while self._committing is not None or self._intake.batch.waiters:
            self._hand_over()
            await self._idle.wait()

    async def stop(self) -> None:
        """Commit what is left and end the thread."""
        await self.drain()
        self._jobs.put(None)
        await end_threads(self._thread.join)

    def _run(self) -> None:
        while (job := self._jobs.get()) is not None:
            job()


def _settle(outcome: "asyncio.Future[_Result]", settle: Callable[[_Value], object], value: _Value) -> None:
    if not outcome.cancelled():
        settle(value)
