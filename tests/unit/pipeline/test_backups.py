"""Backups: one at a time, without blocks that are damaged already, and broken off where one turns out to be."""

import asyncio
import io
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import pytest

from fleetpulse.backup_archive import BackupNote, Listed, read_archive
from fleetpulse.errors import BrokenOff, Busy, DamagedData, NotAccepting
from fleetpulse.journal.memory import MemoryJournal
from fleetpulse.pipeline.backups import STAGING, Backups
from fleetpulse.pipeline.pace import PATIENCE_S
from fleetpulse.pipeline.service import Service
from fleetpulse.storage_causes import Away
from memory_service import World, beat


def run(folder: Path, test: Callable[[Service, Backups], Awaitable[None]]) -> None:
    async def life() -> None:
        world = World(folder)
        service = await world.started("d0")
        await beat(service, "d0")
        assert await service.housekeeping.checkpoint()
        await test(service, service.backups)
        assert not (folder / STAGING).exists()
        await service.node.stop()

    asyncio.run(life())


async def note_of(backups: Backups) -> BackupNote:
    def keep(_listed: Listed, pieces: Iterator[bytes]) -> None:
        for _ in pieces:
            pass

    return read_archive(io.BytesIO(b"".join([piece async for piece in await backups.archive()])), keep)


def test_a_backup_has_the_databases_and_every_block_of_the_manifest(tmp_path: Path) -> None:
    async def test(service: Service, backups: Backups) -> None:
        note = await note_of(backups)
        blocks = {f"blocks/{file.name}" for file in service.history.manifest.files()}
        assert {listed.name for listed in note.files} == {"catalog.sqlite", "journal.sqlite", *blocks}
        assert note.missing == []
        assert service.counters.backups_ended == {"complete": 1}

    run(tmp_path, test)


def test_there_is_one_backup_at_a_time_and_one_that_is_left_makes_room_for_the_next(tmp_path: Path) -> None:
    async def test(service: Service, backups: Backups) -> None:
        first = await backups.archive()
        with pytest.raises(Busy, match="a backup is running"):
            await backups.archive()
        await anext(first)
        await first.aclose()
        await note_of(backups)
        assert service.counters.backups_ended == {"abandoned": 1, "complete": 1}

    run(tmp_path, test)


def test_checkpoints_are_taken_while_a_backup_is_read_and_its_blocks_stay(tmp_path: Path) -> None:
    async def test(service: Service, backups: Backups) -> None:
        before = {file.name for file in service.history.manifest.files()}
        pieces = await backups.archive()
        await beat(service, "d0")
        assert await service.housekeeping.checkpoint()
        assert before - {file.name for file in service.history.manifest.files()} != set()
        assert before <= service.history.store.names()
        assert b"".join([piece async for piece in pieces])

    run(tmp_path, test)


def test_a_block_that_turns_out_to_be_damaged_breaks_a_backup_off_and_the_next_goes_on_without_it(
    tmp_path: Path,
) -> None:
    async def test(service: Service, backups: Backups) -> None:
        store, file = service.history.store, service.history.manifest.snapshot
        assert file is not None
        store._files[file.name] = b"x" * file.size_bytes  # type: ignore[attr-defined]  # of the store in memory
        with pytest.raises(DamagedData, match=file.name):
            await note_of(backups)
        note = await note_of(backups)
        assert note.missing == [file.name]
        assert f"blocks/{file.name}" not in {listed.name for listed in note.files}
        assert service.counters.backups_ended == {"damaged": 1, "complete": 1}

    run(tmp_path, test)


def test_a_client_that_reads_too_slowly_is_cut_off_so_that_its_files_do_not_stay_for_ever(tmp_path: Path) -> None:
    async def test(service: Service, backups: Backups) -> None:
        now_s = 0.0
        backups.monotonic_s = lambda: now_s
        pieces = await backups.archive()
        await anext(pieces)
        now_s = 2 * PATIENCE_S
        with pytest.raises(BrokenOff, match="export_bytes_per_s_lowest"):
            await anext(pieces)
        assert service.counters.backups_ended == {"slow": 1}

    run(tmp_path, test)


def test_a_service_that_stops_begins_none_and_ends_the_one_that_runs(tmp_path: Path) -> None:
    async def test(service: Service, backups: Backups) -> None:
        pieces = await backups.archive()
        backups.stop()
        with pytest.raises(BrokenOff, match="stops"):
            await anext(pieces)
        with pytest.raises(NotAccepting, match="stopping"):
            await backups.archive()
        assert service.counters.backups_ended == {"stopped": 1}

    run(tmp_path, test)


def test_databases_that_cannot_be_copied_or_have_no_room_are_told(tmp_path: Path) -> None:
    async def test(service: Service, backups: Backups) -> None:
        measured, backups.free_bytes = backups.free_bytes, lambda _folder: 1000
        with pytest.raises(Busy, match="1000 that are free"):
            await backups.archive()
        backups.free_bytes = measured
        backups.journal.append(bytes(1 << 20))  # of the memory: what counts is the copy, not a file of the folder
        backups.free_bytes = lambda _folder: 1 << 20
        with pytest.raises(Busy, match="copies of journal and catalog would take"):
            await backups.archive()
        backups.free_bytes = measured
        journal = backups.journal
        assert isinstance(journal, MemoryJournal)
        journal.trouble = Away("NATS does not answer")
        with pytest.raises(Busy, match=r"no backup can be made: NATS does not answer"):
            await backups.archive()
        journal.trouble = None
        (tmp_path / "catalog.sqlite").rename(tmp_path / "elsewhere")
        with pytest.raises(Busy, match=r"no backup can be made.*catalog\.sqlite"):
            await backups.archive()
        assert service.counters.backups_ended == {"failed": 2, "abandoned": 2}
        (tmp_path / "elsewhere").rename(tmp_path / "catalog.sqlite")

    run(tmp_path, test)
