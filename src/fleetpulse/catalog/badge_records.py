"""Badges that have tokens of their own."""

import json
from collections.abc import Sequence
from typing import Any, Protocol

from fleetpulse.catalog.acting import audit_change
from fleetpulse.catalog.sql_records import SqlRecords, last_number, note_number
from fleetpulse.model.badge import BadgeRecord

_SQL = "SELECT number, digest, device, labels, description, created_at_ns, created_by FROM badge"


class BadgeRecords(Protocol):
    """The part of a catalog that knows badges. Deleting a device removes the badges about it."""

    def all(self) -> list[BadgeRecord]:
        """All badges, by number. Raises: DamagedData; DatabaseBusy."""
        ...

    def find(self, digest: bytes) -> BadgeRecord | None:
        """The badge whose token has this SHA-256; None: there is none. Raises: DamagedData; DatabaseBusy."""
        ...

    def next_number(self) -> int:
        """The number of the next badge, greater than that of any one before. Raises: DamagedData; DatabaseBusy."""
        ...

    def add(self, badge: BadgeRecord) -> None:
        """Record a new badge. Raises: OSError; DatabaseBusy."""
        ...

    def remove(self, number: int) -> bool:
        """Remove a badge; its token shows nothing any more. Returns whether there was one. Raises: as `add`."""
        ...


class SqlBadgeRecords(SqlRecords):
    """See BadgeRecords; table `badge`."""

    def all(self) -> list[BadgeRecord]:
        """See BadgeRecords."""
        with self._reading():
            return [_read(row) for row in self._select(f"{_SQL} ORDER BY number")]

    def find(self, digest: bytes) -> BadgeRecord | None:
        """See BadgeRecords."""
        with self._reading():
            row = self._select(f"{_SQL} WHERE digest = ?", (digest,)).fetchone()
            return None if row is None else _read(row)

    def next_number(self) -> int:
        """See BadgeRecords."""
        with self._reading():
            return last_number(self._select, "badge") + 1

    def add(self, badge: BadgeRecord) -> None:
        """See BadgeRecords."""
        with self._transaction() as run:
            number, digest, device, labels, *rest = badge
            run("INSERT INTO badge VALUES (?, ?, ?, ?, ?, ?, ?)", (number, digest, device, json.dumps(labels), *rest))
            after = {"device_number": device, "labels": dict(labels), "description": badge.description}
            note_number(run, "badge", number)
            audit_change(f"badge {number}", None, after)

    def remove(self, number: int) -> bool:
        """See BadgeRecords."""
        with self._transaction() as run:
            is_removed = bool(run("DELETE FROM badge WHERE number = ?", (number,)).rowcount)
            if is_removed:
                audit_change(f"badge {number}", {"is_revoked": False}, {"is_revoked": True})
        return is_removed


def _read(row: Sequence[Any]) -> BadgeRecord:
    number, digest, device, labels, *rest = row
    return BadgeRecord(number, digest, device, tuple((name, value) for name, value in json.loads(labels)), *rest)
