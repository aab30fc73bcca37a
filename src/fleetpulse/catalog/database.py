"""The database of a catalog: what the records need of it, whichever engine it is.

`sqlite_database.py` is a file of SQLite, `postgres_database.py` a server of PostgreSQL that several nodes use. All
statements are written once, in SQL that every engine takes; parameters are `?` or `?1`. A catalog uses its database
from one thread, with one connection.
"""

import contextlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol

from fleetpulse.catalog.acting import current_act
from fleetpulse.catalog.audit_rows import append_entries
from fleetpulse.catalog.change_log import FOLLOWING_TABLES, Noting, write_changes
from fleetpulse.catalog.holding import check_term
from fleetpulse.clock import Clock
from fleetpulse.reached import Loss, Reached


class Statements(Protocol):
    """What runs statements: a connection to the database."""

    def execute(self, query: str, parameters: Sequence[Any] = (), /) -> Any:
        """Run a statement. Returns: a cursor with its rows."""
        ...

    def executemany(self, query: str, rows: Iterable[Sequence[Any]], /) -> Any:
        """Run a statement once for each row."""
        ...


class Database(ABC):
    """What the methods of the catalog read and write with."""

    name: str
    """What messages call it."""
    announce_sql = ""
    """What announces the number of a transaction to other nodes, where the engine can."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._transactions = 0
        self.is_shared = False
        """Whether other nodes use it, so that each transaction notes what it changes."""
        self.following = 0
        """The newest version that is known here to have changed what following the journal needs."""
        self._noting: Noting | None = None
        self._start_wait_s = 0.0
        """How long a start waits for other nodes, where that is longer than a running service does."""

    @property
    @abstractmethod
    def statements(self) -> Statements:
        """What runs the statements of the transaction that is under way, or of a read."""

    @abstractmethod
    def reading(self) -> AbstractContextManager[None]:
        """Reads in it raise DamagedData where the database is corrupt, and DatabaseBusy where it is locked.

        StorageFailed: the disk refuses to read it.
        """

    @abstractmethod
    def select(self, query: str, parameters: Sequence[Any] = ()) -> Any:
        """The rows of a query, as a cursor. Call it within `reading`."""

    @abstractmethod
    def all_rows(self, query: str, *parameters: Any, is_long: bool = False) -> Iterator[Any]:
        """The rows of a query; those that are damaged are among them where they can be.

        Args: is_long: they may be a million, which must not be in memory together.
        """

    @abstractmethod
    def snapshot(self) -> AbstractContextManager[None]:
        """Reads within it see the database as it is at one moment, whatever other connections commit."""

    @abstractmethod
    def damage(self) -> list[str]:
        """What the engine finds wrong with its file, as sentences. Call it within `reading`."""

    @abstractmethod
    def tables(self) -> dict[str, list[str]]:
        """The names of all tables of the catalog, and of their columns: those that all engines have."""

    @abstractmethod
    def is_in_transaction(self) -> bool:
        """Whether a transaction is under way."""

    @abstractmethod
    def _transact(self) -> AbstractContextManager[None]:
        """Begin a transaction, and commit it at the end, or roll it back after an error.

        It alone writes to the database from its beginning on. Raises: OSError; DatabaseBusy: nothing took effect.
        """

    @abstractmethod
    def _changes(self) -> int:
        """A number that is another one after each statement that has changed rows."""

    def _count(self, run: Callable[..., Any]) -> int:
        """Count the transaction that is about to be committed. Returns its number."""
        ((number,),) = run("UPDATE transactions SET number = number + 1 RETURNING number").fetchall()
        return int(number)

    @abstractmethod
    def _committed(self, number: int) -> None:
        """Called after each transaction that changed something: it was the one of this number."""

    def many(self, query: str, rows: Iterable[Sequence[Any]]) -> int:
        """Run a statement once for each row, in a transaction. Returns: how many rows of the database it changed."""
        changed = max(0, int(self.statements.executemany(query, rows).rowcount))
        if changed and self._noting is not None:
            self._noting.note(query)
        return changed

    @contextlib.contextmanager
    def transaction(self, *, is_counted: bool = True) -> Generator[Callable[..., Any], None, None]:
        """All statements in it take effect, or none. Raises: OSError; DatabaseBusy; Deposed: none took effect.

        Args: is_counted: whether it is a change of the catalog, which `transactions` counts.
        """
        if self.is_in_transaction():
            yield self._noting or self.statements.execute  # as a part of the transaction that is under way
            return
        act = current_act()
        if act is not None:
            act.begin()
        number = None
        with self._transact():
            run, changes = self.statements.execute, self._changes()
            check_term(run)
            noting = self._noting = Noting(run) if self.is_shared and is_counted else None
            yield noting or run
            is_changed = is_counted and self._changes() != changes
            if is_changed and act is not None and (facts := act.facts()) is not None:
                append_entries(run, [facts], self._clock.now_ns())
            if is_changed:
                number = self._count(run)
                if noting is not None:
                    write_changes(run, noting, version=number)
                    if noting.tables and self.announce_sql:
                        run(self.announce_sql, (str(number),))
        if number is not None:
            self._transactions = number
            if noting is not None and not noting.tables.isdisjoint(FOLLOWING_TABLES):
                self.following = number
            self._committed(number)

    is_aside_own = False
    """Whether `aside` neither waits for the transaction that is under way, nor must be called in the same thread."""

    def aside(self, query: str, parameters: Sequence[Any]) -> int:
        """Run one statement, which is safe to repeat, as a transaction of its own. Returns: how many rows it changed.

        Raises: OSError; DatabaseBusy.
        """
        with self.transaction(is_counted=False) as run:
            return int(run(query, parameters).rowcount)

    def listen(self, heard: Callable[[int], None]) -> Callable[[], None]:  # noqa: ARG002  # this engine announces nothing
        """See SharedCatalog."""
        return lambda: None

    def note_started(self) -> None:
        """See SharedCatalog."""
        self._start_wait_s = 0.0

    def transactions(self) -> int:
        """See Catalog."""
        return self._transactions

    @abstractmethod
    def activity(self) -> int | None:
        """See Catalog."""

    @abstractmethod
    def reached(self) -> Reached | None:
        """See Catalog."""

    @property
    @abstractmethod
    def mark_trouble(self) -> str:
        """See Catalog."""

    @abstractmethod
    def is_marked(self) -> bool:
        """See Catalog."""

    @abstractmethod
    def note_marked(self, *, at_ns: int) -> bool:
        """See Catalog."""

    @abstractmethod
    def accept_loss(self, loss: Loss, *, at_ns: int) -> None:
        """See Catalog."""

    @abstractmethod
    def close(self) -> None:
        """See Catalog."""
