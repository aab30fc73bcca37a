import asyncio

import pytest

from fleetpulse.errors import NotAccepting
from fleetpulse.ingest.future_waiter import FutureWaiter


def test_a_coroutine_goes_on_when_its_events_are_durable_and_raises_where_they_are_not() -> None:
    async def play() -> None:
        durable, failed = FutureWaiter(), FutureWaiter()
        durable.acknowledge()
        failed.fail(NotAccepting("read-only", reason="read_only"))
        assert await durable.outcome is None
        with pytest.raises(NotAccepting):
            await failed.outcome

    asyncio.run(play())


def test_an_answer_to_a_handler_that_was_cancelled_does_no_harm() -> None:
    async def play() -> None:
        for answer in (FutureWaiter.acknowledge, lambda waiter: waiter.fail(NotAccepting("no", reason="stopping"))):
            waiter = FutureWaiter()
            waiter.outcome.cancel()
            answer(waiter)
            assert waiter.outcome.cancelled()

    asyncio.run(play())
