"""The journal on one machine: a SQLite table of entries, `synchronous=FULL`, one connection.

    entry(position INTEGER PRIMARY KEY, body BLOB)
    dropped(through INTEGER)          one row: entries up to this position were dropped, and are not missing
    owner(id TEXT)                    one row, once it is known: the id of the data folder

With FULL, SQLite syncs its write-ahead log inside every commit, so an append that returned survives a power cut; with
NORMAL it does not. Only one connection may write and move the log into the database (SQLite's checkpoint): before
version 3.51.3 two connections that do so at once can corrupt the log. Other programs may lock the file for a while, as
a backup does: `database_lock.py` waits for them.
"""

import contextlib
import sqlite3
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Literal

from fleetpulse.database_copy import copy_database, database_bytes
from fleetpulse.database_lock import DatabaseLock, begin_write_ahead, is_lock
from fleetpulse.disk import Moved, OpenedPaths, sync_folder
from fleetpulse.errors import DamagedData
from fleetpulse.journal.journal import Deliver, check_next
from fleetpulse.journal.wal import check_wal
from fleetpulse.model.events import Position
from fleetpulse.reached import Reached, ReachedMark
from fleetpulse.storage_causes import storage_error, storage_text

APPLICATION_ID = 0x464C504A  # "FLPJ"
SKIP_ENTRIES = 1_000


class SqliteJournal:
    """See Journal."""

    def __init__(self, path: Path, *, synchronous: Literal["FULL", "NORMAL"] = "FULL", wait_s: float = 0.0) -> None:
        """Open the file, or create it. NORMAL is for the control of `make test-power` only, which must lose events.

        `wait_s`: how long to wait where another program has locked the file.
        Raises: DamagedData: the file is not a journal of fleetpulse, or SQLite finds it corrupt. StorageFailed: the
            disk refuses it. DatabaseBusy.
        """
        self._path, self._wait_s = path, wait_s
        self._lock = DatabaseLock(path, wait_s=wait_s)
        self._is_doubtful = False
        self._written: tuple[tuple[int, int], ...] | None = None
        """When database and log were written to, and their sizes, after our last write; None: not known."""
        self._mark, self._has_appended, self._at_ns = ReachedMark(path.parent, slot=0), False, 0
        with contextlib.ExitStack() as closing:
            try:
                is_new = not path.exists()
                check_wal(path.with_name(path.name + "-wal"))
                self._connection = sqlite3.connect(path, timeout=0, isolation_level=None, check_same_thread=False)
                closing.callback(self._connection.close)
                self._lock.run(lambda: self._prepare(synchronous))
                self._opened = OpenedPaths(path.parent, path, growing=path.with_name(path.name + "-wal"))
                self._others = OpenedPaths()
                if is_new:
                    sync_folder(path.parent)
            except (sqlite3.Error, OSError) as error:
                raise storage_error(error, path, database=path) from error
            closing.pop_all()

    def _prepare(self, synchronous: str) -> None:
        run = self._connection.execute
        if not run("SELECT count(*) FROM sqlite_master").fetchone()[0]:  # it is new, or was emptied
            run(f"PRAGMA application_id={APPLICATION_ID}")
        elif run("PRAGMA application_id").fetchone()[0] != APPLICATION_ID:
            raise DamagedData(f"{self._path} is a SQLite file of another program. Name another data folder.")
        begin_write_ahead(self._connection)
        run(f"PRAGMA synchronous={synchronous}")
        run("PRAGMA wal_autocheckpoint=1000")
        run("CREATE TABLE IF NOT EXISTS entry (position INTEGER PRIMARY KEY, body BLOB NOT NULL)")
        run("CREATE TABLE IF NOT EXISTS dropped (through INTEGER NOT NULL)")
        run("CREATE TABLE IF NOT EXISTS owner (id TEXT NOT NULL)")
        run("INSERT INTO dropped SELECT 0 WHERE NOT EXISTS (SELECT 1 FROM dropped)")
        self._dropped: int = run("SELECT through FROM dropped").fetchone()[0]
        self._last: int = max(run("SELECT coalesce(max(position), 0) FROM entry").fetchone()[0], self._dropped)

    is_shared = False
    filled = 0.0

    def follow(self, *, after: Position, deliver: Deliver, missed: Callable[[Position], None]) -> Callable[[], None]:
        """See Journal. This process is the only one that appends, so nobody follows."""
        raise NotImplementedError("nobody follows a journal that is not shared")

    def append(self, body: bytes) -> Position:
        """See Journal."""
        position = self._last + 1
        # Before, since writing makes a log that was cut off long again; and after, since only then it is certain that
        # the entry is in a file that can be found.
        self._check_unwritten()
        try:
            if self._is_doubtful:
                self._look_again()
            # One statement is one transaction, and it asks for the write lock at its start: BEGIN IMMEDIATE around it
            # would say the same in two calls more.
            self._lock.run(lambda: self._connection.execute("INSERT INTO entry VALUES (?, ?)", (position, body)))
        except sqlite3.Error as error:
            self._is_doubtful, self._written = True, None
            raise OSError(storage_text(error, self._path, database=self._path)) from error
        self.check()
        self._written = self._opened.written[1:]
        self._last = position
        self._at_ns, self._has_appended = int.from_bytes(body[8:16], "little", signed=True), True
        self._mark.write(position, self._at_ns)
        return position

    def _check_unwritten(self) -> None:
        """See that the files are those that were opened, and that nobody else has written over their contents.

        The times of the last write come with the looks that are taken anyway. Where they are not those of our own last
        write, the contents are read, which costs a second for some hundred MB; programs that only back up, or move the
        log into the database, change nothing that is read.

        Raises: Moved: they do not hold this journal any more.
        """
        self._opened.check()
        if self._written is None or self._opened.written[1:] == self._written:
            return
        try:
            if self._is_intact():
                self._written = None
                return
            reason = "it is damaged, or holds other entries"
        except sqlite3.Error as error:
            if is_lock(error):
                return  # whoever holds the lock ends some time; it is looked at with the next entry
            reason = str(error)
        raise Moved(
            f"{self._path} or its -wal was overwritten by another program ({reason}). What was acknowledged since the "
            "last checkpoint may be lost: stop the service, and restore the data folder from a copy, or start with "
            "--accept-loss"
        )

    def _is_intact(self) -> bool:
        # A connection of its own, since this one would answer from the pages that it has in memory.
        with contextlib.closing(sqlite3.connect(self._path, timeout=0, isolation_level=None)) as other:
            if other.execute("PRAGMA quick_check(1)").fetchone()[0] != "ok":
                return False
            text = "SELECT max((SELECT through FROM dropped), (SELECT coalesce(max(position), 0) FROM entry))"
            owners = [identity for (identity,) in other.execute("SELECT id FROM owner")]
            return other.execute(text).fetchone()[0] == self._last and owners == [
                identity for (identity,) in self._connection.execute("SELECT id FROM owner")
            ]

    def check(self) -> None:
        """See Journal."""
        self._opened.check()
        self._others.check()

    def look_also_at(self, *paths: Path) -> None:
        """Accept no entry, either, once one of these files is not the one that is there now.

        Raises: OSError: one is not there.
        """
        self._others = OpenedPaths(*paths)

    def _look_again(self) -> None:
        """See that the append that failed left nothing. Raises: RuntimeError: it did, so nothing may follow it."""
        if self._connection.in_transaction:
            self._connection.rollback()
        last = self._lock.run(lambda: self._connection.execute("SELECT max(position) FROM entry").fetchone()[0])
        if last is not None and last > self._last:
            raise RuntimeError(f"{self._path} holds entry {last}, though writing it failed: restart the service")
        self._is_doubtful = False

    def bring(self, body: bytes, *, position: Position) -> None:
        """See Journal."""
        check_next(self, position)
        self.append(body)

    def reached(self) -> Reached | None:
        """See Journal."""
        return self._mark.found

    @property
    def mark_trouble(self) -> str:
        """See Journal."""
        return self._mark.trouble

    def make_mark(self) -> bool:
        """See Journal."""
        return self._mark.make_durable(self._last, self._at_ns)

    def accept_loss(self, *, through: Position) -> None:
        """See Journal."""
        while self._last < through and self.drop(through=self._last, entries_max=SKIP_ENTRIES):
            pass
        self._written = None
        if self._last < through:
            try:
                self._connection.execute("UPDATE dropped SET through = ?", (through,))
            except sqlite3.Error as error:
                raise OSError(storage_text(error, self._path, database=self._path)) from error
            self._dropped = self._last = through
        self._mark.accept(self._last, self._at_ns)

    @property
    def waits_for_lock(self) -> bool:
        """See Journal."""
        return self._lock.is_waiting

    def read(self, *, after: Position) -> Iterator[tuple[Position, bytes]]:
        """See Journal."""
        expected = max(after, self._dropped) + 1
        if after < self._dropped:
            raise DamagedData(
                f"{self._path} holds entries from {expected} on, but the catalog's last checkpoint ends at {after}. "
                "Journal and catalog come from different copies: restore the whole data folder from one copy."
            )
        try:
            cursor = self._lock.run(
                lambda: self._connection.execute(
                    "SELECT position, body FROM entry WHERE position > ? ORDER BY position", (after,)
                )
            )
            for position, body in cursor:
                if position != expected:
                    raise DamagedData(
                        f"{self._path}: entry {expected} is missing, the next is {position}. "
                        "Restore the data folder from a copy."
                    )
                expected += 1
                yield position, body
        except sqlite3.Error as error:
            raise storage_error(error, self._path, database=self._path) from error

    def last_position(self) -> Position:
        """See Journal."""
        return self._last

    def first_position(self) -> Position:
        """See Journal."""
        try:
            first = self._lock.try_once(
                lambda: self._connection.execute("SELECT min(position) FROM entry").fetchone()[0]
            )
        except sqlite3.Error as error:
            raise OSError(storage_text(error, self._path, database=self._path)) from error
        return self._last + 1 if first is None else int(first)

    def drop(self, *, through: Position, entries_max: int) -> bool:
        """See Journal."""
        self._check_unwritten()
        end = min(through, self.first_position() + entries_max - 1)
        try:
            # Without a wait, which would delay the commits behind it: the entries can be dropped at any later time.
            self._connection.execute("BEGIN IMMEDIATE")
            self._connection.execute("DELETE FROM entry WHERE position <= ?", (end,))
            self._connection.execute("UPDATE dropped SET through = max(through, ?)", (end,))
            self._connection.execute("COMMIT")
        except sqlite3.Error as error:
            if self._connection.in_transaction:
                self._connection.rollback()
            if is_lock(error):
                raise self._lock.busy() from error
            raise OSError(storage_text(error, self._path, database=self._path)) from error
        finally:
            self._written = None
        self._dropped = max(self._dropped, end)
        return end < through

    def identity(self) -> str | None:
        """See Journal."""
        select = partial(self._connection.execute, "SELECT id FROM owner")
        return next((identity for (identity,) in self._lock.run(select)), None)

    def identify(self, identity: str) -> None:
        """See Journal."""
        # At most one row, in one statement and so in one transaction.
        self._written = None
        text = "INSERT INTO owner SELECT ? WHERE NOT EXISTS (SELECT 1 FROM owner)"
        try:
            self._lock.run(partial(self._connection.execute, text, (identity,)))
        except sqlite3.Error as error:
            raise OSError(storage_text(error, self._path, database=self._path)) from error

    def copy_bytes(self) -> int:
        """See Journal."""
        return database_bytes(self._path)

    def copy(self, target: Path, *, rest: Callable[[float], None]) -> None:
        """See Journal."""
        copy_database(self._path, target, wait_s=self._wait_s, sleep=rest)

    def close(self) -> None:
        """See Journal."""
        if self._has_appended:
            self._mark.write(self._last, self._at_ns, is_closed=True)
        self._mark.close()
        self._connection.close()
