"""The follower: durable batches into the live fleet."""

import asyncio
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from fleetpulse.errors import DamagedData
from fleetpulse.live.fleet import Fleet
from fleetpulse.live.frozen import PIECE_DEVICES
from fleetpulse.model.events import EventBatch
from fleetpulse.model.heartbeat_policy import HeartbeatPolicy
from fleetpulse.pipeline.follow import APPLY_AT_EVENTS, LATE_PIECE_EVENTS, PIECE_EVENTS, SLICE_S, Follower
from fleetpulse.telemetry.counters import Counters
from memory_service import DAY, NOON


def make_follower(devices: int = 2, **parts: Any) -> Follower:
    follower = Follower(Fleet(policy=HeartbeatPolicy(60, 240)), Counters(), **parts)
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


def test_many_events_are_applied_without_a_read_in_a_later_turn_of_the_loop() -> None:
    calls: list[Callable[[], None]] = []
    follower = make_follower(later=calls.append, monotonic_s=lambda: 0.0)
    follower.follow(heartbeats(*[0] * (APPLY_AT_EVENTS - 1)), 1)
    assert calls == []
    follower.follow(heartbeats(0), 2)
    follower.follow(heartbeats(0), 3)
    assert (len(calls), heard(follower, 0)) == (1, False)
    calls.pop()()
    assert (calls, heard(follower, 0), follower.pending_events) == ([], True, 0)


class SlowClock:
    """Each look at it takes half a slice."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        self.now_s += SLICE_S / 2
        return self.now_s


def test_a_large_batch_is_applied_in_slices_and_who_reads_waits_for_all_of_it() -> None:
    async def test() -> None:
        calls: list[Callable[[], None]] = []
        follower = make_follower(later=calls.append, monotonic_s=SlowClock())
        count = 6 * PIECE_EVENTS + 1
        follower.follow(heartbeats(*[1] * count), 1)
        readers = [asyncio.create_task(follower.caught_up()) for _ in range(2)]
        slices, left = 0, [count]
        while not all(reader.done() for reader in readers):
            await asyncio.sleep(0)
            if calls:
                assert len(calls) == 1  # however many wait, the loop is given one slice a turn
                calls.pop()()
                slices += 1
                left.append(follower.pending_events)
                assert follower.pending_of(1) == follower.pending_events
            await asyncio.sleep(0)
        assert slices == 3
        assert left == [count - 2 * PIECE_EVENTS * done for done in range(4)]
        assert follower.pending_events == 0  # the last piece is small, so the readers applied it themselves
        assert int(follower.fleet.heartbeats[1]) == count

    asyncio.run(test())


def test_blind_spans_are_known_before_they_are_applied() -> None:
    follower = make_follower(later=lambda _: None)
    batch = heartbeats(*[1] * (2 * PIECE_EVENTS))
    batch.blind_ns.extend((10, 20, 30, 40))
    follower.follow(batch, 1)
    assert follower.blind_ns() == [(10, 20), (30, 40)]
    assert follower.pending_events == 2 * PIECE_EVENTS
    follower.catch_up()
    assert follower.blind_ns() == follower.fleet.blind_ns == [(10, 20), (30, 40)]
    correction = heartbeats(1)
    correction.received_at_ns = 35
    correction.correction_ns.extend((15, 35))
    follower.follow(correction, 2)
    spans = follower.blind_ns()
    assert (spans, follower.pending_events) == (follower.fleet.blind_ns, 0)


def test_who_waits_for_a_fleet_that_breaks_is_told() -> None:
    async def test() -> None:
        calls: list[Callable[[], None]] = []
        follower = make_follower(devices=1, later=calls.append)
        follower.follow(heartbeats(*[1_000_000] * (2 * PIECE_EVENTS)), 1)
        reader = asyncio.create_task(follower.caught_up())
        await asyncio.sleep(0)
        with pytest.raises(IndexError):
            calls.pop()()
        with pytest.raises(DamagedData, match="restart"):
            await reader

    asyncio.run(test())


def test_what_comes_in_while_the_fleet_is_frozen_is_applied_when_all_is_copied() -> None:
    """And whoever reads meanwhile finds it, whether it can wait or not."""

    async def test(*, can_wait: bool) -> None:
        turns: list[Callable[[], None]] = []
        follower = make_follower(2 * PIECE_DEVICES + 1, later=turns.append, monotonic_s=SlowClock())
        follower.follow(heartbeats(0, 1), 1)
        freezing = asyncio.create_task(follower.frozen())
        await asyncio.sleep(0)
        turns.pop()()
        follower.follow(heartbeats(1, 2 * PIECE_DEVICES), 2)
        if can_wait:
            reading = asyncio.create_task(follower.caught_up())
            await asyncio.sleep(0)
            assert (follower.is_behind, follower.pending_events) == (True, 2)
            while not reading.done():
                turns.pop()()
                await asyncio.sleep(0)
                await asyncio.sleep(0)
        else:
            follower.catch_up()
            turns.pop()()
        position, frozen = await freezing
        assert (position, frozen.columns["heartbeats"].tolist()) == (1, [1, 1] + [0] * (2 * PIECE_DEVICES - 1))
        assert (follower.pending_events, follower.fleet.heartbeats[: frozen.count].sum()) == (0, 4)

    asyncio.run(test(can_wait=True))
    asyncio.run(test(can_wait=False))


def test_a_tick_puts_off_what_is_much_and_rows_that_came_before_their_day() -> None:
    calls: list[Callable[[], None]] = []
    follower = make_follower(later=calls.append)
    tomorrow = NOON // DAY + 1
    follower.fleet.sparse.mark(np.array([tomorrow]), devices=np.ones(1, np.uint32), minutes_of_day=np.array([3]))
    follower.follow(heartbeats(*[0] * (2 * PIECE_EVENTS - 1)), 1)
    follower.move_on(NOON + DAY)
    assert (heard(follower, 0), follower.fleet.sparse.days) == (False, [tomorrow])
    assert tomorrow in follower.fleet.touched_days(1)
    while calls:
        calls.pop()()
    assert (heard(follower, 0), follower.fleet.sparse.days) == (True, [])
    assert int(follower.fleet.dense[tomorrow].row(1)[0]) == 0b1000


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


def test_a_large_batch_of_late_data_is_applied_in_smaller_pieces() -> None:
    calls: list[Callable[[], None]] = []
    follower = make_follower(later=calls.append, monotonic_s=SlowClock())
    late = heartbeats(*[0] * (4 * LATE_PIECE_EVENTS))
    late.heartbeat_sent_at_ns[7] = NOON - 9 * DAY
    follower.follow(late, 1)
    calls.pop()()
    assert follower.pending_events == 2 * LATE_PIECE_EVENTS
