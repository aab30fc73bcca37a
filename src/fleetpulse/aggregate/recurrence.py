"""Recurrence: the spans of a maintenance window, from wall-clock time in its zone to instants.

An occurrence begins at the first instant at which the local clock shows its start or later. That rule settles both
changes of the clocks: of a time that exists twice it is the first, and for one that is skipped it is the first instant
after the gap.
"""

from bisect import bisect_left
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from fleetpulse.model.maintenance import MaintenanceWindow, Recurrence
from fleetpulse.model.units import NS_PER_DAY, NS_PER_S, S_PER_DAY

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SEARCH_DAYS = 16
"""A chosen weekday comes within 7 days, or 14 where the zone crosses the date line and skips it, give or take a day."""


def occurrences(window: MaintenanceWindow, *, start_ns: int, end_ns: int) -> list[tuple[int, int]]:
    """The window's spans (start_ns, end_ns) that overlap [start_ns, end_ns), whole, ascending by start.

    Those of a duration longer than a day overlap each other. Costs about 2 µs a day of the range, wherever the window
    starts.
    Raises: zoneinfo.ZoneInfoNotFoundError: this machine does not know the time zone.
    """
    if start_ns >= end_ns:
        return []
    if window.recurrence is not None:
        duration_ns = window.recurrence.duration_s * NS_PER_S
        lowest_ns = max(window.start_ns, start_ns - duration_ns + 1)
        highest_ns = end_ns if window.end_ns is None else min(window.end_ns, end_ns)
        return [
            (begin_ns, begin_ns + duration_ns)
            for begin_ns in _starts_ns(window.recurrence, start_ns=lowest_ns, end_ns=highest_ns)
        ]
    span = _single_span(window)
    return [span] if span[0] < end_ns and span[1] > start_ns else []


def next_occurrence(window: MaintenanceWindow, *, after_ns: int) -> tuple[int, int] | None:
    """The window's first span that ends after `after_ns`, even if it has begun already; None where there is none left.

    Raises: zoneinfo.ZoneInfoNotFoundError: this machine does not know the time zone.
    """
    if window.recurrence is None:
        span = _single_span(window)
        return span if span[1] > after_ns else None
    end_ns = max(after_ns, window.start_ns) + _SEARCH_DAYS * NS_PER_DAY
    return next(iter(occurrences(window, start_ns=after_ns, end_ns=end_ns)), None)


def _single_span(window: MaintenanceWindow) -> tuple[int, int]:
    if window.end_ns is None:
        raise ValueError("a window without recurrence must have an end")
    return window.start_ns, window.end_ns


def _starts_ns(recurrence: Recurrence, *, start_ns: int, end_ns: int) -> list[int]:
    """The starts that lie in [start_ns, end_ns), ascending."""
    if start_ns >= end_ns:
        return []
    zone = ZoneInfo(recurrence.timezone)
    weekdays = recurrence.weekdays or range(7)
    # Local and UTC dates differ by a day at most, and a gap moves a start by a day more at most.
    days = range(start_ns // NS_PER_DAY - 2, end_ns // NS_PER_DAY + 3)
    found = (
        _start_s(day, recurrence.start_minute, zone) for day in days if (day + 3) % 7 in weekdays
    )  # 1970-01-01 was a Thursday
    return [at_s * NS_PER_S for at_s in found if at_s is not None and start_ns <= at_s * NS_PER_S < end_ns]


def _start_s(day: int, start_minute: int, zone: ZoneInfo) -> int | None:
    """When the local clock first shows `start_minute` of a day or later, in s since 1970; None: there is no such day.

    `day` counts local days since 1970-01-01.
    """
    wall_s = day * S_PER_DAY + start_minute * 60
    wall = (_EPOCH + timedelta(seconds=wall_s)).replace(tzinfo=zone)
    before_s, after_s = _offset_s(wall), _offset_s(wall.replace(fold=1))
    if before_s >= after_s:
        return wall_s - before_s
    # The clock skips this time: the change lies between what the offsets before and after it make of it.
    at_s = bisect_left(range(wall_s - before_s), wall_s, lo=wall_s - after_s, key=lambda s: _wall_s(s, zone))
    is_day_skipped = _wall_s(at_s - 1, zone) // S_PER_DAY < day < _wall_s(at_s, zone) // S_PER_DAY
    return None if is_day_skipped else at_s


def _wall_s(at_s: int, zone: ZoneInfo) -> int:
    """What the local clock shows at `at_s`, counted as if it were UTC."""
    return at_s + _offset_s((_EPOCH + timedelta(seconds=at_s)).astimezone(zone))


def _offset_s(at: datetime) -> int:
    offset = at.utcoffset()
    assert offset is not None  # every time here has a zone
    return offset.days * S_PER_DAY + offset.seconds
