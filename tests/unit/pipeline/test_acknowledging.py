"""Acknowledging by the link of a message: a page, a button, once, for seven days."""

import asyncio
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from alert_messages import SECOND, alert, message
from fleetpulse.alert.columns import ALERT_COLUMNS, AlertColumns
from fleetpulse.api.app import build_api
from fleetpulse.app import build_parts
from fleetpulse.errors import Conflict
from fleetpulse.model.audit import AuditFilter
from fleetpulse.model.message import Cause
from fleetpulse.pipeline.service import Service
from fleetpulse.settings import Settings
from memory_service import DAY, World

FORM = {"content-type": "application/x-www-form-urlencoded"}


def fire(service: Service, *numbers: int, incident: int = 0) -> None:
    """Have these alerts fire, as far as links see them."""
    of: dict[str, Any] = {name: np.zeros(len(numbers), dtype) for name, dtype in ALERT_COLUMNS.items()}
    of["number"][:], of["incident"][:] = numbers, incident
    book = service.alert_book
    lives = book.state.lives.__class__(open=AlertColumns(of))
    book.state = book.state.__class__(lives=lives)


def test_a_link_opens_a_page_whose_button_acknowledges_once(tmp_path: Path) -> None:
    async def life() -> None:
        world = World(tmp_path)
        service = await world.started(auth="required", external_url="https://fleet.example")
        fire(service, 1, 2, 3)
        sent = message(alert(1), alert(2), at_ns=world.clock.now_ns())
        link = service.sending.links(sent, "hook").acknowledge
        assert link.startswith("https://fleet.example/alerts/acknowledge?token=")
        token = link.partition("token=")[2]
        transport = httpx.ASGITransport(build_api(build_parts(Settings(), service)))
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            for method in ("GET", "HEAD", "GET"):
                page = await client.request(method, f"/alerts/acknowledge?token={token}")
                assert page.status_code == 200 and page.headers["cache-control"] == "no-store"
            assert "2 alerts that still fire: 1, 2" in page.text and "<button>" in page.text
            assert service.alert_book.decisions == {}

            async def post(text: str, **headers: str) -> httpx.Response:
                return await client.post("/alerts/acknowledge", content=f"token={text}", headers={**FORM, **headers})

            assert (await post(token, origin="https://evil.example")).status_code == 403
            assert (await post(token[:-1])).status_code == 403
            assert (await client.get(f"/alerts/acknowledge?token={token[1:]}")).status_code == 403
            assert service.alert_book.decisions == {}
            done = await post(token)
            assert done.status_code == 200 and "2 alerts acknowledged" in done.text
            again = await post(token)
            assert again.status_code == 409 and "works once" in again.text
            assert (await client.get(f"/alerts/acknowledge?token={token}")).status_code == 409
            assert (
                await client.get("/api/v1/alerts/rules", headers={"authorization": f"Bearer {token}"})
            ).status_code == 401
        by = {number: one.acknowledged_by for number, one in service.alert_book.decisions.items()}
        assert by == dict.fromkeys((1, 2), "the link to receiver hook")
        (entry,) = service.catalog.audit.page(AuditFilter(kind="act"), before=None, limit=1)
        assert (entry.facts.who, entry.facts.action) == ("the link to receiver hook", "acknowledgeByLink")
        assert token not in str(service.catalog.audit.page(AuditFilter(), before=None, limit=100))
        await service.node.stop()

    asyncio.run(life())


def test_a_link_ends_after_seven_days_and_one_of_an_incident_covers_its_members(tmp_path: Path) -> None:
    async def life() -> None:
        world = World(tmp_path)
        service = await world.started(external_url="https://fleet.example/")
        fire(service, 1, 2, 3, incident=4)
        cause = Cause(incident=4, label="site", value="paris", down=3, devices=3, explanation="all of them")
        sent = message(alert(1), at_ns=world.clock.now_ns(), cause=cause)
        token = service.sending.links(sent, "hook").acknowledge.partition("token=")[2]
        assert (await service.acknowledging.look(token)).numbers == [1, 2, 3]
        assert await service.acknowledging.use(token) == 3
        other = message(alert(1), key="k2", at_ns=world.clock.now_ns())
        token = service.sending.links(other, "hook").acknowledge.partition("token=")[2]
        assert await service.acknowledging.use(token) == 0, "somebody has acknowledged it already"
        third = message(alert(1), key="k3", at_ns=world.clock.now_ns() - 7 * DAY + SECOND)
        token = service.sending.links(third, "hook").acknowledge.partition("token=")[2]
        await service.acknowledging.look(token)
        world.clock.ns += SECOND
        with pytest.raises(Conflict, match="this link ended at"):
            await service.acknowledging.look(token)
        await service.node.stop()

    asyncio.run(life())


def test_messages_have_no_link_without_an_address_or_where_nothing_fires(tmp_path: Path) -> None:
    async def life() -> None:
        service = World(tmp_path).service()
        assert service.sending.links(message(alert(1)), "hook") == ("", "", 0)
        service.threads.close()
        other = World(tmp_path).service(external_url="https://fleet.example")
        assert other.sending.links(message(alert(1, state="resolved"), kind="resolved"), "hook").acknowledge == ""
        assert other.sending.links(message(kind="test"), "hook") == ("https://fleet.example", "", 0)

    asyncio.run(life())


def test_what_is_forwarded_ends_with_its_alert_and_an_incident_with_its_last_member(tmp_path: Path) -> None:
    async def life() -> None:
        service = await World(tmp_path).started()
        fire(service, 1, 2, incident=4)
        assert service.deliveries.open_alerts([1, 3, -4, -5]) == [1, -4]
        fire(service)
        assert service.deliveries.open_alerts([1, -4]) == []
        await service.node.stop()

    asyncio.run(life())
