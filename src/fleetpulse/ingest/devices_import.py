"""An import of devices as CSV: which lines declare a device, and which are refused, and why."""

import csv
import io
from dataclasses import dataclass, field

from fleetpulse.errors import Malformed, TooLarge
from fleetpulse.ingest.devices_file import DeviceLine, NamedDevice, read_lines
from fleetpulse.limits import BulkLimits


@dataclass(slots=True)
class DeviceImport:
    """The devices of a body by id, and the lines that are refused."""

    devices: dict[str, NamedDevice] = field(default_factory=dict)
    refused: list[DeviceLine] = field(default_factory=list)
    line_of: dict[str, int] = field(default_factory=dict)


def read_import(body: bytes, *, lines_max: int, bad_records_max: int = BulkLimits.csv_bad_records_max) -> DeviceImport:
    """Read a CSV of devices. Takes seconds for a large one, so call it in a thread.

    Raises: Malformed: the body is no CSV of devices. TooLarge: it has more than `lines_max` lines.
    """
    try:
        decoded = io.StringIO(body.decode("utf-8-sig"), newline="")
        lines = list(read_lines(decoded, bad_records_max=bad_records_max))
    except (UnicodeDecodeError, csv.Error) as error:
        raise Malformed(f"the body cannot be read as CSV in UTF-8: {error}") from error
    except ValueError as error:
        raise Malformed(str(error)) from error
    if len(lines) > lines_max:
        raise TooLarge(
            f"the body has {len(lines)} lines, more than {lines_max} (bulk_lines_max); send it in parts",
            reason="bulk_lines",
        )
    result = DeviceImport()
    for line in lines:
        if line.declared is None:
            result.refused.append(line)
            continue
        device_id = line.declared.device.id
        if device_id in result.devices:
            text = f"line {result.line_of[device_id]} has {device_id} already"
            result.refused.append(DeviceLine(line.number, None, text))
        else:
            result.devices[device_id], result.line_of[device_id] = line.declared, line.number
    return result
