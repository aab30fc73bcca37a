"""Dates of a calendar as spans of time: a day, a month or a year in a time zone."""

import re
from datetime import date
from zoneinfo import ZoneInfo

from fleetpulse.aggregate.local_time import DAYS_HIGHEST, day_start_ns
from fleetpulse.errors import Malformed, OutOfRange
from fleetpulse.model.time_zone import is_timezone
from fleetpulse.notation.timestamp import EXPECTED, parse_query_time_ns, parse_rfc3339_ns

_EPOCH = date(1970, 1, 1)
_DATE = {
    "day": (re.compile("([0-9]{4})-([0-9]{2})-([0-9]{2})"), "a date such as 2026-10-01"),
    "month": (re.compile("([0-9]{4})-([0-9]{2})"), "a month such as 2026-10"),
    "year": (re.compile("([0-9]{4})"), "a year such as 2026"),
}


def read_zone(name: str | None) -> ZoneInfo:
    """The time zone of the parameter `timezone`; UTC where there is none. Raises: OutOfRange: it is not known."""
    if name is None:
        return ZoneInfo("UTC")
    if not is_timezone(name):
        text = f"`timezone` must be an IANA name such as Europe/Paris or UTC, not `{name[:50]}`"
        raise OutOfRange(text, reason="timezone")
    return ZoneInfo(name)


def is_date(text: str) -> bool:
    """Whether a time is a bare date, such as 2026-10-01."""
    return _DATE["day"][0].fullmatch(text) is not None


def date_start_ns(name: str, text: str, zone: ZoneInfo) -> int:
    """When the day of a bare date begins. Raises: Malformed; OutOfRange: there is no such day."""
    return _span_ns("day", text, zone, parameter=name)[0]


def declared_time_ns(name: str, text: str, timezone: str | None = None) -> int:
    """A time that a person declares, in ns since 1970; a bare date is the start of that day in the zone, or in UTC.

    Raises: Malformed; OutOfRange: there is no such day, or no such zone.
    """
    if is_date(text):
        return date_start_ns(name, text, read_zone(timezone))
    try:
        return parse_rfc3339_ns(text)
    except ValueError as error:
        raise Malformed(f"`{name}` is not {EXPECTED}, nor a date such as 2026-10-01") from error


def query_time_ns(name: str, text: str, zone: ZoneInfo) -> int:
    """A time of a query, in ns since 1970; a bare date is the start of that day in the zone.

    Raises: Malformed; OutOfRange: there is no such day.
    """
    if is_date(text):
        return date_start_ns(name, text, zone)
    try:
        return parse_query_time_ns(text)
    except ValueError as error:
        raise Malformed(f"`{name}` is not {EXPECTED}") from error


def date_span_ns(unit: str, text: str, zone: ZoneInfo) -> tuple[int, int]:
    """The span [start, end) of a `day`, `month` or `year`. Raises: Malformed; OutOfRange: there is none such."""
    return _span_ns(unit, text, zone, parameter=unit)


def _span_ns(unit: str, text: str, zone: ZoneInfo, *, parameter: str) -> tuple[int, int]:
    pattern, expected = _DATE[unit]
    match = pattern.fullmatch(text)
    if match is None:
        raise Malformed(f"`{parameter}` must be {expected}, not `{text[:50]}`")
    year, month, day = [*map(int, match.groups()), 1, 1][:3]
    try:
        first = (date(year, month, day) - _EPOCH).days
    except ValueError as error:
        raise OutOfRange(f"`{parameter}`: there is no {unit} {text}", reason="window") from error
    if not 0 <= first < DAYS_HIGHEST:
        raise OutOfRange(f"`{parameter}` must lie in the years 1970 to 2199, not {text}", reason="window")
    if unit == "day":
        after = first + 1
    else:
        following = date(year + 1, 1, 1) if unit == "year" or month == 12 else date(year, month + 1, 1)
        after = (following - _EPOCH).days
    return day_start_ns(first, zone), day_start_ns(after, zone)
