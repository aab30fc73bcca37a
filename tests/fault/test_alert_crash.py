"""kill -9 between the decision, the storing and the delivery of alerts: each is told once, and nothing is lost."""

import asyncio
import random
import signal
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import pytest

from conftest import Server
from fleetpulse.errors import OutcomeUnknown
from fleetpulse.model.alert_rule import AlertRule
from fleetpulse.model.message import Message
from fleetpulse.model.receiver import Receiver
from fleetpulse.pipeline.service import Service
from http_client import Client
from memory_service import World
from receiving_server import HookServer

ROUNDS = 5
RULE = AlertRule(name="try", kind="service", telemetry="ingest_lag", comparison=">=", condition="ingest_lag >= 0s")
QUICK = ("--alert-interval-s", "0.05", "--delivery-retry-s", "0.1", "--blind-notice-s", "3600")


def told_of(bodies: list[dict[str, Any]], kind: str) -> dict[int, set[str]]:
    """By the number of the alert, the keys of the messages that tell of it."""
    found: dict[int, set[str]] = {}
    for body in bodies:
        for alert in body["alerts"]:
            if alert["state"] == kind:
                found.setdefault(alert["number"], set()).add(body["key"])
    return found


def test_each_alert_is_told_of_once_though_the_process_is_killed_again_and_again(tmp_path: Path) -> None:
    chance, hooks = random.Random(11), HookServer()
    folder = tmp_path / "data"
    declare(Server(folder, *QUICK), hooks)
    try:
        for number in range(ROUNDS):
            server = Server(folder, *QUICK)
            client = Client(server.port)
            client.ask(
                "PUT", f"/api/v1/alerts/rules/try-{number}", {"kind": "service", "condition": "disk_free < 100 %"}
            )
            client.close()
            time.sleep(chance.uniform(0.0, 0.4))
            server.stop(signal.SIGKILL)
        server = Server(folder, *QUICK)
        numbers = await_alerts(server, ROUNDS)
        deadline_s = time.monotonic() + 20
        while set(told_of(hooks.bodies(), "firing")) != numbers and time.monotonic() < deadline_s:
            time.sleep(0.02)
        assert server.stop() == 0
    finally:
        hooks.close()
    found = told_of(hooks.bodies(), "firing")
    assert set(found) == numbers, "an alert that is stored is told of"
    assert {number: len(keys) for number, keys in found.items()} == dict.fromkeys(numbers, 1), "and once, by its key"


def declare(server: Server, hooks: HookServer) -> None:
    """A webhook that is told of each rule by itself and at once."""
    client = Client(server.port)
    body = {"kind": "webhook", "url": hooks.url, "private": True}
    assert client.ask("PUT", "/api/v1/alerts/receivers/hook", body)[0] == 200
    client.close()
    assert server.stop() == 0


def await_alerts(server: Server, count: int) -> set[int]:
    """The numbers of the alerts, once so many fire."""
    client, deadline_s = Client(server.port), time.monotonic() + 20
    while True:
        found = client.ask("GET", "/api/v1/alerts")[1]["alerts"]
        if len(found) >= count or time.monotonic() > deadline_s:
            client.close()
            assert len({alert["rule"] for alert in found}) == len(found) == count
            return {alert["number"] for alert in found}
        time.sleep(0.02)


Order = Literal["stored before sent", "sent before stored", "stored after the alerts"]


async def messages_of(folder: Path, order: Order, *, is_crash_before_commit: bool) -> list[str]:
    """The messages that a receiver gets where the service ends in the midst of a round, by their keys."""
    world, sent = World(folder), list[str]()
    service = await world.started(alert_interval_s=3_600)
    service.catalog.receivers.put(Receiver(name="hook", kind="webhook", url="http://192.0.2.1/"), before=None, after={})
    await service.node.stop()
    service = await world.started(alert_interval_s=3_600)
    for rule in service.alert_rules.rules:
        await service.alert_rules.remove(rule.name)
    await service.alert_rules.put(RULE)
    real = service.alerting.add_messages

    def add(messages: Sequence[Message]) -> object:
        if order == "sent before stored":
            sent.extend(message.key for message in messages)
        elif order == "stored before sent":
            real(messages)  # else they are to be stored after the alerts, which the crash prevents
        if messages and is_crash_before_commit:
            raise OSError("the process was killed")
        return None

    service.alerting.add_messages = add
    try:
        await rounds(world, service)
    except OutcomeUnknown:
        assert is_crash_before_commit
    await service.node.stop()
    service = await world.started(alert_interval_s=3_600)
    await rounds(world, service)
    found = service.catalog.outbox.page(state=None, receiver="hook", before=None, limit=100)
    await service.node.stop()
    return sent + [entry.message.key for entry in found]


async def rounds(world: World, service: Service) -> None:
    for _ in range(4):
        world.clock.ns += 20_000_000_000
        service.watch.turn()
        await service.writer.drain()
        await service.alerting.round()


@pytest.mark.parametrize("is_crash_before_commit", [True, False])
def test_messages_are_stored_with_their_alerts_before_they_are_sent(
    is_crash_before_commit: bool, tmp_path: Path
) -> None:
    def count(order: Order) -> int:
        folder = tmp_path / order.replace(" ", "-")
        folder.mkdir()
        return len(asyncio.run(messages_of(folder, order, is_crash_before_commit=is_crash_before_commit)))

    assert count("stored before sent") == 1
    # The controls: sent first, the message is sent again after the crash; stored afterwards, it is never sent.
    control: Order = "sent before stored" if is_crash_before_commit else "stored after the alerts"
    assert count(control) == (2 if is_crash_before_commit else 0)
