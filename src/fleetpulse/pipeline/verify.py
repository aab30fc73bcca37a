"""Does what is on disk hold together: journal, snapshot, blocks and manifest."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np

from fleetpulse.aggregate.presence import count_minutes
from fleetpulse.blocks.presence import read_presence
from fleetpulse.blocks.snapshot import read_snapshot
from fleetpulse.blocks.store import BlockStore, check_file
from fleetpulse.catalog.catalog import Catalog
from fleetpulse.errors import DamagedData
from fleetpulse.journal.entry import decode_entry
from fleetpulse.journal.journal import Journal
from fleetpulse.model.manifest import BlockFile, Manifest


@dataclass(frozen=True, slots=True)
class Finding:
    """What was found of one part of a data folder, and whether the part is as it must be."""

    part: str
    text: str
    is_good: bool = True
    kind: str = ""
    """Of a block, what it holds: snapshot, presence, open, silences, samples, devices or metrics; empty for other parts."""
    size_bytes: int = 0
    """Of a block, as the manifest records it."""


def verify(journal: Journal, catalog: Catalog, store: BlockStore) -> list[Finding]:
    """Check every part; the parts that are wrong do not keep the others from being checked."""
    manifest = catalog.manifest()
    files = [_check_block(store, kind, file) for kind, file in _files_by_kind(manifest)]
    if all(finding.is_good for finding in files):
        counts = _check("closed minutes", lambda: _closed_minutes(manifest, store))
    else:
        counts = Finding("closed minutes", "not counted: a block is not as it was written", is_good=False)
    return [
        _check("catalog", lambda: f"{sum(1 for _ in catalog.records())} devices"),
        _check("journal", lambda: _journal(journal, manifest, catalog.device_count())),
        *files,
        counts,
        Finding(
            "files outside the manifest",
            f"{len(store.names() - {file.name for file in manifest.files()})} (removed at the next checkpoint)",
        ),
    ]


def _check(part: str, work: Callable[[], str]) -> Finding:
    try:
        return Finding(part, work())
    except (DamagedData, OSError) as error:
        return Finding(part, str(error), is_good=False)


def _check_block(store: BlockStore, kind: str, file: BlockFile) -> Finding:
    def check() -> str:
        check_file(store, file)
        return f"{file.size_bytes} bytes"

    return replace(_check(file.name, check), kind=kind, size_bytes=file.size_bytes)


def _files_by_kind(manifest: Manifest) -> Iterator[tuple[str, BlockFile]]:
    """All files that the manifest names, each with what it holds."""
    if manifest.snapshot:
        yield "snapshot", manifest.snapshot
    for day, file in manifest.presence.items():
        yield "presence" if day < manifest.open_from_day else "open", file
    for file in manifest.gaps.values():
        yield "silences", file
    for block in manifest.samples:
        for file in block.files.values():
            yield "samples", file
    yield from manifest.names.items()


def _journal(journal: Journal, manifest: Manifest, device_count: int) -> str:
    if journal.last_position() < manifest.position:
        raise DamagedData(
            f"ends at {journal.last_position()}, before the snapshot's {manifest.position}. Restore the folder from one copy."
        )
    entries = events = 0
    for position, body in journal.read(after=manifest.position):
        columns = decode_entry(body, where=f"journal entry {position}")
        for devices in (columns.heartbeat_devices, columns.sample_devices):
            if len(devices) and int(devices.max()) >= device_count:
                raise DamagedData(
                    f"entry {position} speaks of device number {devices.max()}, the catalog knows {device_count}."
                )
        entries, events = entries + 1, events + len(columns)
    return f"{entries} entries, {events} events after position {manifest.position}"


def _closed_minutes(manifest: Manifest, store: BlockStore) -> str:
    """The snapshot's count of closed minutes must be what the closed blocks hold."""
    if manifest.snapshot is None:
        return "no snapshot yet"
    with store.open(manifest.snapshot.name) as reader:
        closed = read_snapshot(reader)["closed_minutes"].astype(np.int64)
    held = np.zeros_like(closed)
    days = [day for day in manifest.presence if day < manifest.open_from_day]
    for day in days:
        with store.open(manifest.presence[day].name) as reader:
            for devices, rows in read_presence(reader):
                held[devices] += count_minutes(rows)
    wrong = np.flatnonzero(held != closed)
    if len(wrong):
        raise DamagedData(
            f"{len(wrong)} devices, the first of number {wrong[0]}, are counted otherwise than their blocks hold."
        )
    return f"{int(held.sum())} in {len(days)} closed days"
