"""How the parts of the catalog, each of which keeps tables of its own, share one database."""

from collections.abc import Callable
from typing import Any

from fleetpulse.catalog.database import Database
from fleetpulse.catalog.sql_text import put_sql

_USED_SQL = put_sql("number_used", "kind, last", key="kind")


class SqlRecords:
    """A part of the catalog, with the ways to its database."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._transaction = database.transaction
        self._reading = database.reading
        self._select = database.select


def last_number(run: Callable[..., Any], kind: str) -> int:
    """The highest number that was ever given to something of a kind; 0: none was. Numbers are never given again."""
    row = run("SELECT last FROM number_used WHERE kind = ?", (kind,)).fetchone()
    return 0 if row is None else int(row[0])


def note_number(run: Callable[..., Any], kind: str, number: int) -> None:
    """Note, in the transaction that gives it, the highest number that was given."""
    run(_USED_SQL, (kind, number))
