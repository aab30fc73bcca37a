"""Rules of alerts over HTTP: what whoever asks may see and change of them."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx

from fleetpulse.ingest.default_alert_rules import default_rules
from fleetpulse.model.device import Device
from fleetpulse.pipeline.service import Service
from memory_service import NOON
from protected_service import PARIS, add_key, client_of, protected

RULES = "/api/v1/alerts/rules"
CPU = {"kind": "metric", "condition": "cpu avg over 600s > 90", "for": "60s", "labels": {"site": "paris"}}
Ask = Callable[..., Awaitable[httpx.Response]]


def run(folder: Path, test: Callable[[Service, Ask, Ask], Awaitable[None]], **settings: Any) -> None:
    """Run a test with two clients: one who may do everything, and one who operates the devices of paris."""

    async def life() -> None:
        async with protected(folder, **settings) as service:
            devices = [Device("p", {"site": "paris"}), Device("r", {"site": "rome"})]
            await service.registry.register_many(devices)
            admin = client_of(service, add_key(service, "admin"))
            scoped = client_of(service, add_key(service, "operate", scope=PARIS))
            async with admin, scoped:
                await test(service, admin.request, scoped.request)

    asyncio.run(life())


def test_a_rule_is_declared_shown_changed_and_removed(tmp_path: Path) -> None:
    async def test(service: Service, ask: Ask, _: Ask) -> None:
        made = await ask("PUT", f"{RULES}/cpu-high", json=CPU)
        assert made.status_code == 200, made.text
        assert made.json() == {
            **CPU,
            "name": "cpu-high",
            "condition": "cpu avg over 10m > 90",
            "for": "1m",
            "severity": "warning",
            "keep_firing_for": "0s",
            "owner": "",
            "annotations": {},
            "enabled": True,
            "origin": "api",
            "changed_at": made.json()["changed_at"],
            "notes": ["no metric is called cpu: the rule finds nothing until there is one"],
        }
        assert (await ask("GET", f"{RULES}/cpu-high")).json() == made.json()
        names = [rule["name"] for rule in (await ask("GET", RULES)).json()["rules"]]
        assert names == sorted([*default_rules(), "cpu-high"])
        again = await ask("PUT", f"{RULES}/cpu-high", json={"kind": "fleet", "condition": "down by hall > 3"})
        assert (again.json()["labels"], again.json()["for"]) == ({}, "0s")
        assert "no device has a label `hall`" in again.json()["notes"][0]
        assert (await ask("DELETE", f"{RULES}/cpu-high")).json() == {
            "msg": "alert rule cpu-high is removed, and its alerts end"
        }
        assert (await ask("GET", f"{RULES}/cpu-high")).status_code == 404
        assert service.alert_rules.declared.keys() == default_rules().keys()

    run(tmp_path, test)


def test_what_came_with_the_service_says_so_until_it_is_changed(tmp_path: Path) -> None:
    async def test(_: Service, ask: Ask, __: Ask) -> None:
        path = f"{RULES}/device-offline"
        known = (await ask("GET", path)).json()
        assert (known["origin"], known["changed_at"], known["for"]) == ("default", None, "0s")
        body = {name: known[name] for name in ("kind", "severity", "annotations")}
        changed = (await ask("PUT", path, json={**body, "for": "15m"})).json()
        assert (changed["origin"], changed["for"], changed["annotations"]) == ("api", "15m", known["annotations"])
        await ask("DELETE", path)
        gone = await ask("DELETE", path)
        assert (gone.status_code, gone.json()["type"]) == (404, "urn:fleetpulse:problem:unknown_alert_rule")
        assert "there are: device-clock, " in gone.json()["msg"]

    run(tmp_path, test)


def test_what_is_wrong_is_refused_with_the_field_and_counted(tmp_path: Path) -> None:
    async def test(service: Service, ask: Ask, _: Ask) -> None:
        for name, body, status, text in (
            ("cpu", {"kind": "cpu"}, 422, "kind must be one of"),
            ("cpu", {"kind": "metric", "condition": "cpu > 5"}, 422, "condition: expected `avg` or"),
            ("cpu", {"condition": "cpu > 5"}, 400, "kind"),
            ("cpu", {"kind": "device_down", "fors": "5m"}, 400, "fors"),
            ("a b", {"kind": "device_down"}, 422, "name: the name of a rule"),
            ("cpu", {"kind": "device_down", "annotations": {"a": "{0.__class__}"}}, 422, "is unknown; known are"),
        ):
            answer = await ask("PUT", f"{RULES}/{name}", json=body)
            assert answer.status_code == status, answer.text
            assert text in answer.text
        assert service.counters.changes_refused["alert_rule"] == 4
        most = {"kind": "device_down"}
        assert (await ask("PUT", f"{RULES}/one", json=most)).status_code == 200
        refused = await ask("PUT", f"{RULES}/two", json=most)
        assert (refused.status_code, refused.json()["type"]) == (422, "urn:fleetpulse:problem:alert_rules_max")
        assert service.counters.changes_refused["alert_rules_max"] == 1

    run(tmp_path, test, alert_rules_max=len(default_rules()) + 1)


def test_somebody_with_a_scope_changes_rules_of_its_devices_alone(tmp_path: Path) -> None:
    async def test(service: Service, ask: Ask, scoped: Ask) -> None:
        made = await scoped("PUT", f"{RULES}/own", json={"kind": "device_down"})
        assert made.json()["labels"] == {"site": "paris"}
        for labels in ({"site": "rome"}, {"zone": "a"}):
            await ask("PUT", f"{RULES}/{next(iter(labels.values()))}", json={"kind": "device_down", "labels": labels})
        seen = {rule["name"] for rule in (await scoped("GET", RULES)).json()["rules"]}
        assert seen == {*default_rules(), "own"}
        for method, name, body, status in (
            ("GET", "rome", None, 404),
            ("DELETE", "rome", None, 404),
            ("DELETE", "device-offline", None, 403),
            ("PUT", "device-offline", {"kind": "device_down"}, 403),
            ("PUT", "rome", {"kind": "device_down"}, 403),
            ("PUT", "new", {"kind": "device_down", "labels": {"site": "rome"}}, 403),
            ("PUT", "new", {"kind": "service", "condition": "disk_free < 5 %"}, 403),
        ):
            answer = await scoped(method, f"{RULES}/{name}", json=body)
            assert answer.status_code == status, (name, answer.text)
        assert "rome" not in (await scoped("GET", f"{RULES}/never")).text
        assert (await scoped("DELETE", f"{RULES}/own")).status_code == 200
        assert service.clock.now_ns() >= NOON

    run(tmp_path, test)
