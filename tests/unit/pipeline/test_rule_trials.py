"""Rules tried on what is true now, over HTTP: what would fire, what not yet, and why."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from fleetpulse.errors import NotAccepting
from fleetpulse.model.device import Device
from fleetpulse.model.metric import MetricDefinition
from fleetpulse.notation.timestamp import format_rfc3339
from fleetpulse.pipeline.service import Service
from memory_service import SECOND, World
from protected_service import PARIS, add_key, client_of

MINUTE = 60 * SECOND
PREVIEW = "/api/v1/alerts/rules/preview"
Try = Callable[..., Awaitable[dict[str, Any]]]


def run(folder: Path, test: Callable[[World, Service, Try], Awaitable[None]], *, scope: Any = ()) -> None:
    """Run a test on a fleet: `p1` has stopped 10 minutes ago, `p2` and `r1` report cpu each minute, `r2` is new."""

    async def life() -> None:
        world = World(folder)
        service = await world.started(auth="required")
        sites = {"p1": "paris", "p2": "paris", "r1": "rome", "r2": "rome"}
        await service.registry.register_many([Device(device_id, {"site": site}) for device_id, site in sites.items()])
        await service.metric_definitions.define([MetricDefinition(name="cpu", unit="%")])
        admin = client_of(service, add_key(service, "admin"))
        client = client_of(service, add_key(service, "read", scope=scope))
        async with admin, client:
            for minute in range(20):
                await report(admin, world, p2=50 + minute, r1=20, **({"p1": 1} if minute < 10 else {}))
                for _ in range(2):
                    world.clock.ns += MINUTE // 2
                    service.watch.turn()
                    await service.writer.drain()

            async def trial(status: int = 200, **body: Any) -> dict[str, Any]:
                answer = await client.post(PREVIEW, json=body)
                assert answer.status_code == status, answer.text
                return dict(answer.json())

            await test(world, service, trial)
        await service.node.stop()

    asyncio.run(life())


async def report(client: httpx.AsyncClient, world: World, **values: int) -> None:
    at = format_rfc3339(world.clock.ns)
    lines = [json.dumps({"device_id": name, "sent_at": at, "metrics": {"cpu": cpu}}) for name, cpu in values.items()]
    answer = await client.post("/api/v1/events", content="\n".join(lines))
    assert answer.json()["accepted"] == len(values), answer.text


def test_a_device_that_is_down_for_long_enough_would_fire_with_its_texts(tmp_path: Path) -> None:
    async def test(world: World, service: Service, trial: Try) -> None:
        version = service.alert_rules.version
        found = await trial(kind="device_down", annotations={"summary": "{device} of {label.site} in {rule}"})
        assert (found["devices"], found["firing"], found["pending"]) == (4, 1, 0)
        (alert,) = found["alerts"]
        assert (alert["subject"], alert["state"], alert["fires_at"]) == ("p1", "firing", found["at"])
        assert alert["annotations"] == {"summary": "p1 of paris in tried"}
        assert alert["why"] == "it is down; last heard: 2024-10-04T12:09:00Z; true for 6 m"
        later = await trial(kind="device_down", **{"for": "1h"}, enabled=False)
        (alert,) = later["alerts"]
        assert (later["firing"], later["pending"], alert["state"]) == (0, 1, "pending")
        assert alert["why"].endswith("true for 6 m, and fires in 54 m if nothing changes")
        assert alert["fires_at"] == "2024-10-04T13:14:00Z"
        assert (service.alert_rules.version, service.catalog.alert_rules.all()) == (version, [])

    run(tmp_path, test)


def test_figures_are_compared_and_the_nearest_others_are_named(tmp_path: Path) -> None:
    async def test(_: World, __: Service, trial: Try) -> None:
        found = await trial(kind="metric", condition="cpu max over 10m > 60")
        assert [(one["subject"], one["value"], one["unit"]) for one in found["alerts"]] == [("p2", 69.0, "%")]
        assert found["alerts"][0]["why"].startswith("cpu max over 10m is 69 %; true for")
        assert [(one["subject"], one["value"]) for one in found["closest"]] == [("r1", 20.0)]
        none = await trial(kind="metric", condition="cpu max over 10m > 90")
        assert (none["firing"], none["alerts"]) == (0, [])
        assert [(one["subject"], one["value"]) for one in none["closest"]] == [("p2", 69.0), ("r1", 20.0)]

    run(tmp_path, test)


@pytest.mark.parametrize(
    ("body", "subjects", "why"),
    [
        ({"kind": "fleet", "condition": "down by site > 20 %"}, ["site=paris"], "down are 50 %; true for"),
        ({"kind": "fleet", "condition": "down >= 1"}, ["fleet"], "devices that are down: 1; true for"),
        ({"kind": "absent", "condition": "no cpu over 5m"}, [], ""),
        ({"kind": "uptime_below", "condition": "availability over 10m < 90 %"}, ["p1"], "availability over 10m is "),
        ({"kind": "drift", "condition": "drift > 1s"}, [], ""),
        ({"kind": "service", "condition": "clock_behind >= 0s"}, ["service"], "clock_behind is 0 s; true for"),
        ({"kind": "service", "condition": "error_ratio over 5m > 1 %"}, [], ""),
    ],
)
def test_every_kind_of_rule_can_be_tried(body: dict[str, str], subjects: list[str], why: str, tmp_path: Path) -> None:
    async def test(_: World, __: Service, trial: Try) -> None:
        found = await trial(**body)
        assert [one["subject"] for one in found["alerts"]] == subjects
        assert all(one["why"].startswith(why) for one in found["alerts"])
        assert not found["alerts_capped"]
        assert found["devices"] == (None if body["kind"] == "service" else 4)

    run(tmp_path, test)


def test_what_is_wrong_with_a_rule_is_said_as_when_it_is_declared(tmp_path: Path) -> None:
    async def test(_: World, service: Service, trial: Try) -> None:
        assert "condition: expected" in (await trial(422, kind="metric", condition="cpu > 5"))["msg"]
        assert "unknown" in (await trial(422, kind="device_down", annotations={"a": "{x}"}))["msg"]
        long = {f"a{number}": "x" * 2_000 for number in range(5)}
        assert "alert_rule_chars_max" in (await trial(422, kind="device_down", annotations=long))["msg"]
        found = await trial(kind="metric", condition="heat avg over 1m > 5", labels={"site": "berlin"})
        assert "no device has the label site:berlin" in found["notes"][0]
        assert found["notes"][1] == "no metric is called heat: the rule finds nothing until there is one"
        service.intake.close(NotAccepting("read-only", reason="disk"))
        assert "does not see all devices" in (await trial(kind="device_down"))["notes"][0]

    run(tmp_path, test)


def test_somebody_with_a_scope_tries_rules_on_its_devices(tmp_path: Path) -> None:
    async def test(_: World, __: Service, trial: Try) -> None:
        found = await trial(kind="metric", condition="cpu max over 1h > 0")
        assert (found["devices"], [one["subject"] for one in found["alerts"]]) == (2, ["p1", "p2"])
        groups = await trial(kind="fleet", condition="down by site >= 0")
        assert [one["subject"] for one in groups["alerts"]] == ["site=paris"]
        await trial(403, kind="device_down", labels={"site": "rome"})
        await trial(403, kind="service", condition="disk_free < 5 %")

    run(tmp_path, test, scope=PARIS)
