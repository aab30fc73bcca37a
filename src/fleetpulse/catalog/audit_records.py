"""The audit log: a row an audit entry, in a chain: each has the hash of the one before. Rows are never changed.

    hash = SHA-256(hash of the entry before ‖ the entry as JSON); before the first entry stand 32 zeros

Retention removes the oldest entries. The hash of the last one it removed stays as the anchor, from which the rest is
checked as before. The number and the hash of the newest entry are kept beside the rows, so that an end that was cut off
is found too. Whoever can write the file can make all of it anew, so a copy belongs elsewhere: an export has the hashes.
"""

from collections.abc import Sequence
from typing import Any, Protocol

from fleetpulse.catalog.acting import acting
from fleetpulse.catalog.audit_rows import COLUMNS, append_entries, entry_hash
from fleetpulse.catalog.sql_records import SqlRecords
from fleetpulse.model.audit import AuditEntry, AuditFacts, AuditFilter, ChainState

_STATE_SQL = "SELECT anchor_number, anchor_hash, last_number, last_hash FROM audit_chain"
_TEXTS = ("kind", "who", "action", "subject", "address", "request_id")


class AuditRecords(Protocol):
    """The part of a catalog that holds the audit log."""

    def append(self, entries: Sequence[AuditFacts], *, at_ns: int) -> None:
        """Add entries at the end, all or none. Raises: OSError; DatabaseBusy."""
        ...

    def page(self, chosen: AuditFilter, *, before: int | None, limit: int) -> list[AuditEntry]:
        """The newest entries that match, newest first. Args: before: only entries with a lower number.

        Raises: DamagedData; DatabaseBusy.
        """
        ...

    def piece(self, chosen: AuditFilter, *, after: int, limit: int) -> list[AuditEntry]:
        """The oldest entries that match, oldest first. Args: after: only entries with a higher number.

        Raises: DamagedData; DatabaseBusy.
        """
        ...

    def state(self) -> ChainState:
        """Where the chain begins and ends. Raises: DamagedData; DatabaseBusy."""
        ...

    def expire(self, *, before_ns: int, limit: int, note: AuditFacts, at_ns: int) -> int:
        """Remove the oldest entries that are older, at most `limit`, and add `note` about it. Returns how many.

        Raises: OSError; DatabaseBusy.
        """
        ...

    def damage(self) -> list[str]:
        """What is wrong with the chain, as sentences. Reads all of it. Raises: DamagedData; DatabaseBusy."""
        ...


def _read(row: Sequence[Any]) -> AuditEntry:
    return AuditEntry(row[0], row[1], AuditFacts(*row[2:12]), row[12])


class SqlAuditRecords(SqlRecords):
    """See AuditRecords; tables `audit` and `audit_chain`."""

    def append(self, entries: Sequence[AuditFacts], *, at_ns: int) -> None:
        """See AuditRecords."""
        with acting(None), self._transaction() as run:
            append_entries(run, entries, at_ns)

    def page(self, chosen: AuditFilter, *, before: int | None, limit: int) -> list[AuditEntry]:
        """See AuditRecords."""
        highest = 2**63 - 1 if before is None else before - 1
        return self._matching(chosen, f"number <= {highest}", "number DESC", limit)

    def piece(self, chosen: AuditFilter, *, after: int, limit: int) -> list[AuditEntry]:
        """See AuditRecords."""
        return self._matching(chosen, f"number > {after}", "number", limit)

    def _matching(self, chosen: AuditFilter, where: str, order: str, limit: int) -> list[AuditEntry]:
        names = [name for name in _TEXTS if getattr(chosen, name)]
        conditions = " AND ".join([where, "at_ns >= ? AND at_ns < ?", *(f"{name} = ?" for name in names)])
        values = (chosen.start_ns, chosen.end_ns, *(getattr(chosen, name) for name in names))
        text = f"SELECT {COLUMNS} FROM audit WHERE {conditions} ORDER BY {order} LIMIT {limit}"
        with self._reading():
            return [_read(row) for row in self._select(text, values)]

    def state(self) -> ChainState:
        """See AuditRecords."""
        with self._reading():
            return ChainState(*next(iter(self._select(_STATE_SQL))))

    def expire(self, *, before_ns: int, limit: int, note: AuditFacts, at_ns: int) -> int:
        """See AuditRecords."""
        with acting(None), self._transaction() as run:
            # The log must stay without holes, so an old entry behind a younger one stays until that one goes.
            kept = run("SELECT min(number) FROM audit WHERE at_ns >= ?", (before_ns,)).fetchone()[0]
            text = "SELECT number, hash FROM audit WHERE number < ? ORDER BY number LIMIT ?"
            rows = run(text, (2**63 - 1 if kept is None else kept, limit)).fetchall()
            if not rows:
                return 0
            number, last = rows[-1]
            run("DELETE FROM audit WHERE number <= ?", (number,))
            run("UPDATE audit_chain SET anchor_number = ?, anchor_hash = ?", (number, last))
            append_entries(run, [note._replace(subject=f"entries up to {number}", times=len(rows))], at_ns)
        return len(rows)

    def damage(self) -> list[str]:
        """See AuditRecords."""
        state = self.state()
        number, last = state.anchor_number, state.anchor_hash
        with self._reading():
            for row in self._select(f"SELECT {COLUMNS} FROM audit ORDER BY number"):
                number += 1
                if row[0] != number:
                    return [f"the audit log has no entry {number}: somebody, or the disk, removed it"]
                try:
                    last = entry_hash(last, row[0], row[1], AuditFacts(*row[2:12]))
                except (TypeError, ValueError):  # a blob where text was
                    last = b""
                if last != row[12]:
                    return [f"entry {number} of the audit log, or the one before it, is not what was written"]
        if (number, last) != (state.last_number, state.last_hash):
            return [f"the audit log ends with entry {number}, and not with {state.last_number}: its end was cut off"]
        return []
