"""Merging the files of gaps of a day, some devices at a time; and so those of what late beats cover of them.

Each checkpoint adds a file. The smallest ones are merged, up to the first that is much larger than these together, so a
gap is copied a few times only, and a day in which gaps still end has few files. A day of reception gaps that was over
at the last checkpoint, so that no further gap ends in it, gets one sequence of files. In a day by the clocks of devices
further gaps may end for ever, so its files are merged as long as there are some of about the same size.

A merge of large files is made in pieces, each a change of its own, so that a checkpoint can go before the next one:

    before        A [ all devices ················ ]       B [ all devices ················ ]
    1st piece     C [ 0 … 3640 ]   A [ 3641 … ]  B [ 3641 … ]            all of one sequence
    2nd piece     C [ 0 … 3640 ] D [ 3641 … 7281 ]   A [ 7282 … ]  B [ 7282 … ]
    last piece    C D E F G H                                            the sequence is complete

Where a merge stands is only in the manifest: the next piece is where files of one sequence have devices in common.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Generic

import numpy as np

from fleetpulse.blocks.compaction.change import Change, FileChange, files_by_day, gap_change
from fleetpulse.blocks.compaction.smallest import MERGED_MAX, smallest, smallest_alike
from fleetpulse.blocks.compaction.work_input import CompactionInput
from fleetpulse.blocks.gap_rows import RECEPTION, GapLayout, merge_gaps, whole_groups, write_gaps
from fleetpulse.blocks.gap_sequences import all_files, chains, first_overlap, sequences
from fleetpulse.blocks.pacing import paced
from fleetpulse.blocks.store import put_block
from fleetpulse.blocks.stored_gaps import gaps_of_files, greatest_of_groups
from fleetpulse.errors import DamagedData
from fleetpulse.model.device_spans import Spans
from fleetpulse.model.manifest import BlockFile, GapFile, Manifest
from fleetpulse.model.units import NS_PER_DAY

GAP_FILES_MAX = 6
"""Files of a day in which gaps still end, or sequences of them, before some of them are merged."""
PACED_ROWS = 65_536
"""Rows between two pauses: some 20 ms of work."""
DAYS_AT_ONCE = 16
"""Days of one piece, each of which gets a file or more."""
PIECE_ROWS = 1_048_576
"""Rows of one piece of a merge, about: a second or two of work; more where one device has more."""


def merge_gap_files(
    work: CompactionInput, manifest: Manifest, *, layout: GapLayout[Spans], piece_rows: int = PIECE_ROWS
) -> Change | None:
    """A piece of a merge for the first days that have too many files; None where no day has.

    Args:
        layout: the kind of files: reception gaps, beat gaps or covers.
        piece_rows: about how many gaps a piece has; more where one device has more.
    Raises: OSError; DamagedData: what a file holds cannot be read, though the file is as it was written.
    """
    merging = _Merging(work=work, layout=layout)
    changes: dict[int, FileChange] = {}
    rows = 0
    for day, files in sorted(files_by_day(manifest, layout.field).items()):
        if 2 * rows >= piece_rows or len(changes) == DAYS_AT_ONCE:
            break
        is_over = day < manifest.taken_at_ns // NS_PER_DAY
        sound = list(files)
        while (chosen := _chosen(sound, is_over=is_over, is_final=layout is RECEPTION)) is not None:
            try:
                changes[day], more = merging.piece(day, files, chosen, piece_rows - rows)
            except Unsound as error:
                sound.remove(error.file)
            else:
                rows += more
                break
    return gap_change(layout.field, changes) if changes else None


class Unsound(Exception):
    """A file is not as it was written."""

    def __init__(self, file: GapFile) -> None:
        super().__init__(file.name)
        self.file = file


def _chosen(files: Sequence[GapFile], *, is_over: bool, is_final: bool) -> list[GapFile] | None:
    """The files of a day that are to become one sequence; `is_final`: a day that is over gets no further file."""
    found = sequences(files)
    begun = [one for one in found if first_overlap(one)]
    whole = [one for one in found if not first_overlap(one)]
    if is_final and is_over:
        if len(whole) > GAP_FILES_MAX or (not begun and len(whole) > 1):
            return all_files(sorted(whole, key=_size_bytes)[:MERGED_MAX])
    elif len(whole) > GAP_FILES_MAX:
        # Many small files come before a merge that has begun: while it goes on, each checkpoint adds one.
        return all_files(smallest(whole, _size_bytes))
    elif is_over and not begun and (alike := smallest_alike(whole, _size_bytes)):
        return all_files(alike)
    return min(begun, key=_size_bytes) if begun else None


def _size_bytes(files: Sequence[GapFile]) -> int:
    return sum(file.size_bytes for file in files)


@dataclass(frozen=True, slots=True)
class _Merging(Generic[Spans]):
    work: CompactionInput
    layout: GapLayout[Spans]

    def piece(
        self, day: int, files: Sequence[GapFile], chosen: Sequence[GapFile], piece_rows: int
    ) -> tuple[FileChange, int]:
        """Merge the first devices of which several of the chosen files have gaps.

        Returns: the files that are removed and those that replace them; and about how many gaps were merged.
        Raises: Unsound.
        """
        together = first_overlap(chosen)
        if not together:
            one = _next_sequence(files)
            return (tuple(chosen), tuple(replace(file, sequence=one) for file in chosen)), 0
        devices, rows = devices_of_piece(self.work, together, piece_rows)
        inputs = [file for file in together if file.first_device < devices.stop]
        is_all = len(inputs) == len(chosen) and all(file.end_device <= devices.stop for file in inputs)
        sequence = chosen[0].sequence if _is_begun(chosen) else 0 if is_all else _next_sequence(files)
        left = [replace(file, sequence=sequence) for file in chosen if file not in inputs]
        left += [
            replace(file, sequence=sequence, first_device=devices.stop)
            for file in inputs
            if file.end_device > devices.stop
        ]
        file = self._put(day, inputs, devices, rows)
        merged = GapFile.of(file, first_device=devices.start, end_device=devices.stop, sequence=sequence)
        return (tuple(chosen), (merged, *left)), rows

    def _put(self, day: int, inputs: Sequence[GapFile], devices: range, rows: int) -> BlockFile:
        """Write the gaps of devices in these files as one file. Raises: Unsound."""
        history, layout = self.work.history, self.layout
        merged = merge_gaps(layout, [gaps_of_files(history, layout, one, devices) for one in chains(inputs)])
        # A pause behind each row group would take longer than the work.
        pieces = paced(whole_groups(layout, merged, PACED_ROWS), self.work.pause)
        write = partial(write_gaps, layout=layout, pieces=pieces, rows=rows)
        try:
            return put_block(history.store, f"{layout.stem}-{day}", write)
        except DamagedData:
            # It was sound when it was checked: large files are read as a whole once in a process only.
            for file in inputs:
                if not self.work.is_sound_file(file):
                    raise Unsound(file) from None
            raise


def _next_sequence(files: Sequence[GapFile]) -> int:
    return 1 + max(file.sequence for file in files)


def _is_begun(chosen: Sequence[GapFile]) -> bool:
    """Whether the chosen files are of one sequence already."""
    return len({file.sequence for file in chosen}) == 1 and chosen[0].sequence != 0


def devices_of_piece(work: CompactionInput, together: Sequence[GapFile], piece_rows: int) -> tuple[range, int]:
    """The first devices of files, sorted by first device, that have `piece_rows` gaps, and about how many they have.

    Raises: Unsound: one of the files that have gaps of these devices.
    """
    ends, rows = np.zeros(0, np.int64), np.zeros(0, np.int64)
    for file in together:
        if int(rows[ends <= file.first_device].sum()) >= piece_rows:
            break
        if not work.is_sound_file(file, is_once=True):
            raise Unsound(file)
        greatest, counts = greatest_of_groups(work.history, file)
        ends, rows = np.concatenate([ends, greatest + 1]), np.concatenate([rows, counts])
    order = np.argsort(ends, kind="stable")
    ends, totals = ends[order], np.cumsum(rows[order])
    place = int(np.searchsorted(totals, piece_rows))
    start, stop = together[0].first_device, max(file.end_device for file in together)
    if place >= len(ends) or ends[place] == ends[-1]:
        return range(start, stop), int(rows.sum())
    return range(start, int(ends[place])), int(totals[place])
