"""Large answers keep the turns of their questions until they are bytes."""

import asyncio
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from functools import wraps

import pytest

from fleetpulse.errors import QuestionStopped
from fleetpulse.pipeline.asker import Asker, set_asker
from fleetpulse.pipeline.kept_turns import keep_turn
from fleetpulse.pipeline.lanes import Lane, Lanes
from fleetpulse.query.answer_size import PIECE_ITEMS, bytes_of
from fleetpulse.query.budget import QuestionMemory
from fleetpulse.telemetry.counters import Counters


def in_loop(test: Callable[[], Coroutine[None, None, None]]) -> Callable[[], None]:
    """A test that runs in an event loop of its own."""

    @wraps(test)
    def run() -> None:
        asyncio.run(test())

    return run


LARGE = list(range(PIECE_ITEMS + 1))


class World:
    """A lane, the memory of all questions, and a client."""

    def __init__(self) -> None:
        self.thread = ThreadPoolExecutor(1)
        self.memory = QuestionMemory(1)
        self.lanes = Lanes(
            (Lane("big", self.thread, running_max=1, waiting_max=8),),
            counters=Counters(),
            timeout_s=60,
            monotonic_ns=lambda: 0,
        )
        self.has_left = threading.Event()
        self.asker = Asker("a", self.has_left.is_set, keeps_turns=True)
        set_asker(self.asker)

    @property
    def running(self) -> float:
        return self.lanes.running()["big"]

    async def ask(self, answer: object) -> None:
        async with self.lanes.turn("big") as ticket:
            keep_turn(self.lanes, ticket, self.memory, answer, nullcontext)


@in_loop
async def test_a_large_answer_keeps_its_turn_and_its_memory_until_it_is_bytes() -> None:
    world = World()
    await world.ask(LARGE)
    assert world.running == 1
    assert world.memory.taken_bytes == bytes_of(LARGE) > world.memory.bytes_max
    assert world.asker.kept
    assert await world.asker.kept.run(lambda: threading.current_thread() is not threading.main_thread())
    assert (world.running, world.memory.taken_bytes) == (0, 0)
    world.asker.end_turn()
    assert (world.running, world.memory.taken_bytes) == (0, 0)


@in_loop
async def test_a_short_answer_and_one_that_nobody_ends_keep_nothing() -> None:
    world = World()
    await world.ask([1, 2])
    assert (world.running, world.asker.kept) == (0, None)
    set_asker(Asker("a"))
    await world.ask(LARGE)
    assert (world.running, world.memory.taken_bytes) == (0, 0)


@in_loop
async def test_a_further_question_for_the_same_answer_ends_the_turn_before() -> None:
    world = World()
    await world.ask(LARGE)
    await world.ask([1])
    assert (world.running, world.memory.taken_bytes) == (0, 0)


@in_loop
async def test_nothing_is_made_for_a_client_that_has_left() -> None:
    world = World()
    await world.ask(LARGE)
    world.has_left.set()
    assert world.asker.kept
    with pytest.raises(QuestionStopped, match="nobody waits"):
        await world.asker.kept.run(lambda: pytest.fail("it was made"))
    assert (world.running, world.memory.taken_bytes) == (0, 0)


@in_loop
async def test_an_answer_that_takes_too_long_keeps_the_place_of_its_thread_until_that_has_ended() -> None:
    world = World()
    await world.ask(LARGE)
    go_on = threading.Event()
    assert world.asker.kept
    task = asyncio.create_task(world.asker.kept.run(go_on.wait))
    await asyncio.sleep(0)
    world.has_left.set()
    with pytest.raises(QuestionStopped):
        await task
    assert world.running == 1
    go_on.set()
    while world.running:
        await asyncio.sleep(0)
