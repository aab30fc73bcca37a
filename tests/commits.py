"""A writer on a journal in memory that fails, hangs or is locked, for the unit tests of commits."""

import asyncio
import errno
import math
import sqlite3
import threading
from collections.abc import Awaitable, Callable

from fleetpulse.errors import DatabaseBusy, NotAccepting
from fleetpulse.ingest.intake import Intake
from fleetpulse.ingest.report import KnownMetrics
from fleetpulse.journal.memory import MemoryJournal
from fleetpulse.model.events import EventBatch, Position
from fleetpulse.pipeline.write import Writer
from fleetpulse.telemetry.counters import Counters
from memory_service import NOON, Sender

COMMIT_TIMEOUT_S = 0.1


class FailingJournal(MemoryJournal):
    """A journal whose disk fails for the first `failures` appends, or for ever."""

    def __init__(self, error: Exception, failures: float = math.inf) -> None:
        super().__init__()
        self.error = error
        self.failures = failures

    def append(self, body: bytes) -> Position:
        if self.failures > 0:
            self.failures -= 1
            raise self.error
        return super().append(body)


def full_disk() -> OSError:
    return OSError(errno.ENOSPC, "no space left")


def failed_sync() -> OSError:
    cause = sqlite3.OperationalError("disk I/O error")
    cause.sqlite_errorname, cause.sqlite_errorcode = "SQLITE_IOERR_FSYNC", sqlite3.SQLITE_IOERR_FSYNC
    error = OSError("journal.sqlite: the disk failed")
    error.__cause__ = cause
    return error


class HangingJournal(MemoryJournal):
    """A journal whose disk does not answer until `answers` is set; `error`: how it answers then, None for well."""

    def __init__(self, error: Exception | None = None, *, is_shared: bool = False) -> None:
        super().__init__()
        self.is_shared = is_shared
        self.answers = threading.Event()
        self.error = error
        self.is_locked = False

    @property
    def waits_for_lock(self) -> bool:
        return self.is_locked

    def append(self, body: bytes) -> Position:
        self.answers.wait(10)
        if self.error is not None:
            error, self.error = self.error, None
            raise error
        return super().append(body)


class Commits:
    """A writer that is started, and what it has committed."""

    def __init__(self, journal: MemoryJournal) -> None:
        self.journal = journal
        self.counters = Counters()
        self.followed: list[tuple[int, Position]] = []
        self.writer = Writer(
            journal=journal,
            counters=self.counters,
            committed=self._follow,
            commit_timeout_s=COMMIT_TIMEOUT_S,
            try_again_s=0.001,
        )
        self.intake = Intake(
            numbers={}, metrics=KnownMetrics(report_metrics_max=1), events_waiting_max=1_000, wake=self.writer.wake
        )
        self.intake.open()
        self.refusal: NotAccepting | None = None
        self.stamped = self.taken_back = self.holds = 0
        self.writer.start(self.intake, self)

    def stamp(self, batch: EventBatch) -> NotAccepting | None:
        batch.received_at_ns = NOON
        self.stamped += 1
        return self.refusal

    def take_back(self) -> None:
        self.taken_back += 1

    def hold(self) -> None:
        self.holds += 1

    def open(self) -> None:
        self.intake.open()

    def _follow(self, batch: EventBatch, position: Position) -> None:
        self.followed.append((len(batch), position))

    def send(self, count: int) -> list[Sender]:
        """Heartbeats of as many senders."""
        senders = [Sender() for _ in range(count)]
        for number, sender in enumerate(senders):
            self.intake.add_heartbeat(number, NOON, sender)
        return senders


def run(test: Callable[[Commits], Awaitable[None]], journal: MemoryJournal | None = None) -> None:
    async def life() -> None:
        commits = Commits(journal or MemoryJournal())
        await test(commits)
        await commits.writer.stop()

    asyncio.run(life())


class LockedJournal(MemoryJournal):
    """A journal that another program locks for the first `refusals` appends."""

    def __init__(self, refusals: int, error: Exception | None = None) -> None:
        super().__init__()
        self.refusals = refusals
        self.error = error or DatabaseBusy("journal.sqlite is locked")

    def append(self, body: bytes) -> Position:
        if self.refusals:
            self.refusals -= 1
            raise self.error
        return super().append(body)
