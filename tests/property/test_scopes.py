"""A key with a scope: whoever holds it sees the answers of a fleet that consists of its devices alone."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import httpx
import pytest

from fleetpulse.api.app import ROUTES
from fleetpulse.api.routes import Route
from fleetpulse.ingest.window_declarations import WindowBody, new_window
from fleetpulse.model.access import Role, Scope
from fleetpulse.model.device import Device
from fleetpulse.model.maintenance import MaintenanceWindow
from fleetpulse.pipeline.service import Service
from memory_service import World
from protected_service import PARIS, add_key, client_of, protected

BEAT = b'{"sent_at":"2024-10-04T12:00:00Z"}'
STATS = b'{"sent_at":"2024-10-04T12:00:00Z","upload_time":5}'
METRICS = b'{"sent_at":"2024-10-04T12:00:00Z","metrics":{"cpu":5}}'
INSIDE = [
    Device("p1", {"site": "paris", "line": "3"}),
    Device("p2", {"site": "paris"}, 10, 20),
    Device("p3", {"site": "paris"}),
    Device("p4", {"site": "paris", "line": "9"}),
]
OUTSIDE = [
    Device("hidden-1", {"site": "hidden-rome", "hidden-zone": "hidden-a"}),
    Device("hidden-2", {"line": "3"}, note="hidden"),
    Device("hidden-3", {"site": "hidden-rome"}),
]
QUERIES = [
    "/api/v1/devices",
    "/api/v1/devices?sort=-id&limit=1",
    "/api/v1/devices?sort=-last_seen&include_deleted=true",
    "/api/v1/devices?sort=uptime&uptime_window=1d",
    "/api/v1/devices?text=hidden",
    "/api/v1/devices?status=up,new,down,late,paused,maintenance,unknown",
    "/api/v1/devices?label=line:3",
    "/api/v1/devices?label=line:4",
    "/api/v1/devices?label=site:hidden-rom",
    "/api/v1/devices?label=hidden-zon:hidden-a",
    "/api/v1/devices?uptime_below=100&include_deleted=true",
    "/api/v1/devices?seen_after=2020-01-01T00:00:00Z",
    "/api/v1/devices.csv",
    "/api/v1/devices.csv?label=line:3",
    "/api/v1/devices.csv?label=sit:paris",
    "/api/v1/fleet/uptime",
    "/api/v1/fleet/uptime?group_by=site&include_deleted=true&mean=true",
    "/api/v1/fleet/uptime?group_by=line&step=6h",
    "/api/v1/fleet/uptime?group_by=hidden-zone",
    "/api/v1/fleet/uptime?formula=uptime/1&group_by=line",
    "/api/v1/fleet/worst?limit=10",
    "/api/v1/fleet/worst?below=99.9&on=availability",
    "/api/v1/fleet/stats",
    "/api/v1/fleet/stats?include_deleted=true&label=line:3",
    "/api/v1/fleet/fit",
    "/api/v1/fleet/fit?group_by=site",
    "/api/v1/fleet/metrics?types=cpu,upload_time&window=1d",
    "/api/v1/fleet/metrics?types=cpu&group_by=site&include_deleted=true&step=1h&window=1d",
    "/api/v1/fleet/metrics?types=cpu&group_by=hidden-zon",
    "/api/v1/export?what=samples&types=cpu",
    "/api/v1/export?what=samples&types=cpu&include_deleted=true",
    "/api/v1/export?what=samples&types=cpu&device_id=p1&format=parquet",
    "/api/v1/export?what=presence",
    "/api/v1/export?what=silences&label=site:hidden-rom",
    "/api/v1/maintenance",
    "/api/v1/sd?label=line:3",
    "/api/v1/fleet/badge",
    "/api/v1/alerts/rules",
    "/api/v1/alerts/rules/device-offline",
    "/api/v1/devices/p1",
    "/api/v1/devices/p1/uptime",
    "/",
]


ELSEWHERE = {"listAlerts", "getAlert", "acknowledgeAlert", "assignAlert", "snoozeAlert", "commentAlert"}
ELSEWHERE |= {"listSilences", "addSilence", "endSilence", "listIncidents", "getIncident"}
"""Numbers of alerts count those of others, so their answers differ: they are tried in tests/unit/api/test_alerts.py."""
STREAM = "/api/v1/stream"
"""It has no end, and is tried in tests/unit/pipeline/test_live_feed.py."""
CHANGES = {
    "previewAlertRule",
    "rehearseAlertRule",
    "events",
    "addDevice",
    "relabel",
    "importDevices",
    "addWindow",
    "deleteWindow",
    "putAlertRule",
    "deleteAlertRule",
}
"""Operations that change, or take, what is of the scope; the tests below try them one by one."""


@pytest.mark.parametrize(
    "route", [one for one in ROUTES if one.facts.access.scope == "labels"], ids=lambda one: one.operation
)
def test_every_route_about_the_devices_of_a_scope_is_tried_here(route: Route) -> None:
    paths = {query.partition("?")[0] for query in QUERIES}
    path = route.path.replace("{rule:str}", "device-offline")
    is_tried = path in {*paths, STREAM} if route.method == "GET" else route.operation in CHANGES
    assert is_tried or route.operation in ELSEWHERE, "add a query to QUERIES, or a test of the change"


def lines(device_ids: Sequence[str]) -> bytes:
    """Reports of half a day; those of the devices outside have values of their own."""
    made = []
    for half_hour in range(24):
        for place, device_id in enumerate(sorted(device_ids)):
            if (half_hour + len(device_id) * int(device_id[-1])) % 5:
                value = 1_000 if device_id.startswith("hidden") else half_hour
                moment = f"2024-10-04T{half_hour // 2:02}:{half_hour % 2 * 30:02}:{place:02}Z"
                made.append(f'{{"device_id":"{device_id}","sent_at":"{moment}","metrics":{{"cpu":{value}}}}}')
    return "\n".join(made).encode()


async def fill(service: Service, *, has_others: bool) -> None:
    """Devices that report, some of them deleted, paused or under maintenance; perhaps of others too."""
    await service.registry.register_many([*INSIDE, *(OUTSIDE if has_others else ())])
    known = list(service.registry.numbers)
    async with client_of(service, add_key(service, "admin")) as admin:
        await changed(admin, "POST", "/metrics/definitions", json={"name": "cpu"})
        # One body each, since seconds of the reports differ where others report in between.
        for ids in (["p1", "p2", "p4"], [one for one in known if one.startswith("hidden")]):
            await changed(admin, "POST", "/events", content=lines(ids)) if ids else None
        for title, device_id in (("of p2", "p2"), ("hidden", "hidden-1")):
            if device_id in known:
                body = {
                    "title": title,
                    "devices": [device_id],
                    "start": "2024-10-04T01:00:00Z",
                    "end": "2024-10-04T02:00:00Z",
                }
                await changed(admin, "POST", "/maintenance", json=body)
        if has_others:
            body = {"title": "hidden", "labels": {"site": "hidden-rome"}, "end": "2024-10-04T14:00:00Z"}
            await changed(admin, "POST", "/maintenance", json=body)
            rule = {"kind": "device_down", "labels": {"site": "hidden-rome"}}
            await changed(admin, "PUT", "/alerts/rules/hidden", json=rule)
        for device_id in {"p3", "hidden-3"} & {*known}:
            await changed(admin, "POST", f"/devices/{device_id}/pause")
        for device_id in {"p4", "hidden-2"} & {*known}:
            await changed(admin, "DELETE", f"/devices/{device_id}")


async def changed(client: httpx.AsyncClient, method: str, path: str, **body: Any) -> httpx.Response:
    answer = await client.request(method, f"/api/v1{path}", **body)
    assert answer.is_success, answer.text
    return answer


def comparable(answer: httpx.Response) -> Any:
    """An answer without what legitimately tells of others: how many declarations there were, ids of windows."""
    notes = answer.headers.get("fleetpulse-notes")
    if answer.headers["content-type"].startswith("text/html"):
        return answer.status_code, notes, answer.text.partition("<h2>")[2]  # before it stands who asks
    if not answer.headers["content-type"].startswith("application/json"):
        return answer.status_code, notes, answer.content
    found = answer.json()
    if isinstance(found, dict):
        found.pop("declarations", None)
        for window in found.get("windows", ()):
            window.pop("id")
    return answer.status_code, notes, found


async def answers(folder: Path, *, scope: Scope, has_others: bool) -> dict[str, list[Any]]:
    """What somebody with `scope` is answered, before and after all of it is in blocks."""
    folder.mkdir()
    world = World(folder)
    service = await world.started(auth="required")
    found: dict[str, list[Any]] = {query: [] for query in QUERIES}
    async with service.housekeeping.checkpoints() as checkpoint:
        await checkpoint()  # so that none is due by itself between two questions
    await fill(service, has_others=has_others)
    async with client_of(service, add_key(service, "read", scope=scope)) as client:
        for _ in range(2):
            for query in QUERIES:
                accept = "text/html" if query == "/" else "*/*"
                found[query].append(comparable(await client.get(query, headers={"accept": accept})))
            async with service.housekeeping.checkpoints() as checkpoint:
                await checkpoint()
    await service.node.stop()
    return found


def test_a_scope_answers_as_a_fleet_of_its_devices_alone(tmp_path: Path) -> None:
    async def test() -> None:
        narrowed = await answers(tmp_path / "a", scope=PARIS, has_others=True)
        alone = await answers(tmp_path / "b", scope=(), has_others=False)
        for query in QUERIES:
            assert narrowed[query] == alone[query], query
            assert {status for status, *_ in narrowed[query]} == {200}, query
        control = await answers(tmp_path / "c", scope=(), has_others=True)
        assert len([query for query in QUERIES if control[query] != alone[query]]) > len(QUERIES) // 2

    asyncio.run(test())


NEW = {"id": "new"}
OF_ROME = {"labels": {"site": "hidden-rome"}}
WINDOW = {"end": "2030-01-01T00:00:00Z", "start": "2029-12-31T00:00:00Z"}
HIDDEN = ("hidden-1", "hidden-2", "none")
"""One outside the scope, one outside that was deleted, and one that there never was: they must look the same."""
REFUSED: list[tuple[str, str, Any, int]] = [
    *[
        ("GET", f"/devices/{one}{of}", None, 404)
        for one in HIDDEN
        for of in ("", "/uptime", "/stats?include_deleted=1")
    ],
    *[("PATCH", f"/devices/{one}", {"note": "mine"}, 404) for one in HIDDEN],
    *[("DELETE", f"/devices/{one}", None, 404) for one in HIDDEN],
    *[("POST", f"/devices/{one}/{act}", None, 404) for one in HIDDEN for act in ("pause", "resume")],
    *[("POST", f"/devices/{one}/forget", {"before": "2024-10-04T12:00:00Z"}, 404) for one in HIDDEN],
    *[("GET", f"/export?what=presence&include_deleted=true&device_id={one}", None, 404) for one in HIDDEN],
    *[("POST", "/devices", {"id": one}, 404) for one in HIDDEN[:2]],
    ("POST", "/devices", NEW | OF_ROME, 403),
    ("PATCH", "/devices/p1", OF_ROME, 403),
    ("PATCH", "/devices/p1", {"labels": {"site": None}}, 403),
    ("PATCH", "/devices?all=true", OF_ROME, 403),
    ("PATCH", "/devices?label=line:3", {"labels": {"site": None}}, 403),
    *[("POST", "/maintenance", WINDOW | {"devices": ["p1", one]}, 404) for one in HIDDEN],
    ("POST", "/maintenance", WINDOW | OF_ROME, 403),
    ("DELETE", "/maintenance/of-rome", None, 404),
    ("DELETE", "/maintenance/of-all", None, 403),
    ("DELETE", "/maintenance/of-both", None, 403),
    ("GET", "/files", None, 403),
    ("POST", "/metrics/definitions", {"name": "ram"}, 403),
]


def window(window_id: str, **whose: Any) -> MaintenanceWindow:
    return new_window(WindowBody(**WINDOW, **whose), window_id=window_id, now_ns=0)


def test_nobody_declares_changes_or_learns_of_what_is_outside_the_scope(tmp_path: Path) -> None:
    async def test() -> None:
        async with protected(tmp_path, auto_register=True) as service:
            await fill(service, has_others=True)
            for one in (
                window("of-rome", labels={"site": "hidden-rome"}),
                window("of-all", all=True),
                window("of-both", devices=["p1", "hidden-1"]),
            ):
                await service.planned_downtime.put_window(one)
            async with client_of(service, add_key(service, "admin")) as admin:
                before = (
                    (await admin.get("/api/v1/devices?include_deleted=true")).json(),
                    service.planned_downtime.version,
                )
                async with client_of(service, add_key(service, "admin", scope=PARIS)) as client:
                    for method, path, body, status in REFUSED:
                        answer = await client.request(method, f"/api/v1{path}", json=body)
                        assert answer.status_code == status, (method, path, answer.text)
                        assert "hidden" not in answer.text
                after = (
                    (await admin.get("/api/v1/devices?include_deleted=true")).json(),
                    service.planned_downtime.version,
                )
                assert after == before

    asyncio.run(test())


def test_what_is_declared_with_a_scope_is_in_it(tmp_path: Path) -> None:
    async def test() -> None:
        async with protected(tmp_path) as service:
            await fill(service, has_others=True)
            async with client_of(service, add_key(service, "operate", scope=PARIS)) as client:
                made = await changed(client, "POST", "/devices", json=NEW | {"labels": {"line": "1"}})
                assert made.json()["labels"] == {"site": "paris", "line": "1"}
                made = await changed(client, "PATCH", "/devices?all=true", json={"labels": {"shift": "2"}})
                assert made.json()["matched"] == 4
                for whose, labels in (({"all": True}, {"site": "paris"}), ({"devices": ["p1"]}, {})):
                    shown = (await changed(client, "POST", "/maintenance", json=WINDOW | whose)).json()
                    assert (shown["labels"], shown["all"], shown["notes"]) == (labels, False, [])
                    await changed(client, "DELETE", f"/maintenance/{shown['id']}")
            numbers = service.registry.numbers
            assert service.registry.roster.labels_of(numbers["hidden-1"]) == OUTSIDE[0].labels

    asyncio.run(test())


CSV = b"""device_id,note,site
p1,first,
p2,second,paris
n1,third,paris
n2,fourth,hidden-rome
hidden-1,mine,paris
hidden-2,mine,paris
hidden-3,,hidden-rome
"""


def test_an_import_with_a_scope_takes_the_lines_of_its_devices(tmp_path: Path) -> None:
    async def test() -> None:
        async with protected(tmp_path) as service:
            await fill(service, has_others=True)
            async with client_of(service, add_key(service, "operate", scope=PARIS)) as client:
                for body, refused, new in ((CSV, [2, 5, 6, 7, 8], 1), (b"device_id,line\nn3,5\n", [], 1)):
                    for is_dry in ("true", "false"):
                        path, headers = f"/devices.csv?dry_run={is_dry}", {"content-type": "text/csv"}
                        found = (await changed(client, "POST", path, content=body, headers=headers)).json()
                        assert [line["line"] for line in found["refused"]] == refused
                        assert found["new"] == new
                        outside = [line["msg"] for line in found["refused"] if line["line"] >= 6]
                        assert len({*outside}) <= 1, "all of them look as devices that there are not"
            roster, numbers = service.registry.roster, service.registry.numbers
            assert [roster.labels_of(numbers[one]) for one in ("p1", "p2", "n1", "n3", "hidden-1")] == [
                INSIDE[0].labels,
                INSIDE[1].labels,
                {"site": "paris"},
                {"site": "paris", "line": "5"},
                OUTSIDE[0].labels,
            ]
            assert "n2" not in numbers
            assert "hidden-2" not in numbers

    asyncio.run(test())


@pytest.mark.parametrize(("path", "body"), [("heartbeat", BEAT), ("ping", b""), ("stats", STATS), ("metrics", METRICS)])
def test_a_gateway_reports_of_its_scope_and_what_it_brings_comes_into_it(
    path: str, body: bytes, tmp_path: Path
) -> None:
    async def test() -> None:
        async with protected(tmp_path, auto_register=True) as service:
            await fill(service, has_others=True)
            async with client_of(service, add_key(service, "ingest", scope=PARIS)) as client:
                found = [
                    (await client.post(f"/api/v1/devices/{one}/{path}", content=body)).status_code
                    for one in ("p1", "new", "new", "hidden-1", "hidden-2", "p4", "..%00")
                ]
            assert found == [204, 204, 204, 404, 404, 204, 404]
            roster, numbers = service.registry.roster, service.registry.numbers
            assert roster.labels_of(numbers["new"]) == roster.labels_of(numbers["p4"]) == {"site": "paris"}
            assert "hidden-2" not in numbers

    asyncio.run(test())


@pytest.mark.parametrize(
    ("role", "whose", "taken"),
    [
        ("ingest", {}, ["hidden-1", "hidden-2", "n1", "n2", "p1", "p2", "p4"]),
        ("ingest", {"scope": PARIS}, ["n1", "n2", "p1", "p2", "p4"]),
        ("device", {"device_id": "p1"}, ["p1"]),
    ],
)
def test_lines_of_a_bulk_body_are_of_devices_of_the_scope(
    role: Role, whose: dict[str, Any], taken: list[str], tmp_path: Path
) -> None:
    line = '{"device_id":"%s","sent_at":"2024-10-04T12:00:00Z"}'

    async def test() -> None:
        async with protected(tmp_path, auto_register=True) as service:
            await fill(service, has_others=True)
            sent = ["p1", "hidden-1", "n1", "p2", "hidden-2", "n2", "p4"]
            async with client_of(service, add_key(service, role, **whose)) as client:
                for known in (sent, [one for one in sent if one in ("p1", "hidden-1")]):
                    content = "\n".join(line % one for one in known).encode()
                    verdict = (await changed(client, "POST", "/events", content=content)).json()
                    assert verdict["accepted"] == len({*taken} & {*known})
                    refused = [(one["line"], one["msg"]) for one in verdict["refused"]]
                    places = [place for place, one in enumerate(known, 1) if one not in taken]
                    assert refused == [(place, "Device not found") for place in places]

    asyncio.run(test())
