"""When keys were last used, over a service in memory."""

import asyncio
from pathlib import Path

from fleetpulse.ingest.key_declarations import KeyWish
from fleetpulse.pipeline.service import Service
from memory_service import World

MINUTE = 60


async def used(service: Service) -> list[int]:
    """Of keys 1 and 2: in which minute they were used, as the catalog has it; without those that are 0 at the end."""
    return (await service.catalog_thread.run(service.catalog.keys.used_minutes)).tolist()[1:3]


def test_the_last_use_is_written_once_in_a_while_and_at_the_end(tmp_path: Path) -> None:
    async def run() -> None:
        world = World(tmp_path)
        service = await world.started("a", key_use_s=60.0)
        wishes = [KeyWish(role="device", device_id="a")] * 2
        first, second = [
            text.encode() for _, text in await service.key_ring.make_all(wishes, principal=None, is_confirmed=True)
        ]
        use, gate = service.node.key_use, service.gate
        numbers = [
            key.number
            for key in await service.key_ring.page(
                after=0, count=9, role="device", device_ids=[], is_revoked_included=False
            )
        ]
        assert numbers == [2, 3]

        async def minutes() -> list[int]:
            await use.write()
            found = (await service.catalog_thread.run(service.catalog.keys.used_minutes)).tolist()
            return found[2:4]

        assert await minutes() == []
        gate.set_time(100 * MINUTE)
        assert gate.refusal_of(first, 0) is None
        transactions = service.catalog.transactions()
        assert await minutes() == [100, 0]
        assert gate.refusal_of(second, 0) is None  # later in the same minute
        assert await minutes() == [100, 100]
        gate.set_time(101 * MINUTE)
        assert gate.refusal_of(second, 0) is None
        assert service.catalog.transactions() - transactions <= 3
        await service.node.stop()  # writes it
        again = await world.started("a")
        assert [again.key_ring.used_minute(number) for number in numbers] == [100, 101]
        await again.key_ring.revoke(2, principal=None)
        await again.node.key_use.write()
        await again.node.stop()

    asyncio.run(run())


def test_writing_begins_when_its_time_has_come(tmp_path: Path) -> None:
    async def run() -> None:
        world = World(tmp_path)
        service = await world.started("a", key_use_s=60.0)
        wishes = [KeyWish(role="read")]
        ((key, text),) = await service.key_ring.make_all(wishes, principal=None, is_confirmed=True)
        number = key.number
        use, gate = service.node.key_use, service.gate
        use.tick()
        await asyncio.sleep(0)
        gate.set_time(100 * MINUTE)
        gate.principal(text.encode())
        use.tick()
        assert use._task is not None
        await use._task
        assert (await service.catalog_thread.run(service.catalog.keys.used_minutes)).tolist()[number:][:1] in ([], [0])
        world.clock.ns += 60 * 10**9
        use.tick()
        assert use._task is not None
        await use._task
        used = (await service.catalog_thread.run(service.catalog.keys.used_minutes)).tolist()
        assert used[number] == 100
        await service.node.stop()

    asyncio.run(run())
