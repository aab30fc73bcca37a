"""The Parquet layout of the snapshot: the live columns of a checkpoint, one row a device, by number.

first_sent_ns, last_sent_ns  int64, the first and the last beat; NO_FIRST_NS and NO_LAST_NS where there is none
gap_until_ns                 int64, end of the latest gap between beats, 0 where there is none
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
from fleetpulse.model.device_spans import NO_FIRST_NS, NO_LAST_NS
from fleetpulse.model.forgotten import NO_MINUTE
from fleetpulse.model.units import NS_PER_MINUTE
from fleetpulse.storage_causes import unreadable

ROW_GROUP_DEVICES = 131_072
SNAPSHOT_COLUMNS = {
    "first_sent_ns": np.int64,
    "last_sent_ns": np.int64,
    "gap_until_ns": np.int64,
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
        if "first_sent_ns" not in found:
            minutes = [
                found[name].to_numpy().astype(np.int64) if name in found else absent
                for name in ("first_minute", "last_minute")
            ]
            columns |= _sent_of_minutes(*minutes)
        return {name: columns[name].astype(dtype, copy=False) for name, dtype in SNAPSHOT_COLUMNS.items()}
    except (pa.ArrowException, OSError, KeyError) as error:
        raise unreadable("the snapshot", error) from error


def _sent_of_minutes(first_minute: NDArray[np.int64], last_minute: NDArray[np.int64]) -> dict[str, NDArray[np.int64]]:
    """The first and the last beat, of which earlier versions knew the minutes: no gap may be longer than it was."""
    is_known = first_minute != NO_MINUTE
    return {
        "first_sent_ns": np.where(is_known, first_minute * NS_PER_MINUTE, NO_FIRST_NS),
        "last_sent_ns": np.where(is_known, (last_minute + 1) * NS_PER_MINUTE - 1, NO_LAST_NS),
    }
