"""Backups of the running node: copies of its databases, and the blocks that they name, as one file that is streamed.

1  the turn of housekeeping is taken: no checkpoint and no compaction runs until 3
2  thread files     the journal is copied, and then the catalog, which so knows every device and metric that the
                    copied journal has; everything acknowledged before the backup began is in these or in blocks
3  the blocks of the manifest are pinned: they stay until the file is read to its end, whatever replaces them
4  thread export    a piece after the other is read, checked and sent

The copies stand in a folder in the data folder, which is removed at the end, or by the next backup after a crash.
"""

import asyncio
import contextlib
import hashlib
import shutil
import sqlite3
import time
from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import BinaryIO

import msgspec
import structlog

from fleetpulse import __version__
from fleetpulse.backup_archive import (
    END_OF_ARCHIVE,
    FORMAT,
    NOTE,
    PIECE_BYTES,
    BackupNote,
    Listed,
    header_of,
    padding_of,
)
from fleetpulse.blocks.history import History
from fleetpulse.catalog.catalog import Catalog
from fleetpulse.catalog.sqlite import SqliteCatalog
from fleetpulse.clock import Clock
from fleetpulse.errors import BrokenOff, Busy, DamagedData, NotAccepting, OperatorError, Unfinished
from fleetpulse.journal.journal import Journal
from fleetpulse.journal.sqlite import SqliteJournal
from fleetpulse.limits import DiskLimits, ExportLimits
from fleetpulse.model.manifest import BlockFile, Manifest
from fleetpulse.model.units import NS_PER_S
from fleetpulse.notation.timestamp import format_rfc3339
from fleetpulse.pipeline.housekeeping import Housekeeping
from fleetpulse.pipeline.pace import Pace
from fleetpulse.pipeline.readiness import Readiness
from fleetpulse.pipeline.threads import Threads
from fleetpulse.storage_causes import Away
from fleetpulse.telemetry.counters import Counters

log = structlog.get_logger("backup")
STAGING = "backing-up"
"""The folder of the copies, in the data folder."""
JOURNAL, CATALOG = "journal.sqlite", "catalog.sqlite"
RETRY_S = 60


@dataclass(eq=False, kw_only=True)
class Backups:
    """Makes one backup at a time."""

    folder: Path
    journal: Journal
    catalog: Catalog
    history: History
    housekeeping: Housekeeping
    readiness: Readiness
    clock: Clock
    counters: Counters
    limits: ExportLimits
    disk_limits: DiskLimits
    threads: Threads
    monotonic_s: Callable[[], float] = time.monotonic
    free_bytes: Callable[[Path], int] = lambda folder: shutil.disk_usage(folder).free
    is_running: bool = field(default=False, init=False)
    _is_stopping: bool = field(default=False, init=False)

    async def archive(self) -> AsyncGenerator[bytes, None]:
        """The pieces of a backup, whose databases are copied already. They must be closed, read or not.

        Raises: Busy: another one is running, or the disk has no room for the copies; NotAccepting: the service starts
            or stops; OperatorError: the databases cannot be copied.
        """
        self.readiness.check()
        if self._is_stopping:
            raise NotAccepting("stopping", reason="stopping")
        if self.is_running:
            raise Busy("a backup is running, and there may be no second one", reason="backup", retry_after_s=RETRY_S)
        self.is_running = True
        body = self._counted()
        try:
            await anext(body)  # it stops before the first byte
        except BaseException:
            await body.aclose()
            raise
        return body

    def stop(self) -> None:
        """Begin no further backup, and break off the one that runs: nobody can wait for its end."""
        self._is_stopping = True

    async def _counted(self) -> AsyncGenerator[bytes, None]:
        """Nothing once the databases are copied, and then all pieces. It counts how the backup ends."""
        ended, began_s = "abandoned", self.monotonic_s()
        loop, staging = asyncio.get_running_loop(), self.folder / STAGING
        pace = Pace(self.limits.export_bytes_per_s_lowest, "export_bytes_per_s_lowest", self.monotonic_s)
        try:
            with contextlib.ExitStack() as pins:
                async with self.housekeeping.checkpoints():
                    manifest = pins.enter_context(self.history.pinned())
                    note, manifest = await loop.run_in_executor(self.threads.files, self._copy, staging, manifest)
                yield b""
                pieces = self._pieces(staging, note, manifest)
                while (piece := await loop.run_in_executor(self.threads.export, next, pieces, None)) is not None:
                    if self._is_stopping:
                        raise BrokenOff("the service stops")
                    pace.give(len(piece))
                    yield piece
                    pace.take()
            ended = "complete"
            seconds = round(self.monotonic_s() - began_s, 3)
            log.info("backup", files=len(note.files), missing=note.missing or None, seconds=seconds)
        except (DamagedData, BrokenOff) as error:
            ended = "damaged" if isinstance(error, DamagedData) else "stopped" if self._is_stopping else "slow"
            log.error("a backup was broken off", error=str(error))
            raise
        except Unfinished as error:
            ended = "stopped"
            raise NotAccepting("stopping", reason="stopping") from error
        except (OperatorError, Away) as error:
            ended = "failed"
            raise Busy(f"no backup can be made: {error}", reason="backup", retry_after_s=RETRY_S) from error
        finally:
            self.is_running = False
            self.counters.backups_ended[ended] += 1
            await loop.run_in_executor(self.threads.export, partial(shutil.rmtree, staging, ignore_errors=True))

    def _copy(self, staging: Path, manifest: Manifest) -> tuple[BackupNote, Manifest]:
        """Copy the databases; what the archive will hold, and the manifest of its blocks. In a thread.

        Raises: Busy: there is no room; OperatorError; Away: a shared journal does not answer.
        """
        begun_ns = self.clock.now_ns()
        shutil.rmtree(staging, ignore_errors=True)
        self._check_room()
        staging.mkdir(mode=0o700)
        self.journal.copy(staging / JOURNAL, rest=self._rest)
        self.catalog.copy(staging / CATALOG, rest=self._rest)
        position = _last_position(staging / JOURNAL)
        if self.journal.is_shared:
            # Another node may have taken a checkpoint since; its files and ours stay for their grace.
            manifest = _copied_manifest(staging / CATALOG)
            if manifest.position > position:  # the blocks that the copied catalog names have what is between
                position = manifest.position
                with contextlib.closing(SqliteJournal(staging / JOURNAL)) as copied:
                    copied.accept_loss(through=position)
        away = {block.file.name for block in self.history.set_aside}
        blocks = [file for file in _distinct(manifest.files()) if file.name not in away]
        note = BackupNote(
            format=FORMAT,
            version=__version__,
            begun_at=format_rfc3339(begun_ns),
            position=position,
            files=[
                *(_listed(staging / name) for name in (CATALOG, JOURNAL)),
                *(Listed(f"blocks/{file.name}", file.size_bytes, file.sha256) for file in blocks),
            ],
            missing=sorted(away),
        )
        return note, manifest

    def _rest(self, seconds: float) -> None:
        self.threads.ending.check()
        time.sleep(seconds)

    def _check_room(self) -> None:
        needed = self.journal.copy_bytes() + self.catalog.copy_bytes()
        free = self.free_bytes(self.folder)
        if needed + min(self.disk_limits.disk_free_low_bytes, free // 10) > free:
            raise Busy(
                f"copies of journal and catalog would take up to {needed} bytes of the {free} that are free on the "
                "disk of the data folder: make room, and try again",
                reason="backup",
                retry_after_s=RETRY_S,
            )

    def _pieces(self, staging: Path, note: BackupNote, manifest: Manifest) -> Iterator[bytes]:
        """The archive, a piece at a time. Raises: DamagedData: a block is not what was written."""
        now_s = self.clock.now_ns() // NS_PER_S
        text = msgspec.json.encode(note)
        yield header_of(NOTE, len(text), now_s) + text + padding_of(len(text))
        files = {f"blocks/{file.name}": file for file in manifest.files()}
        for listed in note.files:
            block = files.get(listed.name)
            yield header_of(listed.name, listed.bytes, now_s)
            with self.history.opened(block) if block else (staging / listed.name).open("rb") as reader:
                yield from _checked(reader, listed, self.history, block)
            yield padding_of(listed.bytes)
        yield END_OF_ARCHIVE


def _checked(reader: BinaryIO, listed: Listed, history: History, block: BlockFile | None) -> Iterator[bytes]:
    digest, left = hashlib.sha256(), listed.bytes
    while left and (piece := reader.read(min(left, PIECE_BYTES))):
        left -= len(piece)
        digest.update(piece)
        yield piece
    if left or digest.hexdigest() != listed.sha256:
        if block is not None:
            history.check(block)  # it sets the block aside, so that the next backup goes on without it
        raise DamagedData(f"{listed.name} changed while it was backed up")


def _distinct(files: Sequence[BlockFile]) -> list[BlockFile]:
    return list({file.name: file for file in files}.values())


def _listed(path: Path) -> Listed:
    with path.open("rb") as file:
        return Listed(path.name, path.stat().st_size, hashlib.file_digest(file, "sha256").hexdigest())


def _last_position(journal: Path) -> int:
    with contextlib.closing(sqlite3.connect(journal)) as connection:
        text = "SELECT max(coalesce((SELECT max(position) FROM entry), 0), (SELECT through FROM dropped))"
        return int(connection.execute(text).fetchone()[0])


def _copied_manifest(catalog: Path) -> Manifest:
    with contextlib.closing(SqliteCatalog(catalog)) as copied:
        return copied.manifest()
