"""Runs of slots say the same as slots one by one, for one class of devices and for many."""

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleetpulse.aggregate.slot_runs import ClassRuns, ClassSweep, class_runs
from fleetpulse.aggregate.spans import spans_of
from fleetpulse.model.units import NS_PER_MINUTE
from fleetpulse.model.uptime import BLIND, DELETED, DOWN, MAINTENANCE, PAUSED, REASONS

FIRST = 29_000_000
KINDS = {"blind": BLIND, "maintenance": MAINTENANCE, "paused": PAUSED, "deleted": DELETED}
PAIRS = st.lists(st.tuples(st.integers(-40, 400), st.integers(-40, 400)), max_size=4)
Pairs = dict[str, list[tuple[int, int]]]
EXCLUDED = st.fixed_dictionaries(dict.fromkeys(KINDS, PAIRS))


def runs_of(*classes: Pairs, slot: int, count: int) -> ClassRuns:
    """Runs of classes with spans in quarters of a minute since the first slot."""
    origin_ns, quarter_ns = FIRST * NS_PER_MINUTE, NS_PER_MINUTE // 4
    kinds: dict[int, Any] = {}
    for name, reason in KINDS.items():
        of_class = [
            spans_of((origin_ns + start * quarter_ns, origin_ns + end * quarter_ns) for start, end in pairs[name])
            for pairs in classes
        ]
        kinds[reason] = np.repeat(np.arange(len(classes)), list(map(len, of_class))), np.concatenate(of_class)
    return class_runs(kinds, classes=len(classes), start_ns=origin_ns, slot_ns=slot * NS_PER_MINUTE, count=count)


def row(runs: ClassRuns, first: int, last: int, code: int = 0) -> list[int]:
    (found,) = runs.between(np.array([code]), first, last).tolist()
    return list(found)


def slots_of(pairs: Pairs, *, slot: int, count: int) -> list[int]:
    """The same, quarter by quarter."""
    slots = [DOWN] * count
    for name, reason in KINDS.items():
        for start, end in pairs[name]:
            for quarter in range(start, end):
                if 0 <= quarter // (4 * slot) < count:
                    slots[quarter // (4 * slot)] = reason
    # The later kinds go before the earlier ones, whatever order their spans have.
    return slots


@given(st.lists(EXCLUDED, min_size=1, max_size=4), st.sampled_from([1, 2, 5]), st.integers(0, 60))
def test_runs_say_what_slots_one_by_one_say(classes: list[Pairs], slot: int, count: int) -> None:
    runs = runs_of(*classes, slot=slot, count=count)
    assert runs.starts[runs.edges[:-1]].tolist() == [0] * len(classes)
    places = np.arange(count + 1)
    for code, pairs in enumerate(classes):
        slots = slots_of(pairs, slot=slot, count=count)
        for first in range(0, count, 7):
            for last in range(first + 1, count + 1, 5):
                assert row(runs, first, last, code) == slots[first:last]
        for reason in range(len(REASONS)):
            before = [slots[:place].count(reason) for place in places]
            assert runs.before(reason, np.full(1, code), places).tolist() == before
    codes = np.arange(len(classes))
    if count:
        assert runs.between(codes, 0, count).tolist() == [slots_of(one, slot=slot, count=count) for one in classes]


@given(st.lists(EXCLUDED, min_size=1, max_size=5), st.integers(1, 60), st.data())
def test_a_sweep_says_of_all_classes_what_the_runs_of_each_say(
    classes: list[Pairs], count: int, data: st.DataObject
) -> None:
    sweep = ClassSweep(runs_of(*classes, slot=1, count=count))
    edges = sorted(data.draw(st.sets(st.integers(0, count), min_size=2)))[:12] if count else []
    for first, last in pairwise(edges):
        expected = [slots_of(pairs, slot=1, count=count)[first:last] for pairs in classes]
        for _ in range(2):
            assert sweep.is_all(DOWN, first, last) == all(reason == DOWN for row in expected for reason in row)
            rows, of_class = sweep.between(first, last)
            assert rows[of_class].tolist() == expected


def test_a_pause_goes_before_maintenance_and_maintenance_before_blind_time() -> None:
    quarters = {"blind": [(4, 8), (12, 16), (20, 24)], "maintenance": [(12, 24)], "paused": [(20, 24)], "deleted": []}
    runs = runs_of(quarters, slot=2, count=5)
    assert [REASONS[code] for code in row(runs, 0, 5)] == ["blind", "maintenance", "paused", "down", "down"]


def test_ten_years_of_minutes_take_a_few_bytes_and_a_sweep_does_not_go_back() -> None:
    runs = runs_of(
        {"blind": [(40, 80)], "maintenance": [], "paused": [(4 * 10**6, 2 * 10**7)], "deleted": []},
        slot=1,
        count=5 * 10**6,
    )
    assert runs.starts.nbytes < 100
    sweep = ClassSweep(runs)
    assert not sweep.is_all(DOWN, 1_000_000, 1_001_440)
    with pytest.raises(ValueError, match="in their order"):
        sweep.between(0, 1_440)
