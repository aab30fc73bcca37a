"""Rehearsals over HTTP: what a rule would have done over stored history, for the devices of whoever asks."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx

from fleetpulse.model.alert import Silence
from fleetpulse.model.device import Device
from fleetpulse.pipeline.service import Service
from memory_service import SECOND, Sender, World
from protected_service import PARIS, add_key, client_of

REHEARSE = "/api/v1/alerts/rehearse"
Ask = Callable[..., Awaitable[httpx.Response]]


def run(folder: Path, test: Callable[[Service, Ask, Ask], Awaitable[None]], **settings: Any) -> None:
    """Two devices, p of paris and r of rome, that were silent for half an hour; p also sent slow uploads before."""

    async def life() -> None:
        world = World(folder)
        service = await world.started(auth="required", **settings)
        await service.registry.register_many([Device("p", {"site": "paris"}), Device("r", {"site": "rome"})])
        await _beats(world, service)
        admin = client_of(service, add_key(service, "admin"))
        scoped = client_of(service, add_key(service, "read", scope=PARIS))
        async with admin, scoped:
            await test(service, admin.request, scoped.request)
        await service.node.stop()

    asyncio.run(life())


async def _beats(world: World, service: Service) -> None:
    numbers = service.registry.numbers
    for minute in range(90):
        if minute not in range(30, 60):
            value = 900 if minute in range(10, 20) else 10
            service.intake.add_sample(numbers["p"], world.clock.ns, value, Sender())
            service.intake.add_heartbeat(numbers["r"], world.clock.ns, Sender())
        for _ in range(2):
            world.clock.ns += 30 * SECOND
            service.watch.turn()
            await service.writer.drain()


def test_a_declared_rule_is_rehearsed(tmp_path: Path) -> None:
    async def test(_: Service, ask: Ask, __: Ask) -> None:
        answered = await ask("POST", REHEARSE, json={"name": "device-offline"})
        assert answered.status_code == 200, answered.text
        found = answered.json()
        assert (found["alerts"], found["again"], found["subjects"], found["messages"]) == (2, 0, 2, 0), found
        assert [one["subject"] for one in found["first"]] == ["p", "r"]
        assert all(one["resolved_at"] > one["fired_at"] >= one["since"] for one in found["first"]), found["first"]
        assert sum(day["alerts"] for day in found["days"]) == 2
        assert len(found["days"]) in (30, 31)
        assert "no receivers are declared, so nobody would be told" in found["notes"]

    run(tmp_path, test)


def test_it_says_who_would_have_been_told_by_the_routes_and_silences_of_now(tmp_path: Path) -> None:
    async def test(service: Service, ask: Ask, _: Ask) -> None:
        hook = {"kind": "webhook", "url": "https://a.example/hook"}
        assert (await ask("PUT", "/api/v1/alerts/receivers/hook", json=hook)).status_code == 200
        assert (await ask("PUT", "/api/v1/alerts/routes/all", json={"receivers": ["hook"]})).status_code == 200
        found = (await ask("POST", REHEARSE, json={"name": "device-offline"})).json()
        assert (found["receivers"], found["kinds"]["firing"] >= 1, found["kinds"]["resolved"] >= 1) == (
            {"hook": found["messages"]},
            True,
            True,
        )
        assert sum(day["messages"] for day in found["days"]) == found["messages"] > 0
        assert found["notes"] == []
        silence = Silence(1, (("site", "paris"),), 0, service.clock.now_ns() + SECOND, "", "me", 0)
        everybody = silence._replace(number=2, labels=(("site", "rome"),))
        service.alert_book.silences = (silence, everybody)
        found = (await ask("POST", REHEARSE, json={"name": "device-offline"})).json()
        assert (found["alerts"], found["messages"]) == (2, 0)
        assert found["notes"] == ["2 silences that are in effect now are taken to be so all the time"]

    run(tmp_path, test)


def test_a_proposed_rule_is_rehearsed_and_not_declared(tmp_path: Path) -> None:
    async def test(service: Service, ask: Ask, _: Ask) -> None:
        rule = {"kind": "metric", "condition": "upload_time avg over 5m > 500", "for": "1m"}
        found = (await ask("POST", REHEARSE, params={"window": "24h"}, json={"name": "slow", "rule": rule})).json()
        assert (found["rule"], found["alerts"], found["first"][0]["subject"]) == ("slow", 1, "p")
        assert found["first"][0]["value"] > 500
        assert "slow" not in service.alert_rules.declared
        site = {"kind": "fleet", "condition": "down by site >= 1"}
        found = (await ask("POST", REHEARSE, json={"rule": site})).json()
        assert {one["subject"] for one in found["first"]} == {"site=paris", "site=rome"}
        gone = {"kind": "absent", "condition": "no upload_time over 4m"}
        assert (await ask("POST", REHEARSE, json={"rule": gone})).json()["alerts"] == 1

    run(tmp_path, test)


def test_somebody_with_a_scope_rehearses_its_devices_alone(tmp_path: Path) -> None:
    async def test(_: Service, __: Ask, scoped: Ask) -> None:
        found = (await scoped("POST", REHEARSE, json={"rule": {"kind": "device_down"}})).json()
        assert [one["subject"] for one in found["first"]] == ["p"]
        rome = {"kind": "device_down", "labels": {"site": "rome"}}
        assert (await scoped("POST", REHEARSE, json={"rule": rome})).status_code == 403

    run(tmp_path, test)


def test_what_cannot_be_rehearsed_is_refused_with_a_reason(tmp_path: Path) -> None:
    async def test(_: Service, ask: Ask, __: Ask) -> None:
        for body, status, text in (
            ({"name": "service-disk"}, 422, "in memory only"),
            ({"name": "device-clock"}, 422, "is not stored"),
            ({"rule": {"kind": "metric", "condition": "cpu avg over 5m > 1"}}, 422, "no metric is called cpu"),
            ({"rule": {"kind": "metric", "condition": "nonsense"}}, 422, "condition"),
            ({"name": "nothing"}, 404, "no alert rule is called nothing"),
            ({}, 422, "give the `name`"),
        ):
            refused = await ask("POST", REHEARSE, json=body)
            assert (refused.status_code, text in refused.json()["msg"]) == (status, True), refused.text

    run(tmp_path, test)
