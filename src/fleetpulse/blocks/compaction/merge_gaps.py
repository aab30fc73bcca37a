"""Merging the files of reception gaps of a day, some devices at a time.

Each checkpoint adds a file. The smallest ones are merged, up to the first that is much larger than these together, so a
gap is copied a few times only, and a day in which gaps still end has few files. A day that was over at the last
checkpoint, so that no further gap ends in it, gets one sequence of files.

A merge of large files is made in pieces, each a change of its own, so that a checkpoint can go before the next one:

    before        A [ all devices ················ ]       B [ all devices ················ ]
    1st piece     C [ 0 … 3640 ]   A [ 3641 … ]  B [ 3641 … ]            all of one sequence
    2nd piece     C [ 0 … 3640 ] D [ 3641 … 7281 ]   A [ 7282 … ]  B [ 7282 … ]
    last piece    C D E F G H                                            the sequence is complete

Where a merge stands is only in the manifest: the next piece is where files of one sequence have devices in common.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from fleetpulse.blocks.compaction.change import Change
from fleetpulse.blocks.compaction.smallest import MERGED_MAX, smallest
from fleetpulse.blocks.compaction.work_input import CompactionInput
from fleetpulse.blocks.gap_sequences import all_files, chains, first_overlap, sequences
from fleetpulse.blocks.pacing import paced
from fleetpulse.blocks.reception_gaps import STEM, merge_gaps, whole_groups, write_gaps
from fleetpulse.blocks.store import put_block
from fleetpulse.blocks.stored_gaps import gaps_of_files, greatest_of_groups
from fleetpulse.errors import DamagedData
from fleetpulse.model.manifest import BlockFile, GapFile, Manifest
from fleetpulse.model.units import NS_PER_DAY

GAP_FILES_MAX = 6
"""Files of a day in which gaps still end, or sequences of them, before some of them are merged."""
PACED_ROWS = 65_536
"""Rows between two pauses: some 20 ms of work."""
PIECE_ROWS = 1_048_576
"""Rows of one piece of a merge, about: a second or two of work; more where one device has more."""


def merge_gap_files(work: CompactionInput, manifest: Manifest, *, piece_rows: int = PIECE_ROWS) -> Change | None:
    """A piece of a merge for the first day that has too many files; None where no day has.

    Args: piece_rows: about how many gaps a piece has; more where one device has more.
    Raises: OSError; DamagedData: what a file holds cannot be read, though the file is as it was written.
    """
    for day, files in sorted(manifest.gaps.items()):
        is_over = day < manifest.taken_at_ns // NS_PER_DAY
        sound = list(files)
        while (chosen := _chosen(sound, is_over=is_over)) is not None:
            try:
                return _piece(work, day, files, chosen, piece_rows)
            except _Unsound as error:
                sound.remove(error.file)
    return None


class _Unsound(Exception):
    """A file is not as it was written."""

    def __init__(self, file: GapFile) -> None:
        super().__init__(file.name)
        self.file = file


def _chosen(files: Sequence[GapFile], *, is_over: bool) -> list[GapFile] | None:
    """The files of a day that are to become one sequence."""
    found = sequences(files)
    begun = [one for one in found if first_overlap(one)]
    whole = [one for one in found if not first_overlap(one)]
    # Many small files come before a merge that has begun: while it goes on, each checkpoint adds one.
    if len(whole) > GAP_FILES_MAX or (is_over and not begun and len(whole) > 1):
        return all_files(sorted(whole, key=_size_bytes)[:MERGED_MAX] if is_over else smallest(whole, _size_bytes))
    return min(begun, key=_size_bytes) if begun else None


def _size_bytes(files: Sequence[GapFile]) -> int:
    return sum(file.size_bytes for file in files)


def _piece(
    work: CompactionInput, day: int, files: Sequence[GapFile], chosen: Sequence[GapFile], piece_rows: int
) -> Change:
    """Merge the first devices of which several of the chosen files have gaps. Raises: _Unsound."""
    together = first_overlap(chosen)
    if not together:
        one = _next_sequence(files)
        return _change(day, chosen, [replace(file, sequence=one) for file in chosen])
    devices, rows = _devices_of_piece(work, together, piece_rows)
    inputs = [file for file in together if file.first_device < devices.stop]
    is_all = len(inputs) == len(chosen) and all(file.end_device <= devices.stop for file in inputs)
    sequence = chosen[0].sequence if _is_begun(chosen) else 0 if is_all else _next_sequence(files)
    left = [replace(file, sequence=sequence) for file in chosen if file not in inputs]
    left += [
        replace(file, sequence=sequence, first_device=devices.stop) for file in inputs if file.end_device > devices.stop
    ]
    merged = _put_merged(work, day, inputs, devices, rows)
    return _change(
        day, chosen, [GapFile.of(merged, first_device=devices.start, end_device=devices.stop, sequence=sequence), *left]
    )


def _change(day: int, removed: Sequence[GapFile], added: Sequence[GapFile]) -> Change:
    return Change((), (), gaps={day: (tuple(removed), tuple(added))})


def _next_sequence(files: Sequence[GapFile]) -> int:
    return 1 + max(file.sequence for file in files)


def _is_begun(chosen: Sequence[GapFile]) -> bool:
    """Whether the chosen files are of one sequence already."""
    return len({file.sequence for file in chosen}) == 1 and chosen[0].sequence != 0


def _devices_of_piece(work: CompactionInput, together: Sequence[GapFile], piece_rows: int) -> tuple[range, int]:
    """The first devices of files, sorted by first device, that have `piece_rows` gaps, and about how many they have.

    Raises: _Unsound: one of the files that have gaps of these devices.
    """
    ends, rows = np.zeros(0, np.int64), np.zeros(0, np.int64)
    for file in together:
        if int(rows[ends <= file.first_device].sum()) >= piece_rows:
            break
        if not work.is_sound_file(file, is_once=True):
            raise _Unsound(file)
        greatest, counts = greatest_of_groups(work.history, file)
        ends, rows = np.concatenate([ends, greatest + 1]), np.concatenate([rows, counts])
    order = np.argsort(ends, kind="stable")
    ends, totals = ends[order], np.cumsum(rows[order])
    place = int(np.searchsorted(totals, piece_rows))
    start, stop = together[0].first_device, max(file.end_device for file in together)
    if place >= len(ends) or ends[place] == ends[-1]:
        return range(start, stop), int(rows.sum())
    return range(start, int(ends[place])), int(totals[place])


def _put_merged(work: CompactionInput, day: int, inputs: Sequence[GapFile], devices: range, rows: int) -> BlockFile:
    """Write the gaps of devices in these files as one file. Raises: _Unsound."""
    history = work.history
    merged = merge_gaps([gaps_of_files(history, one, devices) for one in chains(inputs)])
    # A pause behind each row group would take longer than the work.
    pieces = paced(whole_groups(merged, PACED_ROWS), work.pause)
    try:
        return put_block(history.store, f"{STEM}-{day}", lambda out: write_gaps(out, pieces, rows=rows))
    except DamagedData:
        # It was sound when it was checked: large files are read as a whole once in a process only.
        for file in inputs:
            if not work.is_sound_file(file):
                raise _Unsound(file) from None
        raise
