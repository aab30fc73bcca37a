"""All rows of a catalog come to a catalog of any engine as they were, and back."""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from fleetpulse.catalog.catalog import Catalog
from fleetpulse.catalog.move_records import MoveNote, hashes_of
from fleetpulse.catalog.sqlite import SqliteCatalog
from fleetpulse.catalog.tables import IN_ORDER, Table, moved_tables
from fleetpulse.model.device import Device
from postgres_server import PostgresServer, is_missing, postgres_server

__all__ = ["postgres_server"]
ROWS = 3
SAMPLES = {
    "INTEGER": lambda place: place - (1 << 62),
    "TEXT": lambda place: f"text {place} ü ' \\ ?",
    "BLOB": lambda place: bytes([place, 0, 255]),
}
Make = Callable[[Path], Catalog]


@pytest.fixture(params=["sqlite", "postgres"])
def make(request: pytest.FixtureRequest) -> Make:
    """Makes an empty catalog of an engine."""
    if request.param == "sqlite":
        return lambda folder: SqliteCatalog(folder / "other.sqlite")
    if is_missing():
        pytest.skip(is_missing())
    from fleetpulse.catalog.postgres import PostgresCatalog

    server: PostgresServer = request.getfixturevalue("postgres")
    return lambda _folder: PostgresCatalog(server.database())


@pytest.fixture
def source(tmp_path: Path) -> Iterator[SqliteCatalog]:
    """A catalog with rows in every table that moves, of which some columns are empty where they may be."""
    path = tmp_path / "catalog.sqlite"
    SqliteCatalog(path).close()
    for table in moved_tables():
        fill(path, table)
    with closing(SqliteCatalog(path)) as catalog:
        yield catalog


def fill(path: Path, table: Table) -> None:
    with closing(sqlite3.connect(path)) as connection:
        text = 'SELECT name, type, "notnull" OR pk > 0 FROM pragma_table_info(?)'
        columns = {name: (kind, must) for name, kind, must in connection.execute(text, (table.name,)).fetchall()}
        connection.execute(f"DELETE FROM {table.name}")  # noqa: S608  # names of our own tables
        for place in range(ROWS):
            values = [None if place == 1 and not must else SAMPLES[kind](place) for kind, must in columns.values()]
            marks = ", ".join("?" * len(values))
            connection.execute(f"INSERT INTO {table.name} VALUES ({marks})", values)  # noqa: S608  # the same
        connection.commit()


def hashes(catalog: Catalog) -> dict[str, tuple[int, str]]:
    return {name: (found.count, found.text) for name, found in hashes_of(catalog.moves.pieces()).items()}


def test_rows_of_every_table_go_there_and_come_back(make: Make, source: SqliteCatalog, tmp_path: Path) -> None:
    with closing(make(tmp_path)) as other, closing(SqliteCatalog(tmp_path / "back.sqlite")) as back:
        assert (other.transactions(), other.moves.note()) == (0, None)
        other.moves.fill(source.moves.pieces(), transactions=50)
        assert other.transactions() == 51
        assert hashes(other) == hashes(source)
        back.moves.fill(other.moves.pieces(), transactions=0)
        assert hashes(back) == hashes(source)
        assert other.moves.counts() == source.moves.counts()


def test_rows_keep_their_order_where_it_counts(make: Make, source: SqliteCatalog, tmp_path: Path) -> None:
    def ordered(catalog: Catalog) -> dict[str, list[tuple[object, ...]]]:
        return {piece.table.name: piece.rows for piece in catalog.moves.pieces() if piece.table.name in IN_ORDER}

    with closing(make(tmp_path)) as other:
        other.moves.fill(source.moves.pieces(), transactions=50)
        assert ordered(other) == ordered(source)
        assert ordered(other).keys() == IN_ORDER


def test_a_copy_is_a_file_of_sqlite_with_all_rows(make: Make, source: SqliteCatalog, tmp_path: Path) -> None:
    target = tmp_path / "copies/catalog.sqlite"
    target.parent.mkdir()
    with closing(make(tmp_path)) as other:
        other.moves.fill(source.moves.pieces(), transactions=50)
        assert other.copy_bytes() > 10_000
        other.copy(target, rest=lambda _: None)
        assert not target.with_name("catalog.sqlite-wal").exists()
        with closing(SqliteCatalog(target)) as copied:
            assert hashes(copied) == hashes(other)
            assert copied.transactions() >= other.transactions()


def test_rows_that_are_not_all_there_are_none(make: Make, tmp_path: Path) -> None:
    with closing(make(tmp_path)) as other:
        before = hashes(other)

        def torn() -> Iterator[object]:
            yield from SqliteCatalog(tmp_path / "x.sqlite").moves.pieces()
            raise ValueError("torn")

        with pytest.raises(ValueError, match="torn"):
            other.moves.fill(torn(), transactions=9)  # type: ignore[arg-type]  # a source that breaks off
        assert hashes(other) == before
        assert other.transactions() == 0


def test_a_note_is_replaced_and_removed(make: Make, tmp_path: Path) -> None:
    with closing(make(tmp_path)) as other:
        note = MoveNote("arriving", "id", "identity", "elsewhere", 7)
        other.moves.put_note(note)
        other.moves.put_note(note._replace(state="left", position=3))
        assert other.moves.note() == note._replace(state="left", position=3)
        other.moves.put_note(None)
        assert other.moves.note() is None


def test_numbers_go_on_after_those_that_came(make: Make, tmp_path: Path) -> None:
    with closing(SqliteCatalog(tmp_path / "catalog.sqlite")) as source, closing(make(tmp_path)) as other:
        source.register([Device("a"), Device("b")], devices_max=9, at_ns=1)
        other.moves.fill(source.moves.pieces(), transactions=source.transactions())
        registered = other.register([Device("c"), Device("b")], devices_max=9, at_ns=2)
        assert (registered.new.tolist(), registered.changed.tolist()) == ([2], [])
        assert [record.device.id for record in other.records()] == ["a", "b", "c"]
