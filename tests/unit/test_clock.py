import time

from fleetpulse.clock import SystemClock


def test_the_system_clock_shows_nanoseconds_since_1970() -> None:
    before = time.time_ns()
    assert before <= SystemClock().now_ns() <= time.time_ns()
