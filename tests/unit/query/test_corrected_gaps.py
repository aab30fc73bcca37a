"""Gaps of a time for which a shorter policy was declared afterwards, against the beats themselves."""

from collections.abc import Iterable
from itertools import pairwise

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from examples import examples
from fleetpulse.model.device_spans import DeviceSpans
from fleetpulse.model.heartbeat_policy import HeartbeatPolicy
from fleetpulse.model.policy_history import SINCE_EVER_NS, PolicyChange, PolicyHistory
from fleetpulse.model.units import NS_PER_S
from fleetpulse.query.corrected_gaps import CorrectedGaps, corrected_time
from fleetpulse.query.view import FleetView
from one_fleet import OneFleet

LONG, SHORT = HeartbeatPolicy(3_600, 3_600), HeartbeatPolicy(300, 300)
LONG_S, SHORT_S = 5_400, 450
DAY_S = 86_400


def corrected(one: OneFleet, start_s: int, declared_s: int) -> PolicyHistory:
    """A history in which the short policy was declared for a time that was past."""
    day_ns = one.at("00:00:00")
    declared_ns = day_ns + declared_s * NS_PER_S
    return PolicyChange(SINCE_EVER_NS, LONG), PolicyChange(day_ns + start_s * NS_PER_S, SHORT, declared_ns)


def fleet(beats: list[int], start_s: int, declared_s: int) -> OneFleet:
    """Devices 0 and 1 with the same beats (seconds of the day); the policy of 1 was corrected."""
    one = OneFleet(interval_s=3_600, grace_s=3_600, devices=2)
    one.fleet.advance(one.at("00:00:00"))
    for at_s in beats:
        one.now = one.at("00:00:00") + at_s * NS_PER_S
        for device in range(2):
            one.beat_at(one.now, device)
    one.now = one.at("00:00:00") + DAY_S * NS_PER_S - 1
    one.fleet.set_policy(1, corrected(one, start_s, declared_s))
    return one


def found(one: OneFleet, view: FleetView, stored: Iterable[tuple[int, int]], start_s: int, end_s: int) -> list[object]:
    day_ns = one.at("00:00:00")
    gaps = CorrectedGaps(view, day_ns + start_s * NS_PER_S, day_ns + end_s * NS_PER_S)
    for first, last in stored:
        edges_ns = (np.array([day_ns + at_s * NS_PER_S] * 2) for at_s in (first, last))
        gaps.see(DeviceSpans(np.arange(2, dtype=np.uint32), *edges_ns))
    return [
        (device, (first_ns - day_ns) // NS_PER_S, (last_ns - day_ns) // NS_PER_S)
        for piece in gaps.found()
        for device, first_ns, last_ns in zip(
            piece.devices.tolist(), piece.start_ns.tolist(), piece.end_ns.tolist(), strict=True
        )
    ]


def test_only_corrected_devices_and_only_the_time_until_the_declaration_are_known_by_minutes() -> None:
    one = fleet([36_030, 37_210, 37_500, 45_000, 46_000, 47_000], 36_000, 46_500)
    view = one.fleet_view(one.at("00:00:00"))
    time = corrected_time(view, start_ns=0, end_ns=view.now_ns)
    assert time.places.tolist() == [1]
    assert ((time.end_ns - one.at("00:00:00")) // NS_PER_S).tolist() == [46_500]
    gap = (1, 36_060, 37_200)
    # The gap of more than two hours was kept, and what ended after the declaration was kept, too.
    assert found(one, view, [(37_500, 45_000), (46_000, 47_000)], 0, DAY_S) == [gap, (1, 45_060, 45_960)]
    assert found(one, view, [(37_500, 45_000), (46_000, 47_000)], 37_100, 40_000) == [gap]
    assert found(one, view, [], 40_000, 40_001) == [(1, 37_560, 45_000)]


def test_where_nothing_was_corrected_there_is_nothing_to_derive() -> None:
    one = OneFleet(devices=2)
    gaps = CorrectedGaps(one.fleet_view(0), 0, one.now)
    assert (gaps.exact_from_ns, list(gaps.found())) == (0, [])


@settings(max_examples=examples(40), deadline=None)
@given(
    st.lists(st.integers(1, DAY_S - 120), max_size=10).map(sorted),
    st.tuples(st.integers(1, DAY_S), st.integers(1, DAY_S)).map(sorted),
    st.tuples(st.integers(0, DAY_S - 1), st.integers(0, DAY_S - 1)).map(sorted),
)
def test_the_gaps_are_those_between_minutes_that_were_not_stored(
    beats: list[int], span: list[int], window: list[int]
) -> None:
    one = fleet(beats, *span)
    first_s = max(span[0] + 300, window[0])
    stored = [
        (first, last) for first, last in pairwise(beats) if last - first > (SHORT_S if last > span[1] else LONG_S)
    ]
    expected = []
    for first, last in pairwise(sorted({at_s // 60 for at_s in beats})):
        start, end = (first + 1) * 60, last * 60
        is_stored = any(a < end and start < b for a, b in stored)
        is_touched = start < min(window[1], span[1]) and first_s < end and first_s < min(window[1], span[1])
        if not is_stored and is_touched and min(end, span[1]) - start > SHORT_S:
            expected.append((1, start, end))
    for view in (one.fleet_view(one.at("00:00:00")), one.view(one.at("00:00:00"), 1)):
        assert found(one, view, stored, *window) == expected
    assert found(one, one.view(one.at("00:00:00"), 0), stored, *window) == []
