"""Devices as CSV, in devices.csv or as the body of an import.

The first line is a header. The first column is `device_id`; `interval`, `grace` and `note`, in any case, are what they
are called, and every other column is a label. Columns are separated by `,`, `;` or a tab, whichever follows
`device_id`. Blank lines, a byte order mark, CRLF and spaces around cells are allowed. An id may be repeated: its last
line counts. Any other fault, such as a value in a column without a name, is an error that names the line. An error in
devices.csv refuses the whole file; an import takes the other lines.

A line names the fields of the columns for which it has a cell. An empty cell says that the field has no value; a column
that the file lacks, or for which a short line has no cell, says nothing about the field.
"""

import contextlib
import csv
import io
from array import array
from collections.abc import Generator, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from fleetpulse.errors import DevicesFileError
from fleetpulse.ingest.csv_records import read_records
from fleetpulse.ingest.file_bytes import read_whole
from fleetpulse.limits import BulkLimits
from fleetpulse.model.declaration_merge import Fields, Value
from fleetpulse.model.device import Device
from fleetpulse.model.device_fields import RESERVED_NAMES, device_with
from fleetpulse.notation.csv_cell import unguarded_cell
from fleetpulse.notation.duration import parse_seconds


@dataclass(frozen=True, slots=True)
class NamedDevice:
    """A device as one line declares it, and the fields that the line names."""

    device: Device
    named: Fields = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class DeviceLine:
    """One line: the device that it declares, or, where `declared` is None, what is wrong with it.

    `is_short`: it has fewer cells than the header.
    """

    number: int
    declared: NamedDevice | None
    error: str = ""
    is_short: bool = False


def read_lines(text: Iterable[str], *, bad_records_max: int = BulkLimits.csv_bad_records_max) -> Iterator[DeviceLine]:
    """The lines after the header.

    Raises: csv.Error: this is not CSV. ValueError: the header is missing or wrong.
    """
    names: list[str] | None = None
    for record in read_records(text, bad_records_max=bad_records_max):
        if record.error:
            if names is None:
                raise ValueError(f"line {record.line}, the header: {record.error}")
            yield DeviceLine(record.line, None, record.error)
            continue
        cells = [cell.strip() for cell in record.cells]
        if not any(cells):
            continue
        if names is None:
            names = _header(cells, record.line)
            continue
        try:
            yield DeviceLine(record.line, _device(cells, names), is_short=len(cells) <= len(names))
        except ValueError as error:
            yield DeviceLine(record.line, None, str(error))
    if names is None:
        raise ValueError("it is empty; line 1 must be the header, which begins with `device_id`")


def read_devices(path: Path) -> Iterator[NamedDevice]:
    """The devices in the file, one after the other, so that a million of them are never in memory at once.

    Each id comes once: its last line counts, and devices with several lines come at the end. The file is read before
    this returns, and its lines as they are taken.

    Raises: DevicesFileError: perhaps after devices were yielded, so the caller must register them all in one
        transaction.
    """
    with _naming(path):
        content = read_whole(path)
        return _devices(path, content, _repeated(content))


def _devices(path: Path, content: bytes, repeated: frozenset[int]) -> Iterator[NamedDevice]:
    with _naming(path):
        last_lines: dict[str, NamedDevice] = {}
        line: DeviceLine | None = None
        for line in read_lines(_text(content)):
            if line.declared is None:
                raise DevicesFileError(f"{path}, line {line.number}: {line.error}.")
            if hash(line.declared.device.id) in repeated:
                last_lines[line.declared.device.id] = line.declared
            else:
                yield line.declared
        if line is not None and line.is_short and not content.endswith((b"\n", b"\r")):
            raise DevicesFileError(
                f"{path}, line {line.number}: it has fewer cells than the header and no line end, so the file seems to "
                "be half written. Write the rest of it."
            )
        yield from last_lines.values()


@contextlib.contextmanager
def _naming(path: Path) -> Generator[None, None, None]:
    """Raise what makes the file useless as an error that names it."""
    try:
        yield
    except FileNotFoundError as error:
        raise DevicesFileError(
            f"{path} does not exist. Write it (a header line `device_id`, then one id a line), "
            "or name another file with --devices."
        ) from error
    except (csv.Error, UnicodeDecodeError, OSError) as error:
        raise DevicesFileError(f"{path} cannot be read as CSV in UTF-8: {error}.") from error
    except ValueError as error:
        raise DevicesFileError(f"{path}: {error}.") from error


def _text(content: bytes) -> io.TextIOWrapper:
    return io.TextIOWrapper(io.BytesIO(content), encoding="utf-8-sig", newline="")


def _repeated(content: bytes) -> frozenset[int]:
    """Hashes of the ids with several lines. Hashes, since a million ids as objects would fragment the heap."""
    rows = (record.cells for record in read_records(_text(content)))
    hashes = array("q", (hash(unguarded_cell(row[0].strip())) for row in rows if row))
    ordered = np.sort(np.frombuffer(hashes, np.int64))
    return frozenset(ordered[1:][ordered[1:] == ordered[:-1]].tolist())


def _header(cells: list[str], line: int) -> list[str]:
    if cells[0].lower() != "device_id":
        raise ValueError(f"line {line}: the header's first column must be `device_id`, not `{cells[0]}`")
    folded = [name.lower() if name.lower() in RESERVED_NAMES else name for name in cells[1:]]
    names = [name for name in folded if name]
    if len(set(names)) != len(names) or "device_id" in names:
        raise ValueError(f"line {line}: a column is named twice: {', '.join(names)}")
    return folded


def _device(cells: list[str], names: list[str]) -> NamedDevice:
    device_id, *values = cells
    if len(values) > len(names) and any(values[len(names) :]):
        raise ValueError(f"{len(cells)} cells, but the header names {len(names) + 1} columns")
    for place, (name, cell) in enumerate(zip(names, values, strict=False), 2):
        if cell and not name:
            raise ValueError(f"column {place} has the value `{cell[:100]}`, but no name in the header")
    named = {name: _value(name, unguarded_cell(cell)) for name, cell in zip(names, values, strict=False) if name}
    return NamedDevice(device_with(Device(unguarded_cell(device_id)), named), named)


def _value(name: str, text: str) -> Value:
    if not text:
        return None
    return parse_seconds(text) if name in {"interval", "grace"} else text
