"""How the parts of the catalog, each of which keeps tables of its own, share one database."""

from fleetpulse.catalog.database import Database


class SqlRecords:
    """A part of the catalog, with the ways to its database."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._transaction = database.transaction
        self._reading = database.reading
        self._select = database.select
