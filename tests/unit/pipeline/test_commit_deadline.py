"""One timer watches all commits, and finds the one that takes too long."""

import asyncio

from fleetpulse.pipeline.commit_deadline import CommitDeadline

TIMEOUT_S = 0.02


def test_a_commit_is_overdue_after_its_own_time_and_told_once() -> None:
    async def play() -> list[float]:
        loop, found = asyncio.get_running_loop(), list[float]()
        deadline = CommitDeadline(TIMEOUT_S, is_excused=lambda: False, overdue=lambda: found.append(loop.time()))
        for _ in range(3):  # commits in time, each begun while the timer of the first runs
            deadline.begin()
            await asyncio.sleep(TIMEOUT_S / 4)
            deadline.end()
        assert not found
        began_s = loop.time()
        deadline.begin()
        while not found:
            await asyncio.sleep(0)
        assert found[0] - began_s >= TIMEOUT_S - 0.001  # the clock of timers is exact to a millisecond
        await asyncio.sleep(2 * TIMEOUT_S)
        deadline.end()
        return found

    assert len(asyncio.run(play())) == 1


def test_one_that_waits_for_another_program_has_its_time_anew() -> None:
    async def play() -> None:
        looks, found = list[bool](), asyncio.Event()

        def is_excused() -> bool:
            looks.append(True)
            return len(looks) < 3

        deadline = CommitDeadline(TIMEOUT_S, is_excused=is_excused, overdue=found.set)
        deadline.begin()
        await asyncio.wait_for(found.wait(), 10)
        assert len(looks) == 3

    asyncio.run(play())
