"""The bytes of one journal entry: an event batch that describes and checks itself.

    offset  size    field
    0       4       magic b"FPJE"
    4       2       format version, 1
    6       2       number of columns c
    8       8       received_at_ns, signed
    16      8·c     column directory: u16 column kind, u16 bytes a value, u32 number of values
    …       …       the columns, one after the other, in the order of the directory
    end-4   4       CRC-32 of everything before

All integers are little-endian. Columns of no values are left out. A reader that meets a newer version or an unknown column
refuses: skipping it would lose acknowledged events.
"""

from __future__ import annotations

import struct
import sys
import zlib
from array import array
from dataclasses import fields
from typing import Any

import numpy as np

from fleetpulse.errors import DamagedData
from fleetpulse.model.events import EventBatch, EventColumns

MAGIC = b"FPJE"
VERSION = 1
_HEAD = struct.Struct("<4sHHq")
_COLUMN = struct.Struct("<HHI")
_CRC = struct.Struct("<I")
_DTYPES: list[np.dtype[Any]] = [np.dtype(code) for code in ("<u4", "<i8", "<u4", "<i8", "<i8", "<u2", "<i8")]
"""By column kind: heartbeat device, sent_at; sample device, sent_at, value (64 bits), metric; start and end of blind time."""
_NAMES = tuple(column.name for column in fields(EventColumns) if column.name != "received_at_ns")
_GROUPS = ((0, 1), (2, 3, 4, 5))
"""Columns of one table: present together, and of one length."""
_SAMPLE_DEVICES, _SAMPLE_METRICS = 2, 5


def encode_entry(batch: EventBatch) -> bytes:
    """The entry of a batch."""
    columns = (
        batch.heartbeat_devices,
        batch.heartbeat_sent_at_ns,
        batch.sample_devices,
        batch.sample_sent_at_ns,
        batch.sample_values,
        batch.sample_metrics,
        batch.blind_ns,
    )
    kept = [(kind, column) for kind, column in enumerate(columns) if column]
    parts = [_HEAD.pack(MAGIC, VERSION, len(kept), batch.received_at_ns)]
    parts += [_COLUMN.pack(kind, column.itemsize, len(column)) for kind, column in kept]
    for _, column in kept:
        parts.append(_little_endian(column))
    body = b"".join(parts)
    return body + _CRC.pack(zlib.crc32(body))


def _little_endian(column: array[int]) -> bytes:
    if sys.byteorder == "big":  # arrays are in the machine's order, entries are not
        column = column[:]
        column.byteswap()
    return column.tobytes()


def decode_entry(body: bytes, *, where: str) -> EventColumns:
    """The columns of an entry, as views of `body`. `where` names the entry in errors.

    Raises: DamagedData: checksum, version or shape are not what was written.
    """
    if len(body) < _HEAD.size + _CRC.size or not body.startswith(MAGIC):
        raise DamagedData(_damaged(where, "does not begin like a journal entry"))
    (crc,) = _CRC.unpack_from(body, len(body) - _CRC.size)
    if zlib.crc32(memoryview(body)[: -_CRC.size]) != crc:
        raise DamagedData(_damaged(where, "fails its checksum"))
    _, version, column_count, received_at_ns = _HEAD.unpack_from(body)
    if version != VERSION:
        raise DamagedData(
            f"{where} has format version {version}; this fleetpulse reads {VERSION}. Run the newer version."
        )
    offset = _HEAD.size + _COLUMN.size * column_count
    found: dict[int, Any] = {}
    for index in range(column_count):
        kind, size_bytes, length = _COLUMN.unpack_from(body, _HEAD.size + _COLUMN.size * index)
        if kind >= len(_DTYPES) or size_bytes != _DTYPES[kind].itemsize or kind in found:
            raise DamagedData(
                f"{where} has a column of kind {kind} that this fleetpulse does not know. Run a newer version."
            )
        if offset + size_bytes * length > len(body) - _CRC.size:
            raise DamagedData(_damaged(where, "is shorter than its directory says"))
        found[kind] = np.frombuffer(body, _DTYPES[kind], length, offset)
        offset += size_bytes * length
    if _SAMPLE_METRICS not in found and _SAMPLE_DEVICES in found:
        # Before there were metrics, every sample was one of upload_time, number 0.
        found[_SAMPLE_METRICS] = np.zeros(len(found[_SAMPLE_DEVICES]), _DTYPES[_SAMPLE_METRICS])
    columns: list[Any] = [found.get(kind, np.zeros(0, dtype)) for kind, dtype in enumerate(_DTYPES)]
    if offset != len(body) - _CRC.size or any(len({len(columns[kind]) for kind in group}) != 1 for group in _GROUPS):
        raise DamagedData(_damaged(where, "has columns that do not fit together"))
    return EventColumns(**dict(zip(_NAMES, columns, strict=True)), received_at_ns=received_at_ns)


def _damaged(where: str, what: str) -> str:
    return (
        f"{where} {what}. Acknowledged events are in it, so it is not skipped. Restore the data folder from a copy, "
        "or see docs/howto/repair.md for how to set the entry aside knowingly."
    )
