"""Devices as CSV, in devices.csv or as the body of an import.

The first line is a header. The first column is `device_id`; `interval`, `grace` and `note` are what they are called,
and every other column is a label. Blank lines, a byte order mark, CRLF and spaces around cells are allowed. An id may
be repeated: its last line counts. Any other fault is an error that names the line. An error in devices.csv refuses the
whole file; an import takes the other lines.
"""

import csv
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from fleetpulse.errors import DevicesFileError
from fleetpulse.model.device import Device, check_device
from fleetpulse.notation.csv_cell import unguarded_cell
from fleetpulse.notation.duration import parse_seconds

FIELDS = ("interval", "grace", "note")
"""Columns that are not labels."""


@dataclass(frozen=True, slots=True)
class DeviceLine:
    """One line: the device that it declares, or, where `device` is None, what is wrong with it."""

    number: int
    device: Device | None
    error: str = ""


def read_lines(text: Iterable[str]) -> Iterator[DeviceLine]:
    """The lines after the header.

    Raises: csv.Error: this is not CSV. ValueError: the header is missing or wrong.
    """
    rows = csv.reader(text, skipinitialspace=True, strict=True)
    names: list[str] | None = None
    for row in rows:
        cells = [cell.strip() for cell in row]
        if not any(cells):
            continue
        if names is None:
            names = _header(cells, rows.line_num)
            continue
        try:
            yield DeviceLine(rows.line_num, _device(cells, names))
        except ValueError as error:
            yield DeviceLine(rows.line_num, None, str(error))
    if names is None:
        raise ValueError("it is empty; line 1 must be the header, which begins with `device_id`")


def read_devices(path: Path) -> Iterator[Device]:
    """The devices in the file, one after the other, so that a million of them are never in memory at once.

    Raises: DevicesFileError: perhaps after devices were yielded, so the caller must register them all in one
        transaction.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            for line in read_lines(file):
                if line.device is None:
                    raise DevicesFileError(f"{path}, line {line.number}: {line.error}.")
                yield line.device
    except FileNotFoundError as error:
        raise DevicesFileError(
            f"{path} does not exist. Write it (a header line `device_id`, then one id a line), "
            "or name another file with --devices."
        ) from error
    except (csv.Error, UnicodeDecodeError, OSError) as error:
        raise DevicesFileError(f"{path} cannot be read as CSV in UTF-8: {error}.") from error
    except ValueError as error:
        raise DevicesFileError(f"{path}: {error}.") from error


def _header(cells: list[str], line: int) -> list[str]:
    if cells[0].lower() != "device_id":
        raise ValueError(f"line {line}: the header's first column must be `device_id`, not `{cells[0]}`")
    names = [name for name in cells[1:] if name]
    if len(set(names)) != len(names) or "device_id" in names:
        raise ValueError(f"line {line}: a column is named twice: {', '.join(names)}")
    return cells[1:]


def _device(cells: list[str], names: list[str]) -> Device:
    device_id, *values = cells
    if len(values) > len(names) and any(values[len(names) :]):
        raise ValueError(f"{len(cells)} cells, but the header names {len(names) + 1} columns")
    labels = {name: unguarded_cell(value) for name, value in zip(names, values, strict=False) if name and value}
    interval, grace, note = (labels.pop(name, "") for name in FIELDS)
    device = Device(
        unguarded_cell(device_id),
        labels,
        parse_seconds(interval) if interval else None,
        parse_seconds(grace) if grace else None,
        note,
    )
    check_device(device)
    return device
