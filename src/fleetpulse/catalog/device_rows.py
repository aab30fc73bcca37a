"""Rows of the catalog about devices, and the count of changes of what is declared."""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from fleetpulse.catalog.catalog import DeviceRecord, Span
from fleetpulse.model.device import Device

NO_DELETIONS: Mapping[int, Sequence[Span]] = {}

KNOWN_SQL = "SELECT number, deleted_at_ns IS NOT NULL, labels, interval_s, grace_s, note FROM device WHERE id = ?"
DECLARE_SQL = (
    "UPDATE device SET labels = ?, interval_s = ?, grace_s = ?, note = ?, deleted_at_ns = NULL WHERE number = ?"
)
UPDATE_SQL = (
    "UPDATE device SET labels = ?, interval_s = ?, grace_s = ?, note = ? WHERE number = ? AND deleted_at_ns IS NULL"
)
DEVICE_SQL = "number, id, labels, interval_s, grace_s, note, created_at_ns, deleted_at_ns"
INSERT_SQL = f"INSERT INTO device ({DEVICE_SQL}) VALUES (?, ?, ?, ?, ?, ?, ?, NULL) ON CONFLICT(id) DO NOTHING"


def note_change(run: Any, at_ns: int) -> None:
    """Count a change of declarations, in the transaction that makes it."""
    run("UPDATE declared SET version = version + 1, changed_at_ns = ?", (at_ns,))


def declared_fields(device: Device) -> tuple[str, int | None, int | None, str]:
    """What is declared of a device, as the columns of its row."""
    labels = json.dumps(device.labels, sort_keys=True) if device.labels else "{}"
    return labels, device.interval_s, device.grace_s, device.note


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
    device = Device(device_id, {} if labels == "{}" else json.loads(labels), interval_s, grace_s, note)
    return DeviceRecord(number, device, created_at_ns, deleted_at_ns is not None, tuple(deletions.get(number, ())))
