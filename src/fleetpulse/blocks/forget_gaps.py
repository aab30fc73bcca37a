"""Forgetting the beats of devices before a time, in the files of beat gaps and of what late beats cover.

A gap that begins with a forgotten beat is none any more; where late beats divide it, the parts that begin later stay.
So what late beats cover is taken out of the gaps of these devices at once, and forgotten with the gaps: what was
forgotten may be sent again, and a gap that is found then must not be divided by it.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from fleetpulse.aggregate.beat_gaps import divide
from fleetpulse.blocks.forget import Cuts
from fleetpulse.blocks.gap_rows import BACKFILL, BEATS, COVERS, GapLayout, merge_gaps, write_gaps
from fleetpulse.blocks.history import History, OnDamage
from fleetpulse.blocks.pacing import paced
from fleetpulse.blocks.store import put_block
from fleetpulse.blocks.stored_beat_gaps import backfill_of_day, joined
from fleetpulse.blocks.stored_gaps import count_gaps, gaps_of_chosen, gaps_of_file
from fleetpulse.errors import DamagedData
from fleetpulse.model.device_spans import NO_SPANS_OF_DEVICES, DeviceSpans, join_device_spans
from fleetpulse.model.manifest import BackfillFile, GapFile, Manifest


def without_beats(
    history: History,
    manifest: Manifest,
    cuts: Cuts,
    *,
    backfill: DeviceSpans,
    pause: Callable[[], None],
    on_damage: OnDamage,
) -> Manifest:
    """The manifest with files in which devices have no beat before their cuts.

    A day of which a file is damaged stays as it is, and is passed to `on_damage`.

    Args: backfill: what late beats cover that no block holds, in any order.
    Raises: OSError.
    """
    devices = sorted(cuts)
    before_ns = np.array([cuts[device] for device in devices], np.int64)
    work = _Forgetting(history, manifest, np.array(devices, np.uint32), before_ns, backfill, pause)
    beat_gaps, covers = dict(manifest.beat_gaps), dict(manifest.covers)
    kept_days: set[int] = set()
    for day in sorted({*beat_gaps, *covers}):
        try:
            files = work.gaps_of_day(day), tuple(work.covers_of_day(day))
        except DamagedData as error:
            on_damage(day, error)
            kept_days.add(day)
            continue
        for by_day, left in zip((beat_gaps, covers), files, strict=True):
            if left:
                by_day[day] = left
            else:
                by_day.pop(day, None)
    late: list[BackfillFile] = []
    for file in manifest.backfill:
        # Where a day is as it was, it needs what is to be taken out of its gaps, too.
        is_needed = any(file.start_day <= day < file.end_day for day in kept_days)
        late += [file] if is_needed else work.backfill_of(file, on_damage)
    return replace(manifest, beat_gaps=beat_gaps, covers=covers, backfill=tuple(late))


@dataclass(frozen=True, slots=True)
class _Forgetting:
    history: History
    manifest: Manifest
    devices: NDArray[np.uint32]
    before_ns: NDArray[np.int64]
    backfill: DeviceSpans
    pause: Callable[[], None]

    def gaps_of_day(self, day: int) -> tuple[GapFile, ...]:
        """The files of the gaps of a day without what is forgotten. Raises: DamagedData."""
        found: list[GapFile] = []
        for file in self.manifest.beat_gaps.get(day, ()):
            gaps = self._rows(BEATS, [file])
            left = divide(gaps, self._covered(day)) if len(gaps) else gaps
            left = left.where(left.start_ns >= self.before_ns[np.searchsorted(self.devices, left.devices)])
            is_same = len(left) == len(gaps) and np.array_equal(left.end_ns, gaps.end_ns)
            if is_same and np.array_equal(left.start_ns, gaps.start_ns):
                found.append(file)
            else:
                found += self._anew(BEATS, f"{BEATS.stem}-{day}", file, left)
        return tuple(found)

    def covers_of_day(self, day: int) -> Iterator[GapFile]:
        """The files of covers of a day without those of the devices. Raises: DamagedData."""
        for file in self.manifest.covers.get(day, ()):
            if len(self._rows(COVERS, [file])):
                yield from self._anew(COVERS, f"{COVERS.stem}-{day}", file, NO_SPANS_OF_DEVICES)
            else:
                yield file

    def backfill_of(self, file: BackfillFile, on_damage: OnDamage) -> list[BackfillFile]:
        """The same of a file of backfill; it stays as it is where it is damaged."""
        try:
            if not len(self._rows(BACKFILL, [file])):
                return [file]
            left = self._anew(BACKFILL, BACKFILL.stem, file, NO_SPANS_OF_DEVICES)
        except DamagedData as error:
            on_damage(file.start_day, error)
            return [file]
        return [replace(file, name=one.name, size_bytes=one.size_bytes, sha256=one.sha256) for one in left]

    def _rows(self, layout: GapLayout[DeviceSpans], files: Sequence[GapFile]) -> DeviceSpans:
        """The rows of the devices, out of files that are compared with their checksums."""
        for file in files:
            self.history.check_once(file)
        return join_device_spans(list(gaps_of_chosen(self.history, layout, files, self.devices)))

    def _covered(self, day: int) -> DeviceSpans:
        covers = self._rows(COVERS, self.manifest.covers.get(day, ()))
        unresolved = self._rows(BACKFILL, backfill_of_day(self.manifest, day))
        live = self.backfill.where(np.isin(self.backfill.devices, self.devices))
        return joined(join_device_spans([covers, unresolved, live]))

    def _anew(self, layout: GapLayout[DeviceSpans], stem: str, file: GapFile, left: DeviceSpans) -> list[GapFile]:
        """A file with `left` in the place of the rows of the devices; none where it would have no rows."""
        history = self.history
        history.check(file)  # a damaged file must not be rewritten: its new checksum would hide the damage
        others = (piece.where(~np.isin(piece.devices, self.devices)) for piece in gaps_of_file(history, layout, file))
        rows = count_gaps(history, layout, file) - len(self._rows(layout, [file])) + len(left)
        if not rows:
            return []
        pieces = paced(merge_gaps(layout, [others, [left]]), self.pause)
        put = put_block(history.store, stem, partial(write_gaps, layout=layout, pieces=pieces, rows=rows))
        devices = {"first_device": file.first_device, "end_device": file.end_device}
        return [GapFile.of(put, **devices, sequence=file.sequence)]
