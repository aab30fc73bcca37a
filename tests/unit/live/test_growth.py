"""Columns with room for more devices."""

import numpy as np

from fleetpulse.live.growth import grown, grown_rows


def test_a_column_keeps_its_values_and_new_devices_have_the_fill() -> None:
    assert grown(np.array([1, 2], np.int32), 4, 7).tolist() == [1, 2, 7, 7]
    assert grown(np.array([0, 0], np.int64), 3).tolist() == [0, 0, 0]
    assert grown(np.array([1], np.uint16), 2).dtype == np.uint16


def test_presence_keeps_its_rows() -> None:
    rows = np.ones((1, 23), np.uint64)
    assert grown_rows(rows, 2).sum(axis=1).tolist() == [23, 0]
