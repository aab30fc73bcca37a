"""File formats of an export: pieces of columns become the bytes of a CSV or Parquet file, one piece at a time."""

import io
from collections.abc import Collection
from typing import Any, Literal, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet as pq

from fleetpulse.errors import OutOfRange
from fleetpulse.query.export import ALIASES, COLUMNS, NAMES, Texts

FORMATS = ("csv", "parquet")
TimeUnit = Literal["us", "ns"]
_NS_PER_US = 1_000


def check_export(what: str, file_format: str, *, has_types: bool) -> None:
    """Raises: OutOfRange: there is no such export."""
    if what not in NAMES or file_format not in FORMATS:
        raise OutOfRange(
            f"what must be one of {', '.join(NAMES)}, and format one of {', '.join(FORMATS)}", reason="export"
        )
    if has_types and what != "samples":
        raise OutOfRange(f"`types` is of samples; {what} has none", reason="export")


class Encoder(Protocol):
    """Makes the bytes of a file out of pieces that have the same columns; a piece is forgotten once it is encoded."""

    media_type: str

    def piece(self, columns: dict[str, Any]) -> bytes:
        """The bytes of a piece. Args: columns: by name, of one length; `is_time` columns are int64, ns since 1970."""
        ...

    def end(self) -> bytes:
        """The bytes after the last piece, or of a file without any."""
        ...


class CsvEncoder:
    """A header, then rows, with times as RFC 3339. Text is written as it is: pass it through `safe_cell` before."""

    media_type = "text/csv; charset=utf-8"

    def __init__(self, names: list[str]) -> None:
        self._header = ",".join(names) + "\n"

    def piece(self, columns: dict[str, Any]) -> bytes:
        """See Encoder."""
        sink = io.BytesIO()
        text = {
            name: _times_as_text(column) if is_time(name) else column_of(column) for name, column in columns.items()
        }
        options = pa.csv.WriteOptions(include_header=False, quoting_style="needed")
        pa.csv.write_csv(pa.table(text), sink, options)
        header, self._header = self._header, ""
        return header.encode() + sink.getvalue()

    def end(self) -> bytes:
        """See Encoder."""
        return self._header.encode()


class ParquetEncoder:
    """A Parquet file with one row group for each piece."""

    media_type = "application/vnd.apache.parquet"

    def __init__(self, names: list[str], *, value: Any = None, unit: TimeUnit = "ns") -> None:
        """Args: value: the Arrow type of the column `value`, if there is one: FLOAT or INTEGER. unit: of the times."""
        self._time, self._unit = pa.timestamp(unit, "UTC"), unit
        kinds = {"value": value, "minutes": pa.uint16(), "interval_s": pa.uint32(), "grace_s": pa.uint32()}
        self._schema = pa.schema(
            [(name, self._time if is_time(name) else kinds.get(name, pa.string())) for name in names]
        )
        self._sink = _Sink()
        self._writer = pq.ParquetWriter(self._sink, self._schema, compression="zstd")

    def piece(self, columns: dict[str, Any]) -> bytes:
        """See Encoder."""
        arrays = [
            pa.array(_moments(column).astype(f"M8[{self._unit}]"), self._time)
            if is_time(name)
            else column_of(column, self._schema.field(name).type)
            for name, column in columns.items()
        ]
        self._writer.write_table(pa.table(arrays, schema=self._schema))
        return self._sink.taken()

    def end(self) -> bytes:
        """See Encoder."""
        self._writer.close()
        return self._sink.taken()


class _Sink(io.RawIOBase):
    """A file that can only be written to, and whose bytes are taken away as they come."""

    def __init__(self) -> None:
        self._place = 0
        self._pieces: list[bytes] = []

    def writable(self) -> bool:
        """Always."""
        return True

    def write(self, data: Any) -> int:
        """Take bytes."""
        self._pieces.append(bytes(data))
        self._place += len(self._pieces[-1])
        return len(self._pieces[-1])

    def tell(self) -> int:
        """How many bytes were written in all, which Parquet takes for offsets."""
        return self._place

    def taken(self) -> bytes:
        """The bytes that were written since the last call."""
        body, self._pieces = b"".join(self._pieces), []
        return body


FLOAT, INTEGER = pa.float64(), pa.int64()


def new_encoder(what: str, file_format: str, kinds: Collection[str], *, unit: TimeUnit = "ns") -> Encoder:
    """The encoder of a checked export with metrics of these kinds. Raises: OutOfRange: one file cannot hold them.

    Args: unit: of the times in Parquet; CSV gives each as finely as it needs.
    """
    columns = COLUMNS[ALIASES.get(what, what)]
    if file_format == "csv":
        return CsvEncoder(columns)
    if len(kinds) > 1:
        raise OutOfRange(
            "one Parquet file holds values of one kind: ask for the integer metrics and the float ones apart",
            reason="export",
        )
    return ParquetEncoder(columns, value=INTEGER if "integer" in kinds else FLOAT, unit=unit)


def is_time(name: str) -> bool:
    """Whether a column of this name holds times."""
    return name.endswith("_at") or name == "minute"


def has_finer_times(columns: dict[str, Any]) -> bool:
    """Whether a piece has times that microseconds cannot tell; many programs cannot read nanoseconds."""
    times = (np.asarray(column) for name, column in columns.items() if is_time(name))
    return any((at_ns % _NS_PER_US).any() for at_ns in times)


def _moments(at_ns: Any) -> Any:
    """Times as datetime64, null where there is no time (0)."""
    moments = np.ascontiguousarray(at_ns).view("M8[ns]").copy()
    moments[np.asarray(at_ns) == 0] = np.datetime64("NaT")
    return moments


def column_of(column: Any, kind: Any = None) -> Any:
    """A column of a piece as an Arrow array, of an Arrow type or the usual one."""
    if isinstance(column, Texts):
        return pc.take(pa.array(column.texts, pa.string()), pa.array(column.codes))
    return pa.array(column, kind)


def _times_as_text(at_ns: Any) -> Any:
    """RFC 3339 to the microsecond, or to the nanosecond where that is needed; null where there is no time (0).

    Arrow does this without holding the interpreter, and ten times as fast as numpy.
    """
    at_ns = np.asarray(at_ns)
    text = _texts(at_ns // _NS_PER_US, "us")
    if (is_finer := at_ns % _NS_PER_US != 0).any():
        text = pc.if_else(pa.array(is_finer), _texts(at_ns, "ns"), text)
    is_null = at_ns == 0
    return pc.if_else(pa.array(is_null), None, text) if is_null.any() else text


def _texts(at: Any, unit: TimeUnit) -> Any:
    """Times in a unit since 1970 as RFC 3339."""
    text = pc.cast(pa.array(at, pa.timestamp(unit)), pa.string())
    return pc.binary_join_element_wise(pc.utf8_replace_slice(text, 10, 11, "T"), "Z", "")
