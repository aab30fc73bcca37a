"""Uptime from counts of minutes, and what slots count as."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleetpulse.aggregate.uptime import (
    SLOT_MINUTES,
    fold_slots,
    is_below,
    lifetime_uptime_percent,
    pack_minutes,
    percent,
    slot_minutes,
    unpack_minutes,
)

DAY_MINUTES = 1_440


@pytest.mark.parametrize(
    ("present", "first", "last", "expected"),
    [
        pytest.param(0, 2**31 - 1, -(2**31), 0.0, id="no heartbeat"),
        pytest.param(1, 100, 100, 100.0, id="one heartbeat"),
        pytest.param(480, 0, 480, 100.0, id="the divisor has no + 1"),
        pytest.param(481, 0, 480, 100.0, id="never above a hundred"),
        pytest.param(479, 0, 480, 99.79166666666667, id="one missed"),
        pytest.param(446, 0, 480, 92.91666666666667, id="thirty-four missed"),
    ],
)
def test_lifetime_uptime_is_that_of_the_contract(present: int, first: int, last: int, expected: float) -> None:
    assert lifetime_uptime_percent(minutes_present=present, first_minute=first, last_minute=last) == expected


@pytest.mark.parametrize(
    ("interval_s", "minutes"),
    [(1, 1), (60, 1), (61, 2), (300, 5), (301, 6), (420, 8), (660, 12), (3_600, 60), (43_201, 1_440), (86_400, 1_440)],
)
def test_a_slot_is_the_fewest_minutes_that_divide_a_day_and_hold_the_interval(interval_s: int, minutes: int) -> None:
    assert slot_minutes(interval_s) == minutes


def test_nothing_expected_is_no_percentage() -> None:
    assert (percent(0, 0), percent(1, 4)) == (None, 25.0)


def test_a_percentage_is_never_above_a_hundred() -> None:
    rounded_up = 878_329_965_204_690_299
    assert 100.0 * rounded_up / rounded_up > 100.0
    assert percent(rounded_up, rounded_up) == 100.0


@given(st.lists(st.booleans(), min_size=1, max_size=200), st.integers(1, 3))
def test_truths_packed_and_unpacked_are_the_same(truths: list[bool], rows: int) -> None:
    many = np.tile(np.array(truths), (rows, 1))
    words = pack_minutes(many)
    assert words.shape == (rows, -(-len(truths) // 64))
    assert unpack_minutes(words, count=len(truths)).tolist() == many.tolist()
    assert not unpack_minutes(words, count=words.shape[1] * 64)[:, len(truths) :].any()


@given(st.sets(st.integers(0, DAY_MINUTES - 1), max_size=20), st.sampled_from(SLOT_MINUTES))
def test_a_slot_is_present_where_any_of_its_minutes_is(minutes: set[int], slot: int) -> None:
    truths = np.zeros((2, DAY_MINUTES), bool)
    truths[1, list(minutes)] = True
    slots = unpack_minutes(fold_slots(pack_minutes(truths), slot), count=DAY_MINUTES // slot)
    assert np.flatnonzero(slots[1]).tolist() == sorted({minute // slot for minute in minutes})
    assert not slots[0].any()


@pytest.mark.parametrize("promise", [99.93, 99.84, 98.01, 97.4, 99.9, 50.0, 100.0])
def test_a_promise_that_is_just_kept_is_not_missed(promise: float) -> None:
    accountable = np.array([86_400 * 10**9] * 3 + [7], np.int64)
    exact = 86_400 * 10**9 * round(promise * 100) // 10_000
    up = np.array([exact, exact - 1, min(exact + 1, accountable[0]), 7], np.int64)
    assert is_below(up, accountable, promise).tolist() == [False, True, False, False]
