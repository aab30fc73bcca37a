"""Who asks is said once for each task."""

import asyncio

from fleetpulse.pipeline.asker import Asker, current_asker, set_asker


def test_each_task_works_for_whom_it_was_told_and_others_for_nobody_in_particular() -> None:
    async def asks(client: str) -> str:
        set_asker(Asker(client))
        await asyncio.sleep(0)
        return current_asker().client

    async def life() -> None:
        assert await asyncio.gather(asks("a"), asks("b")) == ["a", "b"]
        assert current_asker().client == ""

    asyncio.run(life())


def test_whoever_has_hung_up_once_stays_gone() -> None:
    states = [False, True, False]
    asker = Asker("a", lambda: states.pop(0))
    assert [asker.look(), asker.look(), asker.look()] == [False, True, True]
    assert asker.is_gone
