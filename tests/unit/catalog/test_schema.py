import sqlite3

import pytest

from fleetpulse.catalog import schema


def columns(connection: sqlite3.Connection) -> dict[str, list[str]]:
    tables = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
    return {table: [row[1] for row in connection.execute(f"PRAGMA table_info({table})")] for table in sorted(tables)}


@pytest.mark.parametrize("version", range(schema.VERSION))
def test_a_catalog_of_any_version_gets_the_tables_of_a_new_one(version: int) -> None:
    old, new = sqlite3.connect(":memory:"), sqlite3.connect(":memory:")
    old.executescript(f"{''.join(schema.STEPS[:version])} PRAGMA user_version={version}")
    assert (schema.migrate(old), schema.migrate(new)) == (version, 0)
    assert columns(old) == columns(new)
    assert schema.migrate(old) == schema.VERSION
    old.close()
    new.close()


def test_a_newer_catalog_is_left_as_it_is() -> None:
    connection = sqlite3.connect(":memory:")
    connection.execute("PRAGMA user_version=99")
    assert schema.migrate(connection) == 99
    assert columns(connection) == {}
    connection.close()
