"""`fleetpulse restore`: a data folder, made of a backup."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, BinaryIO

from cyclopts import App, Parameter

from fleetpulse.backup_archive import BackupNote, Listed, read_archive
from fleetpulse.catalog.sqlite import SqliteCatalog
from fleetpulse.cli.verify import verify
from fleetpulse.clock import SystemClock
from fleetpulse.data_folder import BLOCKS, CATALOG, JOURNAL, LOCK, hold_folder
from fleetpulse.disk import sync_folder
from fleetpulse.errors import SettingsError, StorageFailed
from fleetpulse.journal.sqlite import SqliteJournal
from fleetpulse.notation.count import count_text
from fleetpulse.storage_causes import storage_text

UNFINISHED = ".restoring"
"""At the end of the names of the databases until everything is there: a folder without them is no data folder."""
FOREIGN = {LOCK, "lost+found"}
"""What an empty folder may have."""
app = App(
    name="restore",
    help_epilogue="The exit status is 1 if a part of the restored folder is not as it must be. Start the service on it "
    "with `fleetpulse serve --data`. Its keys hold as they did at the time of the backup; `admin.key` is in no backup."
    "\n\nExample:\n  fleetpulse restore fleet.tar --data fleet",
)


@app.default
def restore(file: Path, /, *, data: Annotated[Path, Parameter(metavar="FOLDER")] = Path("data")) -> int:
    """Restore a backup into an empty folder, and verify it.

    Args:
        file: Backup that `fleetpulse backup` wrote; `-` reads it from standard input.
        data: Data folder to make; it must be empty, or not be there.
    """
    if data.exists() and any(path.name not in FOREIGN for path in data.iterdir()):
        raise SettingsError(f"{data} is not empty: a backup is restored into an empty folder. Name one with --data.")
    try:
        with file.open("rb") if str(file) != "-" else sys.stdin.buffer as archive, hold_folder(data):
            note = _restore(archive, data)
    except OSError as error:
        raise StorageFailed(storage_text(error, data)) from error
    files = count_text(len(note.files), "file")
    print(f"Restored {files} of a backup that was begun at {note.begun_at}, by fleetpulse {note.version}.")
    if note.missing:
        print(f"These blocks were damaged or missing when it was made: {', '.join(note.missing)}.")
    return verify(data=data)


def _restore(archive: BinaryIO, folder: Path) -> BackupNote:
    """Write all files, and then give the databases their names."""
    (folder / BLOCKS).mkdir(exist_ok=True)

    def keep(listed: Listed, pieces: Iterator[bytes]) -> None:
        suffix = UNFINISHED if listed.name in (CATALOG, JOURNAL) else ""
        with (folder / (listed.name + suffix)).open("xb") as file:
            for piece in pieces:
                file.write(piece)
            file.flush()
            os.fsync(file.fileno())

    note = read_archive(archive, keep)
    sync_folder(folder / BLOCKS)
    for name in (JOURNAL, CATALOG):
        (folder / (name + UNFINISHED)).rename(folder / name)
    sync_folder(folder)
    _mark(folder)
    return note


def _mark(folder: Path) -> None:
    """Record how far journal and catalog have come, which the copies say and no file beside them says yet."""
    journal = SqliteJournal(folder / JOURNAL)
    try:
        catalog = SqliteCatalog(folder / CATALOG)
        try:
            journal.make_mark()
            catalog.note_marked(at_ns=SystemClock().now_ns())
        finally:
            catalog.close()
    finally:
        journal.close()
