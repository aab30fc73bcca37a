"""What nodes say of themselves: equal where they hold the same."""

import asyncio
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from fleetpulse.live.fleet import Fleet
from fleetpulse.live.fleet_hash import fleet_hash
from fleetpulse.model.device import Device
from fleetpulse.model.heartbeat_policy import HeartbeatPolicy
from fleetpulse.model.policy_history import always
from fleetpulse.pipeline import node_state
from memory_service import DAY, NOON, World, beat
from protected_service import client_of
from shared_service import SharedWorld, all_reached


def test_nodes_at_one_position_have_an_equal_hash_and_others_another(tmp_path: Path) -> None:
    async def run() -> None:
        world = SharedWorld(tmp_path)
        first, second = await world.started(node_name="first"), await world.started()
        await first.registry.register_many([Device("press-07")])
        await all_reached(first, second)
        answers = []
        for _ in range(2):
            await beat(first, "press-07")
            await all_reached(first, second)
            for service in (first, second):
                async with client_of(service) as client:
                    answers.append((await client.get("/api/v1/node?hash=true")).json())
        assert answers[0]["hash"] == answers[1]["hash"] != answers[2]["hash"] == answers[3]["hash"]
        assert answers[0]["node"] == "first"
        assert answers[0]["is_shared"]
        assert answers[2]["position"] == answers[3]["position"] == answers[2]["acknowledged"]
        await second.node.stop()
        await first.node.stop()

    asyncio.run(run())


def test_a_node_that_is_alone_says_so(tmp_path: Path) -> None:
    async def run() -> None:
        service = await World(tmp_path).started("press-07")
        async with client_of(service) as client:
            answer = (await client.get("/api/v1/node")).json()
        assert (answer["is_shared"], "hash" in answer) == (False, False)
        assert answer["position"] == answer["acknowledged"] == 1
        await service.node.stop()

    asyncio.run(run())


class SlowHash:
    """Is the hash of a fleet, in a thread, where that may go on."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.began, self.may_end = threading.Event(), threading.Event()
        monkeypatch.setattr(node_state, "fleet_hash", self)

    def __call__(self, fleet: Fleet) -> str:
        self.began.set()
        self.may_end.wait(10)
        return fleet_hash(fleet)


def test_events_are_accepted_while_the_hash_is_taken_and_applied_afterwards(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def run() -> None:
        service = await World(tmp_path).started("press-07", "press-08")
        follower, slow = service.follower, SlowHash(monkeypatch)
        asking = asyncio.create_task(service.node_states.now(is_hash_wanted=True))
        await asyncio.to_thread(slow.began.wait, 10)
        position = follower.position
        await beat(service, "press-07")
        assert follower.is_behind, "what was acknowledged waits until the hash is there"
        reading = asyncio.create_task(service.questions.stats("press-07"))
        await asyncio.sleep(0)
        assert not reading.done()
        slow.may_end.set()
        state = await asking
        assert (state.position, follower.position) == (position, position + 1)
        assert (await reading).uptime == 100
        assert state.hash != (await service.node_states.now(is_hash_wanted=True)).hash
        await service.node.stop()

    asyncio.run(run())


def test_while_the_thread_does_other_work_events_are_applied(tmp_path: Path) -> None:
    async def run() -> None:
        service = await World(tmp_path).started("press-07")
        may_end = threading.Event()
        occupied = service.node_states.threads.export.submit(may_end.wait, 10)
        asking = asyncio.create_task(service.node_states.now(is_hash_wanted=True))
        for _ in range(10):
            await asyncio.sleep(0)
        await beat(service, "press-07")
        await asyncio.wait_for(service.questions.stats("press-07"), 10)
        assert not occupied.done(), "a step of a backup may take minutes"
        assert not asking.done()
        may_end.set()
        assert (await asking).hash == fleet_hash(service.fleet)
        await service.node.stop()

    asyncio.run(run())


def test_a_hash_that_takes_too_long_holds_nothing_up_any_longer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def run() -> None:
        service = await World(tmp_path).started("press-07")
        monkeypatch.setattr(node_state, "HOLD_S_MAX", 0.0)
        slow = SlowHash(monkeypatch)
        asking = asyncio.create_task(service.node_states.now(is_hash_wanted=True))
        await asyncio.to_thread(slow.began.wait, 10)
        await beat(service, "press-07")
        await asyncio.wait_for(service.questions.stats("press-07"), 10)
        assert not asking.done()
        slow.may_end.set()
        assert (await asking).hash == fleet_hash(service.fleet)
        await service.node.stop()

    asyncio.run(run())


def _resize(fleet: Fleet) -> None:
    fleet.resize(9)


def _set_policy(fleet: Fleet) -> None:
    fleet.set_policy(0, always(HeartbeatPolicy(5, 0)))


def _add_closed_minutes(fleet: Fleet) -> None:
    fleet.add_closed_minutes(np.array([0], np.uint32), np.array([1], np.int32))


def _open_days(fleet: Fleet) -> None:
    fleet.advance(NOON + 3 * DAY)


@pytest.mark.parametrize("change", [_resize, _set_policy, _add_closed_minutes, _open_days, Fleet.cut])
def test_a_hash_is_taken_again_where_something_could_not_wait(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: Callable[[Fleet], None]
) -> None:
    async def run() -> None:
        service = await World(tmp_path).started("press-07")
        await beat(service, "press-07")
        slow, hashes = SlowHash(monkeypatch), []

        def counted(fleet: Fleet) -> str:
            hashes.append(slow(fleet))
            if len(hashes) == 1:
                raise IndexError("what was read is half of this and half of that")
            return hashes[-1]

        monkeypatch.setattr(node_state, "fleet_hash", counted)
        asking = asyncio.create_task(service.node_states.now(is_hash_wanted=True))
        await asyncio.to_thread(slow.began.wait, 10)
        change(service.fleet)
        slow.may_end.set()
        assert (await asking).hash == fleet_hash(service.fleet)
        assert len(hashes) == 2
        await service.node.stop()

    asyncio.run(run())
