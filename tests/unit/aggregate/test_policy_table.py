"""Policies in force, against a search moment by moment."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from fleetpulse.aggregate.policy_table import PolicyTable
from fleetpulse.model.heartbeat_policy import HeartbeatPolicy
from fleetpulse.model.policy_history import PolicyChange, PolicyHistory, in_force
from fleetpulse.model.units import NS_PER_S

POLICIES = st.builds(HeartbeatPolicy, st.integers(1, 12), st.integers(0, 9), st.sampled_from([1_100, 1_500, 3_000]))


@st.composite
def histories(draw: st.DrawFn) -> PolicyHistory:
    times = [0, *sorted(draw(st.sets(st.integers(1, 60), max_size=3)))]
    return tuple(PolicyChange(at_s * NS_PER_S, draw(POLICIES)) for at_s in times)


@given(st.lists(histories(), min_size=1, max_size=3), st.lists(st.tuples(st.integers(0, 60), st.integers(1, 40))))
def test_a_stretch_is_kept_where_it_is_too_long_at_some_moment(
    every: list[PolicyHistory], stretches: list[tuple[int, int]]
) -> None:
    table = PolicyTable.of(every)
    for code, history in enumerate(every):
        starts = np.array([start for start, _ in stretches], np.int64) * NS_PER_S
        ends = starts + np.array([length for _, length in stretches], np.int64) * NS_PER_S
        found = table.is_kept(np.full(len(stretches), code), starts, ends)
        assert found.tolist() == [
            is_too_long(history, start, end) for start, end in zip(starts.tolist(), ends.tolist(), strict=True)
        ]


def is_too_long(history: PolicyHistory, start_ns: int, end_ns: int) -> bool:
    # Moments half a second apart, and just before each of them, since limits are whole tenths of a second.
    for at_ns in range(start_ns, end_ns + 1, NS_PER_S // 10):
        policy = max((one for one in in_force(history) if one.at_ns < at_ns), key=lambda one: one.at_ns).policy
        limit_ns = min(policy.interval_s * policy.factor_thousandths * NS_PER_S // 1_000, policy.down_after_ns)
        if at_ns - start_ns > limit_ns:
            return True
    return False
