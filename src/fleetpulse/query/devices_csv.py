"""Devices as CSV, which the import of devices takes as it is."""

import csv
import io
from collections.abc import Iterable, Sequence

from fleetpulse.model.device import Device
from fleetpulse.model.device_fields import DEVICE_FIELDS
from fleetpulse.notation.csv_cell import safe_cell
from fleetpulse.notation.duration import format_seconds


def devices_header(label_names: Sequence[str]) -> str:
    """The header line."""
    return _lines([["device_id", *DEVICE_FIELDS, *label_names]])


def devices_rows(devices: Iterable[Device], label_names: Sequence[str]) -> str:
    """A line for each device. A cell that a spreadsheet would take for a formula begins with `'`."""
    return _lines([_cells(device, label_names) for device in devices])


def _cells(device: Device, label_names: Sequence[str]) -> list[object]:
    durations = [
        None if seconds is None else format_seconds(seconds) for seconds in (device.interval_s, device.grace_s)
    ]
    cells = [device.id, *durations, device.note, *(device.labels.get(name) for name in label_names)]
    return [safe_cell(cell) for cell in cells]


def _lines(rows: Iterable[Sequence[object]]) -> str:
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    return text.getvalue()
