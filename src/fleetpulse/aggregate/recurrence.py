"""Recurrence: the spans of a maintenance window, from wall-clock time in its zone to instants.

An occurrence begins at the first instant at which the local clock shows its start or later. That rule settles both
changes of the clocks: of a time that exists twice it is the first, and for one that is skipped it is the first instant
after the gap.
"""

from zoneinfo import ZoneInfo

from fleetpulse.aggregate.local_time import first_instant_s
from fleetpulse.model.maintenance import MaintenanceWindow, Recurrence
from fleetpulse.model.units import NS_PER_DAY, NS_PER_S, S_PER_DAY

_CHANGE_NS = NS_PER_DAY
"""By less than this a change of the clock makes a calendar's day longer, the date line included."""
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
        highest_ns = end_ns if window.end_ns is None else min(window.end_ns, end_ns)
        lowest_ns = max(window.start_ns, start_ns - window.recurrence.duration_s * NS_PER_S - _CHANGE_NS)
        spans = _spans(window.recurrence, start_ns=lowest_ns, end_ns=highest_ns)
        return [span for span in spans if span[1] > start_ns]
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


def _spans(recurrence: Recurrence, *, start_ns: int, end_ns: int) -> list[tuple[int, int]]:
    """The occurrences that start in [start_ns, end_ns), ascending."""
    if start_ns >= end_ns:
        return []
    zone = ZoneInfo(recurrence.timezone)
    weekdays = recurrence.weekdays or range(7)
    # Local and UTC dates differ by a day at most, and a gap moves a start by a day more at most.
    days = range(start_ns // NS_PER_DAY - 2, end_ns // NS_PER_DAY + 3)
    spans = []
    for day in days:
        if (day + 3) % 7 in weekdays:  # 1970-01-01 was a Thursday
            at_s = first_instant_s(day, recurrence.start_minute, zone)
            if at_s is not None and start_ns <= at_s * NS_PER_S < end_ns:
                spans.append((at_s * NS_PER_S, _end_s(recurrence, day, at_s, zone) * NS_PER_S))
    return spans


def _end_s(recurrence: Recurrence, day: int, start_s: int, zone: ZoneInfo) -> int:
    """When an occurrence of a local day ends: after its duration, or for whole days, by the calendar."""
    days, rest_s = divmod(recurrence.duration_s, S_PER_DAY)
    if rest_s:
        return start_s + recurrence.duration_s
    for last in (day + days, day + days + 1):  # a zone skips a day at most, when it crosses the date line
        end_s = first_instant_s(last, recurrence.start_minute, zone)
        if end_s is not None:
            return end_s
    return start_s + recurrence.duration_s
