"""The Parquet layout of presence: a day of all devices, sorted by device.

    device   uint32
    minutes  uint16       how many bits are set
    present  binary(180)  bit m % 8 of byte m // 8: a heartbeat or report was sent in minute m

A row group holds devices of one chunk of CHUNK numbers only, so that merging a day reads a bounded piece; and few of
them, so that finding one device reads little.
"""

from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import Any, BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from fleetpulse.aggregate.presence import BYTES_PER_DAY, Chunk, Rows, count_minutes, from_bytes, to_bytes
from fleetpulse.blocks.columns import Footer, open_parquet
from fleetpulse.storage_causes import unreadable

CHUNK = 16_384
"""Device numbers that are merged at a time."""
ROW_GROUP_DEVICES = 2_048
PRESENCE_INDEXED = ("device",)

_PRESENCE = pa.schema([("device", pa.uint32()), ("minutes", pa.uint16()), ("present", pa.binary(BYTES_PER_DAY))])


def write_presence(file: BinaryIO, chunks: Iterable[Chunk]) -> None:
    """Write the chunks, each of one range of CHUNK numbers, as a few row groups each; empty ones are left out."""
    with pq.ParquetWriter(file, _PRESENCE, compression="zstd", write_page_checksum=True) as writer:
        for devices, rows in chunks:
            if len(devices):
                packed = pa.FixedSizeBinaryArray.from_buffers(
                    pa.binary(BYTES_PER_DAY), len(rows), [None, pa.py_buffer(to_bytes(rows))]
                )
                minutes = count_minutes(rows).astype(np.uint16)
                table = pa.table([pa.array(devices), pa.array(minutes), packed], schema=_PRESENCE)
                writer.write_table(table, row_group_size=ROW_GROUP_DEVICES)


def read_presence(file: BinaryIO) -> Iterator[Chunk]:
    """The chunks of a presence block in order. Raises: DamagedData: the file is no presence block."""
    try:
        parquet = open_parquet(file)
        firsts = [parquet.metadata.row_group(group).column(0).statistics.min for group in range(parquet.num_row_groups)]
        for _, groups in groupby(range(len(firsts)), lambda group: firsts[group] // CHUNK):
            table = parquet.read_row_groups(list(groups), columns=["device", "present"], use_threads=False)
            yield table.column("device").to_numpy(), from_bytes(packed_rows(table))
    except (pa.ArrowException, OSError, KeyError, AttributeError) as error:
        raise unreadable("a presence block", error) from error


def read_row(file: BinaryIO, name: str, footer: Footer, device: int) -> Rows | None:
    """The row of one device, shape (23,), None where it has none. Raises: DamagedData."""
    groups = np.flatnonzero((footer.least["device"] <= device) & (footer.greatest["device"] >= device)).tolist()
    try:
        for group in groups:
            parquet = open_parquet(file, metadata=footer.metadata)
            table = parquet.read_row_group(group, columns=["device", "present"], use_threads=False)
            place = int(table.column("device").to_numpy().searchsorted(np.uint32(device)))
            if place < len(table) and table.column("device")[place].as_py() == device:
                row: Rows = from_bytes(packed_rows(table)[place : place + 1])[0]
                return row
    except (pa.ArrowException, OSError, KeyError, AttributeError) as error:
        raise unreadable(f"block {name}", error) from error
    return None


def packed_rows(table: Any) -> NDArray[np.uint8]:
    """The column `present` of an Arrow table as bytes: uint8, shape (rows, 180)."""
    present = table.column("present").combine_chunks()
    packed = np.frombuffer(present.buffers()[1], np.uint8).reshape(-1, BYTES_PER_DAY)
    return packed[present.offset : present.offset + len(present)]


def read_minutes(file: BinaryIO) -> tuple[NDArray[np.uint32], NDArray[np.uint16]]:
    """Devices, uint32, ascending, and how many minutes each was present, uint16; both shape (devices,).

    Raises: DamagedData: the file is no presence block.
    """
    try:
        table = open_parquet(file).read(columns=["device", "minutes"], use_threads=False)
        return table.column("device").to_numpy(), table.column("minutes").to_numpy()
    except (pa.ArrowException, OSError, KeyError) as error:
        raise unreadable("a presence block", error) from error
