import numpy as np

from fleetpulse.aggregate.device_policies import DevicePolicies
from fleetpulse.aggregate.policy_table import PolicyTable
from fleetpulse.model.heartbeat_policy import HeartbeatPolicy
from fleetpulse.model.policy_history import SINCE_EVER_NS, PolicyChange, always
from fleetpulse.model.units import NS_PER_S


def policies() -> DevicePolicies:
    """Device 0 has 60 s, device 1 has 600 s, and 10 s from second 5,000 on; in the capacity there is a third one."""
    changes = (SINCE_EVER_NS, HeartbeatPolicy(600, 600)), (5_000 * NS_PER_S, HeartbeatPolicy(10, 60))
    table = PolicyTable.of([always(HeartbeatPolicy(60, 240)), tuple(PolicyChange(*change) for change in changes)])
    return DevicePolicies(np.array([0, 1, 0], np.uint32), table, table.shortest_ns)


def test_each_stretch_is_judged_by_the_policies_of_its_device() -> None:
    devices = np.array([0, 0, 1, 1, 1], np.uint32)
    start_s = np.array([0, 0, 0, 0, 5_000])
    end_s = np.array([90, 91, 900, 901, 5_026])
    kept = policies().is_kept(devices, start_s * NS_PER_S, end_s * NS_PER_S)
    assert kept.tolist() == [False, True, False, True, True]
    assert policies().shortest_of(devices).tolist() == [90 * NS_PER_S] * 2 + [15 * NS_PER_S] * 3
    assert policies().shortest_ns == 15 * NS_PER_S


def test_a_copy_stays_as_it_is_when_the_codes_change() -> None:
    one = policies()
    copy = one.copied(2)
    one.codes[:] = 1
    assert copy.codes.tolist() == [0, 1]
