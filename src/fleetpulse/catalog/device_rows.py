"""Rows of the catalog about devices, and the count of changes of what is declared."""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from fleetpulse.catalog.catalog import DeviceRecord, Span
from fleetpulse.catalog.device_checks import is_readable, unreadable_fields
from fleetpulse.catalog.row_checks import row_checksum
from fleetpulse.model.device import Device

NO_DELETIONS: Mapping[int, Sequence[Span]] = {}

KNOWN_SQL = "SELECT number, deleted_at_ns IS NOT NULL, labels, interval_s, grace_s, note FROM device WHERE id = ?"
DECLARE_SQL = (
    "UPDATE device SET labels = ?, interval_s = ?, grace_s = ?, note = ?, checksum = ?, deleted_at_ns = NULL"
    " WHERE number = ?"
)
UPDATE_SQL = (
    "UPDATE device SET labels = ?, interval_s = ?, grace_s = ?, note = ?, checksum = ?"
    " WHERE number = ? AND deleted_at_ns IS NULL"
)
DEVICE_SQL = "number, id, labels, interval_s, grace_s, note, created_at_ns, deleted_at_ns"
INSERT_SQL = (
    "INSERT INTO device (number, id, labels, interval_s, grace_s, note, checksum, created_at_ns)"
    " VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT(id) DO NOTHING"
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


def read_deletions(rows: Iterable[Sequence[Any]]) -> dict[int, list[Span]]:
    """Deletions by device, ascending where the rows are."""
    found: dict[int, list[Span]] = {}
    for device, start_ns, end_ns in rows:
        found.setdefault(device, []).append((start_ns, end_ns))
    return found


def insert_record(run: Any, record: DeviceRecord) -> None:
    """Write a device with its number and its deletions, in a transaction."""
    deleted_at_ns = record.deletions[-1][0] if record.is_deleted and record.deletions else None
    if record.is_deleted and deleted_at_ns is None:
        deleted_at_ns = record.created_at_ns
    text = f"INSERT INTO device ({DEVICE_SQL}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
    run(text, (record.number, record.device.id, *declared_fields(record.device), record.created_at_ns, deleted_at_ns))
    for span in record.deletions:
        run("INSERT INTO deletion VALUES (?, ?, ?)", (record.number, *span))


def read_record(row: Sequence[Any], deletions: Mapping[int, Sequence[Span]] = NO_DELETIONS) -> DeviceRecord:
    """The record of a device out of its row."""
    number, device_id, labels, interval_s, grace_s, note, created_at_ns, deleted_at_ns = row
    is_deleted, when_deleted = deleted_at_ns is not None, tuple(deletions.get(number, ()))
    parsed: Any = {}
    if labels != "{}":
        try:
            parsed = json.loads(labels)
        except (ValueError, TypeError):  # ValueError: it is no JSON, or no UTF-8
            parsed = None
    if is_readable(row, parsed):
        device = Device(device_id, parsed, interval_s, grace_s, note)
        return DeviceRecord(number, device, created_at_ns, is_deleted, when_deleted)
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
    return DeviceRecord(number, device, created_at_ns, is_deleted, when_deleted, ", ".join(wrong))
