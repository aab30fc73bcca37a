"""What each transaction changed, so that other nodes read just that again: rows of the table `catalog_change`.

    version      number of the transaction, as `transactions` counts them
    tables       the names of the tables that it wrote to, as a JSON list; without those of NOT_NOTED
    devices      the numbers of devices that it changed, as a JSON list of ranges [first, end); NULL: too many
    access_keys  the same of keys

A catalog notes this only while several nodes share it. Rows beyond LOG_VERSIONS are dropped: who knows no more than an
older version reads everything again.
"""

import json
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

LOG_VERSIONS = 20_000
"""So many transactions back it is known what they changed."""
RANGES_MAX = 5_000
"""Numbers of devices, or of keys, that one transaction notes, in so many ranges."""
DEVICE_TABLES = frozenset({"device", "policy", "deletion"})
FOLLOWING_TABLES = DEVICE_TABLES | {"default_policy", "metric", "manifest"}
"""What whoever follows the journal must know before it applies an entry."""
NOT_NOTED = frozenset(
    {
        *("audit", "audit_chain", "transactions", "catalog_change", "key_use", "message", "forwarded", "used_link"),
        *("written", "superseded", "owner", "marked", "loss", "file_reading", "file_value", "lease", "block", "blind"),
        "earlier_policy",
    }
)
"""What no other node has in memory, or what is written together with a table that is noted."""
_WRITES = re.compile(r"\s*(?:INSERT\s+(?:OR\s+\w+\s+)?INTO|UPDATE|DELETE\s+FROM)\s+(\w+)", re.IGNORECASE)
_PUT_SQL = "INSERT INTO catalog_change (version, tables, devices, access_keys) VALUES (?, ?, ?, ?)"
_DROP_SQL = "DELETE FROM catalog_change WHERE version <= ?"
_LOG_SQL = "SELECT tables, devices, access_keys FROM catalog_change WHERE version > ? ORDER BY version"
_DROPPED_EVERY = 64

Ranges = list[tuple[int, int]]


@dataclass(frozen=True, slots=True)
class CatalogChanges:
    """What transactions after a version changed, up to `version`.

    Attributes:
        tables: to which they wrote; None: it is not known any more, so everything must be read again.
        devices: the numbers of the devices that they changed, ascending; None: all must be read again.
        access_keys: the same of keys.
    """

    version: int
    tables: frozenset[str] | None
    devices: list[int] | None
    access_keys: list[int] | None

    def concerns(self, *tables: str) -> bool:
        """Whether one of these tables was written to."""
        return self.tables is None or not self.tables.isdisjoint(tables)


class Noting:
    """Runs the statements of a transaction, and notes what they change."""

    __slots__ = ("_run", "access_keys", "devices", "tables")

    def __init__(self, run: Callable[..., Any]) -> None:
        self._run = run
        self.tables: set[str] = set()
        self.devices: set[int] | None = None
        """None: nobody has said which."""
        self.access_keys: set[int] | None = None

    def __call__(self, query: str, parameters: Sequence[Any] = ()) -> Any:
        """Run a statement. Returns: a cursor with its rows."""
        cursor = self._run(query, parameters)
        # A statement that returns rows has not counted them yet.
        if cursor.rowcount or "RETURNING" in query:
            self.note(query)
        return cursor

    def note(self, query: str) -> None:
        """Note which table a statement has changed, if it is one that changes any."""
        table = _written_table(query)
        if table is not None:
            self.tables.add(table)


def note_devices(run: Callable[..., Any], numbers: Iterable[int]) -> None:
    """Note in a transaction which devices it changes."""
    if isinstance(run, Noting):
        run.devices = (run.devices or set()).union(numbers)


def note_keys(run: Callable[..., Any], numbers: Iterable[int]) -> None:
    """Note in a transaction which keys it changes."""
    if isinstance(run, Noting):
        run.access_keys = (run.access_keys or set()).union(numbers)


def note_table(run: Callable[..., Any], table: str) -> None:
    """Note in a transaction that it writes to a table otherwise than by `run`."""
    if isinstance(run, Noting):
        run.tables.add(table)


@lru_cache(maxsize=1_024)
def _written_table(query: str) -> str | None:
    match = _WRITES.match(query)
    return match[1] if match is not None and match[1] not in NOT_NOTED else None


def write_changes(run: Callable[..., Any], noting: Noting, *, version: int) -> None:
    """Record, at the end of a transaction, what it has changed. Nothing where others have none of it in memory."""
    if version % _DROPPED_EVERY == 0:
        run(_DROP_SQL, (version - LOG_VERSIONS,))
    if noting.tables:
        devices = _ranges_text(noting.devices, is_written=not noting.tables.isdisjoint(DEVICE_TABLES))
        keys = _ranges_text(noting.access_keys, is_written="access_key" in noting.tables)
        run(_PUT_SQL, (version, json.dumps(sorted(noting.tables)), devices, keys))


def _ranges_text(numbers: set[int] | None, *, is_written: bool) -> str | None:
    """Args: is_written: rows of such things were written; if nobody has said of which, all count as changed."""
    if numbers is None:
        return None if is_written else "[]"
    ranges: Ranges = []
    for number in sorted(numbers):
        if ranges and ranges[-1][1] == number:
            ranges[-1] = ranges[-1][0], number + 1
        else:
            ranges.append((number, number + 1))
    return None if len(ranges) > RANGES_MAX else json.dumps(ranges)


def read_changes(select: Callable[..., Any], *, after: int, version: int) -> CatalogChanges:
    """What the transactions from `after` on changed. Args: version: that of the catalog, read before."""
    if version == after:
        return CatalogChanges(version, frozenset(), [], [])
    if version < after or version - after > LOG_VERSIONS:  # it is an older copy, or we were away for long
        return CatalogChanges(version, None, None, None)
    tables: set[str] = set()
    devices: set[int] | None = set()
    keys: set[int] | None = set()
    for names, device_ranges, key_ranges in select(_LOG_SQL, (after,)).fetchall():
        tables.update(json.loads(names))
        devices = _joined(devices, device_ranges)
        keys = _joined(keys, key_ranges)
    listed = (None if numbers is None else sorted(numbers) for numbers in (devices, keys))
    return CatalogChanges(version, frozenset(tables), *listed)


def _joined(numbers: set[int] | None, ranges: str | None) -> set[int] | None:
    if numbers is None or ranges is None:
        return None
    for first, end in json.loads(ranges):
        numbers.update(range(first, end))
    return numbers
