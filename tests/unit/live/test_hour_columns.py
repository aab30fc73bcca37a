"""Columns of hours give the rows of a plain set of minutes."""

import io

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from fleetpulse.aggregate.presence import Rows, minutes_from
from fleetpulse.aggregate.uptime import pack_minutes, unpack_minutes
from fleetpulse.blocks.presence import write_presence
from fleetpulse.blocks.presence_merge import merge_presence
from fleetpulse.live.growth import HUGE_PAGES_AT
from fleetpulse.live.hour_columns import HourColumns

DEVICES = 4
Mark = tuple[int, int]
MARKS = st.lists(
    st.tuples(st.integers(0, DEVICES - 1), st.sampled_from([0, 59, 60, 63, 64, 127, 128, 1439]) | st.integers(0, 1439))
)


def hours_of(marks: list[Mark], capacity: int = DEVICES) -> HourColumns:
    hours = HourColumns.empty(capacity)
    devices, minutes = np.array(marks, np.int64).reshape(-1, 2).T
    hours.mark(devices.astype(np.uint32), minutes)
    return hours


def marks_of(rows: Rows) -> set[Mark]:
    return set(zip(*(places.tolist() for places in np.nonzero(unpack_minutes(rows))), strict=True))


@given(MARKS)
def test_marks_in_any_order_and_number_are_the_minutes_of_the_rows(marks: list[Mark]) -> None:
    hours = hours_of(marks + marks[::2][::-1])
    assert marks_of(hours[0:DEVICES]) == set(marks)
    assert [hours.row(device).tolist() for device in range(DEVICES)] == hours[:].tolist()
    part = hours.part(range(1, 3))
    assert (len(part), marks_of(part[:])) == (2, {(device - 1, minute) for device, minute in marks if device in (1, 2)})
    longer = hours.grown(9)
    assert (len(longer), marks_of(longer[:])) == (9, set(marks))


@given(MARKS, st.lists(st.integers(0, 1439)))
def test_rows_join_what_is_marked_already(marks: list[Mark], minutes: list[int]) -> None:
    hours = hours_of(marks)
    truths = np.zeros((1, 1440), bool)
    truths[0, minutes] = True
    hours.mark_rows(np.array([2], np.uint32), pack_minutes(truths))
    assert marks_of(hours[:]) == {*marks, *((2, minute) for minute in minutes)}


@given(MARKS, st.integers(0, 1440))
def test_minutes_are_kept_from_a_time_on(marks: list[Mark], first: int) -> None:
    hours = hours_of(marks)
    hours.keep(1, minutes_from(first))
    assert marks_of(hours[:]) == {(device, minute) for device, minute in marks if device != 1 or minute >= first}


def test_columns_of_many_devices_begin_with_a_large_page() -> None:
    hours = HourColumns.empty(HUGE_PAGES_AT)
    assert len(hours) >= HUGE_PAGES_AT
    assert hours.words.strides[0] % (2 << 20) == 0


@given(MARKS)
def test_a_file_is_written_of_columns_as_of_rows(marks: list[Mark]) -> None:
    hours = hours_of(marks, capacity=DEVICES + 3)
    files = []
    for dense in (hours, hours[:]):
        files.append(io.BytesIO())
        write_presence(files[-1], merge_presence(DEVICES, dense=[dense]))
    assert files[0].getvalue() == files[1].getvalue()
