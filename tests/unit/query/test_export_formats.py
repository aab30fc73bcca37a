"""The bytes of exported files, piece by piece."""

import io
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from fleetpulse.query.export import COLUMNS, Texts
from fleetpulse.query.export_formats import (
    FLOAT,
    INTEGER,
    CsvEncoder,
    Encoder,
    ParquetEncoder,
    has_finer_times,
    is_time,
)

PIECES = [
    {
        "device_id": Texts(np.array([1, 0], np.int32), ["d2", "d,1"]),
        "metric": Texts(np.array([0, 0], np.int32), ["cpu"]),
        "sent_at": np.array([2_000_000_000, 1_500_000_001], np.int64),
        "value": np.array([1.5, np.nan]),
    },
    {
        "device_id": Texts(np.array([0], np.int32), ['d"3']),
        "metric": Texts(np.array([0], np.int32), ["cpu"]),
        "sent_at": np.array([-1], np.int64),
        "value": np.array([2.0]),
    },
]


def written(encoder: Encoder, pieces: list[dict[str, Any]]) -> bytes:
    return b"".join(encoder.piece(piece) for piece in pieces) + encoder.end()


def test_csv_has_one_header_and_text_in_quotes() -> None:
    assert written(CsvEncoder(COLUMNS["samples"]), PIECES).decode().splitlines() == [
        "device_id,metric,sent_at,value",
        '"d,1","cpu","1970-01-01T00:00:02.000000Z",1.5',
        '"d2","cpu","1970-01-01T00:00:01.500000001Z",nan',
        '"d""3","cpu","1969-12-31T23:59:59.999999999Z",2',
    ]


def test_a_csv_without_rows_is_its_header() -> None:
    assert written(CsvEncoder(COLUMNS["presence"]), []) == b"device_id,minute\n"


def test_parquet_has_a_row_group_for_each_piece_and_exact_times() -> None:
    file = pq.ParquetFile(io.BytesIO(written(ParquetEncoder(COLUMNS["samples"], value=FLOAT), PIECES)))
    assert file.num_row_groups == 2
    table = file.read()
    assert table.column("sent_at").cast(pa.int64()).to_pylist() == [2_000_000_000, 1_500_000_001, -1]
    assert table.column("device_id").to_pylist() == ["d,1", "d2", 'd"3']


@pytest.mark.parametrize("name", COLUMNS)
def test_parquet_without_rows_has_the_columns_of_its_kind(name: str) -> None:
    schema = pq.read_schema(io.BytesIO(written(ParquetEncoder(COLUMNS[name], value=INTEGER), [])))
    assert schema.names == COLUMNS[name]
    assert {field.name for field in schema if pa.types.is_timestamp(field.type)} == set(filter(is_time, COLUMNS[name]))


def test_parquet_counts_in_microseconds_where_all_times_are_exact_so() -> None:
    names = Texts(np.array([0, 1], np.int32), ["d", "e"])
    coarse = [{"device_id": names, "minute": np.array([60_000_000_000, 1_000], np.int64)}]
    assert [has_finer_times(piece) for piece in (*coarse, *PIECES, {})] == [False, True, True, False]
    file = written(ParquetEncoder(COLUMNS["presence"], unit="us"), coarse)
    table = pq.read_table(io.BytesIO(file))
    assert table.schema.field("minute").type == pa.timestamp("us", "UTC")
    assert table.column("minute").cast(pa.int64()).to_pylist() == [60_000_000, 1]


@pytest.mark.parametrize("encoder", [CsvEncoder(["start_at"]), ParquetEncoder(["start_at"], unit="us")])
def test_no_time_is_null(encoder: Encoder) -> None:
    file = written(encoder, [{"start_at": np.array([0, 5_000_000], np.int64)}])
    if isinstance(encoder, CsvEncoder):
        assert file == b'start_at\n\n"1970-01-01T00:00:00.005000Z"\n'
    else:
        assert pq.read_table(io.BytesIO(file)).column("start_at").null_count == 1
