import asyncio
import itertools
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from pathlib import Path

import numpy as np
import pytest

from fleetpulse.errors import DamagedData, NotAccepting
from fleetpulse.model.device import Device
from fleetpulse.notation.timestamp import format_rfc3339
from fleetpulse.pipeline.follow import SLICE_S
from fleetpulse.pipeline.position_waits import PositionWaits
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


def test_a_position_that_comes_at_the_last_moment_is_reached() -> None:
    async def run() -> None:
        waits = PositionWaits()
        waiting = asyncio.create_task(waits.reached(7, within_s=0.0))
        for _ in range(10):  # until the time is over, and before the one who waits has heard of it
            await asyncio.sleep(0)
            if waits._waiting and waits._waiting[0][2].cancelled():
                break
        assert not waiting.done()
        waits.wake(7)
        assert await waiting

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


def test_heartbeats_go_on_while_entries_wait_for_the_catalog(tmp_path: Path) -> None:
    async def run() -> None:
        node = await SharedWorld(tmp_path).started(position_wait_s=0.01)
        tail, known = tail_of(node), node.changes
        await node.registry.register_many([Device("press-07")])
        await beat(node, "press-07")
        await tail.reach(tail.acked, within_s=10)

        async def away(_version: int) -> None:
            raise NotAccepting("the catalog is away", reason="catalog_away")

        tail._catalog = Away(away)
        await known.reach(0)
        for _ in range(3):
            await beat(node, "press-07")  # acknowledged, and the first one names a version
        with pytest.raises(NotAccepting, match="the catalog is away"):
            await tail.wait_for(None)
        tail._catalog = known
        await tail.reach(tail.acked, within_s=10)
        assert node.questions.account(0).accepted == 4
        await node.node.stop()

    asyncio.run(run())


def test_what_this_node_registers_does_not_make_its_own_entries_wait(tmp_path: Path) -> None:
    async def run() -> None:
        node = await SharedWorld(tmp_path).started()
        tail = tail_of(node)
        looks = node.changes.looks

        async def away(_version: int) -> None:
            raise NotAccepting("the catalog is away", reason="catalog_away")

        node.changes._try_look = lambda: away(0)  # from before the registration on, memory learns of nothing
        await node.registry.register_many([Device("press-07")])
        await beat(node, "press-07")
        await tail.reach(tail.acked, within_s=10)
        assert node.changes.looks == looks
        await node.node.stop()

    asyncio.run(run())


def test_a_long_backlog_is_taken_in_slices_between_which_the_loop_has_its_turn(tmp_path: Path) -> None:
    async def run() -> None:
        world = SharedWorld(tmp_path, is_pumped=True)
        first, second = await world.started(), await world.started()
        await first.registry.register_many([Device("press-07")])
        await second.changes.reach(0)
        entries = 200
        for _ in range(entries):
            await beat(first, "press-07")
        tail, turns, spent_s = tail_of(second), 0, itertools.count(0, 0.001)
        tail._monotonic_s = lambda: next(spent_s)  # each entry takes a millisecond

        async def others() -> None:
            nonlocal turns
            while True:
                turns += 1
                await asyncio.sleep(0)

        counting = asyncio.create_task(others())
        last = second.journal.last_position()
        second.journal.pump(10_000)
        await tail.reach(last, within_s=10)
        counting.cancel()
        assert turns > entries * 0.001 / SLICE_S
        await all_reached(first, second)
        assert second.questions.account(0).accepted == entries
        await second.node.stop()
        await first.node.stop()

    asyncio.run(run())


def test_after_a_damaged_entry_nothing_more_of_the_stream_is_kept(tmp_path: Path) -> None:
    async def run() -> None:
        world = SharedWorld(tmp_path)
        first, second = await world.started(), await world.started()
        await first.registry.register_many([Device("press-07")])
        await beat(first, "press-07")
        await all_reached(first, second)
        tail = tail_of(second)
        tail._break(tail._run, DamagedData("an entry is damaged"))
        for _ in range(10):
            await beat(first, "press-07")
        await all_reached(first)
        tail.restart()
        assert (tail.is_following, tail.waiting, tail.trouble) == (False, 0, "an entry is damaged")
        with pytest.raises(DamagedData):
            tail.check()
        await second.node.stop()
        await first.node.stop()

    asyncio.run(run())


@pytest.mark.parametrize("is_broken", [True, False])
def test_where_applying_failed_the_stream_is_followed_no_further(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_broken: bool
) -> None:
    """`is_broken`: before, or by the slice with which the tail makes room."""

    def fails(_pieces: object) -> None:
        raise IndexError("a defect")

    async def run() -> None:
        world = SharedWorld(tmp_path)
        first, second = await world.started(), await world.started()
        await first.registry.register_many([Device("press-07")])
        await beat(first, "press-07")
        await all_reached(first, second)
        tail = tail_of(second)
        monkeypatch.setattr("fleetpulse.pipeline.tail.PENDING_EVENTS_MAX", 5)
        monkeypatch.setattr("fleetpulse.pipeline.tail.CATALOG_RETRY_S", 0.0)
        monkeypatch.setattr(second.fleet, "apply", fails)
        if is_broken:
            second.follower.break_off()
        async with asyncio.timeout(10):
            while tail.is_following:
                await beat(first, "press-07")
        assert "half applied" in tail.trouble
        assert tail.waiting == 0
        with pytest.raises(DamagedData):
            tail.check()
        await second.node.stop()
        await first.node.stop()

    asyncio.run(run())


class Away:
    """A catalog that knows nothing until it is read."""

    known = 0

    def __init__(self, reach: Callable[[int], Awaitable[None]]) -> None:
        self.reach = reach
