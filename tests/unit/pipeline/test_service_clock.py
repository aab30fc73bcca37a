"""The clock that all parts of the service read."""

import pytest

from fleetpulse.limits import ClockLimits
from fleetpulse.pipeline.service_clock import ServiceClock
from memory_service import NOON, SECOND, FakeClock


def clock_of(machine: FakeClock, *, mark_ns: int = NOON, earliest_ns: int = 0) -> ServiceClock:
    return ServiceClock(machine, ClockLimits(), mark_ns=mark_ns, earliest_ns=earliest_ns)


@pytest.mark.parametrize(("second", "now", "is_behind"), [(1, 1, False), (0, 0, False), (-5, 0, False), (-6, 0, True)])
def test_it_is_never_before_the_mark_and_behind_beyond_the_tolerance(second: int, now: int, is_behind: bool) -> None:
    clock = clock_of(FakeClock(NOON + second * SECOND))
    assert (clock.now_ns(), clock.is_behind) == (NOON + now * SECOND, is_behind)


def test_a_refusal_says_what_to_do() -> None:
    refusal = clock_of(FakeClock(NOON - 60 * SECOND)).refusal()
    assert refusal.reason == "clock"
    assert "reads 2024-10-04T11:59:00Z, but events were received until 2024-10-04T12:00:00Z" in refusal.msg
    assert "`fleetpulse clock accept`" in refusal.msg


def test_a_clock_of_1970_is_wrong_even_where_nothing_was_ever_received() -> None:
    clock = clock_of(FakeClock(7 * SECOND), mark_ns=0, earliest_ns=NOON)
    assert clock.is_behind
    assert "reads 1970-01-01T00:00:07Z, before 2024-10-04T12:00:00Z, which no right clock does" in clock.refusal().msg
