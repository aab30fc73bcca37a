"""Pieces of SQL that every engine of the catalog takes."""

NUMBERS_IN = "IN (SELECT CAST(value AS BIGINT) FROM json_each(?))"
"""Whether a number is in a list, which is one parameter, as JSON: the number of parameters is limited."""
TEXTS_IN = "IN (SELECT CAST(value AS TEXT) FROM json_each(?))"
"""The same for texts."""


def put_sql(table: str, columns: str, *, key: str) -> str:
    """A statement that inserts a row, or replaces the one that has the same key.

    Args:
        columns: all columns of the row, as `a, b`; each is a parameter, in this order.
        key: those of them that make the primary key.
    """
    names, keys = columns.split(", "), key.split(", ")
    values = ", ".join("?" * len(names))
    replaced = ", ".join(f"{name} = excluded.{name}" for name in names if name not in keys)
    return f"INSERT INTO {table} ({columns}) VALUES ({values}) ON CONFLICT ({key}) DO UPDATE SET {replaced}"
