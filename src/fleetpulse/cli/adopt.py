"""`fleetpulse adopt`: a catalog for blocks whose catalog is lost."""

import contextlib
import os
import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

from cyclopts import App, Parameter

from fleetpulse.blocks.manifest_note import MANIFEST
from fleetpulse.blocks.store import BlockStore, FolderBlockStore
from fleetpulse.catalog.sqlite import SqliteCatalog
from fleetpulse.cli.setting_flags import given, takes_settings
from fleetpulse.cli.tables import Cell, left, show, table_of
from fleetpulse.data_folder import BLOCKS, CATALOG, JOURNAL, hold_folder, open_store
from fleetpulse.errors import DamagedData, SettingsError, StorageFailed
from fleetpulse.journal.sqlite import SqliteJournal
from fleetpulse.notation.count import count_text
from fleetpulse.notation.timestamp import format_rfc3339
from fleetpulse.pipeline.adopt import GONE, Found, Tail, check_is_empty, look, look_at_tail
from fleetpulse.pipeline.adopt import adopt as make_catalog
from fleetpulse.settings import Settings, load_settings
from fleetpulse.storage_causes import storage_text

app = App(
    name="adopt",
    help_epilogue="The service that wrote the blocks must be stopped for good. Devices with their labels and heartbeat "
    "policies, metrics, presence, gaps, samples and roll-ups come back as of the last checkpoint; a journal "
    "that is still there adds what came afterwards. Restoring a copy of the data folder, if there is one, brings back "
    "more.\n\nExample:\n  fleetpulse adopt --data fleet --dry-run",
)


@app.default
@takes_settings(("blocks", "s3_endpoint", "s3_region", "s3_timeout_s", "database_wait_s"))
def adopt(
    *,
    data: Annotated[Path, Parameter(metavar="FOLDER")] = Path("data"),
    dry_run: bool = False,
    manifest: str = MANIFEST,
    **flags: str | bool | None,
) -> None:
    """Make a lost catalog anew from the blocks.

    Args:
        data: Data folder whose catalog is lost, or a new one.
        dry_run: Show what would come back, and what would not; change nothing.
        manifest: Copy of the manifest to go by: another one was kept where two copies of the folder used the blocks.
    """
    settings = load_settings({**given(flags), "data": str(data)}, os.environ, None)
    with contextlib.ExitStack() as closing:
        if data.exists() or not dry_run:
            closing.enter_context(hold_folder(data))
        try:
            store = _unchanged_store(settings, closing) if dry_run else open_store(settings)
            _adopt(data, settings, store, note=manifest, is_dry=dry_run)
        except OSError as error:
            raise StorageFailed(storage_text(error, data)) from error


def _unchanged_store(settings: Settings, closing: contextlib.ExitStack) -> BlockStore:
    """The blocks, read without making a folder or a cache in the data folder."""
    blocks = Path(settings.data) / BLOCKS
    if not settings.blocks and blocks.exists():
        return open_store(settings)
    folder = Path(closing.enter_context(TemporaryDirectory(prefix="fleetpulse-adopt-")))
    if settings.blocks:
        return open_store(settings, uncached_folder=folder)
    if not Path(settings.data).exists():
        raise SettingsError(f"{settings.data} is not there. Name the data folder with --data, or the blocks.")
    return FolderBlockStore(folder)  # no blocks were ever written: what there is is in the journal


def _adopt(folder: Path, settings: Settings, store: BlockStore, *, note: str, is_dry: bool) -> None:
    found = look(store, note)
    wait_s = settings.database_wait_s
    with contextlib.ExitStack() as closing:
        journal = catalog = None
        if not is_dry or (folder / JOURNAL).exists():
            journal = SqliteJournal(folder / JOURNAL, wait_s=wait_s)
            closing.callback(journal.close)
        if not is_dry or (folder / CATALOG).exists():
            catalog = _opened_catalog(folder, wait_s)
            closing.callback(catalog.close)
            check_is_empty(catalog)
        tail = look_at_tail(found, journal)
        show(table_of([left("what"), left("comes back")], list(_rows(found, tail))), *_sentences(found, tail, store))
        if is_dry or journal is None or catalog is None:
            show(f"Nothing was changed. Without --dry-run, {folder / CATALOG} is made.")
            return
        identity = make_catalog(found, tail, store, journal=journal, catalog=catalog, now_ns=time.time_ns())
    show(f"made {folder / CATALOG} of data folder {identity}; serve it with the same --blocks and --s3-... flags")


def _opened_catalog(folder: Path, wait_s: float) -> SqliteCatalog:
    """The catalog, which must be empty. Raises: DamagedData: it is damaged, so that it is not known to be empty."""
    try:
        return SqliteCatalog(folder / CATALOG, wait_s=wait_s)
    except DamagedData as error:
        raise DamagedData(f"{error} Without a copy, move {CATALOG} and its -wal away, and run this again.") from error


def _rows(found: Found, tail: Tail) -> Iterator[list[Cell]]:
    manifest = found.manifest
    deleted = f", {found.deleted} of them deleted" if found.deleted else ""
    yield ["devices", f"{found.devices}{deleted}"]
    yield ["metrics", str(found.metrics)]
    yield ["presence", count_text(len(manifest.presence), "day")]
    yield ["reception gaps", count_text(len(manifest.gaps), "day")]
    yield ["gaps between beats", count_text(len(manifest.beat_gaps), "day")]
    yield ["samples", str(sum(block.samples for block in manifest.samples))]
    yield ["last checkpoint", format_rfc3339(manifest.taken_at_ns)]
    yield ["journal after it", "lost" if tail.is_lost else count_text(tail.events, "event")]


def _sentences(found: Found, tail: Tail, store: BlockStore) -> Iterator[str]:
    if found.owner is not None:
        yield f"The blocks were last used by {found.owner.who}. It must not run any more."
    for text in GONE:
        yield f"NOT BACK: {text}."
    if tail.is_lost:
        yield (
            "NOT BACK: what was acknowledged after the last checkpoint: the journal is not there. That time is blind "
            "time, and what devices send again counts."
        )
    for count, noun in ((tail.unnamed_devices, "device"), (tail.unnamed_metrics, "metric")):
        if count:
            text = f"NOT BACK: the names of {count_text(count, noun)} declared after the last checkpoint"
            yield f"{text}; their events stay, under the names unnamed..."
    for text in found.damaged:
        yield f"DAMAGED: {text}"
    if not found.are_devices_named:
        yield (
            "NOT BACK: ids, labels and heartbeat policies of all devices; they are called unnamed-..., and keep their "
            "history. Nobody can report under the old ids until these are declared again, as new devices."
        )
    if not found.are_metrics_named:
        yield "NOT BACK: names and definitions of all metrics; they are called unnamed_..., and keep their samples."
    if found.is_start_damaged:
        yield (
            "The service will start and take events, but answer nothing until the damaged files of its last state are "
            "put back under their names."
        )
    if found.missing:
        names = ", ".join(found.missing)
        yield f"MISSING: {count_text(len(found.missing), 'block')} that the last checkpoint names: {names}"
    if found.others:
        yield (
            f"{count_text(len(found.others), 'other block')} in {store.place} stay as they are: superseded, or of work "
            "that was not finished. `fleetpulse verify` names them."
        )
