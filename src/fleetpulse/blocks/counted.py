"""The Parquet layout of the file `counted`: minutes that compaction has added to closed days since the snapshot.

    device   uint32
    minutes  int32    to be added to the column `closed_minutes` of the snapshot

Compaction merges late presence into days, which the snapshot has not counted. It writes this file anew each time, since
a snapshot is large; the next checkpoint writes a snapshot that counts all, and no such file. A file that is lost is
counted anew from the blocks of the days.
"""

from typing import BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from fleetpulse.blocks.columns import open_parquet
from fleetpulse.blocks.history import History
from fleetpulse.model.manifest import Manifest, closed_days
from fleetpulse.storage_causes import unreadable

Minutes = tuple[NDArray[np.uint32], NDArray[np.int32]]
"""Numbers of devices, ascending, and minutes, both shape (devices,)."""
STEM = "counted"


def no_minutes() -> Minutes:
    """Of no device."""
    return np.zeros(0, np.uint32), np.zeros(0, np.int32)


def add_minutes(first: Minutes, second: Minutes) -> Minutes:
    """The sums of both, by device."""
    devices, places = np.unique(np.concatenate([first[0], second[0]]), return_inverse=True)
    minutes = np.zeros(len(devices), np.int32)
    np.add.at(minutes, places, np.concatenate([first[1], second[1]]))
    return devices, minutes


def write_counted(file: BinaryIO, counted: Minutes) -> None:
    """Write minutes by device."""
    devices, minutes = counted
    table = pa.table({"device": pa.array(devices, pa.uint32()), "minutes": pa.array(minutes, pa.int32())})
    pq.write_table(table, file, compression="zstd", write_page_checksum=True)


def read_counted(history: History, manifest: Manifest) -> Minutes:
    """The minutes that a manifest counts beside its snapshot. Raises: DamagedData."""
    if manifest.counted is None:
        return no_minutes()
    with history.opened_whole(manifest.counted) as file:
        try:
            table = open_parquet(file).read(columns=["device", "minutes"], use_threads=False)
            return table.column("device").to_numpy(), table.column("minutes").to_numpy()
        except (pa.ArrowException, OSError, KeyError) as error:
            raise unreadable(f"block {manifest.counted.name}", error) from error


def recount(history: History, manifest: Manifest, closed_minutes: NDArray[np.int32]) -> Minutes:
    """What the file holds, by the blocks of closed days.

    Args: closed_minutes: of the snapshot, int32, shape (devices,).
    Raises: DamagedData: one of these blocks cannot be read, either.
    """
    more = -closed_minutes.astype(np.int64)
    for day in closed_days(manifest):
        devices, minutes = history.minutes(day, manifest=manifest)
        if len(devices) and int(devices[-1]) >= len(more):  # of devices that are newer than the snapshot
            more = np.concatenate([more, np.zeros(int(devices[-1]) + 1 - len(more), np.int64)])
        more[devices] += minutes
    changed = np.flatnonzero(more)
    return changed.astype(np.uint32), more[changed].astype(np.int32)
