"""Group commit: one entry for all that has gathered, and answers only after it is durable."""

import asyncio
import errno
from collections.abc import Callable

import pytest

from commits import (
    COMMIT_TIMEOUT_S,
    Commits,
    FailingJournal,
    HangingJournal,
    LockedJournal,
    failed_sync,
    full_disk,
    run,
)
from fleetpulse.errors import Busy, DatabaseBusy, NotAccepting, OutcomeUnknown
from fleetpulse.journal.entry import decode_entry
from fleetpulse.journal.memory import MemoryJournal
from fleetpulse.model.events import Position
from fleetpulse.pipeline.write import SPARSE_SENDERS_MAX
from memory_service import NOON, Sender


def test_those_who_come_together_share_one_entry() -> None:
    async def test(commits: Commits) -> None:
        senders = commits.send(3)
        assert not any(sender.outcome.done() for sender in senders)
        await asyncio.gather(*(sender.outcome for sender in senders))
        ((position, body),) = commits.journal.read(after=0)
        assert list(decode_entry(body, where="").heartbeat_devices) == [0, 1, 2]
        assert commits.followed == [(3, position)]
        assert (commits.counters.commits, commits.counters.events_accepted) == (1, 3)

    run(test)


def test_an_entry_carries_the_time_of_its_commit() -> None:
    async def test(commits: Commits) -> None:
        await commits.send(1)[0].outcome
        ((_, body),) = commits.journal.read(after=0)
        assert decode_entry(body, where="").received_at_ns == NOON

    run(test)


def test_after_a_failed_sync_nobody_is_acknowledged_ever_again() -> None:
    async def test(commits: Commits) -> None:
        (first,) = commits.send(1)
        with pytest.raises(OutcomeUnknown, match="send it again"):
            await first.outcome
        assert commits.intake.closed_by is not None
        (second,) = commits.send(1)  # it was checked before the intake closed
        await commits.writer.drain()
        with pytest.raises(NotAccepting, match="read-only"):
            await second.outcome
        assert commits.counters.commits_failed == 1
        assert (commits.counters.events_unknown, commits.counters.events_refused) == (1, {"read_only": 1})
        assert commits.followed == []

    run(test, FailingJournal(failed_sync(), failures=1))


async def until(is_true: Callable[[], bool]) -> None:
    while not is_true():
        await asyncio.sleep(0.001)


@pytest.mark.parametrize(
    ("error", "reason"), [(full_disk(), "disk_full"), (OSError(errno.EIO, "no"), "disk"), (OSError("what?"), "disk")]
)
def test_a_disk_that_fails_is_tried_again_until_it_takes_an_entry(error: Exception, reason: str) -> None:

    async def test(commits: Commits) -> None:
        first, second = commits.send(1), []
        await asyncio.sleep(0)  # the first batch is taken
        second = commits.send(2)
        with pytest.raises(OutcomeUnknown):
            await first[0].outcome
        for sender in second:  # nothing of these was written
            with pytest.raises(NotAccepting, match="nothing is accepted") as refused:
                await sender.outcome
            assert (refused.value.reason, refused.value.retry_after_s) == (reason, 5)
        assert commits.intake.closed_by is commits.writer.trouble is not None
        assert commits.intake.room == 0
        await until(lambda: commits.writer.trouble is None)
        assert (commits.intake.closed_by, commits.intake.room) == (None, 1_000)
        await commits.send(1)[0].outcome
        assert commits.counters.events_unknown == 1
        assert commits.counters.events_refused == {reason: 2}
        assert commits.counters.events_accepted == 1
        assert (commits.taken_back, commits.stamped) == (3, 5)

    run(test, FailingJournal(error, failures=3))


@pytest.mark.parametrize(("is_shared", "reason"), [(False, "disk"), (True, "journal_away")])
def test_a_journal_that_hangs_is_answered_with_an_unknown_outcome_and_what_it_stored_counts_in_the_end(
    is_shared: bool, reason: str
) -> None:
    journal = HangingJournal(is_shared=is_shared)

    async def test(commits: Commits) -> None:
        (first,) = commits.send(1)
        await asyncio.sleep(0)  # the first batch is taken
        (second,) = commits.send(1)
        with pytest.raises(OutcomeUnknown, match="commit_timeout_s"):
            await first.outcome
        with pytest.raises(NotAccepting, match="nothing is accepted") as refused:
            await second.outcome
        assert refused.value.reason == reason
        assert commits.intake.closed_by is refused.value
        assert commits.intake.waiting == 0
        assert (commits.counters.events_unknown, commits.counters.events_refused) == (1, {reason: 1})
        assert commits.holds == 1
        journal.answers.set()
        await until(lambda: commits.writer.trouble is None)
        assert (commits.counters.events_unknown, commits.counters.events_accepted) == (0, 1)
        assert commits.followed == [(1, 1)]
        assert (commits.intake.closed_by, commits.intake.room) == (None, 1_000)
        await commits.send(1)[0].outcome

    run(test, journal)


@pytest.mark.parametrize(("error", "is_over"), [(full_disk(), True), (failed_sync(), False)])
def test_a_disk_that_hangs_and_then_fails(error: Exception, is_over: bool) -> None:
    journal = HangingJournal(error)

    async def test(commits: Commits) -> None:
        with pytest.raises(OutcomeUnknown):
            await commits.send(1)[0].outcome
        journal.answers.set()
        await until(lambda: commits.counters.commits_failed == 1)
        assert (commits.counters.events_unknown, commits.counters.events_accepted) == (1, 0)
        if is_over:
            await until(lambda: commits.writer.trouble is None)
        else:
            assert commits.intake.closed_by is not None
            assert commits.intake.closed_by.reason == "read_only"

    run(test, journal)


def test_waiting_for_the_lock_of_another_program_is_no_disk_that_hangs() -> None:
    journal = HangingJournal(DatabaseBusy("journal.sqlite is locked"))
    journal.is_locked = True

    async def test(commits: Commits) -> None:
        (sender,) = commits.send(1)
        await asyncio.sleep(COMMIT_TIMEOUT_S * 3)
        assert not sender.outcome.done()
        journal.answers.set()
        with pytest.raises(DatabaseBusy):
            await sender.outcome
        assert commits.counters.events_unknown == 0

    run(test, journal)


def test_an_answer_that_fails_keeps_nobody_else_waiting() -> None:
    class Broken(Sender):
        def acknowledge(self) -> None:
            raise RuntimeError("a defect")

    async def test(commits: Commits) -> None:
        commits.intake.add_heartbeat(0, NOON, Broken())
        await commits.send(1)[0].outcome

    run(test)


def test_a_batch_that_cannot_be_followed_is_acknowledged_since_it_is_durable() -> None:
    async def test(commits: Commits) -> None:
        commits.followed = None  # type: ignore[assignment]  # following fails
        await commits.send(1)[0].outcome
        assert commits.journal.last_position() == 1

    run(test)


def test_stopping_commits_what_is_left() -> None:
    async def test(commits: Commits) -> None:
        senders = commits.send(2)
        await commits.writer.stop()
        assert all(sender.outcome.done() for sender in senders)

    run(test)


def test_the_journal_is_dropped_through_a_position_however_many_pieces_that_takes() -> None:
    async def test(commits: Commits) -> None:
        for _ in range(450):
            commits.journal.append(b"")
        await commits.writer.drop(through=420)
        assert commits.journal.first_position() == 421

    run(test)


def test_an_error_of_the_journal_reaches_the_one_who_drops() -> None:
    class Undroppable(MemoryJournal):
        def drop(self, *, through: Position, entries_max: int) -> bool:
            raise OSError("no space left")

    async def test(commits: Commits) -> None:
        with pytest.raises(OSError, match="no space left"):
            await commits.writer.drop(through=1)
        await commits.send(1)[0].outcome

    run(test, Undroppable())


@pytest.mark.parametrize(
    ("senders_a_second", "connections", "expected"),
    [(10, 100, 1), (200, 100, 4), (200, 2, 2), (100_000, 100, SPARSE_SENDERS_MAX), (0, 0, 1)],
)
def test_a_commit_waits_for_the_senders_of_its_waiting_time(
    senders_a_second: int, connections: int, expected: int
) -> None:
    async def test(commits: Commits) -> None:
        commits.intake.senders += senders_a_second
        commits.writer.tick(elapsed_s=1, connections=connections)
        await commits.send(1)[0].outcome
        assert commits.intake.wake_at == expected

    run(test)


async def check_that_it_goes_on_by_itself(commits: Commits) -> None:
    """The first batch is refused, and may be sent again; nothing of it is written, and the next one is committed."""
    (first,) = commits.send(1)
    with pytest.raises(Busy):
        await first.outcome
    assert commits.intake.closed_by is None
    assert commits.intake.room == 1_000
    (second,) = commits.send(1)
    await second.outcome
    assert commits.followed == [(1, 1)]
    assert commits.counters.events_refused == {"database_busy": 1}
    assert (commits.counters.commits_busy, commits.counters.commits_failed) == (1, 0)


def test_a_locked_journal_refuses_a_batch_and_takes_the_next() -> None:
    run(check_that_it_goes_on_by_itself, LockedJournal(1))


def test_control_a_lock_that_is_taken_for_a_broken_disk_fails_the_check() -> None:
    with pytest.raises(OutcomeUnknown):
        run(check_that_it_goes_on_by_itself, LockedJournal(1, OSError("database is locked")))


def test_what_gathers_behind_a_batch_that_is_refused_is_tried_next() -> None:
    async def test(commits: Commits) -> None:
        (first,) = commits.send(1)
        await asyncio.sleep(0)  # the first batch is taken
        (second,) = commits.send(1)
        with pytest.raises(Busy):
            await first.outcome
        await second.outcome

    run(test, LockedJournal(1))


def test_draining_waits_for_the_batch_behind_one_that_is_refused() -> None:
    async def test(commits: Commits) -> None:
        senders = commits.send(1)
        await asyncio.sleep(0)  # the first batch is taken
        senders += commits.send(1)
        await commits.writer.drain()
        assert [type(sender.outcome.exception()) for sender in senders] == [DatabaseBusy, DatabaseBusy]

    run(test, LockedJournal(2))


def test_the_stamp_of_a_batch_that_another_program_kept_from_being_written_is_taken_back() -> None:
    async def test(commits: Commits) -> None:
        mark = Sender()
        commits.intake.add_mark(mark)
        with pytest.raises(Busy):
            await mark.outcome
        assert commits.writer.busy is not None
        await commits.send(1)[0].outcome
        assert commits.writer.busy is None
        assert (commits.stamped, commits.taken_back) == (2, 1)

    run(test, LockedJournal(1))


def test_a_batch_that_gets_no_time_is_refused_and_the_next_one_is_tried() -> None:
    async def test(commits: Commits) -> None:
        commits.refusal = NotAccepting("the clock is behind", reason="clock")
        with pytest.raises(NotAccepting):
            await commits.send(1)[0].outcome
        assert commits.counters.events_refused == {"clock": 1}
        commits.refusal = None
        await commits.send(1)[0].outcome

    run(test)


def test_dropping_is_tried_again_while_the_journal_is_locked() -> None:
    class Held(MemoryJournal):
        refusals = 2

        def drop(self, *, through: Position, entries_max: int) -> bool:
            if self.refusals:
                self.refusals -= 1
                raise DatabaseBusy("journal.sqlite is locked")
            return super().drop(through=through, entries_max=entries_max)

    async def test(commits: Commits) -> None:
        await commits.send(1)[0].outcome
        await commits.writer.drop(through=1)
        assert list(commits.journal.read(after=0)) == []

    run(test, Held())
