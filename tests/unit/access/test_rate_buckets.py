"""Senders by name: rested ones are forgotten, and those without room share one number."""

import pytest

from fleetpulse.access.rate import Rate
from fleetpulse.access.rate_buckets import RateBuckets, network_of

RATE = Rate(1, 2)


class Time:
    now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


def test_a_flood_of_senders_takes_no_more_memory_and_those_who_were_there_keep_their_own_number() -> None:
    time = Time()
    buckets = RateBuckets(10, monotonic_s=time)
    buckets.take("before", RATE)
    refused = sum(buckets.take(number, RATE) is not None for number in range(1_000))
    assert (len(buckets), refused) == (11, 1_000 - 9 - 2)
    assert buckets.take("before", RATE) is None
    time.now_s += 10
    assert buckets.take("newcomer", RATE) is None
    assert len(buckets) == 1


def test_a_refused_request_is_not_charged() -> None:
    time = Time()
    buckets = RateBuckets(10, monotonic_s=time)
    assert [buckets.take("one", RATE) for _ in range(5)] == [None, None, 102.0, 102.0, 102.0]
    time.now_s = 101.0
    assert buckets.take("one", RATE) is None


def test_what_is_owed_is_paid_before_the_next_request() -> None:
    time = Time()
    buckets = RateBuckets(10, monotonic_s=time)
    buckets.owe("one", 50, RATE)
    assert buckets.take("one", RATE) == 150.0
    time.now_s = 149.5
    assert buckets.take("one", RATE) is None


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::9", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("", ""),
        ("no:address", "no:address"),
    ],
)
def test_ipv6_is_counted_by_its_network(address: str, network: str) -> None:
    assert network_of(address) == network
