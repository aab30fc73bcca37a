"""Deliveries of a service in memory, to receivers that a test lets fail, and with a clock that it sets."""

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any, cast

import pytest

from alert_messages import alert, message
from fleetpulse.alert.receivers.outcome import Outcome, failed
from fleetpulse.errors import NotFound, OutOfRange
from fleetpulse.model.message import Message
from fleetpulse.model.outbox import OutboxAdded, OutboxEntry
from fleetpulse.model.receiver import Receiver, Route
from fleetpulse.pipeline.service import Service
from memory_service import SECOND, World

OK = Outcome(is_delivered=True, text="ok")
HOOK = Receiver(name="hook", kind="webhook", url="https://hook.example/planted")
OTHER = Receiver(name="other", kind="webhook", url="https://other.example/planted")
AM = Receiver(name="am", kind="alertmanager", url="https://am.example")


class FakeSending:
    """Takes messages as `outcomes` say: of a receiver, or of a key, one after the other, the last one for ever."""

    def __init__(self, real: Any) -> None:
        self.limits, self.apprise = real.limits, real.apprise
        self.outcomes: dict[str, list[Any]] = {}
        self.sent: list[tuple[str, str]] = []
        self.lost: list[int] = []
        self.resent: list[list[dict[str, Any]]] = []

    def send(self, sent: Message, receiver: Receiver, *, lost: int = 0) -> Outcome:
        self.sent.append((receiver.name, sent.key))
        self.lost.append(lost)
        for name in (sent.key, receiver.name):
            if outcomes := self.outcomes.get(name):
                outcome = outcomes.pop(0) if len(outcomes) > 1 else outcomes[0]
                if isinstance(outcome, Exception):
                    raise outcome
                return cast(Outcome, outcome)
        return OK

    def resend(self, receiver: Receiver, alerts: list[dict[str, Any]]) -> Outcome:
        self.resent.append(alerts)
        return OK

    def keys(self, receiver: str = "hook") -> list[str]:
        return [key for name, key in self.sent if name == receiver]

    def close(self) -> None:
        pass


class Node:
    def __init__(self, world: World, service: Service) -> None:
        self.world, self.service = world, service
        self.deliveries = service.deliveries
        self.deliveries.jitter = lambda: 0.0
        self.sending: Any = FakeSending(service.sending)
        self.deliveries.sending = self.sending

    async def store(self, *messages: Message) -> OutboxAdded:
        added = await self.service.catalog_thread.run(partial(self.deliveries.store, messages))
        self.deliveries.look()
        await self.settle()
        return added

    async def settle(self) -> None:
        """Until nothing is being tried."""
        self.deliveries.tick()
        while self.deliveries._tasks:
            await asyncio.wait(set(self.deliveries._tasks))
            await asyncio.sleep(0)

    async def later(self, seconds: float) -> None:
        self.world.clock.ns += int(seconds * SECOND)
        await self.settle()

    async def entries(self, state: Any = None) -> list[OutboxEntry]:
        outbox = self.service.catalog.outbox
        return await self.service.catalog_thread.run(
            lambda: outbox.page(state=state, receiver=None, before=None, limit=1_000)
        )

    async def restart(self) -> "Node":
        await self.service.node.stop()
        return Node(self.world, await self.world.started())


def run(folder: Path, test: Callable[[Node], Awaitable[Any]], *receivers: Receiver, **settings: Any) -> None:
    """Call `test` with a node that has these receivers. What it returns is the node that is stopped in the end."""

    async def life() -> None:
        world = World(folder)
        node = Node(world, await world.started(**settings))
        for receiver in receivers or (HOOK, OTHER):
            await node.service.receivers.put_receiver(receiver)
        last = await test(node) or node
        await last.service.node.stop()

    asyncio.run(life())


def one(number: int, key: str = "", receiver: str = "hook", **more: Any) -> Message:
    return message(alert(number), key=key or f"k{number}", receiver=receiver, **more)


def test_messages_are_delivered_once_and_in_order(tmp_path: Path) -> None:
    async def test(node: Node) -> None:
        await node.store(*(one(number) for number in range(20)), one(99, receiver="other"))
        assert node.sending.keys() == [f"k{number}" for number in range(20)]
        assert node.sending.keys("other") == ["k99"]
        assert {entry.state for entry in await node.entries()} == {"delivered"}
        await node.later(3_600)
        assert len(node.sending.sent) == 21
        assert node.service.counters.deliveries == {"delivered": 21}

    run(tmp_path, test)


def test_a_message_that_fails_is_tried_again_after_waits_that_double(tmp_path: Path) -> None:
    async def test(node: Node) -> None:
        node.sending.outcomes["hook"] = [failed("500")] * 4 + [OK]
        await node.store(one(1))
        for wait_s, tries in ((4, 1), (1, 2), (9, 2), (1, 3), (19, 3), (1, 4), (39, 4), (1, 5), (3_600, 5)):
            await node.later(wait_s)
            assert len(node.sending.sent) == tries, (wait_s, tries)
        (entry,) = await node.entries()
        assert (entry.state, entry.tries, entry.outcome) == ("delivered", 5, "ok")

    run(tmp_path, test)


def test_what_tells_of_the_same_alert_waits_and_other_messages_do_not(tmp_path: Path) -> None:
    async def test(node: Node) -> None:
        node.sending.outcomes["bad"] = [failed("500")]
        await node.store(one(1, "bad"), one(1, "end of bad"), one(2), message(alert(1), alert(3), key="both"), one(3))
        await node.later(6)
        assert node.sending.keys() == ["bad", "k2", "bad"]
        node.sending.outcomes["bad"] = [OK]
        await node.later(60)
        assert node.sending.keys()[3:] == ["bad", "end of bad", "both", "k3"]

    run(tmp_path, test)


def test_a_receiver_that_fails_does_not_hold_up_others_and_is_not_hammered(tmp_path: Path) -> None:
    async def test(node: Node) -> None:
        node.sending.outcomes["hook"] = [failed("down")]
        await node.store(*(one(number) for number in range(50)), one(100, receiver="other"))
        assert node.sending.keys("other") == ["k100"] and node.sending.keys() == ["k0"]
        assert node.deliveries.waiting == 50 and node.deliveries.oldest_s() == 0
        for _ in range(600):
            await node.later(1)
        assert len(node.sending.keys()) < 20 and node.deliveries.oldest_s() == 600
        node.sending.outcomes["hook"] = [OK]
        for _ in range(70):
            await node.later(15)
        assert node.deliveries.waiting == 0 == node.deliveries.oldest_s()
        assert {entry.state for entry in await node.entries()} == {"delivered"}

    run(tmp_path, test)


def test_the_receiver_says_how_long_to_wait(tmp_path: Path) -> None:
    async def test(node: Node) -> None:
        node.sending.outcomes["hook"] = [failed("429", retry_after_s=100), OK]
        await node.store(one(1))
        await node.later(99)
        assert len(node.sending.sent) == 1
        await node.later(1)
        assert len(node.sending.sent) == 2

    run(tmp_path, test)


def test_what_is_refused_as_it_is_or_too_old_becomes_a_dead_letter_and_can_be_sent_again(tmp_path: Path) -> None:
    async def test(node: Node) -> None:
        node.sending.outcomes["k1"] = [failed("400", is_refused=True)]
        node.sending.outcomes["k2"] = [failed("500")]
        await node.store(one(1), one(2), one(3))
        for _ in range(40):
            await node.later(60)
        (dead,) = await node.entries("dead")
        assert (dead.message.key, dead.tries, dead.outcome) == ("k1", 5, "400")
        await node.later(3_600)
        assert {entry.message.key for entry in await node.entries("dead")} == {"k1", "k2"}
        assert node.service.counters.messages_dropped["dead"] == 2
        node.sending.outcomes.clear()
        await node.store(one(4), one(5))
        await node.later(60)
        assert node.sending.lost[-2:] == [2, 0], "people are told that messages were lost, once"
        assert await node.deliveries.retry([dead.number, 77]) == 1
        await node.settle()
        assert node.sending.keys()[-1] == "k1"
        assert [entry.message.key for entry in await node.entries("dead")] == ["k2"]

    run(tmp_path, test, delivery_give_up_h=1.5)


def test_what_waits_goes_on_after_a_restart_where_it_was(tmp_path: Path) -> None:
    async def test(node: Node) -> Node:
        node.sending.outcomes["hook"] = [failed("500")]
        await node.store(one(1), one(2))
        node = await node.restart()
        await node.later(4)
        await node.later(1)
        assert node.sending.keys() == ["k2", "k1"], "the second one was not tried before"
        return node

    run(tmp_path, test)


def test_a_clock_that_is_set_back_delays_nothing_for_long(tmp_path: Path) -> None:
    async def test(node: Node) -> None:
        node.sending.outcomes["hook"] = [failed("500"), OK]
        await node.store(one(1))
        node.world.clock.step(-1_000 * 86_400 * SECOND)
        await node.later(5)
        assert len(node.sending.keys()) == 2

    run(tmp_path, test)


def test_messages_to_a_receiver_that_was_removed_are_given_up(tmp_path: Path) -> None:
    async def test(node: Node) -> None:
        await node.store(one(1, receiver="gone"))
        (dead,) = await node.entries("dead")
        assert "no such receiver" in dead.outcome and node.sending.sent == []

    run(tmp_path, test)


def test_a_full_outbox_says_what_it_gave_up(tmp_path: Path) -> None:
    async def test(node: Node) -> None:
        node.sending.outcomes["hook"] = [failed("500")]
        await node.store(*(one(number) for number in range(10)))
        added = await node.store(*(one(number) for number in range(10, 13)), one(20, kind="reminder"))
        assert added == OutboxAdded(left_out=1, given_up=3)
        assert node.service.counters.messages_dropped == {"reminder": 1, "full": 3}
        node.sending.outcomes.clear()
        for _ in range(20):
            await node.later(60)
        assert node.sending.keys()[-1] == "k12" and len(await node.entries("delivered")) == 10

    run(tmp_path, test, outbox_max=10)


def test_more_messages_than_are_in_memory_are_all_delivered_in_order(tmp_path: Path) -> None:
    async def test(node: Node) -> None:
        node.sending.outcomes["hook"] = [failed("500"), OK]
        await node.store(*(one(number) for number in range(1_200)))
        assert len(node.deliveries.lanes["hook"].queue) == 500
        await node.later(60)
        assert node.sending.keys() == ["k0", "k1", "k0", *(f"k{number}" for number in range(2, 1_200))]
        assert len(await node.entries()) < 500, "what was delivered is forgotten at some time"

    run(tmp_path, test, outbox_kept_max=10)


def test_an_alertmanager_is_told_again_of_what_fires_until_it_ends(tmp_path: Path) -> None:
    async def test(node: Node) -> None:
        still_open = {1, 2}
        node.deliveries.open_alerts = still_open.intersection
        await node.store(one(1, receiver="am"), one(2, receiver="am"))
        await node.later(61)
        last = node.sending.resent[-1]
        assert [entry["labels"]["subject"] for entry in last] == ["pump-7", "pump-7"]
        resolved = message(
            alert(1, state="resolved", resolved_at_ns=node.world.clock.ns), key="end", receiver="am", kind="resolved"
        )
        await node.store(resolved)
        await node.later(61)
        assert len(node.sending.resent[-1]) == 1
        still_open.clear()
        count = len(node.sending.resent)
        await node.later(61)
        assert len(node.sending.resent) == count

    run(tmp_path, test, AM)


def test_a_defect_is_a_try_that_failed_and_holds_up_no_receiver_for_good(tmp_path: Path) -> None:
    async def test(node: Node) -> None:
        node.sending.outcomes = {"k1": [KeyError("a defect"), OK]}
        await node.store(one(1), one(2, receiver="other"))
        assert node.sending.sent == [("hook", "k1"), ("other", "k2")]
        (waiting,) = await node.entries("waiting")
        assert (waiting.tries, "defect (KeyError)" in waiting.outcome) == (1, True)
        await node.later(6)
        assert node.sending.keys() == ["k1", "k1"]
        assert await node.entries("waiting") == []

    run(tmp_path, test)


def test_a_message_whose_row_is_damaged_is_given_up_and_the_next_one_sent(tmp_path: Path) -> None:
    async def test(node: Node) -> None:
        node.sending.outcomes = {"first": [failed("down")]}
        await node.store(one(1, "first"), one(1, "second"))

        def damage() -> None:
            with node.service.catalog._transaction() as run:  # type: ignore[attr-defined]  # SQLite has it
                run("UPDATE message SET body = x'00' WHERE key = 'first'")

        await node.service.catalog_thread.run(damage)
        await node.later(60)
        assert node.sending.keys() == ["first", "second"]
        (dead,) = await node.entries("dead")
        assert (dead.message.key, "damaged" in dead.outcome) == ("first", True)
        page = await node.service.receiver_desk.page(state="dead", receiver=None, before=None, limit=9)
        assert "cannot be read" in str(page)

    run(tmp_path, test)


def test_what_fires_is_handed_over_again_after_a_defect(tmp_path: Path) -> None:
    async def test(node: Node) -> None:
        await node.store(one(1, receiver="am"))

        def fail(_numbers: object) -> list[int]:
            raise KeyError("a defect")

        all_open, node.deliveries.open_alerts = node.deliveries.open_alerts, fail
        await node.later(61)
        node.deliveries.open_alerts = list
        before = len(node.sending.resent)
        await node.later(61)
        assert len(node.sending.resent) == before + 1
        node.deliveries.open_alerts = all_open

    run(tmp_path, test, AM)


def test_receivers_and_routes_are_in_effect_once_they_are_stored(tmp_path: Path) -> None:
    async def test(node: Node) -> Node:
        receivers = node.service.receivers
        assert [route.name for route in receivers.routing.routes] == ["default"]
        await receivers.put_route(Route(name="all", receivers=("hook",)))
        assert [route.name for route in receivers.routing.routes] == ["all"]
        with pytest.raises(OutOfRange, match="no receiver is called nobody; there are: hook, other"):
            await receivers.put_route(Route(name="wrong", receivers=("nobody",)))
        with pytest.raises(OutOfRange, match="named by the routes all"):
            await receivers.remove_receiver("hook")
        with pytest.raises(OutOfRange, match="receivers_max"):
            await receivers.put_receiver(AM)
        with pytest.raises(OutOfRange, match="title: "):
            await receivers.put_receiver(Receiver(name="hook", kind="webhook", url="https://a", title_template="{x}"))
        node = await node.restart()
        receivers = node.service.receivers
        assert receivers.routes["all"].receivers == ("hook",) and receivers.receiver("hook") == HOOK
        kept = receivers.with_secrets(Receiver(name="hook", kind="webhook", title_template="{what}"))
        assert kept.url == HOOK.url
        await receivers.remove_route("all")
        await receivers.remove_receiver("other")
        with pytest.raises(NotFound):
            receivers.receiver("other")
        return node

    run(tmp_path, test, receivers_max=2)
