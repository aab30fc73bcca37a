"""The tables of PostgreSQL beside those of SQLite, and what older nodes do after a newer one has added to them."""

from pathlib import Path

import psycopg
import pytest

from fleetpulse.catalog import postgres_schema, schema
from fleetpulse.catalog.postgres import PostgresCatalog
from fleetpulse.catalog.sqlite import SqliteCatalog
from fleetpulse.errors import DamagedData
from fleetpulse.model.device import Device

FURTHER = """
CREATE TABLE further (name TEXT PRIMARY KEY, number INTEGER NOT NULL, body BLOB) WITHOUT ROWID;
ALTER TABLE device ADD COLUMN further TEXT NOT NULL DEFAULT '';
INSERT INTO further VALUES ('x', 1, NULL);
"""


def test_both_engines_have_the_same_tables_and_columns(postgres_url: str, tmp_path: Path) -> None:
    first, second = PostgresCatalog(postgres_url), SqliteCatalog(tmp_path / "catalog.sqlite")
    try:
        found, expected = first._database.tables(), second._database.tables()
        assert {name: set(columns) for name, columns in found.items()} == {
            name: set(columns) for name, columns in expected.items()
        }
    finally:
        first.close()
        second.close()


def test_a_step_of_a_newer_fleetpulse_is_added_while_older_nodes_go_on(postgres_url: str) -> None:
    older = PostgresCatalog(postgres_url)
    for number in range(8):  # more often than psycopg waits before it prepares a statement
        older.register([Device(f"d{number}")], devices_max=99, at_ns=number)
        assert older.find("d0") is not None
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        assert postgres_schema.migrate(connection, (*schema.STEPS, FURTHER)) is None
        assert postgres_schema.migrate(connection, (*schema.STEPS, FURTHER)) is None
        found = connection.execute("SELECT version, works_with FROM schema_version").fetchone()
        assert found == (schema.VERSION + 1, postgres_schema.FIRST_VERSION)
        row = connection.execute("SELECT pg_typeof(number)::text, pg_typeof(body)::text FROM further").fetchone()
        assert row == ("bigint", "bytea")
    older.register([Device("more", {"site": "x"})], devices_max=99, at_ns=9)
    older.close()
    again = PostgresCatalog(postgres_url)  # the older one restarts in the midst of a rolling upgrade
    assert [record.device.id for record in again.records()][-1] == "more"
    again.close()


def test_a_newer_catalog_with_which_this_version_cannot_work_is_refused(postgres_url: str) -> None:
    PostgresCatalog(postgres_url).close()
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute("UPDATE schema_version SET version = 99, works_with = 98")
    with pytest.raises(DamagedData, match="Run the newer version"):
        PostgresCatalog(postgres_url)


def test_later_steps_only_add() -> None:
    for step in schema.STEPS[postgres_schema.FIRST_VERSION :]:
        for statement in filter(str.strip, postgres_schema.translated_step(step).split(";")):
            words = statement.split()
            is_added = words[:2] == ["ALTER", "TABLE"] and words[3:5] == ["ADD", "COLUMN"]
            assert is_added or words[0] in {"CREATE", "INSERT"}, statement
            assert not is_added or "NOT NULL" not in statement or "DEFAULT" in statement
            assert "AUTOINCREMENT" not in statement
