import asyncio
from pathlib import Path

from memory_service import World


def test_a_tick_settles_counts_and_begins_what_is_due(tmp_path: Path) -> None:
    async def life() -> None:
        service = await World(tmp_path).started("d0")
        rounds, requests = service.node.telemetry_rounds, service.counters.requests
        requests.answered({b"heartbeat": [0.0]}, 204)
        assert requests._batches
        rounds.settle()
        assert not requests._batches
        await rounds.end()
        rounds.tick()
        await service.node.stop()

    asyncio.run(life())
