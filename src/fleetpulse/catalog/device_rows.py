"""Rows of the catalog about devices, and the count of changes of what is declared."""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from fleetpulse.catalog.acting import audit_change, current_act
from fleetpulse.catalog.catalog import DeviceRecord, Span
from fleetpulse.catalog.database import Database
from fleetpulse.catalog.device_checks import is_readable, unreadable_fields
from fleetpulse.catalog.policy_rows import put_policies
from fleetpulse.catalog.row_checksum import row_checksum
from fleetpulse.catalog.sql_text import NUMBERS_IN, TEXTS_IN
from fleetpulse.model.device import Device
from fleetpulse.model.own_policy import OwnPolicy

NO_DELETIONS: Mapping[int, Sequence[Span]] = {}

KNOWN_SQL = (
    f"SELECT id, number, deleted_at_ns IS NOT NULL, labels, interval_s, grace_s, note FROM device WHERE id {TEXTS_IN}"
)
DECLARE_SQL = (
    "UPDATE device SET labels = ?, interval_s = ?, grace_s = ?, note = ?, checksum = ?, deleted_at_ns = NULL"
    " WHERE number = ?"
)
UPDATE_SQL = (
    "UPDATE device SET labels = ?, interval_s = ?, grace_s = ?, note = ?, checksum = ?"
    " WHERE number = ? AND deleted_at_ns IS NULL"
)
TERMS_SQL = f"SELECT number, interval_s, grace_s FROM device WHERE number {NUMBERS_IN} AND deleted_at_ns IS NULL"
DEVICE_SQL = "number, id, labels, interval_s, grace_s, note, created_at_ns, deleted_at_ns, is_undeclared"
DELETIONS_SQL = "SELECT device, start_ns, end_ns FROM deletion"
INSERT_SQL = (
    "INSERT INTO device (number, id, labels, interval_s, grace_s, note, checksum, created_at_ns, is_undeclared)"
    " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
)


def note_change(run: Any, at_ns: int) -> None:
    """Count a change of declarations, in the transaction that makes it."""
    run("UPDATE declared SET version = version + 1, changed_at_ns = ?", (at_ns,))


def declared_fields(device: Device) -> tuple[str, int | None, int | None, str]:
    """What is declared of a device, as the columns of its row."""
    labels = json.dumps(device.labels, sort_keys=True) if device.labels else "{}"
    return labels, device.interval_s, device.grace_s, device.note


def written_fields(device: Device) -> tuple[object, ...]:
    """What is declared of a device as columns, and the checksum of it."""
    declared = declared_fields(device)
    return *declared, row_checksum(device.id, *declared)


def note_device(device_id: str, before: Sequence[Any] | None, after: Sequence[Any] | None) -> None:
    """Note for the audit log what changes of a device. Args: before, after: as `declared_fields`; None: no device."""
    if current_act() is not None:
        audit_change(f"device {device_id}", *(None if row is None else _named(row) for row in (before, after)))


def note_update(run: Any, number: int, device: Device | None) -> None:
    """The same before a registered device is declared as `device`, or, with None, deleted."""
    if current_act() is not None:
        text = "SELECT id, labels, interval_s, grace_s, note FROM device WHERE number = ? AND deleted_at_ns IS NULL"
        row = run(text, (number,)).fetchone()
        if row is not None:
            note_device(row[0], row[1:], None if device is None else declared_fields(device))


def _named(row: Sequence[Any]) -> dict[str, Any]:
    labels, interval_s, grace_s, note = row
    try:
        labels = json.loads(labels)
    except (ValueError, TypeError):
        labels = "unreadable"
    fields = {"labels": labels, "interval_s": interval_s, "grace_s": grace_s, "note": note}
    return {name: value for name, value in fields.items() if value not in (None, {}, "")}


def read_deletions(rows: Iterable[Sequence[Any]]) -> dict[int, list[Span]]:
    """Deletions by device, ascending where the rows are."""
    found: dict[int, list[Span]] = {}
    for device, start_ns, end_ns in rows:
        found.setdefault(device, []).append((start_ns, end_ns))
    return found


def insert_records(run: Any, database: Database, records: Sequence[DeviceRecord]) -> None:
    """Write devices with their numbers and their deletions, in a transaction."""
    rows = []
    for record in records:
        deleted_at_ns = record.deletions[-1][0] if record.is_deleted and record.deletions else None
        if record.is_deleted and deleted_at_ns is None:
            deleted_at_ns = record.created_at_ns
        when = record.created_at_ns, deleted_at_ns, int(record.is_undeclared)
        rows.append((record.number, record.device.id, *declared_fields(record.device), *when))
        put_policies(run, record.number, record.policies)
    database.many(f"INSERT INTO device ({DEVICE_SQL}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", rows)
    spans = [(record.number, *span) for record in records for span in record.deletions]
    database.many("INSERT INTO deletion VALUES (?, ?, ?)", spans)


def read_record(
    row: Sequence[Any], deletions: Mapping[int, Sequence[Span]] = NO_DELETIONS, policies: tuple[OwnPolicy, ...] = ()
) -> DeviceRecord:
    """The record of a device out of its row."""
    number, device_id, labels, interval_s, grace_s, note, created_at_ns, deleted_at_ns, is_undeclared = row
    is_deleted, when_deleted = deleted_at_ns is not None, tuple(deletions.get(number, ()))
    parsed: Any = {}
    if labels != "{}":
        try:
            parsed = json.loads(labels)
        except (ValueError, TypeError):  # ValueError: it is no JSON, or no UTF-8
            parsed = None
    if is_readable(row, parsed):
        device = Device(device_id, parsed, interval_s, grace_s, note)
        return DeviceRecord(number, device, created_at_ns, is_deleted, when_deleted, "", policies, bool(is_undeclared))
    wrong = unreadable_fields(row, parsed)
    device = Device(
        # Nobody can name a device with such an id, so its number stays its own and it takes no other's place.
        f"unreadable-{number}" if "id" in wrong else device_id,
        {} if "labels" in wrong else parsed,
        None if "interval_s" in wrong else interval_s,
        None if "grace_s" in wrong else grace_s,
        "" if "note" in wrong else note,
    )
    created_at_ns = 0 if "created_at_ns" in wrong else created_at_ns
    return DeviceRecord(number, device, created_at_ns, is_deleted, when_deleted, ", ".join(wrong), policies)
