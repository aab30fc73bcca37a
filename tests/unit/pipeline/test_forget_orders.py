"""Orders to forget on several nodes: any node is asked, the holder of the lease forgets, and each counts once."""

import asyncio
import math
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from fleetpulse.catalog.forget_records import ForgetOrder
from fleetpulse.errors import DamagedData, NotAccepting
from fleetpulse.live.fleet_hash import fleet_hash
from fleetpulse.model.device import Device
from fleetpulse.notation.timestamp import format_rfc3339
from fleetpulse.pipeline.service import Service
from memory_service import DAY, NOON, SECOND, Sender, beat
from shared_service import SharedWorld, all_reached, take_lease, taken_over

BEFORE = format_rfc3339(NOON + 60 * SECOND)


def run(tmp_path: Path, test: Callable[[SharedWorld, Service, Service], Awaitable[None]]) -> None:
    async def life() -> None:
        world = SharedWorld(tmp_path)
        first, second = await world.started(), await world.started()
        first.lease._tried_at_ns = second.lease._tried_at_ns = math.inf  # only tests move the lease
        first.catalog.lease.release(first.catalog.lease.current().term)
        await first.registry.register_many([Device("a")])
        await second.changes.reach(0)
        for service in (first, second):
            await beat(service, "a")
            world.clock.ns += 3 * DAY
        await all_reached(first, second)
        await take_lease(first)
        try:
            await test(world, first, second)
        finally:
            await second.node.stop()
            await first.node.stop()

    asyncio.run(life())


async def looking(service: Service, work: "asyncio.Future[Any]") -> None:
    """Let a node learn what others changed, again and again, until a work is done."""
    async with asyncio.timeout(20):
        while not work.done():
            await service.changes.reach(0)
            await asyncio.sleep(0.01)


async def figures(service: Service) -> Any:
    return (await service.questions.lifetime(0)).figures


def ask(service: Service, *, is_dry: bool = False) -> "asyncio.Task[Any]":
    return asyncio.create_task(service.forgetting.forget("a", BEFORE, is_dry=is_dry))


def test_any_node_is_asked_and_the_holder_forgets(tmp_path: Path) -> None:
    async def test(_world: SharedWorld, first: Service, second: Service) -> None:
        dry = ask(second, is_dry=True)
        await looking(first, dry)
        assert (dry.result().minutes, dry.result().done) == (1, False)
        assert (await figures(first)).minutes_present == 2
        forgetting = ask(second)
        await looking(first, forgetting)
        assert (forgetting.result().minutes, forgetting.result().done) == (1, True)
        assert first.forgetting.orders.carried_out == 2
        await taken_over(first, second)
        assert (await figures(first)).minutes_present == (await figures(second)).minutes_present == 1
        assert fleet_hash(first.fleet) == fleet_hash(second.fleet)
        assert [one.minutes for one in second.catalog.forgotten()] == [1]
        assert (await first.forgetting.forget("a", BEFORE, is_dry=True)).minutes == 0

    run(tmp_path, test)


def test_an_order_waits_for_a_holder_and_may_be_given_again_meanwhile(tmp_path: Path) -> None:
    async def test(_world: SharedWorld, first: Service, second: Service) -> None:
        await first.lease.end()  # as if it had stopped
        second.forgetting.orders.wait_s = 0.05
        with pytest.raises(NotAccepting, match="the order stands") as refused:
            await ask(second)
        assert refused.value.reason == "forgetting"
        second.forgetting.orders.wait_s = 20
        forgetting = ask(second)
        await asyncio.sleep(0)
        await take_lease(second)
        assert (await forgetting).minutes == 1
        assert [one.minutes for one in second.catalog.forgotten()] == [1]

    run(tmp_path, test)


def test_what_a_holder_began_the_next_one_ends_and_nothing_counts_twice(tmp_path: Path) -> None:
    async def test(_world: SharedWorld, first: Service, second: Service) -> None:
        forgetting = ask(second)

        def fails(*_arguments: object, **_more: object) -> None:
            raise OSError("the process has ended")

        records = first.catalog.forget_orders
        note = records.note

        def lose_it(order: Any) -> None:  # it is counted and journalled, and then another node has the lease
            if order.state == "counted":
                note(order)
                first.housekeeping.catalog.commit_manifest = fails  # type: ignore[method-assign]  # it commits no more
                return
            second.catalog.lease.take("the test", for_ns=0)
            note(order)

        records.note = lose_it  # type: ignore[method-assign]  # the former holder
        async with asyncio.timeout(20):
            while first.lease.is_held:
                await first.changes.reach(0)
                await asyncio.sleep(0.01)
        assert not forgetting.done()
        await all_reached(first, second)
        assert second.fleet.forgotten, "the journal has the order, and no block is without it yet"
        await take_lease(second)
        await asyncio.wait_for(forgetting, 20)
        assert (forgetting.result().minutes, forgetting.result().done) == (1, True)
        assert (await figures(second)).minutes_present == 1
        assert [one.minutes for one in second.catalog.forgotten()] == [1]

    run(tmp_path, test)


def test_the_refusal_of_the_holder_is_that_of_the_node_that_was_asked(tmp_path: Path) -> None:
    async def test(_world: SharedWorld, first: Service, second: Service) -> None:
        async def refuse(*_arguments: object) -> Any:
            raise NotAccepting("the disk is full", reason="checkpoint_failed")

        async def break_off(*_arguments: object) -> Any:
            raise DamagedData("a block is damaged")

        first.forgetting.orders.carry_out = refuse
        forgetting = ask(second)
        await looking(first, forgetting)
        with pytest.raises(NotAccepting, match="the disk is full") as refused:
            forgetting.result()
        assert refused.value.reason == "checkpoint_failed"
        first.forgetting.orders.carry_out = break_off
        forgetting = ask(second)
        await looking(first, forgetting)
        with pytest.raises(DamagedData, match="a block is damaged"):
            forgetting.result()

    run(tmp_path, test)


def test_whoever_asks_again_after_the_end_gets_the_figures_of_the_order(tmp_path: Path) -> None:
    async def test(_world: SharedWorld, first: Service, second: Service) -> None:
        second.forgetting.orders.wait_s = 0
        with pytest.raises(NotAccepting, match="the order stands"):
            await ask(second)
        async with asyncio.timeout(20):
            while not first.forgetting.orders.carried_out:
                await first.changes.reach(0)
                await asyncio.sleep(0.01)
        answer = await ask(second)
        assert (answer.minutes, answer.done) == (1, True)
        second.forgetting.orders.wait_s = 20
        again = ask(second)
        await looking(first, again)
        assert again.result().minutes == 0, "another order, since the first one is answered"
        assert first.forgetting.orders.carried_out == 2

    run(tmp_path, test)


@pytest.mark.parametrize("is_journalled", [True, False])
def test_an_order_that_is_carried_out_once_more_counts_what_was_forgotten_before(
    tmp_path: Path, is_journalled: bool
) -> None:
    async def test(world: SharedWorld, first: Service, _second: Service) -> None:
        noted: list[ForgetOrder] = []

        async def note(order: ForgetOrder) -> None:
            noted.append(order)
            if not is_journalled and len(noted) == 1:
                raise NotAccepting("the node ends before the entry", reason="stopping")

        order = ForgetOrder("x", 0, NOON + 60 * SECOND, is_dry=False, state="waiting")
        with first.lease.holding():
            try:
                await first.forgetting.carry_out(order, note)
            except NotAccepting:
                assert not is_journalled
            sender = Sender()
            first.intake.add_heartbeat(0, NOON - 600 * SECOND, sender)  # late
            await first.writer.drain()
            await sender.outcome
            ended = await first.forgetting.carry_out(noted[0], note)
        assert (noted[0].minutes, ended.minutes, ended.is_written) == (1, 2, True)

    run(tmp_path, test)


def test_an_order_that_fails_by_a_defect_stops_no_other(tmp_path: Path) -> None:
    async def test(_world: SharedWorld, first: Service, second: Service) -> None:
        carry_out = first.forgetting.orders.carry_out

        async def fail(order: ForgetOrder, note: Any) -> ForgetOrder:
            if order.is_dry:
                raise ZeroDivisionError
            return await carry_out(order, note)

        first.forgetting.orders.carry_out = fail
        failing = ask(second, is_dry=True)
        while not second.catalog.forget_orders.open():
            await asyncio.sleep(0.01)
        forgetting = ask(second)
        await looking(first, forgetting)
        assert forgetting.result().minutes == 1
        await looking(first, failing)
        with pytest.raises(NotAccepting, match="a defect") as refused:
            failing.result()
        assert refused.value.reason == "forgetting_failed"

    run(tmp_path, test)
