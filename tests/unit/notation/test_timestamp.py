from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleetpulse.notation.timestamp import format_rfc3339, parse_rfc3339_ns
from fleetpulse.notation.timestamp_columns import parse_rfc3339_column

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MOMENTS = st.datetimes(datetime(1970, 1, 2), datetime(2200, 1, 1))  # noqa: DTZ001  # the zone is added below


@given(MOMENTS, st.integers(0, 999_999_999), st.integers(0, 9), st.integers(-23 * 60, 23 * 60))
def test_any_offset_and_any_fraction_is_exact(
    moment: datetime, fraction: int, digits: int, offset_minutes: int
) -> None:
    zone = timezone(timedelta(minutes=offset_minutes))
    local = moment.replace(microsecond=0, tzinfo=zone)
    kept = f"{fraction:09d}"[:digits]
    text = local.strftime("%Y-%m-%dT%H:%M:%S") + (f".{kept}" if kept else "")
    sign = "-" if offset_minutes < 0 else "+"
    text += f"{sign}{abs(offset_minutes) // 60:02d}:{abs(offset_minutes) % 60:02d}"
    expected = (local - EPOCH) // timedelta(seconds=1) * 10**9 + int(kept.ljust(9, "0"))
    assert parse_rfc3339_ns(text) == expected


@given(st.integers(0, 4_000_000_000 * 10**9))
def test_what_is_written_reads_back(at_ns: int) -> None:
    assert parse_rfc3339_ns(format_rfc3339(at_ns)) == at_ns


@pytest.mark.parametrize(
    "text",
    ["", "now", "2026-11-24", "2026-11-24T08:30:00", "2026-13-24T08:30:00Z", "2026-02-30T00:00:00Z",
     "2026-11-24T24:00:00Z", "2026-11-24T08:30:61Z", "2026-11-24T08:30:00.Z",
     "2026-11-24T08:30:00.0123456789Z", "2026-11-24T08:30: 1Z",
     "2026-11-24T08:30:00+24:00", "٢٠٢٦-11-24T08:30:00Z"],
)  # fmt: skip
def test_what_is_no_time_is_refused(text: str) -> None:
    parse_rfc3339_ns("2026-11-24T08:30:00Z")  # the minute is known now, and must not make the rest lenient
    with pytest.raises(ValueError):  # noqa: PT011  # of many texts
        parse_rfc3339_ns(text)
    assert parse_rfc3339_column([text]) is None


def test_a_leap_second_stays_in_its_minute() -> None:
    assert (
        parse_rfc3339_ns("2016-12-31T23:59:60Z") // 60_000_000_000
        == parse_rfc3339_ns("2016-12-31T23:59:59Z") // 60_000_000_000
    )
