"""What is wrong with rows of the catalog about devices: what cannot be read, and what is not what was written.

A row that cannot be read costs its device what it said, and no other: fields that are unreadable count as not declared.
Each row has a checksum of what is declared, which `fleetpulse verify` compares; a start does not, since it reads a
million rows. Rows that older versions wrote have none until their device is changed.
"""

import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from fleetpulse.catalog.row_checksum import is_changed
from fleetpulse.model.heartbeat_policy import GRACE_HIGHEST_S, INTERVAL_HIGHEST_S
from fleetpulse.notation.count import count_text

CHECK_SQL = "SELECT number, id, labels, interval_s, grace_s, note, checksum FROM device ORDER BY number"
CHECK_POLICIES_SQL = "SELECT device, number, declared_at_ns, since_ns, interval_s, grace_s, checksum FROM policy"
CHECK_DEFAULTS_SQL = "SELECT at_ns, interval_s, grace_s, factor_thousandths, checksum FROM default_policy"
NAMED_MAX = 10
"""Devices that a finding names."""


def is_labels(labels: object) -> bool:
    """Whether what was read can be the labels of a device."""
    return type(labels) is dict and all(type(value) is str for value in labels.values())


def is_seconds(seconds: object, *, lowest: int, highest: int) -> bool:
    """Whether what was read can be an interval or a grace: None, or a whole number in the limits."""
    return seconds is None or (type(seconds) is int and lowest <= seconds <= highest)


def unreadable_fields(row: Sequence[Any], labels: object) -> list[str]:
    """The names of the fields of a row that cannot be what was declared. Args: labels: as they were parsed."""
    _, device_id, _, interval_s, grace_s, note, created_at_ns, deleted_at_ns, _ = row
    is_good = {
        "id": type(device_id) is str,
        "labels": is_labels(labels),
        "interval_s": is_seconds(interval_s, lowest=1, highest=INTERVAL_HIGHEST_S),
        "grace_s": is_seconds(grace_s, lowest=0, highest=GRACE_HIGHEST_S),
        "note": type(note) is str,
        "created_at_ns": type(created_at_ns) is int,
        "deleted_at_ns": deleted_at_ns is None or type(deleted_at_ns) is int,
    }
    return [name for name, good in is_good.items() if not good]


def is_readable(row: Sequence[Any], labels: object) -> bool:
    """Whether `unreadable_fields` finds nothing: the quick way, for a million rows of a start."""
    _, device_id, _, interval_s, grace_s, note, created_at_ns, deleted_at_ns, _ = row
    if type(labels) is not dict:
        return False
    for value in labels.values():
        if type(value) is not str:
            return False
    return (
        type(device_id) is str
        and type(note) is str
        and type(created_at_ns) is int
        and (interval_s is None or (type(interval_s) is int and 1 <= interval_s <= INTERVAL_HIGHEST_S))
        and (grace_s is None or (type(grace_s) is int and 0 <= grace_s <= GRACE_HIGHEST_S))
        and (deleted_at_ns is None or type(deleted_at_ns) is int)
    )


def wrong_devices(what: str, devices: Mapping[int, str]) -> list[str]:
    """A sentence about rows of devices, none where there are none. Args: devices: their ids, by number."""
    names = list(devices.values())
    named = ", ".join(names[:NAMED_MAX]) + (" and others" if len(names) > NAMED_MAX else "")
    text = f"the rows of {count_text(len(names), 'device')} {what} ({named}): declare them again"
    return [text] if names else []


def changed_devices(rows: Iterable[Sequence[Any]]) -> dict[int, str]:
    """The devices of which a row, as CHECK_SQL selects it, is not what was written: ids by number."""
    return {
        number: str(device_id)
        for number, device_id, *declared, written in rows
        if is_changed((str(device_id), *declared), written)
    }


def wrong_policies(select: Callable[[str], Iterable[Sequence[Any]]]) -> list[str]:
    """Which rows about former intervals and graces are not what was written, as sentences."""
    found = []
    if any(is_changed(tuple(row), written) for *row, written in select(CHECK_DEFAULTS_SQL)):
        found.append("rows about the service's own intervals and graces of before are not what was written")
    rows = select(CHECK_POLICIES_SQL)
    numbers = sorted({str(row[0]) for *row, written in rows if is_changed(tuple(row), written)})
    if numbers:
        named = ", ".join(numbers[:NAMED_MAX]) + (" and others" if len(numbers) > NAMED_MAX else "")
        text = f"rows about intervals and graces of before are not what was written, of device numbers {named}"
        found.append(f"{text}: `fleetpulse devices set --since` declares them again")
    return found


def all_rows(
    connection: sqlite3.Connection, select: Callable[[str, Sequence[Any]], Iterable[Any]], query: str, *parameters: Any
) -> Iterator[Any]:
    """The rows of a query; a text that is no UTF-8 comes as bytes, where SQLite would end the whole query.

    Of the query in the fast way the rows before such a text are kept, so that others cost nothing.
    """
    count = 0
    try:
        for row in select(query, parameters):
            yield row
            count += 1
    except sqlite3.OperationalError as error:
        if "decode" not in str(error):
            raise
        connection.text_factory = _text_or_bytes
        try:
            rows = list(select(query, parameters))[count:]
        finally:
            connection.text_factory = str
        yield from rows


def _text_or_bytes(text: bytes) -> str | bytes:
    try:
        return text.decode()
    except UnicodeDecodeError:
        return text
