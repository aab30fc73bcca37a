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

from fleetpulse.database_lock import DatabaseLock, is_lock
from fleetpulse.disk import OpenedPaths
from fleetpulse.errors import DamagedData
from fleetpulse.storage_causes import RESTORE, storage_error, storage_text


class CatalogDatabase:
    """What the methods of the catalog read and write with."""

    def __init__(self, path: Path, *, wait_s: float) -> None:
        self._path = path
        self._lock = DatabaseLock(path, wait_s=wait_s)

    def _open(self, prepare: Callable[[], None]) -> None:
        """Open the file, or create it; `prepare` makes its tables what they must be.

        Raises: DamagedData; StorageFailed; DatabaseBusy.
        """
        path = self._path

        def begin() -> None:
            self._connection.execute("PRAGMA journal_mode=WAL")
            self._connection.execute("PRAGMA synchronous=FULL")
            prepare()

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
        try:
            # IMMEDIATE takes the write lock before anything is read: a transaction that begins by reading is refused
            # later, without a wait, where another connection wrote meanwhile.
            self._opened.check()
            self._lock.run(lambda: run("BEGIN IMMEDIATE"))
            yield run
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

    def close(self) -> None:
        """See Catalog."""
        self._connection.close()
