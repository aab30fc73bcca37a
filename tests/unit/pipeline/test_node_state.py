"""What nodes say of themselves: equal where they hold the same."""

import asyncio
from pathlib import Path

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
