"""Writing the beat gaps of a day anew without what late beats cover of them, when that is much.

A question divides gaps by the covers of their day, so covers may wait until they are large enough to be worth a copy of
the files that they touch: a row of covers causes the copy of a few rows of gaps only. Each file is written by itself, a
few in a piece, which is a change of its own. When covers touch no file of the day any more, they go. Where a file of
the day is damaged they stay, since it may come back with gaps that they touch.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import chain

import numpy as np

from fleetpulse.aggregate.beat_gaps import divide, touches
from fleetpulse.blocks.compaction.change import Change
from fleetpulse.blocks.compaction.merge_gaps import PACED_ROWS
from fleetpulse.blocks.compaction.work_input import CompactionInput
from fleetpulse.blocks.gap_rows import BEATS, COVERS, whole_groups, write_gaps
from fleetpulse.blocks.pacing import paced
from fleetpulse.blocks.store import put_block
from fleetpulse.blocks.stored_beat_gaps import joined
from fleetpulse.blocks.stored_gaps import count_gaps, gaps_of_chosen, gaps_of_day, gaps_of_file, gaps_of_files
from fleetpulse.model.device_spans import DeviceSpans, join_device_spans
from fleetpulse.model.manifest import GapFile, Manifest

COVERS_SHARE = 8
"""Covers wait until the gaps of their day have no more than so many times their bytes."""
PIECE_ROWS = 1_048_576
"""Rows of files of one piece, after which it takes no further file."""


def divide_gap_files(work: CompactionInput, manifest: Manifest, *, piece_rows: int = PIECE_ROWS) -> Change | None:
    """Divide some files of the first day that has covers enough; None where no day has.

    Raises: OSError; DamagedData: what a file holds cannot be read, though the file is as it was written.
    """
    for day, covers in sorted(manifest.covers.items()):
        files = manifest.beat_gaps.get(day, ())
        if _size_bytes(covers) * COVERS_SHARE < _size_bytes(files):
            continue
        if not work.are_sound_files(covers):
            continue
        piece = _Piece()
        is_done = piece.divide(work, day, files, covers, piece_rows)
        if is_done or piece.removed or piece.rows >= piece_rows:
            # A piece that only looked files through is a change of nothing, behind which the next piece goes on.
            changed = (tuple(piece.removed), tuple(piece.added))
            beat_gaps = {day: changed} if piece.removed else {}
            return Change((), (), beat_gaps=beat_gaps, covers={day: (covers, ())} if is_done else {})
    return None


def _size_bytes(files: Sequence[GapFile]) -> int:
    return sum(file.size_bytes for file in files)


@dataclass(slots=True)
class _Piece:
    """The files that are written anew in a piece, and how many gaps were looked through for it."""

    removed: list[GapFile] = field(default_factory=list)
    added: list[GapFile] = field(default_factory=list)
    rows: int = 0

    def divide(
        self, work: CompactionInput, day: int, files: Sequence[GapFile], covers: Sequence[GapFile], piece_rows: int
    ) -> bool:
        """Divide files of a day; whether the covers touch none of the day any more."""
        is_done = True
        for file in files:
            if self.rows >= piece_rows:
                return False
            if not work.is_sound_file(file, is_once=True):
                is_done = False
            elif self._is_touched(work, file, covers):
                self.added += _put(work, day, file, covers)
                self.removed.append(file)
        return is_done

    def _is_touched(self, work: CompactionInput, file: GapFile, covers: Sequence[GapFile]) -> bool:
        """Whether covers touch gaps of a file. That they do not stays known as long as this process has room for it."""
        history = work.history
        names = tuple(sorted(cover.name for cover in covers))
        devices = range(file.first_device, file.end_device)

        def make() -> tuple[bool, int]:
            self.rows += count_gaps(history, BEATS, file)
            for found in gaps_of_day(history, COVERS, covers, devices, is_ordered=True):
                for gaps in gaps_of_chosen(history, BEATS, [file], np.unique(found.devices)):
                    if touches(joined(found), gaps).any():
                        return True, 0
                work.pause()
            return False, sum(map(len, names))

        return history.memory_cache.get(("touched", file.name, file.first_device, names), make)


def _put(work: CompactionInput, day: int, file: GapFile, covers: Sequence[GapFile]) -> Iterator[GapFile]:
    """Write what covers leave of a file; nothing where nothing is left."""
    history = work.history

    def left() -> Iterator[DeviceSpans]:
        for piece in gaps_of_file(history, BEATS, file):
            devices = range(int(piece.devices[0]), int(piece.devices[-1]) + 1)
            cover = joined(join_device_spans(list(gaps_of_files(history, COVERS, covers, devices))))
            if len(rest := divide(piece, cover)):
                yield rest

    pieces = left()
    first = next(pieces, None)
    if first is not None:
        rows = count_gaps(history, BEATS, file)
        paced_pieces = paced(whole_groups(BEATS, chain([first], pieces), PACED_ROWS), work.pause)
        write = partial(write_gaps, layout=BEATS, pieces=paced_pieces, rows=rows)
        put = put_block(history.store, f"{BEATS.stem}-{day}", write)
        yield GapFile.of(put, first_device=file.first_device, end_device=file.end_device, sequence=file.sequence)
