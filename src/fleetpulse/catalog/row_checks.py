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
from fleetpulse.catalog.row_checksum import Row, checked, is_changed, row_checksum
from fleetpulse.catalog.sql_text import put_sql
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
_PUT_WINDOW_SQL = put_sql("maintenance", "id, body, checksum", key="id")
PAUSES_SQL = "SELECT device, start_ns, end_ns, checksum FROM pause ORDER BY device, start_ns"
_PUT_PAUSE_SQL = "INSERT INTO pause (device, start_ns, end_ns, checksum) VALUES (?, ?, ?, ?)"
_OPEN_PAUSES_SQL = "SELECT start_ns FROM pause WHERE device = ?1 AND coalesce(end_ns, ?2 + 1) > ?2"
_END_PAUSE_SQL = (
    "UPDATE pause SET end_ns = ?2, checksum = ?3 WHERE device = ?1 AND coalesce(end_ns, ?2 + 1) > ?2 AND start_ns = ?4"
)
METRICS_SQL = "SELECT number, name, body, is_defined, checksum FROM metric ORDER BY number"
_PUT_METRIC_SQL = put_sql("metric", "number, name, body, is_defined, checksum", key="number")
_DEFINED_SQL = "SELECT number, name, body FROM metric WHERE name = ? AND is_defined = 1"
_END_METRIC_SQL = "UPDATE metric SET is_defined = 0, checksum = ? WHERE number = ?"
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


def put_window(run: Any, window: MaintenanceWindow) -> None:
    """Write a maintenance window, in a transaction."""
    run(_PUT_WINDOW_SQL, checked(window.id, msgspec.json.encode(window).decode()))


def put_pause(run: Any, pause: Pause) -> None:
    """Write a pause, in a transaction."""
    run(_PUT_PAUSE_SQL, checked(pause.device, pause.start_ns, pause.end_ns))


def end_pauses(run: Any, device: int, *, at_ns: int) -> None:
    """End those pauses of a device that would go on after `at_ns`, in a transaction."""
    for (start_ns,) in run(_OPEN_PAUSES_SQL, (device, at_ns)).fetchall():
        run(_END_PAUSE_SQL, (device, at_ns, row_checksum(device, start_ns, at_ns), start_ns))


def put_metric(run: Any, number: int, metric: MetricDefinition, *, is_defined: bool = True) -> None:
    """Write the definition of a metric, in a transaction."""
    run(_PUT_METRIC_SQL, checked(number, metric.name, msgspec.json.encode(metric).decode(), int(is_defined)))


def end_metric(run: Any, name: str) -> bool:
    """Note that devices may not report a metric any more, in a transaction. Returns whether they could."""
    row = run(_DEFINED_SQL, (name,)).fetchone()
    if row is not None:
        run(_END_METRIC_SQL, (row_checksum(*row, 0), row[0]))
    return row is not None


def built_in_metric() -> tuple[str, tuple[object, ...]]:
    """A statement, and its parameters, that puts the metric in place which nobody defines."""
    text = "INSERT INTO metric (number, name, body, is_defined) VALUES (?, ?, ?, 1) ON CONFLICT DO NOTHING"
    return text, (UPLOAD_TIME, BUILT_IN.name, msgspec.json.encode(BUILT_IN).decode())


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
