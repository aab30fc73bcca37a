"""Devices as CSV: the first column is `device_id`, the further columns are labels, but for `interval`, `grace` and `note`.

Header, blank lines, a byte order mark, CRLF, surrounding spaces and repeated ids are tolerated; of a repeated id the last
line counts. In a devices.csv anything else is an error that names the line, and then nothing of the file may be taken; an import
takes the other lines.
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
"""Columns that are no labels."""


@dataclass(frozen=True, slots=True)
class DeviceLine:
    """A line: the device it declares, or what is wrong with it."""

    number: int
    device: Device | None
    error: str = ""


def read_lines(text: Iterable[str]) -> Iterator[DeviceLine]:
    """The lines of a CSV after its header. Raises: csv.Error; ValueError: there is no header, or none of ours."""
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
        raise ValueError("it is empty: line 1 must be the header, beginning with `device_id`")


def read_devices(path: Path) -> Iterator[Device]:
    """The devices of the file, line by line: a million of them need not be held at once.

    Raises: DevicesFileError: perhaps after some were yielded, so take them in a transaction.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            for line in read_lines(file):
                if line.device is None:
                    raise DevicesFileError(f"{path}, line {line.number}: {line.error}.")
                yield line.device
    except FileNotFoundError as error:
        raise DevicesFileError(
            f"{path} does not exist. Write one (a header line `device_id`, then one id a line) or name another with --devices."
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
