"""Leaps of the wall clock, told from the passing of time."""

import pytest

from fleetpulse.limits import ClockLimits
from fleetpulse.pipeline.leaps import Leaps
from memory_service import NOON, SECOND, FakeClock

HOUR = 3_600 * SECOND


def leaps_of(clock: FakeClock) -> Leaps:
    return Leaps(clock, ClockLimits())


@pytest.mark.parametrize(("step_s", "is_leap"), [(60, False), (61, True), (-60, False), (-61, True)])
def test_a_step_of_more_than_a_minute_either_way_is_a_leap(step_s: int, is_leap: bool) -> None:
    clock = FakeClock()
    leaps = leaps_of(clock)
    clock.step(step_s * SECOND)
    leaps.look(seen_ns=NOON)
    assert leaps.is_new is is_leap
    assert leaps.waits_ns == (HOUR if is_leap else 0)
    clock.ns += HOUR
    assert leaps.waits_ns == 0


def test_time_that_passes_is_no_leap_however_long() -> None:
    clock = FakeClock()
    leaps = leaps_of(clock)
    clock.ns += 1_000 * HOUR
    leaps.look(seen_ns=NOON)
    assert not leaps.is_new


def test_many_small_steps_add_up() -> None:
    clock = FakeClock()
    leaps = leaps_of(clock)
    for _ in range(3):
        clock.step(30 * SECOND)
        leaps.look(seen_ns=NOON)
    assert leaps.is_new


@pytest.mark.parametrize(("back_s", "since"), [(3_600, NOON), (3_570, NOON), (600, None)])
def test_a_clock_that_is_set_back_was_ahead_since_it_leapt_by_as_much(back_s: int, since: int | None) -> None:
    clock = FakeClock()
    leaps = leaps_of(clock)
    clock.step(HOUR)
    leaps.look(seen_ns=NOON)
    clock.ns += 2 * HOUR
    clock.step(-back_s * SECOND)
    leaps.look(seen_ns=clock.ns)
    assert leaps.ahead_since_ns == since


@pytest.mark.parametrize(
    ("leapt_s_ago", "off_s", "waits_s"), [(0, 0, 3_600), (600, 10, 3_000), (3_600, 10, 0), (9_000, 61, 3_600)]
)
def test_a_start_goes_on_waiting_and_waits_anew_after_more_than_a_minute_off(
    leapt_s_ago: int, off_s: int, waits_s: int
) -> None:
    leaps = leaps_of(FakeClock())
    leaps.begin(leapt_at_ns=NOON - leapt_s_ago * SECOND, alive_at_ns=NOON - off_s * SECOND)
    assert leaps.waits_ns == waits_s * SECOND


def test_a_first_start_waits_for_nothing() -> None:
    leaps = leaps_of(FakeClock())
    leaps.begin(leapt_at_ns=0, alive_at_ns=0)
    assert (leaps.waits_ns, leaps.is_new) == (0, False)
