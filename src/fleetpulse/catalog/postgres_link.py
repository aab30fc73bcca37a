"""The connection to PostgreSQL: made when it is needed, made anew where it was lost, and never waited for without end.

What can go wrong, and who notices:

- the server ends, or restarts: the system reports it at once; the next statement connects anew
- the network swallows everything: TCP does not get its acknowledgements (`tcp_user_timeout`, keepalives), after some
  seconds; on the server's side as well, so that it ends the transaction of a node that is cut off
- the server hangs while its system still acknowledges: `answer_timeout_s`, by our own clock
- a statement takes too long, or waits for a row: the server ends it (`statement_timeout`, `lock_timeout`)
- we hang, or are paused, in a transaction: the server ends it (`idle_in_transaction_session_timeout`)

After a connection could not be made, those who ask in the next second are refused at once: each of them would else wait
for its time, on the one thread of the catalog.
"""

import math
import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import chain
from typing import Any, TypeVar

import psycopg
import structlog
from psycopg.abc import PQGen
from psycopg.conninfo import conninfo_to_dict
from psycopg.pq import TransactionStatus
from psycopg.types.numeric import Int8Dumper

from fleetpulse.catalog.postgres_errors import away, is_lost, refusal_of
from fleetpulse.catalog.postgres_text import postgres_text
from fleetpulse.errors import SettingsError, StorageFailed

log = structlog.get_logger("catalog")
VERSION_LOWEST = 14
REST_S = 1.0
"""After an attempt to connect that failed, until the next one."""
ROWS_AT_ONCE, ROWS_A_STATEMENT = 10_000, 250
_VALUES = re.compile(r"^INSERT INTO .* VALUES (\((?:\?, )*\?\))$")
"""A statement that inserts one row and does nothing else."""
_KEEPALIVES = {"idle": 5, "interval": 2, "count": 3}
_Result = TypeVar("_Result")


class TimedConnection(psycopg.Connection[Any]):
    """A connection that is closed where an answer takes longer than `answer_timeout_s`."""

    answer_timeout_s = math.inf

    def wait(self, gen: PQGen[_Result], interval: float = 0.1, timeout: float | None = None) -> _Result:
        """See psycopg. Raises: OperationalError: there was no answer in time."""
        if timeout is not None or self.answer_timeout_s == math.inf:  # of whoever waits for announcements, not answers
            return super().wait(gen, interval, timeout)
        limit = self.answer_timeout_s
        try:
            return super().wait(gen, interval, limit)
        except psycopg.errors._WaitTimeout:  # noqa: SLF001  # psycopg has no public name for it
            self.pgconn.finish()
            raise psycopg.OperationalError(f"no answer within {limit:g} s") from None


class _IntDumper(Int8Dumper):
    """All integers, and booleans, are of one type, so that statements are prepared once and never overflow."""

    def dump(self, obj: Any) -> bytes:
        return str(int(obj)).encode()


def read_address(url: str, password: str) -> dict[str, Any]:
    """The parameters of a connection. Args: password: empty where the URL has it, or none is needed.

    Raises: SettingsError: it is no address.
    """
    try:
        found = conninfo_to_dict(url) if url.startswith(("postgresql://", "postgres://")) else None
    except psycopg.Error:
        found = None
    if found is None:  # what the library, or we, would show could be the password
        raise SettingsError("catalog must be like postgresql://user@host:5432/database")
    return {**found, **({"password": password} if password else {})}


class PostgresLink:
    """What runs statements on PostgreSQL, see `Statements`. Used by one thread at a time."""

    def __init__(
        self,
        address: Mapping[str, Any],
        *,
        timeout_s: float,
        lock_wait_s: float,
        monotonic_s: Callable[[], float] = time.monotonic,
    ) -> None:
        """Connect to `address`. Raises: StorageFailed: that is no use; CatalogAway: there is no answer."""
        self._address, self._timeout_s, self._lock_wait_s = dict(address), timeout_s, lock_wait_s
        self._monotonic_s = monotonic_s
        self._failed_at_s = -math.inf
        self._connection: TimedConnection | None = None
        self._has_warned = False
        self.name = _name_of(address)
        self.statement_count, self.change_count = 0, 0
        """How many statements were run, and how many rows they changed."""
        self.connect()

    def connect(self) -> TimedConnection:
        """The connection, which is made where there is none. Raises: StorageFailed; CatalogAway."""
        connection = self._connection
        if connection is not None and not connection.closed:
            return connection
        if self._monotonic_s() < self._failed_at_s + REST_S:
            raise away(self.name, "it did not answer a moment ago")
        self.statement_count += 1
        try:
            self._connection = connection = self.connected()
        except psycopg.Error as error:
            self._failed_at_s = self._monotonic_s()
            raise refusal_of(error, self.name) from error
        return connection

    def connected(self) -> TimedConnection:
        """A further connection, with all that every connection of ours needs. Raises: psycopg.Error; StorageFailed."""
        seconds = max(2, math.ceil(min(self._timeout_s, 5)))  # libpq takes no less than 2
        wanted: dict[str, Any] = {"connect_timeout": seconds, "tcp_user_timeout": int(self._timeout_s * 1_000)}
        wanted |= {f"keepalives_{name}": seconds for name, seconds in _KEEPALIVES.items()}
        wanted |= {"application_name": "fleetpulse", "target_session_attrs": "read-write", "client_encoding": "UTF8"}
        connection = TimedConnection.connect(**{**wanted, **self._address}, autocommit=True)
        try:
            connection.answer_timeout_s = self._timeout_s + self._lock_wait_s + 1
            connection.cursor_factory = psycopg.RawCursor
            connection.server_cursor_factory = psycopg.RawServerCursor
            for kind in (int, bool):
                connection.adapters.register_dumper(kind, _IntDumper)
            self._prepare(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    def _prepare(self, connection: TimedConnection) -> None:
        version = connection.info.server_version
        if version < VERSION_LOWEST * 10_000:
            raise StorageFailed(
                f"{self.name} is PostgreSQL {version // 10_000}: fleetpulse needs {VERSION_LOWEST} or later. Upgrade "
                "it, or name another server with --catalog."
            )
        milliseconds = {
            "statement_timeout": self._timeout_s + self._lock_wait_s,
            "lock_timeout": max(self._lock_wait_s, 0.001),
            "idle_in_transaction_session_timeout": self._timeout_s,
            "tcp_user_timeout": self._timeout_s,
            "client_connection_check_interval": 2,
        }
        values = {name: f"{math.ceil(seconds * 1_000)}ms" for name, seconds in milliseconds.items()}
        values |= {f"tcp_keepalives_{name}": str(_KEEPALIVES[name]) for name in _KEEPALIVES}
        # A plan that is kept was made while tables were small, and reads all of a table that has grown since.
        values["plan_cache_mode"] = "force_custom_plan"
        calls = ", ".join(f"set_config('{name}', '{value}', false)" for name, value in values.items())
        connection.execute(f"SELECT {calls}", prepare=False)
        shown = "current_setting('server_encoding'), current_setting('synchronous_commit'), current_setting('fsync')"
        encoding, synchronous, fsync = connection.execute(f"SELECT {shown}", prepare=False).fetchone() or ("", "", "")
        if encoding != "UTF8":
            raise StorageFailed(f"{self.name} stores text as {encoding}: make the database with ENCODING 'UTF8'.")
        if synchronous == "off":
            connection.execute("SET synchronous_commit = on")
        if fsync != "on" and not self._has_warned:
            self._has_warned = True
            log.warning("the server of the catalog runs with fsync = off: a power cut may damage the catalog")

    def execute(self, query: str, parameters: Sequence[Any] = (), /) -> Any:
        """See Statements."""
        self.statement_count += 1
        cursor = self._own().execute(postgres_text(query), parameters)
        self._count(cursor)
        return cursor

    def executemany(self, query: str, rows: Iterable[Sequence[Any]], /) -> Any:
        """See Statements. The rows go to the server in pieces, whose statements are sent without a wait between."""
        listed = list(rows)
        cursor = self._own().cursor()
        changed = 0
        if query.endswith(")") and (values := _VALUES.search(query)):
            # Many rows in a statement, since reading and planning it costs the server more than storing a row.
            whole = len(listed) - len(listed) % ROWS_A_STATEMENT
            many = query + f", {values[1]}" * (ROWS_A_STATEMENT - 1)
            for start in range(0, whole, ROWS_A_STATEMENT):
                self.statement_count += 1
                together = list(chain.from_iterable(listed[start : start + ROWS_A_STATEMENT]))
                changed += int(cursor.execute(postgres_text(many), together).rowcount)
            listed = listed[whole:]
        for start in range(0, len(listed), ROWS_AT_ONCE):
            self.statement_count += 1
            cursor.executemany(postgres_text(query), listed[start : start + ROWS_AT_ONCE])
            changed += max(0, cursor.rowcount)
        self.change_count += changed
        return _Changed(changed)

    def rows(self, query: str, parameters: Sequence[Any]) -> Iterator[Any]:
        """The rows of a query, which the server keeps and gives in pieces; also after the transaction has ended."""
        self.statement_count += 1
        cursor = self._own().cursor(f"rows_{self.statement_count}", withhold=True)
        cursor.execute(postgres_text(query), parameters)
        return self._fetched(cursor)

    def _fetched(self, cursor: Any) -> Iterator[Any]:
        with cursor:
            while piece := cursor.fetchmany(ROWS_AT_ONCE):
                self.statement_count += 1
                yield from piece

    def _own(self) -> TimedConnection:
        if self._connection is None or self._connection.closed:
            raise psycopg.OperationalError("the connection is lost")
        return self._connection

    def _count(self, cursor: Any) -> None:
        if (cursor.statusmessage or "").startswith(("INSERT", "UPDATE", "DELETE")):
            self.change_count += max(0, cursor.rowcount)

    @property
    def is_idle(self) -> bool:
        """Whether no transaction is under way."""
        connection = self._connection
        return connection is None or connection.info.transaction_status in {
            TransactionStatus.IDLE,
            TransactionStatus.UNKNOWN,
        }

    @property
    def is_lost(self) -> bool:
        """Whether there is no connection, or a useless one."""
        return self._connection is None or self._connection.closed or self._connection.broken

    def repeated(self, work: Callable[[], _Result]) -> _Result:
        """The result of `work`, which is done once more where the connection turns out to be lost.

        `work` must be safe to repeat, and must not be a part of a transaction that has begun.
        Raises: psycopg.Error; StorageFailed; CatalogAway.
        """
        self.connect()
        try:
            return work()
        except psycopg.Error as error:
            if not is_lost(error) and not self.is_lost:
                raise
            self.drop()
            self.connect()
            return work()

    def drop(self) -> None:
        """Close the connection, so that the next statement makes a new one."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def refusal(self, error: psycopg.Error) -> Exception:
        """What an error of the library means."""
        if is_lost(error) or self.is_lost:
            self.drop()
            return away(self.name, str(error))
        return refusal_of(error, self.name)


class _Changed:
    """What `executemany` returns."""

    def __init__(self, rowcount: int) -> None:
        self.rowcount = rowcount


def _name_of(address: Mapping[str, Any]) -> str:
    """The address for messages, without the password."""
    host, port = address.get("host") or address.get("hostaddr") or "", address.get("port") or ""
    where = f"{host}:{port}" if port and "," not in f"{host}{port}" else f"{host}"
    return f"postgresql://{where}/{address.get('dbname') or address.get('user') or ''}"
