"""The checksums of rows of the catalog; and of maintenance windows, pauses and metrics, what a damaged row costs.

A row that cannot be read costs itself, and no other: the window or the pause is not in effect, and the metric is not
defined, though its number and its samples stay. A row that reads well but is not what was written is used as it is, and
named. Rows that older versions wrote have no checksum until they are changed.
"""

import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

import msgspec

from fleetpulse.catalog.catalog import Pause
from fleetpulse.model.maintenance import MaintenanceWindow, check_window
from fleetpulse.model.metric import (
    BUILT_IN,
    RETENTION_DAYS_HIGHEST,
    UPLOAD_TIME,
    Kind,
    MetricDefinition,
    check_definition,
)

CHECKSUM_FUNCTION = "row_checksum"
"""What `row_checksum` is called in SQL, so that each statement that writes a row writes its checksum, too."""
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
Row = Sequence[Any]
_Value = TypeVar("_Value")


def row_checksum(*values: object) -> int:
    """Of the columns of a row, as SQLite gives them."""
    return zlib.crc32(ascii(values).encode())  # and not `repr`, which shows text as the Python of the day can print it


def is_changed(values: Row, written: object) -> bool:
    """Whether a row is not what was written with this checksum; of older versions, `repr` was what it was made of."""
    if written is None or row_checksum(*values) == written:
        return False
    return zlib.crc32(repr(tuple(values)).encode("utf-8", "surrogatepass")) != written


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
