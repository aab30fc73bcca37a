"""One number for each sender: how long to wait, and the texts of it."""

import pytest

from fleetpulse.access.rate import Rate


@pytest.mark.parametrize(
    ("rate", "ahead_s", "wait_s"),
    [
        (Rate(2, 4), -5, 0),
        (Rate(2, 4), 0, 0),
        (Rate(2, 4), 0.5, 0),
        (Rate(2, 4), 1.5, 0),
        (Rate(2, 4), 2.0, 1),
        (Rate(2, 4), 3.6, 3),
        (Rate(0, 4), 1e9, 0),
        (Rate(0.01, 1), 100, 100),
    ],
)
def test_a_number_says_how_long_to_wait(rate: Rate, ahead_s: float, wait_s: int) -> None:
    now_s = 1_000.0
    assert rate.wait_s(now_s + ahead_s, now_s) == wait_s


def test_a_burst_of_a_long_running_machine_does_not_fail_by_rounding() -> None:
    rate, now_s = Rate(3, 100_000), 1e8 + 0.1
    next_s = now_s
    for _ in range(rate.burst - 1):
        next_s += rate.interval_s
    assert next_s - now_s <= rate.tolerance_s + 0.01


def test_it_is_told_in_words() -> None:
    assert (Rate(2, 3_000).text, Rate(0, 5).text) == ("2 a second after 3000 at once", "any number")
    assert (Rate(2, 3_000).window_s, Rate(0, 5).window_s) == (1_500, 1)
