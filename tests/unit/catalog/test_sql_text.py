import sqlite3
from contextlib import closing

from fleetpulse.catalog.sql_text import NUMBERS_IN, TEXTS_IN, put_sql


def test_a_row_is_inserted_or_replaces_the_one_of_its_key() -> None:
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.execute("CREATE TABLE t (a TEXT, b INTEGER, c TEXT, PRIMARY KEY (a, b)) WITHOUT ROWID")
        for row in (("x", 1, "first"), ("x", 2, "other"), ("x", 1, "second")):
            connection.execute(put_sql("t", "a, b, c", key="a, b"), row)
        rows = connection.execute("SELECT * FROM t ORDER BY b").fetchall()
        assert rows == [("x", 1, "second"), ("x", 2, "other")]


def test_numbers_and_texts_are_found_in_a_list() -> None:
    with closing(sqlite3.connect(":memory:")) as connection:
        found = connection.execute(f"SELECT 7 {NUMBERS_IN}, 8 {NUMBERS_IN}, '7' {TEXTS_IN}", ("[7]", "[]", '["7"]'))
        assert found.fetchone() == (1, 0, 1)
