import asyncio
from pathlib import Path

import numpy as np
import pytest

from fleetpulse.errors import NotAccepting
from fleetpulse.model.device import Device
from memory_service import SECOND, beat
from shared_service import SharedWorld, all_reached, tail_of


def test_what_one_node_acknowledged_is_in_the_answers_of_the_other(tmp_path: Path) -> None:
    async def run() -> None:
        world = SharedWorld(tmp_path)
        first = await world.started()
        second = await world.started(ahead_ns=SECOND)
        await first.registry.register_many([Device("press-07")])
        await beat(first, "press-07")
        await tail_of(second).reach(tail_of(first).acked, within_s=10)
        assert second.questions.account(second.registry.number_of("press-07")).accepted == 1
        await all_reached(first, second)
        for name, column in first.fleet.columns().items():
            np.testing.assert_array_equal(column, second.fleet.columns()[name])
        assert first.fleet.alive_at_ns == second.fleet.alive_at_ns
        await second.node.stop()
        await first.node.stop()

    asyncio.run(run())


def test_a_question_is_refused_that_must_see_what_does_not_come(tmp_path: Path) -> None:
    async def run() -> None:
        node = await SharedWorld(tmp_path).started(position_wait_s=0.01)
        with pytest.raises(NotAccepting, match="not yet up to 1000") as caught:
            await tail_of(node).wait_for("1000")
        assert (caught.value.reason, caught.value.retry_after_s) == ("behind", 1)
        await node.node.stop()

    asyncio.run(run())
