"""The Parquet layout of reception gaps: gaps that ended in one UTC day, sorted by device and start.

device               uint32
start, end           timestamp[ns, UTC], received_at before and after; start 1970-01-01: nothing had ever been received
interval_s, grace_s  uint32, the device's heartbeat policy when the gap ended

A day may have several such files: each checkpoint writes one of the gaps that have ended since the checkpoint before,
and compaction merges the files of a day into a sequence of files, each of a range of devices. The row groups are small,
so that those of one device are read quickly. Only the devices have statistics, which make most of a footer.
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from typing import BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from fleetpulse.blocks.columns import TIME, Column, time_column
from fleetpulse.model.reception_gaps import NO_GAPS, ReceptionGapColumns, join_gaps

INDEXED = ("device",)
COLUMNS = ("device", "start", "end", "interval_s", "grace_s")
GROUP_ROWS_LOWEST, GROUP_ROWS_HIGHEST, GROUPS_WANTED = 2_048, 8_192, 128
STEM = "silences"
"""With what the names of such files begin: what reception gaps were called once."""
BYTES_A_GAP = 28
"""What a row holds in memory."""
SORTED_ROWS = 131_072
"""Gaps that are sorted at a time, about: sorting takes three times their memory."""
_SCHEMA = pa.schema(
    [("device", pa.uint32()), ("start", TIME), ("end", TIME), ("interval_s", pa.uint32()), ("grace_s", pa.uint32())]
)
# Times are all different, so that a dictionary would hold each of them once more.
_DICTIONARY = ["device", "interval_s", "grace_s"]


def sort_gaps(gaps: ReceptionGapColumns) -> ReceptionGapColumns:
    """The same gaps by device and start."""
    return gaps.where(np.lexsort((gaps.start_ns, gaps.devices)))


def sorted_pieces(pieces: Sequence[ReceptionGapColumns], *, rows: int = SORTED_ROWS) -> Iterator[ReceptionGapColumns]:
    """All gaps by device and start, a range of devices at a time, from pieces in any order, which are not joined.

    Args: rows: about how many gaps are sorted at a time; more where one device has more.
    """
    last = max((int(piece.devices.max()) for piece in pieces if len(piece)), default=-1)
    counts = np.zeros(last + 1, np.int64)
    for piece in pieces:
        counts += np.bincount(piece.devices, minlength=last + 1)
    ends = np.cumsum(counts)
    total = int(ends[-1]) if len(ends) else 0
    cuts = np.searchsorted(ends, np.arange(rows, total, rows)) + 1
    for start, end in pairwise([0, *np.unique(cuts).tolist(), last + 2]):
        chosen = (piece.where((piece.devices >= start) & (piece.devices < end)) for piece in pieces)
        gaps = sort_gaps(join_gaps([piece for piece in chosen if len(piece)] or [NO_GAPS]))
        if len(gaps):
            yield gaps


def write_gaps(file: BinaryIO, pieces: Iterable[ReceptionGapColumns], *, rows: int) -> None:
    """Write pieces, each sorted by device and start, and each after the one before it; `rows`: how many they hold."""
    group_rows = min(max(rows // GROUPS_WANTED, GROUP_ROWS_LOWEST), GROUP_ROWS_HIGHEST)
    with pq.ParquetWriter(
        file,
        _SCHEMA,
        compression="zstd",
        write_page_checksum=True,
        use_dictionary=_DICTIONARY,
        write_statistics=list(INDEXED),
    ) as writer:
        for piece in whole_groups(pieces, group_rows):
            columns = [
                pa.array(piece.devices),
                time_column(piece.start_ns),
                time_column(piece.end_ns),
                pa.array(piece.interval_s),
                pa.array(piece.grace_s),
            ]
            writer.write_table(pa.table(columns, schema=_SCHEMA), row_group_size=group_rows)


def whole_groups(pieces: Iterable[ReceptionGapColumns], group_rows: int) -> Iterator[ReceptionGapColumns]:
    """The same rows in pieces whose lengths are multiples of `group_rows`, the last aside.

    So a file depends on its rows and not on the pieces in which they come.
    """
    waiting: list[ReceptionGapColumns] = []
    for piece in pieces:
        waiting.append(piece)
        count = sum(map(len, waiting))
        if count >= group_rows:
            joined = join_gaps(waiting)
            whole = count // group_rows * group_rows
            yield joined.where(slice(0, whole))
            waiting = [joined.where(slice(whole, count))]
    if any(map(len, waiting)):
        yield join_gaps(waiting)


def gap_rows(columns: dict[str, Column]) -> ReceptionGapColumns:
    """The reception gaps of a row group, from its columns by name."""
    return ReceptionGapColumns(
        columns["device"], columns["start"], columns["end"], columns["interval_s"], columns["grace_s"]
    )


def of_devices(gaps: ReceptionGapColumns, devices: range) -> ReceptionGapColumns:
    """Those of sorted gaps that are about devices of a range of neighbouring numbers."""
    # Of the column's own type, or all of it would be converted to search it.
    first, last = np.searchsorted(gaps.devices, np.array([devices.start, devices.stop], np.uint32)).tolist()
    return gaps.where(slice(first, last))


def merge_gaps(files: Sequence[Iterable[ReceptionGapColumns]]) -> Iterator[ReceptionGapColumns]:
    """The rows of several files, each given as pieces in its order, as pieces in one order, by device and start.

    Of each file only one piece is in memory at a time. Where rows are equal in both, those of the earlier file are
    first.
    """
    cursors = [cursor for file in files if (cursor := _Cursor(iter(file))).has_rows]
    while cursors:
        if len(cursors) == 1:
            yield cursors[0].take_all()
        else:
            # Up to the least of the last rows no file has a row that is not in memory.
            bound = min(cursor.last for cursor in cursors)
            taken = [rows for cursor in cursors if len(rows := cursor.take_through(*bound))]
            yield taken[0] if len(taken) == 1 else sort_gaps(join_gaps(taken))
        cursors = [cursor for cursor in cursors if cursor.has_rows]


class _Cursor:
    """The next rows of a sorted file: `rows` are some as long as there are any."""

    def __init__(self, pieces: Iterator[ReceptionGapColumns]) -> None:
        self._pieces = pieces
        self.rows = NO_GAPS
        self._fill()

    def _fill(self) -> None:
        while not len(self.rows):
            piece = next(self._pieces, None)
            if piece is None:
                return
            self.rows = piece

    @property
    def has_rows(self) -> bool:
        """Whether there are any left."""
        return bool(len(self.rows))

    @property
    def last(self) -> tuple[int, int]:
        """Device and start of the last row in memory."""
        return int(self.rows.devices[-1]), int(self.rows.start_ns[-1])

    def take_all(self) -> ReceptionGapColumns:
        """All rows in memory."""
        return self._take(len(self.rows))

    def take_through(self, device: int, start_ns: int) -> ReceptionGapColumns:
        """The rows in memory that do not come after a device and start."""
        first, end = np.searchsorted(self.rows.devices, np.array([device, device + 1], np.uint64)).tolist()
        return self._take(first + int(np.searchsorted(self.rows.start_ns[first:end], start_ns, "right")))

    def _take(self, count: int) -> ReceptionGapColumns:
        taken, self.rows = self.rows.where(slice(0, count)), self.rows.where(slice(count, None))
        self._fill()
        return taken
