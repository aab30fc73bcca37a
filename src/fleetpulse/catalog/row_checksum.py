"""The checksum of a row of the catalog, by which a damaged one is noticed."""

import zlib
from collections.abc import Sequence
from typing import Any

Row = Sequence[Any]


def row_checksum(*values: object) -> int:
    """Of the columns of a row, as the database gives them."""
    return zlib.crc32(ascii(values).encode())  # and not `repr`, which shows text as the Python of the day can print it


def checked(*values: object) -> tuple[object, ...]:
    """The columns of a row as the database gives them, and their checksum."""
    return *values, row_checksum(*values)


def is_changed(values: Row, written: object) -> bool:
    """Whether a row is not what was written with this checksum; of older versions, `repr` was what it was made of."""
    if written is None or row_checksum(*values) == written:
        return False
    return zlib.crc32(repr(tuple(values)).encode("utf-8", "surrogatepass")) != written
