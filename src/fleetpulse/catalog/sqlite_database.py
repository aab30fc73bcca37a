"""The catalog's database as a file: SQLite with `synchronous=FULL` and one connection.

Where another program has locked the file, reads and transactions wait for it, see `database_lock.py`. What is written
counts only while the path leads to the file that was opened, see `OpenedPaths`.
"""

import contextlib
import json
import sqlite3
from collections.abc import Callable, Generator, Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec

from fleetpulse.catalog import schema
from fleetpulse.catalog.database import Database
from fleetpulse.catalog.device_checks import all_rows
from fleetpulse.catalog.row_checks import built_in_metric
from fleetpulse.clock import Clock
from fleetpulse.database_copy import copy_database, database_bytes
from fleetpulse.database_lock import DatabaseLock, begin_write_ahead, is_lock
from fleetpulse.disk import OpenedPaths
from fleetpulse.errors import DamagedData
from fleetpulse.reached import Loss, Reached, ReachedMark
from fleetpulse.storage_causes import RESTORE, storage_error, storage_text


class SqliteDatabase(Database):
    """See Database."""

    def __init__(self, path: Path, *, wait_s: float, clock: Clock) -> None:
        """Open the file, or create it, with its tables as they must be.

        Raises: DamagedData: it is no catalog, is corrupt, or was written by a newer fleetpulse. StorageFailed: the disk
            refuses it. DatabaseBusy.
        """
        super().__init__(clock)
        self._path, self._wait_s, self.name = path, wait_s, str(path)
        self._mark = ReachedMark(path.parent, slot=1)
        self._lock = DatabaseLock(path, wait_s=wait_s)
        self._open()

    def _open(self) -> None:
        path = self._path
        with contextlib.ExitStack() as closing:
            try:
                self._connection = sqlite3.connect(path, timeout=0, isolation_level=None, check_same_thread=False)
                closing.callback(self._connection.close)
                self._lock.run(self._prepare)
                self._opened = OpenedPaths(path.parent, path, growing=path.with_name(path.name + "-wal"))
            except (sqlite3.Error, OSError) as error:
                raise storage_error(error, path, database=path) from error
            closing.pop_all()

    def _prepare(self) -> None:
        run = self._connection.execute
        begin_write_ahead(self._connection)
        run("PRAGMA synchronous=FULL")
        self._connection.create_function("now_ns", 0, self._clock.now_ns)
        version = schema.migrate(self._connection)
        if version > schema.VERSION:
            raise DamagedData(
                f"{self._path} has schema {version}; this fleetpulse knows {schema.VERSION}. Run the newer version."
            )
        run(*built_in_metric())
        self._transactions = run("SELECT number FROM transactions").fetchone()[0]

    @property
    def statements(self) -> sqlite3.Connection:
        """See Database."""
        return self._connection

    @contextlib.contextmanager
    def reading(self) -> Generator[None, None, None]:
        """See Database."""
        try:
            yield
        except (msgspec.MsgspecError, json.JSONDecodeError) as error:
            raise DamagedData(f"{self._path}: a row cannot be read: {error}. {RESTORE}") from error
        except sqlite3.Error as error:
            if is_lock(error):
                raise self._lock.busy() from error
            raise storage_error(error, self._path, database=self._path) from error

    def select(self, query: str, parameters: Sequence[Any] = ()) -> sqlite3.Cursor:
        """See Database. SQLite takes the lock for reading with the first row, before `execute` returns."""
        return self._lock.run(lambda: self._connection.execute(query, parameters))

    # `is_long` matters to a server alone.
    def all_rows(self, query: str, *parameters: Any, is_long: bool = False) -> Iterator[Any]:  # noqa: ARG002
        """See Database."""
        return all_rows(self._connection, self.select, query, *parameters)

    @contextlib.contextmanager
    def snapshot(self) -> Generator[None, None, None]:
        """See Database."""
        if self._connection.in_transaction:
            yield
            return
        # The first statement that reads decides what the transaction sees, and may find the file locked.
        self._connection.execute("BEGIN")
        try:
            self.select("SELECT number FROM transactions").fetchone()
            yield
        finally:
            self._connection.rollback()

    def damage(self) -> list[str]:
        """See Database."""
        return [str(text) for (text,) in self.select("PRAGMA integrity_check(10)") if text != "ok"]

    def tables(self) -> dict[str, list[str]]:
        """See Database."""
        with self.reading():
            text = "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY name"
            names = [name for (name,) in self.select(text)]
            return {name: [row[1] for row in self.select(f"PRAGMA table_info({name})")] for name in names}

    def is_in_transaction(self) -> bool:
        """See Database."""
        return self._connection.in_transaction

    def _changes(self) -> int:
        return self._connection.total_changes

    @contextlib.contextmanager
    def _transact(self) -> Generator[None, None, None]:
        run = self._connection.execute
        try:
            # IMMEDIATE takes the write lock before anything is read: a transaction that begins by reading is refused
            # later, without a wait, where another connection wrote meanwhile.
            self._opened.check()
            self._lock.run(lambda: run("BEGIN IMMEDIATE"))
            yield
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

    def _committed(self, number: int) -> None:
        self._mark.write(number, self._clock.now_ns())

    def activity(self) -> int | None:
        """See Catalog."""
        return None if self._lock.is_waiting else self._connection.total_changes

    def reached(self) -> Reached | None:
        """See Catalog."""
        return self._mark.found

    @property
    def mark_trouble(self) -> str:
        """See Catalog."""
        return self._mark.trouble

    def is_marked(self) -> bool:
        """See Catalog."""
        with self.reading():
            return self.select("SELECT 1 FROM marked").fetchone() is not None

    def note_marked(self, *, at_ns: int) -> bool:
        """See Catalog."""
        if not self._mark.make_durable(self._transactions, at_ns):
            return False
        with self.transaction() as run:
            run("INSERT INTO marked SELECT ? WHERE NOT EXISTS (SELECT 1 FROM marked)", (at_ns,))
        return True

    def accept_loss(self, loss: Loss, *, at_ns: int) -> None:
        """See Catalog."""
        with self.transaction() as run:
            row = (at_ns, loss.part, loss.after, loss.through, loss.since_ns)
            run("INSERT INTO loss VALUES (?, ?, ?, ?, ?)", row)
        self._mark.accept(self._transactions, at_ns)

    def copy_bytes(self) -> int:
        """See Catalog."""
        return database_bytes(self._path)

    def copy(self, target: Path, *, rest: Callable[[float], None]) -> None:
        """See Catalog."""
        copy_database(self._path, target, wait_s=self._wait_s, sleep=rest)

    def close(self) -> None:
        """See Catalog."""
        self._mark.close()
        self._connection.close()
