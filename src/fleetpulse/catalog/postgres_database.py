"""The catalog's database on PostgreSQL, which several nodes use.

Every transaction locks the one row of `transactions` first, so that one writes after the other, as with BEGIN IMMEDIATE
of SQLite: whatever a transaction reads stays so until it ends. Reads lock nothing.

A connection may be lost in the midst of a COMMIT, whose outcome is then not known. So each transaction notes its number
under the token of its connection, in table `writer`: whoever connects anew, and has waited for that row of
`transactions`, reads there whether it took effect. Only where no connection can be made in time it stays unknown.
"""

import contextlib
import json
import secrets
import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, TypeVar

import msgspec
import psycopg
import structlog
from psycopg.errors import LockNotAvailable

from fleetpulse.catalog import postgres_schema, schema
from fleetpulse.catalog.database import Database
from fleetpulse.catalog.postgres_link import PostgresLink
from fleetpulse.catalog.postgres_listen import ANNOUNCE_SQL, PostgresListener
from fleetpulse.catalog.row_checks import built_in_metric
from fleetpulse.catalog_away import CatalogAway
from fleetpulse.clock import Clock
from fleetpulse.errors import DamagedData, DatabaseBusy
from fleetpulse.model.units import NS_PER_DAY
from fleetpulse.reached import Loss, Reached

log = structlog.get_logger("catalog")
_BEGIN = "BEGIN; SELECT number FROM transactions FOR UPDATE"
_BEGIN_SNAPSHOT = "BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY"
_COUNT = (
    "WITH noted AS ("
    "INSERT INTO writer (token, number, at_ns) SELECT ?, number + 1, ? FROM transactions"
    " ON CONFLICT (token) DO UPDATE SET number = excluded.number, at_ns = excluded.at_ns"
    ") UPDATE transactions SET number = number + 1 RETURNING number"
)
_WRITERS_KEPT_NS = 7 * NS_PER_DAY
_REST_S = 0.2
"""Between two attempts to find out what became of a COMMIT."""
_OWN_TABLES = {"writer", "schema_version"}
_MIGRATION_S = 120.0
"""How long the server may take to make the tables, while other nodes that start keep it busy."""
_Result = TypeVar("_Result")


class CommitUnknown(OSError):
    """The connection was lost in the midst of a COMMIT, and no other could be made: it may have taken effect."""


class PostgresDatabase(Database):
    """See Database."""

    announce_sql = ANNOUNCE_SQL
    is_aside_own = True

    def __init__(
        self, address: Mapping[str, Any], *, timeout_s: float, wait_s: float, start_wait_s: float, clock: Clock
    ) -> None:
        """Connect, and bring the tables to what they must be.

        Args:
            timeout_s: how long anything may take.
            wait_s: how long a transaction waits for another one.
            start_wait_s: how long it does so until `note_started`, while other nodes may make the tables, or declare
                a million devices.
        Raises: StorageFailed: it is no use. DamagedData: it is of a newer fleetpulse. DatabaseBusy.
        """
        super().__init__(clock)
        self.is_shared = True
        self._timeout_s, self._start_wait_s = timeout_s, start_wait_s
        self._link = PostgresLink(address, timeout_s=timeout_s, lock_wait_s=wait_s)
        self._connect_aside = partial(PostgresLink, address, timeout_s=timeout_s, lock_wait_s=wait_s)
        self._aside: PostgresLink | None = None
        """A connection of its own for the lease, whose renewal must not wait for a long transaction of any node."""
        self.name = self._link.name
        self._token = secrets.token_hex(8)
        self._is_writing = False
        self._is_bound = False
        """Statements belong to a transaction, or to a snapshot: none may run on another connection."""
        self._counted: int | None = None
        """The number of the transaction that is under way, once it has changed something."""
        try:
            with self.reading():
                self._prepare()
        except BaseException:
            self._link.drop()
            raise

    def _prepare(self) -> None:
        newer = self._patiently(self._migrate)
        if newer is not None:
            raise DamagedData(
                f"{self.name} has schema {newer}; this fleetpulse knows {schema.VERSION}. Run the newer version."
            )
        run = self._link.execute
        run(*built_in_metric())
        run("DELETE FROM writer WHERE at_ns < ?", (self._clock.now_ns() - _WRITERS_KEPT_NS,))
        self._transactions = self.following = int(run("SELECT number FROM transactions").fetchone()[0])

    def _migrate(self) -> int | None:
        connection = self._link.connect()
        usual_s = connection.answer_timeout_s
        connection.answer_timeout_s = max(usual_s, _MIGRATION_S)
        try:
            return postgres_schema.migrate(connection)
        finally:
            connection.answer_timeout_s = usual_s

    def _patiently(self, work: Callable[[], _Result]) -> _Result:
        """The result of `work`, which begins a transaction, and so changes nothing where another one goes on."""
        end_s = time.monotonic() + self._start_wait_s
        while True:
            try:
                return work()
            except LockNotAvailable:
                if time.monotonic() >= end_s:
                    raise
                self._roll_back()
            log.warning("another node changes the catalog; this start waits until that has ended", catalog=self.name)

    @property
    def statements(self) -> PostgresLink:
        """See Database."""
        return self._link

    @contextlib.contextmanager
    def reading(self) -> Generator[None, None, None]:
        """See Database. CatalogAway: there is no connection."""
        try:
            yield
        except (msgspec.MsgspecError, json.JSONDecodeError) as error:
            raise DamagedData(
                f"{self.name}: a row cannot be read: {error}. Restore the database from a copy."
            ) from error
        except psycopg.Error as error:
            raise self._link.refusal(error) from error

    def select(self, query: str, parameters: Sequence[Any] = ()) -> Any:
        """See Database."""
        if self._is_bound:
            return self._link.execute(query, parameters)
        return self._link.repeated(lambda: self._link.execute(query, parameters))

    def all_rows(self, query: str, *parameters: Any, is_long: bool = False) -> Iterator[Any]:
        """See Database."""
        if not is_long:
            return iter(self.select(query, parameters))
        if self._is_bound:
            return self._link.rows(query, parameters)
        return self._link.repeated(lambda: self._link.rows(query, parameters))

    @contextlib.contextmanager
    def snapshot(self) -> Generator[None, None, None]:
        """See Database."""
        if self._is_bound:
            yield
            return
        self._link.repeated(lambda: self._link.execute(_BEGIN_SNAPSHOT))
        self._is_bound = True
        try:
            yield
            self._link.execute("COMMIT")
        finally:
            self._is_bound = False
            self._roll_back()

    def damage(self) -> list[str]:
        """See Database. PostgreSQL finds by itself what its disk has changed, where it has checksums of its own."""
        return []

    def is_in_transaction(self) -> bool:
        """See Database."""
        return self._is_writing

    def tables(self) -> dict[str, list[str]]:
        """See Database."""
        text = (
            "SELECT table_name, column_name FROM information_schema.columns WHERE table_schema = current_schema()"
            " ORDER BY table_name, ordinal_position"
        )
        found: dict[str, list[str]] = {}
        with self.reading():
            for table, column in self.select(text):
                if table not in _OWN_TABLES and column != "rowid":
                    found.setdefault(table, []).append(column)
        return found

    @contextlib.contextmanager
    def _transact(self) -> Generator[None, None, None]:
        try:
            self._patiently(lambda: self._link.repeated(lambda: self._link.connect().execute(_BEGIN, prepare=False)))
            self._is_bound = self._is_writing = True
            yield
            self._commit()
        except BaseException as error:
            self._roll_back()
            if isinstance(error, psycopg.Error):
                raise self._link.refusal(error) from error
            raise
        finally:
            self._is_bound, self._is_writing, self._counted = False, False, None

    def _count(self, run: Callable[..., Any]) -> int:
        self._counted = int(run(_COUNT, (self._token, self._clock.now_ns())).fetchone()[0])
        return self._counted

    def _commit(self) -> None:
        try:
            state = self._link.execute("COMMIT").statusmessage
        except psycopg.Error as error:
            if self._counted is None or not self._link.is_lost:
                raise
            self._settle(self._counted, error)
            return
        if state != "COMMIT":  # a statement had failed, and somebody went on
            raise psycopg.InternalError("a transaction that had failed cannot be committed")

    def _settle(self, number: int, error: psycopg.Error) -> None:
        """Find out what became of a COMMIT that got no answer; return where it took effect.

        Raises: CatalogAway: it did not; CommitUnknown: no connection could be made in time.
        """
        end_s = time.monotonic() + self._timeout_s
        while True:
            try:
                self._link.drop()
                # Whoever has the row knows that the former transaction has ended, one way or the other.
                self._link.connect().execute(_BEGIN, prepare=False)
                row = self._link.execute("SELECT number FROM writer WHERE token = ?", (self._token,)).fetchone()
                self._link.execute("COMMIT")
                break
            except (psycopg.Error, DatabaseBusy) as again:
                if time.monotonic() >= end_s:
                    self._link.drop()
                    raise CommitUnknown(
                        f"the connection to the catalog's server {self.name} was lost in the midst of a commit "
                        f"({error}), and there is no other ({again})"
                    ) from error
                time.sleep(_REST_S)
        if row is None or row[0] < number:
            raise CatalogAway(
                f"the connection to the catalog's server {self.name} was lost before a commit: nothing was changed, "
                "try again"
            ) from error
        log.warning("the catalog was changed, although the connection was lost meanwhile", number=number)

    def _roll_back(self) -> None:
        if self._link.is_idle:
            return
        try:
            self._link.execute("ROLLBACK")
        except psycopg.Error:
            self._link.drop()  # which rolls back as well

    def aside(self, query: str, parameters: Sequence[Any]) -> int:
        """See Database."""
        link = self._aside = self._aside or self._connect_aside()
        try:
            return int(link.repeated(lambda: link.execute(query, parameters)).rowcount)
        except psycopg.Error as error:
            raise link.refusal(error) from error

    def listen(self, heard: Callable[[int], None]) -> Callable[[], None]:
        """See SharedCatalog."""
        return PostgresListener(self._link.connected, heard).end

    def _changes(self) -> int:
        return self._link.change_count

    def _committed(self, number: int) -> None:
        pass  # PostgreSQL keeps what it has acknowledged by itself

    def activity(self) -> int | None:
        """See Catalog."""
        return self._link.statement_count

    def reached(self) -> Reached | None:
        """See Catalog: nothing is recorded outside, since nodes own nothing."""
        return None

    @property
    def mark_trouble(self) -> str:
        """See Catalog."""
        return ""

    def is_marked(self) -> bool:
        """See Catalog."""
        return False

    def note_marked(self, *, at_ns: int) -> bool:  # noqa: ARG002  # there is no mark, so it cannot be lost either
        """See Catalog."""
        return True

    def accept_loss(self, loss: Loss, *, at_ns: int) -> None:
        """See Catalog."""
        with self.transaction() as run:
            row = (at_ns, loss.part, loss.after, loss.through, loss.since_ns)
            run("INSERT INTO loss VALUES (?, ?, ?, ?, ?)", row)

    def close(self) -> None:
        """See Catalog."""
        self._link.drop()
        if self._aside is not None:
            self._aside.drop()
