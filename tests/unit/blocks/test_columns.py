"""Columns of Parquet files: footers with the bounds of row groups, and pages that are checked as they are read."""

import io

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from fleetpulse.blocks.columns import read_footer, read_groups, time_column
from fleetpulse.errors import DamagedData

LARGE = 2**32 - 1


def file() -> bytes:
    """Two row groups of two rows: a device, a time and a list each."""
    table = pa.table(
        {
            "device": pa.array([1, LARGE, 7, 8], pa.uint32()),
            "at": time_column(np.array([10, 20, -30, 40], np.int64)),
            "keys": pa.array([[1], [], [2, 3], []], pa.list_(pa.int32())),
        }
    )
    out = io.BytesIO()
    pq.write_table(table, out, row_group_size=2, write_page_checksum=True, compression="none")
    return out.getvalue()


def test_a_footer_has_the_bounds_of_every_row_group() -> None:
    footer = read_footer(io.BytesIO(file()), "f", indexed=["device", "at"])
    assert footer.rows.tolist() == [2, 2]
    assert (footer.least["device"].tolist(), footer.greatest["device"].tolist()) == ([1, 7], [LARGE, 8])
    assert (footer.least["at"].tolist(), footer.greatest["at"].tolist()) == ([10, -30], [20, 40])
    assert footer.size_bytes > 0


def test_only_the_chosen_groups_and_columns_are_read() -> None:
    body = io.BytesIO(file())
    footer = read_footer(body, "f", indexed=[])
    (columns,) = read_groups(body, "f", footer=footer, groups=[1], columns=["at", "keys"])
    assert {name: values.tolist() for name, values in columns.items()} == {
        "at": [-30, 40],
        "keys.offsets": [0, 2, 2],
        "keys.values": [2, 3],
    }
    assert columns["at"].dtype == np.int64


def test_a_footer_that_cannot_be_read_names_the_block() -> None:
    with pytest.raises(DamagedData, match="block f cannot be read"):
        read_footer(io.BytesIO(file()[:-20]), "f", indexed=[])


def test_a_page_that_was_changed_is_noticed() -> None:
    body = bytearray(file())
    footer = read_footer(io.BytesIO(body), "f", indexed=[])
    place = body.index(np.array([1, LARGE], np.uint32).tobytes())
    body[place] ^= 1
    with pytest.raises(DamagedData):
        list(read_groups(io.BytesIO(body), "f", footer=footer, groups=[0], columns=["device"]))
