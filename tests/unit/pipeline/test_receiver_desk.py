"""Receivers, routes, messages and texts over HTTP, of a service in memory."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from alert_messages import alert, message
from fleetpulse.alert.receivers.outcome import Outcome, failed
from fleetpulse.api.app import build_api
from fleetpulse.app import build_parts
from fleetpulse.model.audit import AuditFilter
from fleetpulse.pipeline.service import Service
from fleetpulse.settings import Settings
from memory_service import World

HOOK = {"kind": "webhook", "url": "https://hook.example/planted", "secret": "planted"}


class Desk:
    def __init__(self, world: World, service: Service, client: httpx.AsyncClient) -> None:
        self.world, self.service, self.client = world, service, client

    async def ask(self, method: str, path: str, status: int = 200, **body: Any) -> Any:
        answer = await self.client.request(method, f"/api/v1/alerts{path}", json=body or None)
        assert answer.status_code == status, answer.text
        assert "planted" not in answer.text
        return answer.json()


def run(folder: Path, test: Callable[[Desk], Awaitable[None]], **settings: Any) -> None:
    async def life() -> None:
        world = World(folder)
        service = await world.started(**settings)
        transport = httpx.ASGITransport(build_api(build_parts(Settings(), service)))
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            await test(Desk(world, service, client))
        await service.node.stop()

    asyncio.run(life())


def test_a_receiver_is_declared_changed_and_removed_and_never_shows_its_secrets(tmp_path: Path) -> None:
    async def test(desk: Desk) -> None:
        made = await desk.ask("PUT", "/receivers/hook", **HOOK)
        assert (made["url"], made["secret"], made["private"]) == ("(hidden)", "(hidden)", False)
        changed = await desk.ask("PUT", "/receivers/hook", kind="webhook", title="{what}", private=True)
        assert (changed["url"], changed["title"], changed["private"]) == ("(hidden)", "{what}", True)
        assert desk.service.receivers.receiver("hook").url == HOOK["url"]
        assert [one["name"] for one in (await desk.ask("GET", "/receivers"))["receivers"]] == ["hook"]
        await desk.ask("PUT", "/routes/all", receivers=["hook"])
        await desk.ask("DELETE", "/receivers/hook", 422)
        await desk.ask("DELETE", "/routes/all")
        await desk.ask("DELETE", "/receivers/hook")
        await desk.ask("GET", "/receivers/hook", 404)
        entries = desk.service.catalog.audit.page(AuditFilter(), before=None, limit=100)
        assert len(entries) == 5 and "planted" not in str(entries) and "(hidden)" in str(entries)

    run(tmp_path, test)


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ({"kind": "webhook"}, "give either `url`"),
        ({"kind": "webhook", "url": "ftp://planted"}, "http:// or https://"),
        ({**HOOK, "body": "{nonsense}"}, "body: line 1, column 1"),
        ({**HOOK, "kind": "mail"}, "kind must be one of"),
        ({"kind": "apprise", "url": "pigeon://planted"}, "knows no such URL"),
    ],
)
def test_a_wrong_receiver_is_refused(tmp_path: Path, body: dict[str, str], text: str) -> None:
    async def test(desk: Desk) -> None:
        assert text in (await desk.ask("PUT", "/receivers/hook", 422, **body))["msg"]

    run(tmp_path, test)


def test_routes_are_listed_in_their_order_and_the_default_one_where_there_is_none(tmp_path: Path) -> None:
    async def test(desk: Desk) -> None:
        assert (await desk.ask("GET", "/routes"))["routes"] == []
        await desk.ask("PUT", "/receivers/hook", **HOOK)
        (default,) = (await desk.ask("GET", "/routes"))["routes"]
        assert default["name"] == "default" and not default["is_declared"]
        await desk.ask("PUT", "/routes/late", receivers=["hook"], order=5, **{"continue": True})
        made = await desk.ask("PUT", "/routes/early", receivers=["hook"], severities=["critical"], order=1)
        assert made["group_by"] == ["rule"] and made["is_declared"]
        assert [one["name"] for one in (await desk.ask("GET", "/routes"))["routes"]] == ["early", "late"]
        assert (await desk.ask("GET", "/routes/late"))["continue"]
        await desk.ask("GET", "/routes/none", 404)
        assert "no receiver" in (await desk.ask("PUT", "/routes/x", 422, receivers=["nobody"]))["msg"]

    run(tmp_path, test)


def test_a_test_message_says_what_came_of_it(tmp_path: Path) -> None:
    async def test(desk: Desk) -> None:
        await desk.ask("PUT", "/receivers/hook", kind="webhook", url="http://127.0.0.1:9/planted")
        answer = await desk.ask("POST", "/receivers/hook/test")
        assert not answer["delivered"] and "private network" in answer["outcome"]
        await desk.ask("POST", "/receivers/none/test", 404)

    run(tmp_path, test)


def test_messages_are_listed_by_page_and_given_up_ones_sent_again(tmp_path: Path) -> None:
    async def test(desk: Desk) -> None:
        deliveries = desk.service.deliveries
        outcomes = [failed("400", is_refused=True)] * 2
        sending: Any = desk.service.sending

        class Failing:
            limits, apprise, close = sending.limits, sending.apprise, sending.close

            def send(self, *_: object, **__: object) -> Outcome:
                return outcomes.pop() if outcomes else Outcome(is_delivered=True, text="ok")

        deliveries.sending = Failing()  # type: ignore[assignment]  # a fake
        await desk.ask("PUT", "/receivers/hook", **HOOK)
        messages = [message(alert(number), key=f"k{number}") for number in range(3)]
        await desk.service.catalog_thread.run(lambda: deliveries.store(messages))
        deliveries.look()
        while deliveries._tasks:
            await asyncio.wait(set(deliveries._tasks))
            desk.world.clock.ns += 10**10
            deliveries.tick()
        page = await desk.ask("GET", "/outbox?limit=2")
        assert [one["key"] for one in page["messages"]] == ["k2", "k1"] and page["next_cursor"] == "2"
        rest = await desk.ask("GET", f"/outbox?cursor={page['next_cursor']}")
        assert [one["key"] for one in rest["messages"]] == ["k0"] and rest["next_cursor"] is None
        dead = (await desk.ask("GET", "/outbox?state=dead&receiver=hook"))["messages"]
        assert {one["outcome"] for one in dead} == {"400"} and "pump-7: offline since" in dead[0]["what"]
        assert (await desk.ask("GET", "/receivers/hook"))["dead"] == len(dead) == 2
        assert await desk.ask("POST", "/outbox/retry", numbers=[dead[0]["number"]]) == {"retried": 1}
        assert await desk.ask("POST", "/outbox/retry", receiver="hook") == {"retried": 1}
        assert await desk.ask("POST", "/outbox/retry", all=True) == {"retried": 0}
        await desk.ask("POST", "/outbox/retry", 404, numbers=[99])
        await desk.ask("POST", "/outbox/retry", 404, numbers=[99.0, 2**63 - 1])
        for wrong in (-1, 0, 1.5, 2**63, 2**64, 10**400, 1e308):
            await desk.ask("POST", "/outbox/retry", 422, numbers=[1, wrong])
        await desk.ask("POST", "/outbox/retry", 422, numbers=[1], all=True)
        await desk.ask("GET", "/outbox?state=lost", 422)
        await desk.ask("GET", "/outbox?cursor=x", 400)

    run(tmp_path, test, delivery_refusals_max=1)


def test_texts_are_tried_before_they_are_used(tmp_path: Path) -> None:
    async def test(desk: Desk) -> None:
        await desk.ask("PUT", "/receivers/hook", **HOOK, title="{status} at {group.site}")
        shown = await desk.ask("POST", "/preview", kind="incident", receiver="hook")
        assert shown["title"] == "FIRING critical at paris" and "https://fleet.example/" in shown["body"]
        own = await desk.ask("POST", "/preview", kind="resolved", body="{#alerts}{subject} {resolution}{/alerts}")
        assert own["body"] == "press-07 recovered\n"
        for kind in ("firing", "reminder", "escalation", "flapping", "blind", "test"):
            assert not (await desk.ask("POST", "/preview", kind=kind))["trouble"]
        await desk.ask("POST", "/preview", 422, kind="nonsense")
        await desk.ask("POST", "/preview", 422, body="{nonsense}")
        await desk.ask("POST", "/preview", 404, receiver="none")

    run(tmp_path, test, external_url="https://fleet.example")


FILE = """
[[receiver]]
name = "hook"
kind = "webhook"
url = "https://hook.example/planted"

[[route]]
name = "all"
receivers = ["hook"]
"""


def test_receivers_and_routes_of_alerts_toml_are_merged_like_every_file(tmp_path: Path) -> None:
    file = tmp_path / "alerts.toml"
    file.write_text(FILE)

    async def test(desk: Desk) -> None:
        receivers, files = desk.service.receivers, desk.service.declared_files
        assert receivers.routing.routes[0].receivers == ("hook",)
        await desk.ask("PUT", "/receivers/hook", kind="webhook", title="{what}")
        await files.reload()
        assert receivers.receiver("hook").title_template == "{what}", "what people changed stays"
        file.write_text(FILE.replace("planted", "planted-again"))
        preview = await files.preview()
        assert "planted" not in str(preview) and "fingerprint" in str(preview)
        await files.reload()
        assert receivers.receiver("hook").url.endswith("planted-again")
        assert receivers.receiver("hook").title_template == "{what}"
        await desk.ask("DELETE", "/routes/all")
        await files.reload()
        assert receivers.routes == {}, "what people removed stays removed"
        file.write_text(FILE.replace('"https://hook.example/planted"', '"nonsense"'))
        await files.reload()
        assert receivers.receiver("hook").url.endswith("planted-again")

    run(tmp_path, test, alerts=str(file))
