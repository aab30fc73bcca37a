"""A service in memory with keys, for tests."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from fleetpulse.ingest.key_declarations import KeyWish
from fleetpulse.pipeline.service import Service
from memory_service import World


def live(folder: Path, *lives: Callable[[Service], Awaitable[None]], **settings: Any) -> None:
    """Run services on the same folder, one after the other; each ends as by a crash, but for what must be closed."""

    async def run() -> None:
        world = World(folder)
        for life in lives:
            service = await world.started("a", "b", **settings)
            await life(service)
            await service.node.stop()

    asyncio.run(run())


def is_let_in(service: Service, text: str, device: int | None = None) -> bool:
    return service.gate.refusal_of(text.encode(), device) is None


async def add(service: Service, *wishes: KeyWish) -> list[str]:
    made = await service.key_ring.make_all(wishes, principal=None, is_confirmed=True)
    return [text for _, text in made]
