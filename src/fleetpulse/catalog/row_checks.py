"""What a damaged row of maintenance windows, pauses and metrics costs; `row_checksum.py` notices it.

A row that cannot be read costs itself, and no other: the window or the pause is not in effect, and the metric is not
defined, though its number and its samples stay. A row that reads well but is not what was written is used as it is, and
named. Rows that older versions wrote have no checksum until they are changed.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

import msgspec

from fleetpulse.catalog.acting import audit_change, current_act
from fleetpulse.catalog.catalog import Pause
from fleetpulse.catalog.row_checksum import Row, is_changed
from fleetpulse.model.maintenance import MaintenanceWindow, check_window
from fleetpulse.model.metric import (
    BUILT_IN,
    RETENTION_DAYS_HIGHEST,
    UPLOAD_TIME,
    Kind,
    MetricDefinition,
    check_definition,
)
from fleetpulse.notation.timestamp import format_rfc3339

WINDOWS_SQL = "SELECT id, body, checksum FROM maintenance ORDER BY id"
PUT_WINDOW_SQL = "INSERT OR REPLACE INTO maintenance VALUES (?1, ?2, row_checksum(?1, ?2))"
PAUSES_SQL = "SELECT device, start_ns, end_ns, checksum FROM pause ORDER BY device, start_ns"
PUT_PAUSE_SQL = "INSERT INTO pause VALUES (?1, ?2, ?3, row_checksum(?1, ?2, ?3))"
END_PAUSES_SQL = (
    "UPDATE pause SET end_ns = ?1, checksum = row_checksum(device, start_ns, ?1)"
    " WHERE device = ?2 AND coalesce(end_ns, ?1 + 1) > ?1"
)
METRICS_SQL = "SELECT number, name, body, is_defined, checksum FROM metric ORDER BY number"
PUT_METRIC_SQL = "INSERT OR REPLACE INTO metric VALUES (?1, ?2, ?3, ?4, row_checksum(?1, ?2, ?3, ?4))"
END_METRIC_SQL = (
    "UPDATE metric SET is_defined = 0, checksum = row_checksum(number, name, body, 0)"
    " WHERE name = ?1 AND is_defined = 1"
)
_BODY_SQL = {
    "maintenance window": "SELECT body FROM maintenance WHERE id = ?",
    "metric": "SELECT body FROM metric WHERE name = ? AND is_defined = 1",
}
_Value = TypeVar("_Value")


@dataclass(slots=True)
class ReadRows(Generic[_Value]):
    """The values of rows; and of those that are damaged, by what they are about, a sentence."""

    values: list[_Value] = field(default_factory=list)
    wrong: dict[object, str] = field(default_factory=dict)


def read_windows(rows: Iterable[Row]) -> ReadRows[MaintenanceWindow]:
    """The maintenance windows. Args: rows: of WINDOWS_SQL."""
    found: ReadRows[MaintenanceWindow] = ReadRows()
    for window_id, body, written in rows:
        about, is_altered = f"maintenance window {_shown(window_id)}", is_changed((window_id, body), written)
        try:
            window = msgspec.json.decode(body, type=MaintenanceWindow)
            if is_altered:
                # Rows as they were written are not checked: limits may have been others then.
                check_window(window)
        except (msgspec.MsgspecError, ValueError, TypeError):
            found.wrong[window_id] = f"the {about} cannot be read and is not in effect: delete it, and declare it again"
            continue
        found.values.append(window)
        if is_altered:
            found.wrong[window_id] = f"the {about} is not what was written: declare it again"
    return found


def read_pauses(rows: Iterable[Row]) -> ReadRows[Pause]:
    """The pauses of devices. Args: rows: of PAUSES_SQL."""
    found: ReadRows[Pause] = ReadRows()
    for device, start_ns, end_ns, written in rows:
        about = f"a pause of device number {_shown(device)}"
        if not (type(device) is int and type(start_ns) is int and (end_ns is None or type(end_ns) is int)):
            found.wrong[device, start_ns] = f"{about} cannot be read and is not in effect: pause the device again"
            continue
        found.values.append(Pause(device, start_ns, end_ns))
        if is_changed((device, start_ns, end_ns), written):
            found.wrong[device, start_ns] = f"{about} is not what was written: resume the device, or pause it again"
    return found


def read_metrics(rows: Iterable[Row]) -> ReadRows[tuple[int, MetricDefinition, bool]]:
    """Number, definition and whether devices may report it, of all metrics. Args: rows: of METRICS_SQL.

    In the place of a definition that cannot be read stands one that is not defined and lets nothing expire.
    """
    found: ReadRows[tuple[int, MetricDefinition, bool]] = ReadRows()
    for number, name, body, is_defined, written in rows:
        is_altered = is_changed((number, name, body, is_defined), written)
        try:
            metric = msgspec.json.decode(body, type=MetricDefinition)
            if is_altered:
                check_definition(metric)
        except (msgspec.MsgspecError, ValueError, TypeError):
            found.values.append((number, _unread(number, name, body), number == UPLOAD_TIME))
            found.wrong[number] = (
                f"the definition of metric {_shown(name)} cannot be read, so it is not defined, and nothing of it "
                "expires: define it again"
            )
            continue
        found.values.append((number, metric, bool(is_defined)))
        if is_altered:
            found.wrong[number] = f"the definition of metric {_shown(name)} is not what was written: define it again"
    return found


def _unread(number: int, name: object, body: object) -> MetricDefinition:
    if number == UPLOAD_TIME:
        return BUILT_IN
    known = name if type(name) is str else f"unreadable_{number}"
    is_integer = b'"kind":"integer"' in (body.encode(errors="replace") if type(body) is str else _bytes(body))
    kind: Kind = "integer" if is_integer else "float"
    return MetricDefinition(name=known, kind=kind, retention_days=RETENTION_DAYS_HIGHEST)


def _bytes(body: object) -> bytes:
    return body if type(body) is bytes else b""


def _shown(value: object) -> str:
    return (value if type(value) is str else repr(value))[:100]


def sentences(*wrong: Mapping[object, str]) -> list[str]:
    """What is wrong with rows of several tables."""
    return [text for of_table in wrong for text in of_table.values()]


def note_body(run: Any, kind: str, name: str, after: object) -> None:
    """Note for the audit log what a window or a metric is now, before it is written; None: it is no more."""
    if current_act() is not None:
        row = run(_BODY_SQL[kind], (name,)).fetchone()
        try:
            before = None if row is None else msgspec.json.decode(row[0], type=dict[str, Any])
        except (msgspec.MsgspecError, TypeError):
            before = {"body": "unreadable"}
        now = None if after is None else msgspec.json.decode(msgspec.json.encode(after), type=dict[str, Any])
        if before is not None or now is not None:
            audit_change(f"{kind} {name}", before, now)


def note_pauses(run: Any, device: int, pauses: Sequence[Pause]) -> None:
    """Note for the audit log which pauses a device has now, before they are written."""
    if current_act() is not None:
        device_id = run("SELECT id FROM device WHERE number = ?", (device,)).fetchone()
        text = "SELECT start_ns, end_ns FROM pause WHERE device = ? ORDER BY start_ns"
        before = [_span(*row) for row in run(text, (device,))]
        after = [_span(pause.start_ns, pause.end_ns) for pause in pauses]
        subject = f"device {device if device_id is None else device_id[0]}"
        audit_change(subject, {"pauses": before[-1:]}, {"pauses": after[-1:]})


def _span(start_ns: Any, end_ns: Any) -> dict[str, Any]:
    return {
        name: format_rfc3339(value) if type(value) is int else value
        for name, value in (("start", start_ns), ("end", end_ns))
    }
