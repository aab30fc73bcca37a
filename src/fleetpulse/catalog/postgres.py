"""The catalog of several nodes, on PostgreSQL."""

from fleetpulse.catalog.postgres_database import PostgresDatabase
from fleetpulse.catalog.postgres_link import read_address
from fleetpulse.catalog.sql_catalog import SqlCatalog
from fleetpulse.clock import Clock, SystemClock


class PostgresCatalog(SqlCatalog):
    """See Catalog."""

    def __init__(
        self, url: str, *, timeout_s: float = 5.0, wait_s: float = 10.0, password: str = "", clock: Clock | None = None
    ) -> None:
        """Connect to a database, and make its tables where they are missing.

        Args:
            timeout_s: how long anything may take.
            wait_s: how long a transaction waits for another one.
            password: empty where the URL has it, or none is needed.
        Raises: SettingsError: the address is none. StorageFailed: it is no use. DamagedData: it is of a newer
            fleetpulse. DatabaseBusy: it does not answer, or is locked.
        """
        clock, address = clock or SystemClock(), read_address(url, password)
        super().__init__(PostgresDatabase(address, timeout_s=timeout_s, wait_s=wait_s, clock=clock), clock)
        self.share()
