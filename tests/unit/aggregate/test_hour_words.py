"""Rows of days as words of hours, and back."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from fleetpulse.aggregate.hour_words import hours_of_rows, rows_of_hours
from fleetpulse.aggregate.uptime import pack_minutes, unpack_minutes
from fleetpulse.model.units import MINUTES_PER_DAY


@given(st.integers(0, 2**32), st.sampled_from([0.0, 0.001, 0.5, 1.0]))
def test_words_of_hours_hold_the_minutes_of_the_rows_and_give_them_back(seed: int, share: float) -> None:
    truths = np.random.default_rng(seed).random((3, MINUTES_PER_DAY)) < share
    words = hours_of_rows(pack_minutes(truths))
    assert words.shape == (24, 3)
    for hour, column in enumerate(words):
        of_hour = truths[:, hour * 60 : hour * 60 + 60]
        assert unpack_minutes(column[:, None], count=64)[:, :60].tolist() == of_hour.tolist()
        assert not (column >> np.uint64(60)).any()
    assert rows_of_hours(words).tolist() == pack_minutes(truths).tolist()


def test_of_no_device_there_is_nothing() -> None:
    assert rows_of_hours(hours_of_rows(np.zeros((0, 23), np.uint64))).shape == (0, 23)
