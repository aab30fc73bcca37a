"""Dates as spans of time in a zone; the windows made of them are tested with windows."""

import pytest

from fleetpulse.errors import Malformed, OutOfRange
from fleetpulse.ingest.calendar import date_span_ns, date_start_ns, is_date, read_zone
from fleetpulse.notation.timestamp import format_rfc3339


@pytest.mark.parametrize(
    ("unit", "text", "zone", "start", "end"),
    [
        ("day", "2026-03-29", "Europe/Paris", "2026-03-28T23:00:00Z", "2026-03-29T22:00:00Z"),
        ("month", "2026-12", None, "2026-12-01T00:00:00Z", "2027-01-01T00:00:00Z"),
        ("year", "2024", "Asia/Kolkata", "2023-12-31T18:30:00Z", "2024-12-31T18:30:00Z"),
        ("day", "2011-12-30", "Pacific/Apia", "2011-12-30T10:00:00Z", "2011-12-30T10:00:00Z"),
    ],
)
def test_a_date_is_a_span_of_its_zone(unit: str, text: str, zone: str | None, start: str, end: str) -> None:
    """Samoa skipped a day, which is empty."""
    assert [format_rfc3339(at_ns) for at_ns in date_span_ns(unit, text, read_zone(zone))] == [start, end]


@pytest.mark.parametrize("text", ["2026-2-1", "2026-02", "20260201", "2026-02-01T", "٢٠٢٦-01-01"])
def test_what_is_no_date_is_refused(text: str) -> None:
    assert not is_date(text)
    with pytest.raises(Malformed, match="`from` must be a date such as"):
        date_start_ns("from", text, read_zone(None))


@pytest.mark.parametrize(("unit", "text"), [("day", "2026-02-30"), ("month", "2026-00"), ("year", "2200")])
def test_a_date_that_there_is_not_is_refused(unit: str, text: str) -> None:
    with pytest.raises(OutOfRange):
        date_span_ns(unit, text, read_zone("UTC"))


def test_a_zone_that_is_not_known_is_named() -> None:
    with pytest.raises(OutOfRange, match="not `Mars/Olympus`"):
        read_zone("Mars/Olympus")
