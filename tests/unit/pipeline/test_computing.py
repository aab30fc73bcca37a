"""Threads that compute take turns: few at once, by rank and time, and nobody waits for ever."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from fleetpulse.pipeline.computing import AHEAD_NS, BIG, EXPORT, SMALL, Computing, Turn, threads_at_once

LONG_S = 60.0
"""Longer than a test takes."""


class Worker:
    """A thread that computes piece after piece, each when it is told to."""

    def __init__(self, computing: Computing, rank: int, pool: ThreadPoolExecutor, order: list[str], name: str) -> None:
        self._go_on = threading.Semaphore(0)
        self._is_over = False
        self._seen = threading.Semaphore(0)
        self._order, self._name = order, name
        self.turn: Turn | None = None
        self.done: Future[None] = pool.submit(self._run, computing, rank)

    def _run(self, computing: Computing, rank: int) -> None:
        with computing.turn(rank) as self.turn:
            while not self._is_over:
                self._order.append(self._name)
                self._seen.release()
                self._go_on.acquire()
                if not self._is_over:
                    self.turn.pass_on()

    def computes(self) -> None:
        """Wait until it computes its next piece."""
        assert self._seen.acquire(timeout=10), f"{self._name} does not compute; {self._order}"

    def next_piece(self) -> None:
        self._go_on.release()

    def end(self) -> None:
        self._is_over = True
        self._go_on.release()


class World:
    """Some workers, and a clock."""

    def __init__(self, count: int = 1, patience_s: float = LONG_S) -> None:
        self.now_ns = 0
        self.order: list[str] = []
        self.computing = Computing(count, monotonic_ns=lambda: self.now_ns, patience_s=patience_s)
        self._pool = ThreadPoolExecutor(8)

    def worker(self, rank: int, name: str) -> Worker:
        return Worker(self.computing, rank, self._pool, self.order, name)

    def waiting(self, name_count: int) -> None:
        """Until so many wait."""
        reached, until_s = threading.Event(), time.monotonic() + 10
        while (
            time.monotonic() < until_s and len(self.computing._waiting) < name_count
        ):  # that a thread waits has no other sign
            reached.wait(0.001)

    def close(self) -> None:
        self._pool.shutdown()


def play(story: Callable[[World], None], **how: float) -> list[str]:
    world = World(**how)  # type: ignore[arg-type]  # a count is whole
    story(world)
    world.close()
    return world.order


def test_a_small_question_goes_before_a_big_one_and_that_before_an_export() -> None:
    def story(world: World) -> None:
        big = world.worker(BIG, "big")
        big.computes()
        export = world.worker(EXPORT, "export")
        world.waiting(1)
        small = world.worker(SMALL, "small")
        world.waiting(2)
        big.next_piece()
        small.computes()
        small.next_piece()  # nobody comes before it
        small.computes()
        small.end()
        big.computes()
        big.end()
        export.computes()
        export.end()

    assert play(story) == ["big", "small", "small", "big", "export"]


def test_time_brings_a_big_question_its_turn_among_small_ones() -> None:
    def story(world: World) -> None:
        small = world.worker(SMALL, "small")
        small.computes()
        big = world.worker(BIG, "big")
        world.waiting(1)
        small.next_piece()
        small.computes()
        world.now_ns = AHEAD_NS
        small.next_piece()
        big.computes()
        big.end()
        small.computes()
        small.end()

    assert play(story) == ["small", "small", "big", "small"]


def test_as_many_compute_at_once_as_may() -> None:
    def story(world: World) -> None:
        workers = [world.worker(BIG, name) for name in "ab"]
        for worker in workers:
            worker.computes()
        third = world.worker(SMALL, "c")
        world.waiting(1)
        workers[0].end()
        third.computes()
        for worker in (workers[1], third):
            worker.end()

    assert sorted(play(story, count=2)) == ["a", "b", "c"]


def test_whoever_waits_too_long_goes_on_beside_a_thread_that_waits_itself() -> None:
    def story(world: World) -> None:
        blocked = world.worker(BIG, "blocked")
        blocked.computes()
        other = world.worker(BIG, "other")
        other.computes()
        blocked.next_piece()  # it has lost its turn
        other.end()
        blocked.computes()
        blocked.end()

    assert play(story, patience_s=0.02) == ["blocked", "other", "blocked"]


def test_a_turn_ends_with_an_error_too() -> None:
    computing = Computing(1)
    with pytest.raises(RuntimeError, match="broken"), computing.turn(BIG):
        raise RuntimeError("broken")
    with computing.turn(BIG) as turn:
        turn.pass_on()


@pytest.mark.parametrize(("processors", "threads"), [(1, 1), (2, 1), (3, 1), (4, 2), (64, 32)])
def test_half_of_the_processors_are_for_the_loop(
    processors: int, threads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda _: set(range(processors)), raising=False)
    assert threads_at_once() == threads
