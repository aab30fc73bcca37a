"""Merging late presence into the blocks of its days, a few days at a time, the oldest first.

A checkpoint writes a late block however many days it is about. Here its rows join their days: each day gets a new
file, and the minutes that are new in it are counted. A late block goes when the last of its days is merged. A day of
which the block is damaged or missing waits until it is whole again: its late rows stay in their late block, or in the
one into which `join_late` puts those that wait.
"""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from fleetpulse.aggregate.presence import Chunk
from fleetpulse.blocks.checkpoint_files import CheckpointFiles
from fleetpulse.blocks.compaction.change import Change, LateMerge
from fleetpulse.blocks.compaction.work_input import CompactionInput
from fleetpulse.blocks.counted import STEM, Minutes, add_minutes, no_minutes, read_counted, write_counted
from fleetpulse.blocks.presence import PRESENCE_INDEXED
from fleetpulse.blocks.store import put_block
from fleetpulse.blocks.stored_late import damaged_days, day_of_block, late_days, mergeable_blocks
from fleetpulse.errors import DamagedData
from fleetpulse.model.days import Days
from fleetpulse.model.manifest import BlockFile, LateBlock, Manifest, closed_presence
from fleetpulse.model.units import NS_PER_DAY

LATE_BLOCKS_MAX = 4
"""Late blocks before they are merged: so that a straggler does not rewrite a day with every checkpoint."""
LATE_DAYS_MAX = 64
"""Pending days before they are merged: questions open few files more."""
DAYS_AT_ONCE = 16
"""Days of one piece of work, each of which becomes a file."""
ROWS_AT_ONCE = 400_000
"""Rows of the days of one piece of work, after which it takes no further day: a second of work or two."""


def merge_late(
    work: CompactionInput, manifest: Manifest, *, is_forced: bool = False, rows_at_once: int = ROWS_AT_ONCE
) -> Change | None:
    """Merge the late rows of the oldest days that can be merged; None where nothing is due.

    Args: rows_at_once: rows of days, stored and late, after which no further day is taken.
    Raises: OSError.
    """
    if not (is_forced or _is_due(work, manifest)):
        return None
    merged: dict[int, BlockFile] = {}
    sources: dict[int, set[LateBlock]] = {}
    minutes, rows = no_minutes(), 0
    for day in sorted(late_days(manifest) - damaged_days(work.history, manifest)):
        found = list(_rows_of_day(work, manifest, day))
        stored = closed_presence(manifest, day)
        if found and (stored is None or work.is_sound_file(stored)):
            merged[day], new = _put_day(work, manifest, day, [chunk for _, chunk in found])
            minutes = add_minutes(minutes, new)
            sources[day] = {block for block, _ in found}
            rows += sum(len(devices) for _, (devices, _) in found) + _stored_rows(work, stored)
        if len(merged) == DAYS_AT_ONCE or rows >= rows_at_once:
            break
        work.pause()
    if not merged:
        return None
    late = [
        replace(block, days=block.days - Days.of(day for day, blocks in sources.items() if block in blocks))
        for block in manifest.late
    ]
    counted = add_minutes(read_counted(work.history, manifest), minutes)
    file = put_block(work.history.store, f"{STEM}-{manifest.position}", lambda out: write_counted(out, counted))
    return Change((), (), late=LateMerge(merged, tuple(block for block in late if block.days), file, minutes))


def _is_due(work: CompactionInput, manifest: Manifest) -> bool:
    """Whether there is enough to merge; what waits for damaged days does not count."""
    today = manifest.taken_at_ns // NS_PER_DAY
    late = mergeable_blocks(work.history, manifest)
    if len(late) >= LATE_BLOCKS_MAX or any(block.written_day < today for block in late):
        return True
    return len(late_days(manifest) - damaged_days(work.history, manifest)) > LATE_DAYS_MAX


def _rows_of_day(work: CompactionInput, manifest: Manifest, day: int) -> Iterator[tuple[LateBlock, Chunk]]:
    """The late rows of a day with their blocks; a damaged block is passed to `on_damage` and left out."""
    for block in manifest.late:
        if day in block.days:
            try:
                yield block, day_of_block(work.history, block, day)
            except DamagedData as error:
                work.on_damage(block.by_day, error)


def _stored_rows(work: CompactionInput, stored: BlockFile | None) -> int:
    return 0 if stored is None else int(work.history.footer_of(stored, PRESENCE_INDEXED).rows.sum())


def _put_day(work: CompactionInput, manifest: Manifest, day: int, late: list[Chunk]) -> tuple[BlockFile, Minutes]:
    """A day with its late rows; and the minutes that are new in it."""
    stored = closed_presence(manifest, day)
    greatest = [int(devices[-1]) for devices, _ in late if len(devices)]
    if stored is not None:
        greatest += work.history.footer_of(stored, PRESENCE_INDEXED).greatest["device"].tolist()
    new = np.zeros(max(greatest, default=-1) + 1, np.int32)
    files = CheckpointFiles(
        work.history, position=manifest.position, device_count=len(new), pause=work.pause, manifest=manifest
    )
    file = files.put_closed_day(day, dense=None, sparse=[[chunk] for chunk in late], closed_minutes=new)
    devices = np.flatnonzero(new)
    return file, (devices.astype(np.uint32), new[devices])
