"""Refused authentications: the first ones are told at once, a flood becomes few entries, and no request is lost."""

import random
from dataclasses import replace

import pytest

from fleetpulse.pipeline.refusal_counts import RefusalCounts, Refused

SECOND = 1_000_000_000
ONE = Refused("192.0.2.1", "wrong_key", 7)


def test_the_first_is_told_within_a_second_and_the_rest_with_the_minute() -> None:
    counts = RefusalCounts(addresses_max=10, entries_max=10, network_entries_max=10)
    now_ns = 10_000 * 60 * SECOND
    counts.add(ONE)
    assert counts.take(now_ns) == {ONE: 1}
    for second in range(1, 59):
        counts.add(ONE)
        assert counts.take(now_ns + second * SECOND) == {}
    assert counts.take(now_ns + 60 * SECOND) == {ONE: 58}
    assert counts.take(now_ns + 120 * SECOND) == {}


def test_a_flood_from_many_addresses_takes_bounded_memory_and_entries() -> None:
    counts = RefusalCounts(addresses_max=100, entries_max=20, network_entries_max=20)
    now_ns, rng, added, written, entries = 20_000 * 86_400 * SECOND, random.Random(1), 0, 0, 0
    for _ in range(3_600):
        for _ in range(rng.randrange(30)):
            counts.add(Refused(f"2001:db8::{rng.randrange(10**9):x}", rng.choice(["wrong_key", "no_key"]), None))
            added += 1
        found = counts.take(now_ns)
        entries, written = entries + len(found), written + sum(found.values())
        now_ns += SECOND
    last = counts.take(now_ns, is_last=True)
    assert (written + sum(last.values()), counts.joined) == (added, added - 20)
    assert entries + len(last) <= 20 + 2 * 3


def test_the_next_day_has_entries_again() -> None:
    counts = RefusalCounts(addresses_max=10, entries_max=1, network_entries_max=1)
    day_ns = 86_400 * SECOND
    counts.add(ONE)
    assert counts.take(20_000 * day_ns) == {ONE: 1}
    counts.add(replace(ONE, key=8))
    assert counts.take(20_000 * day_ns + 3_700 * SECOND) == {Refused("", "wrong_key", None): 1}
    counts.add(ONE)
    assert counts.take(20_001 * day_ns + SECOND) == {ONE: 1}


def test_a_clock_that_steps_back_keeps_nothing_from_being_told() -> None:
    counts = RefusalCounts(addresses_max=10, entries_max=10, network_entries_max=10)
    counts.add(ONE)
    counts.take(20_000 * 86_400 * SECOND)
    counts.add(ONE)
    assert counts.take(19_000 * 86_400 * SECOND) == {ONE: 1}


@pytest.mark.parametrize("attacker", ["192.0.2.66", "2001:db8::{:x}"])
def test_who_floods_from_one_network_keeps_no_other_address_from_having_entries(attacker: str) -> None:
    counts = RefusalCounts(addresses_max=100, entries_max=50, network_entries_max=10)
    now_ns, entries = 20_000 * 86_400 * SECOND, 0
    for key in range(1_000):
        counts.add(Refused(attacker.format(key), "wrong_key", key))
        if key % 10 == 0:
            now_ns += 20 * SECOND
            entries += sum(1 for refused in counts.take(now_ns) if refused.address)
    assert entries == 10
    counts.add(ONE)
    assert counts.take(now_ns + 2 * SECOND)[ONE] == 1
    counts.take(now_ns + 3_600 * SECOND)
    assert counts.joined == 1_000 - 10


def test_an_entry_tells_the_id_of_the_first_request_of_those_that_it_counts() -> None:
    counts = RefusalCounts(addresses_max=10, entries_max=10, network_entries_max=10)
    for number in range(3):
        counts.add(replace(ONE, request_id=f"r-{number}"))
    ((refused, count),) = counts.take(20_000 * 86_400 * SECOND).items()
    assert (refused.request_id, count) == ("r-0", 3)
