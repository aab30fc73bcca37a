"""The Parquet layouts of gaps, and of what late beats cover: spans of time of devices, sorted by device and start.

device               uint32
start, end           timestamp[ns, UTC]: received_at before and after a reception gap (start 1970-01-01: nothing had
                     ever been received), or sent_at of the beats at both ends of a beat gap, or of a backfill
interval_s, grace_s  uint32, of reception gaps alone: the device's heartbeat policy when the gap ended

Gaps are in files of the UTC day in which they ended. A day may have several such files: each checkpoint writes one of
the gaps that have ended since the checkpoint before, and compaction merges the files of a day into a sequence of files,
each of a range of devices. The row groups are small, so that those of one device are read quickly. Only the devices
have statistics, which make most of a footer.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import BinaryIO, Generic, Literal

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from fleetpulse.blocks.columns import TIME, Column, time_column
from fleetpulse.model.columns import join_columns
from fleetpulse.model.device_spans import NO_SPANS_OF_DEVICES, Spans, sort_device_spans
from fleetpulse.model.reception_gaps import NO_GAPS

INDEXED = ("device",)
GROUP_ROWS_LOWEST, GROUP_ROWS_HIGHEST, GROUPS_WANTED = 2_048, 8_192, 128
SORTED_ROWS = 131_072
"""Rows that are sorted at a time, about: sorting takes three times their memory."""
_TYPES = {"device": pa.uint32(), "start": TIME, "end": TIME, "interval_s": pa.uint32(), "grace_s": pa.uint32()}


GapField = Literal["gaps", "beat_gaps", "covers"]


@dataclass(frozen=True, slots=True)
class GapLayout(Generic[Spans]):
    """What a kind of file of gaps holds: the columns, in the order of the fields of `empty`, which has no rows."""

    stem: str
    """With what the names of such files begin."""
    empty: Spans
    columns: tuple[str, ...]
    field: GapField = "gaps"
    """The field of the manifest that has the files by day; of no meaning for backfill."""

    @property
    def row_bytes(self) -> int:
        """What a row holds in memory."""
        return 4 * len(self.columns) + 8  # times have eight bytes, all else has four

    def rows(self, columns: dict[str, Column]) -> Spans:
        """The rows of a row group, from its columns by name."""
        return type(self.empty)(*(columns[name] for name in self.columns))

    def join(self, pieces: Sequence[Spans]) -> Spans:
        """All pieces as one, in order. A single piece is not copied."""
        return join_columns(pieces, self.empty)

    def table(self, rows: Spans) -> pa.Table:
        """Rows as they are written."""
        values = {"device": rows.devices, "start": time_column(rows.start_ns), "end": time_column(rows.end_ns)}
        columns = [pa.array(values[name] if name in values else getattr(rows, name)) for name in self.columns]
        return pa.table(columns, schema=self.schema)

    @property
    def schema(self) -> pa.Schema:
        """The types of the columns."""
        return pa.schema([(name, _TYPES[name]) for name in self.columns])


_SPAN = ("device", "start", "end")
RECEPTION = GapLayout("silences", NO_GAPS, (*_SPAN, "interval_s", "grace_s"))
"""Reception gaps; their files bear the name that they had once."""
BEATS = GapLayout("gaps", NO_SPANS_OF_DEVICES, _SPAN, "beat_gaps")
"""Beat gaps."""
COVERS = GapLayout("covers", NO_SPANS_OF_DEVICES, _SPAN, "covers")
"""What late beats cover of the beat gaps in the files of a day."""
BACKFILL = GapLayout("backfill", NO_SPANS_OF_DEVICES, _SPAN)
"""What late beats cover of beat gaps in files of any days."""


def sorted_pieces(layout: GapLayout[Spans], pieces: Sequence[Spans], *, rows: int = SORTED_ROWS) -> Iterator[Spans]:
    """All rows by device and start, a range of devices at a time, from pieces in any order, which are not joined.

    Args: rows: about how many rows are sorted at a time; more where one device has more.
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
        found = sort_device_spans(layout.join([piece for piece in chosen if len(piece)]))
        if len(found):
            yield found


def write_gaps(file: BinaryIO, layout: GapLayout[Spans], pieces: Iterable[Spans], *, rows: int) -> None:
    """Write pieces, each sorted by device and start, and each after the one before it; `rows`: how many they hold."""
    group_rows = min(max(rows // GROUPS_WANTED, GROUP_ROWS_LOWEST), GROUP_ROWS_HIGHEST)
    with pq.ParquetWriter(
        file,
        layout.schema,
        compression="zstd",
        write_page_checksum=True,
        # Times are all different, so that a dictionary would hold each of them once more.
        use_dictionary=[name for name in layout.columns if _TYPES[name] != TIME],
        write_statistics=list(INDEXED),
    ) as writer:
        for piece in whole_groups(layout, pieces, group_rows):
            writer.write_table(layout.table(piece), row_group_size=group_rows)


def whole_groups(layout: GapLayout[Spans], pieces: Iterable[Spans], group_rows: int) -> Iterator[Spans]:
    """The same rows in pieces whose lengths are multiples of `group_rows`, the last aside.

    So a file depends on its rows and not on the pieces in which they come.
    """
    waiting: list[Spans] = []
    for piece in pieces:
        waiting.append(piece)
        count = sum(map(len, waiting))
        if count >= group_rows:
            joined = layout.join(waiting)
            whole = count // group_rows * group_rows
            yield joined.where(slice(0, whole))
            waiting = [joined.where(slice(whole, count))]
    if any(map(len, waiting)):
        yield layout.join(waiting)


def of_devices(gaps: Spans, devices: range) -> Spans:
    """Those of sorted rows that are about devices of a range of neighbouring numbers."""
    # Of the column's own type, or all of it would be converted to search it.
    first, last = np.searchsorted(gaps.devices, np.array([devices.start, devices.stop], np.uint32)).tolist()
    return gaps.where(slice(first, last))


def merge_gaps(layout: GapLayout[Spans], files: Sequence[Iterable[Spans]]) -> Iterator[Spans]:
    """The rows of several files, each given as pieces in its order, as pieces in one order, by device and start.

    Of each file only one piece is in memory at a time. Where rows are equal in both, those of the earlier file are
    first.
    """
    cursors = [cursor for file in files if (cursor := _Cursor(iter(file), layout.empty)).has_rows]
    while cursors:
        if len(cursors) == 1:
            yield cursors[0].take_all()
        else:
            # Up to the least of the last rows no file has a row that is not in memory.
            bound = min(cursor.last for cursor in cursors)
            taken = [rows for cursor in cursors if len(rows := cursor.take_through(*bound))]
            yield taken[0] if len(taken) == 1 else sort_device_spans(layout.join(taken))
        cursors = [cursor for cursor in cursors if cursor.has_rows]


class _Cursor(Generic[Spans]):
    """The next rows of a sorted file: `rows` are some as long as there are any."""

    def __init__(self, pieces: Iterator[Spans], empty: Spans) -> None:
        self._pieces = pieces
        self.rows = empty
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

    def take_all(self) -> Spans:
        """All rows in memory."""
        return self._take(len(self.rows))

    def take_through(self, device: int, start_ns: int) -> Spans:
        """The rows in memory that do not come after a device and start."""
        first, end = np.searchsorted(self.rows.devices, np.array([device, device + 1], np.uint64)).tolist()
        return self._take(first + int(np.searchsorted(self.rows.start_ns[first:end], start_ns, "right")))

    def _take(self, count: int) -> Spans:
        taken, self.rows = self.rows.where(slice(0, count)), self.rows.where(slice(count, None))
        self._fill()
        return taken
