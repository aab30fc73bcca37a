"""Alerts over HTTP: who sees which, and what people do with them."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from fleetpulse.catalog.alert_records import AlertRound
from fleetpulse.model.alert import Incident
from fleetpulse.model.alert_rule import AlertRule
from fleetpulse.model.device import Device
from fleetpulse.pipeline.service import Service
from memory_service import SECOND, World, beat
from protected_service import add_key, client_of

ALERTS = "/api/v1/alerts"
STEP_S = 30
"""Longer steps would look like time in which the service did not run."""
SITES = {"p": "paris", "q": "paris", "r": "rome"}


class Desk:
    """A protected service in which two devices in Paris and one in Rome are down, and somebody who asks."""

    def __init__(self, world: World, service: Service) -> None:
        self.world, self.service = world, service
        self.keys = {
            "operate": add_key(service, "operate"),
            "paris": add_key(service, "operate", scope=(("site", "paris"),)),
            "read": add_key(service, "read"),
        }

    async def __call__(self, method: str, path: str, body: Any = None, *, by: str = "operate") -> httpx.Response:
        async with client_of(self.service, self.keys[by]) as client:
            return await client.request(method, f"{ALERTS}{path}", json=body)

    async def numbers(self, query: str = "", *, by: str = "operate") -> list[str]:
        """Subject and number of the alerts of a list."""
        answer = await self("GET", query, by=by)
        assert answer.status_code == 200, answer.text
        return [f"{one['subject']}:{one['number']}" for one in answer.json()["alerts"]]

    async def pass_time(self, seconds: int, *beating: str) -> None:
        for _ in range(0, seconds, STEP_S):
            self.world.clock.ns += STEP_S * SECOND
            for device in beating:
                await beat(self.service, device)
            self.service.watch.turn()
            await self.service.writer.drain()
        await self.service.alerting.round()


def at_desk(test: Callable[[Desk], Awaitable[None]]) -> Callable[[Path], None]:
    async def run(folder: Path) -> None:
        world = World(folder)
        service = await world.started(auth="required", alert_interval_s=3_600)
        await service.registry.register_many([Device(name, {"site": site}) for name, site in SITES.items()])
        for rule in service.alert_rules.rules:
            await service.alert_rules.remove(rule.name)
        await service.alert_rules.put(
            AlertRule(name="offline", kind="device_down", severity="critical", annotations={"summary": "{device}!"})
        )
        await service.alert_rules.put(AlertRule(name="sites", kind="fleet", by="site", threshold=0.0))
        for device in SITES:
            await beat(service, device)
        desk = Desk(world, service)
        await desk.pass_time(360)
        await test(desk)
        await service.node.stop()

    def in_folder(tmp_path: Path) -> None:
        asyncio.run(run(tmp_path))

    in_folder.__name__ = test.__name__  # type: ignore[attr-defined]  # a function
    return in_folder


@at_desk
async def test_alerts_are_listed_newest_first_filtered_and_by_page(desk: Desk) -> None:
    everything = ["site=rome:5", "site=paris:4", "r:3", "q:2", "p:1"]
    assert await desk.numbers() == everything
    assert await desk.numbers("?state=all") == everything
    assert await desk.numbers("?severity=critical&label=site:paris") == ["q:2", "p:1"]
    assert await desk.numbers("?rule=sites") == ["site=rome:5", "site=paris:4"]
    assert await desk.numbers("?device_id=q") == ["q:2"]
    assert await desk.numbers("?state=resolved") == []
    for state in ("firing", "all"):
        shown: list[str] = []
        cursor = ""
        while cursor is not None:
            page = (await desk("GET", f"?state={state}&limit=2{cursor and f'&cursor={cursor}'}")).json()
            shown += [one["subject"] for one in page["alerts"]]
            cursor = page["next_cursor"]
        assert shown == ["site=rome", "site=paris", "r", "q", "p"], state
    assert (await desk("GET", "/2")).json()["annotations"] == {"summary": "q!"}
    await desk.pass_time(10, "q")
    assert await desk.numbers("?state=resolved") == ["q:2"]
    alert = (await desk("GET", "/2")).json()
    assert (alert["state"], alert["resolution"], alert["annotations"]) == ("resolved", "recovered", {})
    assert [entry["action"] for entry in alert["log"]] == ["fired", "resolved"]


@at_desk
async def test_somebody_with_a_scope_sees_and_changes_what_is_of_its_devices_alone(desk: Desk) -> None:
    assert await desk.numbers(by="paris") == ["site=paris:4", "q:2", "p:1"]
    assert await desk.numbers("?state=all", by="paris") == ["site=paris:4", "q:2", "p:1"]
    assert (await desk("GET", "", by="paris")).json()["firing"] == 3
    for number in (3, 5, 99):
        assert (await desk("GET", f"/{number}", by="paris")).status_code == 404
        assert (await desk("POST", f"/{number}/acknowledge", by="paris")).status_code == 404
        assert (await desk("POST", f"/{number}/comment", {"text": "x"}, by="paris")).status_code == 404
    assert (await desk("POST", "/1/acknowledge", by="paris")).json()["acknowledged_by"] == "key 3"
    assert (await desk("POST", "/1/acknowledge", by="read")).status_code == 403
    made = await desk("POST", "/silences", {"labels": {"rule": "offline"}, "for": "1h", "comment": "c"}, by="paris")
    assert made.json()["labels"] == {"rule": "offline", "site": "paris"}
    other = await desk("POST", "/silences", {"labels": {"site": "rome"}, "for": "1h", "comment": "c"})
    rome = other.json()["number"]
    assert [one["number"] for one in (await desk("GET", "/silences", by="paris")).json()["silences"]] == [1]
    assert (await desk("DELETE", f"/silences/{rome}", by="paris")).status_code == 404
    wrong = {"labels": {"site": "rome"}, "for": "1h", "comment": "c"}
    assert (await desk("POST", "/silences", wrong, by="paris")).status_code == 403
    wrong = {"labels": {"device": "r"}, "for": "1h", "comment": "c"}
    assert (await desk("POST", "/silences", wrong, by="paris")).status_code == 404


@at_desk
async def test_what_people_decide_is_in_the_log_and_after_a_restart(desk: Desk) -> None:
    for path, body in (
        ("acknowledge", {"comment": "on my way"}),
        ("assign", {"assignee": "bob"}),
        ("snooze", {"for": "2h", "comment": "works"}),
        ("comment", {"text": "no power"}),
    ):
        answer = await desk("POST", f"/1/{path}", body)
        assert answer.status_code == 200, answer.text
    alert = answer.json()
    assert (alert["acknowledged_by"], alert["assignee"]) == ("key 2", "bob")
    assert [(one["action"], one["text"]) for one in alert["log"]][1:] == [
        ("acknowledged", "on my way"),
        ("assigned", "to bob"),
        ("snoozed", f"until {alert['snoozed_until']}: works"),
        ("commented", "no power"),
    ]
    assert await desk.numbers("?acknowledged=true") == ["p:1"]
    assert "p:1" not in await desk.numbers("?acknowledged=false")
    await desk.service.catalog_thread.run(desk.service.alert_book.load)
    assert desk.service.alert_book.decisions[1].assignee == "bob"
    undone = await desk("POST", "/1/acknowledge", {"acknowledged": False})
    assert undone.json()["acknowledged_by"] is None
    await desk("POST", "/1/acknowledge")
    await desk.pass_time(10, "p")
    assert (await desk("POST", "/1/acknowledge")).json()["type"].endswith(":alert_ended")
    assert (await desk("POST", "/1/comment", {"text": "it was the switch"})).status_code == 200
    await desk.pass_time(360)
    alert = (await desk("GET", "/1")).json()
    assert (alert["state"], alert["times"], alert["acknowledged_by"]) == ("firing", 2, None)


BEYOND_64_BITS = (
    "0001-01-01T00:00:00Z",
    "1969-12-31",
    "2262-04-11T23:47:16.854775807Z",
    "9999-12-31T23:59:59.999999999Z",
)


@at_desk
async def test_wrong_values_are_refused_with_what_is_expected(desk: Desk) -> None:
    silence = {"labels": {"site": "paris"}, "for": "1h", "comment": "why"}
    for method, path, body, status in (
        ("GET", "?state=x", None, 422),
        ("GET", "?severity=x", None, 422),
        ("GET", "?state=all&acknowledged=true", None, 422),
        ("GET", "?acknowledged=perhaps", None, 400),
        ("GET", "?limit=0", None, 422),
        ("GET", "?cursor=x", None, 400),
        ("GET", "?device_id=nobody", None, 404),
        ("GET", "?incident=x", None, 404),
        ("GET", "?label=x", None, 400),
        ("GET", "?since=x", None, 400),
        ("GET", "/x", None, 404),
        ("GET", "/0", None, 404),
        ("GET", "/1e400", None, 404),
        ("GET", "/99999999999999999999", None, 404),
        ("POST", "/1/acknowledge", {"x": 1}, 400),
        ("POST", "/1/acknowledge", {"comment": "x" * 2_001}, 422),
        ("POST", "/1/assign", {"assignee": "\0"}, 422),
        ("POST", "/1/snooze", {}, 422),
        ("POST", "/1/snooze", {"for": "1h", "until": "2030-01-01T00:00:00Z"}, 422),
        ("POST", "/1/snooze", {"for": "91d"}, 422),
        ("POST", "/1/snooze", {"for": "soon"}, 400),
        ("POST", "/1/snooze", {"until": "soon"}, 400),
        ("POST", "/1/comment", {"text": " "}, 422),
        ("POST", "/silences", {**silence, "labels": {}}, 422),
        ("POST", "/silences", {**silence, "labels": {"a b": "c"}}, 422),
        ("POST", "/silences", {**silence, "labels": {"a": ""}}, 422),
        ("POST", "/silences", {**silence, "labels": {"severity": "bad"}}, 422),
        ("POST", "/silences", {**silence, "labels": {"device": "nobody"}}, 404),
        ("POST", "/silences", {**silence, "comment": ""}, 422),
        ("POST", "/silences", {**silence, "for": "91d"}, 422),
        ("POST", "/silences", {**silence, "for": None, "end": "2001-01-01T00:00:00Z"}, 422),
        ("POST", "/silences", {**silence, "start": "x"}, 400),
        *(("POST", "/silences", {**silence, "start": late}, 422) for late in BEYOND_64_BITS),
        *(("POST", "/silences", {**silence, "for": None, "end": late}, 422) for late in BEYOND_64_BITS),
        *(("POST", "/1/snooze", {"until": late}, 422) for late in BEYOND_64_BITS),
        ("POST", "/silences", {**silence, "start": "2199-12-31T23:59:00Z"}, 422),
        ("DELETE", "/silences/9", None, 404),
        ("GET", "/incidents/9", None, 404),
        ("GET", "/incidents/x", None, 404),
        ("GET", "/incidents?limit=x", None, 422),
    ):
        answer = await desk(method, path, body)
        assert (answer.status_code, path, body) == (status, path, body), answer.text


@at_desk
async def test_silences_end_by_themselves_or_by_people(desk: Desk) -> None:
    for number in (1, 2):
        made = await desk("POST", "/silences", {"labels": {"site": "paris"}, "for": "1h", "comment": f"{number}"})
        assert (made.status_code, made.json()["number"], made.json()["state"]) == (201, number, "active")
    ended = await desk("DELETE", "/silences/1")
    assert (ended.status_code, ended.json()["state"]) == (200, "ended")
    assert (await desk("DELETE", "/silences/1")).json()["type"].endswith(":silence_ended")
    assert [one["number"] for one in (await desk("GET", "/silences")).json()["silences"]] == [2]
    await desk.pass_time(3_600)
    assert (await desk("GET", "/silences")).json()["silences"] == []
    states = [one["state"] for one in (await desk("GET", "/silences?ended=true")).json()["silences"]]
    assert states == ["ended", "ended"]


@at_desk
async def test_a_silence_can_begin_and_end_at_dates(desk: Desk) -> None:
    days = {"start": "2026-12-01", "end": "2026-12-03"}
    made = await desk("POST", "/silences", {"labels": {"site": "paris"}, "comment": "works", **days})
    assert (made.json()["start"], made.json()["end"]) == ("2026-12-01T00:00:00Z", "2026-12-03T00:00:00Z")


@at_desk
async def test_incidents_are_seen_where_all_of_them_is(desk: Desk) -> None:
    incidents = [
        Incident(number, "offline", "critical", "site", site, desk.service.clock.now_ns(), 0, 2, 2, "why")
        for number, site in ((1, "paris"), (2, "rome"))
    ]
    await desk.service.catalog_thread.run(lambda: desk.service.catalog.alerts.store(AlertRound(incidents=incidents)))
    assert [one["number"] for one in (await desk("GET", "/incidents")).json()["incidents"]] == [2, 1]
    page = (await desk("GET", "/incidents?limit=1")).json()
    assert ([one["number"] for one in page["incidents"]], page["next_cursor"]) == ([2], "2")
    seen = (await desk("GET", "/incidents", by="paris")).json()["incidents"]
    assert [(one["number"], one["value"], one["ended_at"]) for one in seen] == [(1, "paris", None)]
    assert (await desk("GET", "/incidents/2", by="paris")).status_code == 404
    assert (await desk("GET", "/incidents/1", by="paris")).json()["explanation"] == "why"


@pytest.mark.parametrize("limit", ["silences_max", "alert_notes_max"])
def test_limits(limit: str, tmp_path: Path) -> None:
    async def run() -> None:
        service = await World(tmp_path).started(alert_interval_s=3_600, silences_max=1, alert_notes_max=10)
        async with client_of(service) as client:
            for count in range(12):
                body: Any = {"labels": {"a": "b"}, "for": "1h", "comment": "c"}
                answer = await client.post(f"{ALERTS}/silences", json=body)
                if limit == "silences_max" and count:
                    assert (answer.status_code, answer.json()["type"].rpartition(":")[2]) == (422, limit)
        await service.node.stop()

    asyncio.run(run())
