"""All tables of the catalog, as the steps of `schema.py` make them: no list of them can lack one that is added.

What moves to another catalog is every table, less those of NOT_MOVED.
"""

import sqlite3
from contextlib import closing
from dataclasses import dataclass
from functools import cache

from fleetpulse.catalog import schema

NOT_MOVED = {
    "catalog_change": "a node that starts reads all, and not what has changed",
    "forget_order": "whoever gave it is a node that has ended",
    "lease": "a node that holds it there does nothing here",
    "earlier_policy": "nodes need it that follow the journal there",
    "move": "it says of each side what the move has made of it",
    "transactions": "the other side counts its own, from that number on",
    "marked": "it is about the file `reached` of one folder",
}
"""Tables that stay, and why."""
IN_ORDER = {"alert_note", "block", "default_policy", "forgotten", "loss"}
"""Tables whose rows count in the order in which they came, which is that of `rowid` on every engine."""


@dataclass(frozen=True, slots=True)
class Table:
    """A table, its columns in their order, and those of its primary key; none where it has no key."""

    name: str
    columns: tuple[str, ...]
    key: tuple[str, ...]

    @property
    def order(self) -> tuple[str, ...]:
        """The columns by which its rows are read, so that they are written in the same order."""
        return ("rowid",) if self.name in IN_ORDER else self.key or self.columns

    @property
    def listed(self) -> str:
        """The columns as a list in SQL."""
        return ", ".join(f'"{column}"' for column in self.columns)


@cache
def all_tables() -> tuple[Table, ...]:
    """Every table, by name."""
    with closing(sqlite3.connect(":memory:")) as connection:
        schema.migrate(connection)
        return tables_of(connection)


def tables_of(connection: sqlite3.Connection) -> tuple[Table, ...]:
    """The tables of a database, by name."""
    text = "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY name"
    return tuple(_table(connection, name) for (name,) in connection.execute(text).fetchall())


def moved_tables() -> tuple[Table, ...]:
    """The tables that move."""
    return tuple(table for table in all_tables() if table.name not in NOT_MOVED)


def _table(connection: sqlite3.Connection, name: str) -> Table:
    rows = connection.execute("SELECT name, pk FROM pragma_table_info(?) ORDER BY cid", (name,)).fetchall()
    key = sorted((place, column) for column, place in rows if place)
    return Table(name, tuple(column for column, _ in rows), tuple(column for _, column in key))
