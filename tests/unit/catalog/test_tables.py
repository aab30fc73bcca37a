"""No table can be forgotten when a catalog moves: each of them does, or it is said why not."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from fleetpulse.catalog import schema
from fleetpulse.catalog.move_records import Piece, hashes_of
from fleetpulse.catalog.sqlite import SqliteCatalog
from fleetpulse.catalog.tables import NOT_MOVED, Table, all_tables, moved_tables, tables_of

ROWS = 3
SAMPLES = {
    "INTEGER": lambda place: place + 7,
    "TEXT": lambda place: f"text {place}",
    "BLOB": lambda place: bytes([place]),
}


def names_of(path: Path) -> set[str]:
    with closing(sqlite3.connect(path)) as connection:
        text = "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"
        return {name for (name,) in connection.execute(text)}


def fill(path: Path, table: Table) -> None:
    """Rows of which no two have a value in common."""
    with closing(sqlite3.connect(path)) as connection:
        kinds = dict(connection.execute("SELECT name, type FROM pragma_table_info(?)", (table.name,)).fetchall())
        connection.execute(f'DELETE FROM "{table.name}"')  # noqa: S608  # names of our own tables
        for place in range(ROWS):
            values = [SAMPLES[kinds[column]](place) for column in table.columns]
            marks = ", ".join("?" * len(values))
            text = f'INSERT INTO "{table.name}" ({table.listed}) VALUES ({marks})'  # noqa: S608  # the same
            connection.execute(text, values)
        connection.commit()


def test_every_table_of_a_catalog_is_known_and_what_stays_is_one_of_them(tmp_path: Path) -> None:
    path = tmp_path / "catalog.sqlite"
    SqliteCatalog(path).close()
    assert {table.name for table in all_tables()} == names_of(path)
    assert NOT_MOVED.keys() <= {table.name for table in all_tables()}
    assert {table.name for table in moved_tables()} == names_of(path) - NOT_MOVED.keys()


def test_a_table_of_a_later_step_moves_by_itself() -> None:
    before = {table.name for table in all_tables()}
    with closing(sqlite3.connect(":memory:")) as connection:
        schema.migrate(connection)
        connection.execute("CREATE TABLE later (a TEXT, b BLOB, PRIMARY KEY (b, a)) WITHOUT ROWID")
        found = {table.name: table for table in tables_of(connection)}
    assert found.keys() - before == {"later"}
    assert found["later"] == Table("later", ("a", "b"), ("b", "a"))


def test_rows_of_every_table_are_brought_over_and_compared(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    path, other_path = tmp_path / "catalog.sqlite", tmp_path / "other/catalog.sqlite"
    SqliteCatalog(path).close()
    for table in moved_tables():
        fill(path, table)
    with closing(SqliteCatalog(path)) as source, closing(SqliteCatalog(other_path)) as target:
        target.moves.fill(source.moves.pieces(), transactions=41)
        here, there = hashes_of(source.moves.pieces()), hashes_of(target.moves.pieces())
        assert {name: (found.count, found.text) for name, found in here.items()} == {
            name: (found.count, found.text) for name, found in there.items()
        }
        assert all(found.count >= ROWS for found in here.values())
        assert target.transactions() == 42
    with closing(SqliteCatalog(other_path)) as target:
        assert target.transactions() == 42


def test_a_failure_in_the_middle_leaves_what_there_was(tmp_path: Path) -> None:
    with closing(SqliteCatalog(tmp_path / "catalog.sqlite")) as target:
        before = {name: found.text for name, found in hashes_of(target.moves.pieces()).items()}
        table = next(table for table in moved_tables() if table.name == "owner")

        def pieces() -> Iterator[Piece]:
            yield Piece(table, [("x",)])
            raise ValueError("torn")

        with pytest.raises(ValueError, match="torn"):
            target.moves.fill(pieces(), transactions=9)
        assert {name: found.text for name, found in hashes_of(target.moves.pieces()).items()} == before
        assert target.transactions() == 0
