"""The bytes of one journal entry: an event batch with a description of its columns and a checksum.

    offset  size    field
    0       4       magic b"FPJE"
    4       2       format version, 2, or 3 in a journal to which several nodes write, where a quiet time is blind;
                    of 1, reports of metrics did not mark presence
    6       2       number of columns c
    8       8       received_at_ns, signed
    16      8·c     column directory: u16 column kind, u16 bytes a value, u32 number of values
    …       …       the columns, one after the other, in the order of the directory
    end-4   4       CRC-32 of everything before

All integers are little-endian. Empty columns are left out. A reader refuses an entry of a newer version, or with an
unknown column, since skipping it would lose acknowledged events.
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
from fleetpulse.model.forgotten import FIELDS

MAGIC = b"FPJE"
VERSION, SHARED_VERSION = 2, 3
READABLE = (1, VERSION, SHARED_VERSION)
_HEAD = struct.Struct("<4sHHq")
_COLUMN = struct.Struct("<HHI")
_CRC = struct.Struct("<I")
_DTYPES: list[np.dtype[Any]] = [
    np.dtype(code) for code in ("<u4", "<i8", "<u4", "<i8", "<i8", "<u2", "<i8", "<i8", "<i8", "<i8", "<i8", "<i8")
]
"""By column kind: device, sent_at of heartbeats; device, sent_at, value, metric of samples; spans of blind time; leaps
of the clock, a correction of it; orders to forget; a version of the catalog; the beginning of a checkpoint."""
_NAMES = tuple(
    column.name
    for column in fields(EventColumns)
    if column.name not in {"received_at_ns", "do_reports_mark", "is_shared"}
)
_GROUPS = ((0, 1), (2, 3, 4, 5))
"""Kinds of columns that belong together: all of a group have one length."""
_SAMPLE_DEVICES, _SAMPLE_METRICS, _FORGOTTEN = 2, 5, 9


def encode_entry(batch: EventBatch) -> bytes:
    """The entry that holds `batch`."""
    columns = (
        batch.heartbeat_devices,
        batch.heartbeat_sent_at_ns,
        batch.sample_devices,
        batch.sample_sent_at_ns,
        batch.sample_values,
        batch.sample_metrics,
        batch.blind_ns,
        batch.leap_ns,
        batch.correction_ns,
        batch.forgotten,
        batch.catalog_version,
        batch.checkpoint_ns,
    )
    kept = [(kind, column) for kind, column in enumerate(columns) if column]
    version = SHARED_VERSION if batch.is_shared else VERSION
    parts = [_HEAD.pack(MAGIC, version, len(kept), batch.received_at_ns)]
    parts += [_COLUMN.pack(kind, column.itemsize, len(column)) for kind, column in kept]
    for _, column in kept:
        parts.append(_little_endian(column))
    body = b"".join(parts)
    return body + _CRC.pack(zlib.crc32(body))


def split_entry(body: bytes, bytes_max: int) -> list[bytes]:
    """The entries that together say what `body` says, each of at most `bytes_max` where that can be."""
    if len(body) <= bytes_max:
        return [body]
    columns = decode_entry(body, where="a batch")
    pieces = columns.cut(max(1, len(columns) * bytes_max // (2 * len(body))))
    return [encode_entry(_batch_of(piece)) for piece in pieces]


def _batch_of(columns: EventColumns) -> EventBatch:
    batch = EventBatch(received_at_ns=columns.received_at_ns, is_shared=columns.is_shared)
    for name in _NAMES:
        getattr(batch, name).frombytes(getattr(columns, name).tobytes())
    return batch


def _little_endian(column: array[int]) -> bytes:
    if sys.byteorder == "big":  # arrays are in the machine's order, entries are not
        column = column[:]
        column.byteswap()
    return column.tobytes()


def decode_entry(body: bytes, *, where: str) -> EventColumns:
    """The columns of an entry, as read-only views of `body`. `where` names the entry in errors.

    Raises: DamagedData: the checksum is wrong, or the version or a column is unknown.
    """
    if len(body) < _HEAD.size + _CRC.size or not body.startswith(MAGIC):
        raise DamagedData(_damaged(where, "does not begin with the mark of a journal entry (FPJE)"))
    (crc,) = _CRC.unpack_from(body, len(body) - _CRC.size)
    if zlib.crc32(memoryview(body)[: -_CRC.size]) != crc:
        raise DamagedData(_damaged(where, "fails its checksum"))
    _, version, column_count, received_at_ns = _HEAD.unpack_from(body)
    if version not in READABLE:
        raise DamagedData(
            f"{where} has format version {version}; this fleetpulse reads up to {READABLE[-1]}. Run a newer fleetpulse."
        )
    offset = _HEAD.size + _COLUMN.size * column_count
    by_kind: dict[int, Any] = {}
    for index in range(column_count):
        kind, size_bytes, length = _COLUMN.unpack_from(body, _HEAD.size + _COLUMN.size * index)
        if kind >= len(_DTYPES) or size_bytes != _DTYPES[kind].itemsize or kind in by_kind:
            raise DamagedData(
                f"{where} has a column of kind {kind} that this fleetpulse does not know. Run a newer fleetpulse."
            )
        if offset + size_bytes * length > len(body) - _CRC.size:
            raise DamagedData(_damaged(where, "is shorter than its column directory says"))
        by_kind[kind] = np.frombuffer(body, _DTYPES[kind], length, offset)
        offset += size_bytes * length
    if _SAMPLE_METRICS not in by_kind and _SAMPLE_DEVICES in by_kind:
        # An entry from before metrics could be defined has no metric column: every sample was one of upload_time.
        by_kind[_SAMPLE_METRICS] = np.zeros(len(by_kind[_SAMPLE_DEVICES]), _DTYPES[_SAMPLE_METRICS])
    columns: list[Any] = [by_kind.get(kind, np.zeros(0, dtype)) for kind, dtype in enumerate(_DTYPES)]
    has_whole_orders = len(columns[_FORGOTTEN]) % FIELDS == 0
    are_even = all(len({len(columns[kind]) for kind in group}) == 1 for group in _GROUPS)
    if offset != len(body) - _CRC.size or not are_even or not has_whole_orders:
        raise DamagedData(_damaged(where, "has columns that do not fit together"))
    return EventColumns(
        **dict(zip(_NAMES, columns, strict=True)),
        received_at_ns=received_at_ns,
        do_reports_mark=version > 1,
        is_shared=version == SHARED_VERSION,
    )


def _damaged(where: str, what: str) -> str:
    return (
        f"{where} {what}. It holds acknowledged events, so the service does not start without it. Restore the data "
        "folder from a copy, or see docs/howto/repair.md for how to set the entry aside."
    )
