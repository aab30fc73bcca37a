"""Giving what late beats cover to the days of the beat gaps that it touches.

A checkpoint writes backfill without reading any gaps. Here the gaps of its devices are looked up, day by day from the
first that it may touch, and each span that is in some of the gaps of a day goes into a file of covers of that day. What
touches no gap, since it repeats what was known, is dropped. A repetition of the work does no harm: covers that say the
same twice leave the same of the gaps.

Many devices are handled some at a time, each piece a change of its own: of a backfill file only the other devices count
afterwards.
"""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

import numpy as np

from fleetpulse.aggregate.beat_gaps import divide, touches
from fleetpulse.blocks.compaction.change import Change
from fleetpulse.blocks.compaction.merge_gaps import Unsound, devices_of_piece
from fleetpulse.blocks.compaction.work_input import CompactionInput
from fleetpulse.blocks.gap_rows import BACKFILL, BEATS, COVERS, write_gaps
from fleetpulse.blocks.store import put_block
from fleetpulse.blocks.stored_beat_gaps import joined
from fleetpulse.blocks.stored_gaps import gaps_of_chosen, gaps_of_files, rows_of_chosen
from fleetpulse.model.device_spans import DeviceSpans, join_device_spans
from fleetpulse.model.manifest import BackfillFile, GapFile, Manifest
from fleetpulse.model.units import NS_PER_DAY

BACKFILL_FILES_MAX = 4
"""Files of backfill before they are given to days, since questions read all of them."""
BACKFILL_BYTES_MAX = 2_097_152
"""Bytes of backfill from which on even one file is: some 150,000 rows."""
PIECE_ROWS = 131_072
"""Spans of late beats of one piece, about; more where one device has more."""
SPANS_AT_ONCE = 32_768
"""Spans whose gaps are looked up together."""
GAPS_AT_ONCE = 1_048_576
"""Gaps that are read in one piece, after which it takes no further devices: a second or two of work."""
LOOK_UP_ROWS = 8_192
"""To look into the files of a day costs about as much as to read so many gaps."""


def resolve_backfill(
    work: CompactionInput, manifest: Manifest, *, piece_rows: int = PIECE_ROWS, is_forced: bool = False
) -> Change | None:
    """Give what late beats of some devices cover to the days of the gaps; None where nothing is due.

    Args: is_forced: however little there is.
    Raises: OSError; DamagedData: what a file holds cannot be read, though the file is as it was written.
    """
    sound = [file for file in manifest.backfill if work.is_sound_file(file, is_once=True)]
    while sound and (is_forced or _is_due(sound, today=manifest.taken_at_ns // NS_PER_DAY)):
        # Files that have been begun are finished first, whatever further checkpoints add.
        start = max(file.first_device for file in sound)
        chosen = [file for file in sound if file.first_device == start]
        try:
            devices, _ = devices_of_piece(work, chosen, piece_rows)
        except Unsound as error:
            sound = [file for file in sound if file != error.file]
            continue
        found: dict[int, list[DeviceSpans]] = {}
        end_device = _look_up(work, manifest, chosen, devices, found)
        covers = {day: ((), (_put(work, day, rows),)) for day, rows in sorted(found.items())}
        left = tuple(replace(file, first_device=end_device) for file in chosen if file.end_device > end_device)
        return Change((), (), covers=covers, backfill=(tuple(chosen), left))
    return None


def _is_due(files: Sequence[BackfillFile], *, today: int) -> bool:
    """Whether there is enough to do, or files that were written before today."""
    return (
        len(files) >= BACKFILL_FILES_MAX
        or sum(file.size_bytes for file in files) >= BACKFILL_BYTES_MAX
        or any(file.first_device > 0 or file.end_day <= today for file in files)
    )


def _look_up(
    work: CompactionInput,
    manifest: Manifest,
    files: Sequence[BackfillFile],
    devices: range,
    found: dict[int, list[DeviceSpans]],
) -> int:
    """Add what backfill of devices touches of the gaps of each day to `found`.

    Returns: the device before which it is done: an earlier one than asked for, where devices have very many gaps.
    """
    spans = joined(join_device_spans(list(gaps_of_files(work.history, BACKFILL, files, devices))))
    days = range(min(file.start_day for file in files), max(file.end_day for file in files))
    several = [_Day(work, manifest, day) for day in sorted(manifest.beat_gaps) if day in days]
    rows = start = 0
    while start < len(spans):
        count = SPANS_AT_ONCE
        while True:
            last = spans.devices[min(start + count, len(spans)) - 1]
            stop = int(np.searchsorted(spans.devices, last, side="right"))
            part = spans.where(slice(start, stop))
            part_rows = sum(day.rows_to_read(part) for day in several)
            # A row group has the gaps of few devices where they have many, so few of them may touch all row groups.
            if part_rows <= GAPS_AT_ONCE or count == 1:
                break
            count //= 2
        if rows and rows + part_rows > GAPS_AT_ONCE:
            return int(part.devices[0])
        for day in several:
            if len(touched := day.touched(part)):
                found.setdefault(day.number, []).append(touched)
        rows, start = rows + part_rows, stop
    return devices.stop


class _Day:
    """The beat gaps of a day, and what covers them already."""

    def __init__(self, work: CompactionInput, manifest: Manifest, number: int) -> None:
        self.number = number
        self._work = work
        self._files, self._covers = manifest.beat_gaps[number], manifest.covers.get(number, ())
        self._is_sound = work.are_sound_files((*self._files, *self._covers))

    def rows_to_read(self, spans: DeviceSpans) -> int:
        """How many rows must be read to find what spans touch; of a day, more than none."""
        if not self._is_sound:
            return 0
        return LOOK_UP_ROWS + rows_of_chosen(self._work.history, self._files, np.unique(spans.devices))

    def touched(self, spans: DeviceSpans) -> DeviceSpans:
        """Those of the spans that touch gaps."""
        if not self._is_sound:
            # A file that cannot be read now may hold gaps that all of them touch, when it is back.
            return spans
        history, is_touched = self._work.history, np.zeros(len(spans), bool)
        for gaps in gaps_of_chosen(history, BEATS, self._files, np.unique(spans.devices)):
            known = gaps_of_chosen(history, COVERS, self._covers, np.unique(gaps.devices))
            edges = np.array([gaps.devices[0], int(gaps.devices[-1]) + 1], np.uint32)
            part = slice(*np.searchsorted(spans.devices, edges).tolist())
            is_touched[part] |= touches(spans.where(part), divide(gaps, joined(join_device_spans(list(known)))))
            self._work.pause()
        return spans.where(is_touched)


def _put(work: CompactionInput, day: int, pieces: Sequence[DeviceSpans]) -> GapFile:
    write = partial(write_gaps, layout=COVERS, pieces=pieces, rows=sum(map(len, pieces)))
    return GapFile.of(put_block(work.history.store, f"{COVERS.stem}-{day}", write))
