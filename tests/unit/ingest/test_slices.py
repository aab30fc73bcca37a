"""What connections have left over: one slice after the other, with everybody else in between."""

import asyncio
import time
from collections.abc import Callable

from fleetpulse.ingest.slices import PAUSE, Slices

SLICE_S = 0.002


def test_connections_take_turns_and_rest_after_they_have_worked() -> None:
    async def play() -> tuple[list[str], int]:
        slices, order, left, others = Slices(), list[str](), {"a": 3, "b": 2, "c": 1}, 0

        def work_of(name: str) -> Callable[[], None]:
            def work() -> None:
                order.append(name)
                until_s = time.monotonic() + SLICE_S
                while time.monotonic() < until_s:
                    pass
                left[name] -= 1
                if left[name]:
                    slices.add(work)

            return work

        for name in left:
            slices.add(work_of(name))
        began_s = time.monotonic()
        while any(left.values()):
            await asyncio.sleep(0)
            others += 1
        rested_s = time.monotonic() - began_s - 6 * SLICE_S
        assert rested_s >= 5 * (PAUSE * SLICE_S - 0.001)  # timers are exact to a millisecond
        return order, others

    order, others = asyncio.run(play())
    assert order == ["a", "b", "c", "a", "b", "a"]
    assert others >= len(order)


def test_an_error_of_one_connection_does_not_stop_the_others() -> None:
    async def play() -> list[str]:
        slices, done = Slices(), list[str]()
        asyncio.get_running_loop().set_exception_handler(lambda _, context: done.append(str(context["exception"])))

        def fail() -> None:
            raise RuntimeError("broken")

        slices.add(fail)
        slices.add(lambda: done.append("next"))
        while len(done) < 2:
            await asyncio.sleep(0)
        slices.add(lambda: done.append("later"))
        while len(done) < 3:
            await asyncio.sleep(0)
        return done

    assert sorted(asyncio.run(play())) == ["broken", "later", "next"]
