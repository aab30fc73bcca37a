"""What holds where two nodes have the same catalog open."""

import asyncio
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from fleetpulse.catalog.catalog import Catalog
from fleetpulse.catalog.postgres import PostgresCatalog
from fleetpulse.errors import DatabaseBusy, NotAccepting, OutOfRange
from fleetpulse.model.device import Device
from fleetpulse.model.manifest import BlockFile, Manifest
from fleetpulse.model.message import Message
from fleetpulse.model.metric import MetricDefinition
from fleetpulse.model.units import NS_PER_S
from fleetpulse.pipeline.catalog_thread import CatalogThread
from fleetpulse.pipeline.changes import Changes

Connect = Callable[[], Catalog]
ROUNDS = 40


def at_once(*works: Callable[[], None]) -> None:
    """Run each in a thread of its own; what one raises is raised."""
    failed: list[BaseException] = []

    def run(work: Callable[[], None]) -> None:
        try:
            work()
        except BaseException as error:  # noqa: BLE001  # it is raised below
            failed.append(error)

    threads = [threading.Thread(target=run, args=(work,)) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    if failed:
        raise failed[0]


def test_registrations_at_once_give_different_numbers_and_one_to_each_device(connect: Connect) -> None:
    first, second = connect(), connect()

    def register(catalog: Catalog, name: str) -> None:
        for number in range(ROUNDS):
            devices = [Device(f"{name}{number}"), Device(f"both{number}")]
            catalog.register(devices, devices_max=9_999, at_ns=5, replaces=False)

    at_once(lambda: register(first, "a"), lambda: register(second, "b"))
    records = list(first.records())
    assert [record.number for record in records] == list(range(3 * ROUNDS))
    assert len({record.device.id for record in records}) == 3 * ROUNDS
    assert list(second.records()) == records


def test_transactions_are_counted_once_each_and_both_see_what_the_other_wrote(connect: Connect) -> None:
    first, second = connect(), connect()
    before = first.transactions()

    def define(catalog: Catalog, name: str) -> None:
        for number in range(ROUNDS):
            catalog.put_metric(MetricDefinition(name=f"{name}{number}"), metrics_max=999)

    at_once(lambda: define(first, "a"), lambda: define(second, "b"))
    assert max(first.transactions(), second.transactions()) == before + 2 * ROUNDS
    numbers = [number for number, _, _ in first.metrics()]
    assert numbers == list(range(2 * ROUNDS + 1))


def test_messages_and_audit_entries_of_two_get_numbers_without_holes(connect: Connect) -> None:
    first, second = connect(), connect()

    def add(catalog: Catalog, name: str) -> None:
        for number in range(ROUNDS):
            message = Message(key=f"{name}{number}", receiver="hook", kind="firing", at_ns=5)
            catalog.outbox.add([message], at_ns=5, waiting_max=999)
            catalog.outbox.add([message], at_ns=5, waiting_max=999)

    at_once(lambda: add(first, "a"), lambda: add(second, "b"))
    assert [one.number for one in first.outbox.waiting("hook", after=0, limit=999)] == list(range(1, 2 * ROUNDS + 1))


def test_a_manifest_is_read_whole_while_it_is_replaced(connect: Connect) -> None:
    first, second = connect(), connect()
    days = range(50)

    def manifest(position: int) -> Manifest:
        files = {day: BlockFile(f"p{position}-{day}", position, "x") for day in days}
        return Manifest(position, 60, 7, snapshot=BlockFile(f"s{position}", position, "x"), presence=files)

    first.commit_manifest(manifest(1))

    def write() -> None:
        for position in range(2, ROUNDS):
            first.commit_manifest(manifest(position))

    def read() -> None:
        for _ in range(ROUNDS):
            found = second.manifest()
            assert found == manifest(found.position)

    at_once(write, read)


def test_a_transaction_waits_for_the_other_one_and_sees_what_it_did(connect: Connect) -> None:
    first, second = connect(), connect()
    has_begun, is_done = threading.Event(), threading.Event()

    def hold() -> None:
        with first.transaction():
            first.register([Device("a")], devices_max=1, at_ns=1)
            has_begun.set()
            assert not is_done.wait(0.3)

    def follow() -> None:
        assert has_begun.wait(30)
        with pytest.raises(OutOfRange):
            second.register([Device("b")], devices_max=1, at_ns=1)
        is_done.set()

    at_once(hold, follow)
    assert is_done.is_set()


def test_a_text_with_a_character_that_cannot_be_stored_is_refused_and_costs_nothing(connect: Connect) -> None:
    catalog = connect()
    if isinstance(catalog, PostgresCatalog):  # SQLite stores it
        with pytest.raises(OutOfRange) as refused:
            catalog.register([Device("a", note="x\0y")], devices_max=9, at_ns=1)
        assert refused.value.reason == "not_storable"
        assert catalog.find("a") is None
    catalog.register([Device("a", {"site": "x"}, note="xy")], devices_max=9, at_ns=1)
    record = catalog.find("a")
    assert record is not None
    assert record.device.note == "xy"


@pytest.mark.parametrize("connect", ["postgres"], indirect=True)
def test_a_lock_that_is_held_too_long_is_told_and_nothing_is_changed(connect: Connect, postgres_url: str) -> None:
    holder, other = connect(), PostgresCatalog(postgres_url, wait_s=0.05)
    with holder.transaction():
        with pytest.raises(DatabaseBusy, match="nothing was"):
            other.register([Device("a")], devices_max=9, at_ns=1)
        assert other.find("a") is None  # reads wait for nobody
    other.register([Device("a")], devices_max=9, at_ns=1)
    other.close()


def test_what_followers_need_has_a_version_that_the_other_one_reads(connect: Connect) -> None:
    first, second = connect(), connect()
    first.share()
    second.share()
    before = second.version()
    first.register([Device("d")], devices_max=9, at_ns=1)
    assert first.following_version() == second.version() == before + 1
    found = second.changes(before)
    assert (found.version, found.devices, found.concerns("device")) == (before + 1, [0], True)
    first.put_secret("links", "s")
    assert (first.following_version(), second.version()) == (before + 1, before + 2), "an entry need not name that"


def test_memory_comes_to_a_version_or_the_catalog_is_an_older_copy(connect: Connect) -> None:
    first, second = connect(), connect()
    first.share()
    second.share()
    first.register([Device("d")], devices_max=9, at_ns=1)
    version = first.following_version()

    async def live() -> None:
        with ThreadPoolExecutor(1) as thread:
            changes = Changes(catalog=second, catalog_thread=CatalogThread(thread))
            await changes.reach(version)
            assert changes.known == version
            with pytest.raises(NotAccepting, match="it is an older copy"):
                await changes.reach(version + 9)
            assert changes.known == version

    asyncio.run(live())


def test_the_clock_of_the_database_goes_on_and_is_the_same_for_all(connect: Connect) -> None:
    first, second = connect(), connect()
    times = [first.lease.now_ns(), second.lease.now_ns(), first.lease.now_ns()]
    assert times == sorted(times)
    assert abs(times[-1] - time.time_ns()) < 10 * NS_PER_S, "the server of a test is on this machine"
