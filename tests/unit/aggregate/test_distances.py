"""Distances between beats, from minutes and exact: against a plain walk over the minutes."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from fleetpulse.aggregate.distances import (
    MS_PER_MINUTE,
    NEVER,
    Distances,
    day_distances,
    exact_distances,
    join_distances,
)
from fleetpulse.aggregate.presence import Rows
from fleetpulse.aggregate.uptime import pack_minutes
from fleetpulse.model.units import MINUTES_PER_DAY, NS_PER_MS

MINUTES = st.lists(st.integers(0, MINUTES_PER_DAY - 1), max_size=60)


def rows_of(days: list[list[int]]) -> Rows:
    minutes = np.zeros((len(days), MINUTES_PER_DAY), bool)
    for place, present in enumerate(days):
        minutes[place, present] = True
    return pack_minutes(minutes)


def listed(distances: Distances) -> list[tuple[int, int, int, bool]]:
    columns = (distances.codes, distances.ms, distances.counts, distances.is_exact)
    return list(zip(*(column.tolist() for column in columns), strict=True))


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(MINUTES, st.one_of(MINUTES, st.just(list(range(MINUTES_PER_DAY))))), min_size=2, max_size=3))
def test_two_days_have_the_distances_between_all_neighbouring_minutes(
    devices: list[tuple[list[int], list[int]]],
) -> None:
    last_minutes = np.full(len(devices), NEVER, np.int64)
    codes = np.arange(len(devices))
    found = join_distances(
        [
            day_distances(
                rows_of([days[day] for days in devices]),
                codes,
                day_minute=day * MINUTES_PER_DAY,
                last_minutes=last_minutes,
            )
            for day in (0, 1)
        ]
    )
    expected: dict[tuple[int, int], int] = {}
    for code, (first, second) in enumerate(devices):
        minutes = sorted({*first, *(minute + MINUTES_PER_DAY for minute in second)})
        for distance in np.diff(minutes).tolist():
            expected[code, distance] = expected.get((code, distance), 0) + 1
        assert last_minutes[code] == (minutes[-1] if minutes else NEVER)
    assert listed(found) == [
        (code, distance * MS_PER_MINUTE, count, False) for (code, distance), count in sorted(expected.items())
    ]


def test_quantiles_are_distances_that_occur_and_say_whether_they_are_exact() -> None:
    distances = Distances.of(
        np.array([0] * 4 + [2] * 3),
        np.array([10, 10, 20, 90, 5, 7, 5]),
        np.array([50, 30, 15, 5, 1, 1, 1]),
        is_exact=np.array([False, False, False, True, False, True, False]),
    )
    assert distances.totals(3).tolist() == [100, 0, 3]
    for share, ms, exact in ((0.5, [10, -1, 5], [False] * 3), (0.95, [20, -1, 7], [False, False, True])):
        found, is_exact = distances.quantile(share, 3)
        assert (found.tolist(), is_exact.tolist()) == (ms, exact)
    assert distances.quantile(0.96, 3)[0].tolist() == [90, -1, 7]
    np.testing.assert_allclose(distances.mean_up_to(np.array([20, 9, 1])), [(80 * 10 + 15 * 20) / 95, np.nan, np.nan])


def test_distances_of_groups_are_those_of_their_members_together_and_counts_below_0_take_away() -> None:
    distances = Distances.of(np.array([0, 1, 2]), np.array([60, 60, 120]), np.array([2, 3, 4]))
    assert listed(distances.of_groups(np.array([1, 1, -1]))) == [(1, 60, 5, False)]
    less = Distances.of(np.array([0, 0, 1]), np.array([60, 60, 60]), np.array([2, -1, -1]))
    assert listed(less) == [(0, 60, 1, False)]


def test_lengths_are_kept_to_three_digits_and_take_the_place_of_minutes() -> None:
    exact = exact_distances(np.array([0, 0, 0]), np.array([60_249, 60_251, 86_400_001]) * NS_PER_MS)
    assert listed(exact) == [(0, 60_200, 1, True), (0, 60_300, 1, True), (0, 86_400_000, 1, True)]
    minutes = Distances.of(np.array([0, 1]), np.array([120_000, 120_000]), np.array([3, 2]))
    left = minutes.without(Distances.of(np.array([0]), np.array([120_000]), np.array([3])))
    assert listed(left) == [(1, 120_000, 2, False)]
    assert listed(join_distances([left, exact]).capped(np.array([50_000, 90_000])))[-1] == (1, 90_000, 2, False)
    assert [row[1] for row in listed(exact.capped(np.array([50_000])))] == [60_200, 60_300, 86_400_000]
