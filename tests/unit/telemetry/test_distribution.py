import numpy as np
import pytest

from fleetpulse.telemetry.distribution import Distribution


def test_a_value_on_a_bound_counts_below_it() -> None:
    one = Distribution((1.0, 2.0))
    for value in (0.5, 1.0, 1.5, 2.0, 9.0):
        one.add(value)
    assert (one.counts, one.sum, one.total) == ([2, 2, 1], 14.0, 5)


def test_many_values_count_as_one_by_one() -> None:
    values = np.array([0.5, 1.0, 1.5, 2.0, 9.0])
    one, many = Distribution((1.0, 2.0)), Distribution((1.0, 2.0))
    for value in values.tolist():
        one.add(value)
    many.add_many(values)
    assert (many.counts, many.sum) == (one.counts, one.sum)


def test_a_copy_does_not_change_with_what_it_was_copied_from() -> None:
    one = Distribution((1.0,))
    copy = one.copy()
    one.add(0.5)
    assert (copy.total, one.total) == (0, 1)


def test_bounds_must_ascend() -> None:
    with pytest.raises(AssertionError):
        Distribution((2.0, 1.0))
