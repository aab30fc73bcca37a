"""What nodes say of themselves: equal where they hold the same."""

import asyncio
import threading
from pathlib import Path

from fleetpulse.live.fleet_hash import fleet_hash
from fleetpulse.model.device import Device
from memory_service import World, beat
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


def test_events_are_accepted_while_the_hash_is_taken_and_applied_afterwards(tmp_path: Path) -> None:
    async def run() -> None:
        service = await World(tmp_path).started("press-07", "press-08")
        follower, began, may_end = service.follower, threading.Event(), threading.Event()

        def taken() -> None:
            began.set()
            may_end.wait(10)

        occupied = service.node_states.threads.export.submit(taken)
        asking = asyncio.create_task(service.node_states.now(is_hash_wanted=True))
        await asyncio.to_thread(began.wait, 10)
        while follower._hold is None:
            await asyncio.sleep(0)
        position = follower.position
        await beat(service, "press-07")
        assert follower.is_behind, "what was acknowledged waits until the hash is there"
        reading = asyncio.create_task(service.questions.stats("press-07"))
        await asyncio.sleep(0)
        assert not reading.done()
        may_end.set()
        state = await asking
        assert (state.position, follower.position) == (position, position + 1)
        assert (await reading).uptime == 100
        assert state.hash != (await service.node_states.now(is_hash_wanted=True)).hash
        assert occupied.done()
        await service.node.stop()

    asyncio.run(run())


def test_a_hash_is_taken_again_where_something_could_not_wait(tmp_path: Path) -> None:
    async def run() -> None:
        service = await World(tmp_path).started("press-07")
        follower = service.follower
        asking = asyncio.create_task(service.node_states.now(is_hash_wanted=True))
        while follower._hold is None:
            await asyncio.sleep(0)
        follower._hold.is_broken = True
        state = await asking
        assert state.hash == fleet_hash(service.fleet)
        await service.node.stop()

    asyncio.run(run())
