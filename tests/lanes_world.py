"""Lanes with a clock set by hand and threads that work when they are told."""

import asyncio
from collections.abc import Awaitable, Callable
from concurrent.futures import Executor, Future
from typing import Any

from fleetpulse.pipeline.asker import Asker, set_asker
from fleetpulse.pipeline.lanes import Lane, LaneName, Lanes
from fleetpulse.telemetry.counters import Counters

SECOND = 1_000_000_000


class Threads(Executor):
    """Work that a test ends when it likes."""

    def __init__(self) -> None:
        self.begun: list[tuple[Callable[[], Any], Future[Any]]] = []

    def submit(self, work: Callable[..., Any], /, *_: Any, **__: Any) -> "Future[Any]":
        self.begun.append((work, Future()))
        self.begun[-1][1].set_running_or_notify_cancel()
        return self.begun[-1][1]

    def end(self) -> None:
        """End the oldest work."""
        work, future = self.begun.pop(0)
        try:
            future.set_result(work())
        except ValueError as error:
            future.set_exception(error)


class World:
    """Two lanes, what was answered, and a clock that only tests move."""

    def __init__(self, *, running_max: int = 1, waiting_max: int = 100) -> None:
        self.small, self.big = Threads(), Threads()
        self.now_ns = 0
        self.counters = Counters()
        self.lanes = Lanes(
            (
                Lane("small", self.small, running_max=running_max, waiting_max=waiting_max, aside_max=2),
                Lane("big", self.big, running_max=running_max, waiting_max=waiting_max),
            ),
            counters=self.counters,
            timeout_s=30,
            monotonic_ns=lambda: self.now_ns,
        )
        self.answered: list[str] = []

    def ask(
        self, client: str, name: str = "", lane: LaneName = "big", asker: Asker | None = None
    ) -> "asyncio.Task[Any]":
        """Ask a question, which is answered with `name`."""

        async def question() -> str:
            set_asker(asker or Asker(client))
            async with self.lanes.turn(lane) as ticket:
                found = await self.lanes.run(ticket, lambda: name or client)
            self.answered.append(found)
            return found

        return asyncio.get_running_loop().create_task(question())

    async def end(self, threads: Threads) -> None:
        """End the oldest work of the threads, and let its question be answered."""
        threads.end()
        await settle()


async def settle() -> None:
    """Let all tasks go on until they wait."""
    for _ in range(5):
        await asyncio.sleep(0)


def run(test: Callable[[World], Awaitable[None]], **limits: int) -> None:
    """Run a test with lanes of these limits."""

    async def life() -> None:
        await test(World(**limits))

    asyncio.run(life())
