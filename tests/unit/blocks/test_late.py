"""A late block's two files: the same rows in two orders, each row once."""

import io

import numpy as np
import pytest

from fleetpulse.aggregate.presence import WORDS_PER_DAY
from fleetpulse.blocks.columns import read_footer
from fleetpulse.blocks.late import INDEXED, LateRows, distinct_late, join_late, read_late, write_late
from fleetpulse.errors import DamagedData


def late_of(*rows: tuple[int, int, int]) -> LateRows:
    """Day, device and first word of each row."""
    words = np.zeros((len(rows), WORDS_PER_DAY), np.uint64)
    words[:, 0] = [row[2] for row in rows]
    return LateRows(np.array([row[0] for row in rows], np.int32), np.array([row[1] for row in rows], np.uint32), words)


def written(late: LateRows, *, is_by_day: bool) -> bytes:
    file = io.BytesIO()
    file.close = lambda: None  # type: ignore[method-assign]  # a Parquet writer closes what it is given
    write_late(file, late, is_by_day=is_by_day, pause=lambda: None)
    return file.getvalue()


def read(body: bytes) -> list[tuple[int, int, int]]:
    footer = read_footer(io.BytesIO(body), "late", indexed=INDEXED)
    found = join_late(list(read_late(io.BytesIO(body), "late", footer, range(len(footer.rows)))))
    return list(zip(found.days.tolist(), found.devices.tolist(), found.rows[:, 0].tolist(), strict=True))


def test_rows_come_by_day_or_by_device() -> None:
    late = late_of((7, 1, 3), (5, 2, 4), (5, 1, 8), (7, 0, 1))
    assert read(written(late, is_by_day=True)) == [(5, 1, 8), (5, 2, 4), (7, 0, 1), (7, 1, 3)]
    assert read(written(late, is_by_day=False)) == [(7, 0, 1), (5, 1, 8), (7, 1, 3), (5, 2, 4)]


def test_a_row_that_occurs_twice_becomes_the_union_of_both() -> None:
    late = distinct_late(late_of((7, 1, 3), (5, 2, 4), (7, 1, 8)))
    assert late.rows[:, 0].tolist() == [4, 11]
    assert distinct_late(late_of((7, 1, 3))).rows[:, 0].tolist() == [3]


def test_a_file_that_is_cut_off_is_damaged() -> None:
    body = written(late_of((7, 1, 3)), is_by_day=True)
    footer = read_footer(io.BytesIO(body), "late-days-1", indexed=INDEXED)
    with pytest.raises(DamagedData, match="late-days-1"):
        list(read_late(io.BytesIO(body[:40]), "late-days-1", footer, [0]))
