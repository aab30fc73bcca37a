"""Whether a data folder is as it must be: journal, catalog, blocks, and what each of them says of the others."""

from collections.abc import Callable
from dataclasses import dataclass, replace

from fleetpulse.blocks.history import closed_days
from fleetpulse.blocks.leftovers import take_inventory
from fleetpulse.blocks.store import BlockStore, check_file
from fleetpulse.blocks.verification import count_closed_minutes, files_by_kind
from fleetpulse.catalog.catalog import Catalog
from fleetpulse.errors import DamagedData
from fleetpulse.journal.event_reader import read_events
from fleetpulse.journal.journal import Journal
from fleetpulse.model.manifest import BlockFile, Manifest
from fleetpulse.notation.count import count_text


@dataclass(frozen=True, slots=True)
class Finding:
    """What was found of one part of a data folder, and whether the part is as it must be."""

    part: str
    text: str
    is_good: bool = True
    kind: str = ""
    """Of a block, what it holds, such as presence (see `files_by_kind`); empty for other parts."""
    size_bytes: int = 0
    """Of a block, as the manifest records it."""


def verify(journal: Journal, catalog: Catalog, store: BlockStore) -> list[Finding]:
    """Check every part; a part that is wrong does not keep the others from being checked. Changes nothing.

    Raises: DamagedData: the catalog's manifest cannot be read. OSError: the store cannot list its files.
    """
    manifest = catalog.manifest()
    blocks = [_check_block(store, kind, file) for kind, file in files_by_kind(manifest)]
    if all(finding.is_good for finding in blocks):
        minutes = _check("closed minutes", lambda: _closed_minutes(store, manifest))
    else:
        minutes = Finding("closed minutes", "not counted: a block is not as it was written", is_good=False)
    return [
        _check("catalog", lambda: count_text(sum(1 for _ in catalog.records()), "device")),
        _check("journal", lambda: _journal(journal, catalog, manifest)),
        *blocks,
        minutes,
        *_outside(catalog, store, manifest),
    ]


def _outside(catalog: Catalog, store: BlockStore, manifest: Manifest) -> list[Finding]:
    written, in_use = catalog.files.written(), {file.name for file in manifest.files()}
    found = take_inventory(store.names(), in_use=in_use, superseded=written.superseded, marks=written.marks)
    superseded = f"{len(written.superseded)} superseded, which stay for their grace (block_grace_h)"
    ours = Finding("files outside the manifest", f"{len(found.leftovers)} left over by a crash; {superseded}")
    if not found.unknown:
        return [ours]
    names = ", ".join(sorted(found.unknown))
    text = f"{len(found.unknown)} that this data folder did not write, and which it never removes: {names}"
    return [ours, Finding("unknown files", text)]


def _check(part: str, check: Callable[[], str]) -> Finding:
    try:
        return Finding(part, check())
    except (DamagedData, OSError) as error:
        return Finding(part, str(error), is_good=False)


def _check_block(store: BlockStore, kind: str, file: BlockFile) -> Finding:
    def check() -> str:
        check_file(store, file)
        return f"{file.size_bytes} bytes"

    return replace(_check(file.name, check), kind=kind, size_bytes=file.size_bytes)


def _journal(journal: Journal, catalog: Catalog, manifest: Manifest) -> str:
    lengths = [
        len(events)
        for _, events in read_events(
            journal, after=manifest.position, device_count=catalog.device_count(), metric_count=len(catalog.metrics())
        )
    ]
    entries = count_text(len(lengths), "entry", "entries")
    return f"{entries}, {count_text(sum(lengths), 'event')} after position {manifest.position}"


def _closed_minutes(store: BlockStore, manifest: Manifest) -> str:
    if manifest.snapshot is None:
        return "no snapshot yet"
    return f"{count_closed_minutes(store, manifest)} in {len(closed_days(manifest))} closed days"
