"""The retention of reception gaps: whole days of them are removed, and stay known."""

from fleetpulse.blocks.compaction.change import Change
from fleetpulse.blocks.compaction.work_input import CompactionInput
from fleetpulse.blocks.stored_gaps import count_gaps
from fleetpulse.errors import DamagedData
from fleetpulse.model.manifest import GAPS, GapFile, Manifest


def remove_expired_gaps(work: CompactionInput, manifest: Manifest) -> Change | None:
    """All days of reception gaps that were kept for long enough; None where there is none."""
    days = {day: files for day, files in manifest.gaps.items() if work.today - day > work.gap_days}
    if not days:
        return None
    counts = {day: sum(_count(work, file) for file in files) for day, files in days.items()}
    return Change((), (), {GAPS: counts}, gaps={day: (files, ()) for day, files in days.items()})


def _count(work: CompactionInput, file: GapFile) -> int:
    """How many gaps of a file count; 0 where it cannot be read."""
    try:
        return count_gaps(work.history, file)
    except DamagedData as error:
        work.on_damage(file, error)
        return 0
