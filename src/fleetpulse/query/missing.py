"""What an answer lacks, since a block is missing or damaged: spans, each said once, with the reason."""

from fleetpulse.model.units import NS_PER_DAY
from fleetpulse.notation.timestamp import format_rfc3339

Missing = list[dict[str, str]]


def note_missing(missing: Missing, start_ns: int, end_ns: int, error: Exception) -> None:
    """Note that [start_ns, end_ns) is lacking."""
    span = {"from": format_rfc3339(start_ns), "to": format_rfc3339(end_ns), "reason": str(error)}
    if span not in missing:
        missing.append(span)


def note_missing_day(missing: Missing, day: int, error: Exception) -> None:
    """Note that a UTC day is lacking."""
    note_missing(missing, day * NS_PER_DAY, (day + 1) * NS_PER_DAY, error)
