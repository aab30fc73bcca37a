"""Gaps that were stored before changes of policies were recorded are judged by the policies stored with them."""

import random
from dataclasses import replace

import pytest

from fleetpulse.model.heartbeat_policy import HeartbeatPolicy
from fleetpulse.model.policy_history import SINCE_EVER_NS, PolicyChange, always
from fleetpulse.query.downtime import ended_gaps
from fleetpulse.query.fleet_columns import fleet_columns
from fleetpulse.query.uptime import device_uptime
from fleetpulse.query.window import Window
from one_fleet import SECOND, OneFleet

POLICIES = [HeartbeatPolicy(60, 240), HeartbeatPolicy(60, 60), HeartbeatPolicy(600, 120), HeartbeatPolicy(3_600, 0)]


def migrated(one: OneFleet) -> None:
    """All that is in blocks was stored by a version that knew the latest policy of a device alone."""
    one.checkpoint()
    one.history.manifest = replace(one.history.manifest, beats_exact_from_ns=one.now)


def down_s(one: OneFleet, start: str, device: int = 0) -> tuple[float, float]:
    """Seconds down from a time until now, of the device, and of the devices before it by a question about all."""
    start_ns = one.at(start)
    window = Window(start_ns, one.now)
    answer = device_uptime(one.view(start_ns, device), f"d{device}", window, is_explained=False)
    columns = fleet_columns(one.fleet_view(start_ns), start_ns=start_ns, end_ns=one.now)
    assert answer.down_s is not None
    return float(answer.down_s), columns.time["availability"].down_ns[device] / SECOND


def test_a_gap_of_before_is_judged_by_its_own_policy_and_a_later_one_by_that_of_the_catalog() -> None:
    one = OneFleet(devices=2)
    one.hear("10:00:00", "10:10:00")  # down from 10:05
    one.fleet.set_policy(0, always(HeartbeatPolicy(600, 120)))
    one.hear("10:30:00")  # down from 10:22
    migrated(one)
    one.hear("10:45:00")  # down from 10:42
    assert down_s(one, "09:00:00") == (960.0, 960.0)
    assert one.changes("10:00:01", "10:45:01") == [
        ("10:01:30", "late"), ("10:05:00", "down"), ("10:10:00", "up"),
        ("10:22:00", "down"), ("10:30:00", "up"), ("10:42:00", "down"), ("10:45:00", "up"),
    ]  # fmt: skip
    assert down_s(one, "10:12:00") == (660.0, 660.0)
    assert down_s(one, "10:44:00") == (60.0, 60.0)


def test_what_goes_on_is_judged_by_the_policy_of_the_catalog_and_so_is_what_was_declared_for_the_past() -> None:
    one = OneFleet(devices=1)
    one.hear("10:00:00", "10:10:00")
    migrated(one)
    long = HeartbeatPolicy(3_600, 0)
    one.fleet.set_policy(0, always(long))
    one.move("11:00:00")
    assert down_s(one, "09:00:00") == (300.0, 300.0)
    first, *_ = one.fleet.policies_of(0)
    one.fleet.set_policy(0, (PolicyChange(SINCE_EVER_NS, first.policy), PolicyChange(one.at("10:05:00"), long)))
    assert down_s(one, "09:00:00") == (0.0, 0.0)


def test_a_folder_that_knows_all_changes_is_seen_as_it_is() -> None:
    one = OneFleet(devices=1)
    one.hear("10:00:00", "10:10:00")
    one.checkpoint()
    one.fleet.set_policy(0, always(HeartbeatPolicy(3_600, 0)))
    assert one.view(one.at("09:00:00")).live.policy_table is one.fleet.policies.table
    assert down_s(one, "09:00:00") == (0.0, 0.0)


@pytest.mark.parametrize("seed", range(6))
def test_any_changes_of_before_give_the_time_down_of_each_gap_by_its_own_policy(seed: int) -> None:
    chance = random.Random(seed)
    one = OneFleet(devices=4)
    start_ns = one.now
    latest = dict.fromkeys(range(4), POLICIES[0])
    expected_ns = dict.fromkeys(range(4), 0)
    last_ns: dict[int, int] = {}
    for _ in range(chance.randrange(20, 200)):
        one.now += chance.randrange(1, 1_800) * SECOND
        device = chance.randrange(4)
        if chance.random() < 0.2:
            latest[device] = chance.choice(POLICIES)
            one.fleet.set_policy(device, always(latest[device]))
        if device in last_ns:
            expected_ns[device] += max(0, one.now - last_ns[device] - latest[device].down_after_ns)
        one.beat_at(one.now, device)
        last_ns[device] = one.now
        if chance.random() < 0.1:
            one.fleet.advance(one.now)
            one.checkpoint()
    migrated(one)
    one.now += SECOND
    columns = fleet_columns(one.fleet_view(start_ns), start_ns=start_ns, end_ns=one.now)
    for device, at_ns in last_ns.items():
        expected_ns[device] += max(0, one.now - at_ns - latest[device].down_after_ns)
        view = one.view(start_ns, device)
        assert sum(map(len, ended_gaps(view, start_ns=start_ns)))
        alone = fleet_columns(view, start_ns=start_ns, end_ns=one.now).time["availability"].down_ns
        assert (int(columns.time["availability"].down_ns[device]), int(alone[0])) == (expected_ns[device],) * 2
