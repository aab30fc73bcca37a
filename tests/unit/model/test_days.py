"""Days behave as the set of numbers that they are."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from fleetpulse.model.days import Days

SETS = st.sets(st.integers(0, 30_000), max_size=40)


@given(SETS, SETS)
def test_days_are_a_set(first: set[int], second: set[int]) -> None:
    one, other = Days.of(first), Days.of(sorted(second))
    assert (list(one), len(one), bool(one)) == (sorted(first), len(first), bool(first))
    assert one == first and one == frozenset(first)
    assert (one == other) == (first == second)
    assert one - other == one - second == first - second
    assert isinstance(one - second, Days)
    assert {*one}.union(other) == one | other == first | second
    assert hash(one) == hash(Days.of(reversed(list(first))))
    for day in first | second | {0, 31_000}:
        assert (day in one) == (np.int64(day) in one) == (day in first)


def test_what_is_no_day_is_not_among_them() -> None:
    assert all(other not in Days.of([0, 1, 2]) for other in (-1, "1", 1.0, None))
    assert Days.of([1]) - {-1, 5} == {1}
