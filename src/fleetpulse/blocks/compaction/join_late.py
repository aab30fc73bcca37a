"""Joining late blocks that wait for damaged days, since nobody knows how long these stay damaged.

Each checkpoint may add one, and questions about one device read all of them. So the smallest are joined, up to the
first that is much larger than these together: a row is copied a few times only, and weeks of checkpoints leave few
blocks. When the days are back, the joined block is merged into them as any other.
"""

from functools import partial

from fleetpulse.blocks.compaction.change import Change, LateMerge
from fleetpulse.blocks.compaction.smallest import smallest
from fleetpulse.blocks.compaction.work_input import CompactionInput
from fleetpulse.blocks.counted import no_minutes
from fleetpulse.blocks.late import BY_DAY, BY_DEVICE, write_late_pieces
from fleetpulse.blocks.late_union import late_union
from fleetpulse.blocks.store import put_block
from fleetpulse.blocks.stored_late import pieces_of, waiting_blocks
from fleetpulse.model.days import Days
from fleetpulse.model.manifest import BlockFile, LateBlock, Manifest

WAITING_MAX = 4
"""Late blocks that wait for damaged days, before some of them are joined."""


def join_waiting_blocks(work: CompactionInput, manifest: Manifest) -> Change | None:
    """Some of the blocks that wait for damaged days as one; None where they are few. Raises: OSError."""
    waiting = waiting_blocks(work.history, manifest)
    if len(waiting) <= WAITING_MAX:
        return None
    chosen = smallest(waiting, lambda block: block.by_day.size_bytes)
    sound = [block for block in chosen if all(map(work.is_sound_file, block.files))]
    if len(sound) < 2:
        return None
    joined = LateBlock(
        _put(work, manifest, BY_DAY, [(block.by_day, block.days) for block in sound]),
        _put(work, manifest, BY_DEVICE, [(block.by_device, block.days) for block in sound]),
        Days.of({day for block in sound for day in block.days}),
        min(block.written_day for block in sound),
    )
    late = (*(block for block in manifest.late if block not in sound), joined)
    return Change((), (), late=LateMerge({}, late, manifest.counted, no_minutes(), joined=len(sound)))


def _put(work: CompactionInput, manifest: Manifest, stem: str, parts: list[tuple[BlockFile, Days]]) -> BlockFile:
    files = [pieces_of(work.history, file, days) for file, days in parts]
    pieces = late_union(files, is_by_day=stem == BY_DAY)
    write = partial(write_late_pieces, pieces=pieces, pause=work.pause)
    return put_block(work.history.store, f"{stem}-{manifest.position}", write)
