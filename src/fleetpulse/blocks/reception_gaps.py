"""The Parquet layout of reception gaps: those that ended in one UTC day, sorted by device and start.

device               uint32
start, end           timestamp[ns, UTC], received_at before and after; start 1970-01-01: nothing had ever been received
interval_s, grace_s  uint32, the device's heartbeat policy when the gap ended
"""

from collections.abc import Iterable
from typing import BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from fleetpulse.blocks.columns import TIME, Column, time_column
from fleetpulse.model.reception_gaps import ReceptionGapColumns

INDEXED = ("device",)
COLUMNS = ("device", "start", "end", "interval_s", "grace_s")
ROW_GROUP_ROWS = 65_536
BYTES_A_GAP = 28
"""What a row holds in memory."""
_SCHEMA = pa.schema(
    [("device", pa.uint32()), ("start", TIME), ("end", TIME), ("interval_s", pa.uint32()), ("grace_s", pa.uint32())]
)


def sort_gaps(gaps: ReceptionGapColumns) -> ReceptionGapColumns:
    """The same gaps by device and start."""
    return gaps.where(np.lexsort((gaps.start_ns, gaps.devices)))


def write_gaps(file: BinaryIO, pieces: Iterable[ReceptionGapColumns]) -> None:
    """Write pieces, each sorted by device and start, and each after the one before it."""
    with pq.ParquetWriter(file, _SCHEMA, compression="zstd", write_page_checksum=True) as writer:
        for piece in pieces:
            columns = [
                pa.array(piece.devices),
                time_column(piece.start_ns),
                time_column(piece.end_ns),
                pa.array(piece.interval_s),
                pa.array(piece.grace_s),
            ]
            writer.write_table(pa.table(columns, schema=_SCHEMA), row_group_size=ROW_GROUP_ROWS)


def gap_rows(columns: dict[str, Column]) -> ReceptionGapColumns:
    """The reception gaps of a row group, from its columns by name."""
    return ReceptionGapColumns(
        columns["device"], columns["start"], columns["end"], columns["interval_s"], columns["grace_s"]
    )
