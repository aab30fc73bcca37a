"""The file of the catalog: SQLite with `synchronous=FULL` and one connection.

Where another program has locked the file, reads and transactions wait for it, see `database_lock.py`. What is written
counts only while the path leads to the file that was opened, see `OpenedPaths`.
"""

import contextlib
import json
import sqlite3
from collections.abc import Callable, Generator, Sequence
from pathlib import Path
from typing import Any

import msgspec

from fleetpulse.catalog.acting import current_act
from fleetpulse.catalog.audit_records import append_entries
from fleetpulse.clock import Clock
from fleetpulse.database_copy import copy_database
from fleetpulse.database_lock import DatabaseLock, begin_write_ahead, is_lock
from fleetpulse.disk import OpenedPaths
from fleetpulse.errors import DamagedData
from fleetpulse.reached import Loss, Reached, ReachedMark
from fleetpulse.storage_causes import RESTORE, storage_error, storage_text


class CatalogDatabase:
    """What the methods of the catalog read and write with."""

    def __init__(self, path: Path, *, wait_s: float, clock: Clock) -> None:
        self._path, self._clock, self._wait_s = path, clock, wait_s
        self._mark = ReachedMark(path.parent, slot=1)
        self._transactions = 0
        self._lock = DatabaseLock(path, wait_s=wait_s)

    def _open(self, prepare: Callable[[], None]) -> None:
        """Open the file, or create it; `prepare` makes its tables what they must be.

        Raises: DamagedData; StorageFailed; DatabaseBusy.
        """
        path = self._path

        def begin() -> None:
            begin_write_ahead(self._connection)
            self._connection.execute("PRAGMA synchronous=FULL")
            prepare()
            self._transactions = self._connection.execute("SELECT number FROM transactions").fetchone()[0]

        with contextlib.ExitStack() as closing:
            try:
                self._connection = sqlite3.connect(path, timeout=0, isolation_level=None, check_same_thread=False)
                closing.callback(self._connection.close)
                self._lock.run(begin)
                self._opened = OpenedPaths(path.parent, path, growing=path.with_name(path.name + "-wal"))
            except (sqlite3.Error, OSError) as error:
                raise storage_error(error, path, database=path) from error
            closing.pop_all()

    @contextlib.contextmanager
    def _reading(self) -> Generator[None, None, None]:
        """Reads in it raise DamagedData where the file is corrupt, and DatabaseBusy where it is locked.

        StorageFailed: the disk refuses to read it.
        """
        try:
            yield
        except (msgspec.MsgspecError, json.JSONDecodeError) as error:
            raise DamagedData(f"{self._path}: a row cannot be read: {error}. {RESTORE}") from error
        except sqlite3.Error as error:
            if is_lock(error):
                raise self._lock.busy() from error
            raise storage_error(error, self._path, database=self._path) from error

    def _select(self, query: str, parameters: Sequence[Any] = ()) -> sqlite3.Cursor:
        """The rows of a query. SQLite takes the lock for reading with the first row, before `execute` returns."""
        return self._lock.run(lambda: self._connection.execute(query, parameters))

    @contextlib.contextmanager
    def _transaction(self) -> Generator[Any, None, None]:
        """All statements in it take effect, or none. Raises: OSError; DatabaseBusy: none took effect."""
        run = self._connection.execute
        if self._connection.in_transaction:
            yield run  # as a part of the transaction that is under way
            return
        changes, act = self._connection.total_changes, current_act()
        if act is not None:
            act.begin()
        try:
            # IMMEDIATE takes the write lock before anything is read: a transaction that begins by reading is refused
            # later, without a wait, where another connection wrote meanwhile.
            self._opened.check()
            self._lock.run(lambda: run("BEGIN IMMEDIATE"))
            yield run
            is_changed = self._connection.total_changes != changes
            if is_changed and act is not None and (facts := act.facts()) is not None:
                append_entries(run, [facts], self._clock.now_ns())
            if is_changed:
                run("UPDATE transactions SET number = ?", (self._transactions + 1,))
            self._lock.run(lambda: run("COMMIT"))
            self._opened.check()
        except BaseException as error:
            if self._connection.in_transaction:
                self._connection.rollback()
            if is_lock(error):
                raise self._lock.busy() from error
            if isinstance(error, sqlite3.Error):
                raise OSError(storage_text(error, self._path, database=self._path)) from error
            raise
        if is_changed:
            self._transactions += 1
            self._mark.write(self._transactions, self._clock.now_ns())

    def activity(self) -> int | None:
        """See Catalog."""
        return None if self._lock.is_waiting else self._connection.total_changes

    def transactions(self) -> int:
        """See Catalog."""
        return self._transactions

    def reached(self) -> Reached | None:
        """See Catalog."""
        return self._mark.found

    @property
    def mark_trouble(self) -> str:
        """See Catalog."""
        return self._mark.trouble

    def is_marked(self) -> bool:
        """See Catalog."""
        with self._reading():
            return self._select("SELECT 1 FROM marked").fetchone() is not None

    def note_marked(self, *, at_ns: int) -> bool:
        """See Catalog."""
        if not self._mark.make_durable(self._transactions, at_ns):
            return False
        with self._transaction() as run:
            run("INSERT INTO marked SELECT ? WHERE NOT EXISTS (SELECT 1 FROM marked)", (at_ns,))
        return True

    def accept_loss(self, loss: Loss, *, at_ns: int) -> None:
        """See Catalog."""
        with self._transaction() as run:
            row = (at_ns, loss.part, loss.after, loss.through, loss.since_ns)
            run("INSERT INTO loss VALUES (?, ?, ?, ?, ?)", row)
        self._mark.accept(self._transactions, at_ns)

    def losses(self) -> list[tuple[int, Loss]]:
        """See Catalog."""
        with self._reading():
            rows = self._select("SELECT accepted_at_ns, part, after, through, since_ns FROM loss ORDER BY rowid")
            return [(at_ns, Loss(*loss)) for at_ns, *loss in rows]

    def copy(self, target: Path, *, rest: Callable[[float], None]) -> None:
        """See Catalog."""
        copy_database(self._path, target, wait_s=self._wait_s, sleep=rest)

    def close(self) -> None:
        """See Catalog."""
        self._mark.close()
        self._connection.close()
