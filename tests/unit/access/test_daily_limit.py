"""So many a day, since midnight UTC."""

import pytest

from fleetpulse.access.daily_limit import DailyLimit
from fleetpulse.access_errors import TooManyRequests

HOUR_NS = 3_600 * 10**9
DAY_NS = 24 * HOUR_NS


class Time:
    now_ns = 20_000 * DAY_NS + 20 * HOUR_NS

    def __call__(self) -> int:
        return self.now_ns


def test_a_day_has_its_number_and_the_next_day_begins_anew() -> None:
    time = Time()
    limit = DailyLimit("registrations_per_day", "devices registered themselves", 3, now_ns=time)
    limit.check(3)
    limit.count(2)
    limit.check(1)
    with pytest.raises(TooManyRequests, match="2 devices registered themselves since midnight UTC, of at most 3") as no:
        limit.check(2)
    assert (no.value.reason, no.value.retry_after_s) == ("registrations_per_day", 4 * 3_600)
    assert (no.value.policy, no.value.limit) == (
        '"registrations_per_day";q=3;w=86400',
        '"registrations_per_day";r=1;t=14400',
    )
    time.now_ns += 4 * HOUR_NS
    limit.check(3)
    assert limit.left == 3
