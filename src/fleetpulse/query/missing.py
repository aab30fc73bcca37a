"""What an answer lacks because a block is missing or damaged: spans, each listed once, with the reason."""

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


def distinct(missing: list[Missing]) -> list[Missing]:
    """The spans without repetitions, in order."""
    return [span for place, span in enumerate(missing) if span not in missing[:place]]
