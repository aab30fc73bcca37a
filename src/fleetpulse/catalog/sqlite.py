"""The catalog on one machine, as a SQLite file."""

from collections.abc import Callable
from pathlib import Path

from fleetpulse.catalog.sql_catalog import SqlCatalog
from fleetpulse.catalog.sqlite_database import SqliteDatabase
from fleetpulse.clock import Clock, SystemClock


class SqliteCatalog(SqlCatalog):
    """See Catalog."""

    def __init__(self, path: Path, *, wait_s: float = 0.0, clock: Clock | None = None) -> None:
        """Open the file, or create it.

        `wait_s`: how long to wait where another program has locked the file. `clock`: for the time of changes.
        Raises: DamagedData: it is no catalog, is corrupt, or was written by a newer fleetpulse. StorageFailed: the disk
            refuses it. DatabaseBusy.
        """
        clock = clock or SystemClock()
        self._file = SqliteDatabase(path, wait_s=wait_s, clock=clock)
        super().__init__(self._file, clock)

    def copy_bytes(self) -> int:
        """See Catalog."""
        return self._file.copy_bytes()

    def copy(self, target: Path, *, rest: Callable[[float], None]) -> None:
        """See Catalog."""
        self._file.copy(target, rest=rest)
