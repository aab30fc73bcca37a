"""Gaps between minutes present are those of a plain set of minutes, however long it takes for one to come."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleetpulse.aggregate.minute_gaps import NEVER_MINUTE, minute_gaps
from fleetpulse.aggregate.uptime import pack_minutes
from fleetpulse.model.units import MINUTES_PER_DAY, NS_PER_MINUTE

DAY, DAYS, DEVICES = 20_000, 4, 3
MINUTES = st.sampled_from([0, 1, 62, 63, 64, 65, 127, 128, 1407, 1408, 1438, 1439]) | st.integers(0, 1439)
BEATS = st.sets(st.tuples(st.integers(0, DEVICES - 1), st.integers(0, DAYS - 1), MINUTES))
Gap = tuple[int, int, int]


def gaps_of(beats: set[tuple[int, int, int]], limit_minutes: list[int]) -> list[Gap]:
    """(device, start, end) in minutes since 1970, day by day, as `minute_gaps` finds them."""
    last = np.full(DEVICES, NEVER_MINUTE, np.int64)
    devices, limit_ns = np.arange(DEVICES, dtype=np.uint32) + 7, np.array(limit_minutes) * NS_PER_MINUTE
    found: list[Gap] = []
    for day in range(DAYS):
        truths = np.zeros((DEVICES, MINUTES_PER_DAY), bool)
        for device, at_day, minute in beats:
            truths[device, minute] |= at_day == day
        gaps, last = minute_gaps(pack_minutes(truths), devices, DAY + day, last, limit_ns)
        rows = zip(gaps.devices.tolist(), gaps.start_ns.tolist(), gaps.end_ns.tolist(), strict=True)
        of_day = [(device - 7, start // NS_PER_MINUTE, end // NS_PER_MINUTE) for device, start, end in rows]
        assert of_day == sorted(of_day)
        found += of_day
    return found


@given(
    BEATS, st.lists(st.sampled_from([0, 1, 2, 62, 63, 64, 90, 130, 1_439, 3_000]), min_size=DEVICES, max_size=DEVICES)
)
def test_each_gap_lies_between_two_minutes_present_and_is_longer_than_the_limit_of_its_device(
    beats: set[tuple[int, int, int]], limits: list[int]
) -> None:
    expected = []
    for device in range(DEVICES):
        minutes = sorted((DAY + day) * MINUTES_PER_DAY + minute for number, day, minute in beats if number == device)
        pairs = pairwise(minutes)
        expected += [(device, one + 1, other) for one, other in pairs if other - one - 1 > limits[device]]
    assert sorted(gaps_of(beats, limits)) == sorted(expected)


@pytest.mark.parametrize("minute", [0, 31, 32, 63, 64, 1439])
def test_the_last_minute_goes_over_into_the_next_day(minute: int) -> None:
    row = np.zeros((2, MINUTES_PER_DAY), bool)
    row[0, [0, minute]] = True
    never = np.full(2, NEVER_MINUTE, np.int64)
    _, last = minute_gaps(pack_minutes(row), np.zeros(2, np.uint32), DAY, never, np.zeros(2, np.int64))
    assert last.tolist() == [DAY * MINUTES_PER_DAY + minute, NEVER_MINUTE]


def test_of_no_device_there_are_no_gaps() -> None:
    none = np.zeros(0, np.int64)
    gaps, last = minute_gaps(np.zeros((0, 23), np.uint64), none.astype(np.uint32), DAY, none, none)
    assert (len(gaps), len(last)) == (0, 0)
