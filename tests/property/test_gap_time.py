"""Time in gaps, against a model that keeps every beat in a list and looks at each moment by itself."""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from fleetpulse.aggregate.policy_table import PolicyTable
from fleetpulse.aggregate.spans import spans_of
from fleetpulse.aggregate.status import Exclusions
from fleetpulse.model.heartbeat_policy import HeartbeatPolicy
from fleetpulse.model.policy_history import PolicyChange, PolicyHistory, in_force
from fleetpulse.model.units import NS_PER_S
from fleetpulse.model.uptime import MEASURES, Measure
from fleetpulse.query.exclusions import Excluded
from fleetpulse.query.gap_time import GapClocks, GapTime

END = 100
MOMENTS_A_S = 2
"""Limits are whole halves of seconds, so that nothing changes inside a moment."""
MOMENT_NS = NS_PER_S // MOMENTS_A_S
SPANS = st.lists(
    st.tuples(st.integers(0, END), st.integers(0, 25)).map(lambda one: (one[0], one[0] + one[1])), max_size=3
)
BEATS = st.lists(st.integers(0, END - 1), max_size=10)
POLICIES = st.builds(HeartbeatPolicy, st.integers(1, 12), st.integers(0, 9), st.sampled_from([1_500, 2_500]))


@st.composite
def histories(draw: st.DrawFn) -> PolicyHistory:
    times = [0, *sorted(draw(st.sets(st.integers(1, END // MOMENTS_A_S), max_size=2)))]
    return tuple(PolicyChange(at_s * NS_PER_S, draw(POLICIES)) for at_s in times)


def limits_at(history: PolicyHistory, moment: int, measure: Measure) -> tuple[int, int]:
    """(first, second) in moments."""
    at_ns = moment * MOMENT_NS
    policy = max((one for one in in_force(history) if one.at_ns <= at_ns), key=lambda one: one.at_ns).policy
    if measure == "availability":
        return (policy.interval_s + policy.grace_s) * MOMENTS_A_S, (policy.interval_s + policy.grace_s) * MOMENTS_A_S
    return policy.interval_s * MOMENTS_A_S, policy.interval_s * policy.factor_thousandths * MOMENTS_A_S // 1_000


def plain(
    beats: Sequence[int], history: PolicyHistory, declared: set[int], blind: set[int], measure: Measure
) -> list[tuple[int, int]]:
    """(down, accountable) of each moment."""
    known = sorted(set(beats))
    found = [(0, 0)] * END
    for start, end in pairwise([*known, END]):
        shown = [0]  # by the clock that stands still, at start, start + 1, …
        for at in range(start, end):
            shown.append(shown[-1] + (at not in declared and at not in blind))
        limits = [limits_at(history, at, measure) for at in range(start, end)]
        is_down = any(after > second for after, (_, second) in zip(shown[1:], limits, strict=True))
        is_gap = any(number + 1 > second for number, (_, second) in enumerate(limits))
        for number, (first, _) in enumerate(limits):
            at = start + number
            if at not in declared:
                down = is_down and at not in blind and shown[number] >= first
                found[at] = int(down), int(not (at in blind and is_gap))
    return found


def moments(spans: Sequence[tuple[int, int]]) -> set[int]:
    return {at for start, end in spans for at in range(start, end)}


DEVICES = st.lists(st.tuples(BEATS, histories(), SPANS), min_size=1, max_size=3)
"""Of each its beats, its policies, and its maintenance."""


@given(DEVICES, SPANS, st.sets(st.integers(0, END), min_size=2, max_size=5), st.sampled_from(MEASURES))
def test_time_in_gaps_is_that_of_a_model_moment_by_moment(
    devices: list[tuple[list[int], PolicyHistory, list[tuple[int, int]]]],
    blind: list[tuple[int, int]],
    edges: set[int],
    measure: Measure,
) -> None:
    count, steps = len(devices), sorted(edges)
    table = PolicyTable.of([history for _, history, _ in devices])
    blind_spans = spans_of((start * MOMENT_NS, end * MOMENT_NS) for start, end in blind)
    of_class = [
        Exclusions(blind_spans, maintenance=spans_of((start * MOMENT_NS, end * MOMENT_NS) for start, end in declared))
        for _, _, declared in devices
    ]
    clocks = GapClocks(Excluded(np.arange(count, dtype=np.int32), of_class), table, np.arange(count))
    time = GapTime(clocks, [edge * MOMENT_NS for edge in steps], measure, lambda: None)
    for place, (beats, _, _) in enumerate(devices):
        known = np.array(sorted(set(beats)), np.int64) * MOMENT_NS
        starts, ends = known, np.append(known[1:], END * MOMENT_NS)[: len(known)]
        if measure == "settled":  # stretches that are no gap are not kept
            kept = table.is_kept(np.full(len(starts), place), starts, ends)
            starts, ends = starts[kept], ends[kept]
        for chosen in (slice(0, None, 2), slice(1, None, 2)):
            time.add(np.full(len(starts[chosen]), place), starts[chosen], ends[chosen])
    first_ns = np.array([min(beats, default=2**40) * MOMENT_NS for beats, _, _ in devices])
    found = time.columns(first_ns)
    for place, (beats, history, declared) in enumerate(devices):
        model = plain(beats, history, moments(declared), moments(blind), measure)
        for step, (start, end) in enumerate(pairwise(steps)):
            expected = [sum(one[column] for one in model[start:end]) * MOMENT_NS for column in (0, 1)]
            assert [int(found.down_ns[place, step]), int(found.accountable_ns[place, step])] == expected
