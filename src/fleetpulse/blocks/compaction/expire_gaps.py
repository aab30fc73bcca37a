"""The retention of gaps: whole days of them are removed, and stay known; of both kinds the same days."""

from collections.abc import Mapping, Sequence

from fleetpulse.blocks.compaction.change import Change, GapChanges
from fleetpulse.blocks.compaction.work_input import CompactionInput
from fleetpulse.blocks.gap_rows import BEATS, RECEPTION, GapLayout
from fleetpulse.blocks.stored_gaps import count_gaps
from fleetpulse.errors import DamagedData
from fleetpulse.model.device_spans import Spans
from fleetpulse.model.manifest import BEAT_GAPS, GAPS, GapFile, Manifest


def remove_expired_gaps(work: CompactionInput, manifest: Manifest) -> Change | None:
    """All days of gaps that were kept for long enough, with what covers them; None where there is none.

    Backfill goes when all days that it may touch were kept for long enough: until then nobody knows where it belongs.
    """
    reception, beats = _expired(work, manifest.gaps), _expired(work, manifest.beat_gaps)
    covers = _expired(work, manifest.covers)
    backfill = tuple(file for file in manifest.backfill if _is_expired(work, file.end_day - 1))
    if not (reception or beats or covers or backfill):
        return None
    counts = {GAPS: _counts(work, RECEPTION, reception), BEAT_GAPS: _counts(work, BEATS, beats)}
    return Change(
        (),
        (),
        {kind: days for kind, days in counts.items() if days},
        gaps=_without(reception),
        beat_gaps=_without(beats),
        covers=_without(covers),
        backfill=(backfill, ()),
    )


def _is_expired(work: CompactionInput, day: int) -> bool:
    return work.today - day > work.gap_days


def _expired(work: CompactionInput, by_day: Mapping[int, tuple[GapFile, ...]]) -> dict[int, tuple[GapFile, ...]]:
    return {day: files for day, files in by_day.items() if _is_expired(work, day)}


def _without(by_day: Mapping[int, tuple[GapFile, ...]]) -> GapChanges:
    return {day: (files, ()) for day, files in by_day.items()}


def _counts(work: CompactionInput, layout: GapLayout[Spans], by_day: Mapping[int, Sequence[GapFile]]) -> dict[int, int]:
    return {day: sum(_count(work, layout, file) for file in files) for day, files in by_day.items()}


def _count(work: CompactionInput, layout: GapLayout[Spans], file: GapFile) -> int:
    """How many gaps of a file count; 0 where it cannot be read."""
    try:
        return count_gaps(work.history, layout, file)
    except DamagedData as error:
        work.on_damage(file, error)
        return 0
