"""Looks at the catalog: one at a time, shared by all who wait, and answers while it is away."""

import asyncio
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from fleetpulse.catalog.change_log import CatalogChanges
from fleetpulse.errors import NotAccepting, StorageFailed
from fleetpulse.pipeline import changes as module
from fleetpulse.pipeline.catalog_thread import CatalogThread
from fleetpulse.pipeline.changes import CATALOG_AWAY, Changes
from fleetpulse.pipeline.threads import Threads


class FakeCatalog:
    """A catalog whose version a test moves on."""

    is_shared = True

    def __init__(self) -> None:
        self.at = 0
        self.looks = 0
        self.trouble: Exception | None = None
        self.heard: list[Callable[[int], None]] = []

    def version(self) -> int:
        return self.at

    def listen(self, heard: Callable[[int], None]) -> Callable[[], None]:
        self.heard.append(heard)
        return self.heard.clear

    def changes(self, after: int) -> CatalogChanges:
        self.looks += 1
        if self.trouble is not None:
            raise self.trouble
        return CatalogChanges(self.at, frozenset({"manifest"} if self.at > after else ()), [], [])


class Steps:
    """A monotonic clock by hand."""

    now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def changes_of(catalog: FakeCatalog, clock: Steps | None = None) -> tuple[Changes, Threads]:
    threads = Threads()
    thread = CatalogThread(threads.catalog)
    # Stand-ins: what is asked of a catalog and of a clock here is all that they have.
    made = Changes(catalog=catalog, catalog_thread=thread, monotonic_s=clock or Steps())  # type: ignore[arg-type]
    return made, threads


def close(threads: Threads) -> None:
    threads.close_storage()
    threads.close_others()


def test_all_who_need_the_newest_share_one_look_that_begins_after_they_came() -> None:
    async def run() -> None:
        catalog = FakeCatalog()
        changes, threads = changes_of(catalog)
        catalog.at = 3
        await asyncio.gather(*(changes.reach(3) for _ in range(50)))
        assert (changes.known, catalog.looks) == (3, 1)
        await changes.reach(2)
        assert catalog.looks == 1
        first = asyncio.create_task(changes.reach(0))
        await asyncio.sleep(0)
        catalog.at = 5
        await asyncio.gather(first, changes.reach(0), changes.reach(0), changes.reach(5))
        assert (changes.known, catalog.looks) == (5, 3)
        close(threads)

    asyncio.run(run())


def test_what_is_reloaded_is_in_memory_before_the_version_counts_as_known() -> None:
    async def run() -> None:
        catalog = FakeCatalog()
        changes, threads = changes_of(catalog)
        order: list[tuple[str, int]] = []

        async def reload(found: CatalogChanges) -> None:
            order.append((f"reload {found.version}", changes.known))

        def adopt() -> None:
            order.append(("manifest", changes.known))

        changes.reloads.append(reload)
        changes.on_manifest.append(adopt)
        catalog.at = 1
        await changes.reach(1)
        assert order == [("reload 1", 0), ("manifest", 0)]
        close(threads)

    asyncio.run(run())


def test_a_catalog_that_is_away_is_said_and_asked_again() -> None:
    async def run() -> None:
        catalog = FakeCatalog()
        changes, threads = changes_of(catalog)
        catalog.at, catalog.trouble = 1, StorageFailed("the server has gone")
        for ask in (changes.reach(1), changes.reach(0), changes.ask_for_unknown()):
            with pytest.raises(NotAccepting, match="the server has gone") as raised:
                await ask
            assert (raised.value.reason, raised.value.retry_after_s) == (CATALOG_AWAY, 2)
        catalog.trouble = None
        await changes.reach(1)
        assert (changes.known, changes.trouble) == (1, "")
        with pytest.raises(NotAccepting, match="older copy"):
            await changes.reach(9)
        close(threads)

    asyncio.run(run())


def test_a_part_that_fails_by_a_defect_is_tried_again(caplog: pytest.LogCaptureFixture) -> None:
    async def run() -> None:
        catalog = FakeCatalog()
        changes, threads = changes_of(catalog)
        tries: list[int] = []

        async def reload(_found: CatalogChanges) -> None:
            tries.append(1)
            if len(tries) == 1:
                raise KeyError("a defect")

        changes.reloads.append(reload)
        catalog.at = 1
        with pytest.raises(NotAccepting, match="a defect"):
            await changes.reach(1)
        await changes.reach(1)
        assert (changes.known, len(tries)) == (1, 2)
        close(threads)

    asyncio.run(run())


def test_ticks_look_once_a_second_and_not_at_all_where_the_catalog_is_our_own() -> None:
    async def run() -> None:
        catalog, clock = FakeCatalog(), Steps()
        changes, threads = changes_of(catalog, clock)
        for _ in range(5):
            changes.tick()
            await asyncio.sleep(0.005)
        assert catalog.looks == 1
        clock.now_s = 1.0
        changes.tick()
        changes.tick()
        await changes.end()
        assert catalog.looks == 2
        catalog.is_shared = False
        clock.now_s = 9.0
        changes.tick()
        assert not await changes.ask_for_unknown()
        assert catalog.looks == 2
        close(threads)

    asyncio.run(run())


def test_strangers_cause_few_looks_however_many_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "UNKNOWN_EVERY_S", 0.05)

    async def run() -> None:
        catalog = FakeCatalog()
        changes, threads = changes_of(catalog)
        changes.monotonic_s = time.monotonic
        began_s = time.monotonic()
        while time.monotonic() - began_s < 0.3:
            await asyncio.gather(*(changes.ask_for_unknown() for _ in range(20)))
        most = (time.monotonic() - began_s) / 0.05 + 2
        assert 1 < catalog.looks <= most
        catalog.at = 1
        assert await changes.ask_for_unknown()
        close(threads)

    asyncio.run(run())


def test_the_start_reads_the_version_before_anything_else(tmp_path: Path) -> None:
    catalog = FakeCatalog()
    catalog.at = 7
    changes, threads = changes_of(catalog)
    changes.note_loaded()
    assert changes.known == 7
    close(threads)


def test_what_is_announced_is_looked_at_at_once_and_again_where_a_look_has_read_before() -> None:
    async def run() -> None:
        catalog = FakeCatalog()
        changes, threads = changes_of(catalog)
        changes.begin()
        catalog.at = 1
        catalog.heard[0](1)
        async with asyncio.timeout(5):
            while changes.known < 1:
                await asyncio.sleep(0.001)
        looks = catalog.looks
        catalog.heard[0](1)  # our own transaction, or an announcement that comes late
        await asyncio.sleep(0.01)
        assert catalog.looks == looks
        seen: list[int] = []

        async def reload(found: CatalogChanges) -> None:
            seen.append(found.version)
            if found.version == 2:
                catalog.at = 3
                changes.announce(3)  # while the look is under way that has read version 2

        changes.reloads.append(reload)
        catalog.at = 2
        catalog.heard[0](0)
        async with asyncio.timeout(5):
            while changes.known < 3:
                await asyncio.sleep(0.001)
        assert seen == [2, 3]
        await changes.end()
        assert not catalog.heard
        close(threads)

    asyncio.run(run())
