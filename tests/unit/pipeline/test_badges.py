"""Badges over HTTP: by key, and by a token that shows one badge and nothing else."""

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from fleetpulse.cli.main import main
from fleetpulse.model.device import Device
from fleetpulse.pipeline.badges import KEPT_S
from fleetpulse.pipeline.service import Service
from memory_service import SECOND, World, beat
from protected_service import PARIS, add_key, client_of

BADGES = "/api/v1/badges"


async def started(world: World, **settings: Any) -> Service:
    service = await world.started(auth="required", **settings)
    await service.registry.register_many([Device("p1", {"site": "paris"}), Device("r1", {"site": "rome"})])
    service.gate.set_time(service.clock.now_ns() / SECOND)
    return service


async def make(client: httpx.AsyncClient, **body: Any) -> dict[str, Any]:
    answer = await client.post(BADGES, json=body)
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made


def test_a_token_shows_its_badge_and_nothing_else_until_it_is_revoked(tmp_path: Path) -> None:
    async def life() -> None:
        world = World(tmp_path)
        service = await started(world)
        admin, nobody = client_of(service, add_key(service, "admin")), client_of(service)
        one = await make(admin, device_id="p1", description="wiki")
        site, fleet = await make(admin, labels={"site": "rome"}), await make(admin)
        for made, label, message in (
            (one, "p1", "new"),
            (site, "site:rome", "none of 1 heard"),
            (fleet, "fleet", None),
        ):
            image = await nobody.get(made["path"])
            assert (image.status_code, image.headers["content-type"]) == (200, "image/svg+xml")
            assert "no-cache" in image.headers["cache-control"]
            shown = (await nobody.get(made["path"], params={"format": "json"})).json()
            assert (shown["schemaVersion"], shown["label"]) == (1, label)
            assert message in (None, shown["message"])
        for path in ("/api/v1/devices/p1/badge", "/api/v1/fleet/badge", "/api/v1/devices", BADGES):
            for headers in ({"authorization": f"Bearer {one['token']}"}, {"x-api-key": one["token"]}):
                assert (await nobody.get(path, headers=headers)).status_code == 401
        await beat(service, "p1")
        assert (await nobody.get(one["path"] + "?format=json")).json()["message"] == "new", "it is kept for seconds"
        world.clock.ns += KEPT_S * SECOND
        assert (await nobody.get(one["path"] + "?format=json")).json()["message"] == "up"
        listed = (await admin.get(BADGES)).json()
        assert [(badge["number"], badge["device_id"], badge["labels"]) for badge in listed["badges"]] == [
            (1, "p1", {}), (2, None, {"site": "rome"}), (3, None, {}),
        ]  # fmt: skip
        assert "fp_badge" not in json.dumps(listed)
        assert (await admin.delete(f"{BADGES}/1")).json() == {"msg": "badge 1 is revoked"}
        gone = await nobody.get(one["path"])
        assert (gone.status_code, one["token"] in gone.text) == (404, False)
        assert (await admin.delete(f"{BADGES}/1")).status_code == 404
        assert (await admin.delete(f"{BADGES}/x")).status_code == 404
        assert (await nobody.get(site["path"])).status_code == 200
        await service.node.stop()

    asyncio.run(life())


def test_a_badge_of_a_device_ends_with_the_device(tmp_path: Path) -> None:
    async def life() -> None:
        service = await started(World(tmp_path))
        admin = client_of(service, add_key(service, "admin"))
        made = await make(admin, device_id="p1")
        assert (await admin.delete("/api/v1/devices/p1")).status_code == 200
        assert (await admin.get(made["path"])).status_code == 404
        assert (await admin.post("/api/v1/devices", json={"id": "p1"})).status_code == 201
        assert (await admin.get(made["path"])).status_code == 404
        await service.node.stop()

    asyncio.run(life())


@pytest.mark.parametrize(
    ("body", "status", "reason"),
    [
        ({"device_id": "nobody"}, 404, "unknown_device"),
        ({"device_id": "p1", "labels": {"site": "paris"}}, 422, "badge"),
        ({"labels": {"": "paris"}}, 422, "badge"),
        ({"description": "x" * 3_000}, 422, "key"),
        ({"number": 3}, 400, "malformed"),
    ],
)
def test_what_cannot_be_made_is_refused(tmp_path: Path, body: dict[str, Any], status: int, reason: str) -> None:
    async def life() -> None:
        service = await started(World(tmp_path), badges_max=1)
        admin = client_of(service, add_key(service, "admin"))
        answer = await admin.post(BADGES, json=body)
        assert (answer.status_code, answer.json()["type"].rpartition(":")[2]) == (status, reason)
        await make(admin)
        full = await admin.post(BADGES, json={})
        assert (full.status_code, full.json()["type"].rpartition(":")[2]) == (422, "badges_max")
        await service.node.stop()

    asyncio.run(life())


def test_who_may_read_sees_badges_within_the_scope_and_a_wrong_token_shows_nothing(tmp_path: Path) -> None:
    async def life() -> None:
        service = await started(World(tmp_path))
        reader = client_of(service, add_key(service, "read", scope=PARIS))
        assert (await reader.get("/api/v1/devices/p1/badge?format=json")).json()["label"] == "p1"
        assert (await reader.get("/api/v1/devices/r1/badge")).status_code == 404
        fleet = await reader.get("/api/v1/fleet/badge?format=json")
        assert fleet.json()["message"] == "none of 1 heard"
        assert (await reader.get("/api/v1/fleet/badge?label=site:rome&format=json")).json()["message"] == "no devices"
        assert (await reader.get("/api/v1/fleet/badge?format=png")).status_code == 422
        for token in ("x", "fp_badge_1_" + "0" * 33, "fp_read_1_" + "0" * 33, "%00"):
            assert (await reader.get(f"/badge/{token}")).status_code == 404
        await service.node.stop()

    asyncio.run(life())


def test_commands_make_list_and_revoke_badges(
    tmp_path: Path, serve: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FLEETPULSE_URL", f"http://127.0.0.1:{serve().port}")
    assert main(["badges", "add", "--label", "site:paris", "--description", "wiki"]) == 0
    assert "/badge/fp_badge_1_" in capsys.readouterr().out
    assert main(["badges", "list"]) == 0
    listed = capsys.readouterr().out
    assert ("wiki" in listed, "fp_badge" in listed) == (True, False)
    assert main(["badges", "revoke", "1"]) == 0
    assert "badge 1 is revoked" in capsys.readouterr().out
