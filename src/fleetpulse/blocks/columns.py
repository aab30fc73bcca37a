"""Columns of a Parquet file as numpy arrays: what all layouts share.

A footer is parsed once and cached, with the least and greatest value of the sorted columns in every row group, so that
finding a device's rows reads only the row groups that hold them. Pages carry checksums, which are verified as they are
read.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from fleetpulse.blocks.footer_checksum import check_footer
from fleetpulse.storage_causes import unreadable

# Arrow's own pool would keep the memory of a checkpoint for the next one; the system's gives it back.
pa.set_memory_pool(pa.system_memory_pool())
Column = NDArray[Any]
"""Values of any dtype, shape (rows,)."""


@dataclass(frozen=True, slots=True)
class Footer:
    """What a file says of its row groups: how many rows, and of each indexed column the least and greatest value.

    All arrays have the shape (groups,).
    """

    metadata: Any
    columns: frozenset[str]
    """The names of all columns."""
    rows: NDArray[np.int64]
    least: dict[str, NDArray[np.int64]]
    greatest: dict[str, NDArray[np.int64]]
    empty_lists: dict[str, NDArray[np.bool_]]
    """Of list columns: whether all lists of a row group are empty, so that it need not be read."""

    @property
    def size_bytes(self) -> int:
        """About what it holds in memory: parsed, a footer takes 12 times its bytes in the file."""
        return int(self.metadata.serialized_size) * 12


def open_parquet(file: BinaryIO, **options: Any) -> Any:
    """A Parquet file that is read in this thread: reading ahead in other ones takes a small file three times as long.

    The checksums of pages, and of the footer unless it is given as `metadata`, are compared, since a disk may spoil a
    file after it was checked as a whole.

    Raises: pyarrow.ArrowException, OSError: the file cannot be read.
    """
    if "metadata" not in options:
        check_footer(file)
    return pq.ParquetFile(file, pre_buffer=False, page_checksum_verification=True, **options)


def read_footer(file: BinaryIO, name: str, *, indexed: Sequence[str]) -> Footer:
    """Parse the footer of the file `name`, with the statistics of the `indexed` columns. Raises: DamagedData."""
    try:
        metadata = open_parquet(file).metadata
        places = {metadata.schema.column(place).path: place for place in range(metadata.num_columns)}
        groups = [metadata.row_group(group) for group in range(metadata.num_row_groups)]
        statistics = {column: [group.column(places[column]).statistics for group in groups] for column in indexed}
        return Footer(
            metadata,
            frozenset(path.partition(".")[0] for path in places),
            np.array([group.num_rows for group in groups], np.int64),
            {
                column: np.array([_unsigned(column, entry.min_raw) for entry in found], np.int64)
                for column, found in statistics.items()
            },
            {
                column: np.array([_unsigned(column, entry.max_raw) for entry in found], np.int64)
                for column, found in statistics.items()
            },
            {
                path.partition(".")[0]: np.array([_is_empty(group.column(place).statistics) for group in groups], bool)
                for path, place in places.items()
                if "." in path
            },
        )
    except (pa.ArrowException, OSError, KeyError, AttributeError, TypeError) as error:
        raise unreadable(f"block {name}", error) from error


def _unsigned(column: str, raw: int) -> int:
    # Statistics of the unsigned columns, all but the time and the day, come as signed numbers of their width.
    return raw if raw >= 0 or column in ("at", "day") else raw + 2**32


def _is_empty(statistics: Any) -> bool:
    return statistics is not None and statistics.num_values == 0


def read_groups(
    file: BinaryIO, name: str, *, footer: Footer, groups: Sequence[int], columns: Sequence[str], at_once: int = 1
) -> Iterator[dict[str, Column]]:
    """The chosen row groups, one or so many at a time, as arrays by column, each of shape (rows,).

    Times come as int64, ns since 1970; a list column as `column.offsets`, int64, shape (rows + 1,), and
    `column.values`, or not at all if all of its lists are empty.
    Raises: DamagedData: a page is not as it was written.
    """
    try:
        parquet = open_parquet(file, metadata=footer.metadata)
        for start in range(0, len(groups), at_once):
            part = list(groups[start : start + at_once])
            wanted = [
                name for name in columns if name not in footer.empty_lists or not footer.empty_lists[name][part].all()
            ]
            table = parquet.read_row_groups(part, columns=wanted, use_threads=False)
            arrays: dict[str, Column] = {}
            for column in wanted:
                array = table.column(column).combine_chunks()
                if pa.types.is_list(array.type):
                    arrays[f"{column}.offsets"] = array.offsets.to_numpy().astype(np.int64)
                    arrays[f"{column}.values"] = array.values.to_numpy()
                else:
                    values = array.to_numpy(zero_copy_only=False)
                    arrays[column] = values.view(np.int64) if values.dtype.kind == "M" else values
            yield arrays
    except (pa.ArrowException, OSError, KeyError, AttributeError) as error:
        raise unreadable(f"block {name}", error) from error


def cut_columns(columns: dict[str, Column], start: int, end: int) -> dict[str, Column]:
    """Rows [start, end) of columns as `read_groups` gives them, without a copy of flat ones."""
    found = {}
    for name, column in columns.items():
        if name.endswith(".offsets"):
            offsets = column[start : end + 1]
            found[name] = offsets - offsets[0]
            values = name.replace(".offsets", ".values")
            found[values] = columns[values][offsets[0] : offsets[-1]]
        elif not name.endswith(".values"):
            found[name] = column[start:end]
    return found


def time_column(at_ns: NDArray[np.int64]) -> Any:
    """Times in int64 ns since 1970, shape (rows,), as a Parquet timestamp column, without a copy."""
    return pa.array(at_ns.view("M8[ns]"), pa.timestamp("ns", "UTC"))


TIME = pa.timestamp("ns", "UTC")
