"""Devices as people manage them."""

import asyncio
import threading
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from pathlib import Path

import pytest
from msgspec import UNSET

from fleetpulse.app import build_parts
from fleetpulse.errors import Conflict, OutOfRange, QuestionStopped, UnknownDevice
from fleetpulse.ingest.device_declarations import DeviceChange, LabelChange, NewDevice, PauseBody
from fleetpulse.notation.timestamp import format_rfc3339
from fleetpulse.pipeline.asker import Asker, set_asker
from fleetpulse.pipeline.inventory import Inventory
from fleetpulse.pipeline.service import Service
from fleetpulse.query.declaration_answers import PolicyInForce
from fleetpulse.query.devices import Filter, Order
from fleetpulse.settings import Settings
from memory_service import NOON, SECOND, FakeClock, World, beat

BY_ID = Order("id", is_descending=False)


def run(folder: Path, test: Callable[[Service, Inventory], Awaitable[None]]) -> None:
    async def life() -> None:
        service = await World(folder).started("d0", "d1")
        await test(service, build_parts(Settings(), service).inventory)
        await service.node.stop()

    asyncio.run(life())


def test_a_page_has_its_devices_in_order_and_the_cursor_of_the_next(tmp_path: Path) -> None:
    async def test(service: Service, inventory: Inventory) -> None:
        await beat(service, "d1")
        page = await inventory.page(Filter(), BY_ID, limit=1, cursor=None)
        assert ([device.id for device in page.devices], page.total) == (["d0"], 2)
        rest = await inventory.page(Filter(), BY_ID, limit=1, cursor=page.next)
        assert [(device.id, device.status) for device in rest.devices] == [("d1", "up")]
        assert rest.next is None

    run(tmp_path, test)


def test_a_device_is_declared_changed_and_deleted(tmp_path: Path) -> None:
    async def test(service: Service, inventory: Inventory) -> None:
        added = await inventory.add(NewDevice("a", labels={"site": "paris"}, interval="2m"))
        assert (added.status, added.labels, added.interval) == ("new", {"site": "paris"}, "2m")
        changed = await inventory.change("a", DeviceChange(labels={"site": None, "line": "3"}))
        assert (changed.labels, changed.interval) == ({"line": "3"}, "2m")
        with pytest.raises(Conflict):
            await inventory.add(NewDevice("a"))
        assert "history stays" in (await inventory.delete("a")).msg
        with pytest.raises(UnknownDevice):
            await inventory.device("a")

    run(tmp_path, test)


def test_a_device_tells_which_interval_was_in_force_when_and_from_when_on_its_gaps_are_known(tmp_path: Path) -> None:
    async def test(service: Service, inventory: Inventory) -> None:
        clock = service.clock
        assert isinstance(clock.machine, FakeClock)
        since = format_rfc3339(NOON + 5 * SECOND)
        clock.machine.ns = NOON + 60 * SECOND
        assert (await inventory.device("d0")).policies is UNSET
        await inventory.change("d0", DeviceChange(interval="10m"))
        found = (await inventory.change("d0", DeviceChange(interval="10s", since=since))).policies
        assert found == [
            PolicyInForce(
                start=None, end=format_rfc3339(NOON + 15 * SECOND), interval="1m", grace="4m", gap_after_s=90.0
            ),
            PolicyInForce(
                start=format_rfc3339(NOON + 15 * SECOND),
                end=None,
                interval="10s",
                grace="4m",
                gap_after_s=15.0,
                exact_from=format_rfc3339(NOON + 60 * SECOND),
            ),
        ]
        with pytest.raises(OutOfRange, match="later than now"):
            await inventory.change("d0", DeviceChange(interval="5m", since=format_rfc3339(NOON + 61 * SECOND)))
        assert (await inventory.device("d0")).policies == found

    run(tmp_path, test)


def test_a_longer_interval_for_the_past_takes_back_since_when_a_device_is_up(tmp_path: Path) -> None:
    async def test(service: Service, inventory: Inventory) -> None:
        clock = service.clock
        assert isinstance(clock.machine, FakeClock)
        for minute in (0, 1, 10, 11):
            clock.machine.ns = NOON + minute * 60 * SECOND
            await beat(service, "d0")
        assert (await inventory.device("d0")).since == format_rfc3339(NOON + 600 * SECOND)
        since = format_rfc3339(NOON - SECOND)
        assert (await inventory.change("d0", DeviceChange(interval="10m", since=since))).since == format_rfc3339(NOON)

    run(tmp_path, test)


def test_a_change_of_many_names_whom_and_may_be_tried_before(tmp_path: Path) -> None:
    async def test(service: Service, inventory: Inventory) -> None:
        change = LabelChange(labels={"site": "lyon"})
        with pytest.raises(OutOfRange):
            await inventory.relabel(Filter(), change, is_all=False, is_dry=False)
        tried = await inventory.relabel(Filter(), change, is_all=True, is_dry=True)
        assert (tried.matched, tried.changed, (await inventory.device("d0")).labels) == (2, 2, {})
        done = await inventory.relabel(Filter(text="d0"), change, is_all=False, is_dry=False)
        assert (done.matched, done.changed, (await inventory.device("d0")).labels) == (1, 1, {"site": "lyon"})
        assert (await inventory.relabel(Filter(), change, is_all=True, is_dry=False)).changed == 1

    run(tmp_path, test)


def test_a_paused_device_is_resumed_once(tmp_path: Path) -> None:
    async def test(service: Service, inventory: Inventory) -> None:
        assert (await inventory.pause("d0", PauseBody(duration="1h"))).status == "paused"
        assert (await inventory.resume("d0")).status == "new"
        with pytest.raises(Conflict):
            await inventory.resume("d0")

    run(tmp_path, test)


def test_an_import_can_be_tried_and_what_is_exported_is_imported_without_a_change(tmp_path: Path) -> None:
    async def test(service: Service, inventory: Inventory) -> None:
        body = b"device_id,site\nd0,paris\nnew,lyon\nno id,x\n"
        tried = await inventory.import_csv(body, is_dry=True)
        assert (tried.new, tried.known, tried.refused_total, "new" in service.registry.numbers) == (1, 1, 1, False)
        done = await inventory.import_csv(body, is_dry=False)
        assert (done.changed, (await inventory.device("new")).labels) == (1, {"site": "lyon"})
        exported = b"".join([piece async for piece in inventory.export_csv(Filter())]).decode()
        assert exported.splitlines()[0] == "device_id,interval,grace,note,site"
        assert (await inventory.import_csv(exported.encode(), is_dry=False)).changed == 0

    run(tmp_path, test)


def test_a_list_as_csv_that_the_catalog_keeps_waiting_is_stopped_at_its_deadline(tmp_path: Path) -> None:
    async def test(service: Service, inventory: Inventory) -> None:
        hangs, clock = threading.Event(), service.clock.machine
        assert isinstance(clock, FakeClock)
        async with aclosing(inventory.export_csv(Filter())) as pieces:
            await anext(pieces)
            hanging = asyncio.create_task(inventory.registry._catalog_thread.run(hangs.wait))
            following = asyncio.create_task(anext(pieces))
            await asyncio.sleep(0)
            clock.ns += 30 * SECOND
            service.questions.lanes.look()
            await asyncio.sleep(0)
            assert not following.done(), "each device gives it more time"
            clock.ns += SECOND
            service.questions.lanes.look()
            with pytest.raises(QuestionStopped, match="csv_devices_per_s_lowest") as stop:
                await following
            assert (stop.value.status, stop.value.reason) == (503, "question_timeout")
            hangs.set()
            await hanging
        assert service.questions.lanes.running()["csv"] == 0

    run(tmp_path, test)


def test_one_list_as_csv_is_made_at_a_time_and_not_for_a_client_that_has_gone(tmp_path: Path) -> None:
    async def test(service: Service, inventory: Inventory) -> None:
        async def header(asker: Asker) -> bytes:
            set_asker(asker)
            async with aclosing(inventory.export_csv(Filter())) as pieces:
                first = await anext(pieces)
                assert service.questions.lanes.running()["csv"] == 1
                asker.is_gone = True
                with pytest.raises(QuestionStopped):
                    await anext(pieces)
                return first

        assert len(set(await asyncio.gather(*(header(Asker(str(number))) for number in range(5))))) == 1
        assert service.questions.lanes.running()["csv"] == 0

    run(tmp_path, test)
