"""Lanes: limits, and turns by client rather than by arrival; then how questions end: hang-ups, deadlines, errors."""

import asyncio

import pytest

from fleetpulse.errors import Busy, NotAccepting, QuestionStopped
from fleetpulse.pipeline.asker import Asker
from fleetpulse.pipeline.lanes import ASIDE_AFTER_NS, GRACE_NS
from lanes_world import SECOND, World, run, settle


def test_small_questions_do_not_wait_behind_big_ones() -> None:
    async def test(world: World) -> None:
        for number in range(50):
            world.ask("greedy", f"big {number}")
        world.ask("other", "small", "small")
        await settle()
        await world.end(world.small)
        assert world.answered == ["small"]
        assert (world.lanes.running(), world.lanes.waiting()) == ({"small": 0, "big": 1}, {"small": 0, "big": 49})

    run(test)


def test_a_client_with_a_hundred_questions_has_one_turn_in_each_round() -> None:
    async def test(world: World) -> None:
        for number in range(100):
            world.ask("greedy", f"g{number}")
        await settle()
        world.ask("other", "o0")
        world.ask("other", "o1")
        await settle()
        for _ in range(6):
            await world.end(world.big)
        assert world.answered == ["g0", "g1", "o0", "g2", "o1", "g3"]

    run(test, waiting_max=200)


def test_as_many_run_as_may() -> None:
    async def test(world: World) -> None:
        for number in range(5):
            world.ask("a", str(number))
        await settle()
        assert len(world.big.begun) == 3
        assert world.lanes.running()["big"] == 3
        while world.big.begun:
            await world.end(world.big)
        assert world.answered == ["0", "1", "2", "3", "4"]
        assert world.counters.questions_answered == {"big": 5}

    run(test, running_max=3)


def test_where_too_many_wait_the_next_is_refused_with_retry_after() -> None:
    async def test(world: World) -> None:
        for number in range(3):
            world.ask("a", str(number))
        await settle()
        with pytest.raises(Busy, match="questions_big_waiting_max") as refusal:
            await world.ask("a")
        assert (refusal.value.reason, refusal.value.retry_after_s) == ("questions_busy", 5)
        assert world.counters.questions_refused == {"questions_busy": 1}
        await world.end(world.big)
        assert world.answered == ["0"]

    run(test, waiting_max=2)


def test_the_client_that_fills_the_queue_gives_way_to_another() -> None:
    async def test(world: World) -> None:
        greedy = [world.ask("greedy", f"g{number}") for number in range(4)]
        await settle()
        world.ask("other", "o")
        await settle()
        with pytest.raises(Busy):
            await greedy[3]
        await world.end(world.big)
        await world.end(world.big)
        await world.end(world.big)
        assert world.answered == ["g0", "g1", "o"]

    run(test, waiting_max=3)


def test_questions_are_looked_at_as_long_as_there_are_any() -> None:
    async def test(world: World) -> None:
        gone: list[bool] = []
        task = world.ask("a", asker=Asker("a", lambda: bool(gone)))
        await settle()
        gone.append(True)
        with pytest.raises(QuestionStopped):
            await asyncio.wait_for(task, 5)
        await world.end(world.big)

    run(test)


def test_small_questions_go_on_without_a_few_that_take_longer_than_was_estimated() -> None:
    async def test(world: World) -> None:
        for number in range(5):
            world.ask("a", str(number), "small")
        await settle()
        for begun in (1, 2, 3, 3):
            assert len(world.small.begun) == begun
            world.now_ns += ASIDE_AFTER_NS
            world.lanes.look()
            await settle()
        assert (world.lanes.running()["small"], world.lanes.waiting()["small"]) == (3, 2)
        while world.small.begun:
            await world.end(world.small)
        assert world.answered == ["0", "1", "2", "3", "4"]
        lane = world.lanes.lanes["small"]
        assert (lane.running, lane.aside, len(lane.waiting)) == (0, 0, 0)

    run(test)


def test_a_big_question_may_take_its_time_and_the_next_waits_for_it() -> None:
    async def test(world: World) -> None:
        world.ask("a")
        world.ask("b")
        await settle()
        world.now_ns += ASIDE_AFTER_NS
        world.lanes.look()
        await settle()
        assert len(world.big.begun) == 1

    run(test)


def test_a_waiting_question_whose_client_hung_up_leaves_the_queue_at_once() -> None:
    async def test(world: World) -> None:
        is_gone = False
        world.ask("a")
        await settle()
        tasks = [world.ask("b", asker=Asker("b", lambda: is_gone)) for _ in range(100)]
        await settle()
        is_gone = True
        world.lanes.look()
        assert world.lanes.waiting()["big"] == 0
        for task in tasks:
            with pytest.raises(QuestionStopped, match="nobody waits"):
                await task
        assert world.counters.questions_stopped == {"question_abandoned": 100}
        await world.end(world.big)
        assert world.answered == ["a"]

    run(test)


def test_a_running_question_whose_client_hung_up_tells_its_thread_and_keeps_its_place_until_that_has_ended() -> None:
    async def test(world: World) -> None:
        gone: list[bool] = []
        asker = Asker("b", lambda: bool(gone))
        first, _ = world.ask("b", asker=asker), world.ask("a")
        await settle()
        gone.append(True)
        world.lanes.look()
        with pytest.raises(QuestionStopped):
            await first
        assert asker.is_gone
        assert (world.lanes.running()["big"], len(world.big.begun)) == (1, 1)
        await world.end(world.big)
        await world.end(world.big)
        assert world.answered == ["a"]
        assert world.lanes.running()["big"] == 0

    run(test)


def test_the_deadline_covers_waiting() -> None:
    async def test(world: World) -> None:
        world.ask("a")
        waiting = world.ask("b")
        await settle()
        world.now_ns = 30 * SECOND - 1
        world.lanes.look()
        await settle()
        assert not waiting.done()
        world.now_ns = 30 * SECOND
        world.lanes.look()
        with pytest.raises(QuestionStopped, match="30 s") as stop:
            await waiting
        assert (stop.value.reason, stop.value.status, stop.value.retry_after_s) == ("question_timeout", 503, 5)
        assert world.lanes.waiting()["big"] == 0

    run(test)


def test_a_question_is_answered_at_its_deadline_even_if_its_thread_does_not_notice() -> None:
    async def test(world: World) -> None:
        running = world.ask("a")
        await settle()
        world.now_ns = 30 * SECOND + GRACE_NS
        world.lanes.look()
        with pytest.raises(QuestionStopped, match="question_timeout_s"):
            await running
        assert world.lanes.running()["big"] == 1, "its thread works still"
        await world.end(world.big)
        assert world.lanes.running()["big"] == 0
        assert world.counters.questions_stopped == {"question_timeout": 1}

    run(test)


def test_all_questions_of_one_request_have_one_deadline() -> None:
    async def test(world: World) -> None:
        asker = Asker("a")
        world.ask("a", "first", asker=asker)
        await settle()
        world.now_ns = 20 * SECOND
        await world.end(world.big)
        second = world.ask("a", "second", asker=asker)
        await settle()
        world.now_ns = 30 * SECOND + GRACE_NS
        world.lanes.look()
        with pytest.raises(QuestionStopped):
            await second

    run(test)


@pytest.mark.parametrize("is_running", [False, True])
def test_a_request_that_is_cancelled_takes_its_question_along(*, is_running: bool) -> None:
    async def test(world: World) -> None:
        asker = Asker("a")
        if not is_running:
            world.ask("b")
        cancelled = world.ask("a", asker=asker)
        await settle()
        cancelled.cancel()
        await settle()
        assert cancelled.cancelled()
        assert asker.is_gone or not is_running
        await world.end(world.big)
        assert (world.lanes.running()["big"], world.lanes.waiting()["big"]) == (0, 0)

    run(test)


def test_a_request_that_is_cancelled_as_its_turn_comes_hands_the_turn_on() -> None:
    async def test(world: World) -> None:
        world.ask("a")
        cancelled = world.ask("b")
        world.ask("c")
        await settle()
        world.big.end()
        # The loop runs the end of the work, and so the turn of b, before b itself goes on.
        asyncio.get_running_loop().call_soon(asyncio.get_running_loop().call_soon, cancelled.cancel)
        await settle()
        while world.big.begun:
            await world.end(world.big)
        assert world.answered[0] == "a"
        assert world.answered[-1] == "c"
        assert world.lanes.running()["big"] == 0

    run(test)


def test_an_error_of_the_work_is_that_of_the_question() -> None:
    async def test(world: World) -> None:
        def fail() -> None:
            raise ValueError("so")

        async def question() -> None:
            async with world.lanes.turn("small") as ticket:
                await world.lanes.run(ticket, fail)

        task = asyncio.get_running_loop().create_task(question())
        await settle()
        await world.end(world.small)
        with pytest.raises(ValueError, match="so"):
            await task
        assert world.lanes.running()["small"] == 0

    run(test)


def test_a_service_that_stops_refuses_those_that_wait_and_stops_those_that_run() -> None:
    async def test(world: World) -> None:
        asker = Asker("a")
        running, waiting = world.ask("a", asker=asker), world.ask("b")
        await settle()
        world.lanes.stop()
        for task in (running, waiting):
            with pytest.raises(NotAccepting, match="stopping"):
                await task
        assert asker.is_gone
        with pytest.raises(NotAccepting):
            await world.ask("c")

    run(test)
