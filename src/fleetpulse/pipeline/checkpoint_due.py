"""The rule that says when a checkpoint is due."""

from dataclasses import dataclass

from fleetpulse.limits import CheckpointTriggers


@dataclass(frozen=True, slots=True, kw_only=True)
class SinceCheckpoint:
    """What has gathered since the last checkpoint, in the journal and in memory."""

    elapsed_s: float
    """Since the last attempt, successful or not."""
    journal_entries: int
    late_rows: int
    """Device-days that late data touched, and stretches of late beats that may lie in gaps."""
    samples: int
    gaps: int
    """Gaps that ended: between receptions, or between beats where there are more of these."""
    is_day_closed: bool
    """A day has ended that is still held in memory."""
    has_forgotten: bool
    """Blocks hold what was forgotten."""
    has_failed: bool
    """The last attempt failed."""


def is_checkpoint_due(since: SinceCheckpoint, triggers: CheckpointTriggers) -> bool:
    """Whether a checkpoint is due: at once where much has gathered, after the interval where anything has.

    After a failed attempt nothing is urgent: a full disk must not be tried again with every tick.
    """
    is_urgent = (
        since.is_day_closed
        or since.has_forgotten
        or since.journal_entries >= triggers.checkpoint_journal_entries
        or since.late_rows >= triggers.checkpoint_late_rows
        or since.samples >= triggers.checkpoint_samples
        or since.gaps >= triggers.checkpoint_reception_gaps
    )
    if is_urgent and not since.has_failed:
        return True
    has_news = since.journal_entries > 0 or since.is_day_closed
    return has_news and since.elapsed_s >= triggers.checkpoint_s
