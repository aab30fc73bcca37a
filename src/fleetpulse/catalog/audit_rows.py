"""Rows of the audit log, each with the hash of the chain up to it; see `audit_records.py`."""

import json
from collections.abc import Iterable
from hashlib import sha256
from typing import Any

from fleetpulse.model.audit import AuditFacts

COLUMNS = "number, at_ns, kind, who, role, action, subject, before, after, address, request_id, times, hash"
_INSERT_SQL = f"INSERT INTO audit ({COLUMNS}) VALUES ({', '.join('?' * 13)})"


def entry_hash(previous: bytes, number: int, at_ns: int, facts: AuditFacts) -> bytes:
    """The hash of an entry. `previous`: that of the entry before it."""
    text = json.dumps([number, at_ns, *facts], separators=(",", ":"))
    return sha256(previous + text.encode()).digest()


def append_entries(run: Any, entries: Iterable[AuditFacts], at_ns: int) -> None:
    """Add entries at the end of the log, in a transaction."""
    number, last = run("SELECT last_number, last_hash FROM audit_chain").fetchone()
    for facts in entries:
        number += 1
        last = entry_hash(last, number, at_ns, facts)
        run(_INSERT_SQL, (number, at_ns, *facts, last))
    run("UPDATE audit_chain SET last_number = ?, last_hash = ?", (number, last))
