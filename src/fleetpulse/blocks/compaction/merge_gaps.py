"""Merging the files of reception gaps of a day.

Each checkpoint adds a file. The smallest ones are merged, up to the first that is much larger than these together, so a
gap is copied a few times only, and a day in which gaps still end has few files. A day that was over at the last
checkpoint, so that no further gap ends in it, gets one file.
"""

from collections.abc import Sequence

from fleetpulse.blocks.compaction.change import Change
from fleetpulse.blocks.compaction.smallest import MERGED_MAX, smallest
from fleetpulse.blocks.compaction.work_input import CompactionInput
from fleetpulse.blocks.pacing import paced
from fleetpulse.blocks.reception_gaps import STEM, merge_gaps, whole_groups, write_gaps
from fleetpulse.blocks.store import put_block
from fleetpulse.blocks.stored_gaps import count_gaps, gaps_of_file
from fleetpulse.model.manifest import BlockFile, Manifest
from fleetpulse.model.units import NS_PER_DAY

GAP_FILES_MAX = 6
"""Files of a day in which gaps still end, before some of them are merged."""
PACED_ROWS = 65_536
"""Rows between two pauses: some 20 ms of work."""


def merge_gap_files(work: CompactionInput, manifest: Manifest) -> Change | None:
    """Some sound files of the first day that has too many of them as one; None where no day has. Raises: OSError."""
    for day, files in sorted(manifest.gaps.items()):
        is_over = day < manifest.taken_at_ns // NS_PER_DAY
        if len(files) > (1 if is_over else GAP_FILES_MAX):
            chosen = _sound(work, _chosen(files, is_over=is_over))
            if len(chosen) > 1:
                return Change((), (), gaps={day: (chosen, (_merged(work, day, chosen),))})
    return None


def _chosen(files: Sequence[BlockFile], *, is_over: bool) -> list[BlockFile]:
    """The files to merge, the smallest first."""
    if is_over:
        return sorted(files, key=lambda file: file.size_bytes)[:MERGED_MAX]
    return smallest(files, lambda file: file.size_bytes)


def _sound(work: CompactionInput, files: Sequence[BlockFile]) -> tuple[BlockFile, ...]:
    return tuple(file for file in files if work.is_sound_file(file))


def _merged(work: CompactionInput, day: int, files: Sequence[BlockFile]) -> BlockFile:
    history = work.history
    rows = sum(count_gaps(history, file) for file in files)
    merged = merge_gaps([gaps_of_file(history, file) for file in files])
    # A pause behind each row group of a small file would take longer than the work.
    pieces = paced(whole_groups(merged, PACED_ROWS), work.pause)
    return put_block(history.store, f"{STEM}-{day}", lambda out: write_gaps(out, pieces, rows=rows))
