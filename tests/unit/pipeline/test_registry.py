"""The known devices: in the catalog first, then in memory."""

import asyncio
from collections.abc import Awaitable, Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from fleetpulse.catalog.sqlite import SqliteCatalog
from fleetpulse.errors import OutOfRange, UnknownDevice
from fleetpulse.ingest.devices_file import NamedDevice
from fleetpulse.live.fleet import Fleet
from fleetpulse.model.declaration_merge import FieldChange, MergeReport, import_rule
from fleetpulse.model.device import Device
from fleetpulse.model.events import EventBatch
from fleetpulse.model.heartbeat_policy import HeartbeatPolicy
from fleetpulse.pipeline.catalog_thread import CatalogThread
from fleetpulse.pipeline.follow import PIECE_EVENTS, Follower
from fleetpulse.pipeline.merges import RECORDS_AT_ONCE
from fleetpulse.pipeline.registry import Registry
from fleetpulse.pipeline.threads import Threads
from fleetpulse.telemetry.counters import Counters
from memory_service import DAY, NOON, FakeClock


class Devices:
    """A registry on a catalog of its own."""

    def __init__(self, folder: Path, settings: dict[str, Any]) -> None:
        self._catalog = SqliteCatalog(folder / "catalog.sqlite")
        self._threads = Threads()
        self._settings = {
            "devices_max": 100,
            "label_names_max": 3,
            "policies_max": 1_024,
            "auto_register": True,
            **settings,
        }
        self.counters = Counters()
        self.registry = self.reopened()

    def reopened(self) -> Registry:
        """What a restart would load, with a fleet of its own."""
        self.fleet = Fleet(policy=HeartbeatPolicy(60, 240))
        self.follower = Follower(self.fleet, self.counters)
        self.fleet.advance(NOON // DAY)
        registry = Registry(
            catalog=self._catalog,
            catalog_thread=CatalogThread(self._threads.catalog),
            clock=FakeClock(),
            follower=self.follower,
            counters=self.counters,
            **self._settings,
        )
        registry.load()
        return registry

    def close(self) -> None:
        self._threads.close()
        self._catalog.close()


def run(folder: Path, test: Callable[[Devices], Awaitable[None]], **settings: Any) -> None:
    async def life() -> None:
        devices = Devices(folder, settings)
        await test(devices)
        reopened = devices.reopened()
        assert reopened.numbers == devices.registry.numbers
        assert reopened.roster.labels.keys() <= devices.registry.roster.labels.keys()
        devices.close()

    asyncio.run(life())


async def labels_of(registry: Registry, device_id: str) -> dict[str, str]:
    (record,) = await registry.records_of([registry.numbers[device_id]])
    return record.device.labels


def test_devices_get_numbers_in_order_and_keep_them(tmp_path: Path) -> None:
    async def test(devices: Devices) -> None:
        registered = await devices.registry.register_many([Device("a"), Device("b")])
        again = await devices.registry.register_many([Device("c"), Device("a")])
        assert (list(registered.new), list(again.new)) == ([0, 1], [2])
        assert devices.registry.numbers == {"a": 0, "b": 1, "c": 2}
        assert devices.fleet.count == 3
        assert devices.counters.devices_registered == 3

    run(tmp_path, test)


def test_a_merge_adds_and_changes_devices_and_a_dry_one_only_reports(tmp_path: Path) -> None:
    async def test(devices: Devices) -> None:
        await devices.registry.register_many([Device("a", {"site": "x"}, note="by the door")])
        lines = [NamedDevice(Device("a"), {"site": "y"}), NamedDevice(Device("b"), {"site": None})]
        for is_dry in (True, False):
            report = MergeReport(listed_max=1)
            await devices.registry.merge(lines, import_rule, report, is_dry=is_dry)
            assert (report.added, report.changed, len(report.changes)) == (1, 1, 1)
            assert report.changes[0].fields == (FieldChange("site", "x", "y"),)
            assert ("b" in devices.registry.numbers, devices.registry.roster.labels_of(0)) == (
                not is_dry,
                {"site": "x" if is_dry else "y"},
            )

    run(tmp_path, test)


def test_a_change_of_all_that_is_refused_for_one_changes_none(tmp_path: Path) -> None:
    def change(device: Device) -> Device:
        if device.id == "last":
            raise OutOfRange("it cannot be", reason="device")
        return Device(device.id, {"site": "y"})

    async def test(devices: Devices) -> None:
        ids = [f"d{number}" for number in range(RECORDS_AT_ONCE + 1)]
        await devices.registry.register_many(Device(device_id) for device_id in [*ids, "last"])
        everyone = range(RECORDS_AT_ONCE + 2)
        with pytest.raises(OutOfRange, match="device last: it cannot be; no device was changed"):
            await devices.registry.change_all(everyone, change, MergeReport(1), is_dry=False)
        assert await labels_of(devices.registry, "d0") == devices.registry.roster.labels_of(0) == {}
        await devices.registry.change_all(everyone[:-1], change, MergeReport(1), is_dry=True)
        assert await labels_of(devices.registry, "d0") == {}
        await devices.registry.change_all(everyone[:-1], change, MergeReport(1), is_dry=False)
        assert await labels_of(devices.registry, "d1000") == devices.registry.roster.labels_of(1000) == {"site": "y"}

    run(tmp_path, test, devices_max=RECORDS_AT_ONCE + 2)


def test_a_deleted_device_is_unknown_and_comes_back_with_its_number(tmp_path: Path) -> None:
    async def test(devices: Devices) -> None:
        await devices.registry.register_many([Device("a"), Device("b")])
        await devices.registry.delete([0])
        assert devices.registry.numbers == {"b": 1}
        assert devices.registry.roster.is_deleted[0]
        await devices.registry.register_many([Device("a")])
        assert devices.registry.numbers["a"] == 0
        assert not devices.registry.roster.is_deleted[0]

    run(tmp_path, test)


def test_a_changed_policy_reaches_the_fleet_and_makes_a_new_version(tmp_path: Path) -> None:
    async def test(devices: Devices) -> None:
        await devices.registry.register_many([Device("a"), Device("b")])
        version = devices.registry.policy_version
        await devices.registry.update({0: Device("a", {"site": "x"})})
        assert devices.registry.policy_version == version
        await devices.registry.update({0: Device("a", interval_s=10)})
        assert devices.registry.policy_version > version
        policies = [devices.fleet.policy_of(number) for number in (0, 1)]
        assert policies == [HeartbeatPolicy(10, 240), HeartbeatPolicy(60, 240)]

    run(tmp_path, test)


def test_one_device_too_many_registers_nobody(tmp_path: Path) -> None:
    async def test(devices: Devices) -> None:
        with pytest.raises(OutOfRange, match="devices_max"):
            await devices.registry.register_many([Device("a"), Device("b"), Device("c")])
        assert devices.registry.numbers == {}

    run(tmp_path, test, devices_max=2)


def test_one_label_name_too_many_changes_nobody(tmp_path: Path) -> None:
    async def test(devices: Devices) -> None:
        await devices.registry.register_many([Device("a", {"x": "1", "y": "1"}), Device("b")])
        crowded = {0: Device("a", {"x": "2"}), 1: Device("b", {"u": "1", "v": "1"})}
        with pytest.raises(OutOfRange, match="label_names_max"):
            await devices.registry.update(crowded)
        assert await labels_of(devices.registry, "a") == {"x": "1", "y": "1"}

    run(tmp_path, test)


def test_an_unknown_device_that_reports_is_registered_once(tmp_path: Path) -> None:
    async def test(devices: Devices) -> None:
        outcomes = [devices.registry.register(device_id) for device_id in ("a", "b", "a")]
        assert outcomes[0] is outcomes[2]
        await asyncio.gather(*outcomes)
        assert sorted(devices.registry.numbers) == ["a", "b"]

    run(tmp_path, test)


def test_a_device_that_an_import_has_just_declared_keeps_its_labels(tmp_path: Path) -> None:
    async def test(devices: Devices) -> None:
        importing = asyncio.create_task(devices.registry.register_many([Device("a", {"site": "x"})]))
        await asyncio.sleep(0)
        await devices.registry.register("a")
        await importing
        assert await labels_of(devices.registry, "a") == {"site": "x"}

    run(tmp_path, test)


def test_where_there_is_room_for_some_some_are_registered(tmp_path: Path) -> None:
    async def test(devices: Devices) -> None:
        outcomes = [devices.registry.register(device_id) for device_id in ("a", "b", "c")]
        errors = await asyncio.gather(*outcomes, return_exceptions=True)
        assert [type(error) for error in errors] == [type(None), type(None), OutOfRange]
        assert sorted(devices.registry.numbers) == ["a", "b"]

    run(tmp_path, test, devices_max=2)


@pytest.mark.parametrize(("device_id", "auto_register"), [("a", False), ("no id", True)])
def test_a_device_that_may_not_be_registered_stays_unknown(
    tmp_path: Path, device_id: str, *, auto_register: bool
) -> None:
    async def test(devices: Devices) -> None:
        with pytest.raises(UnknownDevice):
            await devices.registry.register(device_id)

    run(tmp_path, test, auto_register=auto_register)


def test_a_listing_is_kept_until_a_device_comes(tmp_path: Path) -> None:
    async def test(devices: Devices) -> None:
        await devices.registry.register_many([Device("b"), Device("a")])
        listing = devices.registry.listing()()
        assert devices.registry.listing()() is listing
        await devices.registry.register_many([Device("c")])
        assert devices.registry.listing()() is not listing

    run(tmp_path, test)


def test_a_new_policy_waits_for_a_large_batch_to_be_applied_in_slices(tmp_path: Path) -> None:
    async def test(devices: Devices) -> None:
        registry, follower = devices.registry, devices.follower
        await registry.register_many([Device("a"), Device("b")])
        count = 20 * PIECE_EVENTS
        batch = EventBatch()
        batch.heartbeat_devices.extend([0] * count)
        batch.heartbeat_sent_at_ns.extend([NOON] * count)
        batch.received_at_ns = NOON
        follower.follow(batch, 1)
        change = asyncio.create_task(registry.update({0: Device("a", interval_s=300)}))
        left = [count]
        while not change.done():
            await asyncio.sleep(0)
            left.append(follower.pending_events)
        await change
        assert max(before - after for before, after in pairwise(left)) < 10 * PIECE_EVENTS, "a slice of some ms"
        assert (left[-1], devices.fleet.policy_of(0)) == (0, HeartbeatPolicy(300, 240))

    run(tmp_path, test)
