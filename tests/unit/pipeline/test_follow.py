"""The follower: durable batches into the live fleet."""

import pytest

from fleetpulse.errors import DamagedData
from fleetpulse.live.fleet import Fleet
from fleetpulse.model.events import EventBatch
from fleetpulse.model.heartbeat_policy import HeartbeatPolicy
from fleetpulse.pipeline.follow import APPLY_AT_EVENTS, Follower
from fleetpulse.telemetry.counters import Counters
from memory_service import DAY, NOON


def make_follower(devices: int = 2) -> Follower:
    follower = Follower(Fleet(policy=HeartbeatPolicy(60, 240)), Counters())
    follower.fleet.resize(devices)
    follower.advance(NOON)
    return follower


def heartbeats(*devices: int) -> EventBatch:
    batch = EventBatch()
    batch.heartbeat_devices.extend(devices)
    batch.heartbeat_sent_at_ns.extend([NOON] * len(devices))
    batch.received_at_ns = NOON
    return batch


def heard(follower: Follower, device: int) -> bool:
    return int(follower.fleet.last_received_ns[device]) == NOON


def test_a_batch_is_applied_with_the_next_read() -> None:
    follower = make_follower()
    follower.follow(heartbeats(1, 1), 1)
    assert (follower.position, follower.pending_events, heard(follower, 1)) == (1, 2, False)
    assert (follower.pending_of(1), follower.pending_of(0)) == (2, 0)
    follower.catch_up()
    assert (follower.pending_events, heard(follower, 1), heard(follower, 0)) == (0, True, False)


def test_many_events_are_applied_without_a_read() -> None:
    follower = make_follower()
    follower.follow(heartbeats(*[0] * (APPLY_AT_EVENTS - 1)), 1)
    assert not heard(follower, 0)
    follower.follow(heartbeats(0), 2)
    assert heard(follower, 0)


def test_what_is_pending_is_applied_before_a_new_day_is_opened() -> None:
    follower = make_follower()
    follower.follow(heartbeats(0), 1)
    follower.advance(NOON + DAY)
    assert heard(follower, 0)
    assert NOON // DAY + 1 in follower.fleet.dense


def test_a_fleet_that_was_half_applied_is_never_read_again() -> None:
    follower = make_follower(devices=1)
    follower.follow(heartbeats(1_000_000), 1)  # a device that the fleet has no row for
    with pytest.raises(IndexError):
        follower.catch_up()
    with pytest.raises(DamagedData, match="restart"):
        follower.catch_up()
