"""The audit log over a service in memory: who did what, before and after, and who was refused."""

import asyncio
import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from fleetpulse.api.app import ROUTES, build_api
from fleetpulse.app import build_parts
from fleetpulse.ingest.alert_declarations import declared_fields
from fleetpulse.ingest.default_alert_rules import default_rules
from fleetpulse.model.audit import AuditFilter
from fleetpulse.pipeline.service import Service
from fleetpulse.pipeline.verify import verify
from fleetpulse.settings import Settings
from memory_service import DAY, SECOND, World
from protected_service import add_key

WINDOW = {"title": "patches", "all": True, "end": "2024-10-05T00:00:00Z"}


def client_of(service: Service) -> httpx.AsyncClient:
    """A client of a service that says which request is which."""
    transport = httpx.ASGITransport(build_api(build_parts(Settings(), service)), client=("192.0.2.7", 5))
    return httpx.AsyncClient(transport=transport, base_url="http://localhost", headers={"x-request-id": "r-1"})


async def entries_of(client: httpx.AsyncClient, query: str = "") -> list[dict[str, Any]]:
    answer = await client.get(f"/api/v1/audit{query}")
    assert answer.status_code == 200, answer.text
    return list(answer.json()["entries"])


Act = tuple[str, str, str, str, dict[str, Any] | None, dict[str, Any] | None]
ACTS: list[Act] = [
    ("POST /api/v1/devices", '{"id": "new", "labels": {"site": "paris"}}', "addDevice", "device new", None,
     {"labels": {"site": "paris"}}),
    ("PATCH /api/v1/devices/a", '{"note": "hall 2"}', "changeDevice", "device a", {"note": None}, {"note": "hall 2"}),
    ("DELETE /api/v1/devices/a", "", "deleteDevice", "device a", {}, None),
    ("PATCH /api/v1/devices?all=true", '{"labels": {"site": "rome"}}', "relabel", "2 changes",
     {"device a": {"labels": None}, "device b": {"labels": None}},
     {"device a": {"labels": {"site": "rome"}}, "device b": {"labels": {"site": "rome"}}}),
    ("POST /api/v1/devices/a/pause", "", "pause", "device a", {"pauses": []},
     {"pauses": [{"start": "2024-10-04T12:00:00Z", "end": None}]}),
    ("POST /api/v1/devices.csv", "device_id,site\nc,rome\n", "importDevices", "device c", None,
     {"labels": {"site": "rome"}}),
    ("POST /api/v1/metrics/definitions", '{"name": "cpu"}', "defineMetric", "metric cpu", None, {"name": "cpu"}),
    ("POST /api/v1/users", '{"name": "alice", "role": "read", "password": "a long one, of words"}', "addPerson",
     "person alice", None, {"role": "read", "scope": []}),
    ("PUT /api/v1/alerts/rules/mine", '{"kind": "device_down", "for": "5m"}', "putAlertRule", "alert rule mine", None,
     {"kind": "device_down", "for": "5m", "labels": []}),
    ("DELETE /api/v1/alerts/rules/device-offline", "", "deleteAlertRule", "alert rule device-offline",
     {**declared_fields(default_rules()["device-offline"])}, None),
    ("PUT /api/v1/alerts/receivers/hook", '{"kind": "webhook", "url": "https://a.example/hidden"}', "putReceiver",
     "receiver hook", None, {"kind": "webhook", "url": "(hidden)"}),
    ("POST /api/v1/clock/accept", "{}", "acceptClock", "clock", None, {"latest": None}),
    ("POST /api/v1/blocks/check", "", "checkBlocks", "blocks that are set aside", None, None),
    ("POST /api/v1/devices/a/forget", '{"before": "2024-10-01T00:00:00Z"}', "forget", "device a", None,
     {"forgotten_before": "2024-10-01T00:00:00Z"}),
]  # fmt: skip


@pytest.mark.parametrize("act", ACTS, ids=[act[2] for act in ACTS])
def test_an_act_has_its_entry(act: Act, tmp_path: Path) -> None:
    target, body, action, subject, before, after = act

    async def ask() -> None:
        service = await World(tmp_path).started("a", "b")
        async with client_of(service) as client:
            method, path = target.split()
            kind = "text/csv" if path.endswith(".csv") else "application/json"
            answer = await client.request(method, path, content=body, headers={"content-type": kind})
            assert answer.status_code in (200, 201), answer.text
            assert answer.headers["x-request-id"] == "r-1"
            (entry,) = await entries_of(client)
        await service.node.stop()
        assert (entry["action"], entry["subject"]) == (action, subject)
        assert (entry["who"], entry["address"], entry["request_id"]) == ("everybody", "192.0.2.7", "r-1")
        assert (entry["before"] or None) == (before or None)
        assert (after is None) == (entry["after"] is None)
        assert {**(entry["after"] or {}), **(after or {})} == (entry["after"] or {})

    asyncio.run(ask())


def test_every_route_that_changes_something_is_among_them() -> None:
    tried = {action for _, _, action, *_ in ACTS} | set(TRIED_ELSEWHERE)
    assert {route.operation for route in ROUTES if route.method != "GET" and route.group != "ingest"} <= tried


IN_THE_CATALOG = ["changePerson", "removePerson", "changePassword", "makeKeys", "rotateKey", "makeEnrolmentKey"]
IN_THE_CATALOG += ["allowEnrolment", "enrol"]
"""They are transactions of the catalog, each of which has its entry."""
OF_RECEIVERS = ["deleteReceiver", "deleteRoute", "putRoute", "retryMessages", "acknowledgeByLink"]
OF_RECEIVERS += ["testReceiver", "previewText"]  # they change nothing
SIGN_IN = ["login", "refresh", "logout", "signIn", "signOut"]
CHANGES_NOTHING = ["previewAlertRule", "rehearseAlertRule"]
OF_ALERTS = ["acknowledgeAlert", "assignAlert", "snoozeAlert", "commentAlert", "addSilence", "endSilence"]
OF_BADGES = ["makeBadge", "revokeBadge"]
TRIED_ELSEWHERE = [
    *CHANGES_NOTHING,
    *OF_ALERTS,
    *OF_BADGES,
    "resume",
    "changeMetric",
    "undefineMetric",
    "addWindow",
    "deleteWindow",
    "makeKey",
    "makeKeys",
    "rotateKey",
    "revokeKey",
    *IN_THE_CATALOG,
    *SIGN_IN,
    *OF_RECEIVERS,
]


def test_a_first_admin_key_and_the_keys_of_a_deleted_device_are_in_it(tmp_path: Path) -> None:
    async def act() -> None:
        service = await World(tmp_path).started("a", auth="required")
        async with client_of(service) as client:
            client.headers["x-api-key"] = (tmp_path / "admin.key").read_text().strip()
            await client.post("/api/v1/keys", json={"role": "device", "device_id": "a"})
            await client.delete("/api/v1/devices/a")
            deleted, _, first = await entries_of(client)
        assert (first["who"], first["action"], first["subject"]) == ("the service", "makeKey", "key 1")
        assert first["after"]["role"] == "admin"
        assert (deleted["action"], deleted["subject"]) == ("deleteDevice", "device a")
        assert deleted["after"] == {"key 2": {"is_revoked": True}}
        await service.node.stop()

    asyncio.run(act())


def test_what_changes_nothing_has_no_entry(tmp_path: Path) -> None:
    async def act() -> None:
        service = await World(tmp_path).started("a")
        async with client_of(service) as client:
            csv = {"content-type": "text/csv"}
            await client.post("/api/v1/devices.csv?dry_run=true", content="device_id\nx\n", headers=csv)
            await client.patch("/api/v1/devices?all=true&dry_run=true", json={"labels": {"site": "rome"}})
            await client.post("/api/v1/devices", json={"id": "a"})  # there is one
            await client.post("/api/v1/devices/a/stats", json={})
            assert await entries_of(client) == []
        await service.node.stop()

    asyncio.run(act())


def test_definitions_and_windows_say_what_was_before(tmp_path: Path) -> None:
    async def act() -> None:
        service = await World(tmp_path).started("a")
        async with client_of(service) as client:
            definitions = "/api/v1/metrics/definitions"
            await client.post(definitions, json={"name": "cpu", "unit": "%"})
            await client.patch(f"{definitions}/cpu", json={"unit": "percent"})
            await client.delete(f"{definitions}/cpu")
            window = (await client.post("/api/v1/maintenance", json=WINDOW)).json()
            await client.delete(f"/api/v1/maintenance/{window.get('id')}")
            await client.post("/api/v1/devices/a/pause")
            await client.post("/api/v1/devices/a/resume")
            entries = await entries_of(client)
        await service.node.stop()
        found = {entry["action"]: entry for entry in entries}
        assert found["changeMetric"]["before"] == {"unit": "%"}
        assert found["changeMetric"]["after"] == {"unit": "percent"}
        assert found["undefineMetric"]["after"] is None
        assert found["resume"]["subject"] == "device a"
        assert list(found) == [
            *("resume", "pause", "deleteWindow", "addWindow", "undefineMetric", "changeMetric", "defineMetric")
        ]

    asyncio.run(act())


def test_keys_are_named_and_never_shown(tmp_path: Path) -> None:
    async def act() -> None:
        service = await World(tmp_path).started("a")
        async with client_of(service) as client:
            made = await client.post("/api/v1/keys?confirm=true", json={"role": "admin", "description": "ops"})
            client.headers["x-api-key"] = made.json()["key"]
            await client.post("/api/v1/keys", json={"role": "device", "device_id": "a"})
            await client.delete("/api/v1/keys/2")
            entries = await entries_of(client)
        await service.node.stop()
        whole = json.dumps(entries)
        assert made.json()["key"] not in whole
        assert "digest" not in whole
        assert [(entry["action"], entry["subject"], entry["who"]) for entry in entries] == [
            ("revokeKey", "key 2", "key 1 (ops)"),
            ("makeKey", "key 2", "key 1 (ops)"),
            ("makeKey", "key 1", "everybody"),
        ]
        assert entries[0]["after"] == {"is_revoked": True}

    asyncio.run(act())


def test_refused_authentications_are_counted_and_written_down(tmp_path: Path) -> None:
    async def act() -> None:
        world = World(tmp_path)
        service = await world.started("a", auth="required")
        async with client_of(service) as client:
            for _ in range(1_000):
                await client.get("/api/v1/devices", headers={"authorization": "Bearer fp_read_h_wrong"})
            await client.get("/api/v1/devices")
        service.audit_log.tick(may_expire=True)
        await service.audit_log.end()
        entries = service.catalog.audit.page(AuditFilter(kind="refusal"), before=None, limit=10)
        await service.node.stop()
        found = {(entry.facts.action, entry.facts.subject): entry.facts.times for entry in entries}
        assert found == {("wrong_key", "listDevices"): 1_000, ("no_key", "listDevices"): 1}

    asyncio.run(act())


def test_numbers_of_keys_that_never_were_take_up_no_entries(tmp_path: Path) -> None:
    async def act() -> None:
        service = await World(tmp_path).started("a", auth="required", failure_per_s=0.001, failure_burst=2)
        async with client_of(service) as client:
            for number in range(700):
                await client.get("/api/v1/devices", headers={"x-api-key": f"fp_read_{number}_zzz"})
        await service.audit_log.end()
        entries = service.catalog.audit.page(AuditFilter(kind="refusal"), before=None, limit=1_000)
        await service.node.stop()
        assert {(one.facts.action, one.facts.subject): one.facts.times for one in entries} == {
            ("wrong_key", "listDevices"): 699,
            ("wrong_key", "listDevices, key 1, which was shown"): 1,
        }, "also those above the limit of failures"

    asyncio.run(act())


def test_an_entry_of_a_refusal_says_who_where_and_which_request(tmp_path: Path) -> None:
    async def act() -> None:
        service = await World(tmp_path).started("a", auth="required")
        reader, device = add_key(service, "read"), add_key(service, "device", device_id="a")
        foreign, requests = {"origin": "https://evil.example"}, "/api/v1/devices"
        async with client_of(service) as client:
            for method, path, headers in (
                ("POST", requests, {"x-api-key": reader}),
                ("GET", f"{requests}/b", {"x-api-key": device}),
                ("POST", requests, {"x-api-key": add_key(service, "admin"), **foreign}),
                ("GET", requests, {"x-api-key": reader, "authorization": f"Bearer {reader}"}),
            ):
                answer = await client.request(method, path, headers=headers)
                assert answer.status_code in (400, 403), answer.text
        await service.audit_log.end()
        entries = service.catalog.audit.page(AuditFilter(kind="refusal"), before=None, limit=10)
        await service.node.stop()
        assert {one.facts.request_id for one in entries} == {"r-1"}
        assert {(one.facts.action, one.facts.who, one.facts.role, one.facts.subject) for one in entries} == {
            ("role", "key 2", "read", "addDevice, key 2, which was shown"),
            ("other_device", "key 3", "device", "getDevice, key 3, which was shown"),
            ("web_page", "key 4", "admin", "addDevice, key 4, which was shown"),
            ("two_keys", "", "", "listDevices"),
        }

    asyncio.run(act())


def test_the_log_is_exported_filtered_and_paged(tmp_path: Path) -> None:
    async def act() -> None:
        world = World(tmp_path)
        service = await world.started("a")
        async with client_of(service) as client:
            for number in range(5):
                await client.patch("/api/v1/devices/a", json={"note": f"={number}"})
                world.clock.ns += SECOND
            first = (await client.get("/api/v1/audit?limit=3")).json()
            second = (await client.get(f"/api/v1/audit?limit=3&cursor={first['next_cursor']}")).json()
            numbers = [entry["number"] for entry in first["entries"] + second["entries"]]
            assert (numbers, second["next_cursor"]) == ([5, 4, 3, 2, 1], None)
            late = await entries_of(client, "?since=2024-10-04T12:00:02Z&until=2024-10-04T12:00:04Z")
            assert [entry["number"] for entry in late] == [4, 3]
            assert await entries_of(client, "?who=nobody") == []
            lines = (await client.get("/api/v1/audit/export")).text.splitlines()
            assert [json.loads(line)["number"] for line in lines] == [1, 2, 3, 4, 5]
            rows = (await client.get("/api/v1/audit/export?format=csv&action=changeDevice")).text.splitlines()
            assert len(rows) == 6
            assert (await client.get("/api/v1/audit?cursor=x")).status_code == 400
            assert (await client.get("/api/v1/audit?kind=x")).status_code == 422
        await service.node.stop()

    asyncio.run(act())


def test_a_chain_whose_beginning_expired_is_whole_and_one_that_was_changed_is_not(tmp_path: Path) -> None:
    async def act() -> None:
        world = World(tmp_path)
        service = await world.started("a", audit_retention_days=10)
        async with client_of(service) as client:
            for note in ("one", "two"):
                await client.patch("/api/v1/devices/a", json={"note": note})
            world.clock.ns += 11 * DAY
            await client.patch("/api/v1/devices/a", json={"note": "three"})
            service.audit_log.tick(may_expire=True)
            await service.audit_log.end()
            entries = (await client.get("/api/v1/audit")).json()
        assert entries["first_number"] == 3
        assert [entry["action"] for entry in entries["entries"]] == ["removeAuditEntries", "changeDevice"]
        finding = next(one for one in verify(service.journal, service.catalog, world.store) if one.part == "audit log")
        assert finding.is_good
        await service.node.stop()

    asyncio.run(act())
