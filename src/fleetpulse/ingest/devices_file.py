"""devices.csv: the first column is `device_id`, the further columns are labels, but for `interval`, `grace` and `note`.

Header, blank lines, a byte order mark, CRLF, surrounding spaces and repeated ids are tolerated; of a repeated id the last
line counts. Anything else is an error that names the line, and then nothing of the file may be taken.
"""

import csv
from collections.abc import Iterator
from pathlib import Path

from fleetpulse.aggregate.window import parse_seconds
from fleetpulse.errors import DevicesFileError
from fleetpulse.model.device import ID_RULE, Device, check_device, is_device_id


def read_devices(path: Path) -> Iterator[Device]:
    """The devices of the file, line by line: a million of them need not be held at once.

    Raises: DevicesFileError: perhaps after some were yielded, so take them in a transaction.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = csv.reader(file, skipinitialspace=True, strict=True)
            names: list[str] | None = None
            for row in rows:
                cells = [cell.strip() for cell in row]
                if not any(cells):
                    continue
                if names is None:
                    names = _header(cells, path, rows.line_num)
                    continue
                yield _device(cells, names, f"{path}, line {rows.line_num}")
    except FileNotFoundError as error:
        raise DevicesFileError(
            f"{path} does not exist. Write one (a header line `device_id`, then one id a line) or name another with --devices."
        ) from error
    except (csv.Error, UnicodeDecodeError, OSError) as error:
        raise DevicesFileError(f"{path} cannot be read as CSV in UTF-8: {error}.") from error
    if names is None:
        raise DevicesFileError(f"{path} is empty: line 1 must be the header, beginning with `device_id`.")


def _header(cells: list[str], path: Path, line: int) -> list[str]:
    if cells[0].lower() != "device_id":
        raise DevicesFileError(f"{path}, line {line}: the header's first column must be `device_id`, not `{cells[0]}`.")
    names = [name for name in cells[1:] if name]
    if len(set(names)) != len(names):
        raise DevicesFileError(f"{path}, line {line}: a label column is named twice: {', '.join(names)}.")
    return cells[1:]


def _device(cells: list[str], names: list[str], where: str) -> Device:
    device_id, *values = cells
    if not is_device_id(device_id):
        raise DevicesFileError(f"{where}: `{device_id}` is no device id; expected {ID_RULE}.")
    if len(values) > len(names) and any(values[len(names) :]):
        raise DevicesFileError(f"{where}: {len(cells)} cells, but the header names {len(names) + 1} columns.")
    said = {name: value for name, value in zip(names, values, strict=False) if name and value}
    try:
        return device_of(device_id, said)
    except ValueError as error:
        raise DevicesFileError(f"{where}: {error}.") from error


def device_of(device_id: str, said: dict[str, str]) -> Device:
    """A device by its cells: `interval`, `grace` and `note`, and for the rest labels. Raises: ValueError: says what is wrong."""
    labels = dict(said)
    interval, grace, note = (labels.pop(name, "") for name in ("interval", "grace", "note"))
    device = Device(device_id, labels, parse_seconds(interval) if interval else None, parse_seconds(grace) if grace else None, note)
    check_device(device)
    return device
