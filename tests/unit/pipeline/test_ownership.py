"""A service uses only the block store that belongs to its folder, and only until a copy of it is started."""

import asyncio
import contextlib
import shutil
import sqlite3
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path

import pytest

from fleetpulse.blocks.manifest_note import read_manifest_note
from fleetpulse.blocks.owner import OWNER
from fleetpulse.blocks.store import MemoryBlockStore, Note
from fleetpulse.errors import DamagedData, ForeignBlocks, NotAccepting
from fleetpulse.pipeline.adopt import look
from fleetpulse.pipeline.verify import verify
from memory_service import SECOND, World, beat
from shared_service import SharedWorld


def copy_of(world: World, folder: Path) -> World:
    """A copy of the data folder that uses the same store."""
    shutil.copytree(world.folder, folder)
    copy = World(folder)
    copy.store, copy.journal = world.store, deepcopy(world.journal)
    return copy


def test_the_folder_gets_its_id_at_its_first_start_and_keeps_it(tmp_path: Path) -> None:
    async def life() -> None:
        world, ids = World(tmp_path), set()
        for generation in (1, 2, 3):
            service = await world.started("d0")
            owner = service.ownership.owner
            assert owner is not None and owner.generation == generation
            ids |= {owner.id, world.journal.identity(), service.catalog.files.identity()}
            await service.node.stop()
        assert len(ids) == 1

    asyncio.run(life())


def test_another_folder_on_the_same_store_does_not_start_and_changes_nothing(tmp_path: Path) -> None:
    async def life() -> None:
        first, second = World(tmp_path / "first"), World(tmp_path / "second")
        first.folder.mkdir()
        second.folder.mkdir()
        second.store = first.store
        await (await first.started("d0")).node.stop()
        before = first.store.names(), first.store.read_note(OWNER)
        service = second.service()
        with pytest.raises(ForeignBlocks, match="fleetpulse adopt"):
            await service.node.start()
        await service.node.stop()
        assert (first.store.names(), first.store.read_note(OWNER)) == before
        assert service.catalog is not None and second.journal.identity() is None

    asyncio.run(life())


def test_the_older_of_two_copies_goes_read_only_and_writes_and_removes_nothing(tmp_path: Path) -> None:
    async def life() -> None:
        world = World(tmp_path / "data")
        world.folder.mkdir()
        older = await world.started("d0")
        await beat(older, "d0")
        assert await older.housekeeping.checkpoint()
        newer = await copy_of(world, tmp_path / "copy").started("d0")
        await beat(older, "d0")
        before = world.store.names()
        assert not await older.housekeeping.checkpoint()
        assert not await older.housekeeping.compact(is_forced=True)
        assert world.store.names() == before
        assert older.readiness.refusal is not None
        assert (older.readiness.refusal.reason, "copy" in older.readiness.refusal.msg) == ("outdated", True)
        with pytest.raises(NotAccepting, match="generation 2"):
            older.intake.check()
        assert (await older.questions.lifetime(0)).figures.minutes_present == 1
        await beat(newer, "d0")
        assert await newer.housekeeping.checkpoint()
        await older.node.stop()
        await newer.node.stop()
        assert not (world.store.names() & before) - {file.name for file in newer.history.manifest.files()}

    asyncio.run(life())


def test_a_removal_that_finds_a_later_start_removes_nothing_and_ends_accepting(tmp_path: Path) -> None:
    async def life() -> None:
        world = World(tmp_path / "data")
        world.folder.mkdir()
        older = await world.started("d0", block_grace_h=1000.0)
        for _ in range(2):
            await beat(older, "d0")
            assert await older.housekeeping.checkpoint()
        assert older.counters.blocks_superseded
        newer = await copy_of(world, tmp_path / "copy").started("d0", block_grace_h=1000.0)
        before = world.store.names()
        task = older.housekeeping.give_up_files(10**9)
        assert task is not None
        await task
        assert world.store.names() == before
        assert older.readiness.refusal is not None
        assert older.readiness.refusal.reason == "outdated"
        await older.node.stop()
        await newer.node.stop()

    asyncio.run(life())


def spoil_snapshot(world: World, _data: Path) -> None:
    for name, body in world.store._files.items():
        if name.startswith("snapshot"):
            world.store._files[name] = body[:-1]


def spoil_journal(world: World, _data: Path) -> None:
    world.journal.append(b"no entry")


@pytest.mark.parametrize("spoil", [spoil_snapshot, spoil_journal])
def test_a_start_that_cannot_go_on_does_not_throw_out_the_service_that_runs(
    spoil: Callable[[World, Path], None], tmp_path: Path
) -> None:
    async def life() -> None:
        world = World(tmp_path / "data")
        world.folder.mkdir()
        running = await world.started("d0")
        await beat(running, "d0")
        assert await running.housekeeping.checkpoint()
        await beat(running, "d0")
        copy = copy_of(world, tmp_path / "copy")
        copy.store = deepcopy(world.store)
        spoil(copy, copy.folder)
        before = copy.store._notes.copy()
        service = copy.service()
        if spoil is spoil_journal:
            with pytest.raises(DamagedData):
                await service.node.start()
        else:
            await service.node.start()
            assert service.follower.is_away
        await service.node.stop()
        assert copy.store._notes == before
        assert await running.housekeeping.checkpoint()
        await running.node.stop()

    asyncio.run(life())


def test_the_manifest_and_the_files_of_a_newer_copy_stay_and_lead_back_to_it(tmp_path: Path) -> None:
    async def life() -> None:
        world = World(tmp_path / "data")
        world.folder.mkdir()
        service = await world.started("d0", block_grace_h=24)
        await beat(service, "d0")
        assert await service.housekeeping.checkpoint()
        await service.node.stop()
        older = copy_of(world, tmp_path / "copy")
        service = await world.started("d1", block_grace_h=24)
        world.clock.ns += 60 * SECOND
        await beat(service, "d1")
        assert await service.housekeeping.checkpoint()
        await service.node.stop()
        newest = service.history.manifest
        newer_files = {file.name for file in newest.files()}
        for _ in range(2):
            service = await older.started(block_grace_h=0.5)
            ((note, manifest),) = service.ownership.kept.items()
            assert manifest == newest
            older.clock.ns += 3_600 * SECOND
            await beat(service, "d0")
            assert await service.housekeeping.checkpoint()
            assert newer_files <= world.store.names()
            findings = {finding.part: finding for finding in verify(older.journal, service.catalog, world.store)}
            assert "of another copy" in findings[f"kept {note}"].text and note in findings[f"kept {note}"].text
            assert findings["manifest.json"].is_good
            assert not any(name in findings["unknown files"].text for name in newer_files)
            await service.node.stop()
        found = look(world.store, note)
        assert (found.devices, found.missing) == (2, ())
        world.store._notes.pop(note)
        service = await older.started()
        assert service.ownership.kept == {}
        await service.node.stop()

    asyncio.run(life())


class Away(MemoryBlockStore):
    """A store that cannot be reached for a while."""

    is_away = True

    def read_note(self, name: str) -> Note | None:
        if self.is_away:
            raise OSError("away")
        return super().read_note(name)


def test_a_store_that_cannot_be_reached_gets_its_owner_later(tmp_path: Path) -> None:
    async def life() -> None:
        world = World(tmp_path)
        world.store = store = Away()
        service = await world.started("d0")
        await beat(service, "d0")
        assert not await service.housekeeping.checkpoint()
        assert service.readiness.refusal is None
        store.is_away = False
        assert await service.housekeeping.checkpoint()
        owner = service.ownership.owner
        assert owner is not None and owner.id == service.catalog.files.identity()
        await service.node.stop()
        await (await world.started("d0")).node.stop()
        assert world.journal.identity() == owner.id

    asyncio.run(life())


def test_a_folder_from_before_gets_its_id_and_a_copy_of_its_manifest_at_its_first_start(tmp_path: Path) -> None:
    async def life() -> None:
        world = World(tmp_path)
        service = await world.started("d0")
        await beat(service, "d0")
        assert await service.housekeeping.checkpoint()
        await service.node.stop()
        manifest = service.history.manifest
        world.store._notes.clear()
        world.journal._identity = None
        with contextlib.closing(sqlite3.connect(tmp_path / "catalog.sqlite", isolation_level=None)) as catalog:
            catalog.execute("DELETE FROM owner")
        service = world.service()
        await service.node.start()
        assert read_manifest_note(world.store) == manifest
        assert service.ownership.owner is not None
        assert service.ownership.owner.id == world.journal.identity() == service.catalog.files.identity()
        await service.node.stop()

    asyncio.run(life())


@pytest.mark.parametrize("is_restarted", [False, True])
def test_a_claim_that_was_carried_out_without_an_answer_does_not_make_the_store_foreign(
    is_restarted: bool, tmp_path: Path
) -> None:
    class Silent(MemoryBlockStore):
        is_silent = True

        def replace_note(self, name: str, body: bytes, *, expected: Note | None) -> None:
            super().replace_note(name, body, expected=expected)
            if self.is_silent:
                raise OSError("no answer")

    async def life() -> None:
        world = World(tmp_path)
        world.store = store = Silent()
        service = await world.started("d0")
        assert service.ownership.owner is None and service.ownership.trouble == "no answer"
        store.is_silent = False
        if is_restarted:
            await service.node.stop()
            service = await world.started()
        else:
            await service.ownership.ensure(service.history.manifest)
        owner = service.ownership.owner
        assert owner is not None and owner.id == service.catalog.files.identity()
        await service.node.stop()

    asyncio.run(life())


def test_nodes_of_one_journal_own_the_store_together(tmp_path: Path) -> None:
    async def life() -> None:
        world = SharedWorld(tmp_path)
        nodes = [await world.started() for _ in range(2)]
        nodes.append(await world.started())
        owners = {node.ownership.owner for node in nodes}
        assert len(owners) == 1
        assert {owner.id for owner in owners if owner} == {nodes[0].catalog.files.identity()}
        for node in nodes:
            await node.ownership.ensure(node.catalog.manifest())
            await node.node.stop()

    asyncio.run(life())
