"""What the journal tells of the server's clock."""

from fleetpulse.model.server_clock import NO_LEAPS


def test_the_longest_leap_and_the_end_of_the_last_are_known() -> None:
    leaps = NO_LEAPS.and_one(10, 20).and_one(30, 100).and_one(100, 101)
    assert leaps == (101, 30, 100)
