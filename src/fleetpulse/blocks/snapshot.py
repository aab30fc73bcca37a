"""The Parquet layout of the snapshot: the live columns of a checkpoint, one row a device, by number.

first_minute, last_minute    int32, minutes since 1970
last_received_ns             int64
up_since_ns                  int64, end of the last reception gap
closed_minutes               int32, minutes present that the blocks of closed days hold
heartbeats                   uint32
uploads, other_samples       int64
upload_high, upload_low      int64, sum = high · 2³² + low
latest_upload_ns             int64, the latest sent_at of an upload time, 0 where there is none
latest_sample_ns             int64, the same of all other metrics
"""

from collections.abc import Mapping
from typing import BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from fleetpulse.blocks.columns import open_parquet
from fleetpulse.storage_causes import unreadable

ROW_GROUP_DEVICES = 131_072
SNAPSHOT_COLUMNS = {
    "first_minute": np.int32,
    "last_minute": np.int32,
    "last_received_ns": np.int64,
    "up_since_ns": np.int64,
    "closed_minutes": np.int32,
    "heartbeats": np.uint32,
    "uploads": np.int64,
    "other_samples": np.int64,
    "upload_high": np.int64,
    "upload_low": np.int64,
    "latest_upload_ns": np.int64,
    "latest_sample_ns": np.int64,
}
_FORMER_NAMES = {"samples": "uploads"}


def write_snapshot(file: BinaryIO, columns: Mapping[str, NDArray[np.generic]]) -> None:
    """Write the columns of SNAPSHOT_COLUMNS, each of shape (devices,), with the dtypes given there."""
    table = pa.table(
        {name: pa.array(columns[name].astype(dtype, copy=False)) for name, dtype in SNAPSHOT_COLUMNS.items()}
    )
    pq.write_table(table, file, compression="zstd", row_group_size=ROW_GROUP_DEVICES, write_page_checksum=True)


def read_snapshot(file: BinaryIO) -> dict[str, NDArray[np.generic]]:
    """The columns of SNAPSHOT_COLUMNS, of its dtypes, shape (devices,). Raises: DamagedData: it is no snapshot."""
    try:
        table = open_parquet(file).read(use_threads=False)
        # Before there were metrics, snapshots called uploads `samples`; the columns that they lack were zero then.
        names = [_FORMER_NAMES.get(name, name) for name in table.column_names]
        found = dict(zip(names, table.columns, strict=True))
        absent = np.zeros(table.num_rows, np.int64)
        columns = {name: found[name].to_numpy() if name in found else absent for name in SNAPSHOT_COLUMNS}
        return {name: columns[name].astype(dtype, copy=False) for name, dtype in SNAPSHOT_COLUMNS.items()}
    except (pa.ArrowException, OSError, KeyError) as error:
        raise unreadable("the snapshot", error) from error
