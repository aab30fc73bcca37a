"""Waiting for locks that another connection holds, with a clock and a sleep of the test's own."""

import contextlib
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from fleetpulse.database_lock import QUEUED_S, DatabaseLock, begin_write_ahead, is_lock
from fleetpulse.errors import DatabaseBusy


class Time:
    """Passes only where somebody sleeps."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def sleep(self, seconds: float) -> None:
        self.now_s += seconds


def refused_until(time: Time, end_s: float, code: int = sqlite3.SQLITE_BUSY) -> Callable[[], float]:
    def statement() -> float:
        if time.now_s < end_s:
            error = sqlite3.OperationalError("database is locked")
            error.sqlite_errorcode = code
            raise error
        return time.now_s

    return statement


def lock(time: Time, wait_s: float = 2.0) -> DatabaseLock:
    return DatabaseLock(Path("some.sqlite"), wait_s=wait_s, monotonic_s=lambda: time.now_s, sleep=time.sleep)


@pytest.mark.parametrize(
    "code",
    [
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_BUSY_RECOVERY,
        sqlite3.SQLITE_BUSY_SNAPSHOT,
        sqlite3.SQLITE_BUSY_TIMEOUT,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_LOCKED_SHAREDCACHE,
        sqlite3.SQLITE_PROTOCOL,
    ],
)
def test_a_lock_that_ends_in_time_is_waited_for(code: int) -> None:
    time = Time()
    assert lock(time).run(refused_until(time, 1.5, code)) == pytest.approx(1.5, abs=0.02)


def test_the_wait_is_bounded_and_what_queued_behind_it_is_tried_once_more_without_a_wait() -> None:
    time = Time()
    waiting = lock(time)
    with pytest.raises(DatabaseBusy, match=r"some\.sqlite for longer than 2 s \(database_wait_s\)"):
        waiting.run(refused_until(time, 100))
    assert time.now_s == pytest.approx(2, abs=0.02)
    with pytest.raises(DatabaseBusy):
        waiting.run(refused_until(time, 100))
    assert time.now_s == pytest.approx(2, abs=0.02)
    time.now_s += QUEUED_S
    assert waiting.run(refused_until(time, 3)) == pytest.approx(3, abs=0.02)


def test_any_other_error_is_left_to_the_caller() -> None:
    def full() -> None:
        error = sqlite3.OperationalError("disk I/O error")
        error.sqlite_errorcode = sqlite3.SQLITE_IOERR
        raise error

    time = Time()
    with pytest.raises(sqlite3.OperationalError):
        lock(time).run(full)
    assert time.now_s == 0
    assert not is_lock(sqlite3.ProgrammingError("of the module itself, without a code"))
    assert not is_lock(None)


def test_a_database_that_does_not_write_ahead_is_refused(tmp_path: Path) -> None:
    with contextlib.closing(sqlite3.connect(tmp_path / "some.sqlite")) as connection:
        begin_write_ahead(connection)
    with (
        contextlib.closing(sqlite3.connect(":memory:")) as connection,
        pytest.raises(OSError, match="stays with journal_mode=memory"),
    ):
        begin_write_ahead(connection)
