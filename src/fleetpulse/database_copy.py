"""A copy of a SQLite file that is in use, as it was at one moment, by SQLite's own backup.

A second connection reads it, inside one transaction, so that commits go on beside it; it never writes, and never moves
the write-ahead log into the database, which only the one connection of the journal or the catalog may do.
"""

import contextlib
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

from fleetpulse.storage_causes import storage_error

PAGES = 256
"""Pages that are copied in one go: a megabyte."""
PAUSE_SHARE = 0.5
"""How long it rests after them, as a share of the time that they took, so that the disk is left to commits."""


def database_bytes(path: Path) -> int:
    """The bytes of a SQLite file and its log; 0 where there is none."""
    return sum(file.stat().st_size for file in (path, path.with_name(f"{path.name}-wal")) if file.exists())


def copy_database(source: Path, target: Path, *, wait_s: float, sleep: Callable[[float], None]) -> None:
    """Copy `source` to the new file `target`. Blocks.

    Args:
        wait_s: how long to wait where another program has locked the file.
        sleep: called between two pieces with the seconds that it should take.
    Raises: StorageFailed; DamagedData.
    """
    began_s = time.monotonic()

    def rest(_status: int, remaining: int, _total: int) -> None:
        nonlocal began_s
        if remaining:
            sleep((time.monotonic() - began_s) * PAUSE_SHARE)
        began_s = time.monotonic()

    address = f"file:{quote(str(source))}?mode=ro"
    try:
        with (
            contextlib.closing(sqlite3.connect(address, uri=True, timeout=wait_s, isolation_level=None)) as reading,
            contextlib.closing(sqlite3.connect(target, isolation_level=None)) as writing,
        ):
            # The first read fixes the moment; without it, each commit would begin the copy anew.
            reading.execute("BEGIN")
            reading.execute("SELECT count(*) FROM sqlite_master").fetchone()
            reading.backup(writing, pages=PAGES, progress=rest)
    except (sqlite3.Error, OSError) as error:
        raise storage_error(error, source, database=source) from error
