"""What an answer lacks because a block is missing or damaged, or gaps were deleted: spans, each once, with a reason."""

from collections.abc import Collection

from fleetpulse.errors import DamagedData
from fleetpulse.model.manifest import BEAT_GAPS, GAPS, Expired
from fleetpulse.model.units import NS_PER_DAY
from fleetpulse.notation.timestamp import format_rfc3339
from fleetpulse.query.answers import Missing


def note_missing(missing: list[Missing], start_ns: int, end_ns: int, error: Exception) -> None:
    """Note that [start_ns, end_ns) is lacking, unless `missing` lists it already."""
    span = Missing(format_rfc3339(start_ns), format_rfc3339(end_ns), str(error))
    if span not in missing:
        missing.append(span)


def note_missing_day(missing: list[Missing], day: int, error: Exception) -> None:
    """Note that a UTC day (days since 1970-01-01) is lacking."""
    note_missing(missing, day * NS_PER_DAY, (day + 1) * NS_PER_DAY, error)


def note_missing_days(missing: list[Missing], days: Collection[int], error: Exception) -> None:
    """Note that the time from the first to the last of some UTC days may lack something."""
    if days:
        note_missing(missing, min(days) * NS_PER_DAY, (max(days) + 1) * NS_PER_DAY, error)


_GAPS = {GAPS: "reception gaps", BEAT_GAPS: "gaps between beats"}


def note_expired_gaps(missing: list[Missing], expired: Expired, *, start_ns: int, kind: int = GAPS) -> None:
    """Note the days, at or after the day of `start_ns`, of which retention has deleted gaps.

    A gap that ended after the end of a window may have begun in it, so later days are noted, too.
    Args: kind: GAPS or BEAT_GAPS.
    """
    days = [day for day in sorted(expired.get(kind, {})) if day >= start_ns // NS_PER_DAY]
    if days:
        # From the first to the last: between them nothing was deleted only where nothing had ended.
        reason = DamagedData(f"retention has deleted the {_GAPS[kind]} that ended then (reception_gap_days)")
        note_missing(missing, days[0] * NS_PER_DAY, (days[-1] + 1) * NS_PER_DAY, reason)


def distinct(missing: list[Missing]) -> list[Missing]:
    """The spans without repetitions, in order."""
    return [span for place, span in enumerate(missing) if span not in missing[:place]]
