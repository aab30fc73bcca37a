import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from fleetpulse.live.hour_columns import HourColumns
from fleetpulse.live.marks import mark_days
from fleetpulse.live.sparse_presence import SparsePresence

OPEN = (5, 6)


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(4 * 1440, 9 * 1440)), min_size=1), st.booleans())
def test_each_minute_is_marked_once_in_the_rows_of_its_day(marks: list[tuple[int, int]], is_open_only: bool) -> None:
    if is_open_only:
        marks = [(device, 5 * 1440 + minute % 2880) for device, minute in marks]
    dense = {day: HourColumns.empty(9) for day in OPEN}
    sparse = SparsePresence()
    devices, minutes = (np.array(column) for column in zip(*marks, strict=True))
    mark_days(devices.astype(np.uint32), minutes, dense=dense, sparse=sparse)
    found = set()
    for day in {*OPEN, *sparse.days}:
        numbers, rows = sparse.of(day).all_rows() if day not in OPEN else (np.arange(9), dense[day][:])
        for number, row in zip(numbers.tolist(), rows, strict=True):
            bits = np.unpackbits(row.view(np.uint8), bitorder="little")
            found |= {(number, day * 1440 + minute) for minute in np.flatnonzero(bits).tolist()}
    assert found == set(marks)
    assert not sparse.touches(OPEN)
