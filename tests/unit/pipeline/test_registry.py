"""The known devices: in the catalog first, then in memory."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from fleetpulse.access.daily_limit import DailyLimit
from fleetpulse.catalog.sqlite import SqliteCatalog
from fleetpulse.errors import OutOfRange, UnknownDevice
from fleetpulse.ingest.devices_file import NamedDevice
from fleetpulse.live.fleet import Fleet
from fleetpulse.model.declaration_merge import FieldChange, MergeReport, import_rule
from fleetpulse.model.device import Device
from fleetpulse.model.heartbeat_policy import HeartbeatPolicy
from fleetpulse.model.policy_history import SINCE_EVER_NS, PolicyHistory
from fleetpulse.model.units import NS_PER_S
from fleetpulse.pipeline.catalog_thread import CatalogThread
from fleetpulse.pipeline.merges import RECORDS_AT_ONCE
from fleetpulse.pipeline.newcomers import Newcomers
from fleetpulse.pipeline.registry import READ_AT_ONCE, Registry
from fleetpulse.pipeline.threads import Threads
from fleetpulse.telemetry.counters import Counters
from memory_service import NOON, FakeClock

USUAL = HeartbeatPolicy(60, 240)


class Devices:
    """A registry on a catalog of its own."""

    def __init__(self, folder: Path, settings: dict[str, Any]) -> None:
        self.catalog = SqliteCatalog(folder / "catalog.sqlite")
        self.clock = FakeClock()
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
        self.newcomers = Newcomers(
            self.registry,
            CatalogThread(self._threads.catalog),
            DailyLimit("registrations_per_day", "devices", 100, now_ns=self.clock.now_ns),
        )

    def reopened(self, policy: HeartbeatPolicy = USUAL) -> Registry:
        """What a restart would load, with a fleet of its own."""
        self.fleet = Fleet(policy=policy)
        self.fleet.advance(NOON)
        registry = Registry(
            catalog=self.catalog,
            catalog_thread=CatalogThread(self._threads.catalog),
            clock=self.clock,
            fleet=self.fleet,
            counters=self.counters,
            **self._settings,
        )
        registry.load()
        return registry

    def reopened_fleet(self, policy: HeartbeatPolicy = USUAL) -> Fleet:
        """The fleet that a restart would load."""
        self.reopened(policy)
        return self.fleet

    def close(self) -> None:
        self._threads.close()
        self.catalog.close()


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


def terms(history: PolicyHistory) -> list[tuple[int, int, int, int]]:
    """(from when on, interval, grace, exact from when on) of each change; times in s after noon, -1: since ever."""
    return [
        (
            after_noon_s(change.at_ns),
            change.policy.interval_s,
            change.policy.grace_s,
            after_noon_s(change.exact_from_ns),
        )
        for change in history
    ]


def after_noon_s(at_ns: int) -> int:
    return -1 if at_ns == SINCE_EVER_NS else (at_ns - NOON) // NS_PER_S


def test_a_changed_policy_counts_from_now_on_and_a_restart_knows_when_that_was(tmp_path: Path) -> None:
    async def test(devices: Devices) -> None:
        await devices.registry.register_many([Device("a"), Device("b"), Device("c", interval_s=10)])
        devices.clock.ns = NOON + 5 * NS_PER_S
        await devices.registry.update({0: Device("a", {"site": "x"}), 2: Device("c", {"site": "x"}, 10)})
        assert [terms(devices.fleet.policies_of(number)) for number in (0, 2)] == [
            [(-1, 60, 240, -1)],
            [(-1, 10, 240, -1)],
        ]
        await devices.registry.update({0: Device("a", interval_s=10)})
        devices.clock.ns += 5 * NS_PER_S
        await devices.registry.register_many([Device("a", {"site": "y"}, 300, 20)])
        await devices.registry.change_all(
            [2], lambda device: Device(device.id, {}, None, 30), MergeReport(9), is_dry=False
        )
        for fleet in (devices.fleet, devices.reopened_fleet()):
            assert [terms(fleet.policies_of(number)) for number in range(3)] == [
                [(-1, 60, 240, -1), (5, 10, 240, -1), (10, 300, 20, -1)],
                [(-1, 60, 240, -1)],
                [(-1, 10, 240, -1), (10, 60, 30, -1)],
            ]

    run(tmp_path, test)


def test_the_first_policy_of_a_device_that_registered_itself_holds_since_ever(tmp_path: Path) -> None:
    async def test(devices: Devices) -> None:
        await devices.newcomers.register("a")
        await devices.newcomers.register("b")
        devices.clock.ns = NOON + 5 * NS_PER_S
        await devices.registry.update({0: Device("a", {"site": "x"})})
        await devices.registry.register_many([Device("b", interval_s=300)])
        await devices.registry.update({0: Device("a", {"site": "x"}, 10)})
        devices.clock.ns = NOON + 9 * NS_PER_S
        await devices.registry.update({0: Device("a", interval_s=20), 1: Device("b")})
        # What was shorter than the service's own interval was not kept as a gap until it was declared.
        assert terms(devices.fleet.policies_of(0)) == [(-1, 10, 240, 9), (9, 20, 240, -1)]
        assert terms(devices.fleet.policies_of(1)) == [(-1, 300, 240, -1), (9, 60, 240, -1)]

    run(tmp_path, test)


def test_a_correction_of_the_past_says_from_when_on_its_gaps_are_known(tmp_path: Path) -> None:
    async def test(devices: Devices) -> None:
        await devices.registry.register_many([Device("a"), Device("b"), Device("c")])
        devices.clock.ns = NOON + 500 * NS_PER_S
        await devices.registry.update({0: Device("a", interval_s=300)}, since_ns=NOON)
        await devices.registry.update({1: Device("b", interval_s=10)}, since_ns=NOON)
        await devices.registry.update({2: Device("c")}, since_ns=NOON)
        assert [terms(devices.fleet.policies_of(number)) for number in range(3)] == [
            [(-1, 60, 240, -1), (0, 300, 240, -1)],
            [(-1, 60, 240, -1), (0, 10, 240, 540)],
            [(-1, 60, 240, -1)],
        ]
        devices.clock.ns = NOON + 900 * NS_PER_S
        await devices.registry.update({0: Device("a", interval_s=20)}, since_ns=NOON - 5 * NS_PER_S)
        assert terms(devices.fleet.policies_of(0)) == [(-1, 60, 240, -1), (-5, 20, 240, 900)]

    run(tmp_path, test)


def test_what_a_clock_that_was_ahead_has_dated_holds_as_soon_as_it_is_declared_again(tmp_path: Path) -> None:
    async def test(devices: Devices) -> None:
        await devices.registry.register_many([Device("a")])
        devices.clock.ns = NOON + 5_000 * NS_PER_S
        await devices.registry.update({0: Device("a", interval_s=300)})
        devices.clock.ns = NOON + 5 * NS_PER_S
        await devices.registry.update({0: Device("a", interval_s=300)})
        devices.clock.ns = NOON + 6 * NS_PER_S
        await devices.registry.update({0: Device("a", {"site": "x"}, 300)})
        assert terms(devices.fleet.policies_of(0)) == [(-1, 60, 240, -1), (5, 300, 240, -1)]

    run(tmp_path, test)


def test_what_a_device_leaves_out_follows_the_default_of_each_time(tmp_path: Path) -> None:
    async def test(devices: Devices) -> None:
        await devices.registry.register_many([Device("a"), Device("b", grace_s=30)])
        devices.clock.ns = NOON + 5 * NS_PER_S
        fleet = devices.reopened_fleet(HeartbeatPolicy(600, 60, 2_000))
        assert terms(fleet.policies_of(0)) == [(-1, 60, 240, -1), (5, 600, 60, -1)]
        assert terms(fleet.policies_of(1)) == [(-1, 60, 30, -1), (5, 600, 30, -1)]
        assert [change.policy.factor_thousandths for change in fleet.policies_of(1)] == [1_500, 2_000]
        devices.clock.ns = NOON + 9 * NS_PER_S
        fleet = devices.reopened_fleet()
        assert terms(fleet.policies_of(0)) == [(-1, 60, 240, -1), (5, 600, 60, -1), (9, 60, 240, -1)]

    run(tmp_path, test)


def test_of_too_many_changes_the_oldest_are_joined_and_the_longer_one_holds_for_both(tmp_path: Path) -> None:
    async def test(devices: Devices) -> None:
        devices.catalog.policy_changes_max = 3
        await devices.registry.register_many([Device("a")])
        for second, interval_s in enumerate([10, 300, 20, 30], 1):
            devices.clock.ns = NOON + second * NS_PER_S
            await devices.registry.update({0: Device("a", interval_s=interval_s)})
        assert terms(devices.fleet.policies_of(0)) == [(-1, 300, 240, -1), (3, 20, 240, -1), (4, 30, 240, -1)]
        assert devices.counters.policy_changes_joined == 2
        for second, interval_s in enumerate([10, 300, 20, 30], 5):
            devices.clock.ns = NOON + second * NS_PER_S
            history = devices.reopened_fleet(HeartbeatPolicy(interval_s, 0)).policies.default
        assert terms(history) == [(-1, 300, 0, -1), (7, 20, 0, -1), (8, 30, 0, -1)]

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
        outcomes = [devices.newcomers.register(device_id) for device_id in ("a", "b", "a")]
        assert outcomes[0] is outcomes[2]
        await asyncio.gather(*outcomes)
        assert sorted(devices.registry.numbers) == ["a", "b"]

    run(tmp_path, test)


def test_a_device_that_an_import_has_just_declared_keeps_its_labels(tmp_path: Path) -> None:
    async def test(devices: Devices) -> None:
        importing = asyncio.create_task(devices.registry.register_many([Device("a", {"site": "x"})]))
        await asyncio.sleep(0)
        await devices.newcomers.register("a")
        await importing
        assert await labels_of(devices.registry, "a") == {"site": "x"}

    run(tmp_path, test)


def test_where_there_is_room_for_some_some_are_registered(tmp_path: Path) -> None:
    async def test(devices: Devices) -> None:
        outcomes = [devices.newcomers.register(device_id) for device_id in ("a", "b", "c")]
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
            await devices.newcomers.register(device_id)

    run(tmp_path, test, auto_register=auto_register)


def test_a_listing_is_kept_until_a_device_comes(tmp_path: Path) -> None:
    async def test(devices: Devices) -> None:
        await devices.registry.register_many([Device("b"), Device("a")])
        listing = devices.registry.listing()()
        assert devices.registry.listing()() is listing
        await devices.registry.register_many([Device("c")])
        assert devices.registry.listing()() is not listing

    run(tmp_path, test)


def test_what_was_read_before_a_change_is_not_put_over_it(tmp_path: Path) -> None:
    async def scenario(devices: Devices) -> None:
        registry, count = devices.registry, READ_AT_ONCE
        await registry.register_many([Device(f"dev-{number}") for number in range(count)])
        reading = asyncio.create_task(registry.reload(range(count)))
        await asyncio.sleep(0)  # it asks the catalog's thread now, and puts what it gets into memory in some turns
        await registry.update({count - 1: Device(f"dev-{count - 1}", interval_s=5)})
        await reading
        assert devices.fleet.policies_of(count - 1)[-1].policy.interval_s == 5

    run(tmp_path, scenario, devices_max=READ_AT_ONCE)
