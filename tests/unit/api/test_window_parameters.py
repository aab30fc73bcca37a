"""The parameters of windows."""

import pytest

from fleetpulse.api.window_parameters import read_day_window, read_hour_window, read_plain_window
from fleetpulse.errors import OutOfRange
from fleetpulse.limits import QuestionLimits
from fleetpulse.query.window import Window
from memory_service import FakeClock

S = 1_000_000_000
NOW = 1_780_000_000 * S
CLOCK, LIMITS = FakeClock(NOW), QuestionLimits()


def test_a_window_has_the_length_of_its_route_where_none_is_given() -> None:
    day, hour = Window(NOW - 86_400 * S, NOW), Window(NOW - 3_600 * S, NOW)
    assert read_day_window(clock=CLOCK, limits=LIMITS) == read_plain_window(clock=CLOCK, limits=LIMITS) == day
    assert read_hour_window(clock=CLOCK, limits=LIMITS) == hour
    assert read_hour_window(clock=CLOCK, limits=LIMITS, step="1m").buckets == 61


def test_a_window_of_more_steps_than_an_answer_may_have_is_refused() -> None:
    with pytest.raises(OutOfRange, match="steps in the window"):
        read_day_window(clock=CLOCK, limits=QuestionLimits(cells_max=10), step="1m")
