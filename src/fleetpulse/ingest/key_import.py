"""A file of ids in, a file of keys out: the bodies of the bulk route of keys."""

import csv
import io
from collections.abc import Container, Iterable

from fleetpulse.errors import OutOfRange
from fleetpulse.ingest.devices_import import read_import
from fleetpulse.notation.count import count_text
from fleetpulse.notation.csv_cell import safe_cell

NAMED_MAX = 10
"""Unknown devices that a refusal names."""


def read_ids(body: bytes, *, lines_max: int, known: Container[str]) -> list[str]:
    """The ids of a CSV, whose first column is `device_id`; of all others nothing counts. Takes a second for 100,000.

    Args: known: the ids of devices.
    Raises: Malformed: the body is no CSV of devices. TooLarge: it has more than `lines_max` lines. OutOfRange: a line
        is wrong, a device is named twice, or is not known; then no key is made.
    """
    found = read_import(body, lines_max=lines_max)
    if found.refused:
        line = found.refused[0]
        raise OutOfRange(f"line {line.number}: {line.error}; no key was made", reason="key")
    unknown = [device_id for device_id in found.devices if device_id not in known]
    if unknown:
        named = ", ".join(unknown[:NAMED_MAX]) + (" and others" if len(unknown) > NAMED_MAX else "")
        verb = "is" if len(unknown) == 1 else "are"
        text = f"{count_text(len(unknown), 'device')} of the file {verb} not known ({named}): declare them first"
        raise OutOfRange(f"{text}; no key was made", reason="key")
    return list(found.devices)


def keys_csv(keys: Iterable[tuple[str, str]]) -> bytes:
    """Ids and keys as CSV."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(("device_id", "key"))
    writer.writerows((safe_cell(device_id), key) for device_id, key in keys)
    return text.getvalue().encode()
