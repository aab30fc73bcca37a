"""The Parquet layouts of samples and roll-ups, both sorted by metric, device, time.

    samples                                          roll-up of a minute, an hour or a day
    metric   uint16                                  metric, device, at     as beside; at is the start of the bucket
    device   uint32                                  count                  int64
    at       timestamp[ns, UTC], the sent_at         sum, sum_low           double: the rounded sum, what it is off
    value    double, or of integers int64            sum_rest               list of double: what both are off; see
                                                                            aggregate/sum_parts.py; or of integers:
                                                     sum_high, sum_low      int64, sum = high · 2³² + low
                                                     lowest, highest, last  as value
                                                     last_at                timestamp[ns, UTC]
                                                     sketch_keys            list of int32, ascending: log buckets, see
                                                     sketch_counts          list of int64      aggregate/sketch.py

Files of earlier versions lack `sum_low` and `sum_rest`: their sums are taken as exact. Almost all lists of `sum_rest`
are empty, and a row group in which all are is read without them, since lists take the longest to read.

A row group holds one metric only, and of it a range of devices. Metrics of kind float and of kind integer have files of
their own.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from fleetpulse.aggregate.exact_sums import ExactSums, high_and_low, no_sums
from fleetpulse.aggregate.rollup import ALL_PARTS, CellPart, Cells, cut_cells
from fleetpulse.aggregate.runs import run_bounds
from fleetpulse.aggregate.sketch import Sketches
from fleetpulse.aggregate.sum_parts import join_others, split_others, sum_parts, sums_of_parts
from fleetpulse.blocks.columns import TIME, Column, Footer, time_column
from fleetpulse.model.metric import Kind
from fleetpulse.model.samples import SampleColumns

INDEXED = ("metric", "device", "at")
DEVICES_MAX = 2**32
"""Device numbers are below it."""
ROW_GROUP_SAMPLES = 65_536
ROW_GROUP_CELLS = 8_192
QUICK, DENSE = 3, 6
"""Levels of zstd: for files that are soon replaced, and for files that stay.

Dense takes half as long again to write, and less time to read.
"""
SAMPLE_COLUMNS = ("device", "at", "value")
_ARROW = {"float": pa.float64(), "integer": pa.int64()}
_KEY: list[tuple[str, Any]] = [("metric", pa.uint16()), ("device", pa.uint32()), ("at", TIME)]


@dataclass(frozen=True, slots=True)
class RollupRows:
    """Cells of one metric, each with its device and the start of its bucket in ns since 1970, shape (cells,)."""

    metric: int
    devices: NDArray[np.uint32]
    at_ns: NDArray[np.int64]
    cells: Cells

    def __len__(self) -> int:
        return len(self.devices)

    def cut(self, start: int, end: int) -> "RollupRows":
        """Rows [start, end), without a copy."""
        return RollupRows(
            self.metric, self.devices[start:end], self.at_ns[start:end], cut_cells(self.cells, start, end)
        )


@dataclass(frozen=True, slots=True)
class RowRange:
    """Rows of devices [start_device, end_device) at times [start_ns, end_ns)."""

    start_ns: int
    end_ns: int
    start_device: int = 0
    end_device: int = DEVICES_MAX

    def groups(self, footer: Footer, metric: int) -> list[int]:
        """The row groups of a file that may hold rows of a metric in this range, ascending."""
        least, greatest = footer.least, footer.greatest
        is_wanted = (least["metric"] == metric) & (least["at"] < self.end_ns) & (greatest["at"] >= self.start_ns)
        is_wanted &= (least["device"] < self.end_device) & (greatest["device"] >= self.start_device)
        return np.flatnonzero(is_wanted).tolist()


def sort_samples(samples: SampleColumns) -> SampleColumns:
    """The same samples by metric, device, time."""
    return samples.where(np.lexsort((samples.at_ns, samples.devices, samples.metrics)))


def write_samples(file: BinaryIO, kind: Kind, pieces: Iterable[SampleColumns], *, level: int = QUICK) -> None:
    """Write pieces, each sorted by metric, device and time, and each after the one before it.

    Measured on values that walk by tenths, a minute apart and up to 50 ms off it in whole ms: 4.4 bytes a sample
    (DENSE: 3.8), read at 1 ms a row group.
    """
    schema = pa.schema([*_KEY, ("value", _ARROW[kind])])
    # Times and devices of a sorted file differ little from row to row. Devices report rounded floats, so values repeat
    # and a dictionary pays; its limit keeps it from outgrowing the values where they do not. Integers differ in their
    # low bytes.
    options: dict[str, Any] = {
        "use_dictionary": ["metric"] if kind == "integer" else ["metric", "value"],
        "dictionary_pagesize_limit": 65_536,
        "column_encoding": {"device": "DELTA_BINARY_PACKED", "at": "DELTA_BINARY_PACKED"}
        | ({"value": "BYTE_STREAM_SPLIT"} if kind == "integer" else {}),
    }
    with pq.ParquetWriter(
        file, schema, compression="zstd", compression_level=level, write_page_checksum=True, **options
    ) as writer:
        for piece in pieces:
            for start, end in run_bounds(piece.metrics, rows_max=ROW_GROUP_SAMPLES):
                values = piece.values[start:end]
                columns = [
                    pa.array(piece.metrics[start:end]),
                    pa.array(piece.devices[start:end]),
                    time_column(piece.at_ns[start:end]),
                    pa.array(values.view(np.float64) if kind == "float" else values),
                ]
                writer.write_table(pa.table(columns, schema=schema), row_group_size=ROW_GROUP_SAMPLES)


def sample_rows(columns: dict[str, Column], metric: int) -> SampleColumns:
    """The samples of a row group of one metric, from its columns by name.

    Values are the 64 bits of either kind, as int64.
    """
    devices = columns["device"]
    values = columns["value"].view(np.int64)
    return SampleColumns(devices, np.broadcast_to(np.uint16(metric), len(devices)), columns["at"], values)


def rollup_columns(kind: Kind, parts: Sequence[CellPart] = ALL_PARTS) -> Sequence[str]:
    """The columns of a roll-up to read for some parts of its cells."""
    columns: dict[CellPart, tuple[str, ...]] = {
        "sums": ("sum_high", "sum_low") if kind == "integer" else ("sum", "sum_low", "sum_rest"),
        "lowest": ("lowest",),
        "highest": ("highest",),
        "last": ("last", "last_at"),
        "sketches": ("sketch_keys", "sketch_counts"),
    }
    return ("device", "at", "count", *(column for part in parts for column in columns[part]))


def write_rollup(file: BinaryIO, kind: Kind, pieces: Iterable[RollupRows]) -> None:
    """Write pieces of cells with sketches.

    Each is of one metric and sorted by device and time, and each follows the one before it in the order of the file.
    """
    value = _ARROW[kind]
    sums = (
        [("sum_high", pa.int64()), ("sum_low", pa.int64())]
        if kind == "integer"
        else [("sum", pa.float64()), ("sum_low", pa.float64()), ("sum_rest", pa.list_(pa.float64()))]
    )
    rest = [("lowest", value), ("highest", value), ("last", value), ("last_at", TIME)]
    lists = [("sketch_keys", pa.list_(pa.int32())), ("sketch_counts", pa.list_(pa.int64()))]
    schema = pa.schema([*_KEY, ("count", pa.int64()), *sums, *rest, *lists])
    with pq.ParquetWriter(file, schema, compression="zstd", write_page_checksum=True) as writer:
        for piece in pieces:
            for start in range(0, len(piece), ROW_GROUP_CELLS):
                writer.write_table(
                    _rollup_table(piece, slice(start, start + ROW_GROUP_CELLS), kind, schema),
                    row_group_size=ROW_GROUP_CELLS,
                )


def _rollup_table(piece: RollupRows, part: slice, kind: Kind, schema: Any) -> Any:
    cells, devices = piece.cells, piece.devices[part]
    assert cells.sketches is not None, "roll-ups are written with their sketches"
    offsets = cells.sketches.offsets[part.start : part.start + len(devices) + 1]
    first, last = int(offsets[0]), int(offsets[-1])
    places = pa.array((offsets - first).astype(np.int32))
    return pa.table(
        [
            pa.array(np.full(len(devices), piece.metric, np.uint16)),
            pa.array(devices),
            time_column(np.ascontiguousarray(piece.at_ns[part])),
            pa.array(cells.counts[part]),
            *_sum_columns(cells.sums.cut(part.start, part.start + len(devices)), kind),
            pa.array(cells.lowest[part]),
            pa.array(cells.highest[part]),
            pa.array(cells.last[part]),
            time_column(np.ascontiguousarray(cells.last_at_ns[part])),
            pa.ListArray.from_arrays(places, pa.array(cells.sketches.keys[first:last])),
            pa.ListArray.from_arrays(places, pa.array(cells.sketches.counts[first:last])),
        ],
        schema=schema,
    )


def _sum_columns(sums: ExactSums, kind: Kind) -> list[Any]:
    if kind == "integer":
        high, low = high_and_low(sums)
        return [pa.array(high), pa.array(low)]
    first, offsets, others = sum_parts(sums)
    second, rest_offsets, rest = split_others(offsets, others)
    lists = pa.ListArray.from_arrays(pa.array(rest_offsets.astype(np.int32)), pa.array(rest))
    return [pa.array(first), pa.array(second), lists]


def _sums(columns: dict[str, Column], kind: Kind) -> ExactSums:
    count = len(columns["device"])
    if kind == "integer" and "sum_low" in columns:
        return ExactSums(np.array([columns["sum_low"], columns["sum_high"]]), 0)
    if kind == "float" and "sum" in columns:
        offsets = columns.get("sum_rest.offsets", np.zeros(count + 1, np.int64))
        low, rest = columns.get("sum_low", np.zeros(count)), columns.get("sum_rest.values", np.zeros(0))
        return sums_of_parts(columns["sum"], *join_others(low, offsets, rest))
    return no_sums(count)


def rollup_rows(columns: dict[str, Column], metric: int, kind: Kind) -> RollupRows:
    """The cells of a row group of one metric, from its columns by name; columns that were not read are zeros."""
    count = len(columns["device"])
    absent = np.broadcast_to(np.int64(0) if kind == "integer" else np.float64(0), count)
    sketches = None
    if "sketch_keys.offsets" in columns:
        sketches = Sketches(
            columns["sketch_keys.offsets"], columns["sketch_keys.values"], columns["sketch_counts.values"]
        )
    lowest, highest, last = (columns.get(name, absent) for name in ("lowest", "highest", "last"))
    last_at_ns = columns.get("last_at", np.broadcast_to(np.int64(0), count))
    cells = Cells(columns["count"], _sums(columns, kind), lowest, highest, last, last_at_ns, sketches)
    return RollupRows(metric, columns["device"], columns["at"], cells)
