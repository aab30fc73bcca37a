"""The Parquet layout of a late block: presence that came in for days that were closed before, of any days.

    day      int32        days since 1970-01-01 UTC
    device   uint32
    present  binary(180)  bit m % 8 of byte m // 8: a heartbeat or report was sent in minute m

A late block is two files of the same rows, each (day, device) once: `late-days-…` is sorted by day and device, so that
a day of all devices is found; `late-devices-…` is sorted by device and day, so that all days of one device are. A row
group is small, and its statistics tell which days and devices it holds.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import BinaryIO, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from fleetpulse.aggregate.presence import BYTES_PER_DAY, WORDS_PER_DAY, Rows, from_bytes, to_bytes
from fleetpulse.blocks.columns import Footer, open_parquet
from fleetpulse.blocks.presence import packed_rows
from fleetpulse.storage_causes import unreadable

INDEXED = ("day", "device")
BY_DAY, BY_DEVICE = "late-days", "late-devices"
"""How the names of the two files begin."""
ROW_GROUP_ROWS = 2_048
WRITTEN_AT_ONCE = 16_384
_LATE = pa.schema([("day", pa.int32()), ("device", pa.uint32()), ("present", pa.binary(BYTES_PER_DAY))])


class LateRows(NamedTuple):
    """Rows of presence of any days: `days` int32 and `devices` uint32, shape (n,); `rows` uint64, shape (n, 23)."""

    days: NDArray[np.int32]
    devices: NDArray[np.uint32]
    rows: Rows

    def where(self, chosen: NDArray[np.int64] | NDArray[np.bool_] | slice) -> "LateRows":
        """The chosen rows in their order, by places (int64, shape (rows,)), truths (bool, shape (n,)) or a slice."""
        return LateRows(self.days[chosen], self.devices[chosen], self.rows[chosen])


def join_late(pieces: Sequence[LateRows]) -> LateRows:
    """The rows of all pieces, one piece after the other."""
    if not pieces:
        return LateRows(np.zeros(0, np.int32), np.zeros(0, np.uint32), np.zeros((0, WORDS_PER_DAY), np.uint64))
    return LateRows(*(np.concatenate(columns) for columns in zip(*pieces, strict=True)))


def distinct_late(late: LateRows) -> LateRows:
    """The same minutes with each (day, device) once; as it is, where it is so already."""
    order = np.lexsort((late.devices, late.days))
    days, devices = late.days[order], late.devices[order]
    is_first = np.ones(len(order), bool)
    is_first[1:] = (days[1:] != days[:-1]) | (devices[1:] != devices[:-1])
    if is_first.all():
        return late
    starts = np.flatnonzero(is_first)
    return LateRows(days[starts], devices[starts], np.bitwise_or.reduceat(late.rows[order], starts, axis=0))


def write_late(file: BinaryIO, late: LateRows, *, is_by_day: bool, pause: Callable[[], None]) -> None:
    """Write rows that are given in any order, each (day, device) once, as the file of one order.

    `pause` is called between pieces.
    """
    order = np.lexsort((late.devices, late.days) if is_by_day else (late.days, late.devices))
    starts = range(0, len(order), WRITTEN_AT_ONCE)
    write_late_pieces(file, (late.where(order[start : start + WRITTEN_AT_ONCE]) for start in starts), pause=pause)


def write_late_pieces(file: BinaryIO, pieces: Iterable[LateRows], *, pause: Callable[[], None]) -> None:
    """Write pieces of WRITTEN_AT_ONCE rows, the last one aside, in the order of the file, each (day, device) once.

    `pause` is called between them.
    """
    with pq.ParquetWriter(file, _LATE, compression="zstd", write_page_checksum=True) as writer:
        for part in pieces:
            packed = pa.FixedSizeBinaryArray.from_buffers(
                pa.binary(BYTES_PER_DAY), len(part.rows), [None, pa.py_buffer(to_bytes(part.rows))]
            )
            table = pa.table([pa.array(part.days), pa.array(part.devices), packed], schema=_LATE)
            writer.write_table(table, row_group_size=ROW_GROUP_ROWS)
            pause()


def read_late(file: BinaryIO, name: str, footer: Footer, groups: Sequence[int]) -> Iterator[LateRows]:
    """Row groups of the file `name`, one at a time. Raises: DamagedData: a page is not as it was written."""
    try:
        parquet = open_parquet(file, metadata=footer.metadata)
        for group in groups:
            table = parquet.read_row_group(group, use_threads=False)
            yield LateRows(
                table.column("day").to_numpy(), table.column("device").to_numpy(), from_bytes(packed_rows(table))
            )
    except (pa.ArrowException, OSError, KeyError, AttributeError) as error:
        raise unreadable(f"block {name}", error) from error
