"""Histories of policies in codes, and the gaps that they let a fleet keep."""

import numpy as np

from fleetpulse.live.fleet import Fleet
from fleetpulse.live.policies import LOOK_FOR_UNUSED_AT, FleetPolicies
from fleetpulse.model.heartbeat_policy import HeartbeatPolicy
from fleetpulse.model.policy_history import SINCE_EVER_NS, PolicyChange, always
from fleetpulse.model.units import NS_PER_S

MINUTE_NS = 60 * NS_PER_S
USUAL = HeartbeatPolicy(60, 240)


def changed(at_ns: int, interval_s: int) -> tuple[PolicyChange, ...]:
    return PolicyChange(SINCE_EVER_NS, USUAL), PolicyChange(at_ns, HeartbeatPolicy(interval_s, 240))


def ended(known: FleetPolicies, code: int, *seconds: int) -> list[tuple[int, int, int]]:
    """(start, end, interval) of the gaps between receptions of a device at these seconds, in s."""
    last, *received = (np.array([second * NS_PER_S]) for second in seconds)
    at_ns = np.concatenate(received)
    codes, devices = np.array([code], np.uint32), np.zeros(len(at_ns), np.uint32)
    found = known.ended_gaps(codes, devices, at_ns, last_ns=np.repeat(last, len(at_ns)))
    if found is None:
        return []
    return list(
        zip(
            (found.start_ns // NS_PER_S).tolist(),
            (found.end_ns // NS_PER_S).tolist(),
            found.interval_s.tolist(),
            strict=True,
        )
    )


def test_a_gap_is_kept_where_it_is_too_long_for_the_policy_in_force_in_some_part_of_it() -> None:
    known = FleetPolicies(USUAL)
    longer, shorter = known.code_of(changed(1_000 * NS_PER_S, 600)), known.code_of(changed(1_000 * NS_PER_S, 10))
    assert ended(known, 0, 950, 1_040, 1_131) == [(1_040, 1_131, 60)]
    assert ended(known, longer, 900, 1_200, 2_030) == [(900, 1_200, 600)]
    assert ended(known, longer, 920, 1_200, 2_030) == []
    # The former one holds for one new interval more.
    assert ended(known, shorter, 940, 1_009, 1_024) == []
    assert ended(known, shorter, 940, 1_011, 1_027) == [(940, 1_011, 10), (1_011, 1_027, 10)]


def test_devices_with_equal_histories_share_a_code() -> None:
    known = FleetPolicies(USUAL)
    assert known.code_of(always(HeartbeatPolicy(60, 240))) == 0
    assert known.code_of(changed(5, 10)) == known.code_of(changed(5, 10)) == 1
    assert known.code_of(changed(6, 10)) == 2
    assert known.different == {USUAL, HeartbeatPolicy(10, 240)}


def test_histories_that_no_device_has_any_more_are_forgotten() -> None:
    fleet = Fleet(policy=USUAL)
    fleet.resize(3)
    fleet.set_policy(2, changed(1, 30))
    for at_ns in range(2, 3 * LOOK_FOR_UNUSED_AT):
        fleet.set_policy(0, (last := changed(at_ns, 10)))
    assert len(fleet.policies.histories) <= LOOK_FOR_UNUSED_AT
    assert [fleet.policies_of(device) for device in range(3)] == [last, always(USUAL), changed(1, 30)]
    table = fleet.policies.table
    pieces = table.in_force(fleet.policy_codes[:3].astype(np.int64), np.full(3, MINUTE_NS))
    assert (table.interval_ns[pieces] // NS_PER_S).tolist() == [10, 60, 30]


def test_the_default_is_set_before_devices_have_a_history() -> None:
    known = FleetPolicies(USUAL)
    known.set_default(changed(100 * NS_PER_S, 600))
    assert ended(known, 0, 200, 1_000) == []
    assert known.different == {HeartbeatPolicy(600, 240)}
