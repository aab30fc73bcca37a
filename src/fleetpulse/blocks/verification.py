"""What of a manifest's blocks can be checked beyond their checksums, and what each of its files is."""

from collections.abc import Iterator

import numpy as np

from fleetpulse.aggregate.presence import count_minutes
from fleetpulse.blocks.counted import read_counted
from fleetpulse.blocks.history import History
from fleetpulse.blocks.presence import read_presence
from fleetpulse.blocks.snapshot import read_snapshot
from fleetpulse.blocks.store import BlockStore
from fleetpulse.errors import DamagedData
from fleetpulse.model.manifest import BlockFile, Manifest, closed_days


def files_by_kind(manifest: Manifest) -> Iterator[tuple[str, BlockFile]]:
    """All files that the manifest names, each with what it holds.

    That is snapshot, counted (beside it), presence (of a closed day), open (presence of an open day), late (presence
    that is not merged yet), silences (reception gaps), gaps (between beats), covers (what late beats cover of the gaps
    of a day), backfill (the same of any days), samples (and roll-ups), devices or metrics.
    """
    if manifest.snapshot:
        yield "snapshot", manifest.snapshot
    if manifest.counted:
        yield "counted", manifest.counted
    for late in manifest.late:
        for file in late.files:
            yield "late", file
    for day, file in manifest.presence.items():
        yield "presence" if day < manifest.open_from_day else "open", file
    by_day = {"silences": manifest.gaps, "gaps": manifest.beat_gaps, "covers": manifest.covers}
    for kind, days in by_day.items():
        for files in days.values():
            for file in files:
                yield kind, file
    for file in manifest.backfill:
        yield "backfill", file
    for block in manifest.samples:
        for file in block.files.values():
            yield "samples", file
    yield from manifest.names.items()


def count_closed_minutes(store: BlockStore, manifest: Manifest) -> int:
    """The minutes present of all devices in the blocks of closed days, which the snapshot must count device by device.

    Raises: DamagedData: the snapshot counts otherwise, or a block cannot be read. OSError.
    """
    if manifest.snapshot is None:
        return 0
    with store.open(manifest.snapshot.name) as reader:
        in_snapshot = read_snapshot(reader)["closed_minutes"].astype(np.int64)
    devices, minutes = read_counted(History(store, manifest), manifest)
    in_snapshot[devices] += minutes
    in_blocks = np.zeros_like(in_snapshot)
    for file in closed_days(manifest).values():
        with store.open(file.name) as reader:
            for devices, rows in read_presence(reader):
                in_blocks[devices] += count_minutes(rows)
    wrong = np.flatnonzero(in_blocks != in_snapshot)
    if len(wrong):
        raise DamagedData(
            f"the snapshot counts {len(wrong)} devices, the first of number {wrong[0]}, otherwise than their blocks."
        )
    return int(in_blocks.sum())
