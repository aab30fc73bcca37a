import asyncio
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from pathlib import Path

import numpy as np
import pytest

from fleetpulse.errors import NotAccepting
from fleetpulse.model.device import Device
from fleetpulse.notation.timestamp import format_rfc3339
from fleetpulse.pipeline.tail import HEADER
from memory_service import SECOND, beat
from protected_service import client_of
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
        assert not len(tail_of(node)._waits), "nothing is kept of a position that never comes"
        await node.node.stop()

    asyncio.run(run())


def test_a_question_on_another_node_sees_the_position_that_it_shows(tmp_path: Path) -> None:
    async def run() -> None:
        world = SharedWorld(tmp_path)
        first, second = await world.started(auto_register=True), await world.started()
        async with client_of(first) as client, client_of(second) as other:
            sent_at = format_rfc3339(world.clock.ns)
            answer = await client.post("/api/v1/devices/press-07/heartbeat", json={"sent_at": sent_at})
            assert answer.status_code == HTTPStatus.NO_CONTENT
            shown = {HEADER: answer.headers[HEADER]}
            stats = await other.get("/api/v1/devices/press-07/stats", headers=shown)  # it learns of the device, too
            assert stats.json()["uptime"] == 100
            own = await client.get("/api/v1/devices/press-07/stats")
            assert own.json() == stats.json()
            wrong = await other.get("/api/v1/devices/press-07/stats", headers={HEADER: "-1"})
            assert wrong.status_code == HTTPStatus.BAD_REQUEST
            lines = b'{"device_id":"press-07","sent_at":"%s"}' % sent_at.encode()
            kind = {"content-type": "application/x-ndjson"}
            bulk = await client.post("/api/v1/events", content=lines, headers=kind)
            assert int(bulk.headers[HEADER]) > int(shown[HEADER])
        await second.node.stop()
        await first.node.stop()

    asyncio.run(run())


def test_accepted_events_are_pending_until_they_come_back(tmp_path: Path) -> None:
    async def run() -> None:
        world = SharedWorld(tmp_path, is_pumped=True)
        node = await world.started()
        await node.registry.register_many([Device("press-07")])
        await beat(node, "press-07")
        assert (tail_of(node).own_pending, node.counters.events_applied) == (1, 0)
        await all_reached(node)
        assert not tail_of(node)._own, "whether or not anybody asks for the accounts"
        assert (tail_of(node).own_pending, node.counters.events_applied, node.counters.events_followed) == (0, 1, 1)
        await node.node.stop()

    asyncio.run(run())


def test_what_other_nodes_wrote_waits_for_the_catalog_that_it_needs(tmp_path: Path) -> None:
    async def run() -> None:
        world = SharedWorld(tmp_path)
        first, second = await world.started(), await world.started()
        tail, changes = tail_of(second), second.changes
        reach, calls = changes.reach, []

        async def away(version: int) -> None:
            calls.append(version)
            if len(calls) == 1:
                raise NotAccepting("the catalog is away", reason="catalog_away")
            await reach(version)
            catalog.known = changes.known

        catalog = Away(away)
        tail._catalog = catalog  # there is no other catalog that is away
        await first.registry.register_many([Device("press-07")])
        await beat(first, "press-07")
        await tail.reach(tail_of(first).acked, within_s=10)
        assert len(calls) >= 2
        assert (tail.trouble, tail.waiting) == ("", 0)
        await second.node.stop()
        await first.node.stop()

    asyncio.run(run())


class Away:
    """A catalog that knows nothing until it is read."""

    known = 0

    def __init__(self, reach: Callable[[int], Awaitable[None]]) -> None:
        self.reach = reach
