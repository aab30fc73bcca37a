"""Wait for a SQLite file that another connection has locked, such as a backup's or a database shell's.

SQLITE_BUSY and SQLITE_LOCKED mean that nothing was written, so the same statement may be tried again: they say nothing
about the disk. How long to wait is bounded; after that, whoever sent the request is told to come again.
"""

import errno
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from fleetpulse.errors import DatabaseBusy

POLL_S = 0.01
"""Between two attempts. SQLite's own wait does not cover every lock: a read that becomes a write is refused at once."""
QUEUED_S = 0.1
"""What is tried so soon after a wait in vain had waited behind it, and must not wait as long once more."""
_LOCK_CODES = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_PROTOCOL}
_Result = TypeVar("_Result")


def is_lock(error: BaseException | None) -> bool:
    """Whether SQLite refused a statement because another connection holds a lock; extended codes are included."""
    return isinstance(error, sqlite3.Error) and getattr(error, "sqlite_errorcode", 0) & 0xFF in _LOCK_CODES


def begin_write_ahead(connection: sqlite3.Connection) -> None:
    """Have the database write ahead into a log, on which commits and readers beside them rely.

    Raises: OSError: it does not; SQLite raises nothing where it goes on without the log, as after a failed sync.
    """
    mode = connection.execute("PRAGMA journal_mode=WAL").fetchone()[0]
    if mode != "wal":
        raise OSError(errno.EIO, f"SQLite could not begin its write-ahead log, and stays with journal_mode={mode}")


class DatabaseLock:
    """How the one connection to a file waits for the locks of others. Blocks; used by one thread at a time."""

    def __init__(
        self,
        path: Path,
        *,
        wait_s: float,
        monotonic_s: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._path = path
        self._wait_s = wait_s
        self._monotonic_s = monotonic_s
        self._sleep = sleep
        self._in_vain_until_s = float("-inf")
        self.is_waiting = False
        """Whether `run` waits for a lock, and not for the disk. Other threads may read it."""

    def run(self, statement: Callable[[], _Result]) -> _Result:
        """The result of `statement`, which must be safe to repeat after a lock was refused.

        Raises: DatabaseBusy: the file stayed locked for `wait_s`; nothing was written.
        """
        start_s = self._monotonic_s()
        has_queued = start_s < self._in_vain_until_s + QUEUED_S
        while True:
            try:
                result = statement()
            except sqlite3.Error as error:
                if not is_lock(error):
                    raise
                if has_queued or self._monotonic_s() >= start_s + self._wait_s:
                    if not has_queued:
                        self._in_vain_until_s = self._monotonic_s()
                    raise self.busy() from error
            else:
                self._in_vain_until_s = float("-inf")
                return result
            self.is_waiting = True
            self._sleep(POLL_S)
            self.is_waiting = False

    def try_once(self, statement: Callable[[], _Result]) -> _Result:
        """The result of `statement`. Raises: DatabaseBusy: the file is locked; nothing was written."""
        try:
            return statement()
        except sqlite3.Error as error:
            if is_lock(error):
                raise self.busy() from error
            raise

    def busy(self) -> DatabaseBusy:
        """The error that says that the file is locked."""
        return DatabaseBusy(
            f"another program, such as a backup or a database shell, has locked {self._path} for longer than "
            f"{self._wait_s:g} s (database_wait_s); nothing was written: try again when it has ended"
        )
