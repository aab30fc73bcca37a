"""Whether a data folder is as it must be: journal, catalog, blocks, and what each of them says of the others."""

from collections.abc import Callable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace

from fleetpulse.blocks.file_checks import check_file
from fleetpulse.blocks.leftovers import take_inventory
from fleetpulse.blocks.manifest_note import MANIFEST, kept_manifests, read_manifest_note, way_back
from fleetpulse.blocks.owner import read_owner
from fleetpulse.blocks.store import BlockStore
from fleetpulse.blocks.verification import count_closed_minutes, files_by_kind
from fleetpulse.catalog.catalog import Catalog
from fleetpulse.errors import DamagedData, DataVanished, ForeignBlocks, StorageFailed, Unreadable
from fleetpulse.journal.event_reader import read_events
from fleetpulse.journal.journal import Journal
from fleetpulse.model.manifest import BlockFile, Manifest, closed_days
from fleetpulse.notation.count import count_text
from fleetpulse.pipeline.losses import check_fit, check_marks, find_doubts, find_losses, is_new, loss_error
from fleetpulse.storage_causes import RESTORE


@dataclass(frozen=True, slots=True)
class Finding:
    """What was found of one part of a data folder, and whether the part is as it must be."""

    part: str
    text: str
    is_good: bool = True
    kind: str = ""
    """Of a block, what it holds, such as presence (see `files_by_kind`), or kept; empty for other parts."""
    size_bytes: int = 0
    """Of a block, as the manifest records it."""
    is_read: bool = True
    """False: nobody can tell whether it is as it was written, since its checksum is recorded nowhere."""


UNREAD_MAX = 3
"""Blocks one after another that a store does not give, each after a while, before the others are not tried."""
_KEPT = "{} It is of another copy of this folder: no answer needs it, but the kept manifest names it."
_COPY = "{} This is a copy: remove it from the cache, and it is read from the bucket again."
Advanced = Callable[[int, int, int], None]
"""Called with how many blocks were read, of how many, and the bytes of the last one."""


def verify(
    journal: Journal,
    catalog: Catalog,
    store: BlockStore,
    *,
    is_cache: bool = False,
    advanced: Advanced = lambda _done, _count, _size_bytes: None,
) -> list[Finding]:
    """Check every part; a part that is wrong does not keep the others from being checked. Changes nothing.

    Args: is_cache: `store` is the cache of another, which need not have all blocks.
    Raises: DamagedData: the catalog's manifest cannot be read.
    """
    manifest = catalog.manifest()
    vanished = _vanished(journal, catalog, manifest)
    journal_finding = _check("journal", lambda: _journal(journal, catalog, manifest))
    about = [
        *vanished,
        _check("catalog", lambda: _catalog(catalog)),
        # What has vanished is why the journal does not fit: it is not told twice, with two pieces of advice.
        *([] if vanished and not journal_finding.is_good else [journal_finding]),
        _identity(journal, catalog, store),
        _check("audit log", lambda: _audit_log(catalog)),
    ]
    try:
        names = store.names()
    except OSError as error:
        return [*about, Finding("blocks", f"not checked, since they cannot be listed: {error}", is_good=False)]
    files = [(kind, file) for kind, file in files_by_kind(manifest) if not is_cache or file.name in names]
    blocks = list(_check_blocks(store, files, names, advanced))
    if is_cache:
        blocks = [
            finding if finding.is_good else replace(finding, text=_COPY.format(finding.text)) for finding in blocks
        ]
        copies = f"copies of {len(files)} of {count_text(len(manifest.files()), 'block')}"
        return [*about, *blocks, Finding("cache", copies)]
    if all(finding.is_good for finding in blocks):
        minutes = _check("closed minutes", lambda: _closed_minutes(store, manifest))
    else:
        minutes = Finding("closed minutes", "not counted: a block is not as it was written", is_good=False)
    return [*about, *blocks, minutes, *_notes(store, manifest), *_outside(catalog, store, names, manifest)]


def _vanished(journal: Journal, catalog: Catalog, manifest: Manifest) -> list[Finding]:
    """What has vanished of journal and catalog, or may have; and whether that can be accepted."""
    losses, doubts = find_losses(journal, catalog, manifest), find_doubts(journal, catalog, manifest)
    if not (losses or doubts):
        return []
    error = loss_error(losses, doubts, is_catalog_new=is_new(catalog, manifest))
    if is_new(catalog, manifest):
        return [Finding("vanished data", str(error), is_good=False)]
    try:
        check_marks(journal, catalog, doubts)
        check_fit(journal, catalog, manifest, because="; ".join(text for _, text in (*losses, *doubts)))
    except (DataVanished, StorageFailed) as unacceptable:
        return [Finding("vanished data", str(unacceptable), is_good=False)]
    return [Finding("vanished data", str(error), is_good=False)]


def _identity(journal: Journal, catalog: Catalog, store: BlockStore) -> Finding:
    """Whether journal, catalog and blocks are of one data folder."""
    try:
        owner, _ = read_owner(store)
    except (ForeignBlocks, OSError) as error:
        return Finding("identity", str(error), is_good=False)
    parts = {"catalog": catalog.files.identity(), "journal": journal.identity(), "blocks": owner and owner.id}
    known = {part: identity for part, identity in parts.items() if identity is not None}
    if len(set(known.values())) > 1:
        text = ", ".join(f"the {part} of {identity}" for part, identity in known.items())
        return Finding("identity", f"they are of different data folders: {text}. {RESTORE}", is_good=False)
    return Finding("identity", f"data folder {next(iter(known.values()), 'without an id, which the next start gives')}")


def _check_blocks(
    store: BlockStore, files: Sequence[tuple[str, BlockFile]], names: AbstractSet[str], advanced: Advanced
) -> Iterator[Finding]:
    unread = 0
    for place, (kind, file) in enumerate(files):
        about = Finding(file.name, f"{file.size_bytes} bytes", kind=kind, size_bytes=file.size_bytes)
        try:
            if file.name not in names:  # what is not even listed need not be asked for
                raise DamagedData(f"block {file.name} is missing. {RESTORE}")
            if unread >= UNREAD_MAX:
                raise Unreadable(f"not read, since {UNREAD_MAX} blocks before it could not be read")
            check_file(store, file)
            unread = 0
        except DamagedData as error:
            unread += isinstance(error, Unreadable)
            about = replace(about, text=str(error), is_good=False)
        yield about
        advanced(place + 1, len(files), file.size_bytes)


def _notes(store: BlockStore, manifest: Manifest) -> Iterator[Finding]:
    """The copy of the manifest beside the blocks, from which `adopt` would make a catalog."""
    if manifest.files():
        yield _check(MANIFEST, lambda: _note(store, manifest))


def _note(store: BlockStore, manifest: Manifest) -> str:
    note = read_manifest_note(store)
    if note is None:
        return "is not there; the next start writes it"
    if note.position == manifest.position:
        return f"as the catalog's, at position {note.position}"
    return f"at position {note.position}, the catalog's at {manifest.position}; the next checkpoint writes it anew"


def _outside(catalog: Catalog, store: BlockStore, names: AbstractSet[str], manifest: Manifest) -> Iterator[Finding]:
    written, in_use = catalog.files.written(), {file.name for file in manifest.files()}
    others: dict[str, BlockFile] = {}
    try:
        for note, other in kept_manifests(store).items():
            files = {file.name: file for file in other.files()}
            others |= files
            text = f"of another copy of this folder, at position {other.position}: {count_text(len(files), 'file')}"
            missing = f", {len(files.keys() - names)} of them missing" if files.keys() - names else ""
            yield Finding(f"kept {note}", f"{text}{missing}, which stay; {way_back(note)}")
    except (DamagedData, OSError) as error:
        yield Finding("kept manifests", str(error), is_good=False)
    kept = [("kept", file) for name, file in others.items() if name in names - in_use]
    for finding in _check_blocks(store, kept, names, lambda *_: None):
        yield finding if finding.is_good else replace(finding, text=_KEPT.format(finding.text))
    known = in_use | others.keys()
    found = take_inventory(names, in_use=known, superseded=written.superseded, marks=written.marks)
    unread = found.leftovers | ({file.name for file in written.superseded} & names - known)
    superseded = f"{len(written.superseded)} superseded, which stay for their grace (block_grace_h)"
    text = f"{len(found.leftovers)} left over by a crash; {superseded}"
    yield Finding("files outside the manifest", text, is_read=not unread)
    if found.unknown:
        unknown = ", ".join(sorted(found.unknown))
        text = f"{len(found.unknown)} that this data folder did not write, and which it never removes: {unknown}"
        yield Finding("unknown files", text, is_read=False)


def _catalog(catalog: Catalog) -> str:
    """Raises: DamagedData: a row cannot be read or is not what was written, or the file is corrupt."""
    damage = catalog.damage()
    if damage:
        raise DamagedData("; ".join(damage))
    return count_text(catalog.device_count(), "device")


def _audit_log(catalog: Catalog) -> str:
    """Raises: DamagedData: an entry is missing, or is not what was written."""
    damage = catalog.audit.damage()
    if damage:
        raise DamagedData("; ".join(damage))
    state = catalog.audit.state()
    entries = count_text(state.last_number - state.anchor_number, "entry", "entries")
    return f"{entries}, the newest is number {state.last_number} with the hash {state.last_hash.hex()}"


def _check(part: str, check: Callable[[], str]) -> Finding:
    try:
        return Finding(part, check())
    except (DamagedData, OSError) as error:
        return Finding(part, str(error), is_good=False)


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
