"""The catalog of several nodes, on PostgreSQL."""

from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial
from pathlib import Path

from fleetpulse.catalog.move_records import Piece
from fleetpulse.catalog.postgres_database import PostgresDatabase
from fleetpulse.catalog.postgres_link import read_address
from fleetpulse.catalog.sql_catalog import SqlCatalog
from fleetpulse.catalog.sqlite import SqliteCatalog
from fleetpulse.clock import Clock, SystemClock


class PostgresCatalog(SqlCatalog):
    """See Catalog."""

    def __init__(
        self,
        url: str,
        *,
        timeout_s: float = 5.0,
        wait_s: float = 10.0,
        start_wait_s: float = 0.0,
        password: str = "",
        clock: Clock | None = None,
    ) -> None:
        """Connect to a database, and make its tables where they are missing.

        Args:
            timeout_s: how long anything may take.
            wait_s: how long a transaction waits for another one.
            start_wait_s: how long at least it does so until `note_started`.
            password: empty where the URL has it, or none is needed.
        Raises: SettingsError: the address is none. StorageFailed: it is no use. DamagedData: it is of a newer
            fleetpulse. DatabaseBusy: it does not answer, or is locked.
        """
        clock, address = clock or SystemClock(), read_address(url, password)
        waits = {"timeout_s": timeout_s, "wait_s": wait_s, "start_wait_s": start_wait_s}
        super().__init__(PostgresDatabase(address, **waits, clock=clock), clock)
        self.share()
        self._another = partial(
            PostgresCatalog, url, timeout_s=timeout_s, wait_s=wait_s, password=password, clock=clock
        )

    def copy_bytes(self) -> int:
        """See Catalog. It asks by a connection of its own; indexes count, as they are in a copy."""
        with closing(self._another()) as other:
            ((size,),) = other._database.all_rows("SELECT pg_database_size(current_database())")  # noqa: SLF001  # of the same class
            return int(size)

    def copy(self, target: Path, *, rest: Callable[[float], None]) -> None:
        """See Catalog. It reads by a connection of its own."""
        with closing(self._another()) as other, closing(SqliteCatalog(target)) as made:

            def pieces() -> Iterator[Piece]:
                for piece in other.moves.pieces():
                    yield piece
                    rest(0.0)

            made.moves.fill(pieces(), transactions=other.transactions())
