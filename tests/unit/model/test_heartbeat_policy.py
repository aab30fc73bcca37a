from hypothesis import given
from hypothesis import strategies as st

from fleetpulse.model.heartbeat_policy import HeartbeatPolicy

SECOND = 1_000_000_000


def test_a_device_is_late_after_an_interval_and_a_half_and_down_after_interval_and_grace() -> None:
    policy = HeartbeatPolicy(interval_s=60, grace_s=240)
    assert (policy.late_after_ns, policy.down_after_ns) == (90 * SECOND, 300 * SECOND)
    assert HeartbeatPolicy(interval_s=7, grace_s=100).late_after_ns == 10_500_000_000


@given(st.integers(1, 86_400), st.integers(0, 604_800))
def test_a_device_is_never_late_later_than_it_is_down(interval_s: int, grace_s: int) -> None:
    policy = HeartbeatPolicy(interval_s, grace_s)
    assert interval_s * SECOND <= policy.late_after_ns <= policy.down_after_ns
