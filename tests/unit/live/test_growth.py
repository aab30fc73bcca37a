"""Columns with room for more devices."""

import numpy as np

from fleetpulse.live.growth import HUGE_PAGES_AT, capacity_for, grown, prepare, zeros


def test_a_column_keeps_its_values_and_new_devices_have_the_fill() -> None:
    assert grown(np.array([1, 2], np.int32), 4, 7).tolist() == [1, 2, 7, 7]
    assert grown(np.array([0, 0], np.int64), 3).tolist() == [0, 0, 0]
    assert grown(np.array([1], np.uint16), 2).dtype == np.uint16


def test_up_to_the_reserve_there_is_room_from_the_beginning() -> None:
    assert [capacity_for(count, reserve=10_000) for count in (1, 10_000, 20_000)] == [10_000, 10_000, 25_000]


def test_where_the_system_does_not_map_the_reserve_there_is_room_for_a_quarter_more() -> None:
    assert capacity_for(10_000, reserve=2**40) == 12_500


def test_zeros_that_no_device_needs_cost_no_memory() -> None:
    column = zeros((10**9,), np.uint64)  # 8 GB
    column[-1] = 5
    assert column[-10:].sum() == 5


def test_columns_of_many_devices_may_have_large_pages_and_keep_their_values() -> None:
    rows = zeros((HUGE_PAGES_AT, 2), np.uint64)
    rows[7, 1] = 3
    prepare(HUGE_PAGES_AT, [rows[:50], np.zeros(4)])
    assert rows.sum() == 3
