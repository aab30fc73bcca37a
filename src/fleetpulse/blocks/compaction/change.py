"""A change of the manifest's blocks, which compaction proposes and its caller commits."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from fleetpulse.blocks.counted import Minutes
from fleetpulse.blocks.gap_rows import GapField
from fleetpulse.model.manifest import BackfillFile, BlockFile, Expired, GapFile, LateBlock, Manifest, SampleBlock

FileChange = tuple[tuple[GapFile, ...], tuple[GapFile, ...]]
"""Files of gaps that are removed, and those that replace them.

A file of which fewer devices count from now on is among both.
"""
GapChanges = Mapping[int, FileChange]
"""Such changes by day."""


@dataclass(frozen=True, slots=True)
class LateMerge:
    """Late presence that has joined the blocks of its days, or whose late blocks have become fewer."""

    presence: Mapping[int, BlockFile]
    """The new file of each day."""
    late: tuple[LateBlock, ...]
    """All late blocks that there are afterwards, with the days that still count of them."""
    counted: BlockFile | None
    """The minutes that are new in the days since the snapshot."""
    new_minutes: Minutes
    """The part of them that this merge has added."""
    joined: int = 0
    """Late blocks that have become one."""


@dataclass(frozen=True, slots=True)
class Change:
    """Blocks that others replace, which may share files with them; and the samples that are left out for good."""

    removed: tuple[SampleBlock, ...]
    added: tuple[SampleBlock, ...]
    expired: Expired = field(default_factory=dict)
    gaps: GapChanges = field(default_factory=dict)
    beat_gaps: GapChanges = field(default_factory=dict)
    covers: GapChanges = field(default_factory=dict)
    backfill: tuple[tuple[BackfillFile, ...], tuple[BackfillFile, ...]] = ((), ())
    """Files that are removed, and those that replace them."""
    late: LateMerge | None = None

    @property
    def counts(self) -> tuple[int, int]:
        """How many blocks, files of gaps, late blocks or days of late data are removed, and how many are added."""
        if self.late is not None:
            return len(self.late.presence) + self.late.joined, len(self.late.presence) + bool(self.late.joined)
        several = [*self.gaps.values(), *self.beat_gaps.values(), *self.covers.values(), self.backfill]
        before = {file.name for removed, _ in several for file in removed}
        after = {file.name for _, added in several for file in added}
        return len(self.removed) + len(before - after), len(self.added) + len(after - before)


def files_by_day(manifest: Manifest, field: GapField) -> Mapping[int, tuple[GapFile, ...]]:
    """The files of gaps of one kind."""
    return {"gaps": manifest.gaps, "beat_gaps": manifest.beat_gaps, "covers": manifest.covers}[field]


def gap_change(field: GapField, changes: GapChanges) -> Change:
    """A change of the files of gaps of one kind alone."""
    chosen = {name: changes if name == field else {} for name in ("gaps", "beat_gaps", "covers")}
    return Change((), (), gaps=chosen["gaps"], beat_gaps=chosen["beat_gaps"], covers=chosen["covers"])


def apply_change(manifest: Manifest, change: Change) -> Manifest:
    """The manifest with the change made; blocks that a checkpoint has added meanwhile stay."""
    kept = tuple(block for block in manifest.samples if block not in change.removed)
    expired = {metric: dict(days) for metric, days in manifest.expired.items()}
    for metric, days in change.expired.items():
        totals = expired.setdefault(metric, {})
        for day, samples in days.items():
            totals[day] = totals.get(day, 0) + samples
    gone, new = change.backfill
    after = replace(
        manifest,
        samples=(*kept, *change.added),
        expired=expired,
        gaps=_with(manifest.gaps, change.gaps),
        beat_gaps=_with(manifest.beat_gaps, change.beat_gaps),
        covers=_with(manifest.covers, change.covers),
        backfill=(*(file for file in manifest.backfill if file not in gone), *new),
    )
    if change.late is None:
        return after
    presence = {**manifest.presence, **change.late.presence}
    return replace(after, presence=presence, late=change.late.late, counted=change.late.counted)


def _with(before: Mapping[int, tuple[GapFile, ...]], changes: GapChanges) -> dict[int, tuple[GapFile, ...]]:
    after = dict(before)
    for day, (removed, added) in changes.items():
        files = (*(file for file in after.pop(day, ()) if file not in removed), *added)
        if files:
            after[day] = files
    return after
