"""When a heartbeat policy takes effect."""

import pytest

from fleetpulse.model.heartbeat_policy import HeartbeatPolicy
from fleetpulse.model.policy_history import SINCE_EVER_NS, PolicyChange, always, in_force
from fleetpulse.model.units import NS_PER_S


def policy(interval_s: int) -> HeartbeatPolicy:
    return HeartbeatPolicy(interval_s, 30)


@pytest.mark.parametrize(
    ("declared", "effects"),
    [
        ([(0, 60)], [(None, 60)]),
        ([(0, 60), (100, 90)], [(None, 60), (100, 90)]),
        ([(0, 60), (100, 10)], [(None, 60), (110, 10)]),
        # What has not taken effect when the next one is declared never does.
        ([(0, 60), (100, 10), (105, 60)], [(None, 60), (105, 60)]),
        ([(0, 60), (100, 10), (105, 30)], [(None, 60), (135, 30)]),
        ([(0, 60), (100, 10), (111, 30)], [(None, 60), (110, 10), (111, 30)]),
    ],
)
def test_a_shorter_interval_takes_effect_one_interval_later(
    declared: list[tuple[int, int]], effects: list[tuple[int | None, int]]
) -> None:
    history = tuple(PolicyChange(at_s * NS_PER_S, policy(interval_s)) for at_s, interval_s in declared)
    found = [(change.at_ns, change.policy.interval_s) for change in in_force(history)]
    assert found == [(SINCE_EVER_NS if at_s is None else at_s * NS_PER_S, interval_s) for at_s, interval_s in effects]


def test_a_policy_that_never_changed_holds_since_ever() -> None:
    assert in_force(always(policy(60))) == [PolicyChange(SINCE_EVER_NS, policy(60))]
