"""The checksum of a row of the catalog, by which a damaged one is noticed."""

import zlib
from collections.abc import Sequence
from typing import Any

CHECKSUM_FUNCTION = "row_checksum"
"""What `row_checksum` is called in SQL, so that each statement that writes a row writes its checksum, too."""
Row = Sequence[Any]


def row_checksum(*values: object) -> int:
    """Of the columns of a row, as SQLite gives them."""
    return zlib.crc32(ascii(values).encode())  # and not `repr`, which shows text as the Python of the day can print it


def is_changed(values: Row, written: object) -> bool:
    """Whether a row is not what was written with this checksum; of older versions, `repr` was what it was made of."""
    if written is None or row_checksum(*values) == written:
        return False
    return zlib.crc32(repr(tuple(values)).encode("utf-8", "surrogatepass")) != written
